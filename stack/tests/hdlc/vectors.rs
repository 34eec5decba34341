//! Published frames, octet for octet: every one decodes to its fields and is emitted again as it was.

use dlms::axdr::Writer;
use dlms::hdlc::{Address, Control, FRAME_MAX, Frame, Parameters, Repr, Width};
use hex_literal::hex;

fn client(sap: u16) -> Address {
    Address::client(sap).unwrap()
}

fn two(upper: u16, lower: u16) -> Address {
    Address::new(upper, lower, Width::Two).unwrap()
}

fn four(upper: u16, lower: u16) -> Address {
    Address::new(upper, lower, Width::Four).unwrap()
}

#[track_caller]
fn check(octets: &[u8], destination: Address, source: Address, control: u8, segmented: bool, information: &[u8]) {
    let repr = Repr { destination, source, control: Control::from_byte(control), segmented, information };
    let frame = Frame::new_checked(&octets[1..octets.len() - 1]).unwrap();
    assert_eq!(frame.repr(), repr);
    assert_eq!(frame.octets(), &octets[1..octets.len() - 1]);
    let mut out = [0; FRAME_MAX];
    let mut writer = Writer::new(&mut out);
    repr.emit(&mut writer).unwrap();
    assert_eq!(writer.written(), octets);
}

#[test]
fn link_set_up() {
    check(&hex!("7EA0070321930F017E"), client(1), client(16), 0x93, false, &[]);
    check(&hex!("7EA00721037301407E"), client(16), client(1), 0x73, false, &[]);
    check(&hex!("7EA00802232193BD647E"), two(1, 17), client(16), 0x93, false, &[]);
    check(&hex!("7EA00A00020023F193232E7E"), four(1, 17), client(120), 0x93, false, &[]);
    check(
        &hex!("7EA01E210373C37A818012050180060180070400000001080400000001533B7E"),
        client(16),
        client(1),
        0x73,
        false,
        &hex!("818012050180060180070400000001080400000001"),
    );
    let window_7 = hex!("818012050180060180070400000001080400000007");
    check(
        &hex!("7EA0210002002321931964818012050180060180070400000001080400000007655E7E"),
        four(1, 17),
        client(16),
        0x93,
        false,
        &window_7,
    );
    assert_eq!(Parameters::parse(&window_7).unwrap().window_receive, 7);
    check(
        &hex!("7EA020204127930C0C81801305018006020200070400000001080400000001B4F97E"),
        two(16, 32),
        client(19),
        0x93,
        false,
        &hex!("81801305018006020200070400000001080400000001"),
    );
    check(
        &hex!("7EA023210002002373F6C58180140502008006020080070400000001080400000001CE6A7E"),
        client(16),
        four(1, 17),
        0x73,
        false,
        &hex!("8180140502008006020080070400000001080400000001"),
    );
}

#[test]
fn information() {
    check(
        &hex!("7EA02B032110FBAFE6E600601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0CAEA7E"),
        client(1),
        client(16),
        0x10,
        false,
        &hex!("E6E600601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0"),
    );
    check(
        &hex!("7EA02E0002002321107ECBE6E600601DA109060760857405080101BE10040E01000000065F1F040000301DFFFFD4C57E"),
        four(1, 17),
        client(16),
        0x10,
        false,
        &hex!("E6E600601DA109060760857405080101BE10040E01000000065F1F040000301DFFFF"),
    );
    check(
        &hex!(
            "7EA03A2100020023309941E6E7006129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000301D"
            "190000070C527E"
        ),
        client(16),
        four(1, 17),
        0x30,
        false,
        &hex!("E6E7006129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000301D19000007"),
    );
    check(
        &hex!("7EA0190321326FD8E6E600C001C100080000010000FF0200601A7E"),
        client(1),
        client(16),
        0x32,
        false,
        &hex!("E6E600C001C100080000010000FF0200"),
    );
    check(
        &hex!("7EA01E210352484AE6E700C401C100090C07E9051D040A0F1E00FF8880C22F7E"),
        client(16),
        client(1),
        0x52,
        false,
        &hex!("E6E700C401C100090C07E9051D040A0F1E00FF8880"),
    );
    check(
        &hex!("7EA816210330A4B5E6E700C401C100020109040A0B4B9A7E"),
        client(16),
        client(1),
        0x30,
        true,
        &hex!("E6E700C401C100020109040A0B"),
    );
    check(
        &hex!("7EA017210313A6E0E6E7000F0000000100060000000152607E"),
        client(16),
        client(1),
        0x13,
        false,
        &hex!("E6E7000F00000001000600000001"),
    );
}

/// From a meter: a flag's octet in the check sequence.
#[test]
fn lesson_08_flag_octet_inside() {
    check(
        &hex!("7EA01B0300023C4752D551E6E700C401C10009060100202000FF7E8C7E"),
        client(1),
        four(1, 3875),
        0x52,
        false,
        &hex!("E6E700C401C10009060100202000FF"),
    );
}

#[test]
fn supervision_and_release() {
    check(&hex!("7EA00703213117877E"), client(1), client(16), 0x31, false, &[]);
    check(&hex!("7EA00703215111E47E"), client(1), client(16), 0x51, false, &[]);
    check(&hex!("7EA00703213533C17E"), client(1), client(16), 0x35, false, &[]);
    check(&hex!("7EA00703215303C77E"), client(1), client(16), 0x53, false, &[]);
    check(&hex!("7EA00721031F6BE97E"), client(16), client(1), 0x1F, false, &[]);
    check(&hex!("7EA00A00022C29215309DC7E"), four(1, 2836), client(16), 0x53, false, &[]);
    check(&hex!("7EA00F0300022C29971B60540010743F7E"), client(1), four(1, 2836), 0x97, false, &hex!("540010"));
    check(&hex!("7EA0072103972BE17E"), client(16), client(1), 0x97, false, &[]);
}
