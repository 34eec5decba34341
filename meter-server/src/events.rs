//! Events of a meter: their codes as IDIS meters number them, and the logs that they go to.
//!
//! Codes 1 to 94 are common to IDIS meters; those of the M-Bus channels and of the communication log are from published
//! lists of single makes. DSMR meters number some of them otherwise.

/// Which log an event goes to: 0.0.99.98.e.255, with the event object 0.0.96.11.e.255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKind {
    /// 0.0.99.98.0.255.
    Standard,
    /// 0.0.99.98.1.255.
    Fraud,
    /// 0.0.99.98.2.255.
    Disconnector,
    /// 0.0.99.98.3.255.
    MBus,
    /// 0.0.99.98.4.255.
    PowerQuality,
    /// 0.0.99.98.5.255.
    Communication,
}

impl LogKind {
    /// All logs.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Fraud, Self::Disconnector, Self::MBus, Self::PowerQuality, Self::Communication];

    /// Value group E of the log and of its event object.
    #[must_use]
    pub const fn group_e(self) -> u8 {
        match self {
            Self::Standard => 0,
            Self::Fraud => 1,
            Self::Disconnector => 2,
            Self::MBus => 3,
            Self::PowerQuality => 4,
            Self::Communication => 5,
        }
    }

    /// The log with this value group E.
    #[must_use]
    pub fn from_group_e(e: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.group_e() == e)
    }
}

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKind {
    /// The code.
    pub code: u8,
    /// Where it is entered. Clearing a log is entered in that log, whichever it is.
    pub log: LogKind,
    /// What happened.
    pub name: &'static str,
}

macro_rules! events {
    ($($constant:ident = $code:literal, $log:ident, $name:literal;)*) => {
        /// The codes.
        pub mod code {
            $(
                #[doc = concat!("Event ", stringify!($code), ": ", $name, ".")]
                pub const $constant: u8 = $code;
            )*
        }

        /// All events but those of M-Bus channels, in the order of their codes.
        pub const EVENTS: &[EventKind] = &[$(EventKind { code: $code, log: LogKind::$log, name: $name },)*];
    };
}

