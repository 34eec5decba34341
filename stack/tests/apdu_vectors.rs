//! Published and computed APDU examples: each decodes to its last octet, and what is canonical encodes back.
//!
//! Origin: layouts of the Green Book / IEC 62056-5-3, checked field by field with independent decoders.

use dlms::apdu::Apdu;
use dlms::axdr::Writer;

/// Octets (spaces are for the reader) and the name of the APDU. Every one is in standard form.
const CANONICAL: &[(&str, &str)] = &[
    // GET
    ("C001C100080000010000FF0200", "get-request-normal"),
    (
        "C001C100070100630100FF0201 01 0204 0204 120008 09060000010000FF 0F02 120000 \
         090C07E9051D0400000000FF8880 090C07E9051DFF173B3B00FF8880 0100",
        "get-request-normal",
    ),
    ("C001C100070100630100FF0201 02 0204 0600000001 060000000A 120001 120000", "get-request-normal"),
    ("C003C102 00080000010000FF0200 00030100010800FF0200", "get-request-with-list"),
    ("C401C1000600000391", "get-response-normal"),
    ("C401C10104", "get-response-normal"),
    ("C402C1 00 00000001 00 05 0102030405", "get-response-with-datablock"),
    ("C002C100000001", "get-request-next"),
    ("C402C1 01 00000002 00 02 1122", "get-response-with-datablock"),
    ("C402C1 01 00000002 01 13", "get-response-with-datablock"),
    ("C403C102 00 0600000391 01 03", "get-response-with-list"),
    // SET
    ("C101C100080000010000FF0200 090C07E9051D040A0F1E00FF8880", "set-request-normal"),
    ("C102C100080000010000FF0200 00 00000001 06 090C07E9051D", "set-request-with-first-datablock"),
    ("C502C100000001", "set-response-datablock"),
    ("C103C1 01 00000002 08 040A0F1E00FF8880", "set-request-with-datablock"),
    ("C503C1 00 00000002", "set-response-last-datablock"),
    ("C104C102 00010000600100FF0200 00010000600101FF0200 02 09023132 09023334", "set-request-with-list"),
    (
        "C105C102 00010000600100FF0200 00010000600101FF0200 00 00000001 03 020902",
        "set-request-with-list-and-first-datablock",
    ),
    ("C501C100", "set-response-normal"),
    ("C505C1020003", "set-response-with-list"),
    ("C504C102000000000002", "set-response-last-datablock-with-list"),
    // ACTION
    ("C301C100460000600301FF01 01 0F00", "action-request-normal"),
    ("C301C1000F0000280000FF01 00", "action-request-normal"),
    ("C303C102 00460000600301FF01 00460000600302FF02 02 0F00 0F00", "action-request-with-list"),
    ("C304C1001200002C0000FF02 00 00000001 04 02020905", "action-request-with-first-pblock"),
    ("C305C101 001200002C0000FF02 00 00000001 04 01020209", "action-request-with-list-and-first-pblock"),
    ("C306C1 01 00000002 02 1122", "action-request-with-pblock"),
    ("C704C100000001", "action-response-next-pblock"),
    ("C701C1 00 00", "action-response-normal"),
    ("C701C1 00 01 00 09021122", "action-response-normal"),
    ("C701C1 00 01 01 04", "action-response-normal"),
    ("C701C1 03 00", "action-response-normal"),
    ("C703C102 00 00 03 00", "action-response-with-list"),
    ("C702C1 00 00000001 04 11223344", "action-response-with-pblock"),
    ("C302C100000001", "action-request-next-pblock"),
    // Short names
    ("0501 02FA08", "read-request"),
    ("0502 04FA10011100 02FA08", "read-request"),
    ("0C02 000600000391 0104", "read-response"),
    ("0C01 02 00 0001 03 010203", "read-response"),
    ("0501 05 0001", "read-request"),
    ("0601 022C08 01 0F01", "write-request"),
    ("0D0100", "write-response"),
    ("0D010103", "write-response"),
    ("0601 07 00 0001 01 0903010203", "write-request"),
    ("0D01 02 0001", "write-response"),
    ("1601 022C08 01 0F01", "unconfirmed-write-request"),
    ("18 00 01 022C08 01 060000002A", "information-report-request"),
    // ACCESS
    ("D9 40000001 00 02 01 00080000010000FF02 02 00010000600100FF02 02 00 0600000001", "access-request"),
    ("DA 40000001 00 00 02 090C07E9051D040A0F1E00FF8880 00 02 01 00 02 00", "access-response"),
    // Unsolicited
    ("0F000001DB 00 060000002A", "data-notification"),
    ("0F000001DB 0C07E9051D040A0F1E00FF8880 060000002A", "data-notification"),
    ("10000001DB 00", "data-notification-confirm"),
    ("C2 00 00010000600100FF02 0600000001", "event-notification-request"),
    ("C2 01 0C07E9051D040A0F1E00FF8880 00010000600100FF02 0600000001", "event-notification-request"),
    // Errors
    ("D80102", "exception-response"),
    ("D80106 00000010", "exception-response"),
    ("0E010600", "confirmed-service-error"),
    // Ciphered
    ("C81E 30 01234567 411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B", "glo-get-request"),
    (
        "DB 08 4D4D4D0000BC614E 1E 30 01234567 411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B",
        "general-glo-ciphering",
    ),
    (
        "CB313000000003603876AB2931261F682CAB4C405FAA04ED038F352A9E2056A40AFA3E365D1B94F2C7AD4E7BAF24AC03EA34E1",
        "glo-action-request",
    ),
    ("CF2A3001234569CF0A069DE69DE9E04B41E3881D4383941B6AACF66DC310E482AB01A79FC933A872DFFE7CDE", "glo-action-response"),
    // Block transfer and gateway
    ("E0 81 0001 0000 0D C001C100080000010000FF0200", "general-block-transfer"),
    ("E6 00 02 1234 C001C100080000010000FF0200", "gateway-request"),
    ("E7 00 02 1234 C401C1000600000391", "gateway-response"),
    // ACSE
    ("601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0", "aarq"),
    ("6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000501F01F40007", "aare"),
    (
        "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400\
      007E1F04B0",
        "aarq",
    ),
    (
        "6136A109060760857405080101A203020100A305A10302010088020780890760857405080201BE10040E0800065F1F040000501F\
      01F40007",
        "aare",
    ),
    ("611FA109060760857405080101A203020101A305A10302010DBE0604040E010600", "aare"),
    (
        "6066A109060760857405080103A60A04084D4D4D0000BC614E8A0207808B0760857405080201AC0A80083132333435363738BE34\
      043221303001234567801302FF8A7874133D414CED25B42534D28DB0047720606B175BD52211BE6841DB204D39EE6FDB8E356855",
        "aarq",
    ),
    (
        "6055A109060760857405080103A60A04084D4D4D00000000018A0207808B0760857405080205AC0A80084B35366956616759BE23\
      0421211F30000000019945AB0E570975CCDF51E3C79C10080119B67B67D18FBDEAB79E",
        "aarq",
    ),
    (
        "6161A109060760857405080103A203020100A305A10302010EA40A04084D4D4D0000BC614E88020780890760857405080205AA0A\
      8008503677524A323146BE230421281F3001234567891214A0845E475738383A91BC197117581D85ADB648D979E2FB",
        "aare",
    ),
    ("6203800100", "rlrq"),
    ("6303800100", "rlre"),
    ("6200", "rlrq"),
    ("6300", "rlre"),
    ("6316800100BE11040F080100065F1F0400001E1D04C80007", "rlre"),
    ("01000000065F1F0400007E1F04B0", "initiate-request"),
    ("0800065F1F040000501F01F40007", "initiate-response"),
    ("C301C1000F0000280000FF010109111000000002F3DF815E7B3AC9F2E3EB9105", "action-request-normal"),
    ("C701C100010009111001234568050E5C93023D4F97629054DB", "action-response-normal"),
];

