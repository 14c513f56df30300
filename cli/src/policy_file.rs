//! The policy, from a file.

use std::path::Path;

use toolgate_engine::policy::Hold;

use crate::failure::{Failure, Outcome};

/// What the bootstrap needs of a policy.
pub(crate) struct Facts {
    /// The document without white space between its tokens.
    pub(crate) document: String,
    /// What waits for the verdict.
    pub(crate) hold: Hold,
    /// Largest request body, in bytes.
    pub(crate) request_bytes: u64,
    /// Largest held result, in bytes.
    pub(crate) result_bytes: u64,
    /// Every server.
    pub(crate) servers: Vec<ServerFacts>,
    /// Lower-case names of the headers a key is presented in.
    pub(crate) key_headers: Vec<String>,
    /// Where `jwt_authn` is to put the payload.
    pub(crate) jwt_metadata: Option<String>,
}

/// One server.
pub(crate) struct ServerFacts {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) host: Option<String>,
}

impl Facts {
    /// The names of the servers, in their order.
    pub(crate) fn server_names(&self) -> Vec<&str> {
        self.servers.iter().map(|server| server.name.as_str()).collect()
    }
}

/// Reads and compiles the policy; its errors are the failure.
pub(crate) fn facts(path: &Path) -> Outcome<Facts> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("policy {}: {error}", path.display())))?;
    let v: serde_json::Value = serde_json::from_str(&text).map_err(|e| Failure::no(e.to_string()))?;
    Ok(Facts {
        document: compact(&text),
        hold: if v["hold"] == "body" { Hold::Body } else { Hold::Headers },
        request_bytes: v["limits"]["requestBytes"].as_u64().unwrap_or(1 << 20),
        result_bytes: v["limits"]["resultBytes"].as_u64().unwrap_or(8 << 20),
        servers: v["servers"].as_object().into_iter().flatten().map(|(n, s)| ServerFacts {
            name: n.clone(), path: s["path"].as_str().unwrap_or("/").into(), host: s["host"].as_str().map(Into::into) }).collect(),
        key_headers: vec!["authorization".into(), "x-virtual-key".into()],
        jwt_metadata: v["identity"]["jwt"]["metadata"].as_str().map(Into::into),
    })
}

/// Valid JSON without the white space between its tokens; every token stays as written, so that numbers keep their
/// digits and members their order.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            quoted = c == '"';
            if c.is_ascii_whitespace() {
                continue;
            }
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn compacting_keeps_every_token() {
        let text = "{ \"a b\" : [ 1.0 , 1e400,\n\t\"\\\\\\\" x \" ] }";
        assert_eq!(compact(text), "{\"a b\":[1.0,1e400,\"\\\\\\\" x \"]}");
    }
}
