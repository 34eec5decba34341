//! Peers that follow a script octet by octet, in virtual time.

use std::{sync::Arc, time::Duration};

use dlms::{axdr::Value, obis::ObisCode};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
    time::Instant,
};

use super::support::{IMPORT, Registered, config, get};
use crate::{
    fleet::{Connector, Fleet, FleetOptions, Notification, Transport, TransportError},
    meter::{LinkConfig, MeterId},
    operation::{Layer, MeterAccess, Operation, Outcome, Priority, RequestError, RequestErrorKind, Terms},
};

/// Wrapper header, version 1, from the management logical device to the public client.
const HEADER: [u8; 6] = [0, 1, 0, 1, 0, 16];
/// AARE: accepted, logical names without ciphering, conformance GET with blocks, lists and selections, PDU 1024.
const AARE: &[u8] = &[
    0x61, 0x29, 0xA1, 0x09, 0x06, 0x07, 0x60, 0x85, 0x74, 0x05, 0x08, 0x01, 0x01, 0xA2, 0x03, 0x02, 0x01, 0x00, 0xA3,
    0x05, 0xA1, 0x03, 0x02, 0x01, 0x00, 0xBE, 0x10, 0x04, 0x0E, 0x08, 0x00, 0x06, 0x5F, 0x1F, 0x04, 0x00, 0x00, 0x12,
    0x10, 0x04, 0x00, 0x00, 0x07,
];

/// Hands the fleet one end of a pipe and the script the other.
struct Pipes(mpsc::UnboundedSender<DuplexStream>);

impl Connector for Pipes {
    fn connect<'a>(&'a self, _: &'a LinkConfig, _: Instant) -> BoxFuture<'a, Result<Transport, TransportError>> {
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            match self.0.send(theirs) {
                Ok(()) => Ok(Transport::Stream(Box::new(ours))),
                Err(_) => Err(TransportError::Reset),
            }
        })
    }
}

/// The meter's end of a connection.
struct Peer(DuplexStream);

impl Peer {
    /// The next APDU of the client; `None` when it closed.
    async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; 8];
        self.0.read_exact(&mut header).await.ok()?;
        let mut apdu = vec![0; usize::from(u16::from_be_bytes([header[6], header[7]]))];
        self.0.read_exact(&mut apdu).await.ok()?;
        Some(apdu)
    }

    async fn send(&mut self, apdu: &[u8]) {
        let mut wpdu = HEADER.to_vec();
        wpdu.extend(u16::try_from(apdu.len()).unwrap().to_be_bytes());
        wpdu.extend(apdu);
        self.0.write_all(&wpdu).await.unwrap();
    }

    /// Accepts the association.
    async fn accept(&mut self) {
        assert_eq!(self.receive().await.unwrap()[0], 0x60);
        self.send(AARE).await;
    }

    /// Waits for a GET; returns its invoke-id-and-priority.
    async fn get(&mut self) -> u8 {
        let apdu = self.receive().await.unwrap();
        assert_eq!(apdu[..2], [0xC0, 1]);
        apdu[2]
    }
}

struct Scene {
    fleet: Fleet,
    meter: MeterId,
    peers: mpsc::UnboundedReceiver<DuplexStream>,
    notifications: mpsc::Receiver<Notification>,
}

impl Scene {
    fn new() -> Self {
        let registered = Arc::new(Registered::default());
        let (pipes, peers) = mpsc::unbounded_channel();
        let options = FleetOptions { notifications: 2, ..FleetOptions::default() };
        let (fleet, notifications) = Fleet::start(Arc::clone(&registered), Pipes(pipes), options).unwrap();
        let meter = registered.add(config("a", "127.0.0.1:1"));
        Self { fleet, meter, peers, notifications }
    }

    async fn peer(&mut self) -> Peer {
        Peer(self.peers.recv().await.unwrap())
    }

