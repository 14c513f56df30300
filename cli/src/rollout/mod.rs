//! Getting a policy into a running Envoy, and seeing whether it is there.

mod admin;
mod configured;
mod directory;
mod status;

pub(crate) use admin::{Admin, Problem};
pub(crate) use directory::replace;
pub(crate) use status::{Rejection, Status};
