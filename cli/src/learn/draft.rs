//! A policy from a log alone. What a log cannot say has placeholders.

use std::collections::BTreeSet;

use toolgate_engine::policy::Policy;

use super::node::Node;
use super::observed::Called;
use super::roles::{Needs, by_key, roles};
use super::{Learned, Observed};

/// The policy that this traffic needs, and nothing else.
pub(crate) fn draft(observed: &Observed) -> Learned {
    let mut fill_in = Vec::new();
    let mut notes = Vec::new();
    let needs = observed.keys.iter().map(|(key, seen)| {
        let needs = Needs {
            uses: seen.uses.iter().collect(),
            ..Needs::default()
        };
        (key.as_str(), needs)
    });
    let roles = roles(needs, |_, _| None, BTreeSet::new());
    let teams: BTreeSet<&str> = observed
        .keys
        .values()
        .filter_map(|seen| seen.team.as_deref())
        .collect();
    let roles_of = by_key(&roles);
    let keys = observed.keys.iter().zip(1_u64..).map(|((name, seen), number)| {
        fill_in.push(pointer("keys", name, "sha256"));
        let mut key = vec![
            // Nobody's: whoever presents it has found what SHA-256 makes a small number of.
            ("sha256".to_owned(), Node::list([&*format!("{number:064x}")])),
            (
                "roles".to_owned(),
                Node::list(roles_of.get(&**name).into_iter().flatten().copied()),
            ),
        ];
        key.extend(seen.team.iter().map(|team| ("team".to_owned(), Node::text(team))));
        (name.clone(), Node::Object(key))
    });
    let keys = Node::Object(keys.collect());
    let mut places = BTreeSet::new();
    let servers = observed.servers.iter().map(|(name, called)| {
        let path = path(name, called);
        let mut server = vec![("path".to_owned(), Node::text(&path))];
        if !places.insert(path) {
            // Two servers on one path were told apart by their hosts, which no record has.
            let host = format!("server-{}.invalid", places.len());
            server.push(("host".to_owned(), Node::text(&host)));
            fill_in.push(pointer("servers", name, "host"));
            places.insert(host);
        }
        server.push((
            "methods".to_owned(),
            Node::list(called.methods.iter().map(String::as_str)),
        ));
        (name.clone(), Node::Object(server))
    });
    let servers = Node::Object(servers.collect());
    notes.extend((!observed.servers.is_empty()).then(|| {
        "paths are the ones that were called most; hosts, schemas, limits and breakers are not in a log"
            .to_owned()
    }));
    let mut document = vec![
        ("version".to_owned(), Node::Token("1".to_owned())),
        ("servers".to_owned(), servers),
        (
            "roles".to_owned(),
            Node::Object(
                roles
                    .iter()
                    .map(|role| (role.name.clone(), role.node()))
                    .collect(),
            ),
        ),
    ];
    if !teams.is_empty() {
        let teams = teams
            .into_iter()
            .map(|team| (team.to_owned(), Node::Object(Vec::new())));
        document.push(("teams".to_owned(), Node::Object(teams.collect())));
    }
    document.push(("keys".to_owned(), keys));
    Learned {
        text: Node::Object(document).pretty(),
        fill_in,
        notes,
    }
}

/// The path that was called most and that a policy can have.
fn path(name: &str, called: &Called) -> String {
    let mut paths: Vec<(&String, &u64)> = called.paths.iter().collect();
    paths.sort_by_key(|(path, calls)| (std::cmp::Reverse(**calls), *path));
    let possible = |path: &str| {
        let policy = serde_json::json!({ "version": 1, "servers": { "s": { "path": path } } });
        Policy::compile(policy.to_string().as_bytes()).is_ok()
    };
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    paths
        .into_iter()
        .map(|(path, _)| path.clone())
        .find(|path| possible(path))
        .unwrap_or_else(|| format!("/{plain}/mcp"))
}

fn pointer(section: &str, name: &str, member: &str) -> String {
    format!(
        "/{section}/{}/{member}",
        name.replace('~', "~0").replace('/', "~1")
    )
}
