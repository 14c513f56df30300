//! Teams: the limits that their keys share.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::{names, usage};
use crate::policy::error::{At, Errors, PolicyError, quoted};
use crate::policy::{Team, TeamId, raw};

/// Most teams above one another: each one's limits are looked at on every call of its keys.
const MAX_LEVELS: usize = 16;

/// Teams by name.
pub(super) type ByName<'a> = HashMap<&'a str, TeamId>;

pub(super) fn compile(
    raw: BTreeMap<String, raw::Team>,
    limits: &usage::Context<'_>,
    errors: &mut Errors,
) -> Vec<Team> {
    let root = At::Root;
    let at = root.member("teams");
    let names: Vec<Rc<str>> = raw.keys().map(|name| Rc::from(name.as_str())).collect();
    let known = by_name(names.iter().map(|name| &**name));
    let mut teams: Vec<Team> = raw
        .into_values()
        .zip(&names)
        .map(|(raw, name)| {
            let at = at.member(name);
            names::check(name, "team", &at, errors);
            let parent = raw
                .parent
                .0
                .and_then(|parent| find(&parent, &known, &at.member("parent"), errors));
            Team {
                name: Rc::clone(name),
                parent,
                allowance: usage::allowance(raw.quotas, raw.budget, limits, &at, errors),
            }
        })
        .collect();
    check_parents(&mut teams, &at, errors);
    teams
}

/// Teams by name, in the order of the policy.
pub(super) fn by_name<'a>(names: impl Iterator<Item = &'a str>) -> ByName<'a> {
    names
        .enumerate()
        .map(|(index, name)| (name, TeamId::new(index)))
        .collect()
}

/// The team of that name; reports it if there is none.
pub(super) fn find(name: &str, teams: &ByName<'_>, at: &At<'_>, errors: &mut Errors) -> Option<TeamId> {
    if let Some(id) = teams.get(name) {
        return Some(*id);
    }
    let mut names: Vec<&str> = teams.keys().copied().collect();
    names.sort_unstable();
    let error = PolicyError::new(at, "unknown team")
        .found(quoted(name))
        .allowed(names::defined(&names, "teams"));
    errors.add(error.nearest(name, names));
    None
}

/// Reports circles, each once and at its first team, and chains that are too long.
fn check_parents(teams: &mut [Team], at: &At<'_>, errors: &mut Errors) {
    let mut levels: Vec<Option<usize>> = vec![None; teams.len()];
    for start in 0..teams.len() {
        // From here upwards until something is known.
        let mut path: Vec<usize> = Vec::new();
        let mut on_path = std::collections::HashSet::new();
        let mut next = Some(start);
        while let Some(index) = next.filter(|index| levels.get(*index) == Some(&None)) {
            if !on_path.insert(index) {
                break;
            }
            path.push(index);
            next = teams.get(index).and_then(|team| team.parent).map(TeamId::index);
        }
        let circle = next.and_then(|next| path.iter().position(|index| *index == next));
        if let Some(first) = circle {
            report_circle(teams, path.get(first..).unwrap_or_default(), at, errors);
        }
        let mut level = next
            .and_then(|next| levels.get(next).copied().flatten())
            .unwrap_or(0);
        for index in path.iter().rev() {
            level += 1;
            if let Some(known) = levels.get_mut(*index) {
                *known = Some(level);
            }
            if circle.is_none()
                && level == MAX_LEVELS + 1
                && let Some(team) = teams.get(*index)
            {
                let at = at.member(&team.name);
                let error = PolicyError::new(&at.member("parent"), "too many teams above one another");
                errors.add(error.allowed(format!("up to {MAX_LEVELS}")));
            }
        }
    }
}

/// Reports a circle and opens it, so that walks along parents end.
fn report_circle(teams: &mut [Team], circle: &[usize], at: &At<'_>, errors: &mut Errors) {
    const SHOWN: usize = 12;
    let names: Vec<Rc<str>> = circle
        .iter()
        .filter_map(|index| teams.get(*index))
        .map(|team| Rc::clone(&team.name))
        .collect();
    let Some(first) = names.first() else {
        return;
    };
    let mut text: Vec<String> = names.iter().take(SHOWN).map(|name| quoted(name)).collect();
    if names.len() > SHOWN {
        text.push(format!("{} more", names.len() - SHOWN));
    }
    text.push(quoted(first));
    let at = at.member(first);
    let error = PolicyError::new(&at.member("parent"), "the parents form a circle").found(text.join(" → "));
    let error = error.allowed("a team that is not below this one");
    errors.add(error.hint("remove one of these parents"));
    if let Some(team) = circle.first().and_then(|index| teams.get_mut(*index)) {
        team.parent = None;
    }
}
