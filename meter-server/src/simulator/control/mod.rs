//! The control interface: what a fleet does, and what goes wrong in it, over HTTP.
//!
//! | request | body | what it does |
//! |---|---|---|
//! | `GET /metrics` | | numbers for Prometheus |
//! | `GET /v1/fleet` | | number of meters, simulated time |
//! | `GET /v1/meters?first=0&limit=100` | | who the meters are and where |
//! | `GET /v1/meters/7` | | one meter, with its faults and defects |
//! | `PUT /v1/meters/7/faults` | `["close@2:0.1"]` | faults of connections that are opened from now on |
//! | `DELETE /v1/meters/7/faults` | | no faults |
//! | `PUT /v1/faults`, `DELETE /v1/faults` | the same | the same for all meters |
//! | `POST /v1/meters/7/defects` | `["wrong-keys", "clock=-3600"]` | something breaks; [`DefectKind`] has the names |
//! | `DELETE /v1/meters/7/defects` | | defects that stay are mended |
//! | `POST /v1/defects` | `["reboot:0.01"]` | something breaks at a part of the meters, which the seed picks |
//!
//! Meters count from 0 in the order in which the fleet lists them. Faults and defects are written as on the command line.
//! Nobody is asked who he is: the interface is for the machine that runs the fleet.

mod answer;
mod metrics;

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use dlms::id::ServerSap;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tracing::{info, warn};

use self::answer::Refused;
use super::defect::{Defect, DefectKind};
use super::device::sap;
use super::fault::Fault;
use super::fleet::DeviceHandle;
use super::net::Shared;
use super::population::Population;

/// Meters that one answer lists at most.
const PAGE_MAX: u32 = 1_000;
/// Faults or defects in one request.
const LIST_MAX: usize = 64;

/// What the interface reaches.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) devices: Arc<[DeviceHandle]>,
    pub(super) population: Arc<Population>,
    pub(super) shared: Arc<Shared>,
}

/// Serves the whole interface; returns the address that is listened on.
pub(super) async fn serve(control: Control, address: SocketAddr) -> io::Result<SocketAddr> {
    let all = Router::new()
        .route("/v1/fleet", get(fleet))
        .route("/v1/meters", get(list))
        .route("/v1/meters/{number}", get(meter))
        .route("/v1/meters/{number}/faults", put(set_faults).delete(clear_faults))
        .route("/v1/meters/{number}/defects", post(add_defects).delete(mend))
        .route("/v1/faults", put(set_all_faults).delete(clear_all_faults))
        .route("/v1/defects", post(add_defects_to_some));
    listen(control, address, all).await
}

/// Serves the metrics alone; returns the address that is listened on.
pub(super) async fn serve_metrics(control: Control, address: SocketAddr) -> io::Result<SocketAddr> {
    listen(control, address, Router::new()).await
}

async fn listen(control: Control, address: SocketAddr, router: Router<Control>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let (cancel, tasks) = (control.shared.cancel.clone(), control.shared.tasks.clone());
    let router = router.route("/metrics", get(numbers)).fallback(async || Refused::NoSuchPage).with_state(control);
    tasks.spawn(async move {
        let stop = cancel.clone();
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
        // Whoever keeps a connection open does not keep the fleet from ending.
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            served = served => if let Err(error) = served {
                warn!(%error, "the control interface has ended");
            },
        }
    });
    Ok(bound)
}

async fn numbers(State(control): State<Control>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT)], metrics::text(&control))
}

/// A fleet in an answer.
#[derive(Serialize)]
struct FleetAnswer {
    meters: u32,
    /// Simulated.
    time: String,
    speed: f64,
}

async fn fleet(State(control): State<Control>) -> Result<Json<FleetAnswer>, Refused> {
    let timeline = control.population.timeline();
    let time = jiff::Timestamp::from_millisecond(timeline.now().as_millis()).map_err(|_| Refused::NoSuchPage)?;
    Ok(Json(FleetAnswer { meters: control.population.len(), time: time.to_string(), speed: timeline.speed() }))
}

/// A meter in an answer.
#[derive(Serialize)]
struct MeterAnswer {
    number: u32,
    server: u16,
    serial_number: String,
    logical_device_name: String,
    system_title: String,
    group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hdlc_tcp: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp: Option<SocketAddr>,
    faults: Vec<String>,
    defects: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    first: u32,
    limit: Option<u32>,
}

