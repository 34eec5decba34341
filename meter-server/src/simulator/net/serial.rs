//! Serial ports: HDLC frames, after a sign-on where that is wanted.

use std::time::{Duration, Instant};

use dlms::association::server::Source;
use dlms::hdlc::server::Session;
use dlms::mode_e::server::{Config, Event, SignOn};
use dlms::mode_e::{Baud, DeviceAddress, INITIAL_BAUD};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::{SerialPort, SerialPortBuilderExt, SerialStream};
use tracing::{debug, info, warn};

use super::line::{self, LineEnd, Unasked};
use super::uses::Way;
use super::{HdlcStation, Port, ticks};
use crate::simulator::FleetError;
use crate::simulator::config::SerialConfig;

/// Whoever is on the line. Several lines of one meter count as one.
const SOURCE: Source = Source(1);
/// How long to wait before a port that failed is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);
/// Pause before each message of a sign-on. The standard has 200 to 1500 ms; at a pseudo-terminal, where characters take no
/// time, the client is still waiting for its own to leave after 200.
const REACTION_MS: u32 = 500;
/// Octets of the longest message of a sign-on, and of the shortest read.
const MESSAGE_OCTETS: usize = 64;

/// Serves a serial port.
pub(in crate::simulator) fn open(port: &Port, config: &SerialConfig) -> Result<(), FleetError> {
    let stream = open_stream(config).map_err(|source| FleetError::Serial { path: config.path.clone(), source })?;
    // Where a line begins with a sign-on nobody listens before.
    let unasked = (!config.mode_e).then(|| port.device().attach_line());
    port.shared.tasks.spawn(run(port.clone(), config.clone(), stream, unasked));
    Ok(())
}

fn open_stream(config: &SerialConfig) -> tokio_serial::Result<SerialStream> {
    let baud = if config.mode_e { INITIAL_BAUD } else { config.baud };
    tokio_serial::new(config.path.to_string_lossy(), baud).open_native_async()
}

/// A serial line has no connections: when one ends (a fault, silence, an error of the adapter) the next begins.
async fn run(port: Port, config: SerialConfig, stream: SerialStream, mut unasked: Unasked) {
    let mut stream = Some(stream);
    while !port.shared.cancel.is_cancelled() {
        if let Some(open) = &mut stream {
            match link(&port, &config, open, &mut unasked).await {
                LineEnd::Shutdown => return,
                LineEnd::Idle | LineEnd::Disconnected | LineEnd::Fault(_) | LineEnd::Lost(_) => continue,
                end @ (LineEnd::Closed | LineEnd::Io(_)) => {
                    info!(path = %config.path.display(), %end, "serial port lost");
                    stream = None;
                }
            }
        }
        tokio::select! {
            () = port.shared.cancel.cancelled() => return,
            () = tokio::time::sleep(REOPEN_PAUSE) => {}
        }
        match open_stream(&config) {
            Ok(opened) => stream = Some(opened),
            Err(error) => warn!(path = %config.path.display(), %error, "cannot open the serial port again"),
        }
    }
}

/// One link over the port, from the sign-on to its end where there is one.
async fn link(port: &Port, config: &SerialConfig, stream: &mut SerialStream, unasked: &mut Unasked) -> LineEnd {
    if !config.mode_e {
        let (line, faults) = (port.hdlc_line(false, SOURCE), port.fault_plan(Way::Serial));
        return line::run_until(port, line, stream, faults, unasked, |_| false).await;
    }
    let signed_on = tokio::select! {
        () = port.shared.cancel.cancelled() => return LineEnd::Shutdown,
        signed_on = sign_on(port, config, stream) => signed_on,
    };
    match signed_on {
        Ok(baud) => debug!(path = %config.path.display(), baud, "signed on"),
        Err(end) => return end,
    }
    let mut opened = false;
    let done = move |station: &HdlcStation| {
        let open = station.sessions().iter().any(Session::is_open);
        opened |= open;
        opened && !open
    };
    line::run_until(port, port.hdlc_line(false, SOURCE), stream, port.fault_plan(Way::Serial), unasked, done).await
}

/// Waits for a sign-on that selects HDLC; returns the rate, which is set.
async fn sign_on(port: &Port, config: &SerialConfig, stream: &mut SerialStream) -> Result<u32, LineEnd> {
    let failed = |error: tokio_serial::Error| LineEnd::Io(error.into());
    let (maker, serial) = port.identity();
    let mut settings = Config::new(maker, Baud::at_most(config.baud).unwrap_or(Baud::INITIAL));
    settings.address = DeviceAddress::new(serial.as_bytes()).unwrap_or(DeviceAddress::ANY);
    settings = settings.with_text(serial.as_bytes());
    settings.reaction_ms = REACTION_MS;
    let mut machine = SignOn::new(settings, []);
    stream.set_baud_rate(INITIAL_BAUD).map_err(failed)?;
    let (mut out, mut room) = ([0; MESSAGE_OCTETS], [0; MESSAGE_OCTETS]);
    loop {
        loop {
            match machine.poll_event() {
                Some(Event::SetBaud(baud)) => {
                    stream.flush().await?;
                    stream.set_baud_rate(baud).map_err(failed)?;
                }
                Some(Event::Opened { baud }) => {
                    stream.flush().await?;
                    return Ok(baud);
                }
                Some(event) => debug!(path = %config.path.display(), ?event, "sign-on"),
                None => match machine.poll_transmit(&mut out) {
                    Some(transmit) => stream.write_all(out.get(..transmit.len).unwrap_or_default()).await?,
                    None => break,
                },
            }
        }
        let due = machine.poll_timeout().map(line::deadline);
        let count = tokio::select! {
            count = stream.read(&mut room) => count?,
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                machine.handle_timeout(ticks(Instant::now()));
                continue;
            }
        };
        if count == 0 {
            return Err(LineEnd::Closed);
        }
        // Nothing is lost when not all is taken: an event is due then, and a client that speaks on has to wait for it.
        machine.handle_input(room.get(..count).unwrap_or_default(), ticks(Instant::now()));
    }
}
