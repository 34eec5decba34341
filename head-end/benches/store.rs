//! Captures per second into SQLite, each batch durable before it is answered.
//!
//! ```text
//! cargo bench -p dlms-head-end --bench store
//! ```
//!
//! A batch is a day of one meter: 96 quarter-hours with clock, status and four channels, as a collection brings them. It
//! goes the way of all readings: validated, flagged, stored with its coverage. Many meters are brought at the same time,
//! as the store commits together what waits together.

use std::{path::Path, process::ExitCode, sync::Arc, time::Instant};

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
    time::{ClockStatus, DateTime},
    unit::{ScalerUnit, Unit},
};
use dlms_head_end::{
    ingest,
    meter::TimeBasis,
    operation::{CaptureColumn, CaptureRow},
    store::{
        AppendOutcome, CaptureBatch, Source, Store,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

/// Captures of a day.
const DAY: usize = 96;

/// Meters whose days are brought at the same time.
const AT_ONCE: usize = 1_024;

fn columns() -> Arc<[CaptureColumn]> {
    let column = |class, obis, unit| CaptureColumn {
        class: ClassId(class),
        obis,
        attribute: AttributeId(2),
        data_index: 0,
        scaler_unit: unit,
    };
    let energy = Some(ScalerUnit { scaler: 0, unit: Unit(30) });
    let channel = |c| column(3, ObisCode([1, 0, c, 8, 0, 255]), energy);
    let (clock, status) = (ObisCode::CLOCK, ObisCode([0, 0, 96, 10, 1, 255]));
    Arc::new([column(8, clock, None), column(1, status, None), channel(1), channel(2), channel(3), channel(4)])
}

fn day(meter: usize, first: Timestamp, columns: &Arc<[CaptureColumn]>) -> Result<CaptureBatch, String> {
    let mut rows = Vec::with_capacity(DAY);
    for n in 0..DAY {
        let second = first.as_second() + 900 * n as i64;
        let clock = DateTime::from_unix_seconds(second, -60, ClockStatus(0));
        let energy = |channel: usize| Value::DoubleLongUnsigned((meter * 100 + n * 7 + channel) as u32);
        rows.push(CaptureRow {
            time: Timestamp::from_second(second).map_err(|error| error.to_string())?,
            time_basis: TimeBasis::MeterDeviation,
            clock: Some(clock),
            status: Some(0),
            values: vec![
                Value::OctetString(clock.to_bytes().to_vec()),
                Value::Unsigned(0),
                energy(0),
                energy(1),
                energy(2),
                energy(3),
            ],
        });
    }
    Ok(CaptureBatch {
        meter: format!("meter-{meter}").parse().map_err(|_| "not a name")?,
        profile: Some(ObisCode([1, 0, 99, 1, 0, 255])),
        columns: Arc::clone(columns),
        period_s: 900,
        rows,
        flags: Vec::new(),
        source: Source::Polled,
        received: first,
    })
}

/// Brings a day of `meters` meters; captures per second.
async fn measure(folder: &Path, meters: usize) -> Result<f64, String> {
    let options = SqliteOptions { waiting_captures: 4 * AT_ONCE * DAY, ..SqliteOptions::default() };
    let store = SqliteStore::open(folder, options).map_err(|error| error.to_string())?;
    let first: Timestamp = "2026-11-20T00:00:00Z".parse().map_err(|_| "not a time")?;
    let columns = columns();
    let days: Vec<_> = (0..meters).map(|meter| day(meter, first, &columns)).collect::<Result<_, _>>()?;
    let begun = Instant::now();
    let mut kept = stream::iter(days)
        .map(|day| {
            let store = store.clone();
            tokio::spawn(async move { ingest::keep(&store, day).await })
        })
        .buffer_unordered(AT_ONCE);
    let mut captures = 0;
    while let Some(kept) = kept.next().await {
        match kept.map_err(|error| error.to_string())?.map_err(|error| error.to_string())? {
            AppendOutcome::Stored(counts) => captures += counts.new,
            AppendOutcome::Kept(error) => return Err(error.to_string()),
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    store.close().await;
    if captures != (meters * DAY) as u64 {
        return Err(format!("{captures} captures were stored"));
    }
    Ok(captures as f64 / seconds)
}

fn main() -> ExitCode {
    // `cargo test --benches` runs this too, without `--bench`: then a few show that it works.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let counts: &[usize] = if measuring { &[1_000, 10_000, 20_000] } else { &[20] };
    let measured = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string());
    let measured = measured.and_then(|runtime| {
        println!("{:>8}  {:>12}  {:>12}", "meters", "captures/s", "values/s");
        for meters in counts {
            let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            let rate = runtime.block_on(measure(folder.path(), *meters))?;
            println!("{meters:>8}  {rate:>12.0}  {:>12.0}", rate * 4.0);
        }
        Ok(())
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
