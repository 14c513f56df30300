//! `render wasmplugin`, `envoyfilter` and `envoy-gateway`: manifests for a proxy that a mesh configures.

use std::io::Write;

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::manifest::{self, Delivery, EnvoyGateway, Istio, Module, Name, Rendered};
use crate::policy_file::PolicyArgs;

/// What etcd takes in one request, by default. <https://etcd.io/docs/v3.6/dev-guide/limit/>
const OBJECT: usize = 1536 * 1024;

#[derive(Debug, Args)]
pub(super) struct Common {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Where proxies get the compiled filter: oci://…, https://… (with --sha256), or file:///… in the proxy.
    #[arg(long, value_name = "URL")]
    image: String,
    /// SHA-256 of the filter at an https URL, or of an image's manifest.
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// The objects' name.
    #[arg(long, default_value = "toolgate")]
    name: Name,
    /// Print what the proxy's bootstrap needs for labels on metrics, too.
    #[arg(long)]
    bootstrap: bool,
}

#[derive(Debug, Args)]
pub(super) struct IstioArgs {
    #[command(flatten)]
    common: Common,
    /// The objects' namespace [default: istio-system, from where labels select in all namespaces; with --gateway: default].
    #[arg(long)]
    namespace: Option<Name>,
    /// A label of the gateways' pods; may be repeated [default: istio=ingressgateway].
    #[arg(long, value_name = "K=V", value_parser = manifest::label, conflicts_with = "gateway")]
    selector: Vec<(String, String)>,
    /// A Gateway (Kubernetes Gateway API) in the same namespace, instead of labels.
    #[arg(long, value_name = "NAME")]
    gateway: Option<Name>,
}

#[derive(Debug, Args)]
pub(super) struct EnvoyGatewayArgs {
    #[command(flatten)]
    common: Common,
    /// The Gateway's namespace, and the objects'.
    #[arg(long, default_value = "default")]
    namespace: Name,
    /// The Gateway.
    #[arg(long, value_name = "NAME", default_value = "eg")]
    gateway: Name,
    /// A listener of the Gateway; may be repeated. Only "hold": "headers" goes by listeners.
    #[arg(long, value_name = "NAME", default_value = "http")]
    listener: Vec<Name>,
}

pub(super) fn wasmplugin(args: &IstioArgs) -> Outcome {
    args.common
        .print(|delivery| manifest::wasmplugin(delivery, &args.proxies()?))
}

pub(super) fn envoyfilter(args: &IstioArgs) -> Outcome {
    args.common
        .print(|delivery| manifest::envoyfilter(delivery, &args.proxies()?))
}

pub(super) fn envoy_gateway(args: &EnvoyGatewayArgs) -> Outcome {
    let to = EnvoyGateway {
        name: args.common.name.clone(),
        namespace: args.namespace.clone(),
        gateway: args.gateway.clone(),
        listeners: args.listener.clone(),
    };
    args.common
        .print(|delivery| manifest::envoy_gateway(delivery, &to))
}

impl IstioArgs {
    fn proxies(&self) -> Outcome<Istio> {
        let usual = if self.gateway.is_some() {
            "default"
        } else {
            "istio-system"
        };
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None => usual.parse().map_err(Failure::usage)?,
        };
        let labels = match self.selector.as_slice() {
            [] => vec![("istio".to_owned(), "ingressgateway".to_owned())],
            given => given.to_vec(),
        };
        Ok(Istio {
            name: self.common.name.clone(),
            namespace,
            gateway: self.gateway.clone(),
            labels,
        })
    }
}

impl Common {
    fn print(&self, render: impl FnOnce(&Delivery<'_>) -> Outcome<Rendered>) -> Outcome {
        let module = Module::parse(&self.image, self.sha256.as_deref())?;
        let file = self.policy.load()?;
        let rendered = render(&Delivery {
            policy: &file.policy,
            document: &file.document,
            module: &module,
            bootstrap: self.bootstrap,
        })?;
        fits(&rendered)?;
        let text = manifest::to_yaml(&rendered.documents)?;
        for note in &rendered.notes {
            anstream::eprintln!("note: {note}");
        }
        if let Some(name) = &file.policy.sessions().secret_env {
            anstream::eprintln!(
                "note: the proxy's own environment must have {name}, as a variable of its container: the manifest only passes it on"
            );
        }
        std::io::stdout().lock().write_all(text.as_bytes())?;
        Ok(0)
    }
}

/// Whether Kubernetes can store the objects.
fn fits(rendered: &Rendered) -> Outcome<()> {
    for document in &rendered.documents {
        let bytes = document.to_string().len();
        let kind = document["kind"].as_str().unwrap_or_default();
        if bytes > OBJECT {
            return Err(Failure::no(format!(
                "the {kind} has {bytes} bytes, and Kubernetes stores at most {OBJECT} in one object"
            ))
            .fix("deliver fewer keys or servers per gateway; a plain Envoy takes larger policies from a file (render ecds)"));
        }
        super::warn_of_size(document);
    }
    Ok(())
}
