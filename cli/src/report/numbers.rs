//! Numbers and times as people read them.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// With separators: `1,234,567`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits, for where there is little room: `1.23 M`.
pub(crate) fn short(value: u64) -> String {
    const UNITS: [(u64, &str); 5] = [
        (1_000_000_000_000_000, "P"),
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
        (1_000, "k"),
    ];
    if value < 10_000 {
        return count(value);
    }
    let unit = UNITS.iter().find(|(unit, _)| value >= *unit);
    let Some((unit, letter)) = unit else {
        return count(value);
    };
    let (whole, rest) = (value / unit, value % unit);
    let hundredths = rest / (unit / 100);
    match whole {
        100.. => format!("{} {letter}", count(whole)),
        10..100 => format!("{whole}.{} {letter}", hundredths / 10),
        _ => format!("{whole}.{hundredths:02} {letter}"),
    }
}

/// Units of currency from millionths: `1,234.50`; what is less than a unit with up to six digits.
pub(crate) fn cost(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    if whole == 0 && rest > 0 {
        let digits = format!("{rest:06}");
        let end = digits.trim_end_matches('0').len().max(2);
        return format!("0.{}", digits.get(..end).unwrap_or_default());
    }
    format!("{}.{:02}", count(whole), rest / 10_000)
}

/// A time span: `840 ms`, `1.2 s`, `3 min 5 s`.
pub(crate) fn milliseconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => span(ms / 1_000),
    }
}

/// A time span in its two largest units.
pub(crate) fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    for (index, (unit, name)) in UNITS.iter().enumerate() {
        if seconds >= *unit {
            let whole = format!("{} {name}", count(seconds / unit));
            let rest = UNITS
                .get(index + 1)
                .map(|(smaller, name)| (seconds % unit / smaller, name));
            return match rest {
                Some((rest, name)) if rest > 0 => format!("{whole} {rest} {name}"),
                _ => whole,
            };
        }
    }
    "0 s".to_owned()
}

/// A share: `3.4 %`; what is not nothing is never `0.0 %`.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0 %".to_owned();
    }
    let thousandths = u128::from(part) * 1000 / u128::from(whole);
    match thousandths {
        0 => "< 0.1 %".to_owned(),
        1000 => "100 %".to_owned(),
        _ => format!("{}.{} %", thousandths / 10, thousandths % 10),
    }
}

/// `20 Nov 2026 21:24`, in UTC.
pub(crate) fn time(ms: i64) -> String {
    formatted(
        ms,
        format_description!("[day padding:none] [month repr:short] [year] [hour]:[minute]"),
    )
}

/// `20 Nov 21:24:09`.
pub(crate) fn second(ms: i64) -> String {
    formatted(
        ms,
        format_description!("[day padding:none] [month repr:short] [hour]:[minute]:[second]"),
    )
}

/// `21:24:09.914`.
pub(crate) fn clock(ms: i64) -> String {
    formatted(
        ms,
        format_description!("[hour]:[minute]:[second].[subsecond digits:3]"),
    )
}

/// For an axis: as much of a time as differs between ticks of that many seconds.
pub(crate) fn tick(ms: i64, step: i64) -> String {
    match step {
        0..60 => formatted(ms, format_description!("[hour]:[minute]:[second]")),
        60..86_400 if ms.rem_euclid(86_400_000) != 0 => formatted(ms, format_description!("[hour]:[minute]")),
        60..2_419_200 => formatted(ms, format_description!("[day padding:none] [month repr:short]")),
        _ => formatted(ms, format_description!("[month repr:short] [year]")),
    }
}

fn formatted(ms: i64, format: &[BorrowedFormatItem<'_>]) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| format!("{ms} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_people_read_them() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [9_999, 10_000, 123_456, 1_234_567, 19_900_000, u64::MAX].map(short),
            ["9,999", "10.0 k", "123 k", "1.23 M", "19.9 M", "18,446 P"]
        );
        assert_eq!(
            [0, 1, 2_000, 500_000, 1_000_000, 1_234_567_890].map(cost),
            ["0.00", "0.000001", "0.002", "0.50", "1.00", "1,234.56"]
        );
        assert_eq!(
            [0, 999, 1_250, 185_000].map(milliseconds),
            ["0 ms", "999 ms", "1.2 s", "3 min 5 s"]
        );
        assert_eq!(
            [0, 59, 3_600, 90_061].map(span),
            ["0 s", "59 s", "1 h", "1 d 1 h"]
        );
        assert_eq!(
            [(0, 0), (0, 5), (1, 5_000), (1, 3), (5, 5)].map(|(part, whole)| percent(part, whole)),
            ["0 %", "0 %", "< 0.1 %", "33.3 %", "100 %"]
        );
    }

    #[test]
    fn times_are_in_utc_and_as_fine_as_they_differ() {
        let ms = 1_795_209_849_914;
        assert_eq!(time(ms), "20 Nov 2026 21:24");
        assert_eq!(second(ms), "20 Nov 21:24:09");
        assert_eq!(tick(ms - ms % 86_400_000, 21_600), "20 Nov");
        assert_eq!(clock(ms), "21:24:09.914");
        assert_eq!(
            [1, 300, 86_400, 2_419_200].map(|width| tick(ms, width)),
            ["21:24:09", "21:24", "20 Nov", "Nov 2026"]
        );
        assert_eq!(time(i64::MAX), format!("{} ms", i64::MAX));
    }
}
