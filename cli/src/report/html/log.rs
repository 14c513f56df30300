//! What the report is made from.

use maud::html;

use super::Section;
use super::text::name;
use crate::report::Report;
use crate::report::numbers::count;

pub(super) fn section(report: &Report) -> Section {
    let damaged = &report.damaged;
    let body = html! {
        @if damaged.lines > 0 {
            h3 { "Damaged lines " span.share { (count(damaged.lines)) } }
            ul {
                @for (place, why) in &damaged.first { li { code { (name(place)) } ": " (why) } }
                @if damaged.lines > damaged.first.len() as u64 {
                    li { "and " (count(damaged.lines - damaged.first.len() as u64)) " more" }
                }
            }
            p.about { "They are not counted anywhere else on this page." }
        } @else {
            p { "Every line could be read." }
        }
        h3 { "Files" }
        ul { @for source in &report.sources { li { (name(source)) } } }
        @let methods = report.methods.sorted();
        @if !methods.is_empty() {
            h3 { "Requests by method" }
            div.scroll { table.narrow {
                tbody {
                    @for (method, times) in methods.iter().take(20) {
                        tr { th scope="row" { (name(method)) } td.num { (count(*times)) } }
                    }
                }
            } }
        }
        @let policies = report.policies.sorted();
        @if !policies.is_empty() {
            h3 { "Policies that decided" }
            div.scroll { table.narrow {
                tbody {
                    @for (policy, times) in policies.iter().take(20) {
                        tr { th scope="row" { code { (name(policy)) } } td.num { (count(*times)) " requests" } }
                    }
                }
            } }
        }
    };
    Section {
        id: "log",
        title: "The log",
        body,
    }
}
