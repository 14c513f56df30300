//! `schema`: the policy's JSON Schema, for editors and pipelines.

use std::io::Write;

use crate::failure::{Failure, Outcome};

pub(crate) fn run() -> Outcome {
    let schema = serde_json::to_string_pretty(&toolgate_engine::policy::json_schema())
        .map_err(|error| Failure::no(error.to_string()))?;
    writeln!(std::io::stdout().lock(), "{schema}")?;
    Ok(0)
}
