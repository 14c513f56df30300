//! Quotas and budgets: which apply to a call, what was used, and whether more may be.
//!
//! ```text
//! Policy ──Book::new──▶ Book ──bill──▶ Bill ──charge──▶ Receipt ──▶ refund, settle
//!                                        └────ask─────▶ Ask ──▶ the rate limit service
//! ```
//!
//! Local counts live in the [`Store`](crate::store::Store), global ones in the rate limit service.

mod book;
mod budget;
mod calendar;
mod charge;
mod debt;
mod entry;
mod gcra;
mod global;
mod identity;
mod record;
mod slot;
#[cfg(test)]
mod tests;
mod text;

pub use book::{Bill, Book, Call, Limit, LimitRef, Line, Owner, Part, What};
pub use charge::{Over, Receipt, Stop};
pub use entry::Spent;
#[cfg(test)]
pub(crate) use global::fake;
pub use global::{Answer, Ask, FileLimit};
pub use identity::OwnerKind;
pub(crate) use text::{about, window};
pub use text::{describe, sentence};
