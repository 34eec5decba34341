//! The firmware's meter behind a UART at 9600 baud: an interrupt for every octet, a main loop that comes round now and
//! then, HDLC with several clients at once. Time is simulated, octet by octet.

#[allow(dead_code, unused_imports)]
mod board;

use board::{
    Answer, Board, CLOCK, Client, ENERGY, Entropy, IMAGE_OCTETS, PROFILE, SECURITY, counted, encoded, management,
    managing, public, reading, transfer,
};
use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::client::{Config, Connection, Event};
use dlms::axdr::{Data, Value};
use dlms::hdlc::{Address, FRAME_MAX, Fcs, client};
use dlms::id::ClientSap;
use dlms::security::InvocationCounter;
use dlms::time::{ClockStatus, DateTime};

const IMAGE: [u8; 6] = [0, 0, 44, 0, 0, 255];
/// Ten days of quarter-hours, and some that gave way to them.
const QUARTERS: i64 = 1_000;

fn reads_everything<const RECEIVE: usize>(board: &mut Board<RECEIVE>) {
    let management = board.associate(management());
    assert!(matches!(board.get(management, 3, ENERGY, 2), Ok(Value::DoubleLongUnsigned(_))));
    let Ok(Value::Array(rows)) = board.get(management, 7, PROFILE, 2) else { panic!("rows") };
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
    assert!(board.now_us > 20_000_000, "ten days of rows take their time at 9600 baud");
}

#[test]
fn a_main_loop_that_comes_round_for_every_octet_or_seldom_reads_the_same() {
    for pause in [1, 7, 50] {
        let mut board = Board::<256>::used(pause, 0, QUARTERS);
        reads_everything(&mut board);
        assert_eq!(board.uart.overruns(), 0);
    }
}

/// A ring that is too short for a main loop that is busy at times: octets are lost, frames with them, and HDLC asks for
/// them again.
#[test]
fn octets_that_are_lost_are_asked_for_again() {
    let mut board = Board::<32>::used(3, 997, QUARTERS);
    reads_everything(&mut board);
    assert!(board.uart.overruns() > 0, "nothing was lost");
}

/// Two associations at once on one line, each with its own rights and ciphering, and no third one.
#[test]
fn several_associations_share_a_line_and_are_bounded() {
    let mut board = Board::<256>::new(5, 0);
    let visitor = board.associate(public());
    let manager = board.associate(management());
    for _ in 0..3 {
        assert!(matches!(board.get(manager, 3, ENERGY, 2), Ok(Value::DoubleLongUnsigned(_))));
        assert_eq!(board.get(visitor, 3, ENERGY, 2), Err(DataAccessResult::ObjectUndefined));
        assert!(matches!(board.get(visitor, 1, [0, 0, 42, 0, 0, 255], 2), Ok(Value::OctetString(_))));
    }
    // Both sessions are taken: a third client is not even heard.
    let third = Config { client: ClientSap(5), ..public() };
    let own = Address::client(5).unwrap();
    let station = client::Config { retries: 0, ..client::Config::new(own, Address::shortest(1, None).unwrap()) };
    let link = client::Session::new(station, vec![0; FRAME_MAX], vec![0; 512], vec![0; 512]);
    let counter = InvocationCounter::new(1, 2);
    let stranger: Client = Connection::new(link, third, Entropy(9), counter, vec![0; 512], vec![0; 512]);
    board.clients.push(stranger);
    let now = board.now();
    board.clients[2].associate(now).unwrap();
    let refused = (0..20_000).any(|_| {
        board.step();
        matches!(board.clients[2].poll_event(), Some(Event::Closed(_) | Event::Failed(_)))
    });
    assert!(refused);
    assert!(matches!(board.get(manager, 3, ENERGY, 2), Ok(Value::DoubleLongUnsigned(_))));
    assert_eq!(board.get(visitor, 3, ENERGY, 2), Err(DataAccessResult::ObjectUndefined));
}

fn clock<const RECEIVE: usize>(board: &mut Board<RECEIVE>, client: usize) -> i64 {
    let Ok(Value::OctetString(octets)) = board.get(client, 8, CLOCK, 2) else { panic!("a time") };
    DateTime::from_slice(&octets).unwrap().to_unix_seconds().unwrap()
}

