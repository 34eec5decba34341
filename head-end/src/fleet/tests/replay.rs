//! Somebody in the middle who repeats and alters what a real meter says.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::Instant,
};

use super::{
    faults::error_of,
    support::{IMPORT, Registered, Setup, get, management, registers},
};
use crate::{
    fleet::{ByteStream, Connector, Fleet, FleetOptions, Network, Transport, TransportError},
    meter::{LinkConfig, MeterId},
    operation::{Layer, MeterAccess, Operation, Outcome, RequestError, RequestErrorKind},
};

/// What is done to the n-th answer of a connection, counted from 1, when those before it are known.
type Alter = dyn Fn(usize, &[Vec<u8>], Vec<u8>) -> Vec<u8> + Send + Sync;

/// Carries wrapped APDUs between head-end and meter, and alters the meter's.
struct Middle(Arc<Alter>);

impl Connector for Middle {
    fn connect<'a>(
        &'a self,
        link: &'a LinkConfig,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Transport, TransportError>> {
        Box::pin(async move {
            let Transport::Stream(meter) = Network::default().connect(link, deadline).await? else {
                unreachable!("over TCP")
            };
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(carry(theirs, meter, Arc::clone(&self.0)));
            Ok(Transport::Stream(Box::new(ours)))
        })
    }
}

async fn carry(head_end: impl ByteStream, meter: Box<dyn ByteStream>, alter: Arc<Alter>) -> std::io::Result<()> {
    let (mut from_head_end, mut to_head_end) = tokio::io::split(head_end);
    let (mut from_meter, mut to_meter) = tokio::io::split(meter);
    let answers = async {
        let mut seen = Vec::new();
        loop {
            let (header, apdu) = wpdu(&mut from_meter).await?;
            seen.push(apdu.clone());
            let before = &seen[..seen.len() - 1];
            write(&mut to_head_end, header, &alter(seen.len(), before, apdu)).await?;
        }
    };
    let requests = async {
        tokio::io::copy(&mut from_head_end, &mut to_meter).await?;
        to_meter.shutdown().await
    };
    tokio::select! {
        ended = requests => ended,
        ended = answers => ended,
    }
}

async fn wpdu(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<([u8; 6], Vec<u8>)> {
    let mut header = [0; 6];
    from.read_exact(&mut header).await?;
    let mut apdu = vec![0; usize::from(from.read_u16().await?)];
    from.read_exact(&mut apdu).await?;
    Ok((header, apdu))
}

async fn write(to: &mut (impl AsyncWrite + Unpin), header: [u8; 6], apdu: &[u8]) -> std::io::Result<()> {
    let mut octets = header.to_vec();
    octets.extend(u16::try_from(apdu.len()).unwrap().to_be_bytes());
    octets.extend(apdu);
    to.write_all(&octets).await
}

/// A fleet whose meter is reached through the middle.
fn through(
    setup: &Setup,
    alter: impl Fn(usize, &[Vec<u8>], Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
) -> (Fleet, MeterId) {
    let registered = Arc::new(Registered::default());
    let middle = Middle(Arc::new(alter));
    let (fleet, _) = Fleet::start(Arc::clone(&registered), middle, FleetOptions::default()).unwrap();
    let meter = registered.add(management("meter-0", &setup.tcp(0), Some(setup.title(0))));
    (fleet, meter)
}

async fn value(fleet: &Fleet, meter: &MeterId, operation: Operation) -> Result<(), RequestError> {
    match fleet.execute(meter, operation, (Instant::now() + super::support::PATIENCE).into()).await? {
        Outcome::Attributes(mut values) => values.remove(0).map(drop),
        Outcome::Registers(mut values) => values.remove(0).map(drop),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_was_given_before_is_not_believed_again() {
    let setup = Setup::new(1).await;
    // Of a new key the counter is asked for on a connection of its own; the meter's AARE, proof and two answers follow.
    let replayed = |number: usize, before: &[Vec<u8>], apdu| if number == 4 { before[2].clone() } else { apdu };
    let (fleet, meter) = through(&setup, replayed);
    value(&fleet, &meter, get(3, IMPORT, 2)).await.unwrap();
    let error = value(&fleet, &meter, get(3, IMPORT, 2)).await.unwrap_err();
    assert_eq!((error.kind(), error.layer()), (RequestErrorKind::SecurityFailed, Layer::Security), "{error:?}");
    assert!(error.to_string().contains("counter"), "{error}");
    value(&fleet, &meter, get(3, IMPORT, 2)).await.unwrap();
}

#[tokio::test]
async fn every_octet_of_an_answer_is_protected() {
    let setup = Setup::new(1).await;
    let place = Arc::new(Mutex::new(None::<usize>));
    let altered = {
        let place = Arc::clone(&place);
        move |number: usize, _: &[Vec<u8>], mut apdu: Vec<u8>| {
            if let (3.., Some(at)) = (number, *place.lock().unwrap()) {
                let at = at % apdu.len();
                apdu[at] ^= 0x04;
            }
            apdu
        }
    };
    let (fleet, meter) = through(&setup, altered);
    value(&fleet, &meter, get(3, IMPORT, 2)).await.unwrap();
    for at in 0..28 {
        *place.lock().unwrap() = Some(at);
        let result = value(&fleet, &meter, get(3, IMPORT, 2)).await;
        *place.lock().unwrap() = None;
        let error = result.expect_err("an altered answer was believed");
        use RequestErrorKind::{Protocol, SecurityFailed, Unreachable};
        assert!(matches!(error.kind(), SecurityFailed | Protocol | Unreachable), "octet {at}: {error:?}");
        value(&fleet, &meter, get(3, IMPORT, 2)).await.unwrap();
    }
}

#[tokio::test]
async fn an_association_whose_opening_is_altered_is_not_opened() {
    let setup = Setup::new(1).await;
    let at = Arc::new(Mutex::new(0));
    let altered = {
        let at = Arc::clone(&at);
        move |number: usize, _: &[Vec<u8>], mut apdu: Vec<u8>| {
            let place = *at.lock().unwrap();
            if number == 2 && place < apdu.len() {
                apdu[place] ^= 0x10;
            }
            apdu
        }
    };
    let (fleet, meter) = through(&setup, altered);
    for place in [0, 1, 2, 8, 20, 30] {
        *at.lock().unwrap() = place;
        let result =
            fleet.execute(&meter, registers(&[IMPORT]), (Instant::now() + super::support::PATIENCE).into()).await;
        let error = error_of(result).expect("the proof of the meter was altered and believed");
        use RequestErrorKind::{Protocol, SecurityFailed, Unreachable};
        assert!(matches!(error.kind(), SecurityFailed | Protocol | Unreachable), "octet {place}: {error:?}");
    }
}
