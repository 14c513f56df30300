//! The aggregates as one table, [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180) but for its line ends, which are
//! those of other text here.

use super::Report;
use super::tally::{Dimension, Entry};
use crate::style::steers;

const HEADER: &str =
    "dimension,name,calls,refused,would_deny,failed,cost_micros,result_tokens,p50_ms,p95_ms,max_ms";

/// A row for all calls together and for each team, key and tool; refusals by reason behind them.
pub(super) fn table(report: &Report) -> String {
    let mut rows = vec![HEADER.to_owned(), row("all", "", &report.total)];
    for (dimension, names) in report.dimensions() {
        rows.extend(of(dimension, names));
    }
    for (name, count) in report.refused.sorted() {
        rows.push(format!(
            "refused_requests,{},{count},{count},0,0,0,0,,,",
            cell(name)
        ));
    }
    for (name, count) in report.would_deny.sorted() {
        rows.push(format!(
            "would_deny_requests,{},{count},0,{count},0,0,0,,,",
            cell(name)
        ));
    }
    rows.push(String::new());
    rows.join("\n")
}

fn of(dimension: &str, names: &Dimension) -> Vec<String> {
    let mut rows: Vec<String> = names
        .sorted()
        .into_iter()
        .map(|(name, entry)| row(dimension, name, entry))
        .collect();
    for (name, entry) in [("(none)", &names.none), ("(other)", &names.other)] {
        if entry.counts.calls > 0 {
            rows.push(row(dimension, name, entry));
        }
    }
    rows
}

fn row(dimension: &str, name: &str, entry: &Entry) -> String {
    let counts = &entry.counts;
    let numbers = [
        counts.calls,
        counts.refused,
        counts.would_deny,
        counts.failed,
        counts.cost_micros,
        counts.tokens,
    ];
    let numbers = numbers.map(|number| number.to_string()).join(",");
    let times = if entry.times.count() == 0 {
        ",,".to_owned()
    } else {
        [0.5, 0.95, 1.0]
            .map(|share| entry.times.quantile(share).to_string())
            .join(",")
    };
    format!("{dimension},{},{numbers},{times}", cell(name))
}

/// A name that no spreadsheet takes for a formula: <https://owasp.org/www-community/attacks/CSV_Injection>.
fn cell(name: &str) -> String {
    let mut text: String = name
        .chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect();
    // White space in front is passed over by some.
    if text
        .trim_start()
        .starts_with(['=', '+', '-', '@', '\u{fffd}', '＝', '＋', '－', '＠'])
    {
        text.insert(0, '\'');
    }
    if text.contains(['"', ',', '\n', '\r', ';', '\'']) || text.trim() != text {
        text = format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn no_name_is_a_formula_or_ends_its_cell() {
        for (name, shown) in [
            ("docs/search", "docs/search"),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            (" =1", "\"' =1\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\r\n=b", "a\u{fffd}\u{fffd}=b"),
            ("\t=b", "\"'\u{fffd}=b\""),
        ] {
            assert_eq!(cell(name), shown);
        }
    }
}
