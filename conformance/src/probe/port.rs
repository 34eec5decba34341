//! Ports that a probe speaks over.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A line that is written to and read from with patience.
pub trait Port {
    /// Sends all of `octets`.
    ///
    /// # Errors
    /// What the operating system says.
    fn send(&mut self, octets: &[u8]) -> io::Result<()>;

    /// Octets that arrive within `patience`; 0 when none do.
    ///
    /// # Errors
    /// `UnexpectedEof` when the peer has closed; what the operating system says.
    fn receive(&mut self, room: &mut [u8], patience: Duration) -> io::Result<usize>;
}

/// A timeout of zero means for ever to sockets.
const LEAST: Duration = Duration::from_millis(1);

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")
}

/// Whether the peer has closed while octets of ours were still on their way to it.
fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

fn received(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Ok(0) => Err(closed()),
        Err(error) if is_closed(&error) => Err(closed()),
        Ok(count) => Ok(count),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) => Err(error),
    }
}

impl Port for TcpStream {
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.write_all(octets).map_err(|error| if is_closed(&error) { closed() } else { error })
    }

    fn receive(&mut self, room: &mut [u8], patience: Duration) -> io::Result<usize> {
        self.set_read_timeout(Some(patience.max(LEAST)))?;
        received(self.read(room))
    }
}

/// A serial port with eight data bits, no parity and one stop bit.
pub struct Serial(Box<dyn tokio_serial::SerialPort>);

impl Serial {
    /// Opens the port at `path`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &str, baud: u32) -> io::Result<Self> {
        let port = tokio_serial::new(path, baud).timeout(LEAST).open().map_err(io::Error::from)?;
        Ok(Self(port))
    }
}

impl Port for Serial {
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.set_timeout(Duration::from_secs(10)).map_err(io::Error::from)?;
        self.0.write_all(octets)?;
        self.0.flush()
    }

    fn receive(&mut self, room: &mut [u8], patience: Duration) -> io::Result<usize> {
        self.0.set_timeout(patience.max(LEAST)).map_err(io::Error::from)?;
        received(self.0.read(room))
    }
}
