//! A client that knows nothing but three requests, and a server that knows nothing but the sizes of their answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dlms::acse::Mechanism;
use dlms::apdu::AttributeDescriptor;
use dlms::association::Secret;
use dlms::association::client::{Config, Connection};
use dlms::id::{AttributeId, ClassId, ClientSap, ServerSap};
use dlms::security::{InvocationCounter, Random, RustCrypto};
use dlms::wrapper::client::Wrapper;
use dlms_meter_server::simulator::Keys;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Failure;

/// Meters that are asked at a time.
const AT_ONCE: usize = 128;
/// How long to wait for a datagram before the meter is asked again.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tag of a GET response, and of its result being data.
const GET_RESPONSE: [u8; 4] = [0xC4, 0x01, 0xC1, 0x00];

struct Nothing;

impl Random for Nothing {
    fn fill(&mut self, octets: &mut [u8]) {
        octets.fill(0x5A);
    }
}

/// Requests with their wrapper headers, and whether answers are looked at.
#[derive(Clone)]
pub(crate) struct Exchange {
    requests: Arc<[Vec<u8>]>,
    checked: bool,
}

impl Exchange {
    /// An association with the demonstration password, the energy register, release.
    pub(crate) fn new() -> Result<Self, Failure> {
        let secret = Secret::new(Keys::DEMONSTRATION_PASSWORD).ok_or("a long password")?;
        let public = Config::public(ServerSap(1));
        let config = Config { client: ClientSap(17), mechanism: Mechanism::Lls, secret, ..public };
        let link = Wrapper::new(config.client, config.server, vec![0; 1_024], vec![0; 1_024], 1_000);
        let mut connection: Connection<_, RustCrypto, _, Vec<u8>> =
            Connection::new(link, config, Nothing, InvocationCounter::new(0, 1), vec![0; 1_024], vec![0; 1_024]);
        connection.associate(dlms::Instant::from_millis(0)).map_err(|error| format!("{error:?}"))?;
        while connection.poll_event().is_some() {}
        let mut room = [0; 8_192];
        let length = connection.poll_transmit(&mut room).ok_or("no AARQ")?;
        let aarq = room[..length].to_vec();
        let energy = AttributeDescriptor::new(ClassId(3), "1.0.1.8.0.255".parse()?, AttributeId(2));
        let get = wrapped(&[&[0xC0, 0x01, 0xC1, 0, 3], &energy.instance.0[..], &[2, 0]].concat());
        let release = wrapped(&[0x62, 0x00]);
        Ok(Self { requests: [aarq, get, release].into(), checked: true })
    }

    /// The same, content with any answer.
    pub(crate) fn unchecked(&self) -> Self {
        Self { checked: false, ..self.clone() }
    }

    fn check(&self, step: usize, answer: &[u8]) -> Result<(), Failure> {
        let right = match step {
            0 => answer.get(8) == Some(&0x61),
            1 => answer.get(8..12) == Some(&GET_RESPONSE),
            _ => answer.get(8) == Some(&0x63),
        };
        if right || !self.checked { Ok(()) } else { Err(format!("answer {step} is {answer:02X?}").into()) }
    }
}

fn wrapped(apdu: &[u8]) -> Vec<u8> {
    let length = u8::try_from(apdu.len()).unwrap_or(u8::MAX);
    [&[0, 1, 0, 17, 0, 1, 0, length], apdu].concat()
}

/// What a pass over all meters took.
pub(crate) struct Pass {
    pub(crate) meters: u32,
    pub(crate) took: Duration,
    pub(crate) repeated: u32,
}

/// Asks all meters, some at a time.
async fn pass<F, W>(meters: &[Ipv4Addr], port: u16, ask: F) -> Result<Pass, Failure>
where
    F: Fn(Arc<[Ipv4Addr]>, Arc<AtomicU32>, u16) -> W,
    W: Future<Output = Result<u32, String>> + Send + 'static,
{
    let begun = Instant::now();
    let (all, next): (Arc<[Ipv4Addr]>, _) = (meters.into(), Arc::new(AtomicU32::new(0)));
    let workers: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(ask(Arc::clone(&all), Arc::clone(&next), port))).collect();
    let mut repeated = 0;
    for worker in workers {
        repeated += worker.await??;
    }
    Ok(Pass { meters: u32::try_from(meters.len())?, took: begun.elapsed(), repeated })
}

/// The next meter of a pass.
fn take(meters: &[Ipv4Addr], next: &AtomicU32, port: u16) -> Option<SocketAddr> {
    let meter = meters.get(next.fetch_add(1, Ordering::Relaxed) as usize)?;
    Some(SocketAddr::from((*meter, port)))
}

