//! `render`: configuration for a proxy, or for the rate limit service behind it, on standard output.

mod files;
mod mesh;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use toolgate_engine::policy::{Policy, ServiceEngine};
use toolgate_engine::quota::Book;

use super::proxy::{Files, GOOD_SECRET, ProxyArgs, parse_address, server_names, session_secret};
use crate::envoy::{self, AccessLog, Setup};
use crate::failure::{Failure, Outcome};
use crate::policy_file::PolicyArgs;
use crate::rate_limit;
use crate::upstream;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Target {
    /// A complete Envoy bootstrap: run it with `envoy -c FILE`.
    Envoy(Box<EnvoyArgs>),
    /// Replace the policy in a directory that Envoy watches.
    Ecds(files::EcdsArgs),
    /// The policy as a ConfigMap, for a plain Envoy that mounts it.
    Configmap(files::ConfigmapArgs),
    /// Istio's WasmPlugin.
    Wasmplugin(mesh::IstioArgs),
    /// Istio's EnvoyFilter, which can hold headers.
    Envoyfilter(mesh::IstioArgs),
    /// Envoy Gateway's EnvoyPatchPolicy, or EnvoyExtensionPolicy for "hold": "body".
    EnvoyGateway(mesh::EnvoyGatewayArgs),
    /// The file of the rate limit service that counts limits with scope "global".
    Ratelimit(RatelimitArgs),
}

#[derive(Debug, clap::Args)]
struct EnvoyArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// The compiled filter, toolgate.wasm.
    #[arg(long, value_name = "FILE")]
    wasm: PathBuf,
    /// Where agents connect.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    listen: SocketAddr,
    /// Envoy's admin interface; it has no authentication, so keep it on loopback.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    admin: SocketAddr,
    /// A listener for a kubelet and Prometheus: /ready and /stats/prometheus of the admin interface, and nothing else.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    health: Option<SocketAddr>,
    /// Where a server of the policy is; repeat a NAME to balance over several endpoints.
    #[arg(long = "upstream", value_name = "NAME=URL")]
    upstreams: Vec<upstream::Argument>,
    /// Append one JSON line per request.
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Write the policy into a directory that Envoy watches, instead of inlining it: render ecds replaces it there.
    #[arg(long, value_name = "DIR")]
    policy_file: Option<PathBuf>,
    /// Files and directories are named as Envoy has them, on another machine or in a container: none is looked for or
    /// written here.
    #[arg(long)]
    elsewhere: bool,
    #[command(flatten)]
    proxy: ProxyArgs,
}

#[derive(Debug, clap::Args)]
struct RatelimitArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// The engine behind the service [default: the one that the policy names].
    #[arg(long, value_enum)]
    engine: Option<Engine>,
}

/// An engine behind the rate limit service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    /// envoyproxy/ratelimit: its domain file, with the settings that it needs.
    Envoyproxy,
    /// Limitador: its limits file.
    Limitador,
}

pub(crate) fn run(args: Args) -> Outcome {
    match args.target {
        Target::Envoy(args) => envoy(&args),
        Target::Ecds(args) => files::ecds(&args),
        Target::Configmap(args) => files::configmap(&args),
        Target::Wasmplugin(args) => mesh::wasmplugin(&args),
        Target::Envoyfilter(args) => mesh::envoyfilter(&args),
        Target::EnvoyGateway(args) => mesh::envoy_gateway(&args),
        Target::Ratelimit(args) => ratelimit(&args),
    }
}

