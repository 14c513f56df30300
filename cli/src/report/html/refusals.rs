//! What was refused, why, and to whom.

use maud::{Markup, html};

use super::Section;
use super::chart;
use super::text::{name, name_or};
use crate::report::numbers::count;
use crate::report::{Names, Report};

/// Rows of the table of combinations.
const ROWS: usize = 15;

pub(super) fn section(report: &Report) -> Option<Section> {
    if report.refused.total() + report.would_deny.total() + report.undecided == 0 {
        return None;
    }
    let body = html! {
        (by_reason(report))
        @if report.undecided > 0 {
            p.about { (count(report.undecided)) " requests have no decision: something before Toolgate answered them, or the \
                caller left first." }
        }
        @if !report.refusals.is_empty() { (who(report)) }
    };
    Some(Section {
        id: "refusals",
        title: "Refusals",
        body,
    })
}

fn by_reason(report: &Report) -> Markup {
    let (refused, shadowed) = (&report.refused, &report.would_deny);
    let mut reasons: Vec<&str> = refused.sorted().into_iter().map(|(reason, _)| reason).collect();
    let only_shadowed = shadowed.sorted().into_iter().map(|(reason, _)| reason);
    let only_shadowed: Vec<&str> = only_shadowed.filter(|reason| !reasons.contains(reason)).collect();
    reasons.extend(only_shadowed);
    let most = |names: &Names| names.sorted().first().map_or(0, |(_, count)| *count);
    let whole = most(refused).max(most(shadowed));
    html! {
        div.scroll {
            table {
                thead { tr { th { "reason" } th.opt { "what it means" } th.num { "refused" }
                    th.num { "only in shadow" } th.wide aria-hidden="true" {} } }
                tbody {
                    @for reason in reasons {
                        tr {
                            th scope="row" { (name(reason)) }
                            td.opt.about { (meaning(reason)) }
                            td.num { (count(refused.get(reason))) }
                            td.num { (count(shadowed.get(reason))) }
                            td.wide {
                                @if refused.get(reason) > 0 { (chart::bar("refused", refused.get(reason), whole)) }
                                @if shadowed.get(reason) > 0 { (chart::bar("shadow", shadowed.get(reason), whole)) }
                            }
                        }
                    }
                    @if refused.other + shadowed.other > 0 {
                        tr { th scope="row" { i.none { "other" } } td.opt {} td.num { (count(refused.other)) }
                            td.num { (count(shadowed.other)) } td.wide {} }
                    }
                }
            }
        }
    }
}

fn who(report: &Report) -> Markup {
    html! {
        h3 { "Who was refused what" }
        div.scroll {
            table {
                thead { tr { th { "key" } th { "tool" } th { "reason" } th.num { "times" } } }
                tbody {
                    @for (refusal, times) in report.refusals.iter().take(ROWS) {
                        tr {
                            td { (name_or(refusal.key.as_deref(), "no key")) }
                            td { (name(&refusal.what)) }
                            td { span.badge.(if refusal.shadow { "note" } else { "bad" }) {
                                @if refusal.shadow { "shadow: " } (name(&refusal.reason)) } }
                            td.num { (count(*times)) }
                        }
                    }
                }
            }
        }
    }
}

/// In a few words; `docs/policy.md` has them all.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "no_key" => "no credential was presented",
        "bad_key" => "no key of the policy has this credential",
        "expired_key" => "the key has expired",
        "no_grant" => "the key has nothing on this server",
        "hidden" => "the tool, prompt or resource is not visible to the key",
        "method" => "the method is not granted",
        "malformed" => "not JSON, not JSON-RPC, or not MCP",
        "ambiguous" => "two readers could read the request differently",
        "mismatch" => "header and body disagree",
        "too_large" => "larger than the policy's limits",
        "media_type" => "wrong media type or encoding",
        "schema" => "the arguments fail the tool's schema",
        "rule" => "a rule of the policy refused",
        "approval" => "a person has to approve",
        "loop" => "the same call too often",
        "breaker" => "the circuit breaker is open",
        "quota" => "a quota is used up",
        "budget" => "a budget is used up",
        "integrity" => "the tool's definition has changed",
        "origin" => "the Origin is not listed",
        "session" => "the session is not this key's",
        "timeout" => "the request's body did not arrive in time",
        "upstream" => "the server's answer could not be used",
        "internal" => "a fault of Toolgate's own",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use toolgate_engine::reason::Reason;

    use super::meaning;

    #[test]
    fn every_reason_means_something() {
        for reason in Reason::ALL.iter().filter(|reason| **reason != Reason::Allowed) {
            assert_ne!(meaning(reason.as_str()), "", "{reason:?}");
        }
    }
}
