//! What a request asks for, in one normalised form: one decision function for every way to say it.

use std::borrow::Cow;

use super::classify::Mirror;
use super::envelope::{Envelope, INVALID_PARAMS, Params, Rejected, Shape, invalid};
use super::method::{self, Method, Noun};
use super::names::is_valid_name;
use super::revision::Era;
use crate::json::{Kind, Value};

/// Each is judged by itself: more would be a cheap way to keep a worker busy.
const MAX_SUBSCRIPTIONS: usize = 1_000;

/// The capability of clients that take a task for an answer.
/// <https://modelcontextprotocol.io/seps/2663-tasks-extension>
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The object a request names.
#[derive(Clone, Debug)]
pub enum Object<'a> {
    /// Nothing that has a policy of its own.
    None,
    /// A tool and its arguments (`None`: an empty object).
    Tool {
        /// Its name.
        name: Cow<'a, str>,
        /// `params.arguments`.
        arguments: Option<Value<'a>>,
    },
    /// A prompt.
    Prompt(Cow<'a, str>),
    /// A resource.
    Resource(Cow<'a, str>),
    /// A resource template, as named by a completion.
    Template(Cow<'a, str>),
    /// Every resource a listener subscribes to.
    Resources(Vec<Cow<'a, str>>),
    /// A task.
    Task(Cow<'a, str>),
}

/// A request or notification, ready to be judged.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The method as sent.
    pub method: Cow<'a, str>,
    /// Its row in the catalogue; `None` for extensions.
    pub known: Option<&'static Method>,
    /// What it names.
    pub object: Object<'a>,
}

impl<'a> Call<'a> {
    /// Normalises a request or notification. `None` for posted responses.
    pub fn read(envelope: &Envelope<'a>) -> Result<Option<Call<'a>>, Rejected> {
        let (method, id) = match &envelope.shape {
            Shape::Request { method, id } => (method.clone(), Some(*id)),
            Shape::Notification { method } => (method.clone(), None),
            Shape::Response { .. } => return Ok(None),
        };
        let known = method::find(&method);
        let noun = known.map_or(Noun::None, |m| m.noun);
        let object = object_of(noun, &envelope.params).map_err(|rejected| Rejected {
            id: id.map(str::to_owned),
            ..rejected
        })?;
        Ok(Some(Call {
            method,
            known,
            object,
        }))
    }

    /// What `Mcp-Name` must say.
    /// <https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#request-metadata>
    pub fn mirror(&self) -> Mirror<'_> {
        match (&self.object, self.known) {
            (_, None) => Mirror::Extension,
            (Object::Tool { name, .. } | Object::Prompt(name), Some(m)) if m.noun != Noun::Reference => {
                Mirror::Required(name)
            }
            (Object::Resource(uri), Some(m)) if m.name == "resources/read" => Mirror::Required(uri),
            (Object::Task(id), Some(_)) => Mirror::Optional(id),
            _ => Mirror::Undefined,
        }
    }
}

/// Whether a request may be answered by a task: since 2026-07-28 wherever the client can deal with one, before that where
/// it asks for one.
/// <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks#creating-tasks>
pub fn asks_for_task(params: &Params<'_>, era: Era) -> bool {
    match era {
        Era::Legacy => params.get("task").is_some(),
        Era::Modern => params
            .get("_meta")
            .and_then(|meta| meta.get("io.modelcontextprotocol/clientCapabilities"))
            .and_then(|capabilities| capabilities.get("extensions"))
            .is_some_and(|extensions| extensions.get(TASKS).is_some()),
    }
}

fn object_of<'a>(noun: Noun, params: &Params<'a>) -> Result<Object<'a>, Rejected> {
    match noun {
        Noun::None => Ok(Object::None),
        Noun::Tool => {
            let name = name_in(params.get("name"), "params.name")?;
            Ok(Object::Tool {
                name,
                arguments: arguments_in(params)?,
            })
        }
        Noun::Prompt => {
            arguments_in(params)?;
            Ok(Object::Prompt(name_in(params.get("name"), "params.name")?))
        }
        Noun::Resource => Ok(Object::Resource(uri_in(params.get("uri"), "params.uri")?)),
        Noun::Task => Ok(Object::Task(name_in(params.get("taskId"), "params.taskId")?)),
        Noun::Reference => reference_in(params),
        Noun::Listen => subscriptions_in(params),
    }
}

fn arguments_in<'a>(params: &Params<'a>) -> Result<Option<Value<'a>>, Rejected> {
    match params.get("arguments") {
        None => Ok(None),
        Some(arguments) if arguments.kind() == Kind::Object => Ok(Some(arguments)),
        Some(_) => Err(structural("\"params.arguments\" must be an object")),
    }
}

