//! What the demonstration reads from one meter: identification, registers, and yesterday's load profile.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use dlms_meter_server::simulator::Keys;
use dlms_proto::v1::meter_registry_client::MeterRegistryClient;
use dlms_proto::v1::read_profile_request::Selection;
use dlms_proto::v1::read_profile_response::Part;
use dlms_proto::v1::reading_client::ReadingClient;
use dlms_proto::v1::{self, authentication::Mechanism, link, security::Policy, value::Kind};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::fleet::SimulatedMeter;
use crate::cli::{output, value};

const LOAD_PROFILE: &str = "1-0:99.1.0";
/// Serial number, energy import and export, voltage of phase 1, active power.
const REGISTERS: [&str; 5] = ["0-0:96.1.0", "1-0:1.8.0", "1-0:2.8.0", "1-0:32.7.0", "1-0:1.7.0"];
const DEADLINE: Duration = Duration::from_secs(120);

/// What was read from one meter.
pub(super) struct Collected {
    pub(super) meter: String,
    pub(super) link: &'static str,
    pub(super) outcome: anyhow::Result<Values>,
}

/// Registers in the order of [`REGISTERS`], each with its unit, and the profile's rows.
pub(super) struct Values {
    pub(super) registers: Vec<String>,
    pub(super) intervals: u64,
}

pub(super) async fn collect(channel: Channel, meter: &SimulatedMeter, by_hdlc: bool) -> Collected {
    let id = meter.name.to_lowercase();
    let outcome = read_all(channel, meter, &id, by_hdlc).await;
    Collected { meter: id, link: if by_hdlc { "hdlc" } else { "tcp" }, outcome }
}

async fn read_all(channel: Channel, meter: &SimulatedMeter, id: &str, by_hdlc: bool) -> anyhow::Result<Values> {
    register(channel.clone(), meter, id, by_hdlc).await?;
    let mut reading = ReadingClient::new(channel);
    let registers = REGISTERS.iter().map(|obis| v1::RegisterSelector { obis: (*obis).to_owned(), class_id: 0 });
    let request = v1::ReadRegistersRequest { meter: name(id), registers: registers.collect() };
    let response = reading.read_registers(with_deadline(request)).await.map_err(said)?.into_inner();
    let registers = response.results.iter().map(register_text).collect::<anyhow::Result<_>>()?;
    let range = yesterday(&mut reading, id).await?;
    let intervals = profile_rows(&mut reading, id, range).await?;
    Ok(Values { registers, intervals })
}

/// Adds the meter, or changes its address when an earlier demonstration left it in the store.
async fn register(channel: Channel, meter: &SimulatedMeter, id: &str, by_hdlc: bool) -> anyhow::Result<()> {
    let mut registry = MeterRegistryClient::new(channel);
    let message = message(meter, by_hdlc)?;
    let create = v1::CreateMeterRequest {
        meter_id: id.to_owned(),
        meter: Some(message.clone()),
        request_id: uuid::Uuid::now_v7().to_string(),
    };
    match registry.create_meter(with_deadline(create)).await {
        Err(status) if status.code() == tonic::Code::AlreadyExists => {}
        other => return other.map(|_| ()).map_err(said),
    }
    let update = v1::UpdateMeterRequest {
        meter: Some(v1::Meter { name: name(id), ..message }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["link".to_owned()] }),
        request_id: uuid::Uuid::now_v7().to_string(),
    };
    registry.update_meter(with_deadline(update)).await.map(|_| ()).map_err(said)
}

fn message(meter: &SimulatedMeter, by_hdlc: bool) -> anyhow::Result<v1::Meter> {
    let kind = if by_hdlc {
        link::Kind::HdlcTcp(v1::HdlcTcpLink { address: meter.hdlc_tcp.to_string(), hdlc: None })
    } else {
        link::Kind::TcpWrapper(v1::IpLink { address: meter.tcp.to_string() })
    };
    Ok(v1::Meter {
        labels: BTreeMap::from([("fleet".to_owned(), "demo".to_owned())]),
        link: Some(v1::Link { kind: Some(kind) }),
        client_sap: 1,
        server_sap: 1,
        authentication: Some(v1::Authentication {
            mechanism: Mechanism::HlsGmac.into(),
            ..v1::Authentication::default()
        }),
        security: Some(v1::Security {
            policy: Policy::AuthenticatedEncrypted.into(),
            encryption_key: Keys::DEMONSTRATION_ENCRYPTION.to_vec(),
            authentication_key: Keys::DEMONSTRATION_AUTHENTICATION.to_vec(),
            ..v1::Security::default()
        }),
        system_title: hex::decode(&meter.system_title)?,
        ..v1::Meter::default()
    })
}

fn register_text(item: &v1::RegisterResult) -> anyhow::Result<String> {
    let reading = match &item.reading {
        Some(reading) if item.result == v1::Result::Succeeded as i32 => reading,
        _ => bail!("{}: {}", item.obis, output::failure_text(item.failure.as_ref())),
    };
    Ok(value::show_channel(reading))
}

/// Yesterday by the meter's own clock: capture times after 00:00 up to 24:00, as each names the end of its interval.
async fn yesterday(reading: &mut ReadingClient<Channel>, id: &str) -> anyhow::Result<v1::TimeRange> {
    let clock = v1::AttributeRef { class_id: 8, obis: "0-0:1.0.0".to_owned(), attribute: 2 };
    let attributes = vec![v1::AttributeSelector { attribute: Some(clock), selection: None }];
    let request = v1::GetAttributesRequest { meter: name(id), attributes };
    let response = reading.get_attributes(with_deadline(request)).await.map_err(said)?.into_inner();
    let value = response.results.first().and_then(|item| item.value.as_ref()).and_then(|value| value.kind.as_ref());
    let octets = match value {
        Some(Kind::OctetString(octets)) => octets,
        Some(Kind::DateTime(time)) => &time.octets,
        _ => bail!("the clock cannot be read"),
    };
    let time = dlms::time::DateTime::decode(octets).context("the clock shows no time")?;
    let utc = time.to_unix_seconds().context("the clock does not say how far it is from UTC")?;
    let ahead = -60 * i64::from(time.deviation_minutes().unwrap_or(0));
    let midnight = (utc + ahead).div_euclid(86_400) * 86_400 - ahead;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    Ok(v1::TimeRange { from: at(midnight - 86_400 + 1), to: at(midnight + 1) })
}

async fn profile_rows(reading: &mut ReadingClient<Channel>, id: &str, range: v1::TimeRange) -> anyhow::Result<u64> {
    let request = v1::ReadProfileRequest {
        meter: name(id),
        profile: LOAD_PROFILE.to_owned(),
        selection: Some(Selection::Range(range)),
    };
    let mut parts = reading.read_profile(with_deadline(request)).await.map_err(said)?.into_inner();
    let mut rows = 0;
    while let Some(message) = parts.message().await.map_err(said)? {
        match message.part {
            Some(Part::Captures(list)) => rows += list.captures.len() as u64,
            Some(Part::Summary(summary)) if !summary.stored => bail!("the load profile could not be stored"),
            _ => {}
        }
    }
    Ok(rows)
}

fn name(id: &str) -> String {
    format!("meters/{id}")
}

/// What a status says to a person.
fn said(status: Status) -> anyhow::Error {
    anyhow!("{}", status.message())
}

fn with_deadline<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}
