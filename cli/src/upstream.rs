//! `--upstream NAME=URL`: where each server of the policy really is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::failure::{Failure, Outcome};
use crate::nearest::nearest;

/// One `--upstream`, as written.
#[derive(Clone, Debug)]
pub(crate) struct Argument {
    name: String,
    url: Url,
    headers: Vec<(String, String)>,
}

impl Argument {
    /// Parses the address of the server `name`; the error is a sentence for people.
    pub(crate) fn new(name: &str, address: &str) -> Result<Self, String> {
        let url = Url::parse(address).map_err(|error| format!("{address:?} is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!(
                "the scheme is {:?}; only http and https reach an MCP server",
                url.scheme()
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a user name or password in the URL is not sent to the server; remove it".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(
                "the URL must end with its path: a query or fragment is not sent to the server".to_owned(),
            );
        }
        Ok(Self {
            name: name.to_owned(),
            url,
            headers: Vec::new(),
        })
    }

    /// Headers that this server wants on every request, such as its own credential.
    #[must_use]
    pub(crate) fn with_headers(mut self, headers: Vec<(String, String)>) -> Self {
        self.headers = headers;
        self
    }
}

impl FromStr for Argument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, address)) if !name.is_empty() => Self::new(name, address),
            _ => Err("write it as NAME=URL, for example docs=http://127.0.0.1:3000/mcp".to_owned()),
        }
    }
}

/// The upstream of one server: what all its endpoints share, and the endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// The server's name in the policy, and the cluster's in Envoy.
    pub(crate) name: String,
    /// `https`.
    pub(crate) tls: bool,
    /// The path that the policy's path is rewritten to.
    pub(crate) path: String,
    /// At least one.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Set on every request to this server.
    pub(crate) headers: Vec<(String, String)>,
}

/// Host and port of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// A DNS name or an address.
    pub(crate) host: Host<String>,
    /// The port, also when it is the scheme's default.
    pub(crate) port: u16,
    default_port: bool,
}

impl Endpoint {
    /// The endpoint a URL names.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let host = url.host()?.to_owned();
        Some(Self {
            host,
            port: url.port_or_known_default()?,
            default_port: url.port().is_none(),
        })
    }

    /// The host as Envoy's `socket_address.address` wants it: an IPv6 address without brackets.
    pub(crate) fn address(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The `Host` a client of this endpoint would send.
    pub(crate) fn authority(&self) -> String {
        if self.default_port {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// A name to be looked up in DNS.
    pub(crate) fn is_dns(&self) -> bool {
        matches!(self.host, Host::Domain(_))
    }

    /// On this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Groups the arguments by server and holds them against the policy: each server needs an
/// upstream, each upstream a server. The order is that of `servers`.
pub(crate) fn resolve(arguments: &[Argument], servers: &[&str]) -> Outcome<Vec<Upstream>> {
    let mut by_name: BTreeMap<&str, Upstream> = BTreeMap::new();
    for argument in arguments {
        if !servers.contains(&argument.name.as_str()) {
            return Err(unknown_server(&argument.name, servers));
        }
        add(&mut by_name, argument)?;
    }
    servers
        .iter()
        .map(|name| {
            by_name
                .remove(name)
                .ok_or_else(|| missing_upstream(name, arguments))
        })
        .collect()
}

fn add<'a>(by_name: &mut BTreeMap<&'a str, Upstream>, argument: &'a Argument) -> Outcome<()> {
    let Some(endpoint) = Endpoint::of(&argument.url) else {
        return Err(Failure::usage(format!(
            "--upstream {}: {} has no host",
            argument.name, argument.url
        )));
    };
    let tls = argument.url.scheme() == "https";
    let path = argument.url.path();
    let Some(known) = by_name.get_mut(argument.name.as_str()) else {
        let upstream = Upstream {
            name: argument.name.clone(),
            tls,
            path: path.to_owned(),
            endpoints: vec![endpoint],
            headers: argument.headers.clone(),
        };
        by_name.insert(&argument.name, upstream);
        return Ok(());
    };
    let differing = if known.tls == tls { "path" } else { "scheme" };
    if known.tls != tls || known.path != path {
        return Err(Failure::usage(format!(
            "the upstreams of {:?} differ in their {differing}; they are endpoints of one cluster",
            argument.name
        ))
        .fix(format!(
            "give every --upstream {}=… the same scheme and path",
            argument.name
        )));
    }
    if known.endpoints.contains(&endpoint) {
        return Err(Failure::usage(format!(
            "--upstream {}={} is given twice",
            argument.name, argument.url
        )));
    }
    known.endpoints.push(endpoint);
    Ok(())
}

fn unknown_server(name: &str, servers: &[&str]) -> Failure {
    let fix = match nearest(name, servers.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("its servers are {}", servers.join(", ")),
    };
    Failure::usage(format!("--upstream {name}: the policy has no server {name:?}")).fix(fix)
}

fn missing_upstream(name: &str, arguments: &[Argument]) -> Failure {
    let near = nearest(name, arguments.iter().map(|argument| argument.name.as_str()));
    let near = near.filter(|near| *near != name);
    let hint = near
        .map(|near| format!(" (or rename --upstream {near})"))
        .unwrap_or_default();
    Failure::usage(format!("the policy's server {name:?} has no upstream"))
        .fix(format!("add --upstream {name}=http://HOST:PORT/PATH{hint}"))
}

#[cfg(test)]
mod tests;
