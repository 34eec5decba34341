//! GetCommsDiagnostics: what is known of the way to a meter, and what its modems see.

use std::time::Duration;

use dlms::{
    axdr::Value,
    cosem::gsm_diagnostic::{self, dbm},
    id::AttributeId,
    obis::ObisCode,
};
use dlms_proto::v1::{
    self, AdjacentCell, CommsCounters, CommsDiagnostics, CommsPercentiles, CommsPlan, CommsRoute, CommsWindow,
    ModemStatus,
};
use tokio::time::Instant;
use tonic::Status;

use crate::{
    api::{
        Service,
        collection::answer::state,
        parse::{self, to_timestamp},
        result, status, value,
    },
    fleet::date_time,
    meter::MeterId,
    operation::{
        AttributeRef, AttributeValue, Diagnosis, GetAttribute, ItemResult, MeterAccess, Percentiles, RequestError,
        Window,
    },
    store::{PlanState, Store},
};

/// Where a meter has its first modem.
const MODEM: ObisCode = ObisCode([0, 0, 25, 6, 0, 255]);
/// Modems of a meter that are asked, at most.
const MODEMS: usize = 8;
/// Attributes of a GSM diagnostic object: operator, status, circuit and packet switched, cell, adjacent cells, time.
const ATTRIBUTES: [i8; 7] = [2, 3, 4, 5, 6, 7, 8];

impl<S: Store, A: MeterAccess> Service<S, A> {
    pub(super) async fn diagnostics(
        &self,
        request: &v1::GetCommsDiagnosticsRequest,
        deadline: Instant,
    ) -> Result<CommsDiagnostics, Status> {
        let meter = parse::only_meter("meter", &request.meter)?;
        let registry = self.0.head_end.registry();
        registry.get(&meter).await.map_err(|error| status::registry(&error, Some(&meter)))?;
        let modems = if request.read_modem { self.modems(&meter, deadline).await } else { Ok(Vec::new()) };
        let states = registry.store().meter_states(&meter).await;
        let states = states.map_err(|error| status::store(&error, Some(&meter)))?;
        let known = self.0.head_end.access().diagnosis(&meter).map(|known| answer(&known)).unwrap_or_default();
        let (modems, modem_failure) = match modems {
            Ok(modems) => (modems, None),
            Err(error) => (Vec::new(), Some(result::failure(&error))),
        };
        let plans = states.iter().map(plan).collect();
        Ok(CommsDiagnostics { meter: meter.resource_name(), plans, modems, modem_failure, ..known })
    }

    /// What the modems of a meter see.
    async fn modems(&self, meter: &MeterId, deadline: Instant) -> Result<Vec<ModemStatus>, RequestError> {
        let objects = match self.0.head_end.discovered_objects(meter).await? {
            Some(model) => {
                let modems = model.objects.iter().filter(|object| object.class == gsm_diagnostic::CLASS_ID);
                modems.map(|object| object.obis).take(MODEMS).collect()
            }
            None => vec![MODEM],
        };
        let mut modems = Vec::with_capacity(objects.len());
        for object in objects {
            let attribute = |index| AttributeRef::new(gsm_diagnostic::CLASS_ID, object, AttributeId(index));
            let asked = ATTRIBUTES.map(|index| GetAttribute { attribute: attribute(index), selection: None });
            let read = self.0.head_end.get_attributes(meter, asked.to_vec(), deadline).await?;
            // Not every meter shows everything; one that shows nothing has no such object.
            if let Some(Err(error)) = read.first()
                && read.iter().all(Result::is_err)
            {
                return Err(error.clone());
            }
            modems.push(modem(object, &read));
        }
        Ok(modems)
    }
}

fn plan(of: &PlanState) -> CommsPlan {
    CommsPlan { plan: format!("plans/{}", of.plan), state: Some(state(of)) }
}

