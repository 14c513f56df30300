//! What a person needs to connect an agent.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::{Map, Value, json};
use toolgate_engine::policy::{Policy, Server};

/// Each server's URL, and a client configuration ready to be pasted.
pub(super) fn welcome(policy: &Policy, listen: SocketAddr, tls: bool) -> String {
    let headers = header(&policy.identity().headers);
    let widest = policy
        .servers()
        .map(|(_, server)| server.name.chars().count())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    let mut entries = Map::new();
    for (_, server) in policy.servers() {
        let url = url(server, listen, tls);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<widest$}  {url}", server.name);
        let mut entry = json!({ "type": "http", "url": url });
        if !headers.is_empty() {
            entry["headers"] = Value::Object(headers.clone());
        }
        entries.insert(server.name.to_string(), entry);
    }
    let _ = writeln!(text, "\nFor the agent (put its key in place of <key>):\n");
    let _ = writeln!(text, "{:#}\n", json!({ "mcpServers": entries }));
    text
}

fn url(server: &Server, listen: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let port = listen.port();
    match &server.host {
        Some(host) => format!("{scheme}://{host}:{port}{}", server.path),
        None => format!(
            "{scheme}://{}{}",
            SocketAddr::new(reachable(listen.ip()), port),
            server.path
        ),
    }
}

/// Nobody connects to the unspecified address.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// The first header that carries a key; nothing if only JWTs are accepted.
fn header(names: &[String]) -> Map<String, Value> {
    let pair = match names
        .iter()
        .find(|name| *name == "authorization")
        .or_else(|| names.first())
    {
        Some(name) if name == "authorization" => Some(("Authorization".to_owned(), json!("Bearer <key>"))),
        Some(name) => Some((name.clone(), json!("<key>"))),
        None => None,
    };
    pair.into_iter().collect()
}
