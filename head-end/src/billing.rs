//! Billing periods: which row of a billing profile ends which of them.
//!
//! A meter captures its billing values at the end of each period (Blue Book, 0-b:98.1.e and 1-b:98.1.e, data of billing
//! periods). A row therefore belongs to the period that ends with it, and begins with the row before.

use std::sync::Arc;

use dlms::{cosem::profile_generic, obis::ObisCode};
use jiff::{SignedDuration, Timestamp};

use crate::{
    ingest::Kept,
    operation::{CaptureRow, Layer, ObjectModel, ProfileLayout, ProfileSelection, RequestError, RequestErrorKind},
};

/// The billing profile that most meters have.
const PROFILE: ObisCode = ObisCode([0, 0, 98, 1, 0, 255]);
/// Longer than a billing period lasts: how far before a moment the beginning of its period is looked for.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 400);

/// By how much a meter's clock may be ahead.
const LATEST: SignedDuration = SignedDuration::from_hours(24);

/// Which billing period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillingPeriod {
    /// Counted back from the last one that has ended, which is 1.
    Back(u32),
    /// The one that a moment lies in; the end of a period belongs to it, and not to the next.
    At(Timestamp),
}

/// The values of a billing period.
#[derive(Clone, Debug)]
pub struct BillingRead {
    /// What the values are.
    pub layout: Arc<ProfileLayout>,
    /// The values at the end of the period.
    pub row: CaptureRow,
    /// When the period began, where the meter holds the row before.
    pub start: Option<Timestamp>,
    /// When they reached us.
    pub received: Timestamp,
    /// What became of the rows in the store.
    pub kept: Kept,
}

/// The billing profile in an object model; the usual one where there is none, or nothing is known.
pub(crate) fn profile_of(model: Option<&ObjectModel>) -> ObisCode {
    let is_billing = |obis: ObisCode| matches!(obis.0, [0 | 1, _, 98, 1, _, _]);
    let objects = model.into_iter().flat_map(|model| &model.objects);
    let mut known = objects.filter(|of| of.class == profile_generic::CLASS_ID && is_billing(of.obis)).map(|of| of.obis);
    let first = known.next();
    match first {
        Some(first) if first != PROFILE && !known.any(|obis| obis == PROFILE) => first,
        _ => PROFILE,
    }
}

impl BillingPeriod {
    /// The rows in which it is found.
    pub(crate) fn selection(self, now: Timestamp) -> ProfileSelection {
        match self {
            // The row before says when it began.
            Self::Back(count) => ProfileSelection::Newest(count.saturating_add(1)),
            Self::At(moment) => ProfileSelection::Range {
                from: moment.saturating_sub(LONGEST).unwrap_or(Timestamp::MIN),
                // A clock that is ahead has captured later than now.
                to: now.saturating_add(LATEST).unwrap_or(Timestamp::MAX),
            },
        }
    }

    /// The row that ends it, and when it began, among rows in ascending order of time.
    pub(crate) fn find(self, rows: &[CaptureRow]) -> Result<(CaptureRow, Option<Timestamp>), RequestError> {
        let place = match self {
            Self::Back(count) => usize::try_from(count).ok().and_then(|count| rows.len().checked_sub(count)),
            Self::At(moment) => rows.iter().position(|row| row.time >= moment),
        };
        let found = place.and_then(|place| Some((place, rows.get(place)?)));
        let (place, row) = found.ok_or_else(|| self.missing(rows))?;
        let before = place.checked_sub(1).and_then(|before| rows.get(before));
        Ok((row.clone(), before.map(|row| row.time)))
    }

    fn missing(self, rows: &[CaptureRow]) -> RequestError {
        let message = match self {
            Self::Back(count) => format!("the meter holds {} billing periods, not {count}", rows.len()),
            Self::At(moment) => format!("no billing period of the meter that {moment} lies in has ended"),
        };
        RequestError::new(RequestErrorKind::NotFound, Layer::Meter, message)
    }
}

#[cfg(test)]
mod tests {
    use dlms::id::ClassId;

    use super::*;
    use crate::{meter::TimeBasis, operation::ModelObject};

    fn rows(times: &[&str]) -> Vec<CaptureRow> {
        let row = |time: &&str| CaptureRow {
            time: time.parse().unwrap(),
            time_basis: TimeBasis::MeterDeviation,
            clock: None,
            status: None,
            values: Vec::new(),
        };
        times.iter().map(row).collect()
    }

    #[test]
    fn a_period_ends_with_its_row_and_begins_with_the_one_before() {
        let rows = rows(&["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"]);
        let found = |period: BillingPeriod| {
            let (row, start) = period.find(&rows).ok()?;
            Some((row.time.to_string(), start.map(|start| start.to_string())))
        };
        let period = |end: &str, start: Option<&str>| Some((end.to_owned(), start.map(str::to_owned)));
        let february = period("2026-03-01T00:00:00Z", Some("2026-02-01T00:00:00Z"));
        let january = period("2026-02-01T00:00:00Z", Some("2026-01-01T00:00:00Z"));
        assert_eq!(found(BillingPeriod::Back(1)), february);
        assert_eq!(found(BillingPeriod::Back(2)), january);
        assert_eq!(found(BillingPeriod::Back(3)), period("2026-01-01T00:00:00Z", None));
        assert_eq!(found(BillingPeriod::Back(4)), None);
        let at = |text: &str| BillingPeriod::At(text.parse().unwrap());
        assert_eq!(found(at("2026-02-01T00:00:00Z")), january);
        assert_eq!(found(at("2026-02-01T00:00:00.001Z")), february);
        assert_eq!(found(at("2026-03-01T00:00:01Z")), None, "it has not ended");
        assert_eq!(BillingPeriod::Back(u32::MAX).find(&[]).unwrap_err().kind(), RequestErrorKind::NotFound);
    }

    #[test]
    fn the_profile_is_the_models_and_the_usual_one_where_several_are() {
        let object = |class, obis| ModelObject {
            class: ClassId(class),
            version: 1,
            obis: ObisCode(obis),
            attributes: Vec::new(),
            methods: Vec::new(),
            scaler_unit: None,
        };
        let model = |objects| ObjectModel { objects, ..Default::default() };
        let (own, load) = ([1, 0, 98, 1, 0, 255], [1, 0, 99, 1, 0, 255]);
        assert_eq!(profile_of(None), PROFILE);
        assert_eq!(profile_of(Some(&model(vec![object(7, load), object(3, own)]))), PROFILE);
        assert_eq!(profile_of(Some(&model(vec![object(7, load), object(7, own)]))), ObisCode(own));
        assert_eq!(profile_of(Some(&model(vec![object(7, own), object(7, PROFILE.0)]))), PROFILE);
    }
}
