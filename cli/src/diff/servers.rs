//! Servers: where they are, what they accept, what calls cost.

use std::collections::BTreeSet;

use toolgate_engine::mcp::method;
use toolgate_engine::policy::{
    Capability, Cost, GlobSet, Integrity, Policy, Schemas, Server, UnlistedTools, Unmatched,
};

use super::language::{Answer, Pattern, text_where};
use super::resilience::breaker;
use super::{About, Change, Effect, Side, UNCLEAR, names, pointer};

pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, changes: &mut Vec<Change>) {
    let all = |side: &Side<'_>| -> Vec<String> {
        side.policy
            .servers()
            .map(|(_, server)| server.name.to_string())
            .collect()
    };
    let (before, after) = (all(old), all(new));
    for name in names(
        before.iter().map(String::as_str),
        after.iter().map(String::as_str),
    ) {
        let mut about = About::new("server", name, changes);
        match (find(old.policy, name), find(new.policy, name)) {
            (None, Some(server)) => added(&mut about, old.policy, server),
            (Some(server), None) => removed(&mut about, new.policy, server),
            (Some(a), Some(b)) => {
                place(&mut about, a, b);
                accepts(&mut about, a, b);
                tools(&mut about, (old, new), (a, b));
            }
            (None, None) => {}
        }
    }
}

fn find<'p>(policy: &'p Policy, name: &str) -> Option<&'p Server> {
    policy.server_by_name(name).map(|id| policy.server(id))
}

fn added(about: &mut About<'_>, old: &Policy, server: &Server) {
    about.say(Effect::Other, format!("added at {}", at(server)));
    shared_path(about, old, server);
}

fn removed(about: &mut About<'_>, new: &Policy, server: &Server) {
    if new.unmatched() == Unmatched::Pass {
        let why = "\"unmatched\" is \"pass\": requests to it go by unjudged";
        about.because(Effect::Wider, format!("removed from {}", at(server)), why);
    } else {
        about.say(Effect::Narrower, format!("removed from {}", at(server)));
    }
    shared_path(about, new, server);
}

/// Which of two servers on one path gets a request, the host decides.
fn shared_path(about: &mut About<'_>, policy: &Policy, server: &Server) {
    let others = policy
        .servers()
        .filter(|(_, other)| other.name != server.name && other.path == server.path);
    for (_, other) in others {
        let what = format!("shares the path {:?} with server {:?}", server.path, other.name);
        about.because(
            Effect::Wider,
            what,
            "some requests are judged as the other server's now",
        );
    }
}

fn place(about: &mut About<'_>, old: &Server, new: &Server) {
    if (&old.path, &old.host) != (&new.path, &new.host) {
        let what = format!("moved from {} to {}", at(old), at(new));
        about.because(
            Effect::Wider,
            what,
            "what is granted on it is granted at another place",
        );
    }
}

/// Host and path.
fn at(server: &Server) -> String {
    format!("{}{}", server.host.as_deref().unwrap_or_default(), server.path)
}

fn accepts(about: &mut About<'_>, old: &Server, new: &Server) {
    methods(about, old, new);
    about.choice(
        "unlistedTools",
        old.unlisted_tools,
        new.unlisted_tools,
        &[UnlistedTools::Deny, UnlistedTools::Allow],
    );
    let schemas = [Schemas::Advertised, Schemas::Policy, Schemas::Off];
    about.choice("schemas", old.schemas, new.schemas, &schemas);
    let integrity = [Integrity::Pinned, Integrity::Off];
    about.choice("integrity", old.integrity, new.integrity, &integrity);
    let (a, b) = (&old.client_capabilities, &new.client_capabilities);
    let from_narrow = [Capability::Strip, Capability::Allow];
    for (name, old, new) in [
        ("sampling", a.sampling, b.sampling),
        ("elicitation", a.elicitation, b.elicitation),
        ("roots", a.roots, b.roots),
    ] {
        about.choice(&format!("client capability {name}"), old, new, &from_narrow);
    }
}

