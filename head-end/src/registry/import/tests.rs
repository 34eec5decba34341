use dlms::security::{Crypto, RustCrypto};

use super::*;
use crate::vault::SecretRole;

const HEAD: &str = r#"{"format":"dlms-shipment","version":1,"meters":1}"#;

fn read(lines: &[&str], options: &ImportOptions) -> Vec<Result<Option<(MeterId, Change)>, ShipmentError>> {
    let mut reader = ShipmentReader::default();
    let mut cut = Lines::default();
    let mut found = cut.feed(lines.join("\n").as_bytes());
    found.extend(cut.finish());
    found.iter().map(|line| reader.read(line, options)).collect()
}

fn record(keys: &str) -> String {
    format!(
        r#"{{"serial_number":"70000001","logical_device_name":"DHE70000001","system_title":"4448450000000001",
        "group":"north","model":"idis","server":1,"more":[1],
        "links":[{{"link":"wrapper-tcp","address":"192.0.2.1:4059"}},
                 {{"link":"hdlc-tcp","address":"192.0.2.1:4060","gateway":{{"network":2,"device":"0A0B"}}}}],
        "security_suite":0,"clients":[
        {{"name":"public","client":16,"referencing":"logical-name","authentication":"none","ciphered":false,"max_pdu":512}},
        {{"name":"reading","client":2,"referencing":"logical-name","authentication":"hls-gmac","ciphered":true,"max_pdu":512}},
        {{"name":"management","client":1,"referencing":"logical-name","authentication":"hls-gmac","ciphered":true,"max_pdu":512}},
        {{"name":"old","client":3,"referencing":"short-name","authentication":"lls","ciphered":false,"max_pdu":512}}],
        "keys":{keys}}}"#
    )
    .replace('\n', " ")
}

const KEYS: &str = r#"{"guek":"000102030405060708090A0B0C0D0E0F","gak":"D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"}"#;

#[test]
fn lines_are_cut_whatever_the_chunks_and_long_ones_passed_over() {
    let long = "x".repeat(LINE_MAX + 1);
    let text = format!("one\ntwo\r\n{long}\n\nlast");
    for size in [1, 2, 7, 4_096, text.len()] {
        let mut cut = Lines::default();
        let mut lines: Vec<Line> = text.as_bytes().chunks(size).flat_map(|chunk| cut.feed(chunk)).collect();
        lines.extend(cut.finish());
        let shown: Vec<_> =
            lines.iter().map(|line| (line.number, line.text.as_ref().map(|text| text.as_slice()))).collect();
        let expected: [(u64, Option<&[u8]>); 5] =
            [(1, Some(b"one")), (2, Some(b"two\r")), (3, None), (4, Some(b"")), (5, Some(b"last"))];
        assert_eq!(shown, expected, "in chunks of {size}");
    }
}

#[test]
fn a_line_becomes_a_meter_of_its_strongest_client() {
    let found = read(&[HEAD, &record(KEYS), ""], &ImportOptions::default());
    let (id, change) = found[1].as_ref().unwrap().as_ref().unwrap();
    assert_eq!((found.len(), id.as_str(), change.settings.client_sap), (2, "70000001", 1));
    assert_eq!(change.settings.problems(), []);
    assert_eq!(change.settings.logical_device_name, "DHE70000001");
    assert_eq!(change.settings.labels["group"], "north");
    let roles: Vec<_> = change.secrets.keys().copied().collect();
    assert_eq!(roles, [SecretRole::EncryptionKey, SecretRole::AuthenticationKey]);

    let options = ImportOptions {
        client: "public".into(),
        link: "hdlc-tcp".into(),
        naming: Naming::SystemTitle,
        ..ImportOptions::default()
    };
    let (id, change) = read(&[HEAD, &record(KEYS)], &options).remove(1).unwrap().unwrap();
    assert_eq!((id.as_str(), change.settings.client_sap), ("4448450000000001", 16));
    assert_eq!(change.settings.gateway.unwrap().device, [0x0A, 0x0B]);
}

