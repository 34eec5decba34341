//! What several security setups of one meter share.

use super::*;
use crate::simulator::keys::Keys;
use crate::simulator::model::ModelSetup;
use dlms::security::Suite;

const PEER: SystemTitle = SystemTitle(*b"TSTCLNT1");

#[test]
fn setups_with_one_key_have_one_counter() {
    let mut model = Model::built_in();
    let policy = model.setups[0].policy;
    model.setups.push(ModelSetup { number: 1, policy, version: 0, suite: Suite::Suite0 });
    let identity = MeterIdentity {
        server: ServerSap(1),
        serial: String::new(),
        logical_device_name: String::new(),
        system_title: SystemTitle(*b"TSTMETR1"),
    };
    let now = Moment::from_seconds(1_790_000_000);
    let keys = Arc::new(Keys::demonstration());
    let security = Security::open(keys, &model, None, &identity, now).unwrap();
    let mut meter = Meter::new(Arc::new(model), identity, Arc::default(), 1, now, security);
    assert_ne!(meter.take_counter(0).unwrap(), meter.take_counter(1).unwrap());
    assert_eq!(meter.take_counter(2), None);
    // What one setup has taken is a replay in the other.
    meter.accept_counter(0, PEER, 41);
    assert_eq!(meter.counters(1).unwrap().floor(PEER), 42);
    assert!(meter.counters(2).is_none());
}