fn envoy(args: &EnvoyArgs) -> Outcome {
    let file = args.policy.load()?;
    let policy = &file.policy;
    let upstreams = upstream::resolve(&args.upstreams, &server_names(policy))?;
    let there = args.there();
    let jwt = args.proxy.jwt(policy, there)?;
    let policy_file = args
        .policy_file
        .as_deref()
        .map(|path| there.absolute(path, "--policy-file"))
        .transpose()?;
    let rate_limit = args.proxy.rate_limit(policy)?;
    let setup = Setup {
        otlp: args.proxy.otlp(policy, rate_limit.as_ref())?,
        wasm: there.file(&args.wasm, "--wasm")?,
        listen: args.listen,
        admin: args.admin,
        health: args.health(policy)?,
        ca: args.proxy.ca(&upstreams, jwt.as_ref(), there)?,
        tls: args.proxy.tls(there)?,
        rate_limit,
        access_logs: access_log(args, there)?,
        policy,
        document: &file.document,
        policy_file: policy_file.as_deref(),
        upstreams,
        jwt,
    };
    for warning in setup.warnings() {
        anstream::eprintln!("warning: {warning}");
    }
    // Envoy may run elsewhere.
    if let Err(why) = session_secret(policy) {
        anstream::eprintln!("warning: here, {why}; where Envoy starts it must be ({GOOD_SECRET})");
    }
    let text = envoy::to_text(&envoy::bootstrap(&setup)).map_err(|error| Failure::no(error.to_string()))?;
    if let (Some(directory), Files::Here) = (&policy_file, there) {
        files::write(&file, &setup.wasm, directory)?;
    }
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}

impl EnvoyArgs {
    fn health(&self, policy: &Policy) -> Outcome<Option<SocketAddr>> {
        if self.health.is_some() && policy.server_by_name(envoy::HEALTH_CLUSTER).is_some() {
            return Err(Failure::usage(format!(
                "a server of the policy is named {:?}, which is what --health calls the admin interface",
                envoy::HEALTH_CLUSTER
            ))
            .fix("give the server another name"));
        }
        Ok(self.health)
    }

    fn there(&self) -> Files {
        if self.elsewhere {
            Files::Elsewhere
        } else {
            Files::Here
        }
    }
}

/// What `kubectl apply` keeps of an object in an annotation of it, and how large annotations may be.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set>
const ANNOTATIONS: usize = 256 * 1024;

/// Warns of an object that `kubectl apply` cannot apply in its usual way.
fn warn_of_size(object: &serde_json::Value) {
    let bytes = object.to_string().len();
    if bytes > ANNOTATIONS {
        let kind = object["kind"].as_str().unwrap_or("object");
        anstream::eprintln!(
            "warning: the {kind} has {bytes} bytes, too many for kubectl apply: use kubectl apply --server-side"
        );
    }
}

fn access_log(args: &EnvoyArgs, there: Files) -> Outcome<Vec<AccessLog>> {
    let Some(path) = &args.access_log else {
        return Ok(Vec::new());
    };
    Ok(vec![AccessLog::File(there.absolute(path, "--access-log")?)])
}

fn ratelimit(args: &RatelimitArgs) -> Outcome {
    let policy = args.policy.load()?.policy;
    let Some(service) = policy.rate_limit_service() else {
        return Err(
            Failure::no("the policy has no rate limit service, so there is nothing to tell one")
                .fix(r#"for limits with scope "global", add "rateLimitService": {"cluster": "ratelimit"} to the policy"#),
        );
    };
    let named = match service.engine {
        ServiceEngine::Envoyproxy => Engine::Envoyproxy,
        ServiceEngine::Limitador => Engine::Limitador,
    };
    let engine = args.engine.unwrap_or(named);
    if engine != named {
        anstream::eprintln!(
            "warning: the policy asks its service as {}; for a service with this file, set \"engine\": \"{}\" in its \
             \"rateLimitService\"",
            named.name(),
            engine.name()
        );
    }
    if !policy.counts_globally() {
        anstream::eprintln!(
            "warning: no limit of the policy has scope \"global\": the rate limit service is never asked"
        );
    }
    let text = match engine {
        Engine::Envoyproxy => rate_limit::domain_file(service),
        Engine::Limitador => rate_limit::limits_file(&Book::new(&policy)),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}

impl Engine {
    /// As the policy names it.
    fn name(self) -> &'static str {
        match self {
            Engine::Envoyproxy => "envoyproxy",
            Engine::Limitador => "limitador",
        }
    }
}