#[test]
fn each_mistake_is_told_by_its_field_and_without_its_value() {
    let secret = "00112233445566778899AABBCCDDEEFG";
    let with = |from: &str, to: &str| record(KEYS).replace(from, to);
    let cases = [
        (record(&format!(r#"{{"guek":"{secret}"}}"#)), "keys.guek"),
        (with("4448450000000001", "44484500000001"), "system_title"),
        (with("70000001\",\"log", "-70000001\",\"log"), "serial_number"),
        (with("192.0.2.1:4059", "192.0.2.1"), "links.address"),
        (with("wrapper-tcp", "plc"), "links.link"),
        (with("logical-name\",", "short-name\","), "clients"),
        (with("\"server\":1,", ""), "line"),
        (with("\"server\":1,", &format!("\"server\":\"{secret}\",")), "line"),
        (r#"{"serial_number":"#.to_owned(), "line"),
    ];
    for (line, field) in cases {
        let error = read(&[HEAD, &line], &ImportOptions::default()).remove(1).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(!error.to_string().contains("0011223344"), "{error}");
    }
}

#[test]
fn a_file_of_another_kind_is_refused_as_a_whole() {
    for head in ["", "{}", "serial;key", r#"{"format":"csv","version":1}"#, r#"{"format":"dlms-shipment","version":2}"#]
    {
        let mut reader = ShipmentReader::default();
        let mut lines = Lines::default();
        let line = lines.feed(format!("{head}\n").as_bytes()).remove(0);
        reader.read(&line, &ImportOptions::default()).expect_err(head);
        assert!(!reader.is_usable(), "{head}");
    }
}

#[test]
fn wrapped_keys_open_with_their_transport_key_alone() {
    let transport = [0x42; 16];
    let wrap = |plain: &[u8]| {
        let mut wrapped = vec![0; plain.len() + 8];
        RustCrypto::wrap(&transport, plain, &mut wrapped).unwrap();
        hex::encode(wrapped)
    };
    let keys = format!(r#"{{"guek":"{}","gak":"{}","password":"{}"}}"#, wrap(&[1; 16]), wrap(&[2; 16]), wrap(&[3; 24]));
    let head = r#"{"format":"dlms-shipment","version":1,"key_wrap":"rfc3394","meters":1}"#;
    let lines = [head, &record(&keys)];
    let with = |key: Option<Vec<u8>>| ImportOptions { transport_key: key.map(Secret::new), ..ImportOptions::default() };

    let (_, change) = read(&lines, &with(Some(transport.to_vec()))).remove(1).unwrap().unwrap();
    assert_eq!(change.secrets[&SecretRole::EncryptionKey].as_ref().unwrap().expose(), [1; 16]);
    assert_eq!(change.secrets[&SecretRole::Password].as_ref().unwrap().expose(), [3; 24]);

    let error = read(&lines, &with(Some(vec![0x43; 16]))).remove(1).unwrap_err();
    assert_eq!(error.field, "keys.guek");
    assert_eq!(read(&lines, &with(None)).remove(0).unwrap_err().field, "key_wrap");
    let plain = [HEAD, &record(KEYS)];
    assert_eq!(read(&plain, &with(Some(transport.to_vec()))).remove(0).unwrap_err().field, "key_wrap");
}

/// An operator's work on a meter outlives the shipment file that is imported once more.
#[tokio::test]
async fn what_people_added_to_a_meter_stays_when_its_shipment_is_imported_again() {
    use crate::{
        meter::Timeouts,
        store::sqlite::SqliteStore,
        vault::{MasterKey, Vault},
    };

    let folder = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(SqliteStore::open(folder.path(), Default::default()).unwrap());
    let vault = Vault::new(&MasterKey::from_hex(&"5a".repeat(32), "test").unwrap());
    let registry = Registry::open(store, vault, Timeouts::default(), None).await.unwrap();
    let options = ImportOptions { update: true, ..ImportOptions::default() };
    let import = async |line: &str| {
        let (id, change) = read(&[HEAD, line], &options).remove(1).unwrap().unwrap();
        registry.import(id, change, &options).await.unwrap()
    };
    assert_eq!(import(&record(KEYS)).await, Imported::Created);
    let id: MeterId = "70000001".parse().unwrap();
    let by_hand = |current: &MeterSettings| {
        let mut settings = current.clone();
        settings.labels.insert("protected-customer".to_owned(), "yes".to_owned());
        settings.timeouts.response_ms = Some(90_000);
        settings.route = "line 7".to_owned();
        settings.push.device_name = "seven".to_owned();
        Ok(Change { settings, secrets: Default::default() })
    };
    let by_hand = registry.update(&id, None, None, by_hand).await.unwrap().settings;
    assert_eq!(import(&record(KEYS)).await, Imported::Unchanged);
    // It has moved: that is taken over, and nothing else.
    assert_eq!(import(&record(KEYS).replace("192.0.2.1:4059", "192.0.2.9:4059")).await, Imported::Updated);
    let now = registry.get(&id).await.unwrap().settings;
    assert_ne!(now.link, by_hand.link);
    assert_eq!(MeterSettings { link: by_hand.link.clone(), ..now }, by_hand);
}
