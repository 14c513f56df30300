//! What all exchanges under one policy share.

use std::rc::Rc;

use crate::binding::{Owner, Secrets};
use crate::identity::Caller;
use crate::policy::{Policy, ServerId};
use crate::quota::Book;
use crate::schema::Advertised;
use crate::telemetry::LimitsSaid;

/// A compiled policy and what was learned while it is in force. One per policy and thread.
#[derive(Debug)]
pub struct Engine {
    pub(super) policy: Policy,
    pub(super) advertised: Advertised,
    pub(super) book: Book,
    pub(super) limits_said: LimitsSaid,
    pub(super) secrets: Secrets,
}

impl Engine {
    /// An engine for this policy, with what binds sessions and tasks to keys.
    pub fn new(policy: Policy, secrets: Secrets) -> Rc<Engine> {
        Rc::new(Engine {
            book: Book::new(&policy),
            policy,
            advertised: Advertised::new(),
            limits_said: LimitsSaid::default(),
            secrets,
        })
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its quotas and budgets.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Whose a caller's sessions and tasks on a server are.
    pub(super) fn owner<'a>(&'a self, server: ServerId, caller: &'a Caller) -> Owner<'a> {
        Owner {
            server: &self.policy.server(server).name,
            key: &self.policy.key(caller.key).name,
            subject: caller.subject.as_deref(),
        }
    }

    pub(super) fn open_session<'v>(
        &self,
        server: ServerId,
        caller: &Caller,
        presented: &'v [u8],
    ) -> Option<&'v [u8]> {
        self.secrets.open_session(&self.owner(server, caller), presented)
    }

    pub(super) fn tag_session(&self, server: ServerId, caller: &Caller, id: &[u8]) -> Vec<u8> {
        self.secrets.tag_session(&self.owner(server, caller), id)
    }
}
