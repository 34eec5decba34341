//! Connections that meters have made themselves, waiting for whoever has something to ask.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use dashmap::DashMap;
use futures_util::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::meter::MeterId;

/// Connections of one meter that wait to be tried; further ones are refused.
const WAITING: usize = 4;

/// A connection that a meter has made.
pub(crate) struct Line {
    stream: TcpStream,
    /// Octets that were read of it already, and are still to be dealt with.
    begun: VecDeque<u8>,
    /// What is held as long as the connection is there.
    _held: Box<dyn Send + Sync>,
}

impl Line {
    pub(crate) fn new(stream: TcpStream, begun: &[u8], held: impl Send + Sync + 'static) -> Self {
        Self { stream, begun: begun.iter().copied().collect(), _held: Box::new(held) }
    }

    /// Whether the peer has not closed it.
    fn is_open(&self) -> bool {
        !matches!(self.stream.peek(&mut [0]).now_or_never(), Some(Ok(0) | Err(_)))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// The connections of one meter.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    lines: Mutex<Lines>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    /// The one in use, between two sessions on it.
    current: Option<Line>,
    /// Others, in the order in which they were made. What they claim is not proved.
    waiting: VecDeque<Line>,
}

impl Slot {
    /// The one in use.
    pub(super) fn holding(line: Line) -> Arc<Self> {
        let lines = Lines { current: Some(line), waiting: VecDeque::new() };
        Arc::new(Self { lines: Mutex::new(lines), arrived: Notify::new() })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Lines) -> T) -> T {
        act(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the one in use out.
    pub(super) fn take_current(&self) -> Option<Line> {
        self.with(|lines| lines.current.take())
    }

    /// Whether a connection waits to be tried.
    pub(super) fn is_called(&self) -> bool {
        self.with(|lines| !lines.waiting.is_empty())
    }

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.with(|lines| lines.current.is_none() && lines.waiting.is_empty())
    }

    /// Adds a connection, unless too many wait.
    fn push(&self, line: Line) -> bool {
        let taken = self.with(|lines| {
            lines.waiting.retain(Line::is_open);
            let room = lines.waiting.len() < WAITING;
            if room {
                lines.waiting.push_back(line);
            }
            room
        });
        self.arrived.notify_one();
        taken
    }

    /// Forgets connections that were closed.
    fn sweep(&self) {
        self.with(|lines| {
            lines.waiting.retain(Line::is_open);
            lines.current.take_if(|line| !line.is_open());
        });
    }

    /// Lends the connection in use, or the first that waits, or waits for one until `by`, where that lies ahead.
    ///
    /// Cancel safety: no connection is lost when the future is dropped.
    pub(super) async fn lend(self: &Arc<Self>, by: Instant) -> Option<Lent> {
        loop {
            let next = self.with(|lines| lines.current.take().or_else(|| lines.waiting.pop_front()));
            match next {
                Some(line) if line.is_open() => return Some(Lent { line: Some(line), home: Arc::clone(self) }),
                Some(_) => {}
                None => timeout_at(by, self.arrived.notified()).await.ok()?,
            }
        }
    }
}

/// A connection that is lent for one session. It is closed when this is dropped, unless it was given back.
#[derive(Debug)]
pub struct Lent {
    line: Option<Line>,
    home: Arc<Slot>,
}

impl Lent {
    /// Gives the connection back, for another session on it.
    pub(super) fn give_back(&mut self) {
        if let Some(line) = self.line.take() {
            self.home.with(|lines| lines.current = Some(line));
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(line) = &mut self.line else { return Poll::Ready(Ok(())) };
        if line.begun.is_empty() {
            return Pin::new(&mut line.stream).poll_read(cx, room);
        }
        while let (Some(octet), true) = (line.begun.front(), room.remaining() > 0) {
            room.put_slice(&[*octet]);
            line.begun.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.line {
            Some(line) => Pin::new(&mut line.stream).poll_write(cx, octets),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.as_mut().map_or(Poll::Ready(Ok(())), |line| Pin::new(&mut line.stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.as_mut().map_or(Poll::Ready(Ok(())), |line| Pin::new(&mut line.stream).poll_shutdown(cx))
    }
}

/// The connections of all meters. The map is locked inside the methods only.
#[derive(Debug, Default)]
pub(super) struct Calls(DashMap<MeterId, Arc<Slot>>);

impl Calls {
    /// The place of a meter's connections.
    pub(super) fn slot(&self, meter: &MeterId) -> Arc<Slot> {
        Arc::clone(&self.0.entry(meter.clone()).or_default())
    }

    /// Adds a connection of a meter, unless too many wait.
    pub(super) fn push(&self, meter: &MeterId, line: Line) -> bool {
        self.slot(meter).push(line)
    }

    /// Forgets connections that were closed, and places that nobody uses.
    pub(super) fn sweep(&self) {
        self.0.retain(|_, slot| {
            slot.sweep();
            Arc::strong_count(slot) > 1 || !slot.is_empty()
        });
    }
}
