//! What the classes from 40 on say, with octets from the Blue Book's examples, captures and an independent
//! implementation.

use super::members::vector;
use super::*;
use crate::apdu::DataAccessResult;
use crate::association::server::{Cursor, Progress};
use crate::cosem::*;
use crate::id::{AttributeId, ClassId};
use crate::obis::ObisCode;
use crate::time::DateTime;
use hex_literal::hex;

/// 2025-05-29 10:15:30 +02:00, as the script that made the vectors has it.
fn is_time(time: DateTime) -> bool {
    time.to_unix_seconds() == Some(1_748_506_530)
}

/// Reads an attribute of the vectors.
macro_rules! attribute {
    ($marker:ty, $version:expr => $octets:ident) => {{
        $octets = vector::<$marker>($version);
        <$marker>::decode(Data::from_slice(&$octets).unwrap()).unwrap()
    }};
}

#[test]
fn lesson_17_push_setup_by_version() {
    use push_setup::*;
    let octets;
    let objects = attribute!(PushObjectListV0, 0 => octets);
    let object = objects.iter().next().unwrap().unwrap();
    assert_eq!(
        (object.class_id, object.instance, object.attribute),
        (ClassId(3), ObisCode::ACTIVE_IMPORT, AttributeId(2))
    );
    let octets;
    let object = attribute!(PushObjectListV1, 1 => octets).iter().next().unwrap().unwrap();
    assert_eq!((object.data_index, object.restriction.restriction_type), (0, RestrictionType::None));
    let octets;
    let object = attribute!(PushObjectList, 2 => octets).iter().next().unwrap().unwrap();
    assert_eq!((object.instance, object.columns.len()), (ObisCode::ACTIVE_IMPORT, 0));

    let octets;
    let destination = attribute!(Destination, 1 => octets);
    assert_eq!((destination.service, destination.destination), (TransportService::Tcp, &b"10.0.0.1:4059"[..]));
    let octets;
    let window = attribute!(CommunicationWindow, 0 => octets).iter().next().unwrap().unwrap();
    assert_eq!(window.start.hour(), Some(10));
    let octets;
    assert_eq!(attribute!(RepetitionDelayV0, 1 => octets), 60);
    let octets;
    let delay = attribute!(RepetitionDelay, 2 => octets);
    assert_eq!(delay, Delay { min: 10, exponent: 150, max: 600 });
    assert_eq!([0, 1, 2, 3, 4, 12, 255].map(|failures| delay.seconds(failures)), [10, 10, 15, 22, 33, 600, 600]);
    let octets;
    assert_eq!(attribute!(ConfirmationParameters, 2 => octets).interval, 86400);
    let octets;
    assert_eq!(attribute!(PortReference, 1 => octets), ObisCode::new(0, 0, 25, 0, 0, 255));

    let version = |version| class_version(ClassId(40), version).unwrap();
    let counts = [0, 1, 2, 3].map(|v| (version(v).attributes().count(), version(v).methods().count()));
    assert_eq!(counts, [(6, 1), (9, 1), (12, 2), (12, 2)]);
}

/// A layer of protection, written by hand after the class's table.
#[test]
fn push_protection() {
    use push_setup::*;
    let octets =
        hex!("01 01 02 02 16 02 02 05 09 01 07 09 08 4D4D4D0000000001 09 08 4D4D4D0000BC614E 09 00 02 02 16 00 16 00");
    let layers = PushProtectionParameters::decode(Data::from_slice(&octets).unwrap()).unwrap();
    let layer = layers.iter().next().unwrap().unwrap();
    assert_eq!(layer.protection_type, ProtectionType::AuthenticatedEncryption);
    assert_eq!(layer.options.originator_system_title, hex!("4D4D4D0000000001"));
    assert_eq!(layer.options.key_info, ProtectionKey { key_info_type: Enumerated(0), key_info_options: Data::Enum(0) });
    assert_eq!(written(&Array::from(&[layer])), octets);
}

/// A push setup that has nothing but a delay, in the version that it is made with.
struct Delayed(u8);

impl push_setup::Server<u16, ()> for Delayed {
    fn class_version(&self) -> u8 {
        self.0
    }

