//! Every attribute and method of the classes from 40 on: written and read by an independent implementation where it
//! knows the class, and hit with values of every wrong type.

use super::*;
use crate::axdr::Reader;
use crate::cosem::{Attribute, Method};
use hex_literal::hex;
use std::collections::BTreeSet;
use std::format;
use std::string::String;

/// Does `$do` with each marker type.
macro_rules! attributes {
    ($do:ident $arguments:tt) => {
        members! { $do $arguments;
            data_protection: ProtectionBuffer ProtectionObjectList ParametersGet ParametersSet RequiredProtection;
        push_setup: PushObjectListV0 PushObjectListV1 PushObjectList Destination CommunicationWindow RandomisationStartInterval NumberOfRetries RepetitionDelayV0 RepetitionDelay PortReference PushClientSap PushProtectionParameters PushOperationMethod ConfirmationParameters LastConfirmation;
            tcp_udp_setup: Port IpReference Mss SimultaneousConnections InactivityTimeOut;
            ipv4_setup: DataLinkReference Address MulticastAddress Options SubnetMask GatewayAddress UseDhcp PrimaryDns SecondaryDns;
            mac_address_setup: Address;
            ppp_setup: PhysicalReference LcpOptions IpcpOptions Authentication;
            gprs_modem_setup: Apn PinCode QualityOfService;
            smtp_setup: ServerPort UserName LoginPassword ServerAddress SenderAddress;
            gsm_diagnostic: Operator Status CsAttachment PsStatus CellInfoV0 CellInfo AdjacentCellsV0 AdjacentCells CaptureTime;
            ipv6_setup: DataLinkReference ConfigMode UnicastAddresses MulticastAddresses GatewayAddresses PrimaryDns SecondaryDns TrafficClass NeighbourDiscoverySetup;
            register_table: CellValues CellDefinition ScalerUnit;
            compact_data: CompactBuffer CaptureObjectsV0 CaptureObjects TemplateId TemplateDescription Capture;
            status_mapping: StatusWord Mapping;
            security_setup: PolicyV0 Policy Suite ClientSystemTitle ServerSystemTitle Certificates;
            parameter_monitor: Changed CaptureTime ParameterList ListName HashAlgorithm Digest Values;
            measurement_data_monitoring: WaveformData TriggerTime TriggerSource Status SamplingRate SamplesBefore SamplesAfter ScalerUnit;
            sensor_manager: SerialNumber MetrologicalIdentification OutputType AdjustmentMethod SealingMethod RawValue ScalerUnit Status CaptureTime RawValueThresholds RawValueActions ProcessedValue ProcessedValueThresholds ProcessedValueActions;
            arbitrator: Actions Permissions Weightings MostRecentRequests LastOutcome;
            disconnect_control: OutputState State Mode;
            limiter: Monitored ThresholdActive ThresholdNormal ThresholdEmergency MinOverThreshold MinUnderThreshold Emergency EmergencyGroups EmergencyActive Actions;
            mbus_client: PortReference CaptureDefinition CapturePeriod PrimaryAddress IdentificationNumberV0 IdentificationNumber ManufacturerId DeviceVersion DeviceType AccessNumber Status Alarm Configuration EncryptionKeyStatus;
            mbus_master_port_setup: CommunicationSpeed;
            mbus_port_setup: ProfileSelection PortCommunicationStatus DataHeaderType PrimaryAddress IdentificationNumber ManufacturerId DeviceVersion DeviceType MaxPduSize ListeningWindow;
            mbus_diagnostic: ReceivedSignalStrength ChannelId Link BroadcastFramesCounter TransmissionsCounter FcsOkFramesCounter FcsNokFramesCounter CaptureTime;
            ntp_setup: Activated ServerAddress ServerPort Authentication AuthenticationKeys ClientKey;
            account: ModeAndStatus CurrentCreditInUse CurrentCreditStatus AvailableCredit AmountToClear ClearanceThreshold AggregatedDebt CreditReferenceList ChargeReferenceList CreditChargeConfiguration TokenGatewayConfiguration AccountActivationTime AccountClosureTime CurrencyInUse LowCreditThreshold NextCreditAvailableThreshold MaxProvision MaxProvisionPeriod;
            credit: CurrentCreditAmount Kind Priority WarningThreshold Limit Configuration Status PresetCreditAmount CreditAvailableThreshold Period;
            charge: TotalAmountPaid Kind Priority UnitChargeActive UnitChargePassive UnitChargeActivationTime Period Configuration LastCollectionTime LastCollectionAmount TotalAmountRemaining Proportion;
            token_gateway: Token TokenTime TokenDescription Delivery Status;
            sts_attributes: MeterPan Commodity TokenCarrierTypes EncryptionAlgorithm SupplyGroupCode TariffIndex KeyRevisionNumber KeyType KeyExpiryNumber KeyChangeTokens CertificateNumber;
            function_control: ActivationStatus FunctionList;
            array_manager: ArrayObjectList;
            communication_port_protection: Mode AllowedFailedAttempts InitialLockoutTime SteepnessFactor MaxLockoutTime PortReference Status FailedAttempts CumulativeFailedAttempts;
            lte_monitoring: NetworkParametersV0 NetworkParameters QualityOfService;
        coap_setup: UdpReference AckTimeout AckRandomFactor MaxRetransmit Nstart DelayAckTimeout ExponentialBackOff
            ProbingRate UriPath Transport WrapperVersion TokenLength;
        coap_diagnostic: MessagesCounter RequestResponseCounter BlockTransferCounter CaptureTime;
        }
    };
}