    /// A meter that has answered a read and whose association is still open.
    async fn held(&mut self) -> Peer {
        let mut held = None;
        let (first, _) = self
            .read(async |scene| {
                let mut peer = scene.peer().await;
                peer.accept().await;
                let invoke = peer.get().await;
                peer.send(&answer(invoke, 1)).await;
                held = Some(peer);
            })
            .await;
        first.unwrap();
        held.unwrap()
    }

    /// What becomes of a read while `script` plays the meter, and how long it took.
    async fn read(&mut self, script: impl AsyncFnOnce(&mut Self)) -> (Result<Value, RequestError>, Duration) {
        let (fleet, meter, started) = (self.fleet.clone(), self.meter.clone(), Instant::now());
        let read = tokio::spawn(async move {
            let outcome = fleet.execute(&meter, get(3, IMPORT, 2), (started + Duration::from_secs(60)).into()).await;
            let value = outcome.and_then(|outcome| match outcome {
                Outcome::Attributes(mut values) => values.remove(0).map(|value| value.value),
                other => panic!("{other:?}"),
            });
            (value, started.elapsed())
        });
        script(self).await;
        read.await.unwrap()
    }
}

fn answer(invoke: u8, value: u32) -> Vec<u8> {
    let mut apdu = vec![0xC4, 1, invoke, 0, 6];
    apdu.extend(value.to_be_bytes());
    apdu
}

#[tokio::test(start_paused = true)]
async fn a_scripted_meter_is_read() {
    let mut scene = Scene::new();
    let (value, _) = scene
        .read(async |scene| {
            let mut peer = scene.peer().await;
            peer.accept().await;
            let invoke = peer.get().await;
            peer.send(&answer(invoke, 913)).await;
        })
        .await;
    assert_eq!(value, Ok(Value::DoubleLongUnsigned(913)));
}

