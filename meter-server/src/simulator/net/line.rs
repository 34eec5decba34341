//! One line of a meter, whatever carries its octets.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use dlms::association::server::ServerLink;
use dlms::link::LinkError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::spoil::{Spoilt, spoil};
use super::{Line, OsRandom, Port, ticks};
use crate::simulator::fault::{FaultKind, FaultPlan};

/// Octets read from a line at a time.
pub(super) const READ_OCTETS: usize = 512;
/// Octets around a response APDU: wrapper header, or flags and addresses of a frame.
pub(super) const FRAMING_OCTETS: usize = 64;

/// Why a line ended.
#[derive(Debug)]
pub(super) enum LineEnd {
    /// The peer closed it.
    Closed,
    /// Nothing came for too long, or the peer did not take what it was sent.
    Idle,
    /// What came is not understood.
    Lost(LinkError),
    /// The operating system says so.
    Io(io::Error),
    /// The last link of it was taken down.
    Disconnected,
    /// A fault on demand.
    Fault(FaultKind),
    /// The fleet is shut down.
    Shutdown,
}

impl fmt::Display for LineEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the peer"),
            Self::Idle => f.write_str("idle for too long"),
            Self::Disconnected => f.write_str("disconnected"),
            Self::Lost(error) => write!(f, "octet stream lost: {error}"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Fault(kind) => write!(f, "fault on demand: {kind:?}"),
            Self::Shutdown => f.write_str("shut down"),
        }
    }
}

impl From<io::Error> for LineEnd {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Serves a line until it ends. The device is held only while a request is answered.
pub(super) async fn run<L, T, const N: usize>(
    port: &Port,
    line: Box<Line<L, N>>,
    io: &mut T,
    faults: FaultPlan,
) -> LineEnd
where
    L: ServerLink,
    T: AsyncRead + AsyncWrite + Unpin,
{
    run_until(port, line, io, faults, &mut None, |_| false).await
}

/// What goes out on a line that nobody asked for, between two answers.
pub(super) type Unasked = Option<mpsc::Receiver<Vec<u8>>>;

/// The next of it, whenever that is.
async fn next_unasked(unasked: &mut Unasked) -> Vec<u8> {
    if let Some(receiver) = unasked
        && let Some(octets) = receiver.recv().await
    {
        return octets;
    }
    std::future::pending().await
}

/// The same, or until `done` says so after something was answered; sends `unasked` in between.
pub(super) async fn run_until<L, T, const N: usize>(
    port: &Port,
    mut line: Box<Line<L, N>>,
    io: &mut T,
    faults: FaultPlan,
    unasked: &mut Unasked,
    done: impl FnMut(&L) -> bool,
) -> LineEnd
where
    L: ServerLink,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut sender = Sender { port, faults, silent: false };
    port.shared.counts.opened.add(1);
    let end = tokio::select! {
        biased;
        () = port.shared.cancel.cancelled() => LineEnd::Shutdown,
        () = port.site.rebooted() => LineEnd::Fault(FaultKind::Reboot),
        result = serve(port, &mut line, io, &mut sender, unasked, done) => match result {
            Ok(never) => match never {},
            Err(end) => end,
        },
    };
    line.close(&mut *port.device());
    port.shared.counts.closed.add(1);
    end
}

async fn serve<L, T, const N: usize>(
    port: &Port,
    line: &mut Line<L, N>,
    io: &mut T,
    sender: &mut Sender<'_>,
    unasked: &mut Unasked,
    mut done: impl FnMut(&L) -> bool,
) -> Result<core::convert::Infallible, LineEnd>
where
    L: ServerLink,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut incoming = vec![0; READ_OCTETS];
    let mut last_input = Instant::now();
    loop {
        let idle = last_input + port.shared.limits.idle;
        let due = line.poll_timeout().map(deadline);
        let wake = due.map_or(idle, |due| due.min(idle));
        let count = tokio::select! {
            count = io.read(&mut incoming) => Some(count?),
            () = sleep_until(wake.into()) => None,
            octets = next_unasked(unasked) => {
                write(io, &octets, port.shared.limits.idle).await?;
                port.shared.counts.sent_octets.add(octets.len() as u64);
                continue;
            }
        };
        let now = Instant::now();
        match count {
            Some(0) => return Err(LineEnd::Closed),
            Some(count) => {
                last_input = now;
                port.shared.counts.received_octets.add(count as u64);
                receive(port, line, io, sender, incoming.get(..count).unwrap_or_default()).await?;
                if done(line.link()) {
                    return Err(LineEnd::Disconnected);
                }
            }
            None if now >= idle => return Err(LineEnd::Idle),
            None => {
                let lost = line.handle_timeout(ticks(now), &mut *port.device(), &mut OsRandom);
                lost.map_err(LineEnd::Lost)?;
                sender.flush(line, io).await?;
            }
        }
    }
}

