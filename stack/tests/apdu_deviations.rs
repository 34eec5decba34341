//! What deployed meters send against the rules is understood, named, and refused by a strict decoder.

use dlms::acse::{Aare, AssociationResult, Diagnostic, Mechanism, ServiceUserDiagnostic};
use dlms::apdu::{ActionResponse, ActionResult, Apdu, Ciphered, InitiateResponse, ServiceError};
use dlms::axdr::{DecodeErrorKind, Writer};
use dlms::deviation::{Deviation, Deviations, StrictError};
use dlms::time::DateTime;

fn octets(hex: &str) -> Vec<u8> {
    hex::decode(hex.split_whitespace().collect::<String>()).expect("hex in the test")
}

fn encoded(apdu: &Apdu<'_>) -> String {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer);
    apdu.encode(&mut writer).expect("room");
    hex::encode_upper(writer.written())
}

/// `deviant` is understood as `standard` is, with exactly the deviations named.
fn understood_as(deviant: &str, standard: &str, deviations: &[Deviation]) {
    let (deviant_octets, standard_octets) = (octets(deviant), octets(standard));
    let named: Deviations = deviations.iter().copied().collect();
    let (apdu, met) =
        Apdu::decode_with_deviations(&deviant_octets).unwrap_or_else(|error| panic!("{deviant}: {error}"));
    assert_eq!(met, named, "{deviant}");
    assert_eq!(Apdu::decode_strict(&standard_octets).as_ref(), Ok(&apdu), "{deviant}");
    assert_eq!(Apdu::decode_strict(&deviant_octets), Err(StrictError::Deviates(named)), "{deviant}");
    assert_eq!(encoded(&apdu), hex::encode_upper(&standard_octets), "encoded in standard form");
}

const AARE: &str = "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000501F01F40007";

#[test]
fn lesson_12_every_date_time_form_of_a_notification_is_read() {
    let with_time = "0F000001DB 0C07E9051D040A0F1E00FF8880 060000002A";
    let form = [Deviation::DateTimeForm];
    understood_as("0F000001DB 090C07E9051D040A0F1E00FF8880 060000002A", with_time, &form);
    understood_as("0F000001DB 1907E9051D040A0F1E00FF8880 060000002A", with_time, &form);
    understood_as("0F000001DB 0900 060000002A", "0F000001DB 00 060000002A", &form);
    understood_as("0F000001DB 810C07E9051D040A0F1E00FF8880 060000002A", with_time, &[Deviation::NonMinimalLength]);
}

#[test]
fn lesson_12_every_time_form_of_an_event_is_read() {
    let rest = "00010000600100FF02 0600000001";
    let with_time = format!("C2 01 0C07E9051D040A0F1E00FF8880 {rest}");
    let form = [Deviation::DateTimeForm];
    for time in ["01 090C", "01 19", "01", "090C"] {
        understood_as(&format!("C2 {time} 07E9051D040A0F1E00FF8880 {rest}"), &with_time, &form);
    }
    understood_as(&format!("C2 01 00 {rest}"), &format!("C2 00 {rest}"), &form);
    let input = octets(&with_time);
    let Ok(Apdu::EventNotification(event)) = Apdu::decode(&input) else { panic!("an event") };
    assert_eq!(event.time.map(DateTime::to_bytes).map(hex::encode_upper).as_deref(), Some("07E9051D040A0F1E00FF8880"));
}

#[test]
fn lesson_12_a_mechanism_with_the_top_bit_set_is_known() {
    let standard = "6136A109060760857405080101A203020100A305A10302010088020780890760857405080205\
                    BE10040E0800065F1F040000501F01F40007";
    understood_as(&standard.replace("080205", "080285"), standard, &[Deviation::MechanismTopBit]);
}

#[test]
fn lesson_12_a_rejection_without_user_information_says_why() {
    let input = octets("6117A109060760857405080101A203020101A305A10302010D");
    let aare = Aare::decode(&input).expect("a rejection");
    assert_eq!(aare.result, AssociationResult::RejectedPermanent);
    assert_eq!(aare.diagnostic, Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationFailure));
    assert_eq!(aare.user_information, None);
}