macro_rules! methods {
    ($do:ident $arguments:tt) => {
        members! { $do $arguments;
            data_protection: GetProtectedAttributes SetProtectedAttributes InvokeProtectedMethod;
        push_setup: Push Reset;
            ipv4_setup: AddMulticastAddress DeleteMulticastAddress MulticastAddressCount;
            ipv6_setup: AddAddress RemoveAddress;
            register_table: Reset Capture;
            compact_data: Reset CaptureNow;
            security_setup: SecurityActivateV0 SecurityActivate GlobalKeyTransfer KeyTransfer KeyAgreement GenerateKeyPair GenerateCertificateRequest ImportCertificate ExportCertificate RemoveCertificate;
            parameter_monitor: AddParameter DeleteParameter;
            measurement_data_monitoring: Reset TriggerNow;
            sensor_manager: Reset;
            arbitrator: RequestAction Reset;
            disconnect_control: RemoteDisconnect RemoteReconnect;
            mbus_client: SlaveInstall SlaveDeinstall CaptureNow ResetAlarm SynchronizeClock DataSend SetEncryptionKey TransferKey;
            mbus_diagnostic: Reset;
            ntp_setup: Synchronize AddAuthenticationKey DeleteAuthenticationKey;
            account: ActivateAccount CloseAccount ResetAccount;
            credit: UpdateAmount SetAmountToValue InvokeCredit;
            charge: UpdateUnitCharge ActivatePassiveUnitCharge Collect UpdateTotalAmountRemaining SetTotalAmountRemaining;
            token_gateway: Enter;
            function_control: SetFunctionStatus AddFunction RemoveFunction;
            array_manager: NumberOfEntries RetrieveEntries InsertEntry UpdateEntry RemoveEntries;
            communication_port_protection: Reset;
        coap_diagnostic: Reset;
        }
    };
}

macro_rules! members {
    ($do:ident $arguments:tt; $($module:ident: $($marker:ident)*;)*) => {
        $($(members!(@one $do crate::cosem::$module::$marker, $arguments);)*)*
    };
    (@one $do:ident $marker:ty, ($($argument:expr),*)) => {
        $do::<$marker>($($argument),*)
    };
}

#[derive(serde::Deserialize)]
pub(super) struct Vector {
    class: u16,
    version: u8,
    attribute: i8,
    hex: String,
}

#[derive(serde::Deserialize)]
struct Vectors {
    vector: Vec<Vector>,
}

/// What gurux-dlms (PyPI) writes in SET requests; the script beside the file says how.
pub(super) fn vectors() -> Vec<Vector> {
    toml::from_str::<Vectors>(include_str!("../../../tests/vectors/cosem-objects.toml")).unwrap().vector
}

/// The octets of an attribute in the version that is given.
pub(super) fn vector<A: Attribute>(version: u8) -> Vec<u8> {
    let wanted =
        |vector: &Vector| (vector.class, vector.version, vector.attribute) == (A::CLASS_ID.0, version, A::ID.0);
    let found = vectors().into_iter().find(wanted);
    hex::decode(found.unwrap_or_else(|| panic!("{} version {version}", A::NAME)).hex).unwrap()
}

/// Where the other implementation deviates from the Blue Book's types; what it writes is read all the same, but not
/// written so.
const WRITTEN_OTHERWISE: &[(u16, u8, i8)] = &[(42, 0, 4)];

