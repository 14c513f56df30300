//! The engine's store on Envoy's shared data: one map per process, shared by all workers.

use toolgate_engine::store::{Expect, Store, StoreError, Versioned};

use crate::host::{Host, HostStatus};

/// Shared data as a [`Store`]. Keys carry the engine's own prefix: on hosts that leave `vm_id`
/// empty, every plugin of the process shares the map.
#[derive(Debug)]
pub struct SharedData<'a, H>(pub &'a H);

impl<H: Host> Store for SharedData<'_, H> {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        match self.0.shared_data(key) {
            Ok(None) => Ok(None),
            // Version 0 would turn the next compare-and-swap into an unconditional write.
            Ok(Some((_, 0))) => Err(StoreError::Host(HostStatus::INTERNAL_FAILURE.0)),
            Ok(Some((value, version))) => Ok(Some(Versioned { value, version })),
            Err(HostStatus(status)) => Err(StoreError::Host(status)),
        }
    }

    fn set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), StoreError> {
        let cas = match expect {
            Expect::Anything => 0,
            // Envoy creates a missing key whatever the version, and what is there hardly ever has this one: versions
            // count the writes of the process, so one in four billion. Only a create that meets it overwrites.
            Expect::Absent => u32::MAX,
            Expect::Version(0) => return Err(StoreError::Conflict),
            Expect::Version(version) => version,
        };
        self.0
            .set_shared_data(key, value, cas)
            .map_err(|status| match status {
                HostStatus::CAS_MISMATCH => StoreError::Conflict,
                HostStatus(status) => StoreError::Host(status),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    #[test]
    fn versions_are_compared() {
        let host = FakeHost::default();
        let store = SharedData(&host);
        assert_eq!(store.get("toolgate/k"), Ok(None));
        store.set("toolgate/k", b"1", Expect::Anything).unwrap();
        let first = store.get("toolgate/k").unwrap().unwrap();
        assert_eq!(first.value, b"1");
        store
            .set("toolgate/k", b"2", Expect::Version(first.version))
            .unwrap();
        assert_eq!(
            store.set("toolgate/k", b"3", Expect::Version(first.version)),
            Err(StoreError::Conflict)
        );
        assert_eq!(
            store.set("toolgate/k", b"3", Expect::Version(0)),
            Err(StoreError::Conflict)
        );
        assert_eq!(store.get("toolgate/k").unwrap().unwrap().value, b"2");
    }

    #[test]
    fn only_what_is_not_there_is_created() {
        let host = FakeHost::default();
        let store = SharedData(&host);
        store.set("toolgate/a", b"1", Expect::Absent).unwrap();
        assert_eq!(
            store.set("toolgate/a", b"2", Expect::Absent),
            Err(StoreError::Conflict)
        );
        assert_eq!(store.get("toolgate/a").unwrap().unwrap().value, b"1");
        // As on Envoy, a version says nothing about a key that is not there, and no two values share one.
        store.set("toolgate/b", b"1", Expect::Version(9)).unwrap();
        assert_eq!(store.get("toolgate/b").unwrap().unwrap().version, 2);
    }

    #[test]
    fn host_failures_keep_their_status() {
        let host = FakeHost::default();
        host.fail("shared_data", 10);
        host.fail("set_shared_data", 2);
        let store = SharedData(&host);
        assert_eq!(store.get("toolgate/k"), Err(StoreError::Host(10)));
        assert_eq!(
            store.set("toolgate/k", b"", Expect::Anything),
            Err(StoreError::Host(2))
        );
    }
}
