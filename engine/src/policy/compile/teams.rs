//! Teams: the limits that their keys share.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::names;
use crate::policy::error::{At, Errors};
use crate::policy::{Allowance, Team, raw};

#[allow(clippy::zero_sized_map_values, reason = "teams will have limits of their own")]
pub(super) fn compile(raw: BTreeMap<String, raw::Team>, errors: &mut Errors) -> Vec<Team> {
    let root = At::Root;
    let at = root.member("teams");
    raw.into_keys()
        .map(|name| {
            names::check(&name, "team", &at.member(&name), errors);
            Team {
                name: Rc::from(name),
                parent: None,
                allowance: Allowance::default(),
            }
        })
        .collect()
}
