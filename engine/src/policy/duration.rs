//! Durations: a number with `ms`, `s`, `m`, `h` or `d`, as in `"15s"`, `"0.5s"` or `"250ms"`.

use std::time::Duration;

/// What people are told is allowed.
pub(super) const ALLOWED: &str = "a number with ms, s, m, h or d, like \"15s\"";

/// Reads a duration in whole milliseconds; at most three digits after the point. Errors are hints for people.
pub(super) fn parse(text: &str) -> Result<Duration, Option<String>> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return Err(None);
    }
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(Some(format!("did you mean \"{text}s\" or \"{text}ms\"?"))),
        unit => return Err(meant(number, unit)),
    };
    if unit == "ms" && fraction.bytes().any(|b| b != b'0') {
        return Err(Some("a millisecond is the shortest step".to_owned()));
    }
    let thousandths = || {
        let whole: u64 = whole.parse().ok()?;
        let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
        whole
            .checked_mul(1_000)?
            .checked_add(fraction)?
            .checked_mul(milliseconds)
    };
    // Whole: three digits of every unit but the millisecond, which has none.
    thousandths()
        .map(|thousandths| Duration::from_millis(thousandths / 1_000))
        .ok_or(None)
}

/// What somebody meant who wrote another unit.
fn meant(number: &str, unit: &str) -> Option<String> {
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "ms" | "msec" | "millis" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "w" | "week" | "weeks" => {
            let days = number.parse::<u64>().ok()?.checked_mul(7)?;
            return Some(format!("did you mean \"{days}d\"?"));
        }
        _ => return None,
    };
    Some(format!("did you mean \"{number}{unit}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit() {
        for (text, millis) in [
            ("50ms", 50),
            ("1.0ms", 1),
            ("0ms", 0),
            ("15s", 15_000),
            ("0.5s", 500),
            ("1.025s", 1_025),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "", "s", "15", "15 s", " 15s", "-1s", "+1s", "1.s", ".5s", "1.2345s", "1w", "1.5ms", "50 ms",
            "50MS", "1e3s", "1.2.3s", "１s", "1us", "1mo",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("99999999999999999999d").is_err());
        assert!(parse("18446744073709551615d").is_err());
    }

    #[test]
    fn hints() {
        for (text, hint) in [
            ("15", "did you mean \"15s\" or \"15ms\"?"),
            ("5min", "did you mean \"5m\"?"),
            ("1.5 Hours", "did you mean \"1.5h\"?"),
            ("2w", "did you mean \"14d\"?"),
        ] {
            assert_eq!(parse(text), Err(Some(hint.to_owned())), "{text}");
        }
        assert_eq!(parse("1.5w"), Err(None));
        assert_eq!(parse("3mo"), Err(None));
        assert!(parse("0.5ms").unwrap_err().unwrap().contains("millisecond"));
    }
}
