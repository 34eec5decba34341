use std::vec;
use std::vec::Vec;

use super::*;
use crate::Instant;

const T0: Instant = Instant::from_millis(1_000);
type Seen = Vec<(Event, Vec<u8>)>;

fn feed<const N: usize>(framer: &mut Framer<[u8; N]>, input: &[u8], now: Instant) -> Seen {
    let mut seen = vec![];
    let mut rest = input;
    loop {
        rest = &rest[framer.handle_input(rest, now)..];
        match framer.poll_event() {
            Some(event) => seen.push((event, framer.octets().to_vec())),
            None if rest.is_empty() => return seen,
            None => {}
        }
    }
}

fn frames(input: &[u8]) -> Seen {
    feed(&mut Framer::new([0; 1024], 2_000), input, T0)
}

/// The header of a ciphered telegram, with `count` octets of content.
pub(super) fn ciphered(count: u16) -> Vec<u8> {
    let [high, low] = (count + 17).to_be_bytes();
    let mut octets = [&[0xDB, 8][..], b"SAGXXXXX", &[0x82, high, low, 0x30, 0, 0, 0, 1]].concat();
    octets.extend((0..count + 12).map(|index| index.to_le_bytes()[0]));
    octets
}

#[test]
fn any_chunking_yields_the_same_telegrams() {
    let plain = with_crc(DSMR_5);
    let cut = &plain[..plain.len() - 2];
    let sealed = ciphered(300);
    let stream = [b"0)\r\n!12", &plain[..], &sealed, &plain, b"\0\0\0"].concat();
    let expected =
        [(Event::Telegram, cut.to_vec()), (Event::Ciphered, sealed.clone()), (Event::Telegram, cut.to_vec())];
    assert_eq!(frames(&stream), expected);
    for size in [1, 2, 3, 5, 7, 64, 200] {
        let mut framer = Framer::new([0; 1024], 2_000);
        let seen: Seen = stream.chunks(size).flat_map(|chunk| feed(&mut framer, chunk, T0)).collect();
        assert_eq!(seen, expected, "chunks of {size}");
    }
}

#[test]
fn a_telegram_without_check_sum_ends_with_its_line_or_with_the_deadline() {
    let text = DSMR_3.trim_end();
    assert_eq!(frames(DSMR_3.as_bytes()), [(Event::Telegram, text.as_bytes().to_vec())]);
    let twice = [text, text, "\r"].concat();
    assert_eq!(frames(twice.as_bytes()), [(); 2].map(|()| (Event::Telegram, text.as_bytes().to_vec())));

    let mut framer = Framer::new([0; 1024], 2_000);
    assert_eq!(framer.poll_timeout(), None);
    assert_eq!(feed(&mut framer, text.as_bytes(), T0), []);
    assert_eq!(framer.poll_timeout(), Some(T0.after_ms(2_000)));
    framer.handle_timeout(T0.after_ms(1_999));
    assert_eq!(framer.poll_event(), None);
    framer.handle_timeout(T0.after_ms(2_000));
    assert_eq!((framer.poll_event(), framer.poll_timeout()), (Some(Event::Telegram), None));
    assert_eq!(framer.octets(), text.as_bytes());
}

#[test]
fn lesson_15_what_stays_incomplete_is_dropped_in_time() {
    let plain = with_crc(DSMR_5);
    for start in [&plain[..1], &plain[..100], &ciphered(300)[..1], &ciphered(300)[..100]] {
        let mut framer = Framer::new([0; 1024], 2_000);
        assert_eq!(feed(&mut framer, start, T0), []);
        // The next octet is late: it begins nothing that it would have continued.
        let seen = feed(&mut framer, &plain, T0.after_ms(2_000));
        assert_eq!(seen[0].0, Event::Dropped(Dropped::Timeout));
        assert_eq!((seen[1].0, seen.len()), (Event::Telegram, 2));
    }
}

#[test]
fn a_telegram_that_is_cut_off_does_not_take_the_next_one_along() {
    let plain = with_crc(DSMR_5);
    for cut in 1..DSMR_5.len() {
        let seen = frames(&[&plain[..cut], &plain].concat());
        let (last, octets) = seen.last().unwrap();
        // A slash right behind an asterisk in brackets is taken for part of a unit; the check sum finds it out.
        if *last == Event::Telegram && octets.len() == plain.len() - 2 {
            assert_eq!((seen[0].0, seen.len()), (Event::Dropped(Dropped::Restarted), 2), "cut at {cut}");
        } else {
            assert!(DSMR_5[..cut].rsplit('(').next().unwrap().contains('*'), "cut at {cut}");
            assert!(Telegram::parse(octets, CrcRule::Required).is_err());
        }
    }
}

#[test]
fn what_is_too_long_is_dropped_and_the_next_telegram_is_found() {
    let plain = with_crc(DSMR_3.trim_end());
    let long = ["/ABC5\r\n", &"1-0:1.8.0(1)\r\n".repeat(100)].concat();
    let mut framer = Framer::new([0; 512], 2_000);
    let seen = feed(&mut framer, &[long.as_bytes(), &plain].concat(), T0);
    assert_eq!(seen[0], (Event::Dropped(Dropped::TooLong), vec![]));
    assert_eq!(seen[1], (Event::Telegram, plain[..plain.len() - 2].to_vec()));
    // A length that the storage could not hold is no header.
    let seen = feed(&mut framer, &[&ciphered(600)[..18], &plain].concat(), T0);
    assert_eq!(
        seen.iter().map(|(event, _)| *event).collect::<Vec<_>>(),
        [Event::Dropped(Dropped::NotTelegram), Event::Telegram]
    );
}

#[test]
fn headers_are_found_inside_what_looked_like_one() {
    let sealed = ciphered(100);
    for noise in [&[0xDB][..], &[0xDB, 0xDB], &[0xDB, 8], &[0xDB, 8, 1, 2, 0xDB, 8], &[0xDB, 9], b"/a\xDB", b"/a\xFF"] {
        let seen = frames(&[noise, &sealed].concat());
        assert_eq!(seen.last(), Some(&(Event::Ciphered, sealed.clone())), "{noise:02X?}");
    }
    let plain = with_crc(DSMR_5);
    for noise in [&[0xDB, 8][..], &[0xDB, 8, 1, 2], &[0xDB, 0xDB, 8]] {
        let seen = frames(&[noise, &plain].concat());
        assert_eq!(seen.last(), Some(&(Event::Telegram, plain[..plain.len() - 2].to_vec())), "{noise:02X?}");
    }
}

#[test]
fn a_slash_in_a_unit_belongs_to_the_telegram() {
    let octets = with_crc("/X\r\n\r\n0-1:24.2.9(0.5*m3/h)\r\n!");
    assert_eq!(frames(&octets), [(Event::Telegram, octets[..octets.len() - 2].to_vec())]);
}
