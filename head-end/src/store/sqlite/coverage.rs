//! Coverage bitmaps in the files of readings.

use std::ops::Range;

use dlms::obis::ObisCode;
use jiff::Timestamp;
use rusqlite::params;

use super::{SqliteStore, failure::Context, query::meter_number, reader::Months};
use crate::{
    meter::MeterId,
    store::{Coverage, CoverageStore, Grid, StoreError, coverage, month::Month, pieces::absent},
};

impl CoverageStore for SqliteStore {
    async fn coverage(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        span: Range<Timestamp>,
    ) -> Result<Coverage, StoreError> {
        let meter = meter.clone();
        self.0.readers.months(move |months| read(months, &meter, profile, span)).await
    }

    async fn mark_absent(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        grid: Grid,
        slots: Vec<Range<i64>>,
    ) -> Result<(), StoreError> {
        self.0.readings.mark_absent(absent(meter, profile, grid, slots.into_iter().flatten())).await
    }
}

fn read(
    mut months: Months<'_>,
    meter: &MeterId,
    profile: ObisCode,
    span: Range<Timestamp>,
) -> Result<Coverage, StoreError> {
    let span = coverage::around(span);
    let wanted = Month::of(span.start)..=Month::of(span.end);
    let days = coverage::days(&span);
    let mut coverage = Coverage::default();
    for month in months.stored()?.into_iter().filter(|month| wanted.contains(month)) {
        let (db, file) = (months.get(month)?, month.to_string());
        let Some(id) = meter_number(db, &file, meter)? else { continue };
        let action = "reading coverage";
        let mut select = db
            .prepare_cached(
                "SELECT period_s, day, held, absent FROM coverage
                 WHERE meter = ?1 AND profile = ?2 AND day BETWEEN ?3 AND ?4",
            )
            .context(&file, action)?;
        let mut rows = select.query(params![id, profile.0, days.start(), days.end()]).context(&file, action)?;
        while let Some(row) = rows.next().context(&file, action)? {
            let (held, absent): (Vec<u8>, Vec<u8>) =
                (row.get(2).context(&file, action)?, row.get(3).context(&file, action)?);
            coverage.add(row.get(0).context(&file, action)?, row.get(1).context(&file, action)?, &held, &absent);
        }
    }
    Ok(coverage)
}
