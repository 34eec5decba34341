//! Serial ports: HDLC frames.

use std::time::Duration;

use tokio_serial::{SerialPortBuilderExt, SerialStream};
use tracing::{info, warn};

use super::line::{self, LineEnd};
use super::{ConnectionNumbers, Port};
use crate::simulator::FleetError;
use crate::simulator::config::SerialConfig;

/// How long to wait before a port that failed is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Serves a serial port.
pub(in crate::simulator) fn open(port: &Port, config: &SerialConfig) -> Result<(), FleetError> {
    let stream = open_stream(config).map_err(|source| FleetError::Serial { path: config.path.clone(), source })?;
    port.tasks.spawn(run(port.clone(), config.clone(), stream));
    Ok(())
}

fn open_stream(config: &SerialConfig) -> tokio_serial::Result<SerialStream> {
    tokio_serial::new(config.path.to_string_lossy(), config.baud).open_native_async()
}

/// A serial line has no connections: when one ends (a fault, silence, an error of the adapter) the next begins.
async fn run(port: Port, config: SerialConfig, stream: SerialStream) {
    let numbers = ConnectionNumbers::default();
    let mut stream = Some(stream);
    while !port.cancel.is_cancelled() {
        if let Some(open) = &mut stream {
            let faults = port.fault_plan(numbers.next());
            match line::run(&port, port.hdlc_line(false), open, faults).await {
                LineEnd::Shutdown => return,
                LineEnd::Idle | LineEnd::Fault(_) | LineEnd::Lost(_) => continue,
                end @ (LineEnd::Closed | LineEnd::Io(_)) => {
                    info!(path = %config.path.display(), %end, "serial port lost");
                    stream = None;
                }
            }
        }
        tokio::select! {
            () = port.cancel.cancelled() => return,
            () = tokio::time::sleep(REOPEN_PAUSE) => {}
        }
        match open_stream(&config) {
            Ok(opened) => stream = Some(opened),
            Err(error) => warn!(path = %config.path.display(), %error, "cannot open the serial port again"),
        }
    }
}
