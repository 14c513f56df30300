//! What operators learn of verdicts and policies, and what those behind learn of requests.

mod context;
mod policies;
mod verdicts;
