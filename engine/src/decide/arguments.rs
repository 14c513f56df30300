//! Whether a tool's arguments may pass: numbers that every server reads alike, then the schemas.

use super::{Context, Pass, Refusal, Telling, Verdict};
use crate::json::{self, Value};
use crate::mcp::call::{Call, Object};
use crate::policy::Schemas;
use crate::reason::Reason;
use crate::schema::{Lookup, Validator};

/// Checks the arguments of a `tools/call`.
pub(super) fn check<'a>(context: &Context<'a>, call: &Call<'_>) -> Verdict<'a> {
    let Object::Tool { name, arguments } = &call.object else {
        return Verdict::NotApplicable;
    };
    if let Some(number) = arguments.and_then(|a| json::unsafe_number(a, context.policy.limits().big_integers))
    {
        return refused(context, unsafe_number_text(&number), || {
            format!("unsafe number at {:?}", number.pointer)
        });
    }
    match fit_schemas(context, name, *arguments) {
        Ok(true) => Verdict::Passes(Pass::Schema),
        Ok(false) => Verdict::NotApplicable,
        Err(text) => refused(context, text.clone(), || text),
    }
}

/// Whether any schema applied; the error is text for the model.
fn fit_schemas(context: &Context<'_>, name: &str, arguments: Option<Value<'_>>) -> Result<bool, String> {
    if context.server.schemas == Schemas::Off {
        return Ok(false);
    }
    let written = context
        .server
        .tool(name)
        .and_then(|tool| tool.input_schema.as_deref());
    let advertised = match context.server.schemas {
        Schemas::Advertised => context
            .advertised
            .lookup(context.store, &context.server.name, name),
        Schemas::Policy | Schemas::Off => Lookup::Unknown,
    };
    let advertised = match advertised {
        Lookup::Unknown => None,
        Lookup::Valid(validator) => Some(validator),
        Lookup::Broken(why) => return Err(format!("This tool cannot be called: {why}.")),
    };
    if written.is_none() && advertised.is_none() {
        return Ok(false);
    }
    let arguments = match arguments {
        Some(arguments) => arguments
            .to_json()
            .map_err(|_| "The arguments could not be read.".to_owned())?,
        // https://modelcontextprotocol.io/specification/2026-07-28/schema: arguments are optional.
        None => serde_json::Value::Object(serde_json::Map::new()),
    };
    let validators: [Option<&Validator>; 2] = [written, advertised.as_deref()];
    for validator in validators.into_iter().flatten() {
        validator
            .validate(&arguments)
            .map_err(|violations| violations.text())?;
    }
    Ok(true)
}

/// Servers read such numbers differently: as a double, as a big integer, or not at all.
fn unsafe_number_text(number: &json::UnsafeNumber) -> String {
    let place = if number.pointer.is_empty() {
        "the arguments"
    } else {
        &number.pointer
    };
    format!(
        "The number at {place} is too large to be read the same way by every server; send it as a string or use a \
         number within ±9007199254740991."
    )
}

fn refused<'a>(context: &Context<'_>, text: String, detail: impl FnOnce() -> String) -> Verdict<'a> {
    Verdict::Refused(Refusal {
        reason: Reason::Schema,
        telling: Telling::ToolError(text),
        mode: context.caller.mode,
        detail: detail(),
    })
}
