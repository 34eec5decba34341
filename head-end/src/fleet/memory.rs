//! What an actor remembers of its meter from one session to the next.

use std::collections::HashMap;

use dlms::{
    cosem::profile_generic::SortMethod, id::ClassId, obis::ObisCode, security::InvocationCounter, unit::ScalerUnit,
};

/// What an actor remembers of its meter from one session to the next. It is lost when the actor ends, and thrown away
/// when the configuration changes: nothing here is needed for correctness across restarts.
pub(super) struct Memory {
    /// Transmit counters that are reserved and unused.
    pub(super) counter: InvocationCounter,
    /// The meter refused a counter, and which one it would accept, where it said so.
    pub(super) counter_refused: Option<Option<u32>>,
    /// Lowest invocation counter that is acceptable from the meter.
    pub(super) receive_floor: u32,
    /// Classes that were found out by trying.
    pub(super) classes: HashMap<ObisCode, ClassId>,
    /// Scalers and units that were read.
    pub(super) scalers: HashMap<(ClassId, ObisCode), Option<ScalerUnit>>,
    /// Orders of profiles that were read.
    pub(super) orders: HashMap<ObisCode, SortMethod>,
    /// The meter agreed to lists of attributes, but does not answer them.
    pub(super) lists_refused: bool,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            counter: InvocationCounter::new(0, 0),
            counter_refused: None,
            receive_floor: 0,
            classes: HashMap::new(),
            scalers: HashMap::new(),
            orders: HashMap::new(),
            lists_refused: false,
        }
    }
}
