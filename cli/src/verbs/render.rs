//! `render`: configuration for a proxy, on standard output.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;

use super::proxy::{ProxyArgs, existing, parse_address, server_names};
use crate::envoy::{self, AccessLog, Setup};
use crate::failure::{Failure, Outcome};
use crate::policy_file::PolicyFile;
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
    #[command(hide = true)]
    Wasmplugin(Later),
    #[command(hide = true)]
    Envoyfilter(Later),
    #[command(hide = true)]
    EnvoyGateway(Later),
    #[command(hide = true)]
    Ratelimit(Later),
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
    /// The policy.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
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

pub(crate) fn run(args: Args) -> Outcome {
    let later = match args.target {
        Target::Envoy(args) => return envoy(&args),
        Target::Ecds(_) => "ecds",
        Target::Configmap(_) => "configmap",
        Target::Wasmplugin(_) => "wasmplugin",
        Target::Envoyfilter(_) => "envoyfilter",
        Target::EnvoyGateway(_) => "envoy-gateway",
        Target::Ratelimit(_) => "ratelimit",
    };
    Err(Failure::usage(format!("render {later} is not supported yet")).fix("use render envoy"))
}

fn envoy(args: &EnvoyArgs) -> Outcome {
    args.proxy.refuse_later()?;
    let file = PolicyFile::load(&args.policy)?;
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