fn methods(about: &mut About<'_>, old: &Server, new: &Server) {
    let granted = |globs: &Option<GlobSet>, method: &method::Method| {
        let named = |globs: &GlobSet| globs.matches_text(method.name);
        method.always || globs.as_ref().is_none_or(named)
    };
    let those = |before: bool, after: bool| -> Vec<&str> {
        let changed = |method: &&method::Method| {
            granted(&old.methods, method) == before && granted(&new.methods, method) == after
        };
        method::all().filter(changed).map(|method| method.name).collect()
    };
    for (effect, verb, methods) in [
        (Effect::Wider, "accepts", those(false, true)),
        (Effect::Narrower, "no longer accepts", those(true, false)),
    ] {
        if !methods.is_empty() {
            about.say(effect, format!("{verb} {}", methods.join(", ")));
        }
    }
    // Extensions: what the protocol does not know is accepted only where a pattern says so.
    let patterns = |globs: &'_ Option<GlobSet>| -> Vec<String> {
        let patterns = globs.iter().flat_map(GlobSet::patterns);
        patterns.map(str::to_owned).collect()
    };
    let (before, after) = (patterns(&old.methods), patterns(&new.methods));
    let known: Vec<Pattern<'_>> = method::all().map(|method| Pattern::Glob(method.name)).collect();
    let lists = [
        before.iter().map(|text| Pattern::Glob(text)).collect(),
        after.iter().map(|text| Pattern::Glob(text)).collect(),
        known,
    ];
    match text_where("", &lists, |matches| !matches[0] && matches[1] && !matches[2]) {
        Answer::No => {}
        Answer::Text(text) => about.say(Effect::Wider, format!("accepts other methods, such as {text:?}")),
        Answer::Unknown => about.because(Effect::Wider, "methods changed", UNCLEAR),
    }
    match text_where("", &lists, |matches| matches[0] && !matches[1] && !matches[2]) {
        Answer::Text(text) => {
            about.say(
                Effect::Narrower,
                format!("no longer accepts other methods, such as {text:?}"),
            );
        }
        Answer::No | Answer::Unknown => {}
    }
}

/// What the policy says about calls of tools, with and without an entry.
fn tools(about: &mut About<'_>, sides: (&Side<'_>, &Side<'_>), (old, new): (&Server, &Server)) {
    cost(about, "", old.cost, new.cost);
    breaker(about, "", old.breaker.as_ref(), new.breaker.as_ref());
    let all: BTreeSet<&str> = names(
        old.tools().map(|tool| &*tool.name),
        new.tools().map(|tool| &*tool.name),
    );
    for tool in all {
        let of = format!(" of {tool}");
        match (old.tool(tool).is_some(), new.tool(tool).is_some()) {
            (false, true) => about.say(Effect::Other, format!("tool {tool} has an entry")),
            (true, false) => about.say(Effect::Other, format!("tool {tool} has no entry any more")),
            _ => {}
        }
        // What the server says of all tools has been told.
        let (a, b) = (old.cost_of(tool), new.cost_of(tool));
        if (a, b) != (old.cost, new.cost) {
            cost(about, &of, a, b);
        }
        let own = |server: &Server| server.tool(tool).is_some_and(|tool| tool.breaker.is_some());
        if own(old) || own(new) {
            breaker(about, &of, old.breaker_of(tool), new.breaker_of(tool));
        }
        let path = pointer(&pointer(&pointer("/servers", &old.name), "tools"), tool) + "/inputSchema";
        let (a, b) = (sides.0.written(&path), sides.1.written(&path));
        match (a.is_null(), b.is_null()) {
            (true, false) => about.say(Effect::Narrower, format!("arguments{of} must fit a schema")),
            (false, true) => about.say(
                Effect::Wider,
                format!("arguments{of} need fit no schema any more"),
            ),
            (false, false) if a != b => about.because(
                Effect::Wider,
                format!("the schema{of} changed"),
                format!("which of two schemas lets more pass cannot be told: {UNCLEAR}"),
            ),
            _ => {}
        }
    }
}

/// A budget is enough for more calls when they cost less.
fn cost(about: &mut About<'_>, whose: &str, old: Cost, new: Cost) {
    for (name, old, new) in [
        ("cost", old.per_call, new.per_call),
        ("costPerKiB", old.per_kib, new.per_kib),
    ] {
        if old == new {
            continue;
        }
        let what = format!("{name}{whose}: {old} → {new}");
        if new < old {
            about.because(Effect::Wider, what, "budgets last for more calls");
        } else {
            about.say(Effect::Narrower, what);
        }
    }
}
