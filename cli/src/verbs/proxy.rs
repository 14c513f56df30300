//! Arguments that `render envoy` and `run` share.

use std::env::VarError;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use clap::Args;
use toolgate_engine::binding::Secrets;
use toolgate_engine::policy::Policy;
use url::Url;

use crate::envoy::{DownstreamTls, Jwks, Jwt, OTLP_CLUSTER, Otlp, RateLimit};
use crate::failure::{Failure, Outcome};
use crate::upstream::{Endpoint, Upstream};

/// Where the files are that Envoy reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    /// On this machine.
    Here,
    /// Where Envoy runs: nothing is known about them.
    Elsewhere,
}

/// The bundle of trusted roots in Envoy's own images.
const CONTAINER_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What stands between agents and servers besides the filter.
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// Roots that https upstreams (and a JWKS URL) must chain to [default: the system's].
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Certificate chain (PEM) to present to agents.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Verify JWTs with these keys: a JWK set in a file, or its URL.
    #[arg(long, value_name = "FILE|URL", requires = "jwt_issuer")]
    jwks: Option<String>,
    /// The issuer (`iss`) of an acceptable JWT.
    #[arg(long, value_name = "ISSUER", requires = "jwks")]
    jwt_issuer: Option<String>,
    /// An acceptable audience (`aud`) of a JWT; may be repeated [default: any].
    #[arg(long, value_name = "AUDIENCE", requires = "jwks")]
    jwt_audience: Vec<String>,
    /// Where limits with scope "global" are counted: a rate limit service (gRPC).
    #[arg(long, value_name = "HOST:PORT")]
    rate_limit_service: Option<String>,
    /// Also send decisions and spans to an OpenTelemetry collector (OTLP over gRPC, in the clear).
    #[arg(long, value_name = "HOST:PORT")]
    otlp: Option<String>,
}

impl ProxyArgs {
    /// The rate limit service, under the name of the policy's cluster.
    pub(crate) fn rate_limit(&self, policy: &Policy) -> Outcome<Option<RateLimit>> {
        let service = policy.rate_limit_service();
        let Some(address) = &self.rate_limit_service else {
            return match service {
                Some(service) if policy.counts_globally() => Err(Failure::usage(format!(
                    "the policy has limits with scope \"global\", and nothing is said to be its rate limit service {:?}",
                    service.cluster
                ))
                .fix("say where it is: --rate-limit-service HOST:PORT")),
                _ => Ok(None),
            };
        };
        let endpoint = grpc_endpoint(address, "--rate-limit-service", 8081)?;
        let cluster = service
            .map_or("ratelimit", |service| &*service.cluster)
            .to_owned();
        if policy.server_by_name(&cluster).is_some() {
            return Err(Failure::usage(format!(
                "the rate limit service's cluster and a server are both named {cluster:?}"
            ))
            .fix("give the policy's \"rateLimitService\" another \"cluster\""));
        }
        Ok(Some(RateLimit { cluster, endpoint }))
    }

    /// The OpenTelemetry collector.
    pub(crate) fn otlp(&self, policy: &Policy, rate_limit: Option<&RateLimit>) -> Outcome<Option<Otlp>> {
        let Some(address) = &self.otlp else {
            return Ok(None);
        };
        let endpoint = grpc_endpoint(address, "--otlp", 4317)?;
        let taken = policy.server_by_name(OTLP_CLUSTER).is_some()
            || rate_limit.is_some_and(|service| service.cluster == OTLP_CLUSTER);
        if taken {
            return Err(Failure::usage(format!(
                "the policy has something named {OTLP_CLUSTER:?}, which is what --otlp calls the collector"
            ))
            .fix("give it another name"));
        }
        Ok(Some(Otlp { endpoint }))
    }

    /// Certificate and key for the listener.
    pub(crate) fn tls(&self, files: Files) -> Outcome<Option<DownstreamTls>> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        Ok(Some(DownstreamTls {
            certificate: files.file(certificate, "--tls-cert")?,
            key: files.file(key, "--tls-key")?,
        }))
    }

    /// What `jwt_authn` is to verify.
    pub(crate) fn jwt(&self, policy: &Policy, files: Files) -> Outcome<Option<Jwt>> {
        let (Some(jwks), Some(issuer)) = (&self.jwks, &self.jwt_issuer) else {
            return Ok(None);
        };
        if policy.identity().jwt.is_none() {
            return Err(
                Failure::usage("--jwks is given, but the policy does not read JWTs").fix(
                    r#"add "jwt": {"metadata": "jwt_payload", "claim": "sub"} to the policy's "identity""#,
                ),
            );
        }
        Ok(Some(Jwt {
            jwks: parse_jwks(jwks, files)?,
            issuer: issuer.clone(),
            audiences: self.jwt_audience.clone(),
        }))
    }

    /// The bundle of trusted roots, where anything is reached over TLS.
    pub(crate) fn ca(
        &self,
        upstreams: &[Upstream],
        jwt: Option<&Jwt>,
        files: Files,
    ) -> Outcome<Option<PathBuf>> {
        if let Some(file) = &self.upstream_ca {
            return files.file(file, "--upstream-ca").map(Some);
        }
        let fetched = matches!(jwt, Some(Jwt { jwks: Jwks::Url(url, _), .. }) if url.scheme() == "https");
        if !fetched && !upstreams.iter().any(|upstream| upstream.tls) {
            return Ok(None);
        }
        if files == Files::Elsewhere {
            return Ok(Some(CONTAINER_ROOTS.into()));
        }
        match openssl_probe::probe().cert_file {
            Some(bundle) => Ok(Some(bundle)),
            None => Err(Failure::usage(
                "found no bundle of trusted roots on this system, and an upstream is https",
            )
            .fix("name one with --upstream-ca FILE")),
        }
    }
}

