//! `keygen`: a new virtual key, shown once, and its entry in the policy.

use std::fmt::Write as _;
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Format;
use crate::failure::{Failure, Outcome};

/// Lets secret scanners recognise a key that leaked.
const PREFIX: &str = "tg_";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The key's name in the policy.
    #[arg(long, default_value = "new-key")]
    name: String,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let key = new_key()?;
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Json => {
            let entry = json!({ "sha256": [digest(&key)], "roles": [] });
            writeln!(out, "{}", json!({ "key": key, "keys": { (&args.name): entry } }))?;
        }
        Format::Text => {
            writeln!(
                out,
                "Key (shown once; give it to the agent, as \"Authorization: Bearer <key>\"):\n\n  {key}\n"
            )?;
            writeln!(out, "Its entry in the policy's \"keys\" (add its roles):\n")?;
            writeln!(
                out,
                "  {}: {{ \"sha256\": [\"{}\"], \"roles\": [] }}",
                json!(args.name),
                digest(&key)
            )?;
        }
    }
    Ok(0)
}

/// 256 bits from the operating system.
fn new_key() -> Outcome<String> {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::no(format!("the operating system has no randomness: {error}")))?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)))
}

/// Over the key as presented, prefix included.
fn digest(key: &str) -> String {
    Sha256::digest(key.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