#[tokio::test(start_paused = true)]
async fn lesson_15_a_meter_that_falls_silent_ends_the_wait_in_time() {
    for step in 0..3 {
        let mut scene = Scene::new();
        let (value, took) = scene
            .read(async |scene| {
                let mut peer = scene.peer().await;
                if step > 0 {
                    peer.accept().await;
                }
                if step > 1 {
                    peer.get().await;
                    // The answer begins and never ends.
                    peer.0.write_all(&HEADER).await.unwrap();
                }
                tokio::time::sleep(Duration::from_secs(30)).await;
            })
            .await;
        let error = value.unwrap_err();
        assert_eq!((error.kind(), error.layer()), (RequestErrorKind::Unreachable, Layer::Link), "{step}: {error:?}");
        // Before the association is open the request itself has not left.
        assert_eq!(error.sent(), step > 0, "{step}: {error:?}");
        assert!(took < Duration::from_secs(7), "{step}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lesson_20_a_meter_that_closes_at_any_step_is_noticed_at_once() {
    for step in 0..3 {
        let mut scene = Scene::new();
        let (value, took) = scene
            .read(async |scene| {
                let mut peer = scene.peer().await;
                if step > 0 {
                    peer.accept().await;
                }
                if step > 1 {
                    peer.get().await;
                }
            })
            .await;
        let error = value.unwrap_err();
        assert_eq!((error.kind(), error.layer()), (RequestErrorKind::Unreachable, Layer::Link), "{step}: {error:?}");
        assert!(took < Duration::from_secs(1), "{step}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nonsense_instead_of_an_answer_is_a_protocol_error() {
    let endless: &[u8] = &[0, 1, 0, 1, 0, 16, 0xFF, 0xFF];
    let cases: [(&str, &[u8], bool); 5] = [
        ("another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n", true),
        ("longer than was agreed", endless, true),
        ("no APDU", &[0xFF, 0xFF, 0xFF], false),
        ("truncated in the value", &[0xC4, 1, 0xC1, 0, 6, 0, 0], false),
        ("another service", &[0xC5, 1, 0xC1, 0], false),
    ];
    for (name, octets, raw) in cases {
        let mut scene = Scene::new();
        let (value, took) = scene
            .read(async |scene| {
                let mut peer = scene.peer().await;
                peer.accept().await;
                let invoke = peer.get().await;
                if raw {
                    peer.0.write_all(octets).await.unwrap();
                } else {
                    let mut octets = octets.to_vec();
                    octets[2] = if octets[0] == 0xFF { 0xFF } else { invoke };
                    peer.send(&octets).await;
                }
                tokio::time::sleep(Duration::from_secs(30)).await;
            })
            .await;
        let error = value.unwrap_err();
        // An answer to another service is nobody's answer: the wait goes on until its end.
        let expected =
            if name == "another service" { RequestErrorKind::Unreachable } else { RequestErrorKind::Protocol };
        assert_eq!(error.kind(), expected, "{name}: {error:?}");
        assert!(took < Duration::from_secs(7), "{name}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_stops_talking_does_not_stop_the_clock() {
    let mut scene = Scene::new();
    let (value, took) = scene
        .read(async |scene| {
            let mut peer = scene.peer().await;
            peer.accept().await;
            peer.get().await;
            // Well-formed answers to somebody else's request, for ever.
            let stale = answer(0xCF, 1);
            let mut wpdu = HEADER.to_vec();
            wpdu.extend([0, stale.len() as u8]);
            wpdu.extend(&stale);
            while peer.0.write_all(&wpdu).await.is_ok() {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        })
        .await;
    assert_eq!(value.unwrap_err().kind(), RequestErrorKind::Unreachable);
    assert!(took < Duration::from_secs(7), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn lesson_10_a_push_before_the_answer_is_kept_and_the_answer_found() {
    let mut scene = Scene::new();
    // DataNotification without date-time, with one unsigned.
    let push = [0x0F, 0, 0, 0, 1, 0, 0x11, 0x2A];
    let (value, _) = scene
        .read(async |scene| {
            let mut peer = scene.peer().await;
            peer.accept().await;
            let invoke = peer.get().await;
            // One more than the queue holds: it is dropped, and nothing waits for it.
            for _ in 0..3 {
                peer.send(&push).await;
            }
            peer.send(&answer(invoke, 7)).await;
        })
        .await;
    assert_eq!(value, Ok(Value::DoubleLongUnsigned(7)));
    for _ in 0..2 {
        let notification = scene.notifications.try_recv().unwrap();
        assert_eq!((notification.kind, &notification.apdu[..]), ("data-notification", &push[..]));
        assert_eq!(notification.meter, scene.meter);
    }
    assert!(scene.notifications.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_association_hears_pushes_and_notices_the_end() {
    let mut scene = Scene::new();
    let mut peer = scene.held().await;
    peer.send(&[0x0F, 0, 0, 0, 1, 0, 0x11, 0x2A]).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(scene.notifications.try_recv().is_ok());
    drop(peer);
    tokio::time::sleep(Duration::from_millis(10)).await;
    // The next request finds no association and opens one, without an attempt that fails first.
    let (second, _) = scene
        .read(async |scene| {
            let mut peer = scene.peer().await;
            peer.accept().await;
            let invoke = peer.get().await;
            peer.send(&answer(invoke, 2)).await;
        })
        .await;
    assert_eq!(second, Ok(Value::DoubleLongUnsigned(2)));
}

/// Its buffers are given back after a second.
#[tokio::test(start_paused = true)]
async fn an_association_that_rests_hears_pushes_and_answers_as_before() {
    let mut scene = Scene::new();
    let mut peer = scene.held().await;
    // Longer than what is read at first by an association at rest.
    let mut push = vec![0x0F, 0, 0, 0, 1, 0, 9, 100];
    push.extend([7; 100]);
    for round in 2..5 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        peer.send(&push).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(scene.notifications.try_recv().is_ok());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (next, _) = scene
            .read(async |_| {
                let invoke = peer.get().await;
                peer.send(&answer(invoke, round)).await;
            })
            .await;
        assert_eq!(next, Ok(Value::DoubleLongUnsigned(round)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_association_that_died_unnoticed_is_opened_anew_for_a_read() {
    let mut scene = Scene::new();
    let mut old = scene.held().await;
    let (second, _) = scene
        .read(async |scene| {
            // The request arrives on the old connection, which then closes without an answer.
            old.get().await;
            drop(old);
            let mut peer = scene.peer().await;
            peer.accept().await;
            let invoke = peer.get().await;
            peer.send(&answer(invoke, 2)).await;
        })
        .await;
    assert_eq!(second, Ok(Value::DoubleLongUnsigned(2)));
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_not_taken_for_the_next_one() {
    let mut scene = Scene::new();
    let (first, _) = scene
        .read(async |scene| {
            let mut peer = scene.peer().await;
            peer.accept().await;
            peer.get().await;
            tokio::time::sleep(Duration::from_secs(6)).await;
            // The association was released and the connection closed with the request: nobody is left to hear.
            assert_eq!(peer.receive().await.map(|apdu| apdu[0]), Some(0x62));
            assert_eq!(peer.receive().await, None);
        })
        .await;
    assert_eq!(first.unwrap_err().kind(), RequestErrorKind::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn what_is_urgent_overtakes_what_waits_and_uses_the_open_association() {
    let mut scene = Scene::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    let (fleet, meter) = (scene.fleet.clone(), scene.meter.clone());
    let read = |attribute, priority| {
        let (fleet, meter) = (fleet.clone(), meter.clone());
        let terms = Terms::by(deadline).with_priority(priority);
        tokio::spawn(async move { fleet.execute(&meter, get(3, IMPORT, attribute), terms).await })
    };
    let mut reads = vec![read(2, Priority::Low)];
    let mut peer = scene.peer().await;
    peer.accept().await;
    let mut asked = peer.receive().await.unwrap();
    // The first is under way. Each is queued before the next one comes.
    for (attribute, priority) in [(3, Priority::Low), (4, Priority::Normal), (5, Priority::High)] {
        reads.push(read(attribute, priority));
        tokio::task::yield_now().await;
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        // Class, instance and attribute follow choice and invoke-id.
        order.push(asked[11]);
        peer.send(&answer(asked[2], 1)).await;
        if order.len() < 4 {
            asked = peer.receive().await.unwrap();
        }
    }
    assert_eq!(order, [2, 5, 4, 3]);
    for read in reads {
        assert!(matches!(read.await.unwrap(), Ok(Outcome::Attributes(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer_to_a_ping() {
    let mut scene = Scene::new();
    let (fleet, meter) = (scene.fleet.clone(), scene.meter.clone());
    let ping = tokio::spawn(async move {
        let terms = Terms::by(Instant::now() + Duration::from_secs(60));
        [fleet.execute(&meter, Operation::Ping, terms).await, fleet.execute(&meter, Operation::Ping, terms).await]
    });
    let mut peer = scene.peer().await;
    peer.accept().await;
    for _ in 0..2 {
        let invoke = peer.get().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Data-Access-Result read-write-denied.
        peer.send(&[0xC4, 1, invoke, 1, 3]).await;
    }
    let pongs = ping.await.unwrap().map(|outcome| match outcome {
        Ok(Outcome::Pong(pong)) => pong,
        other => panic!("{other:?}"),
    });
    for pong in pongs {
        assert!(pong.round_trip >= Duration::from_secs(1), "{pong:?}");
        assert_eq!(pong.server_max_pdu, 1_024);
    }
    assert_eq!(pongs.map(|pong| pong.opening.is_some()), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn lists_that_a_meter_does_not_answer_are_read_one_by_one() {
    let mut scene = Scene::new();
    let (fleet, meter) = (scene.fleet.clone(), scene.meter.clone());
    let other = ObisCode([1, 0, 2, 8, 0, 255]);
    let read = tokio::spawn(async move {
        let attribute = |obis| match get(3, obis, 2) {
            Operation::GetAttributes(mut attributes) => attributes.remove(0),
            _ => unreachable!(),
        };
        let operation = Operation::GetAttributes(vec![attribute(IMPORT), attribute(other)]);
        fleet.execute(&meter, operation, (Instant::now() + Duration::from_secs(60)).into()).await
    });
    let mut peer = scene.peer().await;
    peer.accept().await;
    let list = peer.receive().await.unwrap();
    assert_eq!(list[..2], [0xC0, 3]);
    // ExceptionResponse: service not supported.
    peer.send(&[0xD8, 1, 2]).await;
    for value in [1, 2] {
        let invoke = peer.get().await;
        peer.send(&answer(invoke, value)).await;
    }
    let Outcome::Attributes(values) = read.await.unwrap().unwrap() else { panic!("another outcome") };
    let values: Vec<_> = values.into_iter().map(|value| value.unwrap().value).collect();
    assert_eq!(values, [Value::DoubleLongUnsigned(1), Value::DoubleLongUnsigned(2)]);
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_ends_a_request_that_is_under_way() {
    let mut scene = Scene::new();
    let (fleet, meter, started) = (scene.fleet.clone(), scene.meter.clone(), Instant::now());
    let method = crate::operation::InvokeMethod {
        class: dlms::id::ClassId(9),
        obis: IMPORT,
        method: dlms::id::MethodId(1),
        parameter: None,
    };
    for (operation, kind) in [
        (get(3, IMPORT, 2), RequestErrorKind::Expired),
        (Operation::InvokeMethod(method), RequestErrorKind::UnknownOutcome),
    ] {
        let (fleet, meter) = (fleet.clone(), meter.clone());
        let deadline = Instant::now() + Duration::from_secs(2);
        let call = tokio::spawn(async move {
            let error = match fleet.execute(&meter, operation, deadline.into()).await {
                Ok(Outcome::Attributes(mut values)) => values.remove(0).unwrap_err(),
                Ok(other) => panic!("{other:?}"),
                Err(error) => error,
            };
            (error, Instant::now())
        });
        let mut peer = scene.peer().await;
        assert_eq!(peer.receive().await.unwrap()[0], 0x60);
        // With ACTION among the services.
        let mut aare = AARE.to_vec();
        aare[38] |= 0x01;
        peer.send(&aare).await;
        peer.receive().await.unwrap();
        let (error, at) = call.await.unwrap();
        assert_eq!((error.kind(), error.sent()), (kind, true), "{error:?}");
        assert!(at - deadline < Duration::from_secs(1), "{:?}", at - started);
        // The connection went with the request.
        assert_eq!(peer.receive().await, None);
    }
}

#[tokio::test]
async fn datagrams_that_are_no_apdus_are_passed_over() {
    let meter = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let registered = Arc::new(Registered::default());
    let (fleet, _) =
        Fleet::start(Arc::clone(&registered), crate::fleet::Network::default(), FleetOptions::default()).unwrap();
    let address = meter.local_addr().unwrap().to_string().parse().unwrap();
    let udp = crate::meter::MeterConfig { link: LinkConfig::UdpWrapper { address }, ..config("u", "127.0.0.1:1") };
    let id = registered.add(udp);
    let read = tokio::spawn(async move {
        fleet.execute(&id, get(3, IMPORT, 2), (Instant::now() + super::support::PATIENCE).into()).await
    });
    let mut room = [0; 256];
    let wrapped = |apdu: &[u8]| [&HEADER[..], &(apdu.len() as u16).to_be_bytes(), apdu].concat();
    let (_, head_end) = meter.recv_from(&mut room).await.unwrap();
    // Nothing, noise, a header without its APDU, and a whole one with noise behind it.
    for datagram in [&b""[..], b"noise", &HEADER, &[&wrapped(AARE)[..], b"noise"].concat()] {
        meter.send_to(datagram, head_end).await.unwrap();
    }
    meter.recv_from(&mut room).await.unwrap();
    meter.send_to(&wrapped(&answer(room[10], 5)), head_end).await.unwrap();
    let Outcome::Attributes(values) = read.await.unwrap().unwrap() else { panic!("another outcome") };
    assert_eq!(values[0].as_ref().unwrap().value, Value::DoubleLongUnsigned(5));
}
