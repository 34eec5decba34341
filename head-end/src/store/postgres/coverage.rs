//! Coverage bitmaps.

use std::ops::Range;

use deadpool_postgres::GenericClient;
use dlms::obis::ObisCode;
use jiff::Timestamp;

use super::{
    PostgresStore,
    pool::{get, rows, unsigned},
};
use crate::{
    meter::MeterId,
    store::{Coverage, CoverageStore, Grid, StoreError, coverage, pieces::absent},
};

impl CoverageStore for PostgresStore {
    async fn coverage(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        span: Range<Timestamp>,
    ) -> Result<Coverage, StoreError> {
        let meter = meter.clone();
        let action = "reading coverage";
        self.0.connections.read(action, move |db| Box::pin(read(db, meter, profile, span))).await
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

async fn read(
    db: &impl GenericClient,
    meter: MeterId,
    profile: ObisCode,
    span: Range<Timestamp>,
) -> Result<Coverage, StoreError> {
    let days = coverage::days(&coverage::around(span));
    let sql = "SELECT period_s, day, held, absent FROM coverage
               WHERE meter = (SELECT id FROM reading_meters WHERE name = $1) AND profile = $2
                 AND day BETWEEN $3 AND $4";
    let values = (meter.as_str(), &profile.0[..], *days.start(), *days.end());
    let rows = rows(db, "reading coverage", sql, &[&values.0, &values.1, &values.2, &values.3]).await?;
    let mut coverage = Coverage::default();
    for row in &rows {
        coverage.add(unsigned(row, 0)?, get(row, 1)?, get(row, 2)?, get(row, 3)?);
    }
    Ok(coverage)
}
