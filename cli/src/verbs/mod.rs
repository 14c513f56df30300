//! One module per verb, each with its arguments and `run`.

pub(crate) mod proxy;
pub(crate) mod render;
