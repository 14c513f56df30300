//! `run`: a local Envoy with the filter, in front of MCP servers.

mod client;
mod decisions;
mod find;
mod mcp_json;
mod process;

use std::fs::Permissions;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::proxy::{Files, GOOD_SECRET, ProxyArgs, parse_address, server_names, session_secret};
use crate::envoy::{self, AccessLog, Setup};
use crate::failure::{Failure, Outcome};
use crate::policy_file::PolicyArgs;
use crate::upstream;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Where a server of the policy is; repeat a NAME to balance over several endpoints.
    #[arg(
        long = "upstream",
        value_name = "NAME=URL",
        required_unless_present = "mcp_json"
    )]
    upstreams: Vec<upstream::Argument>,
    /// Take the upstreams from an agent's configuration: the HTTP servers of its "mcpServers".
    #[arg(long, value_name = "FILE")]
    mcp_json: Option<PathBuf>,
    /// Where agents connect.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    listen: SocketAddr,
    /// Envoy [default: the one in PATH].
    #[arg(long, value_name = "FILE", env = "TOOLGATE_ENVOY")]
    envoy: Option<PathBuf>,
    /// The compiled filter [default: toolgate.wasm next to this program].
    #[arg(long, value_name = "FILE", env = "TOOLGATE_WASM")]
    wasm: Option<PathBuf>,
    /// Envoy's worker threads.
    #[arg(long, value_name = "N", default_value_t = 2)]
    concurrency: u16,
    /// Also append one JSON line per request to a file.
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    #[command(flatten)]
    proxy: ProxyArgs,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let file = args.policy.load()?;
    let policy = &file.policy;
    // Envoy is a child of this process and has its environment.
    session_secret(policy).map_err(|why| Failure::usage(why).fix(GOOD_SECRET))?;
    let names = server_names(policy);
    let mut arguments = args.upstreams.clone();
    if let Some(path) = &args.mcp_json {
        arguments.extend(mcp_json::upstreams(path, &names)?);
    }
    let upstreams = upstream::resolve(&arguments, &names)?;
    let program = find::envoy(args.envoy.as_deref())?;
    let jwt = args.proxy.jwt(policy, Files::Here)?;
    let admin = free_port()?;
    let rate_limit = args.proxy.rate_limit(policy)?;
    let setup = Setup {
        otlp: args.proxy.otlp(policy, rate_limit.as_ref())?,
        wasm: find::wasm(args.wasm.as_deref())?,
        listen: args.listen,
        admin,
        health: None,
        ca: args.proxy.ca(&upstreams, jwt.as_ref(), Files::Here)?,
        tls: args.proxy.tls(Files::Here)?,
        rate_limit,
        access_logs: access_logs(args.access_log.as_deref())?,
        policy,
        document: &file.document,
        policy_file: None,
        upstreams,
        jwt,
    };
    for warning in setup.warnings() {
        anstream::eprintln!("warning: {warning}");
    }
    let text = envoy::to_text(&envoy::bootstrap(&setup)).map_err(|error| Failure::no(error.to_string()))?;
    // Removed when it goes out of scope. It may hold the upstreams' credentials: for this user only.
    let directory = private_directory()?;
    let bootstrap = directory.path().join("envoy.json");
    std::fs::write(&bootstrap, text)?;
    let command = process::Command {
        program: &program,
        bootstrap: &bootstrap,
        concurrency: args.concurrency,
        admin,
    };
    process::run(&command, || {
        let welcome = client::welcome(policy, args.listen, setup.tls.is_some());
        write!(anstream::stdout().lock(), "{welcome}")
    })
}

/// Decisions come to us through Envoy's standard output.
fn access_logs(file: Option<&Path>) -> Outcome<Vec<AccessLog>> {
    let mut logs = vec![AccessLog::Stdout];
    if let Some(path) = file {
        logs.push(AccessLog::File(std::path::absolute(path)?));
    }
    Ok(logs)
}

/// A port that is free now. Should somebody take it before Envoy does, Envoy says so and ends.
fn free_port() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn private_directory() -> Outcome<tempfile::TempDir> {
    let mine = Permissions::from_mode(0o700);
    Ok(tempfile::Builder::new()
        .prefix("toolgate-")
        .permissions(mine)
        .tempdir()?)
}