    fn repetition_delay_v0(
        &self,
        delay: &u16,
        (): &(),
        answer: Answer<'_, '_, push_setup::RepetitionDelayV0>,
    ) -> Answered {
        answer.value(delay)
    }

    fn repetition_delay(&self, delay: &u16, (): &(), answer: Answer<'_, '_, push_setup::RepetitionDelay>) -> Answered {
        answer.value(&push_setup::Delay { min: *delay, exponent: 100, max: *delay })
    }

    fn set_repetition_delay_v0(&self, delay: &mut u16, (): &(), value: u16) -> Result<(), DataAccessResult> {
        *delay = value;
        Ok(())
    }
}

type Answered = Result<Progress, DataAccessResult>;

#[test]
fn lesson_17_a_server_answers_in_the_type_of_its_version() {
    let get = |version, attribute| {
        let mut buffer = [0; 32];
        let mut out = Writer::new(&mut buffer);
        let part = Part { selection: None, cursor: &mut Cursor::default(), out: &mut out };
        push_setup::dispatch_get(&Delayed(version), &60, &(), AttributeId(attribute), part)?;
        Ok(out.written().to_vec())
    };
    assert_eq!(get(0, 7), Ok(hex!("12 003C").to_vec()));
    assert_eq!(get(2, 7), Ok(hex!("02 03 12 003C 12 0064 12 003C").to_vec()));
    assert_eq!(get(0, 8), Err(DataAccessResult::ObjectUndefined));
    assert_eq!(get(1, 8), Err(DataAccessResult::ReadWriteDenied));

    let set = |version, octets: &[u8]| {
        let mut delay = 0;
        let value = Data::from_slice(octets).unwrap();
        push_setup::dispatch_set(&Delayed(version), &mut delay, &(), AttributeId(7), value).map(|()| delay)
    };
    assert_eq!(set(1, &hex!("12 0005")), Ok(5));
    assert_eq!(set(1, &hex!("11 05")), Err(DataAccessResult::TypeUnmatched));
    assert_eq!(set(2, &hex!("12 0005")), Err(DataAccessResult::TypeUnmatched));
}

