//! Numbers, byte by byte.

/// How far a number has come: [RFC 8259, section 6](https://www.rfc-editor.org/rfc/rfc8259#section-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    Power,
}

impl Digits {
    /// After the first byte.
    pub(super) const fn new(first: u8) -> Digits {
        match first {
            b'-' => Digits::Minus,
            b'0' => Digits::Zero,
            _ => Digits::Integer,
        }
    }

    /// After one more byte; `None` if it does not belong to the number.
    pub(super) const fn next(self, byte: u8) -> Option<Digits> {
        Some(match (self, byte) {
            (Digits::Minus, b'0') => Digits::Zero,
            (Digits::Minus | Digits::Integer, b'0'..=b'9') => Digits::Integer,
            (Digits::Zero | Digits::Integer, b'.') => Digits::Point,
            (Digits::Point | Digits::Fraction, b'0'..=b'9') => Digits::Fraction,
            (Digits::Zero | Digits::Integer | Digits::Fraction, b'e' | b'E') => Digits::Exponent,
            (Digits::Exponent, b'+' | b'-') => Digits::ExponentSign,
            (Digits::Exponent | Digits::ExponentSign | Digits::Power, b'0'..=b'9') => Digits::Power,
            _ => return None,
        })
    }

    /// Whether it could end here.
    pub(super) const fn is_complete(self) -> bool {
        matches!(
            self,
            Digits::Zero | Digits::Integer | Digits::Fraction | Digits::Power
        )
    }
}

/// What follows a number, after its first byte; `None` if it does not end here, or is none.
pub(super) fn after_number(first: u8, mut rest: &[u8]) -> Option<&[u8]> {
    let mut digits = Digits::new(first);
    loop {
        let (&byte, tail) = rest.split_first()?;
        let Some(next) = digits.next(byte) else {
            return digits.is_complete().then_some(rest);
        };
        digits = next;
        rest = tail;
    }
}
