//! What one meter pushes is read in the order in which it came.

use std::{sync::Arc, time::Duration};

use dlms::{
    apdu::{AttributeDescriptor, EventNotification},
    axdr::{Data, Writer},
    id::{AttributeId, ClassId},
    obis::ObisCode,
    security::Protection,
};
use jiff::Timestamp;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    events::TABLE_LABEL,
    head_end::HeadEnd,
    meter::{MeterId, MeterSettings, Timeouts},
    operation::{MeterAccess, Operation, Outcome, RequestError, Terms},
    push::{Counts, Templates, learn, reader::Reader},
    registry::{Change, Registry},
    store::{EventFilter, EventQuery, EventStore, NewPush, PushStore, sqlite::SqliteStore},
    vault::{MasterKey, Vault},
};

const DESCRIPTOR: ObisCode = ObisCode([0, 0, 97, 98, 20, 255]);
/// Pushes: every other one has the bit.
const PUSHES: u32 = 200;

struct Nobody;

impl MeterAccess for Nobody {
    async fn execute(&self, _: &MeterId, operation: Operation, _: Terms) -> Result<Outcome, RequestError> {
        panic!("{operation:?}")
    }

    fn invalidate(&self, _: &MeterId) {}
}

fn alarms(bits: u32) -> Vec<u8> {
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out);
    let attribute = AttributeDescriptor::new(ClassId(1), DESCRIPTOR, AttributeId(2));
    EventNotification { time: None, attribute, value: Data::DoubleLongUnsigned(bits) }.encode(&mut writer).unwrap();
    writer.written().to_vec()
}

/// An alarm that comes, goes and comes again is told each time: read in another order, some would be no news.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_alarm_that_comes_and_goes_is_told_each_time_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path(), Default::default()).unwrap());
    let vault = Vault::new(&MasterKey::from_hex(&"5a".repeat(32), "test").unwrap());
    let registry = Registry::open(Arc::clone(&store), vault, Timeouts::default(), None).await.unwrap();
    let meter: MeterId = "m1".parse().unwrap();
    let labels = [(TABLE_LABEL.to_owned(), "idis".to_owned())].into();
    let settings = MeterSettings { labels, ..MeterSettings::default() };
    registry.create(meter.clone(), Change { settings, secrets: Default::default() }, None).await.unwrap();
    for n in 0..PUSHES {
        let push = NewPush {
            meter: meter.clone(),
            counter: None,
            apdu: alarms((n & 1) << 13),
            digest: [0; 32],
            protection: Protection::NONE,
            source: "test".to_owned(),
            received: Timestamp::from_second(1_790_000_000 + i64::from(n)).unwrap(),
        };
        store.accept_push(push).await.unwrap();
    }
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let counts = Arc::new(Counts::default());
    let reader = Reader {
        head_end: HeadEnd::new(Arc::new(registry), Arc::new(Nobody)),
        templates: Templates::built_in(),
        counts: Arc::clone(&counts),
        kept: Arc::default(),
        keep: Duration::from_secs(3_600),
        stop: stop.clone(),
        learning: tokio::sync::Mutex::new(learn::Learning::default()),
    };
    tasks.spawn(Arc::new(reader).run());
    let patience = tokio::time::Instant::now() + Duration::from_secs(30);
    while !store.waiting_pushes(0, 1).await.unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < patience);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let query = EventQuery { filter: EventFilter::default(), after: None, descending: false, limit: 1_000 };
    let told: Vec<i64> = store.query_events(query).await.unwrap().iter().map(|of| of.event.time.as_second()).collect();
    let expected: Vec<i64> = (0..PUSHES).filter(|n| n & 1 == 1).map(|n| 1_790_000_000 + i64::from(n)).collect();
    assert_eq!(told, expected);
}
