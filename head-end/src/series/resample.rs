//! Samples in order of time, gathered into buckets as they come.

use dlms::unit::Unit;
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use super::{Anomaly, Counter, Resolution, Sample};

/// What is made of the samples of a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// The last one: what a register showed at the end.
    Last,
    /// What a register counted from the beginning to the end; it needs a reading at both, and none between
    /// them that goes back.
    Difference(Counter),
    /// Their sum: for columns that hold what was used in each interval.
    Sum,
    /// Their mean.
    Mean,
    /// The lowest.
    Minimum,
    /// The highest.
    Maximum,
}

/// What came of one bucket that has samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// When it begins; a capture at that moment belongs to the one before.
    pub start: Timestamp,
    /// When it ends; a capture at that moment belongs to it.
    pub end: Timestamp,
    /// The result; `None` where a difference cannot be told.
    pub value: Option<Decimal>,
    /// Its unit, where it is known and the same in all samples.
    pub unit: Option<Unit>,
    /// How many samples it had.
    pub samples: u64,
    /// Whether a reading at the beginning or at the end is missing ([`Method::Difference`]).
    pub incomplete: bool,
    /// What else was wrong with the samples.
    pub anomaly: Option<Anomaly>,
}

/// Gathers samples into buckets.
#[derive(Clone, Debug)]
pub struct Resampler {
    resolution: Resolution,
    zone: TimeZone,
    method: Method,
    open: Option<Open>,
    /// The sample before, for differences.
    last: Option<Sample>,
}

/// The bucket that is being filled.
#[derive(Clone, Debug)]
struct Open {
    start: Timestamp,
    end: Timestamp,
    unit: Option<Unit>,
    mixed: bool,
    samples: u64,
    sum: Option<Decimal>,
    lowest: Decimal,
    highest: Decimal,
    last: Decimal,
    last_time: Timestamp,
    /// Whether there was a reading exactly at the beginning.
    grounded: bool,
    anomaly: Option<Anomaly>,
}

impl Resampler {
    /// Buckets of `resolution` in `zone`.
    #[must_use]
    pub const fn new(resolution: Resolution, zone: TimeZone, method: Method) -> Self {
        Self { resolution, zone, method, open: None, last: None }
    }

    /// Takes the next sample; the bucket before it, where it begins a new one. A sample that is not later than
    /// the one before it is passed over.
    pub fn push(&mut self, sample: Sample) -> Option<Bucket> {
        if self.last.is_some_and(|last| sample.time <= last.time) {
            return None;
        }
        let mut ended = None;
        if self.open.as_ref().is_none_or(|open| sample.time > open.end) {
            let (start, end) = self.resolution.around(sample.time, &self.zone)?;
            ended = self.open.take().map(|open| self.close(open));
            let grounded = self.last.is_some_and(|last| last.time == start);
            let sum = match self.method {
                Method::Difference(_) => Some(Decimal::ZERO),
                _ => Some(sample.value),
            };
            let mut open = Open {
                start,
                end,
                unit: sample.unit,
                mixed: false,
                samples: 1,
                sum,
                lowest: sample.value,
                highest: sample.value,
                last: sample.value,
                last_time: sample.time,
                grounded,
                anomaly: None,
            };
            if grounded {
                self.count(&mut open, &sample);
            }
            self.open = Some(open);
        } else if let Some(mut open) = self.open.take() {
            open.samples += 1;
            open.mixed |= open.unit != sample.unit;
            open.lowest = open.lowest.min(sample.value);
            open.highest = open.highest.max(sample.value);
            open.last = sample.value;
            open.last_time = sample.time;
            match self.method {
                Method::Difference(_) => self.count(&mut open, &sample),
                _ => open.sum = open.sum.and_then(|sum| sum.checked_add(sample.value)),
            }
            self.open = Some(open);
        }
        self.last = Some(sample);
        ended
    }

    /// The last bucket.
    pub fn finish(&mut self) -> Option<Bucket> {
        self.last = None;
        self.open.take().map(|open| self.close(open))
    }

    /// Adds what was counted since the sample before, where that is asked for.
    fn count(&self, open: &mut Open, sample: &Sample) {
        let (Method::Difference(counter), Some(last)) = (self.method, &self.last) else { return };
        match counter.difference(last, sample) {
            Ok(counted) => open.sum = open.sum.and_then(|sum| sum.checked_add(counted)),
            Err(anomaly) => open.anomaly = Some(anomaly),
        }
    }

    fn close(&self, open: Open) -> Bucket {
        let difference = matches!(self.method, Method::Difference(_));
        let incomplete = difference && !(open.grounded && open.last_time == open.end);
        let value = match self.method {
            Method::Last => Some(open.last),
            Method::Minimum => Some(open.lowest),
            Method::Maximum => Some(open.highest),
            Method::Sum => open.sum,
            Method::Mean => open.sum.and_then(|sum| sum.checked_div(Decimal::from(open.samples))),
            Method::Difference(_) if incomplete || open.anomaly.is_some() => None,
            Method::Difference(_) => open.sum,
        };
        let overflowed = value.is_none() && !incomplete && open.anomaly.is_none();
        Bucket {
            start: open.start,
            end: open.end,
            value,
            unit: open.unit.filter(|_| !open.mixed),
            samples: open.samples,
            incomplete,
            anomaly: if overflowed { Some(Anomaly::OutOfRange) } else { open.anomaly },
        }
    }
}
