//! Keys: who presents them, until when, what they may use up, and what they may do. Roles, as far as they say more.

use std::collections::BTreeSet;

use toolgate_engine::policy::{GlobSet, Key, KeyId, Mode, Policy, Role};

use super::grants::{Difference, Grants};
use super::language::{Answer, Pattern, text_where};
use super::{About, Change, Effect, Side, UNCLEAR, limits, names, pointer, teams, word};

/// Roles: what became of their patterns. What that means is told with the keys, unless a claim hands roles out.
pub(super) fn roles(old: &Side<'_>, new: &Side<'_>, changes: &mut Vec<Change>) {
    let all = |side: &Side<'_>| -> Vec<String> {
        side.policy
            .roles()
            .map(|(_, role)| role.name.to_string())
            .collect()
    };
    let claimed = claims(new.policy);
    let grants = claimed.then(|| Grants::new(old.policy, new.policy));
    let find = |policy: &'_ Policy, name: &str| policy.role_by_name(name);
    let (before, after) = (all(old), all(new));
    for name in names(
        before.iter().map(String::as_str),
        after.iter().map(String::as_str),
    ) {
        let mut about = About::new("role", name, changes);
        match (find(old.policy, name), find(new.policy, name)) {
            (None, Some(_)) if claimed => about.because(Effect::Wider, "added", CLAIMED),
            (None, Some(_)) => about.say(Effect::Other, "added"),
            (Some(id), None) if claimed && !old.policy.role(id).deny.is_empty() => {
                about.because(Effect::Wider, "removed, with what it refused", CLAIMED);
            }
            (Some(_), None) => about.say(Effect::Other, "removed"),
            (Some(a), Some(b)) => {
                role(&mut about, old.policy.role(a), new.policy.role(b), claimed);
                for gained in grants.iter().flat_map(|grants| grants.of_role(a, b)) {
                    // What it loses, its patterns say, or the server does.
                    if gained.effect == Effect::Wider {
                        about.because(Effect::Wider, gained.what, CLAIMED);
                    }
                }
            }
            (None, None) => {}
        }
    }
}

/// Whether tokens can name roles.
fn claims(policy: &Policy) -> bool {
    let jwt = policy.identity().jwt.as_ref();
    jwt.is_some_and(|jwt| jwt.roles_claim.is_some())
}

/// Why more than the keys that name a role is touched.
const CLAIMED: &str = "a JWT's claim can name it";

/// One of a role's lists.
type Set = fn(&Role) -> &GlobSet;

fn role(about: &mut About<'_>, before: &Role, after: &Role, claimed: bool) {
    let sets: [(&str, Set); 4] = [
        ("allow", |role| &role.allow),
        ("deny", |role| &role.deny),
        ("resources", |role| &role.resources),
        ("prompts", |role| &role.prompts),
    ];
    for (what, set) in sets {
        let patterns = |role| -> BTreeSet<&str> { set(role).patterns().collect() };
        let (a, b) = (patterns(before), patterns(after));
        about.list(what, &a, &b, (Effect::Other, Effect::Other));
        let fewer: Vec<&str> = a.difference(&b).copied().collect();
        if claimed && what == "deny" && !fewer.is_empty() {
            // Beside any other role, which may allow it.
            let what = format!("no longer denies {}", fewer.join(", "));
            about.because(Effect::Wider, what, CLAIMED);
        }
    }
    let rank = |mode: Option<Mode>| match mode {
        Some(Mode::Shadow) => 2,
        None => 1,
        Some(Mode::Enforce) => 0,
    };
    let show = |rank: u8| ["enforce", "the policy's", "shadow"][usize::from(rank.min(2))].to_owned();
    about.grows("mode", rank(before.mode), rank(after.mode), show);
}