fn check<A: Attribute>(vectors: &[Vector], seen: &mut BTreeSet<(u16, u8, i8)>, wrong: &mut Vec<String>) {
    for vector in vectors {
        let place = (vector.class, vector.version, vector.attribute);
        if (place.0, place.2) != (A::CLASS_ID.0, A::ID.0) || !A::VERSIONS.contains(&vector.version) {
            continue;
        }
        assert!(seen.insert(place), "{place:?} is described twice");
        let octets = hex::decode(&vector.hex).unwrap();
        let data = Data::from_slice(&octets).unwrap();
        let value = match A::decode(data) {
            Ok(value) => value,
            Err(error) => {
                wrong.push(format!("{place:?} {error}"));
                continue;
            }
        };
        let exact = <A::Value<'_> as FromData<'_>>::from_exact(&data);
        let again = written(&value);
        if WRITTEN_OTHERWISE.contains(&place) {
            assert!(exact.is_none(), "{place:?} {}", A::NAME);
        } else if again != octets || exact.is_none() {
            wrong.push(format!(
                "{place:?} {} {}, written {}, exact: {}",
                A::NAME,
                vector.hex,
                hex::encode(&again),
                exact.is_some()
            ));
        }
    }
}

#[test]
fn lesson_17_attributes_of_an_independent_implementation_by_version() {
    let vectors = vectors();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    attributes!(check(&vectors, &mut seen, &mut wrong));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unseen: Vec<_> =
        vectors.iter().map(|v| (v.class, v.version, v.attribute)).filter(|v| !seen.contains(v)).collect();
    assert_eq!(unseen, []);
    assert!(seen.len() > 150, "{}", seen.len());
}

/// Values of all types, some of them nested.
fn samples() -> Vec<Vec<u8>> {
    let simple: [&[u8]; 16] = [
        &hex!("00"),
        &hex!("03 01"),
        &hex!("04 05 A8"),
        &hex!("05 80000000"),
        &hex!("06 FFFFFFFF"),
        &hex!("09 03 010203"),
        &hex!("09 06 0100010800FF"),
        &hex!("09 0C FFFFFFFFFFFFFFFFFF8000FF"),
        &hex!("0A 01 41"),
        &hex!("0C 01 41"),
        &hex!("0F 80"),
        &hex!("12 FFFF"),
        &hex!("15 FFFFFFFFFFFFFFFF"),
        &hex!("16 FF"),
        &hex!("17 7F800000"),
        &hex!("19 FFFFFFFFFFFFFFFFFF8000FF"),
    ];
    let mut samples: Vec<_> = simple.iter().map(|octets| octets.to_vec()).collect();
    samples.extend([hex!("01 00").to_vec(), hex!("02 00").to_vec(), hex!("13 11 00").to_vec()]);
    for container in [1_u8, 2] {
        for element in simple {
            for count in [1_u8, 2, 5, 9] {
                samples.push([&[container, count][..], &element.repeat(count.into())].concat());
            }
            samples.push([&[container, 1, 2, 2][..], element, element].concat());
            samples.push([&[container, 1, 1, 1][..], element].concat());
        }
    }
    samples
}

fn wrong_types<A: Attribute>(samples: &[Vec<u8>]) {
    let mut refused = 0;
    for octets in samples {
        let data = Data::from_slice(octets).unwrap();
        let exact = <A::Value<'_> as FromData<'_>>::from_exact(&data);
        refused += usize::from(exact.is_none());
        // What is read exactly is read; what is read can be written.
        let tolerant = A::decode(data);
        assert!(tolerant.is_ok() || exact.is_none(), "{} {}", A::NAME, hex::encode(octets));
        if let Some(value) = exact {
            // A compact array is written as an array, and a date-time with a tag of its own as an octet-string.
            let other_form = octets[0] == 0x13 || octets.contains(&0x19);
            assert!(written(&value) == *octets || other_form, "{} {}", A::NAME, hex::encode(octets));
        }
        if let Err(error) = tolerant {
            assert_eq!(error.member, Some(A::NAME));
            assert!(format!("{error}").contains(A::NAME));
        }
    }
    let any = <A::Value<'static> as FromData<'static>>::EXPECTED == "data";
    assert!(any || refused > samples.len() / 2, "{} refuses {refused}", A::NAME);
}

fn wrong_parameters<M: Method>(samples: &[Vec<u8>]) {
    for octets in samples {
        let data = Data::from_slice(octets).unwrap();
        let exact = <M::Parameter<'_> as FromData<'_>>::from_exact(&data);
        assert!(M::decode(data).is_ok() || exact.is_none(), "{} {}", M::NAME, hex::encode(octets));
        if let Some(parameter) = exact {
            let again = written(&parameter);
            let other_form = octets[0] == 0x13 || octets.contains(&0x19);
            assert!(again == *octets || again == hex!("0F 00") || other_form, "{}", M::NAME);
        }
        let _ = M::decode_reply(data).is_ok();
    }
}

#[test]
fn values_of_other_types_are_refused_and_never_harmful() {
    let samples = samples();
    attributes!(wrong_types(&samples));
    methods!(wrong_parameters(&samples));
    // Every sample is a value.
    for octets in &samples {
        let mut reader = Reader::new(octets);
        assert!(Data::decode(&mut reader).is_ok() && reader.is_empty());
    }
}
