//! Class 66, Measurement data monitoring: samples of a wave form around an event. Known from one source only.

use super::{Any, Enumerated, Zero};
use crate::unit;

interface_class! {
    "Measurement data monitoring" = 66, versions 0..=0, methods at 0x48;
    attributes {
        /// The samples, as a compact array.
        2 WaveformData waveform_data, dynamic: Any<'a>;
        /// Microseconds from 1970-01-01 00:00 UTC to the event.
        3 TriggerTime trigger_time, dynamic: u64;
        /// What the event was.
        4 TriggerSource trigger_source, dynamic: Trigger;
        /// State of the object.
        5 Status status, dynamic: Enumerated;
        /// Samples in a second.
        6 SamplingRate sampling_rate/set_sampling_rate, static: u32;
        /// Samples before the event.
        7 SamplesBefore number_of_samples_before_trigger/set_number_of_samples_before_trigger, static: u32;
        /// Samples after the event.
        8 SamplesAfter number_of_samples_after_trigger/set_number_of_samples_after_trigger, static: u32;
        /// Scaler and unit of the samples.
        9 ScalerUnit scaler_unit, static: unit::ScalerUnit;
    }
    methods {
        /// Forgets the samples.
        1 Reset reset: Zero;
        /// Takes samples now.
        2 TriggerNow trigger: Zero;
    }
}

structure! {
    /// What made an object take samples.
    Trigger "structure of trigger source" {
        /// 0 a client, 1 a script.
        source: Enumerated,
        /// Identifier of the source.
        identifier: u16,
    }
}
