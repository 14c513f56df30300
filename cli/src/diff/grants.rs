//! What a key may use, before and after.

use std::collections::{BTreeSet, HashMap};

use toolgate_engine::decide::{Access, item_access, reaching_role};
use toolgate_engine::identity::Caller;
use toolgate_engine::mcp::method::List;
use toolgate_engine::policy::{GlobSet, KeyId, Mode, Policy, Role, RoleId, Server, UnlistedTools};

use super::language::{Answer, Pattern, text_where};
use super::{Effect, UNCLEAR};

/// Compares what keys may use. Keys with the same roles are compared once.
pub(super) struct Grants<'p> {
    old: &'p Policy,
    new: &'p Policy,
    /// Names that some part of either policy writes out, by server.
    vocabulary: HashMap<&'p str, BTreeSet<&'p str>>,
    seen: HashMap<(Rights, Rights), Vec<Difference>>,
}

/// One difference, and why it has this effect.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) effect: Effect,
    pub(super) what: String,
    pub(super) why: Option<String>,
}

/// What decides about grants besides the policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rights {
    roles: Vec<RoleId>,
    shadow: bool,
    own: bool,
}

impl<'p> Grants<'p> {
    pub(super) fn new(old: &'p Policy, new: &'p Policy) -> Self {
        let mut vocabulary: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        for policy in [old, new] {
            for (_, server) in policy.servers() {
                let names = server.tools().map(|tool| &*tool.name);
                vocabulary.entry(&server.name).or_default().extend(names);
            }
            for (_, role) in policy.roles() {
                let exact = role.allow.patterns().chain(role.deny.patterns());
                for (server, name) in exact.filter_map(exact_name) {
                    vocabulary.entry(server).or_default().insert(name);
                }
            }
        }
        Self {
            old,
            new,
            vocabulary,
            seen: HashMap::new(),
        }
    }

    /// What a key gains and loses.
    pub(super) fn of(&mut self, old: KeyId, new: KeyId) -> Vec<Difference> {
        let (before, after) = (caller(self.old, old), caller(self.new, new));
        let rights = (Rights::of(&before), Rights::of(&after));
        if let Some(known) = self.seen.get(&rights) {
            return known.clone();
        }
        let mut found = self.compare(&before, &after, "");
        if before.mode == Mode::Shadow && after.mode == Mode::Shadow {
            // What passes is the same; what is granted may not be.
            let (before, after) = (enforced(&before), enforced(&after));
            found.extend(self.compare(&before, &after, " once it is enforced"));
        }
        self.seen.insert(rights, found.clone());
        found
    }

    /// What callers gain and lose to whom a claim gives this role, by that role alone. Enforced: what a key in shadow mode
    /// may do does not depend on its roles, and is told with the key.
    pub(super) fn of_role(&self, old: RoleId, new: RoleId) -> Vec<Difference> {
        match (claimant(self.old, old), claimant(self.new, new)) {
            (Some(before), Some(after)) => self.compare(&before, &after, ""),
            // Nobody, or keys that are new as well.
            _ => Vec::new(),
        }
    }

    fn compare(&self, before: &Caller, after: &Caller, when: &str) -> Vec<Difference> {
        let names = |policy: &'p Policy| policy.servers().map(|(_, server)| &*server.name);
        let mut found = Vec::new();
        for server in super::names(names(self.old), names(self.new)) {
            let old = At::new(self.old, before, server);
            let new = At::new(self.new, after, server);
            let told = found.len();
            self.tools(&old, &new, when, &mut found);
            for (what, kind) in [("prompts", Kind::Prompts), ("resources", Kind::Resources)] {
                unnamed(&old, &new, kind, &BTreeSet::new(), what, when, &mut found);
            }
            reach(&old, &new, when, &mut found, told);
        }
        found
    }