fn answer(of: &Diagnosis) -> CommsDiagnostics {
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let route = |of: &crate::operation::RouteLoad| CommsRoute {
        name: of.name.clone(),
        capacity: small(of.capacity),
        sessions: small(of.sessions),
        waiting: small(of.waiting),
    };
    CommsDiagnostics {
        since: Some(to_timestamp(of.since)),
        last_success_time: of.success.map(to_timestamp),
        last_failure_time: of.failure.as_ref().map(|(at, _)| to_timestamp(*at)),
        last_failure: of.failure.as_ref().map(|(_, error)| result::failure(error)),
        failures_in_row: of.failures_in_row,
        windows: of.windows.iter().map(window).collect(),
        latency: Some(percentiles(&of.latency)),
        opening: Some(percentiles(&of.opening)),
        octets_sent: of.octets_sent,
        octets_received: of.octets_received,
        associations_opened: of.associations_opened,
        associations_failed: of.associations_failed,
        associated: of.associated,
        security_failures: of.security_failures,
        counters_raised: of.counters_raised,
        notifications: of.notifications,
        waiting: small(of.waiting),
        counters: of.counters.map(|of| CommsCounters {
            next: of.next,
            reserved: of.reserved,
            receive_floor: of.receive_floor,
        }),
        route: of.route.as_ref().map(route),
        ..Default::default()
    }
}

fn window(of: &Window) -> CommsWindow {
    let all = of.succeeded + of.failed;
    CommsWindow {
        length: duration(of.length),
        succeeded: of.succeeded,
        failed: of.failed,
        success_rate: (all > 0).then(|| of.succeeded as f64 / all as f64),
    }
}

fn percentiles(of: &Percentiles) -> CommsPercentiles {
    let some = |time| if of.samples == 0 { None } else { duration(time) };
    CommsPercentiles {
        samples: u32::try_from(of.samples).unwrap_or(u32::MAX),
        p50: some(of.p50),
        p90: some(of.p90),
        p99: some(of.p99),
        max: some(of.max),
    }
}

fn duration(of: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(of).ok()
}

/// The attributes of a GSM diagnostic object, in their order.
fn modem(object: ObisCode, read: &[ItemResult<AttributeValue>]) -> ModemStatus {
    let value = |place: usize| read.get(place).and_then(|read| read.as_ref().ok()).map(|read| &read.value);
    // Version 0 has four elements; country, network and channel came with version 1.
    let cell = |element| value(4).and_then(|cell| element_of(cell, element)).and_then(number);
    let signal_quality = cell(2);
    let adjacent = match value(5) {
        Some(Value::Array(cells)) => cells.iter().filter_map(adjacent).collect(),
        _ => Vec::new(),
    };
    ModemStatus {
        object: object.to_string(),
        operator: value(0).and_then(text),
        registration: value(1).and_then(number),
        circuit_switched: value(2).and_then(number),
        packet_switched: value(3).and_then(number),
        cell: cell(0),
        area: cell(1),
        signal_quality,
        signal_dbm: signal_quality.and_then(in_dbm),
        bit_error_rate: cell(3),
        mobile_country: cell(4),
        mobile_network: cell(5),
        channel: cell(6),
        adjacent,
        capture_time: value(6).and_then(date_time).map(value::to_date_time),
    }
}

fn adjacent(of: &Value) -> Option<AdjacentCell> {
    let part = |element| element_of(of, element).and_then(number);
    let signal_quality = part(1)?;
    Some(AdjacentCell { cell: part(0)?, signal_quality, signal_dbm: in_dbm(signal_quality) })
}

fn element_of(of: &Value, element: usize) -> Option<&Value> {
    match of {
        Value::Structure(elements) => elements.get(element),
        _ => None,
    }
}

fn number(of: &Value) -> Option<u32> {
    match *of {
        Value::Enum(code) => Some(code.into()),
        _ => of.as_data().and_then(|data| data.as_u32()),
    }
}

fn text(of: &Value) -> Option<String> {
    match of {
        Value::VisibleString(octets) | Value::OctetString(octets) | Value::Utf8String(octets) => {
            Some(String::from_utf8_lossy(octets).into_owned())
        }
        _ => None,
    }
}

fn in_dbm(signal_quality: u32) -> Option<i32> {
    u8::try_from(signal_quality).ok().and_then(dbm).map(Into::into)
}
