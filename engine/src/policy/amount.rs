//! Amounts as written: decimal text to integers, without a float in between.

use super::Micros;

/// The most that an amount can be: a million million currency units.
pub(super) const MAX: Micros = Micros(1_000_000_000_000 * Micros::PER_UNIT);

/// What people are told is allowed.
pub(super) const ALLOWED: &str = "0 to 1000000000000 currency units, with up to six decimals";

/// The same where there must be something.
pub(super) const ALLOWED_ABOVE_ZERO: &str =
    "more than 0, up to 1000000000000 currency units, with up to six decimals";

/// Why a number is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It is less than nothing.
    Negative,
    /// It is more than [`MAX`].
    TooLarge,
    /// It has more than six decimals; the nearest amount above zero that has not.
    TooFine(Micros),
}

/// Reads a JSON number ([RFC 8259 §6](https://www.rfc-editor.org/rfc/rfc8259#section-6)) to the last digit.
pub(super) fn parse(number: &str) -> Result<Micros, Misfit> {
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(Micros(0));
    }
    if negative {
        return Err(Misfit::Negative);
    }
    // The amount is `significant` times ten to the power of `shift`, in millionths.
    let shift = power(exponent)
        .saturating_sub(length(fraction))
        .saturating_add(length(&digits) - length(significant))
        .saturating_add(6);
    let significant = significant.trim_start_matches('0');
    let kept = length(significant).saturating_add(shift.min(0)).max(0);
    let kept = usize::try_from(kept).unwrap_or_default();
    let (kept, cut) = significant.split_at_checked(kept).unwrap_or((significant, ""));
    let kept = if kept.is_empty() { "0" } else { kept };
    let scale = u32::try_from(shift.max(0)).unwrap_or(u32::MAX);
    let micros = kept
        .parse()
        .ok()
        .and_then(|kept: u64| kept.checked_mul(10_u64.checked_pow(scale)?))
        .filter(|micros| *micros < MAX.0 || (*micros == MAX.0 && cut.is_empty()));
    match micros {
        None => Err(Misfit::TooLarge),
        Some(micros) if cut.is_empty() => Ok(Micros(micros)),
        Some(micros) => {
            let nearest = micros + u64::from(cut >= "5");
            Err(Misfit::TooFine(Micros(nearest.max(1))))
        }
    }
}

/// The exponent; far beyond every bound if it is too long to be read.
fn power(exponent: &str) -> i64 {
    let far = if exponent.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    exponent.parse().unwrap_or(far)
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_last_digit() {
        for (text, micros) in [
            ("0", 0),
            ("-0.0", 0),
            ("0e999999999999999999999", 0),
            ("0.1", 100_000),
            ("0.000001", 1),
            ("1e-6", 1),
            ("1E-6", 1),
            ("0.0000010000", 1),
            ("1000e-9", 1),
            ("0.07", 70_000),
            ("4.35", 4_350_000),
            ("1.1e1", 11_000_000),
            ("12.5e+2", 1_250_000_000),
            ("9007199254.740993", 9_007_199_254_740_993),
            ("999999999999.999999", 999_999_999_999_999_999),
            ("1000000000000", MAX.0),
            ("1e12", MAX.0),
            ("1000000000000.000000000", MAX.0),
        ] {
            assert_eq!(parse(text), Ok(Micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_says_why() {
        for (text, misfit) in [
            ("-1", Misfit::Negative),
            ("-0.0000001", Misfit::Negative),
            ("1000000000000.000001", Misfit::TooLarge),
            ("1e13", Misfit::TooLarge),
            ("1e300", Misfit::TooLarge),
            ("1e99999999999999999999999", Misfit::TooLarge),
            ("123456789012345678901234567890", Misfit::TooLarge),
            ("0.0000001", Misfit::TooFine(Micros(1))),
            ("1e-99999999999999999999999", Misfit::TooFine(Micros(1))),
            ("0.0025005", Misfit::TooFine(Micros(2_501))),
            ("1.00000000000000000001", Misfit::TooFine(Micros(1_000_000))),
            ("1.0000005", Misfit::TooFine(Micros(1_000_001))),
            ("0.00000000009", Misfit::TooFine(Micros(1))),
            ("1000000000000.0000001", Misfit::TooLarge),
        ] {
            assert_eq!(parse(text), Err(misfit), "{text}");
        }
    }
}