/// Every key of either policy.
pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, changes: &mut Vec<Change>) {
    let all = |side: &Side<'_>| -> Vec<String> {
        side.policy.keys().map(|(_, key)| key.name.to_string()).collect()
    };
    let mut grants = Grants::new(old.policy, new.policy);
    let (before, after) = (all(old), all(new));
    for name in names(
        before.iter().map(String::as_str),
        after.iter().map(String::as_str),
    ) {
        let mut about = About::new("key", name, changes);
        match (old.policy.key_by_name(name), new.policy.key_by_name(name)) {
            (None, Some(id)) => added(&mut about, new.policy, id),
            (Some(id), None) => {
                about.say(Effect::Narrower, "removed");
                freed(
                    &mut about,
                    new.policy,
                    name,
                    old.policy.key(id).subjects.iter().map(|s| &**s),
                );
            }
            (Some(a), Some(b)) => {
                presented(&mut about, (old.policy, a), (new.policy, b));
                alive(&mut about, (old, a), (new, b));
                labels(&mut about, old.policy.key(a), new.policy.key(b));
                for Difference { effect, what, why } in grants.of(a, b) {
                    about.add(effect, what, why);
                }
                released(&mut about, (old.policy, a), (new.policy, b));
                used_up(&mut about, (old.policy, a), (new.policy, b));
            }
            (None, None) => {}
        }
    }
}

fn added(about: &mut About<'_>, policy: &Policy, id: KeyId) {
    let key = policy.key(id);
    let roles: Vec<&str> = key.roles.iter().map(|id| &*policy.role(*id).name).collect();
    let with = match roles.as_slice() {
        [] => "without a role".to_owned(),
        [role] => format!("with role {role:?}"),
        roles => format!("with roles {}", roles.join(", ")),
    };
    if key.disabled {
        about.say(Effect::Other, format!("added {with}, disabled"));
    } else {
        about.say(Effect::Wider, format!("added {with}"));
    }
}

/// Which credentials are the key's.
fn presented(about: &mut About<'_>, old: (&Policy, KeyId), new: (&Policy, KeyId)) {
    let (before, after) = (old.0.key(old.1), new.0.key(new.1));
    for digest in after
        .digests
        .iter()
        .filter(|digest| !before.digests.contains(digest))
    {
        let owner = old.0.key_by_digest(digest).map(|id| &old.0.key(id).name);
        about.say(
            Effect::Wider,
            match owner {
                Some(owner) => format!("is presented by a credential that was the key {owner:?}"),
                None => "is presented by one more credential".to_owned(),
            },
        );
    }
    let gone = before
        .digests
        .iter()
        .filter(|digest| !after.digests.contains(digest));
    for _ in gone {
        about.say(Effect::Narrower, "is presented by one credential less");
    }
    let subjects = |key: &Key| -> Vec<String> { key.subjects.iter().map(ToString::to_string).collect() };
    let (a, b) = (subjects(before), subjects(after));
    for subject in b.iter().filter(|subject| !a.contains(subject)) {
        let lists = [
            vec![Pattern::Glob(subject)],
            a.iter().map(|subject| Pattern::Glob(subject)).collect(),
        ];
        let what = format!("subject {subject:?} added");
        match text_where("", &lists, |matches| matches[0] && !matches[1]) {
            Answer::No => about.say(Effect::Other, what),
            Answer::Text(_) => about.say(Effect::Wider, what),
            Answer::Unknown => about.because(Effect::Wider, what, UNCLEAR),
        }
    }
    let gone = || {
        a.iter()
            .filter(|subject| !b.contains(subject))
            .map(String::as_str)
    };
    for subject in gone() {
        about.say(Effect::Narrower, format!("subject {subject:?} removed"));
    }
    freed(about, new.0, &before.name, gone());
}

/// A subject that two keys match is refused; when one of them goes, it is the other's.
fn freed<'s>(about: &mut About<'_>, policy: &Policy, name: &str, subjects: impl Iterator<Item = &'s str>) {
    let both = |a: &str, b: &str| {
        let lists = [vec![Pattern::Glob(a)], vec![Pattern::Glob(b)]];
        text_where("", &lists, |matches| matches[0] && matches[1]) != Answer::No
    };
    for gone in subjects {
        let others = policy.keys().filter(|(_, other)| *other.name != *name);
        let theirs =
            others.flat_map(|(_, other)| other.subjects.iter().map(|subject| (&other.name, subject)));
        for (other, subject) in theirs.filter(|(_, subject)| both(gone, subject)) {
            about.because(
                Effect::Wider,
                format!("subjects that {gone:?} and {subject:?} match are the key {other:?} now"),
                "while two keys match, they are refused",
            );
        }
    }
}