async fn list(
    State(control): State<Control>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<MeterAnswer>>, Refused> {
    let Query(page) = page.map_err(|error| Refused::Request(error.body_text()))?;
    let limit = page.limit.unwrap_or(100).min(PAGE_MAX);
    let end = page.first.saturating_add(limit).min(control.population.len());
    Ok(Json((page.first..end).filter_map(|number| control.describe(number)).collect()))
}

async fn meter(State(control): State<Control>, number: Number) -> Result<Json<MeterAnswer>, Refused> {
    let number = control.number(number)?;
    control.describe(number).map(Json).ok_or(Refused::NoSuchMeter)
}

async fn set_faults(State(control): State<Control>, number: Number, faults: List) -> Result<(), Refused> {
    let number = control.number(number)?;
    let faults = parsed::<Fault>(faults)?;
    let device = control.device(number).ok_or(Refused::NoSuchMeter)?;
    info!(number, ?faults, "faults told");
    device.set_faults(faults);
    Ok(())
}

async fn clear_faults(State(control): State<Control>, number: Number) -> Result<(), Refused> {
    let number = control.number(number)?;
    control.device(number).ok_or(Refused::NoSuchMeter)?.set_faults(Vec::new());
    Ok(())
}

async fn set_all_faults(State(control): State<Control>, faults: List) -> Result<(), Refused> {
    let faults: Arc<[Fault]> = parsed::<Fault>(faults)?.into();
    info!(?faults, "faults told to all meters");
    control.devices.iter().for_each(|device| device.share_faults(&faults));
    Ok(())
}

async fn clear_all_faults(State(control): State<Control>) {
    let none: Arc<[Fault]> = Arc::default();
    control.devices.iter().for_each(|device| device.share_faults(&none));
}

async fn add_defects(State(control): State<Control>, number: Number, defects: List) -> Result<(), Refused> {
    let number = control.number(number)?;
    let defects = parsed::<DefectKind>(defects)?;
    info!(number, ?defects, "defects told");
    defects.into_iter().try_for_each(|kind| control.suffer(number, kind))
}

async fn mend(State(control): State<Control>, number: Number) -> Result<(), Refused> {
    let number = control.number(number)?;
    let (device, server) = control.place(number).ok_or(Refused::NoSuchMeter)?;
    device.with(|device| device.mend(server)).ok_or(Refused::OutOfOrder)
}

async fn add_defects_to_some(State(control): State<Control>, defects: List) -> Result<Json<u32>, Refused> {
    let defects = parsed::<Defect>(defects)?;
    info!(?defects, "defects told to a part of the meters");
    let mut suffering = 0;
    for (which, defect) in (0..).zip(&defects) {
        for number in 0..control.population.len() {
            if control.population.is_picked(number, which, defect.share) {
                control.suffer(number, defect.kind)?;
                suffering += 1;
            }
            if number.is_multiple_of(256) {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(Json(suffering))
}

/// The number in a path.
type Number = Result<Path<u32>, axum::extract::rejection::PathRejection>;
/// The texts in a body.
type List = Result<Json<Vec<String>>, JsonRejection>;

/// Faults or defects of a body.
fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(list: List) -> Result<Vec<T>, Refused> {
    let Json(list) = list.map_err(|error| Refused::Request(error.body_text()))?;
    if list.len() > LIST_MAX {
        return Err(Refused::Request(format!("at most {LIST_MAX} at a time")));
    }
    list.iter().map(|text| text.parse().map_err(|error: T::Err| Refused::Request(error.to_string()))).collect()
}

impl Control {
    /// A number that is a meter's.
    fn number(&self, number: Number) -> Result<u32, Refused> {
        let Path(number) = number.map_err(|error| Refused::Request(error.body_text()))?;
        if number < self.population.len() { Ok(number) } else { Err(Refused::NoSuchMeter) }
    }

    fn device(&self, number: u32) -> Option<&DeviceHandle> {
        let numbers = |device: &DeviceHandle| -> Range<u32> { device.numbers() };
        let at = self.devices.partition_point(|device| numbers(device).end <= number);
        self.devices.get(at)
    }

    /// The device of a meter, and the meter's SAP there.
    fn place(&self, number: u32) -> Option<(&DeviceHandle, ServerSap)> {
        let device = self.device(number)?;
        let index = number.checked_sub(device.numbers().start)?;
        Some((device, sap(usize::try_from(index).ok()?)))
    }

    fn suffer(&self, number: u32, kind: DefectKind) -> Result<(), Refused> {
        let (device, server) = self.place(number).ok_or(Refused::NoSuchMeter)?;
        if kind == DefectKind::Reboot {
            device.reboot();
            return Ok(());
        }
        if let DefectKind::PowerCut(seconds) = kind {
            device.cut_power(seconds);
            return Ok(());
        }
        device.with(|device| device.suffer(server, kind)).ok_or(Refused::OutOfOrder)
    }

    /// A meter as it is, without making it if nobody has spoken to it.
    fn describe(&self, number: u32) -> Option<MeterAnswer> {
        let (device, server) = self.place(number)?;
        let identity = self.population.identity(number, server)?;
        let ports = device.ports();
        let index = usize::from(server.0).checked_sub(1)?;
        let defects = device.with(|device| {
            let meter = if device.is_made(index) { device.meter(server) } else { None };
            meter.map(|meter| meter.defects().to_vec())
        });
        Some(MeterAnswer {
            number,
            server: server.0,
            serial_number: identity.serial,
            logical_device_name: identity.logical_device_name,
            system_title: identity.system_title.to_string(),
            group: self.population.group(number).map(|group| group.name.clone()).unwrap_or_default(),
            tcp: ports.tcp,
            hdlc_tcp: ports.hdlc_tcp,
            udp: ports.udp,
            faults: device.faults().iter().map(ToString::to_string).collect(),
            defects: defects
                .unwrap_or_else(|| self.population.defects(number).filter(|kind| kind.stays()).collect())
                .iter()
                .map(ToString::to_string)
                .collect(),
        })
    }
}
