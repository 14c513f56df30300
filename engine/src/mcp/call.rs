//! What a request asks for, in one normalised form: one decision function for every way to say it.

use std::borrow::Cow;

use super::classify::Mirror;
use super::envelope::{Envelope, INVALID_PARAMS, Params, Rejected, Shape, invalid};
use super::method::{self, Method, Noun};
use super::names::is_valid_name;
use crate::json::{Kind, Value};

/// Each is judged by itself: more would be a cheap way to keep a worker busy.
const MAX_SUBSCRIPTIONS: usize = 1_000;

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
    let Some(resources) = notifications.get("resourceSubscriptions") else {
        return Ok(Object::Resources(Vec::new()));
    };
    let Some(resources) = resources.as_array() else {
        return Err(structural(
            "\"params.notifications.resourceSubscriptions\" must be an array",
        ));
    };
    if resources.elements().nth(MAX_SUBSCRIPTIONS).is_some() {
        return Err(structural(&format!(
            "at most {MAX_SUBSCRIPTIONS} resources can be subscribed to at once"
        )));
    }
    let uris: Result<Vec<_>, _> = resources
        .elements()
        .map(|uri| uri_in(Some(uri), "a resource subscription"))
        .collect();
    uris.map(Object::Resources)
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
