//! Recording a live exchange between a client and a server into corpus records.
//!
//! The recorder is a proxy: it listens for one client, connects to the server, and passes octets on unchanged.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use dlms::hdlc::{FLAG, LENGTH_MAX};
use serde_json::{Value, json};

use crate::collect::Collector;
use crate::record::{Direction, HexBytes, Kind, Record, Security};
use crate::replay::exchange::Exchange;
use crate::values::Reported;

/// What to call an exchange and how to read it.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// Name of the session; record names begin with it.
    pub session: String,
    /// Framing: [`Kind::Wrapper`] or [`Kind::Hdlc`].
    pub kind: Kind,
    /// Keys of the session.
    pub security: Option<Security>,
    /// Who talked to whom.
    pub document: String,
}

/// Passes the octets of one connection on in both directions until both sides have closed, and returns them.
pub fn proxy(listener: &TcpListener, server: &str) -> io::Result<Vec<(Direction, Vec<u8>)>> {
    let (client, _) = listener.accept()?;
    let server = TcpStream::connect(server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (sender, receiver) = mpsc::channel();
    let upstream = pass(client.try_clone()?, server.try_clone()?, Direction::ClientToMeter, sender.clone());
    let downstream = pass(server, client, Direction::MeterToClient, sender);
    let octets = receiver.into_iter().collect();
    for thread in [upstream, downstream] {
        thread.join().map_err(|_| io::Error::other("a copying thread panicked"))?;
    }
    Ok(octets)
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    direction: Direction,
    sender: mpsc::Sender<(Direction, Vec<u8>)>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            // Noted before it is passed on, so that an answer never stands before its request.
            if sender.send((direction, buffer[..count].to_vec())).is_err() || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // The other side sees the end of the stream; errors mean that it is gone already.
        let _ = to.shutdown(Shutdown::Write);
    })
}

/// Cuts what was passed on into frames, a record each, with what this build decodes.
pub fn records(exchanged: &Exchanged, octets: &[(Direction, Vec<u8>)]) -> Vec<Record> {
    let mut pending: [(Direction, Vec<u8>); 2] =
        [(Direction::ClientToMeter, Vec::new()), (Direction::MeterToClient, Vec::new())];
    let mut frames = Vec::new();
    for (direction, chunk) in octets {
        let Some((_, buffer)) = pending.iter_mut().find(|(of, _)| of == direction) else { continue };
        buffer.extend_from_slice(chunk);
        while let Some(length) = first_frame(exchanged.kind, buffer) {
            let rest = buffer.split_off(length);
            frames.push((*direction, std::mem::replace(buffer, rest)));
        }
    }
    frames.extend(pending.into_iter().filter(|(_, rest)| !rest.is_empty()));

    let mut exchange = Exchange::default();
    let numbered = frames.into_iter().zip(1_u64..);
    numbered.map(|((direction, octets), seq)| record(exchanged, &mut exchange, direction, octets, seq)).collect()
}

fn record(exchanged: &Exchanged, exchange: &mut Exchange, dir: Direction, octets: Vec<u8>, seq: u64) -> Record {
    let mut record = Record {
        id: format!("{}-{seq:03}", exchanged.session),
        kind: exchanged.kind,
        session: Some(exchanged.session.clone()),
        seq: Some(seq),
        dir,
        hex: HexBytes(octets),
        meter: None,
        security: exchanged.security.clone(),
        algorithm: None,
        input: None,
        source: Some(json!({ "document": exchanged.document, "licence": "none needed (own recording)" })),
        origin: Some("simulator".to_owned()),
        expect: serde_json::Map::new(),
        expected_from: Some("computed".to_owned()),
        verified: None,
        malformed: None,
        note: None,
    };
    let reading = exchange.read(&record);
    record.expect = reading.fields;
    if let Some(complaint) = reading.complaint {
        record.note = Some(format!("not understood: {complaint}"));
    }
    record
}

/// Octets of the frame at the start of `buffer`, once it is complete.
fn first_frame(kind: Kind, buffer: &[u8]) -> Option<usize> {
    let length = match kind {
        Kind::Wrapper => {
            let header: [u8; 8] = *buffer.first_chunk()?;
            8 + usize::from(u16::from_be_bytes([header[6], header[7]]))
        }
        _ => {
            let start = buffer.iter().position(|octet| *octet != FLAG)?;
            let format = buffer.get(start..start + 2)?;
            start + (usize::from(u16::from_be_bytes([format[0], format[1]])) & LENGTH_MAX) + 1
        }
    };
    (buffer.len() >= length).then_some(length)
}

