//! Free TCP ports on loopback.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// A loopback address that nothing listens on, never handed out twice by this process.
///
/// Taken from below the usual ephemeral range (Linux: 32768 and up): a port from that range could become the local
/// port of one of Envoy's own upstream connections before its listener binds it.
///
/// # Panics
///
/// When no free port is found.
pub fn free() -> SocketAddr {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    for attempt in 0..1000_u32 {
        // `RandomState` is seeded anew for each process, so that two test runs rarely try the same ports.
        let random = RandomState::new().hash_one(attempt) % 20_000;
        let port = 10_000 + u16::try_from(random).expect("below 20000");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if !taken.contains(&port) && TcpListener::bind(address).is_ok() {
            taken.insert(port);
            return address;
        }
    }
    panic!("no free port on loopback");
}
