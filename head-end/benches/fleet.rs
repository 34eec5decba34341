//! Encrypted GETs per second through the library, beside a bare TCP ping-pong of the same sizes.
//!
//! ```text
//! cargo bench -p dlms-head-end --bench fleet
//! ```
//!
//! Both sides of either conversation run in this process and on the same runtime, so that the figures are those of a
//! machine that is head-end and fleet of meters at once. What counts is the ratio: how much of what the sockets give
//! is left after actors, ciphering, encoding, and the simulated meters' own work.

use std::{
    collections::HashMap,
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dlms::{
    id::{AttributeId, ClassId, ClientSap, ServerSap, SystemTitle},
    obis::ObisCode,
};
use dlms_head_end::{
    fleet::{Fleet, FleetOptions, Network},
    meter::{
        Authentication, Ciphering, CounterId, Envelope, LinkConfig, MeterConfig, MeterId, MeterKeys, PolicyBits,
        Secret, TimePolicy, Timeouts,
    },
    operation::{
        AttributeRef, CounterBlock, GetAttribute, Layer, MeterAccess, MeterDirectory, ObjectModel, Operation, Outcome,
        ProfileLayout, RequestError, RequestErrorKind,
    },
};
use dlms_meter_server::simulator::{self, FleetConfig, Keys};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

/// Octets of the request: wrapper header, glo-get-request with security header and tag around a GET of 13 octets.
const REQUEST: usize = 8 + 2 + 5 + 13 + 12;
/// Octets of the answer: the same around a GET response with a double-long-unsigned, 9 octets.
const RESPONSE: usize = 8 + 2 + 5 + 9 + 12;
/// Active energy import.
const REGISTER: AttributeRef =
    AttributeRef { class: ClassId(3), obis: ObisCode([1, 0, 1, 8, 0, 255]), attribute: AttributeId(2) };

/// A registry in memory whose counters cost nothing.
#[derive(Default)]
struct Directory {
    meters: HashMap<MeterId, Arc<MeterConfig>>,
    counters: Mutex<HashMap<CounterId, u32>>,
    reservations: AtomicU32,
}

impl MeterDirectory for Directory {
    async fn meter(&self, meter: &MeterId) -> Result<Arc<MeterConfig>, RequestError> {
        let unknown = || RequestError::new(RequestErrorKind::NotFound, Layer::HeadEnd, "no such meter");
        self.meters.get(meter).cloned().ok_or_else(unknown)
    }

    async fn keys_proved(&self, _: &MeterId, _: &str) -> Result<(), RequestError> {
        Ok(())
    }

    async fn reserve_counters(&self, counter: CounterId) -> Result<CounterBlock, RequestError> {
        self.reservations.fetch_add(1, Ordering::Relaxed);
        let mut counters = self.counters.lock().expect("no holder panics");
        // Not 1: a key that was never used has the meter asked for its counter first.
        let next = counters.entry(counter).or_insert(2);
        let block = CounterBlock { next: *next, end: *next + 256 };
        *next = block.end;
        Ok(block)
    }

    async fn raise_counter(&self, _: CounterId, _: u32) -> Result<(), RequestError> {
        Ok(())
    }

    async fn object_model(&self, _: &MeterId) -> Result<Option<Arc<ObjectModel>>, RequestError> {
        Ok(None)
    }

    async fn save_object_model(&self, _: &MeterId, _: Arc<ObjectModel>) -> Result<(), RequestError> {
        Ok(())
    }

    async fn profile_layout(&self, _: &MeterId, _: ObisCode) -> Result<Option<Arc<ProfileLayout>>, RequestError> {
        Ok(None)
    }

    async fn save_profile_layout(&self, _: &MeterId, _: Arc<ProfileLayout>) -> Result<(), RequestError> {
        Ok(())
    }
}

fn meter(number: usize, address: SocketAddr, title: SystemTitle) -> MeterConfig {
    let mut counter = [0; 16];
    counter[..8].copy_from_slice(&number.to_be_bytes());
    MeterConfig {
        id: format!("meter-{number}").parse().expect("a legal name"),
        revision: 1,
        link: LinkConfig::TcpWrapper { address: address.to_string().parse().expect("an address") },
        client: ClientSap::MANAGEMENT,
        server: ServerSap::MANAGEMENT,
        authentication: Authentication::HlsGmac,
        ciphering: Some(Ciphering {
            suite: 0,
            policy: PolicyBits { authenticated: true, encrypted: true },
            envelope: Envelope::ServiceSpecific,
            dedicated_key: false,
            client_title: SystemTitle(*b"HES\0\0\0\0\x01"),
            keys: MeterKeys {
                encryption: Secret::new(Keys::DEMONSTRATION_ENCRYPTION.to_vec()),
                authentication: Secret::new(Keys::DEMONSTRATION_AUTHENTICATION.to_vec()),
            },
            counter: CounterId(counter),
        }),
        meter_title: Some(title),
        time: TimePolicy::default(),
        route: None,
        timeouts: Timeouts::default(),
        max_pdu: 1_024,
        gateway: None,
        rotation: None,
    }
}

/// Requests per second of `connections` tasks that each make one after the other, for `time`.
async fn rate<F, S>(connections: usize, time: Duration, start: impl Fn(usize) -> F) -> Result<f64, String>
where
    F: Future<Output = Result<S, String>>,
    S: Exchange,
{
    let mut sessions = Vec::with_capacity(connections);
    for number in 0..connections {
        let mut session = start(number).await?;
        // Opening is not measured.
        session.exchange().await?;
        sessions.push(session);
    }
    let begin = Instant::now();
    let end = begin + time;
    let mut tasks = JoinSet::new();
    for mut session in sessions {
        tasks.spawn(async move {
            let mut count = 0_u64;
            while Instant::now() < end {
                session.exchange().await?;
                count += 1;
            }
            Ok::<_, String>(count)
        });
    }
    let mut total = 0;
    while let Some(count) = tasks.join_next().await {
        total += count.map_err(|error| error.to_string())??;
    }
    Ok(total as f64 / begin.elapsed().as_secs_f64())
}

/// One request and its answer.
trait Exchange: Send + 'static {
    fn exchange(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

struct Get {
    fleet: Fleet,
    meter: MeterId,
}

impl Exchange for Get {
    async fn exchange(&mut self) -> Result<(), String> {
        let operation = Operation::GetAttributes(vec![GetAttribute { attribute: REGISTER, selection: None }]);
        let deadline = Instant::now() + Duration::from_secs(60);
        match self.fleet.execute(&self.meter, operation, deadline.into()).await {
            Ok(Outcome::Attributes(values)) if values.iter().all(Result::is_ok) => Ok(()),
            other => Err(format!("{}: {other:?}", self.meter)),
        }
    }
}

struct Ping(TcpStream);

impl Exchange for Ping {
    async fn exchange(&mut self) -> Result<(), String> {
        let mut answer = [0; RESPONSE];
        self.0.write_all(&[0; REQUEST]).await.map_err(|error| error.to_string())?;
        self.0.read_exact(&mut answer).await.map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Answers pings until the runtime ends.
async fn pong(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; REQUEST];
            if stream.set_nodelay(true).is_err() {
                return;
            }
            while stream.read_exact(&mut request).await.is_ok() && stream.write_all(&[0; RESPONSE]).await.is_ok() {}
        });
    }
}

