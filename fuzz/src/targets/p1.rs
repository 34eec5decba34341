//! Telegrams of customer ports: out of a stream, and taken apart.

use dlms::Instant;
use dlms::p1::{CrcRule, Event, Framer, Line, MonthlyPeaks, PowerFailures, Telegram, TelegramError};

use super::pieces;
use crate::bounded;

const STORAGE: usize = 512;

/// Everything that the framer tells.
fn telegrams<'a>(cut: impl Iterator<Item = &'a [u8]>) -> Vec<(Event, Vec<u8>)> {
    let mut framer = Framer::new([0; STORAGE], 2_000);
    let now = Instant::from_millis(0);
    let mut found = Vec::new();
    for mut rest in cut {
        loop {
            let taken = framer.handle_input(rest, now);
            rest = &rest[taken..];
            let Some(event) = framer.poll_event() else {
                assert!(rest.is_empty(), "without an event all octets are taken");
                break;
            };
            let octets = if matches!(event, Event::Dropped(_)) { Vec::new() } else { framer.octets().to_vec() };
            found.push((event, octets));
        }
    }
    found
}

/// Reads everything that a telegram has; returns how many values that were.
fn read(telegram: &Telegram<'_>) -> usize {
    let mut values = 0;
    for line in telegram.lines() {
        let Line::Object(object) = line else { continue };
        for field in object.fields() {
            let _ = (field.value(), field.quantity(), field.time());
            values += 1;
        }
        let _ =
            (object.code(), object.quantity(), object.time(), PowerFailures::new(&object), MonthlyPeaks::new(&object));
    }
    let _ = (telegram.version(), telegram.time().map(|time| time.date_time(-60)));
    let _ = (PowerFailures::of(telegram), MonthlyPeaks::of(telegram));
    values + telegram.mbus_devices().len()
}

pub(super) fn run(octets: &[u8]) {
    let parsed = bounded(0, || Telegram::parse(octets, CrcRule::Ignored));
    if let Ok(telegram) = parsed {
        let values = bounded(0, || read(&telegram));
        assert!(values <= octets.len() + 16, "{values} values in {} octets", octets.len());
    }
    // The check sum only ever refuses more, and says the one that would be right.
    match Telegram::parse(octets, CrcRule::Required) {
        Ok(telegram) => assert!(parsed.is_ok() && telegram.crc().is_some()),
        Err(TelegramError::Crc { printed, computed }) => assert_ne!(printed, computed),
        Err(_) => {}
    }
    let (seed, stream) = octets.split_first().unwrap_or((&0, octets));
    let whole = telegrams(std::iter::once(stream));
    assert!(whole.len() <= stream.len() + 1);
    assert_eq!(whole, telegrams(pieces(stream, *seed)), "however the stream is cut");
}
