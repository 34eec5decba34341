//! The sign-on of IEC 62056-21 at a serial port, before HDLC.

use dlms::mode_e::client::{Config, Event, SignOn};
use dlms::mode_e::{Baud, DeviceAddress, INITIAL_BAUD};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant, sleep_until, timeout_at};
use tokio_serial::{SerialPort, SerialStream};

use crate::meter::ModeE;

/// Octets of the longest message, and of the largest read.
const MESSAGE_OCTETS: usize = 64;

/// Signs on at `port`, by `deadline`; the port has the rate that was selected then. The reason why not is for people.
pub(super) async fn sign_on(
    port: &mut SerialStream,
    baud: u32,
    mode_e: &ModeE,
    deadline: Instant,
) -> Result<u32, String> {
    let address = DeviceAddress::new(mode_e.device_address.as_bytes()).ok_or("the device address is not legal")?;
    let baud_max = Baud::at_most(baud).ok_or("a sign-on needs 300 bit/s at least")?;
    let mut machine = SignOn::new(Config { address, baud_max, ..Config::new() }, []);
    match timeout_at(deadline, drive(port, &mut machine)).await {
        Ok(done) => done,
        Err(_) => Err("the sign-on was not done in time".to_owned()),
    }
}

async fn drive(port: &mut SerialStream, machine: &mut SignOn<[u8; 0]>) -> Result<u32, String> {
    let text = |error: std::io::Error| error.to_string();
    let epoch = Instant::now();
    let now = || dlms::Instant::from_millis(u64::try_from(epoch.elapsed().as_millis()).unwrap_or(u64::MAX));
    let (mut out, mut room) = ([0; MESSAGE_OCTETS], [0; MESSAGE_OCTETS]);
    machine.start(now());
    loop {
        loop {
            match machine.poll_event() {
                Some(Event::SetBaud(baud)) => port.set_baud_rate(baud).map_err(|error| error.to_string())?,
                Some(Event::Identified(identification)) => tracing::debug!(%identification, "meter identified"),
                Some(Event::Opened { baud, confirmed }) => {
                    if !confirmed {
                        tracing::debug!(deviation = %dlms::deviation::Deviation::UnconfirmedSignOn, "signed on");
                    }
                    return Ok(baud);
                }
                Some(Event::Failed(error)) => return Err(error.to_string()),
                Some(_) => {}
                None => match machine.poll_transmit(&mut out) {
                    Some(sent) => port.write_all(out.get(..sent.len).unwrap_or_default()).await.map_err(text)?,
                    None => break,
                },
            }
        }
        let due = machine.poll_timeout().map_or(Duration::ZERO, |due| Duration::from_millis(due.since_ms(now())));
        tokio::select! {
            count = port.read(&mut room) => match count.map_err(text)? {
                0 => return Err("the port was closed".to_owned()),
                count => drop(machine.handle_input(room.get(..count).unwrap_or_default(), now())),
            },
            () = sleep_until(Instant::now() + due) => {}
        }
        machine.handle_timeout(now());
    }
}

/// The rate at which a port is opened.
pub(super) const fn opening_baud(baud: u32, mode_e: Option<&ModeE>) -> u32 {
    if mode_e.is_some() { INITIAL_BAUD } else { baud }
}