/// Whether the environment here has the secret that the policy binds sessions with; the error is a sentence.
pub(crate) fn session_secret(policy: &Policy) -> Result<(), String> {
    let Some(name) = &policy.sessions().secret_env else {
        return Ok(());
    };
    match std::env::var(name) {
        Ok(value) => Secrets::parse(&value).map(|_| ()).map_err(|error| {
            format!(
                "the environment variable {name}, which the policy's \"sessions\" name, is unusable: {error}"
            )
        }),
        Err(VarError::NotPresent) => Err(format!(
            "the environment variable {name}, which the policy's \"sessions\" name, is not set"
        )),
        Err(VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not UTF-8")),
    }
}

/// How to get a secret.
pub(crate) const GOOD_SECRET: &str = "a good one: openssl rand -base64 32";

impl Files {
    /// The absolute path of a file, which must be there if it is here.
    pub(crate) fn file(self, path: &Path, option: &str) -> Outcome<PathBuf> {
        match self {
            Self::Here => existing(path, option),
            Self::Elsewhere => self.absolute(path, option),
        }
    }

    /// The absolute path of what need not be there yet.
    pub(crate) fn absolute(self, path: &Path, option: &str) -> Outcome<PathBuf> {
        match self {
            Self::Here => Ok(std::path::absolute(path)?),
            Self::Elsewhere if path.is_absolute() => Ok(path.to_owned()),
            Self::Elsewhere => Err(Failure::usage(format!(
                "{option} {}: not an absolute path, and Envoy is elsewhere",
                path.display()
            ))
            .fix("give the path that Envoy has")),
        }
    }
}

/// The absolute path of a file that must be there.
pub(crate) fn existing(path: &Path, option: &str) -> Outcome<PathBuf> {
    match std::fs::File::open(path).and_then(|_| std::path::absolute(path)) {
        Ok(path) => Ok(path),
        Err(error) => Err(Failure::usage(format!("{option} {}: {error}", path.display()))),
    }
}

/// `HOST:PORT`; a name is looked up once, here.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let hint = "write it as HOST:PORT, for example 127.0.0.1:8080";
    match text.to_socket_addrs() {
        Ok(mut found) => found.next().ok_or_else(|| hint.to_owned()),
        Err(error) => Err(format!("{error}; {hint}")),
    }
}

/// `HOST:PORT` of a gRPC service; a name is looked up by Envoy.
fn grpc_endpoint(address: &str, option: &str, port: u16) -> Outcome<Endpoint> {
    Url::parse(&format!("http://{address}"))
        .ok()
        .filter(|url| url.port_or_known_default().is_some() && matches!(url.path(), "" | "/"))
        .filter(|url| url.username().is_empty() && url.query().is_none() && address.contains(':'))
        .and_then(|url| Endpoint::of(&url))
        .ok_or_else(|| {
            Failure::usage(format!("{option} {address}: not an address"))
                .fix(format!("write it as HOST:PORT, for example 127.0.0.1:{port}"))
        })
}

/// The names of the policy's servers.
pub(crate) fn server_names(policy: &Policy) -> Vec<&str> {
    policy.servers().map(|(_, server)| &*server.name).collect()
}

fn parse_jwks(text: &str, files: Files) -> Outcome<Jwks> {
    if !text.contains("://") {
        let path = files.file(Path::new(text), "--jwks")?;
        if files == Files::Here {
            check_jwks(&path)?;
        }
        return Ok(Jwks::File(path));
    }
    let url = Url::parse(text).map_err(|error| Failure::usage(format!("--jwks {text}: {error}")))?;
    match Endpoint::of(&url) {
        Some(endpoint) if matches!(url.scheme(), "http" | "https") => Ok(Jwks::Url(url, endpoint)),
        _ => Err(Failure::usage(format!(
            "--jwks {text}: only http and https URLs can be fetched"
        ))),
    }
}

/// Envoy's own message about a broken key set names no file.
fn check_jwks(path: &Path) -> Outcome<()> {
    let text = std::fs::read(path)?;
    let keys = serde_json::from_slice::<serde_json::Value>(&text).ok();
    let keys = keys
        .as_ref()
        .and_then(|set| set.get("keys"))
        .and_then(|keys| keys.as_array());
    if keys.is_some_and(|keys| !keys.is_empty()) {
        return Ok(());
    }
    Err(
        Failure::usage(format!("--jwks {}: not a JWK set", path.display()))
            .fix(r#"it is a JSON object {"keys": [...]} with at least one key (RFC 7517, section 5)"#),
    )
}