events! {
    POWER_DOWN = 1, Standard, "power down";
    POWER_UP = 2, Standard, "power up";
    DAYLIGHT_SAVING = 3, Standard, "daylight saving changed";
    CLOCK_OLD_TIME = 4, Standard, "clock adjusted, old time";
    CLOCK_NEW_TIME = 5, Standard, "clock adjusted, new time";
    CLOCK_INVALID = 6, Standard, "clock invalid";
    REPLACE_BATTERY = 7, Standard, "replace battery";
    BATTERY_LOW = 8, Standard, "battery voltage low";
    TARIFF_ACTIVATED = 9, Standard, "passive tariff activated";
    ERROR_REGISTER_CLEARED = 10, Standard, "error register cleared";
    ALARM_REGISTER_CLEARED = 11, Standard, "alarm register cleared";
    PROGRAM_MEMORY_ERROR = 12, Standard, "program memory error";
    RAM_ERROR = 13, Standard, "RAM error";
    NV_MEMORY_ERROR = 14, Standard, "non-volatile memory error";
    WATCHDOG_ERROR = 15, Standard, "watchdog error";
    MEASUREMENT_ERROR = 16, Standard, "measurement system error";
    FIRMWARE_READY = 17, Standard, "firmware ready for activation";
    FIRMWARE_ACTIVATED = 18, Standard, "firmware activated";
    PASSIVE_TARIFF_PROGRAMMED = 19, Standard, "passive tariff programmed";
    EXTERNAL_ALERT = 20, Standard, "external alert";
    TERMINAL_COVER_REMOVED = 40, Fraud, "terminal cover removed";
    TERMINAL_COVER_CLOSED = 41, Fraud, "terminal cover closed";
    MAGNETIC_FIELD = 42, Fraud, "strong magnetic field";
    NO_MAGNETIC_FIELD = 43, Fraud, "no strong magnetic field any more";
    METER_COVER_REMOVED = 44, Fraud, "meter cover removed";
    METER_COVER_CLOSED = 45, Fraud, "meter cover closed";
    AUTHENTICATION_FAILURE = 46, Fraud, "association authentication failed";
    PARAMETERS_CHANGED = 47, Standard, "parameters changed";
    KEYS_CHANGED = 48, Standard, "security keys changed";
    DECRYPTION_FAILURE = 49, Fraud, "decryption or authentication of a message failed";
    REPLAY = 50, Fraud, "replay attack";
    FIRMWARE_VERIFICATION_FAILED = 51, Standard, "firmware verification failed";
    UNEXPECTED_CONSUMPTION = 52, Standard, "consumption although disconnected";
    READY_FOR_RECONNECTION = 59, Disconnector, "disconnector ready for manual reconnection";
    MANUAL_DISCONNECTION = 60, Disconnector, "manual disconnection";
    MANUAL_CONNECTION = 61, Disconnector, "manual connection";
    REMOTE_DISCONNECTION = 62, Disconnector, "remote disconnection";
    REMOTE_CONNECTION = 63, Disconnector, "remote connection";
    LOCAL_DISCONNECTION = 64, Disconnector, "local disconnection";
    LIMITER_EXCEEDED = 65, Disconnector, "limiter threshold exceeded";
    LIMITER_OK = 66, Disconnector, "limiter threshold kept again";
    LIMITER_CHANGED = 67, Disconnector, "limiter threshold changed";
    SWITCH_FAILURE = 68, Disconnector, "disconnection or reconnection failed";
    LOCAL_RECONNECTION = 69, Disconnector, "local reconnection";
    MONITOR_1_EXCEEDED = 70, PowerQuality, "supervision monitor 1 exceeded";
    MONITOR_1_OK = 71, PowerQuality, "supervision monitor 1 kept again";
    MONITOR_2_EXCEEDED = 72, PowerQuality, "supervision monitor 2 exceeded";
    MONITOR_2_OK = 73, PowerQuality, "supervision monitor 2 kept again";
    MONITOR_3_EXCEEDED = 74, PowerQuality, "supervision monitor 3 exceeded";
    MONITOR_3_OK = 75, PowerQuality, "supervision monitor 3 kept again";
    UNDERVOLTAGE_L1 = 76, PowerQuality, "undervoltage L1";
    UNDERVOLTAGE_L2 = 77, PowerQuality, "undervoltage L2";
    UNDERVOLTAGE_L3 = 78, PowerQuality, "undervoltage L3";
    OVERVOLTAGE_L1 = 79, PowerQuality, "overvoltage L1";
    OVERVOLTAGE_L2 = 80, PowerQuality, "overvoltage L2";
    OVERVOLTAGE_L3 = 81, PowerQuality, "overvoltage L3";
    MISSING_VOLTAGE_L1 = 82, PowerQuality, "missing voltage L1";
    MISSING_VOLTAGE_L2 = 83, PowerQuality, "missing voltage L2";
    MISSING_VOLTAGE_L3 = 84, PowerQuality, "missing voltage L3";
    VOLTAGE_NORMAL_L1 = 85, PowerQuality, "voltage L1 normal";
    VOLTAGE_NORMAL_L2 = 86, PowerQuality, "voltage L2 normal";
    VOLTAGE_NORMAL_L3 = 87, PowerQuality, "voltage L3 normal";
    PHASE_SEQUENCE_REVERSAL = 88, PowerQuality, "phase sequence reversed";
    MISSING_NEUTRAL = 89, PowerQuality, "missing neutral";
    PHASE_ASYMMETRY = 90, PowerQuality, "phase asymmetry";
    CURRENT_REVERSAL = 91, Fraud, "current reversed";
    BAD_VOLTAGE_L1 = 92, PowerQuality, "bad voltage quality L1";
    BAD_VOLTAGE_L2 = 93, PowerQuality, "bad voltage quality L2";
    BAD_VOLTAGE_L3 = 94, PowerQuality, "bad voltage quality L3";
    NO_CONNECTION = 140, Communication, "no connection for too long";
    MODEM_INITIALISATION_FAILURE = 141, Communication, "modem initialisation failed";
    SIM_FAILURE = 142, Communication, "SIM card failure";
    SIM_OK = 143, Communication, "SIM card ok";
    GSM_REGISTRATION_FAILURE = 144, Communication, "GSM registration failed";
    GPRS_REGISTRATION_FAILURE = 145, Communication, "GPRS registration failed";
    PDP_ESTABLISHED = 146, Communication, "PDP context established";
    PDP_DESTROYED = 147, Communication, "PDP context destroyed";
    PDP_FAILURE = 148, Communication, "PDP context failed";
    MODEM_SOFTWARE_RESET = 149, Communication, "modem reset by software";
    MODEM_HARDWARE_RESET = 150, Communication, "modem reset by hardware";
    GSM_OUTGOING = 151, Communication, "GSM outgoing connection";
    GSM_INCOMING = 152, Communication, "GSM incoming connection";
    GSM_HANG_UP = 153, Communication, "GSM hang-up";
    INITIALISATION_STRING_FAILURE = 155, Communication, "initialisation string of the user failed";
    SIGNAL_LOW = 156, Communication, "signal quality low";
    CALLS_EXCEEDED = 157, Communication, "auto-answer calls exceeded";
    LOCAL_COMMUNICATION = 158, Communication, "local communication attempt";
    PROFILE_CLEARED = 254, Standard, "load profile cleared";
    LOG_CLEARED = 255, Standard, "log cleared";
}

