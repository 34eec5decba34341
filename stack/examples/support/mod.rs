//! What turns the sans-I/O client into a program: a socket, a clock and a random generator.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant as Clock};

use dlms::Instant;
use dlms::apdu::AttributeRequest;
use dlms::association::client::{Config, Connection, Event, Response};
use dlms::cosem::Attribute;
use dlms::obis::ObisCode;
use dlms::security::{InvocationCounter, Random, RustCrypto};
use dlms::wrapper::client::Wrapper;

/// Octets of the longest APDU, with the wrapper's header.
const STORAGE: usize = 8 + 0xFFFF;

/// The operating system's random generator.
pub(crate) struct System;

impl Random for System {
    fn fill(&mut self, octets: &mut [u8]) {
        getrandom::fill(octets).expect("the operating system has random numbers");
    }
}

/// A client on a TCP connection.
pub(crate) struct Meter {
    pub(crate) client: Connection<Wrapper<Vec<u8>>, RustCrypto, System, Vec<u8>>,
    stream: TcpStream,
    started: Clock,
}

impl Meter {
    /// Connects and associates. `counter` holds invocation counters that were never used with these keys before.
    pub(crate) fn connect(address: &str, config: Config, counter: InvocationCounter) -> Result<Self, Box<dyn Error>> {
        let storage = || vec![0; STORAGE];
        let link =
            Wrapper::new(config.client, config.server, storage(), storage(), Wrapper::<Vec<u8>>::READ_TIMEOUT_MS);
        let client = Connection::new(link, config, System, counter, storage(), storage());
        let mut meter = Self { client, stream: TcpStream::connect(address)?, started: Clock::now() };
        meter.client.associate(meter.now())?;
        meter.until(|event| match event {
            Event::Associated(_) => Ok(Some(())),
            Event::Closed(error) => Err(error.into()),
            _ => Ok(None),
        })?;
        Ok(meter)
    }

    /// Milliseconds since the start: the only clock that the client knows.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.started.elapsed().as_millis() as u64)
    }

    /// Drives the client until `take` finds among the events what it waits for.
    pub(crate) fn until<T>(
        &mut self,
        mut take: impl FnMut(Event<'_>) -> Result<Option<T>, Box<dyn Error>>,
    ) -> Result<T, Box<dyn Error>> {
        let mut line = vec![0; STORAGE];
        let mut arrived = Vec::new();
        loop {
            while let Some(event) = self.client.poll_event() {
                if let Some(found) = take(event)? {
                    return Ok(found);
                }
            }
            while let Some(length) = self.client.poll_transmit(&mut line) {
                self.stream.write_all(&line[..length])?;
            }
            if !arrived.is_empty() {
                // The client takes no more than up to the next event.
                let taken = self.client.handle_input(&arrived, self.now());
                arrived.drain(..taken);
                continue;
            }
            let wait = self.client.poll_timeout().map(|due| due.since_ms(self.now()).max(1));
            self.stream.set_read_timeout(wait.map(Duration::from_millis))?;
            match self.stream.read(&mut line) {
                Ok(0) => return Err("the meter closed the connection".into()),
                Ok(length) => arrived.extend(&line[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.client.handle_timeout(self.now());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads one attribute that fits into one answer, and gives its value to `read`.
    pub(crate) fn get<A: Attribute, T>(
        &mut self,
        instance: ObisCode,
        read: impl Fn(A::Value<'_>) -> T,
    ) -> Result<T, Box<dyn Error>> {
        self.client.get(AttributeRequest::whole(A::of(instance)), self.now())?;
        self.until(|event| match event {
            Event::Response(Response::Get(result)) => {
                let data = result.into_result().map_err(|refusal| format!("{}: {refusal}", A::NAME))?;
                Ok(Some(read(A::decode(data)?)))
            }
            Event::Failed(error) => Err(error.into()),
            Event::Closed(error) => Err(error.into()),
            _ => Ok(None),
        })
    }

    /// Releases the association.
    pub(crate) fn release(mut self) -> Result<(), Box<dyn Error>> {
        self.client.release(self.now())?;
        self.until(|event| match event {
            Event::Released => Ok(Some(())),
            Event::Closed(error) => Err(error.into()),
            _ => Ok(None),
        })
    }
}