    fn tools(&self, old: &At<'p>, new: &At<'p>, when: &str, found: &mut Vec<Difference>) {
        let nothing = BTreeSet::new();
        let named = self.vocabulary.get(old.name).unwrap_or(&nothing);
        for tool in named {
            let (before, after) = (old.tool(tool), new.tool(tool));
            let what = |verb, access: Option<Access<'_>>| {
                format!("{verb} {}/{tool}{when}{}", old.name, through(access))
            };
            match (listed(before), listed(after)) {
                (false, true) => found.push(Difference::new(Effect::Wider, what("gains", after))),
                (true, false) => found.push(Difference::new(Effect::Narrower, what("loses", after))),
                _ => {}
            }
        }
        unnamed(old, new, Kind::Tools, named, "tools", when, found);
    }
}

impl Rights {
    fn of(caller: &Caller) -> Self {
        let mut roles = caller.roles.clone();
        roles.sort_unstable();
        Self {
            roles,
            shadow: caller.mode == Mode::Shadow,
            own: caller.mode_is_own,
        }
    }
}

impl Difference {
    fn new(effect: Effect, what: String) -> Self {
        Self {
            effect,
            what,
            why: None,
        }
    }
}

/// What a list is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tools,
    Prompts,
    Resources,
}

/// Lists of patterns that decide about an item.
const LISTS: usize = 3;

/// A caller at a server of that name, if the policy has it.
struct At<'p> {
    policy: &'p Policy,
    caller: Caller,
    name: &'p str,
    server: Option<&'p Server>,
}

impl<'p> At<'p> {
    fn new(policy: &'p Policy, caller: &Caller, name: &'p str) -> Self {
        Self {
            policy,
            caller: caller.clone(),
            name,
            server: policy.server_by_name(name).map(|id| policy.server(id)),
        }
    }

    fn tool(&self, tool: &str) -> Option<Access<'p>> {
        let server = self.server?;
        Some(item_access(self.policy, &self.caller, server, List::Tools, tool))
    }

    /// Whether requests pass that name no tool, prompt or resource.
    fn is_reached(&self) -> bool {
        let reached = |server| reaching_role(self.policy, &self.caller, server).is_some();
        self.server
            .is_some_and(|server| self.caller.mode == Mode::Shadow || reached(server))
    }

    fn roles(&self) -> impl Iterator<Item = &'p Role> {
        let here = self.server.is_some();
        let roles = self.caller.roles.iter().filter(move |_| here);
        roles.map(|id| self.policy.role(*id))
    }

    /// As [`item_access`] takes them: allows, denies that are carried out, tools with an entry.
    fn lists(&self, kind: Kind) -> [Vec<Pattern<'p>>; LISTS] {
        let all = |set: fn(&'p Role) -> &'p GlobSet| -> Vec<Pattern<'p>> {
            self.roles()
                .flat_map(|role| set(role).patterns().map(Pattern::Glob))
                .collect()
        };
        match kind {
            Kind::Prompts => [all(|role| &role.prompts), vec![], vec![]],
            Kind::Resources => [all(|role| &role.resources), vec![], vec![]],
            Kind::Tools => {
                let denies = self.roles().filter(|role| self.carries_out(role));
                let denies = denies.flat_map(|role| role.deny.patterns().map(Pattern::Glob));
                let entries = self.server.into_iter().flat_map(Server::tools);
                let entries = entries.map(|tool| Pattern::Name(self.name, &tool.name)).collect();
                [all(|role| &role.allow), denies.collect(), entries]
            }
        }
    }

    /// Whether the denies of a role are more than notes.
    fn carries_out(&self, role: &Role) -> bool {
        match (role.mode, self.caller.mode_is_own) {
            (Some(Mode::Shadow), _) => false,
            (Some(Mode::Enforce), false) => true,
            (Some(Mode::Enforce) | None, _) => self.caller.mode == Mode::Enforce,
        }
    }

    /// Whether something passes that these of its [`lists`](Self::lists) match.
    fn passes(&self, kind: Kind, matches: &[bool]) -> bool {
        let Some(server) = self.server else { return false };
        let shadow = self.caller.mode == Mode::Shadow;
        let [allowed, denied, entry] = matches else {
            return false;
        };
        let only_entries = kind == Kind::Tools && server.unlisted_tools == UnlistedTools::Deny;
        if *denied {
            false
        } else if !allowed {
            shadow
        } else {
            !only_entries || *entry || shadow
        }
    }
}

