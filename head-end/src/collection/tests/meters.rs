//! Meters in memory that answer at once, by the clock of the test.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
    time::{ClockStatus, DateTime},
};
use jiff::Timestamp;

use crate::{
    clock::{Clock, TestClock},
    meter::{MeterId, TimeBasis},
    operation::{
        AttributeRef, AttributeValue, CaptureColumn, CaptureRow, Layer, MeterAccess, Operation, Outcome, ProfileLayout,
        ProfileReading, ProfileSelection, RegisterReading, RequestError, RequestErrorKind, Terms,
    },
    store::{ModelStore, sqlite::SqliteStore},
};

/// How a meter behaves.
#[derive(Clone, Debug)]
pub(super) struct Behaviour {
    /// From when on it captures how often, in seconds, in order.
    pub(super) periods: Vec<(Timestamp, u32)>,
    /// Rows that its buffer holds.
    pub(super) entries: i64,
    /// By how much its clock is fast, in seconds.
    pub(super) fast_s: i64,
    /// What it fails with.
    pub(super) fails: Option<RequestErrorKind>,
    /// After how many rows the line is lost.
    pub(super) breaks: Option<usize>,
    /// Whether each row comes twice.
    pub(super) doubles: bool,
    /// What it adds to each value.
    pub(super) adds: u32,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            periods: vec![(Timestamp::UNIX_EPOCH, 900)],
            entries: 10_000,
            fast_s: 0,
            fails: None,
            breaks: None,
            doubles: false,
            adds: 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct Meters {
    store: Arc<SqliteStore>,
    clock: Arc<TestClock>,
    behaviours: Mutex<HashMap<MeterId, Behaviour>>,
    /// What profiles were asked for, in order.
    asked: Mutex<Vec<(MeterId, ObisCode, Range<Timestamp>)>>,
    /// Operations at the same time: now, and at most.
    pub(super) at_once: (AtomicUsize, AtomicUsize),
}

fn columns() -> Vec<CaptureColumn> {
    let column = |class, obis| CaptureColumn {
        class: ClassId(class),
        obis,
        attribute: AttributeId(2),
        data_index: 0,
        scaler_unit: None,
    };
    vec![column(8, ObisCode::CLOCK), column(3, ObisCode([1, 0, 1, 8, 0, 255]))]
}

impl Meters {
    pub(super) fn new(store: Arc<SqliteStore>, clock: Arc<TestClock>) -> Self {
        Self { store, clock, behaviours: Mutex::default(), asked: Mutex::default(), at_once: Default::default() }
    }

    pub(super) fn set(&self, meter: &MeterId, behaviour: Behaviour) {
        self.behaviours.lock().unwrap().insert(meter.clone(), behaviour);
    }

    pub(super) fn asked(&self) -> MutexGuard<'_, Vec<(MeterId, ObisCode, Range<Timestamp>)>> {
        self.asked.lock().unwrap()
    }

    fn behaviour(&self, meter: &MeterId) -> Behaviour {
        self.behaviours.lock().unwrap().get(meter).cloned().unwrap_or_default()
    }

    fn rows(&self, behaviour: &Behaviour, span: &Range<Timestamp>) -> Vec<CaptureRow> {
        let own = self.clock.now().as_second() + behaviour.fast_s;
        let mut rows = Vec::new();
        for (index, (from, period)) in behaviour.periods.iter().enumerate() {
            let period = i64::from(*period);
            let until = behaviour.periods.get(index + 1).map_or(i64::MAX, |(next, _)| next.as_second());
            // No further back than a test looks: 40 days.
            let first = from.as_second().max(own - 40 * 86_400).div_euclid(period);
            let moments = (first..=own.div_euclid(period)).map(|slot| slot * period);
            rows.extend(moments.filter(|moment| *moment >= from.as_second() && *moment < until));
        }
        let kept = rows.len().saturating_sub(usize::try_from(behaviour.entries).unwrap());
        let row = |moment: i64| CaptureRow {
            time: Timestamp::from_second(moment).unwrap(),
            time_basis: TimeBasis::MeterDeviation,
            clock: Some(DateTime::from_unix_seconds(moment, 0, ClockStatus(0))),
            status: None,
            values: vec![Value::Null, Value::DoubleLongUnsigned(u32::try_from(moment / 60).unwrap() + behaviour.adds)],
        };
        let rows = rows.into_iter().skip(kept).map(row).filter(|row| span.contains(&row.time));
        match behaviour.doubles {
            true => rows.flat_map(|row| [row.clone(), row]).collect(),
            false => rows.collect(),
        }
    }

    async fn profile(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        selection: ProfileSelection,
    ) -> Result<Outcome, RequestError> {
        let ProfileSelection::Range { from, to } = selection else { panic!("{selection:?}") };
        self.asked().push((meter.clone(), profile, from..to));
        let behaviour = self.behaviour(meter);
        let layout = match self.store.profile_layout(meter, profile).await? {
            Some(layout) => Arc::new(layout),
            None => {
                let capture_period_s = behaviour.periods.last().unwrap().1;
                let layout = ProfileLayout {
                    profile,
                    columns: columns(),
                    capture_period_s,
                    entries_in_use: None,
                    profile_entries: None,
                };
                self.store.save_profile_layout(meter, Arc::new(layout.clone())).await?;
                Arc::new(layout)
            }
        };
        let mut rows = self.rows(&behaviour, &(from..to));
        let broken = behaviour.breaks.filter(|breaks| *breaks < rows.len());
        rows.truncate(broken.unwrap_or(usize::MAX));
        let interrupted = broken.map(|_| error(RequestErrorKind::Unreachable));
        Ok(Outcome::Profile(ProfileReading { layout, rows, interrupted, received: self.clock.now() }))
    }

    async fn answer(&self, meter: &MeterId, operation: Operation) -> Result<Outcome, RequestError> {
        let behaviour = self.behaviour(meter);
        if let Some(kind) = behaviour.fails {
            return Err(error(kind));
        }
        let received = self.clock.now();
        match operation {
            Operation::ReadProfile(what) => self.profile(meter, what.profile, what.selection).await,
            Operation::GetAttributes(asked) => {
                let value = |attribute: AttributeRef| match attribute.attribute.0 {
                    4 => behaviour.periods.last().unwrap().1,
                    _ => u32::try_from(behaviour.entries).unwrap(),
                };
                let values = asked.into_iter().map(|asked| {
                    let value = Value::DoubleLongUnsigned(value(asked.attribute));
                    Ok(AttributeValue { attribute: asked.attribute, value, received })
                });
                Ok(Outcome::Attributes(values.collect()))
            }
            Operation::ReadRegisters(asked) => {
                let reading = |obis| {
                    Ok(RegisterReading {
                        attribute: AttributeRef::new(ClassId(3), obis, AttributeId(2)),
                        value: Value::DoubleLongUnsigned(5),
                        scaler_unit: None,
                        status: None,
                        capture_time: None,
                        received,
                    })
                };
                Ok(Outcome::Registers(asked.into_iter().map(|asked| reading(asked.obis)).collect()))
            }
            other => panic!("{other:?}"),
        }
    }
}

fn error(kind: RequestErrorKind) -> RequestError {
    RequestError::new(kind, Layer::Link, "as the test wants it")
}

impl MeterAccess for Meters {
    async fn execute(&self, meter: &MeterId, operation: Operation, _: Terms) -> Result<Outcome, RequestError> {
        let (now, most) = &self.at_once;
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let answer = self.answer(meter, operation).await;
        now.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    fn invalidate(&self, _: &MeterId) {}
}