/// Hands octets in, sending in between what answers them.
async fn receive<L, T, const N: usize>(
    port: &Port,
    line: &mut Line<L, N>,
    io: &mut T,
    sender: &mut Sender<'_>,
    mut octets: &[u8],
) -> Result<(), LineEnd>
where
    L: ServerLink,
    T: AsyncWrite + Unpin,
{
    loop {
        let taken = line.handle_input(octets, ticks(Instant::now()), &mut *port.device(), &mut OsRandom);
        octets = octets.get(taken.map_err(LineEnd::Lost)?..).unwrap_or_default();
        let sent = sender.flush(line, io).await?;
        // Octets that are not taken although there is nothing to be sent first belong to nothing.
        if octets.is_empty() || (!sent && matches!(taken, Ok(0))) {
            return Ok(());
        }
    }
}

/// The moment in real time of a deadline of the machines.
pub(super) fn deadline(due: dlms::Instant) -> Instant {
    let now = Instant::now();
    now + Duration::from_millis(due.since_ms(ticks(now)))
}

/// Sends what a line has to say, with the faults that are due.
struct Sender<'a> {
    port: &'a Port,
    faults: FaultPlan,
    silent: bool,
}

impl Sender<'_> {
    /// Sends everything; returns whether there was anything.
    async fn flush<L, T, const N: usize>(&mut self, line: &mut Line<L, N>, io: &mut T) -> Result<bool, LineEnd>
    where
        L: ServerLink,
        T: AsyncWrite + Unpin,
    {
        let (limits, counts) = (&self.port.shared.limits, &self.port.shared.counts);
        // Held for one answer only: a connection that waits must not take memory for it.
        let mut outgoing = vec![0; limits.response_octets + FRAMING_OCTETS];
        // The peer may take as long to accept octets as it may be silent.
        let patience = limits.idle;
        let mut any = false;
        while let Some(length) = line.poll_transmit(&mut outgoing) {
            any = true;
            let fault = self.faults.next();
            counts.faults.add(fault.is_some().into());
            let octets = outgoing.get(..length).unwrap_or_default();
            match fault {
                Some(FaultKind::Silence) => self.silent = true,
                Some(FaultKind::Delay(delay)) => tokio::time::sleep(delay).await,
                Some(FaultKind::Reboot) => self.port.reboot(),
                _ => {}
            }
            if self.silent {
                continue;
            }
            if let Some(kind @ (FaultKind::Close | FaultKind::Reset | FaultKind::Reboot)) = fault {
                return Err(LineEnd::Fault(kind));
            }
            let Spoilt { ahead, octets, twice } = spoil(octets, fault, &self.faults);
            if let Some(ahead) = ahead {
                write(io, &ahead, patience).await?;
            }
            if let Some(FaultKind::Slow(rate)) = fault {
                write_slowly(io, &octets, rate, patience).await?;
            } else {
                write(io, &octets, patience).await?;
            }
            if twice {
                write(io, &octets, patience).await?;
            }
            match fault {
                Some(kind @ FaultKind::Truncate) => return Err(LineEnd::Fault(kind)),
                Some(FaultKind::HalfClose) => {
                    self.silent = true;
                    timeout(patience, io.shutdown()).await.map_err(|_| LineEnd::Idle)??;
                }
                _ => {}
            }
            counts.answers.add(1);
            counts.sent_octets.add(length as u64);
        }
        Ok(any)
    }
}

pub(super) async fn write<T: AsyncWrite + Unpin>(io: &mut T, octets: &[u8], patience: Duration) -> Result<(), LineEnd> {
    let written = async {
        io.write_all(octets).await?;
        io.flush().await
    };
    timeout(patience, written).await.map_err(|_| LineEnd::Idle)?.map_err(LineEnd::Io)
}

/// Octets that leave at a time on a slow line: what is on its way at once.
const SLOW_OCTETS: u32 = 64;

/// Sends octets at a rate, in octets a second.
async fn write_slowly<T: AsyncWrite + Unpin>(
    io: &mut T,
    octets: &[u8],
    rate: u32,
    patience: Duration,
) -> Result<(), LineEnd> {
    // A quarter of a second's worth, so that a client sees a trickle and not a pause.
    let at_a_time = (rate / 4).clamp(1, SLOW_OCTETS) as usize;
    for part in octets.chunks(at_a_time) {
        tokio::time::sleep(Duration::from_secs_f64(part.len() as f64 / f64::from(rate))).await;
        write(io, part, patience).await?;
    }
    Ok(())
}
