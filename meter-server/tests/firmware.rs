//! The meter without `std` and without an allocator: linked, run, and read over its line.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dlms::Instant;
use dlms::acse::Mechanism;
use dlms::apdu::{AttributeDescriptor, AttributeRequest, DataAccessResult};
use dlms::association::client::{Config, Connection, Event, Response, Security};
use dlms::axdr::{Data, Value};
use dlms::id::{AttributeId, ClassId, ClientSap, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::{InvocationCounter, KeySet, Protection, Random, RustCrypto, Suite};
use dlms::wrapper::client::Wrapper;

const NOW: Instant = Instant::from_millis(0);

struct Entropy;

impl Random for Entropy {
    fn fill(&mut self, octets: &mut [u8]) {
        getrandom::fill(octets).unwrap();
    }
}

fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware");
    let target = folder.join("../../target/firmware");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // Flags of the test run, of coverage for instance, are for programs with std.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("release/firmware-meter")
}

type Client = Connection<Wrapper<Vec<u8>>, RustCrypto, Entropy, Vec<u8>>;

struct Line {
    meter: Child,
    client: Client,
}

impl Line {
    fn open(program: &Path, config: Config) -> Self {
        let meter = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let link = Wrapper::new(config.client, config.server, vec![0; 2_048], vec![0; 2_048], 1_000);
        let counter = InvocationCounter::new(1, 10_000);
        let client = Connection::new(link, config, Entropy, counter, vec![0; 512], vec![0; 512]);
        let mut line = Self { meter, client };
        line.client.associate(NOW).unwrap();
        assert_eq!(line.exchange(), Outcome::Associated);
        line
    }

    /// Carries octets until the request is answered.
    fn exchange(&mut self) -> Outcome {
        let mut joined = Vec::new();
        loop {
            while let Some(event) = self.client.poll_event() {
                match event {
                    Event::Associated(_) => return Outcome::Associated,
                    Event::Released => return Outcome::Released,
                    Event::Response(Response::Get(result)) => {
                        return Outcome::Value(result.into_result().map(Value::from));
                    }
                    Event::Response(Response::GetBlock { raw, last }) => {
                        joined.extend_from_slice(raw);
                        if last {
                            return Outcome::Value(Ok(Data::from_slice(&joined).unwrap().into()));
                        }
                    }
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
    Released,
    Value(Result<Value, DataAccessResult>),
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
    let program = build();

    let mut public = Line::open(&program, Config { max_pdu: 1_024, ..Config::public(ServerSap::MANAGEMENT) });
    let name = public.get(1, [0, 0, 42, 0, 0, 255], 2);
    assert_eq!(name, Ok(Value::OctetString(b"DLM0000000000001".to_vec())));
    assert_eq!(public.get(3, [1, 0, 1, 8, 0, 255], 2), Err(DataAccessResult::ObjectUndefined));
    assert_eq!(public.get(1, [0, 0, 43, 1, 0, 255], 2), Ok(Value::DoubleLongUnsigned(0)));
    public.release();

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
