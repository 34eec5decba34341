//! One thing that is paid for (class 113).

use dlms::cosem::action::MonitoredValue;
use dlms::cosem::charge::ChargeType;
use dlms::obis::ObisCode;
use dlms::time::DateTime;

use crate::moment::Moment;
use crate::tariff::Name;

/// Prices by tariff.
pub const TARIFFS_MAX: usize = 8;

/// Collections that a charge makes up for one by one; a meter that is later makes one for several periods.
pub const COLLECTIONS_MAX: i64 = 1_024;

/// Powers of ten beyond this are not those of any price.
const POWER_MAX: u32 = 9;

/// The price for one tariff.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// Name of the tariff; empty for any.
    pub tariff: Name,
    /// Price for a unit.
    pub per_unit: i16,
}

/// Prices with their scalers.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitPrice {
    /// Power of ten of the commodity, of which a unit is paid for.
    pub commodity_scale: i8,
    /// Power of ten of the prices.
    pub price_scale: i8,
    /// The register of what is paid for.
    pub commodity: MonitoredValue,
    /// By tariff.
    pub prices: heapless::Vec<Price, TARIFFS_MAX>,
}

/// A charge of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    /// Logical name.
    pub instance: ObisCode,
    /// What was paid so far.
    pub paid: i32,
    /// Kind.
    pub kind: ChargeType,
    /// Order of collection.
    pub priority: u8,
    /// Price in use.
    pub active: UnitPrice,
    /// Price to come.
    pub passive: UnitPrice,
    /// When it is taken into use, as it was written, and as a moment.
    pub activation: (DateTime, Option<Moment>),
    /// Seconds between two collections.
    pub period_s: u32,
    /// Two bits from the most significant on: percentage based, continuous collection.
    pub configuration: u8,
    /// When was collected last.
    pub collected: Option<Moment>,
    /// What was collected last.
    pub last_amount: i32,
    /// What is still to be paid.
    pub remaining: i32,
    /// Share of a payment.
    pub proportion: u16,
    /// What the register showed at the last collection.
    pub counted: Option<i64>,
    /// What the last collection left over: of a unit of the currency, in parts of `10^9`.
    pub fraction: i64,
}

/// `value` times ten to a power; `None` where it does not fit.
fn scaled(value: i64, power: u32) -> Option<i64> {
    value.checked_mul(10_i64.checked_pow(power)?)
}

impl Charge {
    /// Begins to count.
    pub(super) fn begin(&mut self, at: Moment) {
        (self.collected, self.counted, self.fraction) = (Some(at), None, 0);
    }

    /// When it is to be collected, or the price changes, next, for a meter that makes up for the time until `until`.
    ///
    /// One that is late by more than [`COLLECTIONS_MAX`] collections makes each of them for several periods, so that their
    /// number stays bounded: the money is the same, and credit that runs out is noticed that much later.
    #[must_use]
    pub fn due(&self, until: Moment) -> Option<Moment> {
        [self.collection_due(until), self.activation.1].into_iter().flatten().min()
    }

    /// When it is to be collected next, as [`due`](Self::due) says.
    #[must_use]
    pub fn collection_due(&self, until: Moment) -> Option<Moment> {
        let every = self.period_s > 0 && matches!(self.kind, ChargeType::Consumption | ChargeType::Time);
        let last = self.collected.filter(|_| every)?;
        // Rounded up, and no more than have passed.
        let periods = self.passed_periods(until).saturating_add(COLLECTIONS_MAX - 1).div_euclid(COLLECTIONS_MAX).max(1);
        Some(last.plus_millis(self.period_ms().saturating_mul(periods)))
    }

    fn period_ms(&self) -> i64 {
        i64::from(self.period_s).saturating_mul(1000)
    }

    /// Whole periods since the last collection.
    fn passed_periods(&self, at: Moment) -> i64 {
        let since = self.collected.map_or(0, |last| at.as_millis().saturating_sub(last.as_millis()).max(0));
        since.checked_div(self.period_ms()).unwrap_or(0)
    }

    /// Takes the price to come into use. `coming` is what its commodity's register shows, from which on is counted if it
    /// is another than before.
    pub(super) fn change_price(&mut self, coming: i64) {
        if self.active.commodity != self.passive.commodity {
            self.counted = self.counted.map(|_| coming);
        }
        self.activation.1 = None;
        self.active = self.passive.clone();
    }

    fn price(&self, tariff: &[u8]) -> i64 {
        let of_tariff = self.active.prices.iter().find(|price| price.tariff.as_slice() == tariff);
        let any = || self.active.prices.iter().find(|price| price.tariff.is_empty());
        of_tariff.or_else(any).map_or(0, |price| price.per_unit.into())
    }

    /// The whole amount that `units` of ten to the `scale` cost, the fraction being kept.
    fn cost(&mut self, units: i64, scale: i8, tariff: &[u8], currency: i8) -> i32 {
        let power = i32::from(self.active.price_scale).saturating_sub(currency.into()).saturating_sub(scale.into());
        // In parts of 10^9, so that nothing of a usual price is lost.
        let parts = power.saturating_add(9);
        let product = units.saturating_mul(self.price(tariff));
        let parts = match u32::try_from(parts) {
            Ok(up) if up <= POWER_MAX.saturating_mul(2) => scaled(product, up).unwrap_or(i64::MAX),
            Ok(_) => i64::MAX,
            Err(_) => product.checked_div(10_i64.saturating_pow(parts.unsigned_abs())).unwrap_or(0),
        };
        let whole = parts.saturating_add(self.fraction);
        self.fraction = whole.rem_euclid(1_000_000_000);
        i32::try_from(whole.div_euclid(1_000_000_000)).unwrap_or(i32::MAX).max(0)
    }

    /// What has been consumed since the last collection costs so much. The first look only takes note.
    pub(super) fn consumed(&mut self, counted: i64, tariff: &[u8], currency: i8) -> i32 {
        let before = self.counted.replace(counted).unwrap_or(counted);
        let scale = self.active.commodity_scale;
        self.cost(counted.saturating_sub(before).max(0), scale, tariff, currency)
    }

    /// The periods that have passed cost so much: a unit each, and at least one.
    pub(super) fn passed(&mut self, tariff: &[u8], currency: i8, at: Moment) -> i32 {
        self.cost(self.passed_periods(at).max(1), 0, tariff, currency)
    }

    /// Notes a collection.
    pub(super) fn take(&mut self, amount: i32, at: Moment) {
        // Collections keep their rhythm, however late they are.
        let last = self.collected.filter(|_| self.passed_periods(at) > 0);
        let passed_ms = self.period_ms().saturating_mul(self.passed_periods(at));
        self.collected = Some(last.map_or(at, |last| last.plus_millis(passed_ms)));
        (self.last_amount, self.paid) = (amount, self.paid.saturating_add(amount));
        self.remaining = self.remaining.saturating_sub(amount).max(0);
    }
}