/// Reads every meter over UDP, from one socket for each worker.
pub(crate) async fn udp(meters: &[Ipv4Addr], port: u16, exchange: &Exchange) -> Result<Pass, Failure> {
    let exchange = exchange.clone();
    pass(meters, port, move |meters, next, port| {
        let exchange = exchange.clone();
        async move {
            let socket = UdpSocket::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
            let mut repeated = 0;
            while let Some(meter) = take(&meters, &next, port) {
                repeated += read_udp(&socket, meter, &exchange).await.map_err(|error| format!("{meter}: {error}"))?.0;
            }
            Ok(repeated)
        }
    })
    .await
}

/// How often a request was repeated, and the sizes of the answers.
async fn read_udp(socket: &UdpSocket, meter: SocketAddr, exchange: &Exchange) -> Result<(u32, Vec<usize>), Failure> {
    let (mut repeated, mut sizes) = (0, Vec::new());
    let mut answer = [0; 2_048];
    for (step, request) in exchange.requests.iter().enumerate() {
        socket.send_to(request, meter).await?;
        loop {
            let Ok(received) = timeout(PATIENCE, socket.recv_from(&mut answer)).await else {
                repeated += 1;
                socket.send_to(request, meter).await?;
                continue;
            };
            let (length, from) = received?;
            // A late one of the meter before.
            if from != meter && exchange.checked {
                continue;
            }
            exchange.check(step, &answer[..length])?;
            sizes.push(length);
            break;
        }
    }
    Ok((repeated, sizes))
}

/// The sizes of a meter's answers.
pub(crate) async fn udp_sizes(meter: Ipv4Addr, port: u16, exchange: &Exchange) -> Result<Vec<usize>, Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    Ok(read_udp(&socket, SocketAddr::from((meter, port)), exchange).await?.1)
}

/// Reads every meter over TCP, a connection for each.
pub(crate) async fn tcp(meters: &[Ipv4Addr], port: u16, exchange: &Exchange) -> Result<Pass, Failure> {
    let exchange = exchange.clone();
    pass(meters, port, move |meters, next, port| {
        let exchange = exchange.clone();
        async move {
            while let Some(meter) = take(&meters, &next, port) {
                let read = read_tcp(meter, &exchange, exchange.requests.len()).await;
                read.map_err(|error| format!("{meter}: {error}"))?;
            }
            Ok(0)
        }
    })
    .await
}

/// Sends the first requests to a meter.
async fn read_tcp(meter: SocketAddr, exchange: &Exchange, steps: usize) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(meter).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 2_048];
    for (step, request) in exchange.requests.iter().enumerate().take(steps) {
        stream.write_all(request).await?;
        stream.read_exact(&mut answer[..8]).await?;
        let end = 8 + usize::from(u16::from_be_bytes([answer[6], answer[7]]));
        stream.read_exact(answer.get_mut(8..end).ok_or("a long answer")?).await?;
        exchange.check(step, &answer[..end])?;
    }
    Ok(stream)
}

/// Opens an association with each of these meters, and keeps it.
pub(crate) async fn hold(meters: &[Ipv4Addr], port: u16, exchange: &Exchange) -> Result<Vec<TcpStream>, Failure> {
    let mut held = Vec::with_capacity(meters.len());
    for meter in meters {
        held.push(read_tcp(SocketAddr::from((*meter, port)), exchange, 2).await?);
    }
    Ok(held)
}

pub(crate) fn sizes(arguments: &[String]) -> Result<Vec<usize>, Failure> {
    Ok(arguments.iter().map(|size| size.parse()).collect::<Result<_, _>>()?)
}

/// Answers every request with octets of the size that a meter's answer has, until standard input ends.
pub(crate) async fn echo(sizes: &[usize]) -> Result<(), Failure> {
    let answers: Arc<[Vec<u8>]> = sizes.iter().map(|size| wrapped(&vec![0; size - 8])).collect();
    let listener = TcpListener::bind("0.0.0.0:0").await?;
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    println!("{} {}", listener.local_addr()?.port(), socket.local_addr()?.port());
    let of_request = |request: &[u8]| match request.get(8) {
        Some(0x60) => 0,
        Some(0xC0) => 1,
        _ => 2,
    };
    let datagrams = Arc::clone(&answers);
    tokio::spawn(async move {
        let mut request = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut request).await {
            let _ = socket.send_to(&datagrams[of_request(&request[..length])], from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answers = Arc::clone(&answers);
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut request = [0; 2_048];
                while let Ok(length @ 1..) = stream.read(&mut request).await {
                    let _ = stream.write_all(&answers[of_request(&request[..length])]).await;
                }
            });
        }
    });
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    Ok(())
}
