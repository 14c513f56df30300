//! Where a proxy gets the compiled filter from.

use serde_json::{Value, json};
use url::Url;

use crate::failure::{Failure, Outcome};

/// The compiled filter, as `--image` and `--sha256` name it.
#[derive(Debug)]
pub(crate) enum Module {
    /// A file in the proxy's own file system: an absolute path.
    File(String),
    /// An image in an OCI registry, without the scheme. The digest, if any, is that of its manifest.
    Image {
        reference: String,
        sha256: Option<String>,
    },
    /// A URL from which the module itself is fetched, and its digest.
    Url { url: Url, sha256: String },
}

impl Module {
    /// Reads the two options.
    pub(crate) fn parse(image: &str, sha256: Option<&str>) -> Outcome<Self> {
        let sha256 = sha256.map(digest).transpose()?;
        if let Some(path) = image.strip_prefix("file://") {
            return file(path, sha256.is_some());
        }
        if let Some(reference) = image.strip_prefix("oci://") {
            return oci(reference, sha256);
        }
        match Url::parse(image) {
            Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => fetched(url, sha256),
            _ => Err(Failure::usage(format!("--image {image}: not a place that a proxy can get the filter from")).fix(
                "write oci://REGISTRY/NAME:TAG, https://HOST/PATH with --sha256, or file:///PATH in the proxy's file system",
            )),
        }
    }

    /// The URL, as Istio reads it.
    pub(super) fn url(&self) -> String {
        match self {
            Self::File(path) => format!("file://{path}"),
            Self::Image { reference, .. } => format!("oci://{reference}"),
            Self::Url { url, .. } => url.to_string(),
        }
    }

    /// What the digest must be, if there is one.
    pub(super) fn sha256(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Image { sha256, .. } => sha256.as_deref(),
            Self::Url { sha256, .. } => Some(sha256),
        }
    }

    /// Envoy's source of the module, fetched from `cluster` unless it is a file.
    /// <https://www.envoyproxy.io/docs/envoy/v1.36.0/api-v3/config/core/v3/base.proto#config-core-v3-asyncdatasource>
    pub(super) fn source(&self, cluster: &str) -> Value {
        if let Self::File(path) = self {
            return json!({ "local": { "filename": path } });
        }
        let mut remote = json!({ "http_uri": { "uri": self.url(), "cluster": cluster, "timeout": "30s" } });
        if let Some(sha256) = self.sha256() {
            remote["sha256"] = json!(sha256);
        }
        json!({ "remote": remote })
    }
}

fn file(path: &str, digest: bool) -> Outcome<Module> {
    if !path.starts_with('/') || path.ends_with('/') || path.contains(char::is_control) {
        return Err(
            Failure::usage(format!("--image file://{path}: not the absolute path of a file"))
                .fix("write three slashes: file:///usr/share/toolgate/toolgate.wasm"),
        );
    }
    if digest {
        return Err(
            Failure::usage("--sha256 is not checked for a file in the proxy's file system")
                .fix("leave it out"),
        );
    }
    Ok(Module::File(path.to_owned()))
}

fn oci(reference: &str, sha256: Option<String>) -> Outcome<Module> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:/@[]".contains(&b);
    let (host, name) = reference.split_once('/').unwrap_or((reference, ""));
    if host.is_empty() || name.is_empty() || name.ends_with('/') || !reference.bytes().all(plain) {
        return Err(Failure::usage(format!("--image oci://{reference}: not an image"))
            .fix("write oci://REGISTRY/NAME:TAG, for example oci://registry.example.com/toolgate:0.1.0"));
    }
    Ok(Module::Image {
        reference: reference.to_owned(),
        sha256,
    })
}

fn fetched(url: Url, sha256: Option<String>) -> Outcome<Module> {
    let Some(sha256) = sha256 else {
        return Err(Failure::usage(format!(
            "--image {url}: what is fetched from a URL must be known by its digest"
        ))
        .fix("add --sha256 HEX, which `sha256sum toolgate.wasm` prints"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::usage("--image: a manifest is no place for a password")
            .fix("serve the module without one; its digest protects it"));
    }
    Ok(Module::Url { url, sha256 })
}

fn digest(text: &str) -> Outcome<String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(hex);
    }
    Err(Failure::usage(format!("--sha256 {text}: not a SHA-256 digest"))
        .fix("it is 64 hexadecimal digits; `sha256sum toolgate.wasm` prints it"))
}

#[cfg(test)]
mod tests {
    use super::Module;

    #[test]
    fn takes_what_a_proxy_can_get() {
        let hex = "A".repeat(64);
        for (image, sha256) in [
            ("file:///srv/toolgate.wasm", None),
            ("oci://registry.example:5000/team/toolgate:1", None),
            ("oci://registry.example/toolgate@sha256:00", Some(hex.as_str())),
            ("https://example.com/toolgate.wasm", Some(&hex)),
            ("http://127.0.0.1:8000/toolgate.wasm", Some(&hex)),
        ] {
            let module = Module::parse(image, sha256).unwrap();
            assert_eq!(module.url(), image);
            assert_eq!(module.sha256(), sha256.map(str::to_lowercase).as_deref());
        }
    }

    #[test]
    fn refuses_the_rest_with_the_fix() {
        let hex = "a".repeat(64);
        for (image, sha256, word) in [
            ("file://toolgate.wasm", None, "three slashes"),
            ("file:///", None, "three slashes"),
            ("file:///toolgate.wasm", Some(hex.as_str()), "leave it out"),
            ("oci://toolgate", None, "oci://REGISTRY"),
            ("oci://h/a b", None, "oci://REGISTRY"),
            ("https://example.com/toolgate.wasm", None, "--sha256"),
            ("https://u:p@example.com/x", Some(&hex), "password"),
            ("https://example.com/x", Some("abc"), "64"),
            ("registry.example/toolgate:1", None, "oci://"),
            ("", None, "oci://"),
        ] {
            let said = Module::parse(image, sha256).unwrap_err().to_string();
            assert!(said.contains(word), "{image}: {said}");
        }
    }
}
