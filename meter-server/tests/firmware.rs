//! The meter without `std` and without an allocator: linked, run, and read over its line.

mod firmware_build;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dlms::Instant;
use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeDescriptor, AttributeRequest, DataAccessResult};
use dlms::association::Secret;
use dlms::association::client::{Config, Connection, Event, Response, Security};
use dlms::axdr::{Data, Value, Writer};
use dlms::cosem::image_transfer::{self as image_transfer, ImageBlock, ImageToTransfer};
use dlms::cosem::{Method, Zero};
use dlms::hdlc::Fcs;
use dlms::id::{AttributeId, ClassId, ClientSap, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::{InvocationCounter, KeySet, Protection, Random, RustCrypto, Suite};
use dlms::wrapper::client::Wrapper;
use firmware_build::build;

const NOW: Instant = Instant::from_millis(0);
const IMAGE: ObisCode = ObisCode([0, 0, 44, 0, 0, 255]);

struct Entropy;

impl Random for Entropy {
    fn fill(&mut self, octets: &mut [u8]) {
        getrandom::fill(octets).unwrap();
    }
}

type Client = Connection<Wrapper<Vec<u8>>, RustCrypto, Entropy, Vec<u8>>;

struct Line {
    meter: Child,
    client: Client,
}

impl Line {
    fn open(program: &Path, config: Config) -> Self {
        let (line, outcome) = Self::begin(program, config);
        assert_eq!(outcome, Outcome::Associated);
        line
    }

    fn refused(program: &Path, config: Config) -> Outcome {
        Self::begin(program, config).1
    }

    /// Asks for an association.
    fn begin(program: &Path, config: Config) -> (Self, Outcome) {
        let meter = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let link = Wrapper::new(config.client, config.server, vec![0; 2_048], vec![0; 2_048], 1_000);
        let counter = InvocationCounter::new(1, 10_000);
        let client = Connection::new(link, config, Entropy, counter, vec![0; 512], vec![0; 512]);
        let mut line = Self { meter, client };
        line.client.associate(NOW).unwrap();
        let outcome = line.exchange();
        (line, outcome)
    }

    /// Carries octets until the request is answered.
    fn exchange(&mut self) -> Outcome {
        let mut joined = Vec::new();
        loop {
            while let Some(event) = self.client.poll_event() {
                match event {
                    Event::Associated(_) => return Outcome::Associated,
                    Event::Released => return Outcome::Released,
                    Event::Closed(_) => return Outcome::Refused,
                    Event::Response(Response::Get(result)) => {
                        return Outcome::Value(result.into_result().map(Value::from));
                    }
                    Event::Response(Response::GetBlock { raw, last }) => {
                        joined.extend_from_slice(raw);
                        if last {
                            return Outcome::Value(Ok(Data::from_slice(&joined).unwrap().into()));
                        }
                    }
                    Event::Response(Response::Action(result)) => return Outcome::Invoked(result.result),
                    other => panic!("{other:?}"),
                }
            }
            let mut octets = [0; 2_048];
            while let Some(length) = self.client.poll_transmit(&mut octets) {
                self.meter.stdin.as_mut().unwrap().write_all(&octets[..length]).unwrap();
            }
            let count = self.meter.stdout.as_mut().unwrap().read(&mut octets).unwrap();
            assert!(count > 0, "the meter is gone");
            assert_eq!(self.client.handle_input(&octets[..count], NOW), count);
        }
    }

    fn get(&mut self, class: u16, instance: [u8; 6], attribute: i8) -> Result<Value, DataAccessResult> {
        let attribute = AttributeDescriptor::new(ClassId(class), ObisCode(instance), AttributeId(attribute));
        self.client.get(AttributeRequest::whole(attribute), NOW).unwrap();
        match self.exchange() {
            Outcome::Value(value) => value,
            other => panic!("{other:?}"),
        }
    }

    /// Invokes a method of the image transfer.
    fn invoke<M: Method>(&mut self, parameter: &M::Parameter<'_>) -> ActionResult {
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer);
        M::encode(parameter, &mut writer).unwrap();
        let parameter = Data::from_slice(writer.written()).unwrap();
        self.client.action(M::of(IMAGE), Some(parameter), NOW).unwrap();
        match self.exchange() {
            Outcome::Invoked(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn image(&mut self, attribute: i8) -> Value {
        self.get(18, IMAGE.0, attribute).unwrap()
    }

    fn release(mut self) {
        self.client.release(NOW).unwrap();
        assert_eq!(self.exchange(), Outcome::Released);
        drop(self.meter.stdin.take());
        assert!(self.meter.wait().unwrap().success());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.meter.kill();
        let _ = self.meter.wait();
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Associated,
    Invoked(ActionResult),
    Refused,
    Released,
    Value(Result<Value, DataAccessResult>),
}

fn reading(password: &[u8]) -> Config {
    Config {
        client: ClientSap(2),
        mechanism: Mechanism::Lls,
        secret: Secret::new(password).unwrap(),
        max_pdu: 1_024,
        ..Config::public(ServerSap::MANAGEMENT)
    }
}

fn management() -> Config {
    let encryption: Vec<u8> = (0..16).collect();
    let authentication: Vec<u8> = (0xD0..=0xDF).collect();
    Config {
        client: ClientSap::MANAGEMENT,
        mechanism: Mechanism::Gmac,
        max_pdu: 1_024,
        security: Some(Security {
            suite: Suite::Suite0,
            keys: KeySet::new(Suite::Suite0, &encryption, &authentication).unwrap(),
            dedicated_key: None,
            system_title: SystemTitle(*b"DLM\0\0\0\0\x02"),
            peer_title: Some(SystemTitle(*b"DLM\0\0\0\0\x01")),
            protection: Protection::AUTHENTICATED_ENCRYPTED,
            general: false,
            receive_floor: 0,
        }),
        ..Config::public(ServerSap::MANAGEMENT)
    }
}

#[test]
fn a_meter_without_std_and_allocator_serves_an_association() {
    let program = build("firmware-meter");

    let mut public = Line::open(&program, Config { max_pdu: 1_024, ..Config::public(ServerSap::MANAGEMENT) });
    let name = public.get(1, [0, 0, 42, 0, 0, 255], 2);
    assert_eq!(name, Ok(Value::OctetString(b"DLM0000000000001".to_vec())));
    assert_eq!(public.get(3, [1, 0, 1, 8, 0, 255], 2), Err(DataAccessResult::ObjectUndefined));
    assert_eq!(public.get(1, [0, 0, 43, 1, 0, 255], 2), Ok(Value::DoubleLongUnsigned(0)));
    public.release();

    let mut reading = Line::open(&program, reading(b"12345678"));
    assert!(matches!(reading.get(3, [1, 0, 1, 8, 0, 255], 2), Ok(Value::DoubleLongUnsigned(_))));
    assert_eq!(reading.get(18, IMAGE.0, 6), Err(DataAccessResult::ObjectUndefined));
    reading.release();
    assert_eq!(Line::refused(&program, self::reading(b"12345679")), Outcome::Refused);

    let mut management = Line::open(&program, management());
    match management.get(3, [1, 0, 1, 8, 0, 255], 2) {
        Ok(Value::DoubleLongUnsigned(watt_hours)) => assert!(watt_hours > 0),
        other => panic!("{other:?}"),
    }
    // Ten days of quarter-hours leave through a buffer that holds eleven of them.
    match management.get(7, [1, 0, 99, 1, 0, 255], 2) {
        Ok(Value::Array(rows)) => {
            assert_eq!(rows.len(), 960);
            let energies: Vec<u32> = rows
                .iter()
                .map(|row| match row {
                    Value::Structure(columns) => match columns[..] {
                        [Value::OctetString(_), Value::DoubleLongUnsigned(energy)] => energy,
                        ref other => panic!("{other:?}"),
                    },
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(energies.windows(2).all(|pair| pair[1] - pair[0] == 100), "a quarter-hour of 400 W is 100 Wh");
        }
        other => panic!("{other:?}"),
    }
    // The counter object now names the lowest acceptable counter, for whoever comes next.
    match management.get(1, [0, 0, 43, 1, 0, 255], 2) {
        Ok(Value::DoubleLongUnsigned(lowest)) => assert!(lowest > 90, "{lowest}"),
        other => panic!("{other:?}"),
    }
    management.release();
}

/// An image as the meter wants it: with the check sequence over it at its end.
fn image() -> Vec<u8> {
    let mut image: Vec<u8> = (0..500_u32).map(|n| (n * 7 % 251) as u8).collect();
    image.extend(Fcs::new().update(&image).to_bytes());
    image
}

/// lesson_16: what was transferred is not transferred again, and what is missing is asked for.
#[test]
fn a_firmware_image_is_written_resumed_verified_and_activated() {
    let mut line = Line::open(&build("firmware-meter"), management());
    let Value::DoubleLongUnsigned(block_size) = line.image(2) else { panic!("a block size") };
    let image = image();
    let blocks: Vec<&[u8]> = image.chunks(block_size as usize).collect();
    let count = u32::try_from(blocks.len()).unwrap();
    let send = |line: &mut Line, number: u32| {
        let image_block_value = blocks[number as usize];
        let block = ImageBlock { image_block_number: number, image_block_value };
        line.invoke::<image_transfer::BlockTransfer>(&block)
    };
    assert_eq!(send(&mut line, 0), ActionResult::OtherReason, "nothing was initiated");

    let name = ImageToTransfer { image_identifier: b"firmware 2", image_size: u32::try_from(image.len()).unwrap() };
    assert_eq!(line.invoke::<image_transfer::TransferInitiate>(&name), ActionResult::Success);
    for number in (0..count).filter(|number| *number != 3) {
        assert_eq!(send(&mut line, number), ActionResult::Success);
    }
    assert_eq!(line.image(4), Value::DoubleLongUnsigned(3), "the first missing block");
    assert_ne!(line.invoke::<image_transfer::Verify>(&Zero), ActionResult::Success, "a block is missing");
    assert_eq!(send(&mut line, 3), ActionResult::Success);
    assert_eq!(line.image(4), Value::DoubleLongUnsigned(count));
    let bits = (0..count).map(|_| true).collect();
    assert_eq!(line.image(3), Value::BitString(bits));
    assert_ne!(line.invoke::<image_transfer::Activate>(&Zero), ActionResult::Success, "not verified yet");
    assert_eq!(line.invoke::<image_transfer::Verify>(&Zero), ActionResult::Success);
    assert_eq!(line.image(6), Value::Enum(3), "verified");
    assert_eq!(line.invoke::<image_transfer::Activate>(&Zero), ActionResult::Success);
    assert_eq!(line.get(1, [1, 0, 0, 2, 0, 255], 2), Ok(Value::OctetString(b"firmware 2".to_vec())));

    // A damaged image is not activated.
    assert_eq!(line.invoke::<image_transfer::TransferInitiate>(&name), ActionResult::Success);
    for number in 0..count {
        let damaged: Vec<u8> = blocks[number as usize].iter().map(|octet| octet ^ u8::from(number == 5)).collect();
        let block = ImageBlock { image_block_number: number, image_block_value: &damaged };
        assert_eq!(line.invoke::<image_transfer::BlockTransfer>(&block), ActionResult::Success);
    }
    assert_ne!(line.invoke::<image_transfer::Verify>(&Zero), ActionResult::Success);
    assert_eq!(line.image(6), Value::Enum(4), "not good");
    assert_ne!(line.invoke::<image_transfer::Activate>(&Zero), ActionResult::Success);
    line.release();
}
