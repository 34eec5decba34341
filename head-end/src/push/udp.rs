//! Datagrams of meters that push.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use dlms::wrapper::split_datagram;
use tokio::{net::UdpSocket, sync::mpsc, time::Instant};

use super::{Refused, Shared, blocks::Blocks, tcp::wrapped};
use crate::store::Store;

/// Workers of one socket. Datagrams of one sender stay in order, as their counters must.
const WORKERS: usize = 16;
/// Datagrams that may wait for a worker.
const QUEUE: usize = 64;
/// Wrapped APDUs of one datagram that are looked at: one by the standard, some more from senders that gather them.
const APDUS: usize = 8;
/// Senders whose blocks one worker joins at a time.
const TRANSFERS: usize = 8;
/// How long the blocks of one APDU may be apart.
const APART: Duration = Duration::from_secs(30);
/// A pause after an error of the socket.
const PAUSE: Duration = Duration::from_millis(1);
/// Largest datagram there is.
const DATAGRAM: usize = 65_535;

/// Takes datagrams until the engine stops.
pub(super) async fn listen<S: Store>(shared: Arc<Shared<S>>, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let hasher = RandomState::new();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            shared.tasks.spawn(work(Arc::clone(&shared), Arc::clone(&socket), receiver));
            sender
        })
        .collect();
    let mut room = vec![0; DATAGRAM];
    while let Some(received) = shared.stop.run_until_cancelled(socket.recv_from(&mut room)).await {
        let Ok((count, peer)) = received else {
            // It is about a confirmation that found nobody; and if it is not, it comes again at once.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let datagram = room.get(..count).unwrap_or_default();
        if !shared.door.limits().take_known(peer.ip()).unwrap_or_else(|| shared.datagrams.take(peer.ip())) {
            shared.intake.refuse(&Refused::RateLimited, peer);
            continue;
        }
        let worker = usize::try_from(hasher.hash_one(peer)).unwrap_or(0) % WORKERS;
        let sent = workers.get(worker).map(|worker| worker.try_send((datagram.to_vec(), peer)));
        if !matches!(sent, Some(Ok(()))) {
            shared.intake.refuse(&Refused::Overloaded, peer);
        }
    }
}

async fn work<S: Store>(
    shared: Arc<Shared<S>>,
    socket: Arc<UdpSocket>,
    mut datagrams: mpsc::Receiver<(Vec<u8>, SocketAddr)>,
) {
    let mut transfers: HashMap<SocketAddr, (Blocks, Instant)> = HashMap::new();
    while let Some((datagram, peer)) = datagrams.recv().await {
        let now = Instant::now();
        transfers.retain(|_, (blocks, since)| blocks.is_under_way() && now - *since < APART);
        for wrapped_apdu in split_datagram(&datagram).take(APDUS) {
            let Ok((header, apdu)) = wrapped_apdu else {
                shared.intake.refuse(&Refused::Malformed("a wrapped APDU"), peer);
                break;
            };
            if transfers.len() >= TRANSFERS && !transfers.contains_key(&peer) {
                shared.intake.refuse(&Refused::Overloaded, peer);
                break;
            }
            let (blocks, since) =
                transfers.entry(peer).or_insert_with(|| (Blocks::new(shared.options.apdu_octets), now));
            *since = now;
            let taken = shared.gather(blocks, apdu.to_vec(), peer).await;
            if !blocks.is_under_way() {
                transfers.remove(&peer);
            }
            if let Ok(Some(confirmation)) = taken
                && let Err(error) = socket.send_to(&wrapped(header, &confirmation), peer).await
            {
                tracing::debug!(%peer, %error, "a confirmation could not be sent");
            }
        }
    }
}
