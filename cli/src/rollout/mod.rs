//! Getting a policy into a running Envoy, and seeing whether it is there.

mod directory;

pub(crate) use directory::replace;
