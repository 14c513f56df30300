//! What a policy grants and nobody needed.

use maud::{Markup, html};

use super::Section;
use super::text::name;
use crate::learn::Unused;
use crate::report::{Leftover, Report};

/// Rows of each list.
const ROWS: usize = 40;

pub(super) fn section(report: &Report) -> Option<Section> {
    let leftover = report.leftover.as_ref()?;
    let body = html! {
        @if leftover.unused.is_empty() { p.empty { "Every key, role, pattern and tool of the policy was needed." } }
        (grants(leftover))
        (list("Keys that used nothing", leftover, |unused| match unused {
            Unused::Key { key, seen } => Some(html! { (name(key)) @if *seen { span.share { "was here" } } }),
            _ => None,
        }))
        (list("Roles that no key has", leftover, |unused| match unused {
            Unused::Role { role } => Some(name(role)),
            _ => None,
        }))
        (list("Tools with an entry that nobody called", leftover, |unused| match unused {
            Unused::Tool { server, tool } => Some(name(&format!("{server}/{tool}"))),
            _ => None,
        }))
        @if !leftover.strangers.is_empty() {
            h3 { "Keys in the log that the policy does not have" }
            ul.columns { @for key in &leftover.strangers { li { (name(key)) } } }
        }
        p.about { "In the time that these logs cover: what is needed once a month is in no log of a week. "
            code { "toolgate learn" } " writes the policy without it." }
    };
    Some(Section {
        id: "unused",
        title: "Unused grants",
        body,
    })
}

/// How many patterns nobody needed.
pub(super) fn patterns(leftover: &Leftover) -> usize {
    let unused = leftover.unused.iter();
    unused
        .filter(|unused| matches!(unused, Unused::Grant { .. }))
        .count()
}

fn grants(leftover: &Leftover) -> Markup {
    let all = patterns(leftover);
    if all == 0 {
        return html! {};
    }
    let rows = leftover.unused.iter().filter_map(|unused| match unused {
        Unused::Grant { role, list, pattern } => Some((role, list, pattern)),
        _ => None,
    });
    html! {
        h3 { "Patterns that nobody needed " span.share { (all) " of " (leftover.of_patterns) } }
        div.scroll {
            table {
                thead { tr { th { "role" } th { "list" } th { "pattern" } } }
                tbody {
                    @for (role, list, pattern) in rows.take(ROWS) {
                        tr { th scope="row" { (name(role)) } td { (list) } td { code { (name(pattern)) } } }
                    }
                }
            }
        }
        (more(all))
    }
}

fn list(title: &str, leftover: &Leftover, item: impl Fn(&Unused) -> Option<Markup>) -> Markup {
    let items: Vec<Markup> = leftover.unused.iter().filter_map(item).collect();
    if items.is_empty() {
        return html! {};
    }
    html! {
        h3 { (title) " " span.share { (items.len()) } }
        ul.columns { @for item in items.iter().take(ROWS) { li { (item) } } }
        (more(items.len()))
    }
}

fn more(all: usize) -> Markup {
    html! {
        @if all > ROWS { p.about { "and " (all - ROWS) " more; " code { "--format json" } " has them all" } }
    }
}