/// What a role of the key refuses, no role of a claim allows, whichever it is.
fn released(about: &mut About<'_>, old: (&Policy, KeyId), new: (&Policy, KeyId)) {
    let (before, after) = (old.0.key(old.1), new.0.key(new.1));
    if !claims(new.0) || after.subjects.is_empty() {
        return;
    }
    let names = |policy: &'_ Policy, key: &Key| -> Vec<String> {
        let names = key.roles.iter().map(|id| policy.role(*id).name.to_string());
        names.collect()
    };
    let kept = names(new.0, after);
    for role in before.roles.iter().map(|id| old.0.role(*id)) {
        if !role.deny.is_empty() && !kept.iter().any(|name| **name == *role.name) {
            let what = format!("no longer has role {:?}, nor what it refuses", &*role.name);
            about.because(Effect::Wider, what, "a JWT's claim can name roles that allow it");
        }
    }
}

/// Whether, until when, and how strictly.
fn alive(about: &mut About<'_>, (old, a): (&Side<'_>, KeyId), (new, b): (&Side<'_>, KeyId)) {
    let (before, after) = (old.policy.key(a), new.policy.key(b));
    match (before.disabled, after.disabled) {
        (true, false) => about.say(Effect::Wider, "enabled"),
        (false, true) => about.say(Effect::Narrower, "disabled"),
        _ => {}
    }
    let end = |side: &Side<'_>| {
        let written = side.written(&(pointer("/keys", &before.name) + "/expires"));
        written.as_str().unwrap_or("never").to_owned()
    };
    let at = |key: &Key| key.expires.unwrap_or(u64::MAX);
    if at(before) != at(after) {
        let effect = if at(after) > at(before) {
            Effect::Wider
        } else {
            Effect::Narrower
        };
        about.say(effect, format!("expires: {} → {}", end(old), end(new)));
    }
    let mode = |policy: &Policy, key: &Key| key.mode.unwrap_or(policy.mode());
    let (was, is) = (mode(old.policy, before), mode(new.policy, after));
    about.choice("mode", was, is, &[Mode::Enforce, Mode::Shadow]);
    if was == is && before.mode != after.mode {
        let whose = |mode: Option<Mode>| mode.map_or_else(|| "the policy's".to_owned(), word);
        let what = format!("mode: {} → {}", whose(before.mode), whose(after.mode));
        // A key's own shadow mode covers what roles enforce; the policy's does not.
        if is == Mode::Shadow && after.mode.is_some() {
            about.because(Effect::Wider, what, "it beats the modes of roles");
        } else {
            about.say(Effect::Other, what);
        }
    }
}

fn labels(about: &mut About<'_>, before: &Key, after: &Key) {
    if before.labels != after.labels {
        about.say(Effect::Other, "labels changed");
    }
}

/// Its own limits, and those of teams that it joined or left.
fn used_up(about: &mut About<'_>, old: (&Policy, KeyId), new: (&Policy, KeyId)) {
    let (before, after) = (old.0.key(old.1), new.0.key(new.1));
    limits::allowance(about, &before.allowance, &after.allowance);
    limits::loops(about, &before.loops, &after.loops);
    if before.team != after.team {
        let show = |team: &Option<_>| {
            team.as_deref()
                .map_or("none".to_owned(), |team: &str| format!("{team:?}"))
        };
        about.say(
            Effect::Other,
            format!("team: {} → {}", show(&before.team), show(&after.team)),
        );
    }
    let chain = |policy: &Policy, id| -> Vec<String> {
        policy
            .teams_of(id)
            .map(|(_, team)| team.name.to_string())
            .collect()
    };
    let (left, joined) = (chain(old.0, old.1), chain(new.0, new.1));
    for team in left.iter().filter(|team| !joined.contains(team)) {
        if let Some(allowance) = teams::find(old.0, team) {
            limits::all(about, Effect::Wider, &format!("team {team:?}"), allowance);
        }
    }
    for team in joined.iter().filter(|team| !left.contains(team)) {
        if let Some(allowance) = teams::find(new.0, team) {
            limits::all(about, Effect::Narrower, &format!("team {team:?}"), allowance);
        }
    }
}
