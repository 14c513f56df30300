//! Teams: what their keys share.

use toolgate_engine::policy::{Allowance, Policy};

use super::{About, Change, Effect, Side, limits, names};

pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, changes: &mut Vec<Change>) {
    let all = |side: &Side<'_>| -> Vec<String> {
        side.policy
            .teams()
            .map(|(_, team)| team.name.to_string())
            .collect()
    };
    let (before, after) = (all(old), all(new));
    for name in names(
        before.iter().map(String::as_str),
        after.iter().map(String::as_str),
    ) {
        let mut about = About::new("team", name, changes);
        match (find(old.policy, name), find(new.policy, name)) {
            // Whose limits these are, is told with the keys.
            (None, Some(_)) => about.say(Effect::Other, "added"),
            (Some(_), None) => about.say(Effect::Other, "removed"),
            (Some(a), Some(b)) => limits::allowance(&mut about, a, b),
            (None, None) => {}
        }
    }
}

pub(super) fn find<'p>(policy: &'p Policy, name: &str) -> Option<&'p Allowance> {
    policy.team_by_name(name).map(|id| &policy.team(id).allowance)
}
