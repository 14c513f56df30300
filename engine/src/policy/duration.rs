//! Durations: a number with `s`, `m`, `h` or `d`, as in `"15s"` or `"0.5s"`.

use std::time::Duration;

/// What people are told is allowed.
pub(super) const ALLOWED: &str = "a number with s, m, h or d, like \"15s\"";

/// Reads a duration; at most three digits after the point. Errors are hints for people.
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
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "" => return Err(Some(format!("did you mean \"{text}s\"?"))),
        "ms" => {
            return Err(Some(
                "write milliseconds as a fraction of a second, like \"0.25s\"".to_owned(),
            ));
        }
        _ => return Err(None),
    };
    let thousandths = || {
        let whole: u64 = whole.parse().ok()?;
        let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
        whole
            .checked_mul(1_000)?
            .checked_add(fraction)?
            .checked_mul(seconds)
    };
    thousandths().map(Duration::from_millis).ok_or(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit() {
        for (text, millis) in [
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
            "", "s", "15", "15 s", " 15s", "-1s", "+1s", "1.s", ".5s", "1.2345s", "1w", "50ms", "1e3s",
            "1.2.3s", "１s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("99999999999999999999d").is_err());
        assert!(parse("18446744073709551615d").is_err());
    }

    #[test]
    fn hints() {
        assert_eq!(parse("15"), Err(Some("did you mean \"15s\"?".to_owned())));
        assert!(parse("50ms").unwrap_err().unwrap().contains("0.25s"));
    }
}
