//! What compiles, what does not, and what is warned about.

mod bad;
mod bad_grants;
mod bad_quotas;
mod bad_resilience;
mod bad_usage;
mod drift;
mod good;
mod hash;
mod lint;
mod lint_resilience;
mod resilience;
mod telemetry;
mod usage;

use super::*;

/// Compiles what must compile.
#[track_caller]
fn compiled(text: &str) -> Policy {
    match Policy::compile(text.as_bytes()) {
        Ok(policy) => policy,
        Err(errors) => panic!("{errors}\nin {text}"),
    }
}

/// The errors of what must not compile.
#[track_caller]
fn refused(text: &str) -> PolicyErrors {
    match Policy::compile(text.as_bytes()) {
        Ok(_) => panic!("compiles: {text}"),
        Err(errors) => errors,
    }
}

/// Lower-case hex of 32 equal bytes.
fn hash(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}
