//! Lines between the head-end and its meters, on which everything goes wrong that may.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use dlms_head_end::{
    fleet::{Connector, Transport, TransportError},
    meter::LinkConfig,
};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep, sleep_until},
};

use super::world::{End, World};

/// The network, as the fleet connects through it. Its port is one more than a meter's number.
pub(crate) struct Lines(pub(crate) World);

impl Connector for Lines {
    fn connect<'a>(
        &'a self,
        link: &'a LinkConfig,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Transport, TransportError>> {
        Box::pin(async move {
            let LinkConfig::TcpWrapper { address } = link else { panic!("a link without a model: {link:?}") };
            let (world, meter, peer) = (&self.0, usize::from(address.port() - 1), address.to_string());
            world.step("connecting").await;
            let (refused, unreachable, pause) = {
                let mut state = world.state();
                let (weather, away) = (state.weather, state.is_away(meter));
                let unreachable = away || state.dice.chance(weather.unreachable);
                (state.dice.chance(weather.refused), unreachable, state.dice.between(1, 300))
            };
            sleep(Duration::from_millis(pause)).await;
            if unreachable {
                sleep_until(deadline).await;
                return Err(TransportError::TimedOut { peer, after: Duration::ZERO });
            }
            if refused {
                return Err(TransportError::Refused { peer });
            }
            let id = world.state().connect(meter);
            tokio::spawn(carry(world.clone(), id));
            Ok(Transport::Stream(Box::new(Wire { world: world.clone(), id })))
        })
    }
}

/// Carries the octets of one connection, as long as there is something to carry.
async fn carry(world: World, id: u64) {
    loop {
        let waiting = {
            let state = world.state();
            let Some(connection) = state.connections.get(&id) else { return };
            match connection.up.is_empty() {
                true if connection.left => break,
                true => Some(connection.changed.clone()),
                false => None,
            }
        };
        match waiting {
            Some(changed) => changed.notified().await,
            None => deliver(&world, id).await,
        }
    }
    let mut state = world.state();
    if let Some(mut connection) = state.connections.remove(&id) {
        state.hang_up(&mut connection);
        state.note(|| format!("{id} is closed"));
    }
}

/// Carries what is next to the meter, and its answer back.
async fn deliver(world: &World, id: u64) {
    let weather = world.state().weather;
    let pause = |world: &World| {
        let mut state = world.state();
        let dice = &mut state.connections.get_mut(&id).expect("a connection in use").dice;
        match dice.chance(weather.slow) {
            true => Duration::from_millis(dice.between(400, 400 + weather.slow_s * 1_000)),
            false => Duration::from_millis(dice.between(3, 250)),
        }
    };
    // It stays where it is until it has arrived: the head-end may die meanwhile.
    sleep(pause(world)).await;
    let answer = {
        let mut state = world.state();
        let Some(mut connection) = state.connections.remove(&id) else { return };
        let Some(mut octets) = connection.up.pop_front() else { return };
        connection.silent |= state.is_away(connection.meter) || connection.dice.chance(weather.silence);
        let mut answer = Vec::new();
        if !connection.silent {
            let reset = connection.dice.chance(weather.reset);
            if reset {
                octets.truncate(usize::try_from(connection.dice.between(0, octets.len() as u64)).unwrap());
            }
            let replayed = connection.dice.chance(weather.replay).then(|| octets.clone());
            state.note(|| format!("{id} arrives: {} octets{}", octets.len(), if reset { ", and a reset" } else { "" }));
            answer = state.hand_in(&mut connection, &octets);
            if let Some(replayed) = replayed {
                state.note(|| format!("{id} is replayed"));
                state.replay(connection.meter, &replayed);
            }
            if reset {
                state.hang_up(&mut connection);
                connection.finish(End::Reset);
                connection.silent = true;
            } else if connection.dice.chance(weather.closed) {
                state.hang_up(&mut connection);
                connection.finish(End::Closed);
                connection.silent = true;
            }
        }
        state.connections.insert(id, connection);
        answer
    };
    if !answer.is_empty() {
        bring_back(world, id, answer, pause(world)).await;
    }
}

/// Carries an answer back.
async fn bring_back(world: &World, id: u64, answer: Vec<u8>, pause: Duration) {
    sleep(pause).await;
    let mut rest = &answer[..];
    while !rest.is_empty() {
        let gap = {
            let mut state = world.state();
            let weather = state.weather;
            let Some(mut connection) = state.connections.remove(&id) else { return };
            connection.silent |= state.is_away(connection.meter) || connection.dice.chance(weather.silence);
            let mut gap = None;
            if connection.silent {
                rest = &[];
            } else {
                let part = match connection.dice.chance(weather.pieces) {
                    true => usize::try_from(connection.dice.between(1, rest.len() as u64)).unwrap(),
                    false => rest.len(),
                };
                let (now, later) = rest.split_at(part);
                rest = later;
                connection.arrive(now);
                if connection.dice.chance(weather.reset) {
                    state.hang_up(&mut connection);
                    connection.finish(End::Reset);
                    connection.silent = true;
                }
                gap = Some(Duration::from_millis(connection.dice.between(0, 60)));
            }
            state.connections.insert(id, connection);
            gap
        };
        if let Some(gap) = gap {
            sleep(gap).await;
        }
    }
}

/// The head-end's end of a connection.
struct Wire {
    world: World,
    id: u64,
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.world.state();
        if state.dead {
            return Poll::Pending;
        }
        let Some(connection) = state.connections.get_mut(&self.id) else { return Poll::Ready(Ok(())) };
        if !connection.down.is_empty() {
            let count = connection.down.len().min(out.remaining());
            for octet in connection.down.drain(..count) {
                out.put_slice(&[octet]);
            }
            return Poll::Ready(Ok(()));
        }
        match connection.end {
            Some(End::Closed) => Poll::Ready(Ok(())),
            Some(End::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {
                connection.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        if self.world.die_at_step("a request before it left") {
            return Poll::Pending;
        }
        {
            let mut state = self.world.state();
            match state.connections.get(&self.id).map(|connection| connection.end) {
                Some(None) => state.leave(self.id, octets),
                _ => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        match self.world.die_at_step("a request after it left") {
            true => Poll::Pending,
            false => Poll::Ready(Ok(octets.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let mut state = self.world.state();
        if let Some(connection) = state.connections.get_mut(&self.id) {
            connection.left = true;
            connection.changed.notify_one();
        }
    }
}
