//! Money in the 32 bits that the service has for a limit.

/// The power of ten of micros that a budget is counted in: the smallest with which its limit fits.
///
/// Limits are rounded down and what is charged is rounded up, so that never more is spent than the policy says. One
/// unit is less than 10 / 2³² of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// The exponent.
    pub(super) exponent: u32,
    unit: u64,
}

impl Scale {
    /// Micros as they are.
    pub(super) const MICROS: Scale = Scale { exponent: 0, unit: 1 };

    /// The scale of a limit in micros, and the limit in it.
    pub(super) fn of(limit: u64) -> (Scale, u32) {
        let mut scale = Scale::MICROS;
        loop {
            // Ends at the latest at 10¹⁰, with which every 64-bit number fits.
            match (u32::try_from(limit / scale.unit), scale.unit.checked_mul(10)) {
                (Ok(units), _) => return (scale, units),
                (Err(_), None) => return (scale, u32::MAX),
                (Err(_), Some(unit)) => {
                    scale = Scale {
                        exponent: scale.exponent + 1,
                        unit,
                    };
                }
            }
        }
    }

    /// What is charged for an amount of micros. At least one: what costs nothing yet, because its price is only known
    /// with its result, must not pass when everything is spent.
    pub(super) fn charged(self, micros: u64) -> u64 {
        micros.div_ceil(self.unit).max(1)
    }

    /// The most micros that are charged as that many units.
    pub(super) fn micros(self, units: u32) -> u64 {
        u64::from(units).saturating_mul(self.unit)
    }
}
