//! What is published to a real broker: that of `DLMS_TEST_MQTT` (`HOST:PORT`), else one on the port of MQTT on this
//! machine, else a `mosquitto` that the test starts. `DLMS_TEST_MQTT=off` leaves these tests out.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dlms_head_end::{
    config::Config,
    mqtt::{Broker, BrokerOptions},
};
use dlms_proto::v1;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::support::{PATIENCE, Running, managed, quick, simulated, tcp};

/// A broker, and the process where it is ours.
struct Mosquitto {
    address: String,
    _process: Option<Process>,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Mosquitto {
    /// `None` where tests with a broker are switched off.
    async fn find(folder: &Path) -> Option<Self> {
        const STANDARD: &str = "127.0.0.1:1883";
        match std::env::var("DLMS_TEST_MQTT") {
            Ok(off) if off == "off" => return None,
            Ok(address) => return Some(Self { address, _process: None }),
            Err(_) => {}
        }
        if TcpStream::connect(STANDARD).await.is_ok() {
            return Some(Self { address: STANDARD.to_owned(), _process: None });
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = folder.join("mosquitto.conf");
        std::fs::write(&file, format!("listener {} 127.0.0.1\nallow_anonymous true\n", free.port())).unwrap();
        let started = ["mosquitto", "/usr/sbin/mosquitto"].into_iter().find_map(|program| {
            Command::new(program).arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        });
        let process = started.expect(
            "no broker: start one on 127.0.0.1:1883, name one in DLMS_TEST_MQTT, install mosquitto, or say DLMS_TEST_MQTT=off",
        );
        let found = Self { address: free.to_string(), _process: Some(Process(process)) };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(&found.address).await.is_err() {
            assert!(Instant::now() < until, "mosquitto does not listen");
            sleep(Duration::from_millis(20)).await;
        }
        Some(found)
    }
}

/// The way to the broker, which can be cut.
struct Line {
    address: SocketAddr,
    /// Octets that may still pass to the broker.
    left: Arc<AtomicU64>,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    async fn to(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, watched) = watch::channel(true);
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let (broker, rest) = (broker.to_owned(), Arc::clone(&left));
        let task = tokio::spawn(async move {
            loop {
                let Ok((near, _)) = listener.accept().await else { return };
                if !*watched.borrow() || rest.load(Ordering::SeqCst) == 0 {
                    continue;
                }
                tokio::spawn(carry(near, broker.clone(), watched.clone(), Arc::clone(&rest)));
            }
        });
        Self { address, left, open, task }
    }

    fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets so many octets pass, and then cuts.
    fn cut_behind(&self, octets: u64) {
        self.left.store(octets, Ordering::SeqCst);
    }

    fn mend(&self) {
        self.left.store(u64::MAX, Ordering::SeqCst);
        self.open.send_replace(true);
    }
}

/// Carries octets both ways until the line is cut; what is in it then is lost.
async fn carry(near: TcpStream, broker: String, mut open: watch::Receiver<bool>, left: Arc<AtomicU64>) {
    use tokio::io::AsyncReadExt;
    let Ok(far) = TcpStream::connect(broker).await else { return };
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (near.into_split(), far.into_split());
    let up = async {
        let mut octets = [0; 512];
        loop {
            let Ok(read @ 1..) = from_near.read(&mut octets).await else { return };
            let before = left.load(Ordering::SeqCst);
            if before < read as u64 {
                left.store(0, Ordering::SeqCst);
                return;
            }
            if before != u64::MAX {
                left.fetch_sub(read as u64, Ordering::SeqCst);
            }
            if to_far.write_all(&octets[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        _ = tokio::io::copy(&mut from_far, &mut to_near) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}

/// Topic, payload, and whether it was retained.
type Heard = (String, Vec<u8>, bool);

/// Everything below a prefix, as the broker hands it out.
struct Subscriber {
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscriber {
    async fn new(broker: &str, filter: &str) -> Self {
        let (host, port) = broker.rsplit_once(':').unwrap();
        let mut options = MqttOptions::new(format!("test-{}", uuid()), (host, port.parse::<u16>().unwrap()));
        options.set_unlimited_incoming_packet_size();
        let (client, mut events) = AsyncClient::builder(options).capacity(8).build();
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        let (ready, mut subscribed) = watch::channel(false);
        let task = tokio::spawn(async move {
            let _client = client;
            loop {
                match events.poll().await.expect("the broker stays") {
                    Event::Incoming(Packet::SubAck(_)) => drop(ready.send_replace(true)),
                    Event::Incoming(Packet::Publish(message)) => {
                        let topic = String::from_utf8(message.topic.to_vec()).unwrap();
                        into.lock().unwrap().push((topic, message.payload.to_vec(), message.retain));
                    }
                    _ => {}
                }
            }
        });
        tokio::time::timeout(PATIENCE, subscribed.wait_for(|ready| *ready)).await.unwrap().unwrap();
        Self { heard, task }
    }

    /// Payloads under topics that end so, in the order in which they came.
    fn under(&self, end: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let under = heard.iter().filter(|(topic, ..)| topic.ends_with(end));
        under.map(|(_, payload, _)| String::from_utf8(payload.clone()).unwrap()).collect()
    }

    /// The captures that came: profile, time and revision of each, once.
    fn captures(&self) -> BTreeSet<(String, String, u64)> {
        let heard = self.heard.lock().unwrap();
        let captures = heard.iter().filter(|(topic, ..)| topic.contains("/readings/"));
        captures
            .map(|(topic, payload, retain)| {
                assert!(!retain, "{topic}");
                let capture: Value = serde_json::from_slice(payload).unwrap();
                let profile = topic.rsplit('/').next().unwrap().to_owned();
                (profile, capture["time"].as_str().unwrap().to_owned(), capture["revision"].as_u64().unwrap())
            })
            .collect()
    }

    async fn until(&self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let until = Instant::now() + 2 * PATIENCE;
        while !wanted(self) {
            assert!(Instant::now() < until, "not {what}: {} messages", self.heard.lock().unwrap().len());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn uuid() -> String {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).unwrap();
    hex::encode(octets)
}

fn publishing(folder: &Path, line: &Line, prefix: &str) -> Config {
    let broker: Broker = format!("mqtt://{}", line.address).parse().unwrap();
    let options = BrokerOptions {
        prefix: prefix.parse().unwrap(),
        discovery: Some(format!("{prefix}/homeassistant").parse().unwrap()),
        in_flight: 8,
        ..BrokerOptions::new(broker)
    };
    Config { mqtt: Some(options), ..quick(folder) }
}

/// What the store has, in the shape of [`Subscriber::captures`].
async fn stored(running: &Running) -> BTreeSet<(String, String, u64)> {
    let request = v1::QueryReadingsRequest { meter: "meters/m1".into(), ..Default::default() };
    let mut pages = running.data().query_readings(request).await.unwrap().into_inner();
    let mut stored = BTreeSet::new();
    while let Some(page) = pages.message().await.unwrap() {
        stored.extend(page.captures.into_iter().map(|capture| {
            let time = capture.capture_time.unwrap();
            let time = jiff::Timestamp::new(time.seconds, time.nanos).unwrap();
            let profile = if capture.profile.is_empty() { "registers".to_owned() } else { capture.profile };
            (profile, format!("{time:.3}"), capture.revision.into())
        }));
    }
    stored
}

async fn read_register(running: &Running) {
    let registers = vec![v1::RegisterSelector { obis: "1-0:1.8.0".into(), class_id: 3 }];
    let read = v1::ReadRegistersRequest { meter: "meters/m1".into(), registers };
    assert!(running.reading().read_registers(read).await.unwrap().into_inner().stored);
}

async fn read_profile(running: &Running, profile: &str, hours: i64) {
    let from = jiff::Timestamp::now().as_second() - hours * 3_600;
    let range = v1::TimeRange { from: Some(prost_types::Timestamp { seconds: from, nanos: 0 }), to: None };
    let selection = Some(v1::read_profile_request::Selection::Range(range));
    let request = v1::ReadProfileRequest { meter: "meters/m1".into(), profile: profile.into(), selection };
    let mut parts = running.reading().read_profile(request).await.unwrap().into_inner();
    while parts.message().await.unwrap().is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_and_events_reach_a_broker_and_nothing_is_lost_while_it_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = Mosquitto::find(folder.path()).await else { return };
    let prefix = format!("test-{}", uuid());
    let subscriber = Subscriber::new(&broker.address, &format!("{prefix}/#")).await;
    let line = Line::to(&broker.address).await;
    let meters = simulated(1).await;

    // Before there is a broker at all.
    line.cut();
    let running = Running::with(publishing(folder.path(), &line, &prefix)).await;
    running.create(managed("m1", &tcp(&meters, 0))).await.unwrap();
    read_profile(&running, "1-0:99.1.0", 6).await;
    read_register(&running).await;
    line.mend();
    let all = stored(&running).await;
    assert!(all.len() >= 24, "{all:?}");
    subscriber.until("all of the first", |heard| heard.captures() == all).await;
    subscriber.until("online", |heard| heard.under("/meters/m1/availability") == ["online"]).await;
    let last = subscriber.under("/meters/m1/last/registers/1.0.1.8.0.255");
    let last: Value = serde_json::from_str(last.last().expect("a last value")).unwrap();
    assert_eq!((&last["unit"], &last["source"]), (&"Wh".into(), &"polled".into()));
    assert!(last["value"].as_str().unwrap().parse::<f64>().unwrap() > 0.0);
    let found: Value = serde_json::from_str(&subscriber.under("/config")[0]).unwrap();
    assert!(found["state_topic"].as_str().unwrap().starts_with(&format!("{prefix}/meters/m1/last/")), "{found}");

    // The line is lost in the middle of many messages.
    line.cut_behind(20_000);
    read_profile(&running, "1-0:99.1.0", 48).await;
    let all = stored(&running).await;
    subscriber.until("offline by its will", |heard| heard.under("/status").contains(&"offline".into())).await;
    assert!(subscriber.captures().len() < all.len(), "it was cut too late");
    read_register(&running).await;
    // The head-end itself begins again meanwhile.
    running.stop().await;
    let running = Running::with(publishing(folder.path(), &line, &prefix)).await;
    read_register(&running).await;
    line.mend();
    let all = stored(&running).await;
    subscriber.until("all of the second", |heard| heard.captures() == all).await;
    let known = subscriber.heard.lock().unwrap().len();

    // What a wrong key is to the meter stands in its log, and becomes an event of ours.
    let mut wrong = managed("wrong", &tcp(&meters, 0));
    wrong.security.as_mut().unwrap().authentication_key = vec![7; 16];
    running.create(wrong).await.unwrap();
    let registers = vec![v1::RegisterSelector { obis: "1-0:1.8.0".into(), class_id: 3 }];
    let read = v1::ReadRegistersRequest { meter: "meters/wrong".into(), registers };
    running.reading().read_registers(read).await.unwrap_err();
    read_profile(&running, "0-0:99.98.1", 48).await;
    let is_it = |text: &String| serde_json::from_str::<Value>(text).unwrap()["code"] == 49;
    subscriber.until("an event", |heard| heard.under("/meters/m1/events").iter().any(is_it)).await;
    // Nothing came twice that was acknowledged before the restart.
    let again = subscriber.heard.lock().unwrap()[known..].iter().filter(|(topic, ..)| topic.contains("99.1.0")).count();
    assert_eq!(again, 0);
    running.stop().await;
    subscriber.until("a goodbye", |heard| heard.under("/status").last().is_some_and(|last| last == "offline")).await;
    // Whoever comes later finds the last values.
    let later = Subscriber::new(&broker.address, &format!("{prefix}/#")).await;
    later.until("retained values", |heard| !heard.under("/last/registers/1.0.1.8.0.255").is_empty()).await;
    assert!(later.captures().is_empty());
    meters.shutdown().await;
}
