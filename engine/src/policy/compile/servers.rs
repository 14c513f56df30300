//! Servers: where they are, and their tools.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use super::{names, resilience, settings, usage};
use crate::policy::error::{At, Errors, PolicyError, quoted};
use crate::policy::places::Places;
use crate::policy::{Cost, Server, ServerId, Tool, raw};
use crate::schema::Validator;

const MAX_PATH: usize = 1_024;

/// The compiled servers and where to find them.
pub(super) struct Servers {
    pub(super) list: Vec<Server>,
    pub(super) places: Places,
}

pub(super) fn compile(raw: BTreeMap<String, raw::Server>, errors: &mut Errors) -> Servers {
    let root = At::Root;
    let at = root.member("servers");
    let mut servers = Servers {
        list: Vec::with_capacity(raw.len()),
        places: Places::default(),
    };
    for (index, (name, raw)) in raw.into_iter().enumerate() {
        let at = at.member(&name);
        check_name(&name, &at, errors);
        let path = raw.path;
        let path_ok = check_path(&path, &at.member("path"), errors);
        let host = raw
            .host
            .0
            .map(|host| check_host(&host, &at.member("host"), errors));
        let host_ok = host.as_ref().is_none_or(Option::is_some);
        let host = host.flatten();
        if path_ok
            && host_ok
            && let Some(other) = servers
                .places
                .insert(&path, host.as_deref(), ServerId::new(index))
        {
            let other = servers.list.get(other.index()).map_or("", |server| &*server.name);
            let problem = format!("the server {} is at the same path and host", quoted(other));
            errors.add(PolicyError::new(&at.member("path"), problem).found(quoted(&path)));
        }
        let cost = Cost {
            per_call: usage::cost(raw.cost, &at.member("cost"), errors).unwrap_or_default(),
            per_kib: usage::cost(raw.cost_per_kib, &at.member("costPerKiB"), errors).unwrap_or_default(),
        };
        let server = Server {
            path,
            host,
            methods: raw
                .methods
                .0
                .map(|methods| names::globs(methods, &at.member("methods"), errors)),
            unlisted_tools: raw.unlisted_tools,
            schemas: raw.schemas,
            integrity: raw.integrity,
            cost,
            breaker: raw
                .breaker
                .0
                .map(|raw| resilience::breaker(&raw, &at.member("breaker"), errors)),
            client_capabilities: resilience::client_capabilities(&raw.client_capabilities),
            // Filled when everything that writes names of tools is known.
            vocabulary: HashSet::new(),
            tools: tools(raw.tools, cost, &at.member("tools"), errors),
            name: Rc::from(name),
        };
        servers.list.push(server);
    }
    servers.places.finish();
    servers
}

/// A server's name is the part of a pattern before the first `/`.
fn check_name(name: &str, at: &At<'_>, errors: &mut Errors) {
    if name.contains(['/', '*']) {
        let error = PolicyError::new(at, "a server's name cannot have / or *").found(quoted(name));
        errors.add(error.allowed("a name that patterns like \"docs/*\" can begin with"));
    } else {
        names::check(name, "server", at, errors);
    }
}

/// Reports a path that no request has after Envoy's path normalisation ([RFC 3986
/// §6.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2)). Returns whether it is sound.
fn check_path(path: &str, at: &At<'_>, errors: &mut Errors) -> bool {
    let mut hint = None;
    let problem = if !path.starts_with('/') {
        hint = Some(format!("did you mean {}?", quoted(&format!("/{path}")))).filter(|_| !path.is_empty());
        "the path does not begin with /"
    } else if path.len() > MAX_PATH {
        "the path is too long"
    } else if path.contains(['?', '#']) {
        "the path has a query or a fragment"
    } else if path.contains("//") {
        "the path has an empty segment"
    } else if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        "the path has a dot segment"
    } else if path.contains('*') {
        hint = Some("give each path its own server".to_owned());
        "paths are exact: there are no patterns"
    } else if !path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        "the path has a character that must be percent-encoded"
    } else {
        match escapes(path) {
            None => return true,
            Some(problem) => problem,
        }
    };
    let error = PolicyError::new(at, problem)
        .found(quoted(path))
        .allowed("a normalised path like \"/docs/mcp\"");
    errors.add(error.hint_if(hint));
    false
}

