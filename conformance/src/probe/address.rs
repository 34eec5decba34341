//! Which HDLC address a meter has: addresses are tried one after the other.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use dlms::hdlc::scanner::{Candidate, Config, Event, Plan, Reply, Scanner};
use serde_json::{Value, json};

use super::port::Port;

/// Octets of the longest answer to SNRM, with room for noise.
const FRAME_OCTETS: usize = 256;

/// A candidate that something answered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What was asked.
    pub candidate: Candidate,
    /// What came.
    pub reply: Reply,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Candidate { client, server } = self.candidate;
        write!(f, "client {client}, server {server} in {} octet(s): ", server.width().octets())?;
        match self.reply {
            Reply::Accepted { source, parameters } => {
                write!(f, "UA")?;
                if source != server {
                    write!(f, " from {source} in {} octet(s)", source.width().octets())?;
                }
                match parameters {
                    Some(own) => write!(
                        f,
                        ", sends {} octets in windows of {}, takes {} in windows of {}",
                        own.information_transmit, own.window_transmit, own.information_receive, own.window_receive
                    ),
                    None => f.write_str(", with unreadable parameters"),
                }
            }
            Reply::Refused { .. } => f.write_str("DM: there, but refuses this client or logical device"),
            Reply::Rejected { .. } => f.write_str("FRMR: there, but rejects this SNRM"),
            Reply::Noise { octets } => {
                write!(f, "{octets} octet(s) that are no answer: a wrong rate, or several meters")
            }
            Reply::Silence => f.write_str("silence"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl Found {
    /// Whether a meter is there.
    #[must_use]
    pub const fn is_meter(&self) -> bool {
        matches!(self.reply, Reply::Accepted { .. } | Reply::Refused { .. } | Reply::Rejected { .. })
    }

    /// The same for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Candidate { client, server } = self.candidate;
        let mut value = json!({
            "client": client.upper(), "logical_device": server.upper(), "lower": server.lower(),
            "octets": server.width().octets(),
        });
        let answer = match self.reply {
            Reply::Accepted { source, parameters } => {
                value["source"] = json!({
                    "logical_device": source.upper(), "lower": source.lower(), "octets": source.width().octets(),
                });
                value["parameters"] = parameters.map_or(Value::Null, |own| {
                    json!({
                        "information_transmit": own.information_transmit, "window_transmit": own.window_transmit,
                        "information_receive": own.information_receive, "window_receive": own.window_receive,
                    })
                });
                "UA"
            }
            Reply::Refused { .. } => "DM",
            Reply::Rejected { .. } => "FRMR",
            Reply::Noise { .. } => "noise",
            _ => "silence",
        };
        value["answer"] = json!(answer);
        value
    }
}

/// Tries all candidates of `plan`. `progress` is told the number of each candidate, and how many there are, before it is
/// asked; `found` what came, silence too.
///
/// # Errors
/// What the port says; nothing more is asked then.
pub fn scan(
    port: &mut impl Port,
    plan: &Plan<'_>,
    config: Config,
    mut progress: impl FnMut(u32, usize, Candidate),
    mut found: impl FnMut(Found),
) -> io::Result<()> {
    let total = plan.candidates().count();
    let start = Instant::now();
    let now = || dlms::Instant::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    let mut scanner = Scanner::new(config, vec![0; FRAME_OCTETS], plan.candidates(), now());
    let (mut out, mut room) = ([0; FRAME_OCTETS], [0; FRAME_OCTETS]);
    let mut told = 0;
    loop {
        while let Some(event) = scanner.poll_event() {
            match event {
                Event::Answer(candidate, reply) => found(Found { candidate, reply }),
                Event::Done => return Ok(()),
                _ => {}
            }
        }
        if let Some(candidate) = scanner.current().filter(|_| scanner.tried() > told) {
            told = scanner.tried();
            progress(told, total, candidate);
        }
        while let Some(length) = scanner.poll_transmit(&mut out) {
            port.send(&out[..length])?;
        }
        let Some(deadline) = scanner.poll_timeout() else { continue };
        let patience = Duration::from_millis(deadline.since_ms(now()));
        let count = if patience.is_zero() { 0 } else { port.receive(&mut room, patience)? };
        scanner.handle_input(&room[..count], now());
        scanner.handle_timeout(now());
    }
}
