//! Envoys that tests share and whose service answers each key by a script of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::sync::OnceCell;
use toolgate_tests::envoy::Release;
use toolgate_tests::rate_limit::{Answer, Asked, FakeService, Request};

use super::{World, failures, governed, held, questions, together};

/// How long the service is waited for: long enough for a busy machine, short enough for a test of silence.
pub(super) const TIMEOUT: &str = "3s";

type Script = dyn Fn(&Request) -> Answer + Send + Sync;
type Scripts = BTreeMap<String, Arc<Script>>;

/// The service, and three Envoys of one policy.
pub(super) struct Scripted {
    /// 1.40 that holds headers, 1.40 that holds bodies, 1.36 that holds bodies.
    pub(super) worlds: [World; 3],
    service: FakeService,
    scripts: Arc<Mutex<Scripts>>,
}

/// The ones that all tests share, each with keys of its own.
pub(super) async fn shared() -> &'static Scripted {
    static SHARED: OnceCell<Scripted> = OnceCell::const_new();
    SHARED.get_or_init(Scripted::start).await
}

impl Scripted {
    async fn start() -> Self {
        let scripts = Arc::<Mutex<Scripts>>::default();
        let known = Arc::clone(&scripts);
        let service = FakeService::start(move |request| {
            let script = lock(&known).get(key(request)).cloned();
            script.map_or_else(|| Answer::ok(request), |script| script(request))
        })
        .await;
        let keys = together([questions::keys(), held::keys(), failures::keys()]);
        let teams = together([questions::teams(), failures::teams()]);
        let world = async |release, hold| {
            let mut policy = governed(&keys, &teams, "deny", TIMEOUT);
            policy["hold"] = json!(hold);
            World::start_with(release, policy, service.address(), |bootstrap| bootstrap).await
        };
        let (first, second, third) = tokio::join!(
            world(Release::V1_40, "headers"),
            world(Release::V1_40, "body"),
            world(Release::V1_36, "body"),
        );
        Self {
            worlds: [first, second, third],
            service,
            scripts,
        }
    }

    /// From now on, questions about this key are answered so; they are answered OK before.
    pub(super) fn script(&self, key: &str, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        lock(&self.scripts).insert(key.to_owned(), Arc::new(script));
    }

    /// The questions about this key so far.
    pub(super) fn asked(&self, name: &str) -> Vec<Asked> {
        let mut asked = self.service.asked();
        asked.retain(|asked| key(&asked.request) == name);
        asked
    }

    /// The question about this key that was asked last.
    pub(super) fn last(&self, key: &str) -> Request {
        self.asked(key).last().expect("a question").request.clone()
    }
}

/// The key that is asked about: each has a limit of its own.
fn key(request: &Request) -> &str {
    let owners = request
        .descriptors
        .iter()
        .filter_map(|descriptor| descriptor.value("limit"));
    let mut keys = owners.filter_map(|owner| owner.strip_prefix("keys/")?.split('/').next());
    keys.next().unwrap_or_default()
}

fn lock(scripts: &Mutex<Scripts>) -> MutexGuard<'_, Scripts> {
    scripts.lock().unwrap_or_else(PoisonError::into_inner)
}
