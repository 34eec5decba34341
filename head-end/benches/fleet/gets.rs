//! Requests on open associations, beside a bare ping-pong.

use std::{sync::Arc, time::Duration};

use dlms::{
    id::{AttributeId, ClassId},
    obis::ObisCode,
};
use dlms_head_end::{
    fleet::{Fleet, FleetOptions, Network},
    meter::MeterId,
    operation::{AttributeRef, GetAttribute, MeterAccess, Operation, Outcome},
};
use dlms_meter_server::simulator::{self, FleetConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

use crate::directory::{Directory, Via, name};

/// Octets of the request: wrapper header, glo-get-request with security header and tag around a GET of 13 octets.
const REQUEST: usize = 8 + 2 + 5 + 13 + 12;
/// Octets of the answer: the same around a GET response with a double-long-unsigned, 9 octets.
const RESPONSE: usize = 8 + 2 + 5 + 9 + 12;
/// Active energy import.
pub(crate) const REGISTER: AttributeRef =
    AttributeRef { class: ClassId(3), obis: ObisCode([1, 0, 1, 8, 0, 255]), attribute: AttributeId(2) };

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
pub(crate) trait Exchange: Send + 'static {
    fn exchange(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

pub(crate) struct Get {
    pub(crate) fleet: Fleet,
    pub(crate) meter: MeterId,
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

pub(crate) async fn ping_rate(connections: usize, time: Duration) -> Result<f64, String> {
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

pub(crate) async fn get_rate(connections: usize, time: Duration) -> Result<f64, String> {
    let any = "127.0.0.1:0".parse().map_err(|_| "no address")?;
    let config = FleetConfig {
        meters: u32::try_from(connections).map_err(|error| error.to_string())?,
        tcp: Some(any),
        ..FleetConfig::default()
    };
    let meters = simulator::Fleet::start(config).await.map_err(|error| error.to_string())?;
    let addresses = meters.devices().iter().map(|device| device.ports().tcp.ok_or("a meter without a port"));
    let directory = Directory::new(addresses.collect::<Result<_, _>>()?, Via::Tcp);
    let started = Fleet::start(Arc::new(directory), Network::default(), FleetOptions::default());
    let (fleet, _notifications) = started.map_err(|error| error.to_string())?;
    let measured = rate(connections, time, |number| {
        let session = Get { fleet: fleet.clone(), meter: name(number) };
        async move { Ok(session) }
    });
    let measured = measured.await;
    fleet.shutdown(Instant::now() + Duration::from_secs(30)).await;
    meters.shutdown().await;
    measured
}