/// A client with a password reads and changes nothing; the management client changes the clock, which stays changed when
/// the meter is reset.
#[test]
fn the_clock_is_set_by_the_manager_alone_and_for_good() {
    let mut board = Board::<256>::new(5, 0);
    assert!(!board.lets_in(reading(b"12345679")));
    let tomorrow = |board: &Board<256>| DateTime::from_unix_seconds(board.seconds() + 86_400, -60, ClockStatus::OK);
    let reader = board.associate(reading(b"12345678"));
    let time = tomorrow(&board);
    assert_eq!(
        board.set(reader, 8, CLOCK, 2, Data::OctetString(time.as_bytes())),
        Answer::Set(DataAccessResult::ReadWriteDenied)
    );
    assert!(clock(&mut board, reader).abs_diff(board.seconds()) < 5);
    board.leave(reader);
    let manager = board.associate(management());
    let time = tomorrow(&board);
    let set = board.set(manager, 8, CLOCK, 2, Data::OctetString(time.as_bytes()));
    assert_eq!(set, Answer::Set(DataAccessResult::Success));
    for _ in 0..2 {
        let reader = board.associate(reading(b"12345678"));
        assert!(clock(&mut board, reader).abs_diff(board.seconds() + 86_400) < 5);
        board.restart().unwrap();
    }
}

/// New keys hold from the next request on, and the old ones open nothing any more, whether the meter is reset or not.
#[test]
fn keys_and_the_password_are_changed_for_good() {
    let (encryption, authentication) = (counted(0x30), counted(0x50));
    let mut board = Board::<256>::new(5, 0);
    let manager = board.associate(management());
    let wrong = transfer(&counted(0x71), &[(0, encryption)]);
    assert_eq!(board.invoke(manager, 64, SECURITY, 2, &wrong), Answer::Invoked(ActionResult::OtherReason));
    let password = [0, 0, 40, 0, 2, 255];
    let set = board.set(manager, 15, password, 7, Data::OctetString(b"open sesame"));
    assert_eq!(set, Answer::Set(DataAccessResult::Success));
    assert_eq!(board.get(manager, 15, password, 7), Err(DataAccessResult::ReadWriteDenied));
    let keys = transfer(&counted(0x70), &[(0, encryption), (2, authentication)]);
    assert_eq!(board.invoke(manager, 64, SECURITY, 2, &keys), Answer::Invoked(ActionResult::Success));
    for _ in 0..2 {
        board.clients.clear();
        assert!(!board.lets_in(management()));
        assert!(board.lets_in(managing(&encryption, &authentication)));
        assert!(!board.lets_in(reading(b"12345678")));
        assert!(board.lets_in(reading(b"open sesame")));
        board.restart().unwrap();
    }
}

/// An image that goes on after a reset in the middle of it, at the speed of the line.
#[test]
fn an_image_is_transferred_over_a_reset() {
    let mut image: Vec<u8> = (0..3_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    image.extend(Fcs::new().update(&image).to_bytes());
    let mut board = Board::<256>::new(5, 0);
    let mut manager = board.associate(management());
    let initiate = |size: usize| {
        encoded(|out| {
            out.structure(2)?;
            out.octets(b"firmware 2")?;
            out.double_long_unsigned(u32::try_from(size).unwrap())
        })
    };
    let success = Answer::Invoked(ActionResult::Success);
    assert_ne!(board.invoke(manager, 18, IMAGE, 1, &initiate(IMAGE_OCTETS + 1)), success);
    assert_eq!(board.invoke(manager, 18, IMAGE, 1, &initiate(image.len())), success);
    let Ok(Value::DoubleLongUnsigned(size)) = board.get(manager, 18, IMAGE, 2) else { panic!("a block size") };
    let blocks: Vec<&[u8]> = image.chunks(size as usize).collect();
    for (number, block) in blocks.iter().enumerate() {
        if number == blocks.len() / 2 {
            board.restart().unwrap();
            manager = board.associate(management());
            let missing = board.get(manager, 18, IMAGE, 4);
            assert_eq!(missing, Ok(Value::DoubleLongUnsigned(u32::try_from(number).unwrap())));
        }
        let block = encoded(|out| {
            out.structure(2)?;
            out.double_long_unsigned(u32::try_from(number).unwrap())?;
            out.octets(block)
        });
        assert_eq!(board.invoke(manager, 18, IMAGE, 2, &block), success);
    }
    let zero = encoded(|out| out.integer(0));
    assert_eq!(board.invoke(manager, 18, IMAGE, 3, &zero), success);
    assert_eq!(board.invoke(manager, 18, IMAGE, 4, &zero), success);
    for _ in 0..2 {
        let name = board.get(manager, 1, [1, 0, 0, 2, 0, 255], 2);
        assert_eq!(name, Ok(Value::OctetString(b"firmware 2".to_vec())));
        board.restart().unwrap();
        manager = board.associate(management());
    }
}
