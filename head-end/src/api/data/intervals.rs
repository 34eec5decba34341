//! QueryIntervals: captures folded into buckets as they are read.

use dlms::id::AttributeId;
use dlms_proto::v1::{
    self, CalendarUnit, QueryIntervalsRequest, QueryIntervalsResponse, query_intervals_request as ask,
};
use jiff::tz::TimeZone;
use tonic::Status;

use super::Walk;
use crate::{
    api::{
        capture::CHUNK,
        parse::{self, Violations, to_timestamp},
    },
    operation::MeterAccess,
    series::{Anomaly, Bucket, Channel, Counter, Method, Resampler, Resolution},
    store::{CaptureFilter, CaptureQuery, Store},
};

/// What is asked for: which captures, which of their values, and how they are gathered.
pub(super) struct Asked {
    pub(super) query: CaptureQuery,
    channel: Channel,
    resampler: Resampler,
}

pub(super) fn parse(request: &QueryIntervalsRequest) -> Result<Asked, Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    let obis = violations.check("object", parse::obis(&request.object));
    let filter = match request.profile.as_str() {
        "" => Some(CaptureFilter::Registers),
        profile => violations.check("profile", parse::obis(profile)).map(CaptureFilter::Profile),
    };
    let attribute = match request.attribute {
        0 => Some(AttributeId(2)),
        id => violations.check("attribute", parse::attribute_id(id)),
    };
    let data_index = u16::try_from(request.data_index).map_err(|_| "from 0 to 65535");
    let data_index = violations.check("data_index", data_index);
    let (from, to) = violations.range(request.from.as_ref(), request.to.as_ref());
    let resolution = match request.resolution {
        None => Some(Resolution::Day),
        Some(ask::Resolution::Minutes(minutes)) => violations.check("minutes", Resolution::minutes(minutes)),
        Some(ask::Resolution::Calendar(unit)) => violations.check("calendar", calendar(unit)),
    };
    let zone = match request.time_zone.as_str() {
        "" => Some(TimeZone::UTC),
        name => violations.check("time_zone", TimeZone::get(name)),
    };
    let capacity = match request.capacity.as_str() {
        "" => Some(None),
        text => violations.check("capacity", text.parse().map_err(|_| "is not a decimal such as 1000000")).map(Some),
    };
    let method = capacity.and_then(|capacity| violations.check("method", method(request.method, Counter { capacity })));
    let asked = (|| {
        // The reading at the very beginning is needed to know what was counted from there on.
        let query = CaptureQuery {
            meter: meter?,
            filter: filter?,
            from: from?,
            // Up to and with the last moment, to the millisecond that captures are kept to.
            to: to?.checked_add(jiff::SignedDuration::from_millis(1)).ok()?,
            all_revisions: false,
            after: None,
            limit: CHUNK,
        };
        let channel = Channel { obis: obis?, class: None, attribute: attribute?.into(), data_index: data_index? };
        Some(Asked { query, channel, resampler: Resampler::new(resolution?, zone?, method?) })
    })();
    violations.finish(asked)
}

fn calendar(unit: i32) -> Result<Resolution, &'static str> {
    match CalendarUnit::try_from(unit) {
        Ok(CalendarUnit::Unspecified | CalendarUnit::Day) => Ok(Resolution::Day),
        Ok(CalendarUnit::Hour) => Ok(Resolution::Hour),
        Ok(CalendarUnit::Month) => Ok(Resolution::Month),
        Err(_) => Err("is not a unit of the calendar"),
    }
}

fn method(method: i32, counter: Counter) -> Result<Method, &'static str> {
    Ok(match ask::Method::try_from(method) {
        Ok(ask::Method::Unspecified | ask::Method::Difference) => Method::Difference(counter),
        Ok(ask::Method::Last) => Method::Last,
        Ok(ask::Method::Sum) => Method::Sum,
        Ok(ask::Method::Mean) => Method::Mean,
        Ok(ask::Method::Minimum) => Method::Minimum,
        Ok(ask::Method::Maximum) => Method::Maximum,
        Err(_) => return Err("is not a method"),
    })
}

/// The answer, page after page.
pub(super) struct Intervals<S, A> {
    pub(super) walk: Walk<S, A>,
    channel: Channel,
    resampler: Resampler,
    ended: bool,
}

impl<S: Store, A: MeterAccess> Intervals<S, A> {
    pub(super) const fn new(walk: Walk<S, A>, channel: Channel, resampler: Resampler) -> Self {
        Self { walk, channel, resampler, ended: false }
    }

    /// The next intervals; none at the end.
    pub(super) async fn page(&mut self) -> Result<Option<QueryIntervalsResponse>, Status> {
        let mut buckets = Vec::new();
        while buckets.is_empty() && !self.ended {
            let captures = self.walk.captures().await?;
            self.ended = captures.is_empty();
            let samples = captures.iter().filter_map(|capture| self.channel.sample(capture));
            buckets.extend(samples.filter_map(|sample| self.resampler.push(sample)));
            if self.ended {
                buckets.extend(self.resampler.finish());
            }
        }
        let intervals: Vec<_> = buckets.iter().map(interval).collect();
        Ok((!intervals.is_empty()).then_some(QueryIntervalsResponse { intervals }))
    }
}

impl Asked {
    pub(super) fn over<S: Store, A: MeterAccess>(
        self,
        walk: impl FnOnce(CaptureQuery) -> Walk<S, A>,
    ) -> Intervals<S, A> {
        Intervals::new(walk(self.query), self.channel, self.resampler)
    }
}

fn interval(bucket: &Bucket) -> v1::Interval {
    v1::Interval {
        start_time: Some(to_timestamp(bucket.start)),
        end_time: Some(to_timestamp(bucket.end)),
        decimal: bucket.value.map(|value| value.normalize().to_string()).unwrap_or_default(),
        unit: bucket.unit.map_or(0, |unit| unit.0.into()),
        symbol: bucket.unit.and_then(|unit| unit.symbol()).unwrap_or_default().to_owned(),
        samples: bucket.samples,
        incomplete: bucket.incomplete,
        anomaly: match bucket.anomaly {
            None => v1::interval::Anomaly::Unspecified,
            Some(Anomaly::NonMonotonic) => v1::interval::Anomaly::NonMonotonic,
            Some(Anomaly::OutOfRange) => v1::interval::Anomaly::OutOfRange,
        }
        .into(),
    }
}
