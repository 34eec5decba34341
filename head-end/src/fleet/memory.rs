//! What an actor remembers of its meter from one session to the next.

use std::collections::HashMap;

use dlms::{
    cosem::profile_generic::SortMethod, id::ClassId, obis::ObisCode, security::InvocationCounter, unit::ScalerUnit,
};

use crate::meter::CounterId;

/// What an actor remembers of its meter from one session to the next. It is lost when the actor ends, and thrown away
/// when the configuration changes: nothing here is needed for correctness across restarts.
pub(super) struct Memory {
    /// Transmit counters that are reserved and unused.
    pub(super) counter: InvocationCounter,
    /// Which ones: counters belong to a key.
    pub(super) counter_of: Option<CounterId>,
    /// The meter refused a counter, and which one it would accept, where it said so.
    pub(super) counter_refused: Option<Option<u32>>,
    /// Lowest invocation counter that is acceptable from the meter.
    pub(super) receive_floor: u32,
    /// The keys of the other generation were tried: that is done once.
    pub(super) other_keys_tried: bool,
    /// Classes that were found out by trying.
    pub(super) classes: HashMap<ObisCode, ClassId>,
    /// Scalers and units that were read.
    pub(super) scalers: HashMap<(ClassId, ObisCode), Option<ScalerUnit>>,
    /// Orders of profiles that were read.
    pub(super) orders: HashMap<ObisCode, SortMethod>,
    /// The meter agreed to lists of attributes, but does not answer them.
    pub(super) lists_refused: bool,
    /// The meter agreed to ACCESS, but does not answer it.
    pub(super) access_refused: bool,
}

impl Memory {
    /// Forgets what was counted under another key.
    pub(super) fn count_for(&mut self, counter: CounterId) {
        if self.counter_of != Some(counter) {
            self.counter = InvocationCounter::new(0, 0);
            (self.counter_refused, self.receive_floor) = (None, 0);
            self.counter_of = Some(counter);
        }
    }

    pub(super) fn new() -> Self {
        Self {
            counter: InvocationCounter::new(0, 0),
            counter_of: None,
            counter_refused: None,
            receive_floor: 0,
            other_keys_tried: false,
            classes: HashMap::new(),
            scalers: HashMap::new(),
            orders: HashMap::new(),
            lists_refused: false,
            access_refused: false,
        }
    }
}