async fn ping_rate(connections: usize, time: Duration) -> Result<f64, String> {
    let text = |error: std::io::Error| error.to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    let address = listener.local_addr().map_err(text)?;
    let server = tokio::spawn(pong(listener));
    let rate = rate(connections, time, |_| async move {
        let stream = TcpStream::connect(address).await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        Ok(Ping(stream))
    });
    let rate = rate.await;
    server.abort();
    rate
}

async fn get_rate(connections: usize, time: Duration) -> Result<f64, String> {
    let any = "127.0.0.1:0".parse().map_err(|_| "no address")?;
    let config = FleetConfig {
        meters: u32::try_from(connections).map_err(|error| error.to_string())?,
        tcp: Some(any),
        ..FleetConfig::default()
    };
    let meters = simulator::Fleet::start(config).await.map_err(|error| error.to_string())?;
    let mut directory = Directory::default();
    let mut ids = Vec::with_capacity(connections);
    for (number, device) in meters.devices().iter().enumerate() {
        let identity = device.meters().first().ok_or("a device without meters")?;
        let address = device.ports().tcp.ok_or("a meter without a port")?;
        let config = meter(number, address, identity.system_title);
        ids.push(config.id.clone());
        directory.meters.insert(config.id.clone(), Arc::new(config));
    }
    let started = Fleet::start(Arc::new(directory), Network, FleetOptions::default());
    let (fleet, _notifications) = started.map_err(|error| error.to_string())?;
    let measured = rate(connections, time, |number| {
        let session = ids.get(number).cloned().map(|meter| Get { fleet: fleet.clone(), meter });
        async move { session.ok_or_else(|| "no such meter".to_owned()) }
    });
    let measured = measured.await;
    fleet.shutdown(Instant::now() + Duration::from_secs(30)).await;
    meters.shutdown().await;
    measured
}

fn main() -> ExitCode {
    // `cargo test --benches` runs this too, without `--bench`: then a moment shows that it works.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let (time, counts): (_, &[usize]) =
        if measuring { (Duration::from_secs(5), &[1, 64, 1_000]) } else { (Duration::from_millis(100), &[1, 8]) };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{:>11}  {:>16}  {:>16}  {:>6}", "connections", "encrypted GETs/s", "ping-pongs/s", "ratio");
    for connections in counts.iter().copied() {
        let measured = runtime.block_on(async {
            let pings = ping_rate(connections, time).await?;
            Ok::<_, String>((get_rate(connections, time).await?, pings))
        });
        match measured {
            Ok((gets, pings)) => {
                println!("{connections:>11}  {gets:>16.0}  {pings:>16.0}  {:>6.3}", gets / pings);
            }
            Err(error) => {
                eprintln!("{connections} connections: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