/// What happens at one of the four M-Bus channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MBusEvent {
    /// The device does not answer.
    CommunicationError,
    /// It answers again.
    CommunicationOk,
    /// Its battery is low or to be replaced.
    Battery,
    /// It reports an attempt of fraud.
    Fraud,
    /// Its clock was adjusted.
    ClockAdjusted,
    /// It is new.
    NewDevice,
    /// It has an error that stays.
    PermanentError,
    /// Its battery is dead.
    BatteryDead,
    /// Disconnected by hand.
    ManualDisconnection,
    /// Connected by hand.
    ManualConnection,
    /// Disconnected remotely.
    RemoteDisconnection,
    /// Connected remotely.
    RemoteConnection,
    /// Its valve reports an alarm.
    ValveAlarm,
}

/// The codes of the first channel; each further channel has those ten higher.
const MBUS: [(u8, MBusEvent, &str); 13] = [
    (100, MBusEvent::CommunicationError, "M-Bus communication error"),
    (101, MBusEvent::CommunicationOk, "M-Bus communication ok"),
    (102, MBusEvent::Battery, "M-Bus device: replace battery"),
    (103, MBusEvent::Fraud, "M-Bus device: fraud attempt"),
    (104, MBusEvent::ClockAdjusted, "M-Bus device: clock adjusted"),
    (105, MBusEvent::NewDevice, "new M-Bus device"),
    (106, MBusEvent::PermanentError, "M-Bus device: permanent error"),
    (107, MBusEvent::BatteryDead, "M-Bus device: battery dead"),
    (160, MBusEvent::ManualDisconnection, "M-Bus device: manual disconnection"),
    (161, MBusEvent::ManualConnection, "M-Bus device: manual connection"),
    (162, MBusEvent::RemoteDisconnection, "M-Bus device: remote disconnection"),
    (163, MBusEvent::RemoteConnection, "M-Bus device: remote connection"),
    (164, MBusEvent::ValveAlarm, "M-Bus device: valve alarm"),
];

/// Channels that have event codes.
const CHANNELS: core::ops::RangeInclusive<u8> = 1..=4;

impl MBusEvent {
    /// The code at a channel from 1 to 4.
    #[must_use]
    pub fn code(self, channel: u8) -> Option<u8> {
        let (base, ..) = MBUS.into_iter().find(|(_, event, _)| *event == self)?;
        CHANNELS.contains(&channel).then(|| base.saturating_add(channel.saturating_sub(1).saturating_mul(10)))
    }

    /// Event and channel of a code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<(Self, u8)> {
        mbus(code).map(|((_, event, _), channel)| (event, channel))
    }
}

fn mbus(code: u8) -> Option<((u8, MBusEvent, &'static str), u8)> {
    CHANNELS.into_iter().find_map(|channel| {
        let base = code.checked_sub(channel.saturating_sub(1).saturating_mul(10))?;
        MBUS.into_iter().find(|(first, ..)| *first == base).map(|found| (found, channel))
    })
}

/// What a code means; `None` for one that no list has. Codes from 200 on are the maker's, mostly of the fraud log.
#[must_use]
pub fn event(code: u8) -> Option<EventKind> {
    if let Some(found) = EVENTS.iter().find(|event| event.code == code) {
        return Some(*found);
    }
    mbus(code).map(|((_, _, name), _)| EventKind { code, log: LogKind::MBus, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_once_and_goes_to_its_log() {
        assert!(EVENTS.is_sorted_by(|a, b| a.code < b.code));
        for code in 0..=u8::MAX {
            assert!(!(EVENTS.iter().any(|event| event.code == code) && MBusEvent::from_code(code).is_some()), "{code}");
        }
        // The ranges that the published lists give to the logs.
        for event in EVENTS {
            let log = match event.code {
                1..=20 | 47 | 48 | 51 | 52 | 254 | 255 => LogKind::Standard,
                40..=46 | 49 | 50 | 91 => LogKind::Fraud,
                59..=69 => LogKind::Disconnector,
                70..=94 => LogKind::PowerQuality,
                140..=158 => LogKind::Communication,
                other => panic!("event {other} is in no list"),
            };
            assert_eq!(event.log, log, "{}", event.code);
        }
    }

    #[test]
    fn channels_count_in_tens() {
        assert_eq!(MBusEvent::Fraud.code(1), Some(103));
        assert_eq!(MBusEvent::ValveAlarm.code(4), Some(194));
        assert_eq!(MBusEvent::ValveAlarm.code(5), None);
        assert_eq!(MBusEvent::from_code(135), Some((MBusEvent::NewDevice, 4)));
        assert_eq!(MBusEvent::from_code(158), None);
        assert_eq!(event(116).map(|event| event.log), Some(LogKind::MBus));
        assert_eq!(event(0), None);
    }
}
