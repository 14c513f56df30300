//! Toolgate's engine: every decision, and nothing else.
//!
//! The engine knows no host: no proxy-wasm, no clock, no randomness, no log sink, no thread. Time
//! and shared state are arguments; answers are values that the caller must act on.
//!
//! ```text
//! policy text ──Policy::compile──▶ Policy ──Engine::new──▶ Engine ──Exchange::new──▶ Exchange
//!                                                                     heads, bytes ──▶ steps
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::panic,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::disallowed_methods
    )
)]

pub mod answer;
pub mod binding;
pub mod breaker;
pub mod canonical;
pub mod chain;
pub mod decide;
pub mod edit;
pub mod exchange;
pub mod http;
pub mod identity;
pub mod json;
pub mod list;
pub mod loops;
pub mod mcp;
pub mod outcome;
pub mod policy;
pub mod quota;
pub mod reason;
pub mod schema;
pub mod slots;
pub mod sse;
pub mod store;
pub mod telemetry;
pub mod time;