#[test]
fn lesson_12_an_empty_system_title_is_no_title() {
    let input = octets("DB 00 1E 30 01234567 411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B");
    let (apdu, deviations) = Apdu::decode_with_deviations(&input).expect("a push");
    assert_eq!(deviations.iter().collect::<Vec<_>>(), [Deviation::EmptySystemTitle]);
    let Apdu::Ciphered(Ciphered::GeneralGlobal { system_title: None, protected }) = apdu else {
        panic!("{apdu:?}");
    };
    assert_eq!((protected.control, protected.counter, protected.text.len()), (0x30, 0x0123_4567, 25));
    // Any length but 0 and 8 is an error.
    assert!(Apdu::decode(&octets("DB 07 4D4D4D0000BC61 06 30 01234567 41")).is_err());
}

#[test]
fn non_minimal_lengths_are_read() {
    let longer = AARE.replacen("6129", "61820029", 1);
    understood_as(&longer, AARE, &[Deviation::NonMinimalLength]);
    understood_as("0582000102FA08", "050102FA08", &[Deviation::NonMinimalLength]);
}

#[test]
fn conformance_under_a_one_octet_tag_is_read() {
    understood_as("0800065F040000501F01F40007", "0800065F1F040000501F01F40007", &[Deviation::ConformanceTag]);
    understood_as("01000000065F0400181A200000", "01000000065F1F0400181A200000", &[Deviation::ConformanceTag]);
}

#[test]
fn an_explicit_default_is_read() {
    understood_as("010001010006 5F1F0400007E1F04B0", "0100000006 5F1F0400007E1F04B0", &[Deviation::ExplicitDefault]);
    // FALSE is no default: an unconfirmed association.
    let input = octets("010001000006 5F1F0400007E1F04B0");
    let Ok(Apdu::InitiateRequest(request)) = Apdu::decode_strict(&input) else { panic!("an InitiateRequest") };
    assert!(!request.response_allowed);
}

#[test]
fn quality_of_service_is_no_obstacle() {
    let response = InitiateResponse::decode(&octets("080100065F1F0400001E1D04C80007")).expect("a response");
    assert_eq!(response.quality_of_service, Some(0));
    assert_eq!((response.conformance.bits(), response.max_receive_pdu, response.vaa_name), (0x1E1D, 1224, 7));
}

#[test]
fn an_action_response_without_its_presence_octet_is_read() {
    understood_as("C701C1FA", "C701C1FA00", &[Deviation::MissingPresenceOctet]);
    understood_as("C701C10002 00 060000002A", "C701C10001 00 060000002A", &[Deviation::PresenceOctet]);
    let input = octets("C701C1FA");
    let Ok(ActionResponse::Normal { result, .. }) = ActionResponse::decode(&input) else { panic!("a response") };
    assert_eq!((result.result, result.data), (ActionResult::OtherReason, None));
    // Both ways to say "no data".
    for input in ["C701C10000", "C701C100010000"] {
        assert!(Apdu::decode_strict(&octets(input)).is_ok(), "{input}");
    }
}

#[test]
fn protocol_versions_with_version_1_among_them_are_read() {
    for (field, deviates) in [("80020780", false), ("80020284", true)] {
        let input = octets(&format!("6021{field}A109060760857405080101BE10040E01000000065F1F0400007E1F04B0"));
        let (apdu, deviations) = Apdu::decode_with_deviations(&input).expect("an AARQ");
        assert_eq!(deviations.contains(Deviation::ProtocolVersion), deviates, "{field}");
        let Apdu::Aarq(aarq) = apdu else { panic!("{apdu:?}") };
        assert!(aarq.accepts_version_1());
        assert_eq!(encoded(&apdu), hex::encode_upper(&input));
    }
}

#[test]
fn unknown_acse_fields_are_skipped_and_repeated_ones_refused() {
    let known = "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0";
    understood_as(&known.replacen("601D", "6021AF020500", 1), known, &[Deviation::UnknownField]);
    let twice = "6028A109060760857405080101A109060760857405080103BE10040E01000000065F1F0400007E1F04B0";
    assert!(Apdu::decode(&octets(twice)).is_err(), "which context would it be?");
    assert!(Apdu::decode(&octets("6012BE10040E01000000065F1F0400007E1F04B0")).is_err(), "no context at all");
}