/// Sets beside each answer what the implementation that asked reported, and refuses a report that differs.
///
/// Returns how many values were found. Reports are taken in order; answers nobody reported stay as they are.
pub fn annotate(records: &mut [Record], reported: &[Reported], implementation: &str) -> Result<usize, String> {
    let mut collector = Collector::default();
    let mut expected = reported.iter().peekable();
    let mut found = 0;
    for record in records.iter_mut() {
        let Some(value) = record.expect.get("decoded").and_then(|decoded| collector.push(decoded)) else { continue };
        let Some(report) = expected.next_if(|report| report.answers_same(&value)) else { continue };
        if report.value != value.value {
            return Err(format!(
                "{}: {} {} attribute {}: {implementation} read {}, decoded here {}",
                record.id, value.class, value.obis, value.attribute, report.value, value.value
            ));
        }
        found += 1;
        record.expect.insert("source_values".to_owned(), serde_json::to_value(report).unwrap_or(Value::Null));
        record.expected_from = Some("source".to_owned());
        record.verified = Some(json!({ "second_decoder": true, "source_values": { "found": 1, "of": 1 } }));
    }
    match expected.next() {
        Some(missing) => {
            Err(format!("no answer for {} {} attribute {}", missing.class, missing.obis, missing.attribute))
        }
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchanged() -> Exchanged {
        Exchanged { session: "t".to_owned(), kind: Kind::Wrapper, security: None, document: "test".to_owned() }
    }

    const REQUEST: &str = "0001001000010 00dc001c100080000010000ff0200";
    const ANSWER: &str = "0001000100100006c401c100112a";

    fn chunks() -> Vec<(Direction, Vec<u8>)> {
        let octets = |text: &str| hex::decode(text.replace(' ', "")).unwrap();
        let (request, answer) = (octets(REQUEST), octets(ANSWER));
        vec![
            (Direction::ClientToMeter, request[..5].to_vec()),
            (Direction::ClientToMeter, request[5..].to_vec()),
            (Direction::MeterToClient, answer),
        ]
    }

    fn report(value: Value) -> Reported {
        Reported { class: 8, obis: "0.0.1.0.0.255".to_owned(), attribute: 2, selector: None, value }
    }

    #[test]
    fn a_frame_in_two_pieces_is_one_record() {
        let records = records(&exchanged(), &chunks());
        assert_eq!(records.len(), 2);
        assert_eq!((records[0].id.as_str(), records[0].hex.0.len()), ("t-001", 21));
        assert_eq!(records[1].expect["decoded"]["data"]["unsigned"], 42);
    }

    #[test]
    fn reported_values_must_be_the_decoded_ones() {
        let mut records = records(&exchanged(), &chunks());
        assert_eq!(annotate(&mut records, &[report(json!(42))], "peer"), Ok(1));
        assert_eq!(Reported::of(&records[1]), Some(report(json!(42))));
        assert!(annotate(&mut records, &[report(json!(43))], "peer").unwrap_err().contains("peer read 43"));
        let other = Reported { attribute: 3, ..report(json!(1)) };
        assert!(annotate(&mut records, &[other], "peer").unwrap_err().contains("no answer"));
    }

    #[test]
    fn octets_pass_through_unchanged() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy_listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (server_at, proxy_at) = (server.local_addr().unwrap(), proxy_listener.local_addr().unwrap());
        let echo = thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = [0; 3];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(&[9, 8]).unwrap();
        });
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(proxy_at).unwrap();
            stream.write_all(&[1, 2, 3]).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer
        });
        let octets = proxy(&proxy_listener, &server_at.to_string()).unwrap();
        echo.join().unwrap();
        assert_eq!(client.join().unwrap(), [9, 8]);
        assert_eq!(octets[0], (Direction::ClientToMeter, vec![1, 2, 3]));
        assert_eq!(octets.last().unwrap(), &(Direction::MeterToClient, vec![9, 8]));
    }
}