/// What nobody names: all that patterns with `*` stand for.
fn unnamed(
    old: &At<'_>,
    new: &At<'_>,
    kind: Kind,
    named: &BTreeSet<&str>,
    what: &str,
    when: &str,
    found: &mut Vec<Difference>,
) {
    let server = old.name;
    let prefix = format!("{server}/");
    let named = named.iter().map(|name| Pattern::Name(server, name)).collect();
    let lists: Vec<Vec<Pattern<'_>>> = old
        .lists(kind)
        .into_iter()
        .chain(new.lists(kind))
        .chain([named])
        .collect();
    let search = |wider: bool| {
        text_where(&prefix, &lists, |matches| {
            let (before, rest) = matches.split_at(LISTS);
            let (after, named) = rest.split_at(LISTS);
            let (before, after) = (old.passes(kind, before), new.passes(kind, after));
            named != [true] && before != after && after == wider
        })
    };
    for (wider, effect, verb) in [(true, Effect::Wider, "gains"), (false, Effect::Narrower, "loses")] {
        match search(wider) {
            Answer::No => {}
            Answer::Text(text) => {
                let example = text.strip_prefix(&prefix).unwrap_or_default();
                let access = (kind == Kind::Tools && wider)
                    .then(|| new.tool(example))
                    .flatten();
                found.push(Difference::new(
                    effect,
                    format!(
                        "{verb} {what} of {server}{when}, such as {text:?}{}",
                        through(access)
                    ),
                ));
            }
            // That something may be lost as well is not worth a word.
            Answer::Unknown if !wider => {}
            Answer::Unknown => found.push(Difference {
                effect,
                what: format!("may gain {what} of {server}{when}"),
                why: Some(format!("its patterns are too many to compare: {UNCLEAR}")),
            }),
        }
    }
}

/// Why reaching a server is something.
const ENOUGH: &str = "any grant on it is enough for lists, streams and extension methods";

/// A server can be reached by a grant of nothing that is there: one that is denied as well, or of a tool without an entry.
/// Where what `found` has from `told` on says as much, this is not said again.
fn reach(old: &At<'_>, new: &At<'_>, when: &str, found: &mut Vec<Difference>, told: usize) {
    let (effect, verb) = match (old.is_reached(), new.is_reached()) {
        (false, true) => (Effect::Wider, "reaches"),
        (true, false) => (Effect::Narrower, "no longer reaches"),
        _ => return,
    };
    if !found
        .iter()
        .skip(told)
        .any(|difference| difference.effect == effect)
    {
        found.push(Difference {
            effect,
            what: format!("{verb} server {}{when}", old.name),
            why: (effect == Effect::Wider).then(|| ENOUGH.to_owned()),
        });
    }
}

/// The pattern that decides.
fn through(access: Option<Access<'_>>) -> String {
    match access {
        Some(Access::Granted { role, pattern }) => format!(" by {pattern:?} of role {role:?}"),
        Some(Access::Refused { why, .. }) => format!(": {why}"),
        None => String::new(),
    }
}

fn listed(access: Option<Access<'_>>) -> bool {
    access.is_some_and(|access| access.is_listed())
}

/// A key, whether or not it can act now: that is another question.
fn caller(policy: &Policy, id: KeyId) -> Caller {
    let key = policy.key(id);
    Caller {
        key: id,
        roles: key.roles.clone(),
        mode: key.mode.unwrap_or(policy.mode()),
        mode_is_own: key.mode.is_some(),
        subject: None,
    }
}

/// Who has this role, and nothing else. Which key it is, grants do not ask.
fn claimant(policy: &Policy, role: RoleId) -> Option<Caller> {
    let (key, _) = policy.keys().next()?;
    Some(Caller {
        key,
        roles: vec![role],
        mode: Mode::Enforce,
        mode_is_own: false,
        subject: None,
    })
}

fn enforced(caller: &Caller) -> Caller {
    Caller {
        mode: Mode::Enforce,
        ..caller.clone()
    }
}

/// A pattern that stands for one name of one server.
fn exact_name(pattern: &str) -> Option<(&str, &str)> {
    pattern.split_once('/').filter(|_| !pattern.contains('*'))
}
