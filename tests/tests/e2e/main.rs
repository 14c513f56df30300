//! End-to-end tests: a real Envoy between scripted or real clients and servers.

mod answers;
mod bootstrap;
mod breakers;
mod cases;
mod clients;
mod connections;
mod explain;
mod gate;
mod gates;
mod harness;
mod heads;
mod jwt;
mod loops;
mod metrics;
mod outcomes;
mod parties;
mod policy_in_force;
mod quotas;
mod rate_limit_parties;
mod run;
mod sample;
mod streams;
mod timeouts;
mod transports;
