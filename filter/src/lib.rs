//! The shell around Toolgate's engine: an Envoy HTTP filter over proxy-wasm.
//!
//! The engine decides and this crate obeys. It owns every host call ([`host`]), tracks in which
//! phase a stream is ([`stream`]), watches over bodies that do not arrive ([`deadlines`]), and
//! loads the policy ([`root`]). The dispatcher and the callback traits come from the proxy-wasm SDK; its host call
//! wrappers are not used, because they panic on any status they do not expect, and a panic costs the whole VM. The one
//! for gRPC calls is: only through it does the dispatcher learn of a call.
#![cfg_attr(
    not(test),
    deny(
        clippy::panic,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::unreachable
    )
)]

pub mod deadlines;
pub mod ending;
pub mod exported;
pub mod host;
pub mod in_force;
pub mod judge;
pub mod jwt;
pub mod metrics;
pub mod reached;
pub mod root;
pub mod secrets;
#[cfg(target_arch = "wasm32")]
mod shell;
pub mod store;
pub mod stream;
#[cfg(test)]
mod testing;
