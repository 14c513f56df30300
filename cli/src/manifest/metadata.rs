//! Names of objects, and which proxies they are for.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

/// The name of a Kubernetes object or namespace: an RFC 1123 label.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>
#[derive(Clone, Debug)]
pub(crate) struct Name(String);

/// Proxies of an Istio mesh, and the objects for them.
pub(crate) struct Istio {
    /// The objects' name.
    pub(crate) name: Name,
    /// The objects' namespace.
    pub(crate) namespace: Name,
    /// A Gateway of the Kubernetes Gateway API.
    pub(crate) gateway: Option<Name>,
    /// Labels of the proxies' pods, without a gateway.
    pub(crate) labels: Vec<(String, String)>,
}

impl Istio {
    /// The member of a `spec` that selects the proxies; what Istio calls a selection by labels differs by kind.
    pub(super) fn select(&self, spec: &mut Value, selector: &str, labels: &str) {
        match &self.gateway {
            Some(gateway) => spec["targetRefs"] = json!([gateway_reference(gateway)]),
            None => {
                let pairs: Map<String, Value> = self
                    .labels
                    .iter()
                    .map(|(key, value)| (key.clone(), json!(value)))
                    .collect();
                spec[selector] = json!({ (labels): pairs });
            }
        }
    }

    /// The proxies, for people.
    pub(super) fn proxies(&self) -> String {
        match &self.gateway {
            Some(gateway) => format!("the Gateway {gateway} in the namespace {}", self.namespace),
            None => {
                let pairs: Vec<String> = self
                    .labels
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                format!("gateways whose pods are labelled {}", pairs.join(","))
            }
        }
    }
}

/// A reference to a Gateway from a policy in its namespace.
pub(super) fn gateway_reference(name: &Name) -> Value {
    json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name.as_str() })
}

/// `K=V`, a label to select by.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let word = |text: &str| {
        text.len() <= 63
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && text.bytes().next().is_none_or(|b| b.is_ascii_alphanumeric())
            && text.bytes().last().is_none_or(|b| b.is_ascii_alphanumeric())
    };
    let subdomain =
        |text: &str| text.len() <= 253 && text.split('.').all(|part| part.parse::<Name>().is_ok());
    let (key, value) = text
        .split_once('=')
        .ok_or("write it as KEY=VALUE, for example istio=ingressgateway")?;
    let (prefix, name) = key.split_once('/').unwrap_or(("x", key));
    if !subdomain(prefix) || name.is_empty() || !word(name) {
        return Err(format!("{key:?} is not the key of a Kubernetes label"));
    }
    if !word(value) {
        return Err(format!("{value:?} is not the value of a Kubernetes label"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// This name with a suffix.
    pub(super) fn with(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.0)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let letters = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let ends = text.bytes().next().is_some_and(|b| b != b'-') && text.bytes().last() != Some(b'-');
        if letters && ends && text.len() <= 63 {
            Ok(Self(text.to_owned()))
        } else {
            Err("a name has up to 63 lower case letters, digits and hyphens, and no hyphen at an end".into())
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The head of an object.
pub(super) fn object(api_version: &str, kind: &str, name: &str, namespace: &Name, spec: &Value) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": name, "namespace": namespace.as_str() },
        "spec": spec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_those_that_kubernetes_takes() {
        for good in ["a", "toolgate-2", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", &"x".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
        for good in [
            "istio=ingressgateway",
            "app.kubernetes.io/name=Gate_1.x",
            "a=",
            "a=yes",
        ] {
            assert!(label(good).is_ok(), "{good}");
        }
        for bad in ["istio", "=x", "a=*", "a=-b", "a=b=c", "/a=b", "A.b/c=d", "a b=c"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
