//! The file that Envoy watches, as a ConfigMap: mounted, it is the directory of `render envoy --policy-file`.
//! <https://kubernetes.io/docs/concepts/configuration/configmap/>

use serde_json::{Value, json};

use super::ecds::FILE;
use super::metadata::Name;
use crate::failure::{Failure, Outcome};

/// How many bytes the values of a ConfigMap may have together: the API server's `MaxSecretSize`.
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>
const MOST: usize = 1024 * 1024;

/// The ConfigMap; refused if the API server would.
pub(crate) fn configmap(name: &Name, namespace: &Name, ecds: &str) -> Outcome<Value> {
    let bytes = ecds.len();
    if bytes > MOST {
        return Err(Failure::no(format!(
            "the policy does not fit into a ConfigMap: its {FILE} has {bytes} bytes, {} more than the {MOST} that Kubernetes takes",
            bytes - MOST
        ))
        .fix(
            "move what keys have in common into roles and teams, or give each gateway only the servers and keys that use it; \
             for more, write the file onto a volume that the proxies share: render ecds --out DIR",
        ));
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name.as_str(), "namespace": namespace.as_str() },
        "data": { FILE: ecds },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mebibyte_fits_and_a_byte_more_does_not() {
        let name: Name = "toolgate".parse().unwrap();
        assert!(configmap(&name, &name, &"x".repeat(1_048_576)).is_ok());
        let said = configmap(&name, &name, &"x".repeat(1_048_577))
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("1048577 bytes, 1 more") && said.contains("render ecds --out"),
            "{said}"
        );
    }
}