#[test]
fn certificates_by_entity_and_by_serial_number() {
    use security_setup::*;
    let octets = hex!("02 02 16 00 02 03 16 01 16 00 09 08 4D4D4D0000000001");
    let client = CertificateIdentification::ByEntity {
        entity: CertificateEntity::Client,
        certificate_type: CertificateType::DigitalSignature,
        system_title: &hex!("4D4D4D0000000001"),
    };
    assert_eq!(ExportCertificate::decode(Data::from_slice(&octets).unwrap()), Ok(client));
    assert_eq!(written(&client), octets);
    let octets = hex!("02 02 16 01 02 02 09 01 07 09 02 4341");
    let serial = CertificateIdentification::BySerial { serial_number: &[7], issuer: b"CA" };
    assert_eq!(read(&octets), Ok(serial));
    assert_eq!(written(&serial), octets);
    // A type that does not go with the members, another type, members of the wrong kind or number.
    for wrong in [
        &hex!("02 02 16 00 02 02 09 01 07 09 02 4341")[..],
        &hex!("02 02 16 02 02 02 09 01 07 09 02 4341"),
        &hex!("02 02 16 01 02 02 11 07 09 02 4341"),
        &hex!("02 02 16 01 02 03 09 01 07 09 02 4341 00"),
        &hex!("02 01 16 01"),
    ] {
        assert!(read::<CertificateIdentification<'_>>(wrong).is_err(), "{}", hex::encode(wrong));
    }
    let agreement = |octets| KeyAgreementData { key_id: KeyId::Authentication, key_data: octets };
    let (suite_1, suite_2) = ([1; 128], [2; 192]);
    assert_eq!(agreement(&suite_1).public_key_and_signature(), Some((&[1; 64][..], &[1; 64][..])));
    assert_eq!(agreement(&suite_2).public_key_and_signature().unwrap().0.len(), 96);
    assert_eq!(agreement(&suite_2[..191]).public_key_and_signature(), None);
}

#[test]
fn networks() {
    let octets;
    assert_eq!(attribute!(tcp_udp_setup::Port, 0 => octets), 4059);
    let octets;
    assert_eq!(attribute!(tcp_udp_setup::SimultaneousConnections, 0 => octets), 2);
    let octets;
    assert_eq!(attribute!(ipv4_setup::Address, 0 => octets), 0xC0A8_0001);
    let octets;
    let option = attribute!(ipv4_setup::Options, 0 => octets).iter().next().unwrap().unwrap();
    assert_eq!((option.option_type, option.length, option.data), (7, 3, &[1][..]));
    let octets;
    assert_eq!(attribute!(mac_address_setup::Address, 0 => octets), hex!("001122334455"));
    let octets;
    assert_eq!(attribute!(ppp_setup::PhysicalReference, 0 => octets), ObisCode::new(0, 0, 2, 0, 0, 255));
    let option = hex!("01 01 02 03 11 01 11 04 12 05DC");
    let option =
        ppp_setup::LcpOptions::decode(Data::from_slice(&option).unwrap()).unwrap().iter().next().unwrap().unwrap();
    assert_eq!((option.option_type, option.data), (1, Data::LongUnsigned(1500)));
    let octets;
    assert_eq!(attribute!(gprs_modem_setup::Apn, 0 => octets), b"meters.example");
    let octets;
    let quality = attribute!(gprs_modem_setup::QualityOfService, 0 => octets);
    assert_eq!(
        (quality.default.precedence, quality.requested.precedence, quality.requested.mean_throughput),
        (1, 2, 5)
    );
    let octets;
    let address = attribute!(ipv6_setup::UnicastAddresses, 0 => octets).iter().next().unwrap().unwrap();
    assert_eq!(address, hex!("20010DB8000000000000000000000001"));
    let octets;
    let discovery = attribute!(ipv6_setup::NeighbourDiscoverySetup, 0 => octets).iter().next().unwrap().unwrap();
    assert_eq!((discovery.max_retry, discovery.retry_wait_time, discovery.send_period), (3, 10_000, 60_000));
    let octets;
    assert_eq!(attribute!(ntp_setup::ServerAddress, 0 => octets), b"ntp.example");
    let octets;
    assert_eq!(attribute!(ntp_setup::Authentication, 0 => octets), ntp_setup::AuthenticationMethod::SharedSecret);
}

#[test]
fn lesson_17_mobile_networks_by_version() {
    use gsm_diagnostic::*;
    let octets;
    assert_eq!(attribute!(Status, 1 => octets), RegistrationStatus::Home);
    let octets;
    let cell = attribute!(CellInfoV0, 0 => octets);
    assert_eq!((cell.cell_id, cell.location_id, cell.signal_quality), (513, 1027, 20));
    let octets;
    let cell = attribute!(CellInfo, 1 => octets);
    assert_eq!((cell.cell_id, cell.mcc, cell.mnc, cell.channel_number), (513, 204, 8, 6400));
    let octets;
    let adjacent = attribute!(AdjacentCells, 1 => octets).iter().next().unwrap().unwrap();
    assert_eq!((adjacent.cell_id, adjacent.signal_quality), (514, 11));
    let octets;
    assert!(is_time(attribute!(CaptureTime, 1 => octets).0));
    assert_eq!([0, 31, 32, 99].map(dbm), [Some(-113), Some(-51), None, None]);
    assert_eq!(read(&hex!("16 08")), Ok(PacketSwitchedStatus::NbIotNb1));

    let octets;
    let network = attribute!(lte_monitoring::NetworkParameters, 1 => octets);
    assert_eq!((network.t3402, network.t3412_ext2, network.q_rx_lev_min_ce1), (720, 86_400, -90));
    let octets;
    let quality = attribute!(lte_monitoring::QualityOfService, 1 => octets);
    assert_eq!((quality.rsrq, quality.rsrp, quality.coverage_enhancement), (20, -90, Enumerated(1)));
}

/// Bytes of the Blue Book's example of class 62, whose types and values are given there.
#[test]
fn compact_data_are_compressed_to_what_expands_to_them() {
    use compact_data::{CompactDataError, compress, describe, expand};
    // The verified example, and nested arrays.
    let cases: [(&[u8], &[u8]); 2] = [
        (
            &hex!("02 0A 11 06 11 11 06 06 06 06 09 12"),
            &hex!("00 51EE5305 29 18 0061FFD3 000D33D2 0012D687 0023CACE 06414243444546 1ED2"),
        ),
        (&hex!("02 02 11 01 02 02 06 11"), &hex!("07 02 00000001 02 00000003 04")),
    ];
    for (template, buffer) in cases {
        let (mut space, mut octets) = ([0; 128], [0; 128]);
        let values = written(&expand(template, buffer, &mut space).unwrap());
        let mut out = Writer::new(&mut octets);
        describe(&values, &mut out).unwrap();
        assert_eq!(out.written(), template);
        let mut out = Writer::new(&mut octets);
        compress(template, &values, &mut out).unwrap();
        assert_eq!(out.written(), buffer);
        for length in 0..buffer.len() {
            let mut out = Writer::new(&mut octets[..length]);
            assert!(matches!(compress(template, &values, &mut out), Err(CompactDataError::Full(_))));
        }
        for length in 0..values.len() {
            let mut out = Writer::new(&mut octets);
            let cut = compress(template, &values[..length], &mut out);
            assert!(matches!(cut, Err(CompactDataError::Values(_))), "{cut:?}");
        }
    }
    let mut octets = [0; 64];
    let described = |values: &[u8]| describe(values, &mut Writer::new(&mut [0; 64]));
    assert_eq!(described(&hex!("02 01 01 00")), Err(CompactDataError::EmptyArray));
    // An array whose elements are of two types is none that a template can describe.
    let mixed = CompactDataError::Unlike { expected: "unsigned", found: "long-unsigned" };
    assert_eq!(described(&hex!("01 02 11 01 12 0001")), Err(mixed));
    assert!(matches!(described(&hex!("13 11 01 07")), Err(CompactDataError::Unlike { .. })));
    // With a template there may be no elements.
    let mut out = Writer::new(&mut octets);
    assert_eq!(compress(&hex!("02 02 11 01 06"), &hex!("02 02 11 07 01 00"), &mut out), Ok(()));
    assert_eq!(out.written(), hex!("07 00"));
    let mut out = Writer::new(&mut octets);
    let longer = compress(&hex!("02 01 11"), &hex!("02 02 11 07 11 08"), &mut out);
    assert!(matches!(longer, Err(CompactDataError::Unlike { .. })));
    assert!(matches!(compress(&hex!("11 11"), &hex!("11 07"), &mut out), Err(CompactDataError::Template(_))));
}

#[test]
fn compact_data() {
    use compact_data::{CompactDataError, expand};
    let template = hex!("02 0A 11 06 11 11 06 06 06 06 09 12");
    let buffer = hex!("00 51EE5305 29 18 0061FFD3 000D33D2 0012D687 0023CACE 06 414243444546 1ED2");
    let mut space = [0; 128];
    let values = expand(&template, &buffer, &mut space).unwrap();
    let members: Vec<_> = values.as_structure().unwrap().iter().collect();
    assert_eq!(members[1], Data::DoubleLongUnsigned(0x51EE_5305));
    assert_eq!(members[8], Data::OctetString(b"ABCDEF"));
    assert_eq!((members.len(), members[9]), (10, Data::LongUnsigned(7890)));

    // An array of structures, its count in the buffer; and one without elements.
    let template = hex!("02 02 11 01 02 02 06 11");
    let values = expand(&template, &hex!("07 02 00000001 02 00000003 04"), &mut space).unwrap();
    let rows = values.as_structure().unwrap().get(1).unwrap().as_array().unwrap();
    let row = rows.get(1).unwrap().as_members::<2>().unwrap();
    assert_eq!(row, [Data::DoubleLongUnsigned(3), Data::Unsigned(4)]);
    let values = expand(&template, &hex!("07 00"), &mut space).unwrap();
    assert!(values.as_structure().unwrap().get(1).unwrap().as_array().unwrap().is_empty());

    // Cut, too long, of another template, without room, nested for ever.
    for length in 0..buffer.len() {
        assert!(expand(&hex!("02 0A 11 06 11 11 06 06 06 06 09 12"), &buffer[..length], &mut space).is_err());
    }
    assert!(matches!(expand(&hex!("11"), &hex!("0102"), &mut space), Err(CompactDataError::Buffer(_))));
    assert!(matches!(expand(&hex!("02 02 11"), &hex!("0102"), &mut space), Err(CompactDataError::Template(_))));
    assert!(matches!(expand(&hex!("11 11"), &hex!("01"), &mut space), Err(CompactDataError::Template(_))));
    assert!(matches!(expand(&hex!("13"), &hex!("01"), &mut space), Err(CompactDataError::Template(_))));
    assert!(matches!(expand(&hex!("01 00"), &hex!("84FFFFFFFF"), &mut space), Err(CompactDataError::Full(_))));
    assert!(matches!(expand(&hex!("06"), &hex!("00000000"), &mut [0; 3]), Err(CompactDataError::Full(_))));
    assert!(matches!(expand(&[1; 200], &[1; 200], &mut [0; 1024]), Err(CompactDataError::Template(_))));
    assert!(matches!(expand(&[1; 200], &[0; 200], &mut [0; 1024]), Err(CompactDataError::Template(_))));
}

proptest::proptest! {
    #[test]
    fn any_compact_data(template: Vec<u8>, buffer: Vec<u8>) {
        let mut space = [0; 256];
        let _ = compact_data::expand(&template, &buffer, &mut space).is_ok();
        let template = [&[2, 3, 1][..], &template].concat();
        let _ = compact_data::expand(&template, &buffer, &mut space).is_ok();
    }
}

#[test]
fn tables_and_mappings() {
    let definition = hex!("02 04 12 0003 09 06 0100010800FF 01 02 11 01 11 02 0F 02");
    let definition = register_table::CellDefinition::decode(Data::from_slice(&definition).unwrap()).unwrap();
    assert_eq!(definition.cell(1), Some(ObisCode::new(1, 0, 1, 8, 2, 255)));
    assert_eq!(definition.cell(2), None);

    let mapping = hex!("02 02 11 05 12 0010");
    let mapping = status_mapping::Mapping::decode(Data::from_slice(&mapping).unwrap()).unwrap();
    assert_eq!((mapping.entry(0), mapping.entry(3), mapping.entry(u16::MAX)), (Some(16), Some(19), None));
    let mapping = hex!("02 02 11 05 01 02 12 0010 12 0005");
    let mapping = status_mapping::Mapping::decode(Data::from_slice(&mapping).unwrap()).unwrap();
    assert_eq!((mapping.entry(1), mapping.entry(2)), (Some(5), None));
}

#[test]
fn monitors_and_limits() {
    let octets;
    let changed = attribute!(parameter_monitor::Changed, 0 => octets);
    assert_eq!((changed.class_id, changed.attribute_index), (ClassId(3), AttributeId(3)));
    let octets;
    let parameter = attribute!(parameter_monitor::ParameterList, 0 => octets).iter().next().unwrap().unwrap();
    assert_eq!(parameter.logical_name, ObisCode::ACTIVE_IMPORT);

    let octets;
    let monitored = attribute!(limiter::Monitored, 0 => octets);
    assert_eq!((monitored.logical_name, monitored.attribute_index), (ObisCode::ACTIVE_IMPORT, AttributeId(2)));
    let octets;
    let emergency = attribute!(limiter::Emergency, 0 => octets);
    assert_eq!((emergency.id, emergency.duration), (7, 3600));
    let octets;
    let actions = attribute!(limiter::Actions, 0 => octets);
    assert_eq!((actions.over_threshold.script_selector, actions.under_threshold.script_selector), (1, 2));

    let octets = hex!("01 02 01 02 12 0001 12 0002 01 01 12 0003");
    let weights = arbitrator::Weightings::decode(Data::from_slice(&octets).unwrap()).unwrap();
    let weights: Vec<Vec<_>> = weights.iter().map(|row| row.unwrap().iter().map(Result::unwrap).collect()).collect();
    assert_eq!(weights, [&[1, 2][..], &[3]]);
    let octets = hex!("02 02 11 01 04 03 A0");
    let request = arbitrator::RequestAction::decode(Data::from_slice(&octets).unwrap()).unwrap();
    assert_eq!((request.actor, request.actions.iter().collect::<Vec<_>>()), (1, std::vec![true, false, true]));

    use communication_port_protection::lockout_seconds;
    assert_eq!([0, 3, 4, 5, 6, 40].map(|failed| lockout_seconds(failed, 3, 60, 2, 3600)), [0, 0, 60, 120, 240, 3600]);
}

#[test]
fn lesson_17_m_bus_identification_by_version() {
    use mbus_client::*;
    let octets;
    assert_eq!(attribute!(IdentificationNumber, 1 => octets), 12_345_678);
    // In version 0 the digits are coded one by one. The other implementation does as some meters do and writes a plain
    // number; that shows here, as one of its digits is none.
    let octets;
    assert_eq!(attribute!(IdentificationNumberV0, 0 => octets).number(), None);
    assert_eq!(read::<BcdNumber>(&hex!("06 12345678")).unwrap().number(), Some(12_345_678));
    assert_eq!(BcdNumber::new(12_345_678), Some(BcdNumber(0x1234_5678)));
    assert_eq!((BcdNumber::new(99_999_999).unwrap().number(), BcdNumber::new(100_000_000)), (Some(99_999_999), None));
    assert_eq!(BcdNumber(0x1234_567A).number(), None);

    let octets;
    let manufacturer_number = attribute!(ManufacturerId, 1 => octets);
    assert_eq!(manufacturer(manufacturer_number), ['K', 'A', 'M']);
    assert_eq!((manufacturer_id("KAM"), manufacturer_id("KaM"), manufacturer_id("KA")), (Some(0x2C2D), None, None));
    let octets;
    assert_eq!(attribute!(EncryptionKeyStatus, 1 => octets), KeyStatus::InUse);
    let definition = hex!("01 01 02 02 09 01 0C 09 01 13");
    let capture =
        CaptureDefinition::decode(Data::from_slice(&definition).unwrap()).unwrap().iter().next().unwrap().unwrap();
    assert_eq!((capture.data_information_block, capture.value_information_block), (&[0x0C][..], &[0x13][..]));
    assert!(class_version(ClassId(72), 0).unwrap().attribute(AttributeId(13)).is_none());
    assert!(class_version(ClassId(72), 2).unwrap().attribute(AttributeId(14)).is_some());
}

#[test]
fn payments() {
    let octets;
    let mode = attribute!(account::ModeAndStatus, 0 => octets);
    assert_eq!((mode.mode, mode.status), (account::PaymentMode::Prepayment, account::AccountStatus::Active));
    let octets;
    let currency = attribute!(account::CurrencyInUse, 0 => octets);
    assert_eq!((currency.name, currency.scale, currency.unit), (Utf8(b"EUR"), -2, account::CurrencyUnit::Monetary));
    let octets;
    let share = attribute!(account::TokenGatewayConfiguration, 0 => octets).iter().next().unwrap().unwrap();
    assert_eq!((share.credit_reference, share.proportion), (ObisCode::new(0, 0, 19, 10, 0, 255), 100));
    let octets;
    assert_eq!(attribute!(credit::Kind, 0 => octets), credit::CreditType::Emergency);
    let octets;
    assert_eq!(attribute!(credit::Limit, 0 => octets), -10);
    let octets;
    assert_eq!(attribute!(charge::TotalAmountRemaining, 0 => octets), 1234);
    let price = hex!("02 03 02 02 0F 03 0F FE 02 03 12 0003 09 06 0100010800FF 0F 02 01 01 02 02 09 01 00 10 001F");
    let price = charge::UnitChargeActive::decode(Data::from_slice(&price).unwrap()).unwrap();
    let element = price.charge_table.iter().next().unwrap().unwrap();
    assert_eq!((price.charge_per_unit_scaling.price_scale, element.charge_per_unit), (-2, 31));
    let octets;
    let status = attribute!(token_gateway::Status, 0 => octets);
    assert_eq!((status.status_code, status.data.len()), (token_gateway::TokenStatusCode::ExecutionOk, 3));
    let octets;
    let function = attribute!(function_control::FunctionList, 0 => octets).iter().next().unwrap().unwrap();
    let object = function.objects.iter().next().unwrap().unwrap();
    assert_eq!((function.function_name, object.logical_name), (&b"F1"[..], ObisCode::ACTIVE_IMPORT));
}
