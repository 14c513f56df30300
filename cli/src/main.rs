//! `toolgate`: the engine's decisions, for people.
//!
//! Exit codes: 0 yes, 1 no, 2 the question was wrong.
#![forbid(unsafe_code)]

mod envoy;
mod failure;
mod nearest;
mod policy_file;
mod upstream;
mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use verbs::render;

/// Govern MCP traffic behind Envoy: which tools exist for a key, and which calls may run.
#[derive(Debug, Parser)]
#[command(name = "toolgate", version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print configuration for a proxy.
    Render(render::Args),
}

fn main() -> ExitCode {
    // Usage errors end with 2, as clap does by itself.
    let args = Args::parse();
    let outcome = match args.verb {
        Verb::Render(args) => render::run(args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            anstream::eprintln!("{failure}");
            ExitCode::from(failure.code)
        }
    }
}