fn reference_in<'a>(params: &Params<'a>) -> Result<Object<'a>, Rejected> {
    let Some(reference) = params.get("ref") else {
        return Err(structural("\"params.ref\" is missing"));
    };
    match reference.get("type").and_then(|t| t.as_str()).as_deref() {
        Some("ref/prompt") => Ok(Object::Prompt(name_in(reference.get("name"), "params.ref.name")?)),
        Some("ref/resource") => Ok(Object::Template(uri_in(reference.get("uri"), "params.ref.uri")?)),
        _ => Err(structural(
            "\"params.ref.type\" must be \"ref/prompt\" or \"ref/resource\"",
        )),
    }
}

fn subscriptions_in<'a>(params: &Params<'a>) -> Result<Object<'a>, Rejected> {
    let Some(notifications) = params.get("notifications") else {
        return Err(structural("\"params.notifications\" is missing"));
    };
    if notifications.kind() != Kind::Object {
        return Err(structural("\"params.notifications\" must be an object"));
    }
    // Whose they are is for whoever opens them to say.
    elements_in(notifications, "taskIds")?
        .iter()
        .try_for_each(|id| name_in(Some(*id), "a task id").map(drop))?;
    let resources = elements_in(notifications, "resourceSubscriptions")?;
    let uris: Result<Vec<_>, _> = resources
        .iter()
        .map(|uri| uri_in(Some(*uri), "a resource subscription"))
        .collect();
    uris.map(Object::Resources)
}

/// The elements of an array in `params.notifications`; none if it is absent.
fn elements_in<'a>(notifications: Value<'a>, member: &str) -> Result<Vec<Value<'a>>, Rejected> {
    let Some(value) = notifications.get(member) else {
        return Ok(Vec::new());
    };
    let Some(array) = value.as_array() else {
        return Err(structural(&format!(
            "\"params.notifications.{member}\" must be an array"
        )));
    };
    let elements: Vec<_> = array.elements().take(MAX_SUBSCRIPTIONS + 1).collect();
    if elements.len() > MAX_SUBSCRIPTIONS {
        return Err(structural(&format!(
            "\"params.notifications.{member}\" may have at most {MAX_SUBSCRIPTIONS} elements"
        )));
    }
    Ok(elements)
}

fn name_in<'a>(value: Option<Value<'a>>, place: &str) -> Result<Cow<'a, str>, Rejected> {
    let Some(name) = value.and_then(|v| v.as_str()) else {
        return Err(structural(&format!("\"{place}\" must be a string")));
    };
    if is_valid_name(&name) {
        return Ok(name);
    }
    Err(invalid(
        &format!("\"{place}\" must not be empty, have control characters or begin or end with white space"),
        None,
    ))
}

fn uri_in<'a>(value: Option<Value<'a>>, place: &str) -> Result<Cow<'a, str>, Rejected> {
    let Some(uri) = value.and_then(|v| v.as_str()) else {
        return Err(structural(&format!("\"{place}\" must be a string")));
    };
    if uri.chars().any(char::is_control) {
        return Err(invalid(
            &format!("\"{place}\" must not have control characters"),
            None,
        ));
    }
    Ok(uri)
}

fn structural(message: &str) -> Rejected {
    Rejected {
        code: INVALID_PARAMS,
        ..invalid(message, None)
    }
}

#[cfg(test)]
mod tests;
