//! Lists that grid operators and manufacturers published, for pushes that do not say all about themselves.

use crate::id::SystemTitle;
use crate::obis::ObisCode;
use crate::unit::{ScalerUnit, Unit};

/// A published list.
#[derive(Debug)]
pub struct PushList {
    /// The identifier that the push begins with, or that object 1-1:0.2.129 has.
    pub id: &'static str,
    /// Who uses it.
    pub about: &'static str,
    /// The letters that system titles of these meters begin with.
    pub manufacturer: [u8; 3],
    /// Names of bare values, a layout for each number of them.
    layouts: &'static [&'static [ObisCode]],
    scaling: &'static [Scaling],
}

/// Scaler and unit of values with these value groups C and D.
#[derive(Debug)]
struct Scaling {
    c: &'static [u8],
    d: u8,
    scaler_unit: ScalerUnit,
}

impl PushList {
    /// Names of `count` bare values in order.
    #[must_use]
    pub fn layout(&self, count: usize) -> Option<&'static [ObisCode]> {
        self.layouts.iter().find(|layout| layout.len() == count).copied()
    }

    /// Scaler and unit that the document gives a value.
    #[must_use]
    pub fn scaler_unit(&self, instance: ObisCode) -> Option<ScalerUnit> {
        let [1, _, c, d, ..] = instance.0 else { return None };
        self.scaling.iter().find(|entry| entry.d == d && entry.c.contains(&c)).map(|entry| entry.scaler_unit)
    }
}

/// The list with this identifier. Identifiers end in a version, which does not matter: no list was changed so far.
#[must_use]
pub fn push_list(id: &[u8]) -> Option<&'static PushList> {
    LISTS.iter().find(|list| id.starts_with(list.id.as_bytes()))
}

/// The list that meters with this system title use, for bodies that do not even say which list they are.
#[must_use]
pub fn push_list_of(sender: SystemTitle) -> Option<&'static PushList> {
    LISTS.iter().find(|list| sender.as_bytes().starts_with(&list.manufacturer))
}

const LISTS: &[PushList] = &[
    PushList {
        id: "KFM_",
        manufacturer: *b"KFM",
        about: "Kaifa, Norway and Sweden: bare values every 2 s, 10 s and hour",
        layouts: &[KAIFA_1, KAIFA_2_SINGLE_PHASE, KAIFA_2, KAIFA_3_SINGLE_PHASE, KAIFA_3],
        // The vendor's sheet announces 0.1 A; meters send 1 mA.
        scaling: &[POWER, REACTIVE_POWER, scaling(CURRENT, 7, -3, Unit::AMPERE), DECIVOLT, ENERGY, REACTIVE_ENERGY],
    },
    PushList {
        id: "AIDON_",
        manufacturer: *b"AID",
        about: "Aidon, Norway and Sweden: names, values, scalers and units",
        layouts: &[],
        scaling: &[
            POWER,
            REACTIVE_POWER,
            scaling(CURRENT, 7, -1, Unit::AMPERE),
            DECIVOLT,
            TEN_WATT_HOURS,
            TEN_VAR_HOURS,
        ],
    },
    PushList {
        id: "Kamstrup_",
        manufacturer: *b"KAM",
        about: "Kamstrup, Norway, Sweden, Denmark and Switzerland: names and values every 10 s and hour",
        layouts: &[],
        scaling: &[
            POWER,
            REACTIVE_POWER,
            scaling(CURRENT, 7, -2, Unit::AMPERE),
            scaling(VOLTAGE, 7, 0, Unit::VOLT),
            TEN_WATT_HOURS,
            TEN_VAR_HOURS,
        ],
    },
];

const ACTIVE: &[u8] = &[1, 2, 21, 22, 41, 42, 61, 62];
const REACTIVE: &[u8] = &[3, 4, 23, 24, 43, 44, 63, 64];
const CURRENT: &[u8] = &[31, 51, 71];
const VOLTAGE: &[u8] = &[32, 52, 72];

const POWER: Scaling = scaling(ACTIVE, 7, 0, Unit::WATT);
const REACTIVE_POWER: Scaling = scaling(REACTIVE, 7, 0, Unit::VAR);
const DECIVOLT: Scaling = scaling(VOLTAGE, 7, -1, Unit::VOLT);
const ENERGY: Scaling = scaling(ACTIVE, 8, 0, Unit::WATT_HOUR);
const REACTIVE_ENERGY: Scaling = scaling(REACTIVE, 8, 0, Unit::VAR_HOUR);
const TEN_WATT_HOURS: Scaling = scaling(ACTIVE, 8, 1, Unit::WATT_HOUR);
const TEN_VAR_HOURS: Scaling = scaling(REACTIVE, 8, 1, Unit::VAR_HOUR);

const fn scaling(c: &'static [u8], d: u8, scaler: i8, unit: Unit) -> Scaling {
    Scaling { c, d, scaler_unit: ScalerUnit { scaler, unit } }
}

const fn now(c: u8) -> ObisCode {
    ObisCode::new(1, 0, c, 7, 0, 255)
}

const fn total(c: u8) -> ObisCode {
    ObisCode::new(1, 0, c, 8, 0, 255)
}

const LIST_ID: ObisCode = ObisCode::new(1, 1, 0, 2, 129, 255);
const METER_TYPE: ObisCode = ObisCode::new(0, 0, 96, 1, 7, 255);

const KAIFA_1: &[ObisCode] = &[now(1)];

const KAIFA_2: &[ObisCode] = &[
    LIST_ID,
    ObisCode::DEVICE_ID_1,
    METER_TYPE,
    now(1),
    now(2),
    now(3),
    now(4),
    now(31),
    now(51),
    now(71),
    now(32),
    now(52),
    now(72),
];

const KAIFA_3: &[ObisCode] = &[
    LIST_ID,
    ObisCode::DEVICE_ID_1,
    METER_TYPE,
    now(1),
    now(2),
    now(3),
    now(4),
    now(31),
    now(51),
    now(71),
    now(32),
    now(52),
    now(72),
    ObisCode::CLOCK,
    total(1),
    total(2),
    total(3),
    total(4),
];

const KAIFA_2_SINGLE_PHASE: &[ObisCode] =
    &[LIST_ID, ObisCode::DEVICE_ID_1, METER_TYPE, now(1), now(2), now(3), now(4), now(31), now(32)];

const KAIFA_3_SINGLE_PHASE: &[ObisCode] = &[
    LIST_ID,
    ObisCode::DEVICE_ID_1,
    METER_TYPE,
    now(1),
    now(2),
    now(3),
    now(4),
    now(31),
    now(32),
    ObisCode::CLOCK,
    total(1),
    total(2),
    total(3),
    total(4),
];
