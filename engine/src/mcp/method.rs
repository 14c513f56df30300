//! The catalogue of client-to-server methods: which revisions have them and what object they name.

use super::revision::{Era, Revision};
use crate::json::reserved::fold;

/// The object that a method acts on, and whose policy therefore applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// None: the grant of the method is all there is.
    None,
    /// `params.name` is a tool.
    Tool,
    /// `params.name` is a prompt.
    Prompt,
    /// `params.uri` is a resource.
    Resource,
    /// `params.ref` is a prompt or a resource template.
    Reference,
    /// `params.notifications.resourceSubscriptions` are resources.
    Listen,
    /// `params.taskId` is a task.
    Task,
}

/// A list whose answer is filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    Templates,
}

impl List {
    /// All four, in no particular order.
    pub const ALL: [List; 4] = [List::Tools, List::Prompts, List::Resources, List::Templates];

    /// The member of the result that holds the items.
    pub const fn member(self) -> &'static str {
        match self {
            List::Tools => "tools",
            List::Prompts => "prompts",
            List::Resources => "resources",
            List::Templates => "resourceTemplates",
        }
    }

    /// The member of an item that names it.
    pub const fn item_name(self) -> &'static str {
        match self {
            List::Tools | List::Prompts => "name",
            List::Resources => "uri",
            List::Templates => "uriTemplate",
        }
    }
}

/// One method of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// The name on the wire, compared byte for byte.
    pub name: &'static str,
    /// Whether it is a notification.
    pub notification: bool,
    /// First and last revision that have it.
    pub since: Revision,
    /// See `since`.
    pub until: Revision,
    /// What it names.
    pub noun: Noun,
    /// The list it asks for.
    pub list: Option<List>,
    /// In the granted set whatever a server's `methods` say.
    pub always: bool,
}

impl Method {
    /// Whether this revision has the method.
    pub fn in_revision(&self, revision: Revision) -> bool {
        self.since <= revision && revision <= self.until
    }

    /// Whether some revision of this era has the method. Within the legacy era the negotiated
    /// revision is not on every request, so the era is what a request can be held to.
    pub fn in_era(&self, era: Era) -> bool {
        Revision::ALL
            .into_iter()
            .any(|r| r.era() == era && self.in_revision(r))
    }
}

/// Looks a method up by its exact name.
pub fn find(name: &str) -> Option<&'static Method> {
    CATALOGUE.iter().find(|m| m.name == name)
}

/// Whether `name` is in the catalogue but for case, white space, slashes and the like: some servers
/// route by a normalised name, so this is no extension but a method whose object nobody judged.
pub fn is_variant(name: &str) -> bool {
    CATALOGUE
        .iter()
        .any(|m| m.name != name && letters(m.name).eq(letters(name)))
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(fold).filter(char::is_ascii_alphanumeric)
}

/// Every method of the catalogue.
pub fn all() -> impl Iterator<Item = &'static Method> {
    CATALOGUE.iter()
}

const A: Revision = Revision::V2024_11_05;
const D: Revision = Revision::V2025_11_25;
const E: Revision = Revision::V2026_07_28;

const fn request(name: &'static str, since: Revision, until: Revision, noun: Noun) -> Method {
    Method {
        name,
        notification: false,
        since,
        until,
        noun,
        list: None,
        always: false,
    }
}

const fn listing(name: &'static str, list: List) -> Method {
    Method {
        list: Some(list),
        ..request(name, A, E, Noun::None)
    }
}

const fn always(name: &'static str, since: Revision, until: Revision) -> Method {
    Method {
        always: true,
        ..request(name, since, until, Noun::None)
    }
}

const fn notification(name: &'static str, since: Revision) -> Method {
    // In 2026-07-28 no client notification is defined over HTTP, but none is forbidden either:
    // servers acknowledge them, so they pass under that revision as well.
    Method {
        notification: true,
        always: true,
        ..request(name, since, E, Noun::None)
    }
}

// Ordered by how often they are called: the lookup is a linear scan of short strings.
static CATALOGUE: &[Method] = &[
    request("tools/call", A, E, Noun::Tool),
    listing("tools/list", List::Tools),
    always("initialize", A, D),
    always("server/discover", E, E),
    always("ping", A, D),
    request("resources/read", A, E, Noun::Resource),
    listing("resources/list", List::Resources),
    listing("resources/templates/list", List::Templates),
    request("resources/subscribe", A, D, Noun::Resource),
    request("resources/unsubscribe", A, D, Noun::Resource),
    request("prompts/get", A, E, Noun::Prompt),
    listing("prompts/list", List::Prompts),
    request("completion/complete", A, E, Noun::Reference),
    always("logging/setLevel", A, D),
    request("subscriptions/listen", E, E, Noun::Listen),
    request("tasks/get", D, E, Noun::Task),
    request("tasks/result", D, D, Noun::Task),
    request("tasks/cancel", D, E, Noun::Task),
    request("tasks/list", D, D, Noun::None),
    request("tasks/update", E, E, Noun::Task),
    notification("notifications/initialized", A),
    notification("notifications/cancelled", A),
    notification("notifications/progress", A),
    notification("notifications/roots/list_changed", A),
    notification("notifications/tasks/status", D),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_told_from_methods_and_extensions() {
        for variant in [
            "Tools/Call",
            "tools/call ",
            "tools/call/",
            "/tools/call",
            "tools//call",
            "tools\u{200b}/call",
            "tool\u{17f}/call",
            "server_discover",
            "logging/setlevel",
        ] {
            assert!(is_variant(variant), "{variant:?}");
        }
        for other in ["tools/call", "tools/callback", "x/tools/call", "tools/search", ""] {
            assert!(!is_variant(other), "{other:?}");
        }
    }

    #[test]
    fn eras_split_the_catalogue() {
        let modern = |name: &str| find(name).is_some_and(|m| m.in_era(Era::Modern));
        let legacy = |name: &str| find(name).is_some_and(|m| m.in_era(Era::Legacy));
        for gone in [
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
            "tasks/result",
            "tasks/list",
        ] {
            assert!(legacy(gone) && !modern(gone), "{gone}");
        }
        for new in ["server/discover", "subscriptions/listen", "tasks/update"] {
            assert!(modern(new) && !legacy(new), "{new}");
        }
        for both in [
            "tools/call",
            "tools/list",
            "resources/read",
            "prompts/get",
            "completion/complete",
        ] {
            assert!(modern(both) && legacy(both), "{both}");
        }
        assert!(
            find("Tools/Call").is_none() && find("tools/call ").is_none() && find("/tools/call").is_none()
        );
    }
}
