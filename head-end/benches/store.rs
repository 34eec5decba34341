//! Captures per second into a store, each batch durable before it is answered.
//!
//! ```text
//! cargo bench -p dlms-head-end --bench store
//! DLMS_TEST_POSTGRES=postgres://… cargo bench -p dlms-head-end --features postgres --bench store
//! ```
//!
//! The second measures a PostgreSQL server too, in a schema that is removed afterwards.
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

/// Captures that may wait.
const WAITING: usize = 4 * AT_ONCE * DAY;

async fn sqlite(folder: &Path, meters: usize) -> Result<f64, String> {
    let options = SqliteOptions { waiting_captures: WAITING, ..SqliteOptions::default() };
    measure(SqliteStore::open(folder, options).map_err(|error| error.to_string())?, meters).await
}

#[cfg(feature = "postgres")]
async fn postgres(server: &str, meters: usize) -> Result<f64, String> {
    use dlms_head_end::store::postgres::{PostgresOptions, PostgresStore};

    let text = |error: tokio_postgres::Error| error.to_string();
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await.map_err(text)?;
    tokio::spawn(connection);
    let schema = format!("bench_{}", std::process::id());
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.map_err(text)?;
    let url = format!("{server}{}options=-csearch_path%3D{schema}", if server.contains('?') { '&' } else { '?' });
    let url = url.parse().map_err(|error: dlms_head_end::store::postgres::DatabaseUrlError| error.to_string())?;
    let options = PostgresOptions { waiting_captures: WAITING, ..PostgresOptions::new(url) };
    let measured = match PostgresStore::open(options).await {
        Ok(store) => measure(store, meters).await,
        Err(error) => Err(error.to_string()),
    };
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.map_err(text)?;
    measured
}

/// Brings a day of `meters` meters; captures per second.
async fn measure<S: Store + Clone>(store: S, meters: usize) -> Result<f64, String> {
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
        println!("{:>10}  {:>8}  {:>12}  {:>12}", "store", "meters", "captures/s", "values/s");
        let show = |store, meters, rate: f64| {
            println!("{store:>10}  {meters:>8}  {rate:>12.0}  {:>12.0}", rate * 4.0);
        };
        for meters in counts {
            let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            show("SQLite", *meters, runtime.block_on(sqlite(folder.path(), *meters))?);
        }
        #[cfg(feature = "postgres")]
        if let Ok(server) = std::env::var("DLMS_TEST_POSTGRES")
            && server != "off"
        {
            for meters in counts {
                show("PostgreSQL", *meters, runtime.block_on(postgres(&server, *meters))?);
            }
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
