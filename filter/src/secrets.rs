//! The secret that binds sessions and tasks to keys: from the environment, or one that this process has drawn.

use toolgate_engine::binding::Secrets;
use toolgate_engine::store::{Expect, Store, StoreError};

use crate::host::Host;
use crate::store::SharedData;

/// Where the workers of a process share the secret that one of them has drawn.
const KEY: &str = "toolgate/secret/1";

const SECRET: usize = 32;

/// The secret in the environment variable of this name; without a name, the process's own. An error is a sentence for
/// the log, which holds no part of a secret.
pub fn find(host: &impl Host, variable: Option<&str>) -> Result<Secrets, String> {
    match variable {
        Some(name) => from_environment(host, name),
        None => of_this_process(host).map(Secrets::random),
    }
}

/// Envoy passes on no variable that is not asked for.
/// <https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/wasm/v3/wasm.proto#extensions-wasm-v3-environmentvariables>
fn from_environment(host: &impl Host, name: &str) -> Result<Secrets, String> {
    let found = match host.environment(name) {
        None => Err("it is not set, or not text".to_owned()),
        Some(text) => Secrets::parse(&text).map_err(|error| error.to_string()),
    };
    found.map_err(|why| {
        format!(
            "/sessions/secretEnv: the environment variable {name} holds no secret: {why}. Set it where Envoy starts (a \
             good one: `openssl rand -hex 32`), and let the filter see it: `environment_variables: {{ host_env_keys: \
             [{name}] }}` in the plugin's vm_config"
        )
    })
}

/// Whoever comes first draws one; all others read it.
fn of_this_process(host: &impl Host) -> Result<[u8; SECRET], String> {
    let store = SharedData(host);
    if let Some(secret) = shared(&store)? {
        return Ok(secret);
    }
    let mut drawn = [0; SECRET];
    host.random(&mut drawn)
        .map_err(|status| format!("drawing a session secret failed ({status:?})"))?;
    match store.set(KEY, &drawn, Expect::Absent) {
        Ok(()) => Ok(drawn),
        Err(StoreError::Conflict) => {
            shared(&store)?.ok_or_else(|| "the session secret has vanished".to_owned())
        }
        Err(error) => Err(format!("sharing the session secret failed: {error}")),
    }
}

fn shared(store: &dyn Store) -> Result<Option<[u8; SECRET]>, String> {
    let failed = |error: StoreError| format!("reading the session secret failed: {error}");
    let Some(found) = store.get(KEY).map_err(failed)? else {
        return Ok(None);
    };
    let secret = found.value.try_into();
    secret.map(Some).map_err(|_| failed(StoreError::Corrupt))
}

#[cfg(test)]
mod tests {
    use toolgate_engine::binding::Owner;

    use super::*;
    use crate::testing::FakeHost;

    const OWNER: Owner<'_> = Owner {
        server: "docs",
        key: "alice",
        subject: None,
    };

    /// Whether what one has tagged opens with the other.
    fn agree(one: &Secrets, other: &Secrets) -> bool {
        let tagged = one.tag_session(&OWNER, b"s");
        other.open_session(&OWNER, &tagged) == Some(b"s")
    }

    #[test]
    fn the_variable_is_read_and_nothing_is_drawn() {
        let host = FakeHost::default();
        let (new, old) = ("n".repeat(32), "o".repeat(40));
        host.put_environment("SECRET", &format!("{new},{old}"));
        let secrets = find(&host, Some("SECRET")).unwrap();
        assert!(agree(&secrets, &Secrets::parse(&new).unwrap()));
        assert!(agree(&Secrets::parse(&old).unwrap(), &secrets));
        assert!(host.state().calls.is_empty());
    }

    #[test]
    fn an_unusable_variable_says_how_to_set_it_and_not_what_it_holds() {
        for value in [
            None,
            Some(""),
            Some("hunter2"),
            Some("hunter2,hunter2"),
            Some("a,hunter2,b"),
        ] {
            let host = FakeHost::default();
            if let Some(value) = value {
                host.put_environment("SESSION_SECRET", value);
            }
            let Err(error) = find(&host, Some("SESSION_SECRET")) else {
                panic!("{value:?}");
            };
            for part in [
                "/sessions/secretEnv",
                "host_env_keys: [SESSION_SECRET]",
                "openssl rand",
            ] {
                assert!(error.contains(part), "{error}");
            }
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn all_workers_end_with_the_secret_of_the_first() {
        let host = FakeHost::default();
        let first = find(&host, None).unwrap();
        let second = find(&host, None).unwrap();
        assert!(agree(&first, &second));
        let draws = host
            .state()
            .calls
            .iter()
            .filter(|call| **call == "random")
            .count();
        assert_eq!(draws, 1);
        assert!(
            !agree(&first, &find(&FakeHost::default(), None).unwrap()),
            "no two processes share one"
        );
    }

    #[test]
    fn who_draws_at_the_same_time_and_comes_second_takes_the_first() {
        let (host, first) = (FakeHost::default(), [7; SECRET]);
        // Another worker writes between our read and our write.
        host.state_mut().before_write = Some((KEY.to_owned(), first.to_vec()));
        let secrets = find(&host, None).unwrap();
        assert!(agree(&secrets, &Secrets::random(first)));
    }

    #[test]
    fn a_host_that_fails_gives_no_secret() {
        for call in ["shared_data", "set_shared_data", "random"] {
            let host = FakeHost::default();
            host.fail(call, 10);
            assert!(find(&host, None).is_err(), "{call}");
        }
        let host = FakeHost::default();
        for damaged in [&[7; SECRET - 1][..], &[7; SECRET + 1], b""] {
            SharedData(&host).set(KEY, damaged, Expect::Anything).unwrap();
            assert!(find(&host, None).is_err(), "{} bytes", damaged.len());
        }
    }
}