#[test]
fn acse_lengths_that_are_too_short_do_not_hide_the_user_information() {
    // Outer length and user-information length too small, as a widespread server library sends them.
    understood_as(
        "6311800100BE0F040E0800065F1F040000501F01F40007",
        "6315800100BE10040E0800065F1F040000501F01F40007",
        &[Deviation::ShortOuterLength],
    );
    // All three lengths counted 5F 1F as one octet.
    let short = AARE.replacen("6129", "6128", 1).replacen("BE10040E", "BE0F040D", 1);
    understood_as(&short, AARE, &[Deviation::ShortOuterLength, Deviation::UserInformationForm]);
}

#[test]
fn a_malformed_user_information_does_not_hide_the_result() {
    for information in ["BE03040E01", "BE040E010600", "BE0104", "BE00", "BE10040E0106"] {
        let contents = format!("A109060760857405080101A203020101A305A10302010D{information}");
        let input = octets(&format!("61{:02X}{contents}", contents.len() / 2));
        let (apdu, deviations) = Apdu::decode_with_deviations(&input).unwrap_or_else(|e| panic!("{information}: {e}"));
        assert!(deviations.contains(Deviation::UserInformationForm), "{information}");
        let Apdu::Aare(aare) = apdu else { panic!("{apdu:?}") };
        assert_eq!(aare.diagnostic, Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationFailure));
    }
}

#[test]
fn titles_are_carried_whether_needed_or_not() {
    // Context without ciphering, titles all the same; 16-octet challenge; fields out of order.
    let input = octets(
        "6169A109060760857405080103A203020100A305A10302010E88020780890760857405080202\
         AA1280104142434445464748494A4B4C4D4E4F50A40A04084D4D4D0000BC614E\
         BE230421281F3001234567891214A0845E475738383A91BC197117581D85ADB648D979E2FB",
    );
    let aare = Aare::decode(&input).expect("an AARE");
    assert!(aare.is_hls_pending());
    assert_eq!(aare.mechanism, Some(Mechanism::Hls2));
    assert_eq!(aare.responding_ap_title.map(hex::encode_upper).as_deref(), Some("4D4D4D0000BC614E"));
    assert_eq!(aare.authentication_value.map(|value| value.as_bytes().len()), Some(16));
}

#[test]
fn lesson_05_errors_in_clear_are_apdus_of_their_own() {
    understood_as("D80102 0000", "D80102", &[Deviation::TrailingOctets]);
    understood_as("0E010600 FF", "0E010600", &[Deviation::TrailingOctets]);
    let input = octets("D80106");
    let (apdu, deviations) = Apdu::decode_with_deviations(&input).expect("an exception");
    assert!(deviations.contains(Deviation::MissingCounter));
    let Apdu::ExceptionResponse(exception) = apdu else { panic!("{apdu:?}") };
    assert_eq!(exception.service, ServiceError::InvocationCounterError(None));
    assert_eq!(exception.to_string(), "service-not-allowed, invocation-counter-error");
    let input = octets("0E010006");
    let Ok(Apdu::ConfirmedServiceError(error)) = Apdu::decode_strict(&input) else { panic!("a service error") };
    assert_eq!(error.to_string(), "initiate: application-reference, deciphering-error");
}

#[test]
fn a_repeated_access_request_may_lack_its_presence_octet() {
    let head = "DA 40000001 00";
    let tail = "01 00080000010000FF02 01 00 01 01 00";
    understood_as(&format!("{head} 01 {tail}"), &format!("{head} 01 01 {tail}"), &[Deviation::MissingPresenceOctet]);
    let two = "02 01 00080000010000FF02 01 00080000010000FF03 02 00 00 02 01 00 01 00";
    understood_as(&format!("{head} {two}"), &format!("{head} 01 {two}"), &[Deviation::MissingPresenceOctet]);
}

#[test]
fn lesson_30_a_count_from_the_line_reserves_nothing() {
    for input in [
        "C003C1 84FFFFFFFF 00080000010000FF0200",
        "C403C1 7F 00 0600000391",
        "C303C1 83FFFFFF",
        "D9 40000001 00 847FFFFFFF",
        "0C 84FFFFFFFF 0000",
        "C505C1 02 00",
        "C303C1 01 00080000010000FF",
    ] {
        let error = Apdu::decode(&octets(input)).expect_err(input);
        // Refused at the count, before the items are looked at.
        assert_eq!(error.kind, DecodeErrorKind::InvalidLength { what: "list" }, "{input}");
    }
}