/// What is wrong with a path's percent-encoded characters.
fn escapes(path: &str) -> Option<&'static str> {
    path.split('%').skip(1).find_map(|rest| {
        let hex = rest
            .get(..2)
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
            return Some("the path has a % that encodes nothing");
        };
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => {
                Some("the path percent-encodes a character that needs no encoding")
            }
            // Servers differ on whether these separate segments.
            b'/' | b'\\' => Some("the path percent-encodes a slash"),
            b if b.is_ascii_control() => Some("the path percent-encodes a control character"),
            _ => None,
        }
    })
}

/// The host in lower case, or nothing if it was reported.
fn check_host(host: &str, at: &At<'_>, errors: &mut Errors) -> Option<String> {
    let mut hint = None;
    let problem = if let Some((_, rest)) = host.split_once("://") {
        let bare = rest.split(['/', ':']).next().unwrap_or_default();
        hint = (!bare.is_empty()).then(|| format!("did you mean {}?", quoted(bare)));
        "the host has a scheme"
    } else if host.contains('*') {
        "hosts are exact: there are no patterns"
    } else if settings::is_host(host) {
        return Some(host.to_ascii_lowercase());
    } else {
        match settings::split_port(host) {
            (bare, Some(_)) if settings::is_host(bare) => {
                hint = Some(format!("did you mean {}?", quoted(bare)));
                "the host has a port"
            }
            _ => "not a host",
        }
    };
    let error = PolicyError::new(at, problem)
        .found(quoted(host))
        .allowed("a host name without scheme and port");
    errors.add(error.hint_if(hint));
    None
}

/// `default` is what a call costs where the tool does not say.
fn tools(
    raw: BTreeMap<String, raw::Tool>,
    default: Cost,
    at: &At<'_>,
    errors: &mut Errors,
) -> HashMap<Rc<str>, Tool> {
    let mut tools = HashMap::with_capacity(raw.len());
    for (name, raw) in raw {
        let at = at.member(&name);
        check_tool_name(&name, &at, errors);
        let schema = raw.input_schema.0;
        let input_schema =
            schema.and_then(|schema| compile_schema(schema, &at.member("inputSchema"), errors));
        let per_call = usage::cost(raw.cost, &at.member("cost"), errors);
        let per_kib = usage::cost(raw.cost_per_kib, &at.member("costPerKiB"), errors);
        let cost = Cost {
            per_call: per_call.unwrap_or(default.per_call),
            per_kib: per_kib.unwrap_or(default.per_kib),
        };
        let breaker = raw
            .breaker
            .0
            .map(|raw| resilience::breaker(&raw.into(), &at.member("breaker"), errors));
        let name: Rc<str> = Rc::from(name);
        let tool = Tool {
            name: Rc::clone(&name),
            input_schema,
            cost,
            breaker,
        };
        tools.insert(name, tool);
    }
    tools
}

/// Calls with such a name are refused before the policy is asked, so an entry could never apply.
fn check_tool_name(name: &str, at: &At<'_>, errors: &mut Errors) {
    let problem = if name.is_empty() {
        "the tool's name is empty"
    } else if name.chars().any(char::is_control) {
        "the tool's name has a control character"
    } else if name.trim() != name {
        "the tool's name begins or ends with white space"
    } else if name.contains('*') {
        "entries under tools are exact names: there are no patterns"
    } else {
        return;
    };
    errors.add(
        PolicyError::new(at, problem)
            .found(quoted(name))
            .allowed("the tool's name as the server knows it"),
    );
}

fn compile_schema(
    schema: serde_json::Map<String, serde_json::Value>,
    at: &At<'_>,
    errors: &mut Errors,
) -> Option<Rc<Validator>> {
    match Validator::compile(&serde_json::Value::Object(schema)) {
        Ok(validator) => Some(Rc::new(validator)),
        Err(error) => {
            errors.add(PolicyError::new(
                at,
                format!("the schema does not compile: {error}"),
            ));
            None
        }
    }
}
