//! The `mcpServers` JSON that agents are configured with.

use std::path::Path;

use serde_json::{Map, Value};

use crate::failure::{Failure, Outcome};
use crate::upstream::Argument;

/// The HTTP servers of the file that the policy governs; the others are listed as skipped.
pub(super) fn upstreams(path: &Path, servers: &[&str]) -> Outcome<Vec<Argument>> {
    let text = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read --mcp-json {}: {error}", path.display())))?;
    let document: Value = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format!("--mcp-json {} is not JSON: {error}", path.display())))?;
    let Some(entries) = document
        .get("mcpServers")
        .or_else(|| document.get("servers"))
        .and_then(Value::as_object)
    else {
        return Err(
            Failure::usage(format!("--mcp-json {} has no \"mcpServers\"", path.display())).fix(
                r#"it is an object like {"mcpServers": {"docs": {"url": "http://127.0.0.1:3000/mcp"}}}"#,
            ),
        );
    };
    let mut found = Vec::new();
    for (name, entry) in entries {
        match usable(name, entry, servers) {
            Ok(argument) => found.push(argument),
            Err(why) => anstream::eprintln!("skipped {name:?} of {}: {why}", path.display()),
        }
    }
    Ok(found)
}

/// The upstream of one entry, or why it is left out.
fn usable(name: &str, entry: &Value, servers: &[&str]) -> Result<Argument, String> {
    if entry.get("command").is_some() {
        return Err("a stdio server; only HTTP servers can be reached".to_owned());
    }
    let Some(url) = ["url", "serverUrl", "httpUrl"]
        .iter()
        .find_map(|member| entry.get(member)?.as_str())
    else {
        return Err("it has no url".to_owned());
    };
    if entry.get("type").and_then(Value::as_str) == Some("sse") {
        return Err("the HTTP+SSE transport of 2024-11-05; only streamable HTTP is governed".to_owned());
    }
    if !servers.contains(&name) {
        return Err("the policy has no server of that name".to_owned());
    }
    let headers = entry
        .get("headers")
        .and_then(Value::as_object)
        .map(headers)
        .transpose()?;
    Ok(Argument::new(name, url)?.with_headers(headers.unwrap_or_default()))
}

/// What the server wants from its clients, such as its own credential. Agents never see it any more.
fn headers(entries: &Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    let header = |(name, value): (&String, &Value)| match value.as_str() {
        Some(text) if text.contains("${") => Err(format!(
            "its header {name:?} has a variable, which only the agent can fill in; write the value"
        )),
        Some(text) => Ok((name.clone(), text.to_owned())),
        None => Err(format!("its header {name:?} is not a string")),
    };
    entries.iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::usable;

    #[test]
    fn takes_http_servers_and_says_why_it_skips_others() {
        let servers = ["docs"];
        let docs = json!({ "url": "http://127.0.0.1:1/mcp", "headers": { "Authorization": "Bearer x" } });
        assert!(usable("docs", &docs, &servers).is_ok());
        for (name, entry, why) in [
            ("docs", json!({ "command": "npx" }), "stdio"),
            ("docs", json!({ "url": "http://x/", "type": "sse" }), "HTTP+SSE"),
            ("docs", json!({}), "no url"),
            (
                "docs",
                json!({ "url": "http://x/", "headers": { "a": "${TOKEN}" } }),
                "variable",
            ),
            ("other", json!({ "url": "http://x/" }), "no server of that name"),
        ] {
            let error = usable(name, &entry, &servers).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