fn octets(hex: &str) -> Vec<u8> {
    hex::decode(hex.split_whitespace().collect::<String>()).expect("hex in the table")
}

fn encoded(apdu: &Apdu<'_>) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let mut writer = Writer::new(&mut buffer);
    apdu.encode(&mut writer).expect("room for every example");
    writer.written().to_vec()
}

#[test]
fn examples_decode_strictly_and_encode_back() {
    for (hex, name) in CANONICAL {
        let input = octets(hex);
        let apdu = Apdu::decode_strict(&input).unwrap_or_else(|error| panic!("{name} {hex}: {error}"));
        assert_eq!(apdu.name(), *name, "{hex}");
        assert_eq!(hex::encode_upper(encoded(&apdu)), hex::encode_upper(&input), "{name}");
        assert_eq!(apdu.encoded_len(), Ok(input.len()), "{name}");
    }
}

/// An example that is cut off is refused; one with a wrong octet is refused or is another APDU.
#[test]
fn damaged_examples_are_refused_or_are_other_apdus() {
    for (hex, name) in CANONICAL {
        let input = octets(hex);
        for length in 0..input.len() {
            if let Ok(apdu) = Apdu::decode(&input[..length]) {
                // What stands behind a gateway's prefix is not looked into, an invocation counter may be missing
                // in an error, and an action response may end after its result.
                let legal = match *name {
                    "gateway-request" | "gateway-response" => length >= 5,
                    "exception-response" => length >= 3,
                    "action-response-normal" => length == 4,
                    _ => false,
                };
                assert!(legal, "{name} cut to {length}: {apdu:?}");
            }
        }
        for position in 0..input.len() {
            for value in [0x00, 0x01, 0x7F, 0x80, 0xFF] {
                let mut damaged = input.clone();
                damaged[position] = value;
                if let Ok(apdu) = Apdu::decode(&damaged) {
                    let again = encoded(&apdu);
                    assert_eq!(Apdu::decode(&again).as_ref(), Ok(&apdu), "{name} {position} {value:02X}");
                }
            }
        }
    }
}
