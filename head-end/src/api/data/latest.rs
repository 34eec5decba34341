//! GetLatestReadings: the newest stored values.

use std::collections::BTreeSet;

use dlms::obis::ObisCode;
use dlms_proto::v1::{GetLatestReadingsRequest, GetLatestReadingsResponse, LatestReadings};
use jiff::Timestamp;
use tonic::Status;

use super::parse_objects;
use crate::{
    api::{
        Service, capture,
        parse::{self, Violations},
        status,
    },
    meter::MeterId,
    operation::MeterAccess,
    store::Store,
};

/// Meters of one request, at most.
const METERS: usize = 1_000;
/// Captures of a meter that are looked at for objects, at most.
const CAPTURES: usize = 100;

/// What is asked for.
pub(super) struct Latest {
    meters: Vec<MeterId>,
    profile: Option<ObisCode>,
    objects: BTreeSet<ObisCode>,
    before: Timestamp,
}

pub(super) fn parse(request: &GetLatestReadingsRequest) -> Result<Latest, Status> {
    let mut violations = Violations::default();
    parse::count(&mut violations, "meters", request.meters.len(), METERS);
    let meters = request.meters.iter().take(METERS).enumerate();
    let meters: Vec<_> =
        meters.map(|(n, name)| violations.check(format!("meters[{n}]"), parse::meter_name(name))).collect();
    let profile = match request.profile.as_str() {
        "" => Some(None),
        profile => violations.check("profile", parse::obis(profile)).map(Some),
    };
    let objects = parse_objects(&mut violations, &request.objects);
    let before = match &request.before {
        None => Some(Timestamp::now()),
        Some(before) => violations.check("before", parse::timestamp(before)),
    };
    let asked = (|| {
        let meters = meters.into_iter().collect::<Option<_>>()?;
        Some(Latest { meters, profile: profile?, objects: objects?.into_iter().collect(), before: before? })
    })();
    violations.finish(asked)
}

impl<S: Store, A: MeterAccess> Service<S, A> {
    pub(super) async fn latest(&self, asked: Latest) -> Result<GetLatestReadingsResponse, Status> {
        let mut meters = Vec::with_capacity(asked.meters.len());
        for meter in &asked.meters {
            meters.push(self.latest_of(meter, &asked).await?);
        }
        Ok(GetLatestReadingsResponse { meters })
    }

    async fn latest_of(&self, meter: &MeterId, asked: &Latest) -> Result<LatestReadings, Status> {
        let store = self.0.head_end.registry().store();
        let (mut before, mut missing) = (asked.before, asked.objects.clone());
        let (mut captures, mut any) = (Vec::new(), false);
        for _ in 0..CAPTURES {
            let found = store.latest(meter, asked.profile, before).await;
            let Some(found) = found.map_err(|error| status::store(&error, Some(meter)))? else { break };
            (before, any) = (found.time, true);
            let mut answer = capture::stored(&found);
            if asked.objects.is_empty() {
                captures.push(answer);
                break;
            }
            let newest: BTreeSet<_> =
                found.columns.iter().map(|column| column.obis).filter(|obis| missing.remove(obis)).collect();
            if !newest.is_empty() {
                let mut columns = found.columns.iter();
                answer.readings.retain(|_| columns.next().is_some_and(|column| newest.contains(&column.obis)));
                captures.push(answer);
            }
            if missing.is_empty() {
                break;
            }
        }
        if !any {
            self.check_known(meter).await?;
        }
        let missing = missing.iter().map(ToString::to_string).collect();
        Ok(LatestReadings { meter: meter.resource_name(), captures, missing })
    }
}
