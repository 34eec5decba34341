//! Devices behind a gateway: the prefix on the client's side, and the gateway's own.

mod pair;

use dlms::Instant;
use dlms::apdu::{AttributeRequest, Gateway, GetDataResult};
use dlms::association::client::{self, Config, Event, RequestError, Response};
use dlms::association::server::{self, Association, Routed};
use dlms::axdr::{Data, Writer};
use dlms::gateway::{Behind, DEVICE_ADDRESS_MAX, Route};
use dlms::security::{InvocationCounter, RustCrypto};
use dlms::wrapper;
use hex_literal::hex;
use pair::*;

type Client = client::Connection<Behind<wrapper::client::Wrapper<Vec<u8>>, Vec<u8>>, RustCrypto, Counting, Vec<u8>>;
type Server = server::Connection<wrapper::server::Wrapper<Vec<u8>>, RustCrypto, Vec<u8>, 2>;

/// A client, a gateway, and one slave behind it.
struct Network {
    client: Client,
    gateway: Server,
    gateway_device: Meter,
    slave: Association<RustCrypto, Vec<u8>>,
    meter: Meter,
    random: Counting,
    /// What the slave answers is given back under this address.
    answers_as: &'static [u8],
    /// Requests as they came to the gateway.
    seen: Vec<Vec<u8>>,
}

const NOW: Instant = Instant::from_millis(0);

impl Network {
    fn new(config: Config, network: u8, device: &[u8], is_gateway: bool) -> Self {
        let (client, server) = (config.client, config.server);
        let link = wrapper::client::Wrapper::new(client, server, vec![0; 2_048], vec![0; 2_048], 1_000);
        let link = Behind::new(link, Route::new(network, device).unwrap(), vec![0; 2_048]);
        let counter = InvocationCounter::new(1, 1_000);
        let served = wrapper::server::Wrapper::new(vec![0; 2_048], vec![0; 2_048], 1_000);
        Self {
            client: client::Connection::new(link, config, Counting(0), counter, vec![0; 2_048], vec![0; 2_048]),
            gateway: server::Connection::new(served, || vec![0; 2_048], vec![0; 2_048]),
            gateway_device: Meter { is_gateway, ..Meter::default() },
            slave: Association::new(client, server, vec![0; 2_048]),
            meter: Meter { rows: 50, row_octets: 20, ..Meter::default() },
            random: Counting(1 << 40),
            answers_as: b"slave",
            seen: Vec::new(),
        }
    }

    fn drive(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        let mut octets = [0; 4_096];
        loop {
            let mut idle = true;
            while let Some(event) = self.client.poll_event() {
                idle = false;
                seen.push(match event {
                    Event::Associated(_) => "associated".to_owned(),
                    Event::Released => "released".to_owned(),
                    Event::Response(Response::Get(GetDataResult::Data(Data::DoubleLongUnsigned(value)))) => {
                        format!("value {value}")
                    }
                    Event::Response(Response::GetBlock { last, .. }) => format!("block {last}"),
                    Event::Failed(RequestError::Exception(exception)) => format!("failed: {exception}"),
                    other => format!("{other:?}"),
                });
            }
            while let Some(length) = self.client.poll_transmit(&mut octets) {
                idle = false;
                self.seen.push(octets[8..length].to_vec());
                self.gateway.handle_input(&octets[..length], NOW, &mut self.gateway_device, &mut self.random).unwrap();
            }
            for mut apdu in std::mem::take(&mut self.gateway_device.routed) {
                let mut out = vec![0; 2_048];
                let Some(place) = self.slave.handle(&mut apdu, NOW, &mut self.meter, &mut self.random, &mut out) else {
                    continue;
                };
                let (client, server) = (self.slave.client(), self.slave.server());
                let answer = Routed { client, server, network: 0, device: self.answers_as, apdu: &out[place] };
                self.gateway.answer_routed(&answer, NOW).unwrap();
            }
            while let Some(length) = self.gateway.poll_transmit(&mut octets) {
                idle = false;
                assert_eq!(self.client.handle_input(&octets[..length], NOW), length);
            }
            if idle {
                return seen;
            }
        }
    }
}

#[test]
fn a_device_behind_a_gateway_is_spoken_to_as_if_there_were_none() {
    for config in [reader(PASSWORD), management()] {
        let mut network = Network::new(Config { max_pdu: 256, ..config }, 0, b"slave", true);
        network.client.associate(NOW).unwrap();
        assert_eq!(network.drive(), ["associated"]);
        network.client.get(AttributeRequest::whole(REGISTER), NOW).unwrap();
        assert_eq!(network.drive(), ["value 913"]);
        // Every APDU carries the prefix, whole and in front of the ciphering.
        assert!(network.seen.iter().all(|apdu| apdu.starts_with(b"\xE6\x00\x05slave")));
        network.client.get(AttributeRequest::whole(PROFILE), NOW).unwrap();
        let seen = network.drive();
        assert_eq!(seen.last().map(String::as_str), Some("block true"));
        assert!(seen.len() > 4, "{seen:?}");
        network.client.release(NOW).unwrap();
        assert_eq!(network.drive(), ["released"]);
        assert_eq!(network.client.link().foreign(), 0);
    }
}

#[test]
fn an_unreachable_device_is_told_and_an_answer_of_another_is_passed_over() {
    let mut network = Network::new(reader(PASSWORD), 0, b"slave", true);
    network.client.associate(NOW).unwrap();
    assert_eq!(network.drive(), ["associated"]);
    network.answers_as = b"other";
    network.client.get(AttributeRequest::whole(REGISTER), NOW).unwrap();
    assert_eq!(network.drive(), Vec::<String>::new());
    assert_eq!(network.client.link().foreign(), 1);
    assert!(network.client.is_pending());

    for (number, device) in [(0, b"nobody".as_slice()), (1, b"slave")] {
        let mut network = Network::new(reader(PASSWORD), number, device, true);
        network.client.associate(NOW).unwrap();
        let seen = network.drive();
        assert!(seen[0].contains("OperationNotPossible"), "{seen:?}");
    }
    // A meter that is no gateway does not know the APDU: what it says without a prefix is taken for the answer.
    let mut network = Network::new(reader(PASSWORD), 0, b"slave", false);
    network.client.associate(NOW).unwrap();
    let seen = network.drive();
    assert!(seen[0].contains("Exception"), "{seen:?}");
}

#[test]
fn the_prefix_is_that_of_the_published_example() {
    let apdu = hex!("C001C100080000010000FF0200");
    let prefixed = Gateway { response: false, network: 0, device: &hex!("1234"), apdu: &apdu };
    let mut buffer = [0; 32];
    let mut out = Writer::new(&mut buffer);
    prefixed.encode(&mut out).unwrap();
    assert_eq!(out.written(), hex!("E6 00 02 1234 C001C100080000010000FF0200"));
    let route = Route::new(7, &[0xAB; DEVICE_ADDRESS_MAX]).unwrap();
    assert_eq!((route.network(), route.device()), (7, [0xAB; DEVICE_ADDRESS_MAX].as_slice()));
    assert_eq!(Route::new(7, &[0xAB; DEVICE_ADDRESS_MAX + 1]), None);
}
