//! What clients do with a meter, one visit after the other.

use std::net::SocketAddr;

use dlms::apdu::Selection;
use dlms::association::Referencing;
use dlms::association::client::Config;
use dlms::axdr::{BufferFull, Data, Writer};
use dlms::hdlc::Parameters;
use dlms::link::Link;
use dlms::time::DateTime;
use dlms_meter_server::simulator::Keys;

use super::Failure;
use super::support::client::{Dialogue, Management, Octets, Trouble, hdlc, management, public, reader, tcp, udp};

/// Invocation counters that one visit may use.
const COUNTERS: u32 = 1_000;
/// Steps between the meters of two visits: a prime, so that all have their turn.
const STRIDE: usize = 37;

/// Goes from meter to meter, with something else each time.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    visits: u32,
    meter: usize,
    refused: u32,
}

impl Visitor {
    pub(crate) const fn visits(&self) -> u32 {
        self.visits
    }

    pub(crate) fn next_meter(&mut self, meters: usize) -> usize {
        self.meter = (self.meter + STRIDE) % meters;
        self.meter
    }

    /// One visit. A refusal is an answer; a meter that does not answer is a failure.
    pub(crate) fn visit(&mut self, kind: &str, [wrapper, line, datagrams]: [SocketAddr; 3]) -> Result<(), Failure> {
        self.visits += 1;
        let counter = self.visits.saturating_mul(COUNTERS);
        let done = match (kind, self.visits % 8) {
            (_, 0) => tcp(wrapper, reader(b"wrong"), 0).associate().map(drop),
            ("short-names", _) => hdlc_public(line, Referencing::ShortName),
            (_, 1) => hdlc_public(line, Referencing::LogicalName),
            (_, 2) => udp(datagrams, public(), 0).associate().map(|mut client| {
                look(&mut client, 15, "0.0.40.0.0.255", 2);
            }),
            ("smr5", _) => tcp(wrapper, public(), 0).associate().and_then(|client| client.release()),
            (_, 3) => load_profile(wrapper),
            (_, 4) => managed(wrapper, counter, program),
            (_, 5) => managed(wrapper, counter, operate),
            ("prepayment", _) => managed(wrapper, counter, pay),
            (_, 6) => managed(wrapper, counter, bill),
            // Gone without a word.
            _ => managed(wrapper, counter, logs),
        };
        match done {
            Err(Trouble::Io(error)) => Err(error.into()),
            Err(_) => {
                self.refused += 1;
                // Every eighth visit has a wrong password; more are not expected.
                let expected = self.visits / 8 + 1;
                if self.refused > expected {
                    Err(format!("{kind}: visit {} refused", self.visits).into())
                } else {
                    Ok(())
                }
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Reads an attribute, if the model has it.
fn look<L: Link, T: Octets>(client: &mut Dialogue<L, T>, class: u16, instance: &str, attribute: i8) {
    client.get_blocks(class, instance, attribute, None).map(drop).unwrap_or_default();
}

fn hdlc_public(line: SocketAddr, referencing: Referencing) -> Result<(), Trouble> {
    let config = Config { referencing, ..public() };
    let client = hdlc(super::support::client::connect(line), config, 0, Parameters::DEFAULT);
    client.associate()?.release()
}

fn load_profile(wrapper: SocketAddr) -> Result<(), Trouble> {
    let mut client = tcp(wrapper, reader(Keys::DEMONSTRATION_PASSWORD), 0).associate()?;
    look(&mut client, 3, "1.0.1.8.0.255", 2);
    let mut entries = vec![2, 4];
    for number in [1_u32, 200] {
        entries.push(6);
        entries.extend(number.to_be_bytes());
    }
    entries.extend([0x12, 0, 1, 0x12, 0, 0]);
    let parameters = Data::from_slice(&entries).map_err(|_| Trouble::Io(std::io::ErrorKind::InvalidData.into()))?;
    client.get_blocks(7, "1.0.99.1.0.255", 2, Some(Selection { selector: 2, parameters }))?.0.ok();
    client.release()
}

/// Does something as the management client, and leaves without a word.
fn managed(wrapper: SocketAddr, counter: u32, act: impl FnOnce(&mut Management)) -> Result<(), Trouble> {
    let mut client = tcp(wrapper, management(), counter).associate()?;
    act(&mut client);
    Ok(())
}

/// Another calendar for the meter, in force at once, and special days.
fn program(client: &mut Management) {
    const CALENDAR: &str = "0.0.13.0.0.255";
    let mut set = |attribute, write: &dyn Fn(&mut Writer<'_>) -> Result<(), BufferFull>| {
        client.set_written(20, CALENDAR, attribute, write);
    };
    set(6, &|out| out.octets(b"SOAK"));
    set(7, &|out| {
        out.array(1)?;
        out.structure(3)?;
        out.octets(b"ALL")?;
        out.octets(&DateTime::UNSPECIFIED.to_bytes())?;
        out.octets(b"WEEK")
    });
    set(8, &|out| {
        out.array(1)?;
        out.structure(8)?;
        out.octets(b"WEEK")?;
        (0..7).try_for_each(|_| out.unsigned(1))
    });
    set(9, &|out| {
        out.array(1)?;
        out.structure(2)?;
        out.unsigned(1)?;
        out.array(4)?;
        (0..4).try_for_each(|period| {
            out.structure(3)?;
            out.octets(&[period * 6, 0, 0, 0])?;
            out.octets(&[0, 0, 10, 0, 100, 255])?;
            out.long_unsigned(u16::from(period) + 1)
        })
    });
    client.action(20, CALENDAR, 1);
    client.set_written(11, "0.0.11.0.0.255", 2, |out| {
        out.array(1)?;
        out.structure(3)?;
        out.long_unsigned(1)?;
        out.octets(&[0xFF, 0xFF, 5, 1, 0xFF])?;
        out.unsigned(1)
    });
    look(client, 20, CALENDAR, 5);
}

fn operate(client: &mut Management) {
    client.action(70, "0.0.96.3.10.255", 1);
    client.action(70, "0.0.96.3.10.255", 2);
    client.set(1, "0.0.96.1.4.255", 2, Data::OctetString(b"Cellar")).ok();
}

fn bill(client: &mut Management) {
    client.action_with(9, "0.0.10.0.1.255", 1, Data::LongUnsigned(1));
    look(client, 7, "0.0.98.1.0.255", 2);
}

fn pay(client: &mut Management) {
    // A token that is none, and credit from a client that may give it.
    client.action_reply(115, "0.0.19.40.0.255", 1, Data::OctetString(&[1; 21])).ok();
    client.action_reply(112, "0.0.19.10.0.255", 1, Data::DoubleLong(100)).ok();
    look(client, 112, "0.0.19.10.0.255", 2);
}

fn logs(client: &mut Management) {
    for log in ["0.0.99.98.0.255", "0.0.99.98.1.255", "0.0.99.98.2.255"] {
        look(client, 7, log, 2);
    }
}
