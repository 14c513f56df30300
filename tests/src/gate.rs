//! The whole arrangement in one value: Envoy, the filter with a policy, and a recording upstream.

use serde_json::Value;

use crate::client::{Request, Response, Transport};
use crate::envoy::{Envoy, Options};
use crate::toolgate::Render;
use crate::upstream::{Answer, Received, Upstream};

/// A governed Envoy before a scripted upstream that plays all of the policy's servers.
///
/// Starting one takes most of a second: tests of one policy share one (a `tokio::sync::OnceCell` in a `static`) and
/// tell their requests apart by a label.
pub struct Gate {
    /// The Envoy.
    pub envoy: Envoy,
    /// What is behind it.
    pub upstream: Upstream,
}

impl Gate {
    /// Starts Envoy with `policy`; each of its servers leads to a scripted upstream that answers by `script`, at the
    /// path that the policy gives the server.
    ///
    /// # Panics
    ///
    /// When the policy cannot be rendered or Envoy does not get ready.
    pub async fn start(
        options: Options,
        policy: Value,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(options, policy, script, |render| render, |bootstrap| bootstrap).await
    }

    /// [`Self::start`] with changes to the rendering and to the rendered bootstrap.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn start_with(
        options: Options,
        policy: Value,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
        adjust: impl Fn(Render) -> Render,
        patch: impl Fn(String) -> String,
    ) -> Self {
        let upstream = Upstream::start(script).await;
        Self::start_before(upstream, options, policy, adjust, patch).await
    }

    /// [`Self::start_with`] before an upstream that runs already.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn start_before(
        upstream: Upstream,
        options: Options,
        policy: Value,
        adjust: impl Fn(Render) -> Render,
        patch: impl Fn(String) -> String,
    ) -> Self {
        Self::start_in(&[], upstream, options, policy, adjust, patch).await
    }

    /// [`Self::start_before`] with these environment variables, names and values, for Envoy.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn start_in(
        environment: &[(&str, &str)],
        upstream: Upstream,
        options: Options,
        policy: Value,
        adjust: impl Fn(Render) -> Render,
        patch: impl Fn(String) -> String,
    ) -> Self {
        let mut render = Render::new(policy.clone());
        for (name, server) in policy["servers"].as_object().into_iter().flatten() {
            render = render.upstream(name, &upstream.url(server["path"].as_str().unwrap_or("/mcp")));
        }
        let render = adjust(render);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let envoy = Envoy::start_in(environment, options, |listener, admin| {
            let bootstrap = render.run(directory.path(), listener, admin);
            patch(bootstrap.unwrap_or_else(|error| panic!("the policy is not rendered: {error}")))
        })
        .await;
        Self { envoy, upstream }
    }

    /// Sends a request over `transport`.
    pub async fn send(&self, request: &Request, transport: Transport) -> Response {
        self.envoy.send(request, transport).await
    }
}
