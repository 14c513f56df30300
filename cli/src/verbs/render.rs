//! `render`: configuration for a proxy, or for the rate limit service behind it, on standard output.

mod mesh;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use toolgate_engine::policy::ServiceEngine;
use toolgate_engine::quota::Book;

use super::proxy::{GOOD_SECRET, ProxyArgs, existing, parse_address, server_names, session_secret};
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
    #[command(hide = true)]
    Ecds(Later),
    #[command(hide = true)]
    Configmap(Later),
    /// Istio's WasmPlugin.
    Wasmplugin(mesh::IstioArgs),
    /// Istio's EnvoyFilter, which can hold headers.
    Envoyfilter(mesh::IstioArgs),
    /// Envoy Gateway's EnvoyPatchPolicy, or EnvoyExtensionPolicy for "hold": "body".
    EnvoyGateway(mesh::EnvoyGatewayArgs),
    /// The file of the rate limit service that counts limits with scope "global".
    Ratelimit(RatelimitArgs),
}

/// Known, and not there yet.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
struct Later {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<String>,
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
    /// Where a server of the policy is; repeat a NAME to balance over several endpoints.
    #[arg(long = "upstream", value_name = "NAME=URL")]
    upstreams: Vec<upstream::Argument>,
    /// Append one JSON line per request.
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
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
    let later = match args.target {
        Target::Envoy(args) => return envoy(&args),
        Target::Ecds(_) => "ecds",
        Target::Configmap(_) => "configmap",
        Target::Wasmplugin(args) => return mesh::wasmplugin(&args),
        Target::Envoyfilter(args) => return mesh::envoyfilter(&args),
        Target::EnvoyGateway(args) => return mesh::envoy_gateway(&args),
        Target::Ratelimit(args) => return ratelimit(&args),
    };
    Err(Failure::usage(format!("render {later} is not supported yet")).fix("use render envoy"))
}

fn envoy(args: &EnvoyArgs) -> Outcome {
    args.proxy.refuse_later()?;
    let file = args.policy.load()?;
    let policy = &file.policy;
    let upstreams = upstream::resolve(&args.upstreams, &server_names(policy))?;
    let jwt = args.proxy.jwt(policy)?;
    let setup = Setup {
        wasm: existing(&args.wasm, "--wasm")?,
        listen: args.listen,
        admin: args.admin,
        ca: args.proxy.ca(&upstreams, jwt.as_ref())?,
        tls: args.proxy.tls()?,
        rate_limit: args.proxy.rate_limit(policy)?,
        access_logs: access_log(args)?,
        policy,
        document: &file.document,
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
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}

fn access_log(args: &EnvoyArgs) -> Outcome<Vec<AccessLog>> {
    let Some(path) = &args.access_log else {
        return Ok(Vec::new());
    };
    Ok(vec![AccessLog::File(std::path::absolute(path)?)])
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
