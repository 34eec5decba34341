//! Prints the values of a smart meter's customer port: of a serial device that is set up already, of a file, or of the
//! standard input. With the encryption key from the grid operator, ciphered telegrams too.
//!
//! ```text
//! stty -F /dev/ttyUSB0 115200 raw && cargo run -p dlms --example read_p1 -- /dev/ttyUSB0
//! cargo run -p dlms --example read_p1 < telegram.txt
//! cargo run -p dlms --example read_p1 -- /dev/ttyUSB0 00112233445566778899AABBCCDDEEFF
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{Read, stdin};
use std::time::Instant;

use dlms::obis::describe;
use dlms::p1::{
    CrcRule, Decipherer, Event, Framer, LUXEMBOURG_AUTHENTICATION_KEY, TELEGRAM_OCTETS_MAX, Telegram, Value,
};
use dlms::security::{KeySet, ReceiveFloor, RustCrypto, Suite};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut line: Box<dyn Read> = match arguments.next() {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(stdin()),
    };
    let mut decipherer = arguments.next().map(|key| decipherer(&key)).transpose()?;
    let mut framer = Framer::new(vec![0; TELEGRAM_OCTETS_MAX], 2_000);
    let begun = Instant::now();
    let mut octets = [0; 256];
    loop {
        let count = line.read(&mut octets)?;
        if count == 0 {
            return Ok(());
        }
        let now = dlms::Instant::from_millis(u64::try_from(begun.elapsed().as_millis())?);
        let mut rest = &octets[..count];
        while !rest.is_empty() {
            rest = &rest[framer.handle_input(rest, now)..];
            match (framer.poll_event(), &mut decipherer) {
                // Meters before DSMR 4 print no check sum.
                (Some(Event::Telegram), _) => show(&Telegram::parse(framer.octets(), CrcRule::IfPresent)?),
                (Some(Event::Ciphered), Some(decipherer)) => show(&decipherer.open(framer.octets())?),
                (Some(other), _) => eprintln!("{other:?}"),
                (None, _) => {}
            }
        }
    }
}

/// For a meter in Luxembourg; elsewhere the grid operator gives out an authentication key as well.
fn decipherer(key: &str) -> Result<Decipherer<RustCrypto>, Box<dyn Error>> {
    let key = (0..key.len()).step_by(2).map(|at| u8::from_str_radix(key.get(at..at + 2).unwrap_or("?"), 16));
    let key = key.collect::<Result<Vec<_>, _>>()?;
    let keys = KeySet::new(Suite::Suite0, &key, &LUXEMBOURG_AUTHENTICATION_KEY)?;
    Ok(Decipherer::new(&keys, ReceiveFloor::new(0))?)
}

fn show(telegram: &Telegram<'_>) {
    println!("{}", telegram.identification());
    for object in telegram.objects() {
        let words = describe(object.code()).map(|words| words.to_string()).unwrap_or_default();
        print!("  {:<20} {words:<60}", object.printed_code());
        for field in object.fields() {
            match field.value() {
                Value::Empty => print!(" -"),
                Value::Number(quantity) => print!(" {} {}", quantity.value, quantity.unit),
                Value::Time(time) => {
                    print!(" {}", time.local().map_or_else(|| "no time".to_owned(), |t| t.to_string()))
                }
                Value::Octets(octets) => print!(" {octets}"),
                Value::Obis(code) => print!(" {code}"),
                Value::Text(text) => print!(" {text}"),
            }
        }
        println!();
    }
}
