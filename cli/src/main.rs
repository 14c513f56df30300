//! `toolgate`: the engine's decisions, for people.
//!
//! Exit codes: 0 yes, 1 no, 2 the question was wrong.
#![forbid(unsafe_code)]

mod audit;
mod diff;
mod envoy;
mod failure;
mod grants;
mod learn;
mod limits;
mod log;
mod manifest;
mod nearest;
mod policy_file;
mod rate_limit;
mod report;
mod rollout;
mod style;
mod upstream;
mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use verbs::{
    audit as audit_verb, check, diff as diff_verb, explain, keygen, learn as learn_verb, render,
    report as report_verb, rollout as rollout_verb, run, schema, who_can,
};

/// Govern MCP traffic behind Envoy: which tools exist for a key, and which calls may run.
#[derive(Debug, Parser)]
#[command(
    name = "toolgate",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 yes, 1 no, 2 usage."
)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a local Envoy with the filter in front of MCP servers.
    Run(Box<run::Args>),
    /// Say everything that is wrong with a policy.
    Check(check::Args),
    /// Tell a decision check by check, or what a key may do on a server.
    Explain(explain::Args),
    /// Tell which keys can call a tool, and through which grant.
    WhoCan(who_can::Args),
    /// Tell what the change from one policy to another means: who gains, who loses.
    Diff(diff_verb::Args),
    /// Learn the least-privilege policy that observed traffic needs, and which grants nobody used.
    Learn(learn_verb::Args),
    /// Make a new key (shown once) and its policy entry.
    Keygen(keygen::Args),
    /// See whether a policy is in force in a running Envoy.
    Rollout(rollout_verb::Args),
    /// Print configuration for a proxy, or for the rate limit service behind it.
    Render(render::Args),
    /// Tell what agents did and what it cost, from access logs.
    Report(report_verb::Args),
    /// Verify an access log.
    Audit(audit_verb::Args),
    /// Print the policy's JSON Schema.
    Schema,
}

fn main() -> ExitCode {
    // Usage errors end with 2, as clap does by itself.
    let outcome = match Args::parse().verb {
        Verb::Run(args) => run::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::WhoCan(args) => who_can::run(&args),
        Verb::Diff(args) => diff_verb::run(&args),
        Verb::Learn(args) => learn_verb::run(&args),
        Verb::Keygen(args) => keygen::run(&args),
        Verb::Render(args) => render::run(args),
        Verb::Report(args) => report_verb::run(&args),
        Verb::Rollout(args) => rollout_verb::run(&args),
        Verb::Audit(args) => audit_verb::run(&args),
        Verb::Schema => schema::run(),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            anstream::eprintln!("{failure}");
            ExitCode::from(failure.code)
        }
    }
}
