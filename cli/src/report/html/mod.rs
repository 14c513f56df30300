//! The report as one page: no script, nothing fetched, and a policy in its head that says so to the browser.
//!
//! Names come from the wire. Every text goes through `maud`, which escapes, and [`text::shown`], which makes visible
//! what would turn or hide its neighbours.

mod chart;
mod log;
mod over_time;
mod refusals;
mod spikes;
mod summary;
mod text;
mod tools;
mod trails;
mod unused;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::{Report, numbers};

const STYLE: &str = include_str!("style.css");

/// A part of the page: its anchor, its title, and what is in it. Parts with nothing to say are left out.
struct Section {
    id: &'static str,
    title: &'static str,
    body: Markup,
}

pub(super) fn page(report: &Report) -> String {
    let sections: Vec<Section> = [
        Some(over_time::section(report)),
        refusals::section(report),
        tools::section(report),
        Some(spikes::section(report)),
        unused::section(report),
        Some(log::section(report)),
        trails::section(report),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = title(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(content_security_policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { "Toolgate report: " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#summary" { "Skip to the summary" }
                header {
                    p.brand { "Toolgate report" }
                    h1 { (title) }
                    (summary::source(report))
                    nav aria-label="Sections" {
                        @for section in &sections { a href={ "#" (section.id) } { (section.title) } }
                    }
                }
                main {
                    (summary::section(report))
                    @for section in &sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                            h2 id={ (section.id) "-title" } { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer { p { "Times are in UTC. This page is complete in itself: it fetches nothing and runs no script." } }
            }
        }
    };
    page.into_string()
}

/// From when to when.
fn title(report: &Report) -> String {
    let Some((from, to)) = report.timeline.range() else {
        return "no records".to_owned();
    };
    let (from, to) = (numbers::time(from), numbers::time(to));
    match (from.rsplit_once(' '), to.rsplit_once(' ')) {
        _ if from == to => from,
        (Some((day, from)), Some((last_day, to))) if day == last_day => format!("{day}, {from} – {to}"),
        _ => format!("{from} – {to}"),
    }
}

/// Nothing may be fetched, run, framed or sent; the one style sheet is named by its digest.
/// <https://www.w3.org/TR/CSP3/>
fn content_security_policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}
