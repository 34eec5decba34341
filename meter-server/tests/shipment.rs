//! What a head-end is told of a fleet is enough to speak to every meter of it.

mod support;

use std::sync::Arc;

use dlms::acse::Mechanism;
use dlms::association::Secret;
use dlms::association::client::{CLIENT_CONFORMANCE, Config, Security};
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms::security::{KeySet, Protection, Suite};
use dlms_meter_server::simulator::{
    Addressing, BuiltInModel, FleetConfig, Group, KeySource, Keys, MasterSeed, SiteConfig,
};
use serde_json::Value;
use support::client::{public, tcp, udp};
use support::{NOW, Server, octets, stopped};

fn lines(server: &Server) -> Vec<Value> {
    let mut shipment = Vec::new();
    server.fleet().write_shipment(&mut shipment).unwrap();
    String::from_utf8(shipment).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn key(meter: &Value, name: &str) -> Vec<u8> {
    hex::decode(meter["keys"][name].as_str().unwrap()).unwrap()
}

fn link(meter: &Value, name: &str) -> std::net::SocketAddr {
    let links = meter["links"].as_array().unwrap();
    let link = links.iter().find(|link| link["link"] == name).unwrap();
    link["address"].as_str().unwrap().parse().unwrap()
}

fn server_sap(meter: &Value) -> ServerSap {
    ServerSap(u16::try_from(meter["server"].as_u64().unwrap()).unwrap())
}

fn client(meter: &Value, authentication: &str) -> Option<ClientSap> {
    let clients = meter["clients"].as_array().unwrap();
    let client = clients.iter().find(|client| client["authentication"] == authentication)?;
    Some(ClientSap(u16::try_from(client["client"].as_u64().unwrap()).unwrap()))
}

/// The client with HLS GMAC, with the keys of this line.
fn managed(meter: &Value, keys_of: &Value) -> Config {
    let keys = KeySet::new(Suite::Suite0, &key(keys_of, "guek"), &key(keys_of, "gak")).unwrap();
    let title: [u8; 8] = hex::decode(meter["system_title"].as_str().unwrap()).unwrap().try_into().unwrap();
    Config {
        client: client(meter, "hls-gmac").unwrap(),
        server: server_sap(meter),
        mechanism: Mechanism::Gmac,
        security: Some(Security {
            suite: Suite::Suite0,
            keys,
            dedicated_key: None,
            system_title: SystemTitle(*b"TSTCLNT1"),
            peer_title: Some(SystemTitle(title)),
            protection: Protection::AUTHENTICATED_ENCRYPTED,
            general: false,
            receive_floor: 0,
        }),
        conformance: CLIENT_CONFORMANCE,
        ..public()
    }
}

fn group(name: &str, model: &str, meters: u32, keys: KeySource, site: Option<SiteConfig>) -> Group {
    let model = Arc::new(BuiltInModel::find(model).unwrap().model().unwrap());
    let group = FleetConfig { model, meters, ..FleetConfig::default() }.group();
    Group { name: name.to_owned(), keys, site, ..group }
}

#[test]
fn every_meter_of_a_mixed_fleet_is_reached_with_what_the_shipment_says() {
    let any = Some("127.0.0.1:0".parse().unwrap());
    let derived = || KeySource::Derived(Arc::new(MasterSeed::new([0x5A; 32])));
    let behind_one = SiteConfig { addressing: Addressing::LogicalDevices, tcp: any, udp: any, ..SiteConfig::default() };
    let groups = vec![
        group("households", "idis-three-phase", 12, derived(), None),
        group("old ones", "short-names", 3, derived(), None),
        group("laboratory", "idis-three-phase", 5, KeySource::Shared(Arc::new(Keys::demonstration())), None),
        group("cellar", "idis-three-phase", 4, derived(), Some(behind_one)),
    ];
    let config = FleetConfig { tcp: any, udp: any, ..stopped(7, NOW) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let fleet = runtime.block_on(dlms_meter_server::simulator::Fleet::start_groups(config, groups)).unwrap();
    let server = Server::from_parts(runtime, fleet);
    let lines = lines(&server);
    let (head, meters) = lines.split_first().unwrap();
    assert_eq!((head["format"].as_str(), head["version"].as_u64()), (Some("dlms-shipment"), Some(1)));
    assert_eq!((head["meters"].as_u64(), meters.len()), (Some(24), 24));
    assert_eq!(server.fleet().devices().len(), 21, "four of them are one device");
    let mut counter = 1;
    for meter in meters {
        let name = meter["logical_device_name"].as_str().unwrap();
        let Some(reader) = client(meter, "lls") else { panic!("{name} has no client with a password") };
        let config = Config {
            client: reader,
            server: server_sap(meter),
            mechanism: Mechanism::Lls,
            secret: Secret::new(&key(meter, "password")).unwrap(),
            ..public()
        };
        if meter["clients"][0]["referencing"] == "short-name" {
            continue;
        }
        let mut client = udp(link(meter, "wrapper-udp"), config, 0).associate().unwrap();
        assert_eq!(octets(&client.get(1, "0.0.42.0.0.255", 2)), name.as_bytes());
        counter += 100;
        let mut client = tcp(link(meter, "wrapper-tcp"), managed(meter, meter), counter).associate().unwrap();
        assert_eq!(octets(&client.get(1, "0.0.42.0.0.255", 2)), name.as_bytes());
        client.release().unwrap();
    }
    // The keys of one are not those of another, unless they are shared.
    let others = |one: usize, other: usize| {
        tcp(link(&meters[one], "wrapper-tcp"), managed(&meters[one], &meters[other]), 90_000).associate().is_ok()
    };
    assert!(!others(0, 1) && !others(20, 21) && !others(0, 16));
    assert!(others(16, 17));
    assert_eq!(key(&meters[0], "gbek"), key(&meters[1], "gbek"), "broadcasts reach all");
}
