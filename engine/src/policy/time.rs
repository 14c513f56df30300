//! Timestamps ([RFC 3339 §5.6](https://www.rfc-editor.org/rfc/rfc3339#section-5.6)) to Unix seconds.

/// What people are told is allowed.
pub(super) const ALLOWED: &str = "an RFC 3339 timestamp like \"2027-01-31T00:00:00Z\"";

/// Unix seconds of a timestamp from 1970 on; a fraction of a second is cut off, so that a key ends
/// early rather than late. Leap seconds are refused: Unix time has none.
pub(super) fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let year = number(&mut rest, 4)?;
    mark(&mut rest, "-")?;
    let month = number(&mut rest, 2).filter(|month| (1..=12).contains(month))?;
    mark(&mut rest, "-")?;
    let day = number(&mut rest, 2).filter(|day| (1..=days_in(year, month)).contains(day))?;
    mark(&mut rest, "Tt")?;
    let hour = number(&mut rest, 2).filter(|hour| *hour <= 23)?;
    mark(&mut rest, ":")?;
    let minute = number(&mut rest, 2).filter(|minute| *minute <= 59)?;
    mark(&mut rest, ":")?;
    let second = number(&mut rest, 2).filter(|second| *second <= 59)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == fraction.len() {
            return None;
        }
    }
    let offset = offset(rest)?;
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    u64::try_from(seconds).ok()
}

/// Seconds east of UTC.
fn offset(text: &str) -> Option<i64> {
    let mut rest = text;
    let sign = match mark(&mut rest, "Zz+-")? {
        '+' => 1,
        '-' => -1,
        _ => return rest.is_empty().then_some(0),
    };
    let hour = number(&mut rest, 2).filter(|hour| *hour <= 23)?;
    mark(&mut rest, ":")?;
    let minute = number(&mut rest, 2).filter(|minute| *minute <= 59)?;
    rest.is_empty().then_some(sign * (hour * 3_600 + minute * 60))
}

/// Takes exactly `width` digits.
fn number(rest: &mut &str, width: usize) -> Option<i64> {
    let (digits, tail) = rest.split_at_checked(width)?;
    *rest = tail;
    digits
        .bytes()
        .try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// Takes one of `any`.
fn mark(rest: &mut &str, any: &str) -> Option<char> {
    let c = rest.chars().next().filter(|c| any.contains(*c))?;
    *rest = rest.strip_prefix(c)?;
    Some(c)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted in years that begin in March so that the leap
/// day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days_before_month = (153 * month + 2) / 5;
    year * 365 + leap_days + days_before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2027-01-31T00:00:00Z", 1_801_353_600),
            ("2027-01-31t00:00:00z", 1_801_353_600),
            ("2027-01-31T02:00:00+02:00", 1_801_353_600),
            ("2027-01-30T18:30:00-05:30", 1_801_353_600),
            ("2027-01-31T00:00:00.999Z", 1_801_353_600),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("2038-01-19T03:14:08Z", 2_147_483_648),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2027-01-31",
            "2027-01-31 00:00:00Z",
            "2027-01-31T00:00:00",
            "2027-01-31T00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-00-01T00:00:00Z",
            "2027-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2027-04-31T00:00:00Z",
            "2027-01-00T00:00:00Z",
            "2027-01-31T24:00:00Z",
            "2027-01-31T00:60:00Z",
            "2027-06-30T23:59:60Z",
            "2027-01-31T00:00:00.Z",
            "2027-01-31T00:00:00+0200",
            "2027-01-31T00:00:00+24:00",
            "2027-01-31T00:00:00ZZ",
            "+027-01-31T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "２027-01-31T00:00:00Z",
            "2027-01-31T00:00:00Z ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
