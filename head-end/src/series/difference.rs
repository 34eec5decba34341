//! Consumption between two readings of a counting register.

use rust_decimal::Decimal;

use super::Sample;

/// Digits of registers that roll over in decimal, from the fewest that meters have to the most.
const DIGITS: std::ops::RangeInclusive<u32> = 4..=18;

/// A register that counts up and begins again at 0 when it is full.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counter {
    /// The value at which the register begins again at 0, in its unit; `None` where that is not known:
    /// then the largest value of its type and full decimal registers are tried.
    pub capacity: Option<Decimal>,
}

/// Why there is no difference between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// The register went back, but was not nearly full: another meter, or a reset.
    NonMonotonic,
    /// The difference does not fit into a decimal.
    OutOfRange,
}

impl Counter {
    /// What was counted from `before` to `after`.
    ///
    /// # Errors
    /// [`Anomaly`].
    pub fn difference(self, before: &Sample, after: &Sample) -> Result<Decimal, Anomaly> {
        let difference = after.value.checked_sub(before.value).ok_or(Anomaly::OutOfRange)?;
        if !difference.is_sign_negative() {
            return Ok(difference);
        }
        let capacity = match self.capacity {
            Some(capacity) => Some(capacity).filter(|capacity| before.value < *capacity),
            None => overflow(before, after),
        };
        let capacity = capacity.ok_or(Anomaly::NonMonotonic)?;
        difference.checked_add(capacity).ok_or(Anomaly::OutOfRange)
    }
}

/// Where the register overflowed, if it did: it was in the last tenth of its range and is in the first.
fn overflow(before: &Sample, after: &Sample) -> Option<Decimal> {
    let decimal = DIGITS.filter_map(|digits| {
        // A register shows so many digits of what it counts, the scaler's decimals among them.
        let full = 10_i128.checked_pow(digits)?;
        Decimal::try_from_i128_with_scale(full, before.value.scale()).ok()
    });
    let wrapped = |capacity: &Decimal| {
        let tenth = capacity / Decimal::TEN;
        before.value < *capacity && before.value >= capacity - tenth && after.value < tenth
    };
    decimal.chain(after.modulus).find(wrapped)
}
