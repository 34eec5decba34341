//! A meter with three objects, served to any number of clients over TCP, one after the other.
//!
//! ```text
//! cargo run -p dlms --example meter -- 127.0.0.1:4059
//! ```
//!
//! The public client may read the clock and the register of energy; the client 17 with the password 12345678 the load
//! profile too. Everything that is not granted is refused. The same calls serve a meter without an operating system:
//! `dlms_meter_server` adds objects, access rights and storage on top of them.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant as Clock, SystemTime};

use dlms::Instant;
use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeDescriptor, Conformance, DataAccessResult, MethodDescriptor, Selection};
use dlms::association::server::{Access, AssociationConfig, Connection, Cursor, Device, Progress};
use dlms::axdr::{Data, Writer};
use dlms::cosem::profile_generic::{self, CaptureObject, SortMethod};
use dlms::cosem::{Array, Attribute, clock, register};
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::{Random, RustCrypto};
use dlms::time::{ClockStatus, DateTime};
use dlms::unit::{ScalerUnit, Unit};
use dlms::wrapper::server::Wrapper;

const READER: ClientSap = ClientSap(17);
const LOAD_PROFILE: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);
/// Seconds between rows of the load profile.
const PERIOD: u32 = 900;
/// Rows that the load profile holds.
const ROWS: u32 = 960;
const COLUMNS: [CaptureObject; 2] =
    [CaptureObject::CLOCK, CaptureObject::whole(register::CLASS_ID, ObisCode::ACTIVE_IMPORT, register::Value::ID)];

/// What the meter is, apart from the protocol.
struct Meter;

impl Meter {
    fn unix_seconds() -> i64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
    }

    /// Energy at a moment: this meter counts one watt-hour a second.
    fn energy(unix_seconds: i64) -> u32 {
        (unix_seconds - 1_700_000_000) as u32
    }
}

impl Device for Meter {
    fn association(&self, client: ClientSap, server: ServerSap) -> Option<AssociationConfig<'_>> {
        let (mechanism, secret): (_, &[u8]) = match (client, server) {
            (ClientSap::PUBLIC, ServerSap::MANAGEMENT) => (Mechanism::Lowest, b""),
            (READER, ServerSap::MANAGEMENT) => (Mechanism::Lls, b"12345678"),
            _ => return None,
        };
        let conformance = Conformance::GET.union(Conformance::BLOCK_TRANSFER_WITH_GET);
        Some(AssociationConfig { mechanism, secret, ..AssociationConfig::public(conformance, 1_024) })
    }

    fn read(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        if selection.is_some() || (attribute.instance == LOAD_PROFILE && access.client != READER) {
            return Err(DataAccessResult::ReadWriteDenied);
        }
        let now = Self::unix_seconds();
        let time = |seconds| DateTime::from_unix_seconds(seconds, 0, ClockStatus::OK);
        let asked = |known: AttributeDescriptor| attribute == known;
        let written = if asked(clock::Time::of(ObisCode::CLOCK)) {
            clock::Time::encode(&time(now), out)
        } else if asked(register::Value::of(ObisCode::ACTIVE_IMPORT)) {
            register::Value::encode(&Data::DoubleLongUnsigned(Self::energy(now)), out)
        } else if asked(register::ScalerUnit::of(ObisCode::ACTIVE_IMPORT)) {
            register::ScalerUnit::encode(&ScalerUnit { scaler: 0, unit: Unit::WATT_HOUR }, out)
        } else if asked(profile_generic::CaptureObjects::of(LOAD_PROFILE)) {
            profile_generic::CaptureObjects::encode(&Array::from(&COLUMNS), out)
        } else if asked(profile_generic::CapturePeriod::of(LOAD_PROFILE)) {
            profile_generic::CapturePeriod::encode(&PERIOD, out)
        } else if asked(profile_generic::Sort::of(LOAD_PROFILE)) {
            profile_generic::Sort::encode(&SortMethod::Fifo, out)
        } else if asked(profile_generic::Buffer::of(LOAD_PROFILE)) && cursor.part == 0 {
            // The head of the array. The last row is fixed now, so that the blocks of one answer fit together.
            cursor.anchor = (now - now % i64::from(PERIOD)) as u64;
            return out.array(ROWS as usize).map(|()| Progress::More).map_err(|_| DataAccessResult::OtherReason);
        } else if asked(profile_generic::Buffer::of(LOAD_PROFILE)) {
            // One row: it is written when a block has room for it, and never kept.
            let captured = cursor.anchor as i64 - i64::from((ROWS - cursor.part) * PERIOD);
            let row = out
                .structure(2)
                .and_then(|()| clock::Time::encode(&time(captured), out))
                .and_then(|()| out.double_long_unsigned(Self::energy(captured)));
            let progress = if cursor.part < ROWS { Progress::More } else { Progress::Done };
            return row.map(|()| progress).map_err(|_| DataAccessResult::OtherReason);
        } else {
            return Err(DataAccessResult::ObjectUndefined);
        };
        written.map(|()| Progress::Done).map_err(|_| DataAccessResult::OtherReason)
    }

    fn write(
        &mut self,
        _: &Access,
        _: AttributeDescriptor,
        _: Option<Selection<'_>>,
        _: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        Err(DataAccessResult::ReadWriteDenied)
    }

    fn invoke(
        &mut self,
        _: &Access,
        _: MethodDescriptor,
        _: Option<Data<'_>>,
        _: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        Err(ActionResult::ReadWriteDenied)
    }

    // Nothing is ciphered here, so there are no invocation counters to keep.

    fn take_counter(&mut self, _: ServerSap, _: u8) -> Option<u32> {
        None
    }

    fn floor(&self, _: ServerSap, _: u8, _: SystemTitle) -> u32 {
        u32::MAX
    }

    fn accept_counter(&mut self, _: ServerSap, _: u8, _: SystemTitle, _: u32) {}
}

/// The operating system's random generator.
struct System;

impl Random for System {
    fn fill(&mut self, octets: &mut [u8]) {
        getrandom::fill(octets).expect("the operating system has random numbers");
    }
}

/// Serves one client until it leaves.
fn serve(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let storage = || vec![0; 1_100];
    let link = Wrapper::new(storage(), storage(), 30_000);
    let mut connection: Connection<_, RustCrypto, _, 2> = Connection::new(link, storage, storage());
    let started = Clock::now();
    let now = || Instant::from_millis(started.elapsed().as_millis() as u64);
    let mut line = vec![0; 2_048];
    loop {
        let wait = connection.poll_timeout().map_or(120_000, |due| due.since_ms(now()).max(1));
        stream.set_read_timeout(Some(Duration::from_millis(wait)))?;
        let length = stream.read(&mut line)?;
        if length == 0 {
            connection.close(&mut Meter);
            return Ok(());
        }
        let mut arrived = line[..length].to_vec();
        while !arrived.is_empty() {
            let taken = connection.handle_input(&arrived, now(), &mut Meter, &mut System)?;
            arrived.drain(..taken);
            while let Some(length) = connection.poll_transmit(&mut line) {
                stream.write_all(&line[..length])?;
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4059".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        if let Err(error) = serve(stream?) {
            println!("connection ended: {error}");
        }
    }
    Ok(())
}
