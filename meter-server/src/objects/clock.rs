//! Clock (class 8, version 0).

mod settings;

pub use settings::{ClockSettings, PresetTime};

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::{Data, Writer};
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};

use crate::moment::Moment;
use crate::object::{Context, Object, Read, as_action, done};

/// Bounds of `shift_time`, in seconds (Blue Book, clock, method 6).
const SHIFT_SECONDS_MIN: i16 = -900;
const SHIFT_SECONDS_MAX: i16 = 900;

/// The clock of a meter: a display of true time that may be off.
pub trait ClockState {
    /// Time zone and daylight saving rules.
    fn settings(&self) -> &ClockSettings;

    /// Time zone and daylight saving rules, to be changed.
    fn settings_mut(&mut self) -> &mut ClockSettings;

    /// What the clock takes the true moment `at` for.
    fn shown(&self, at: Moment) -> Moment;

    /// Sets the clock: at the true moment `at` it is to show `shown`.
    fn set_shown(&mut self, at: Moment, shown: Moment);

    /// Status bits that say how far the clock can be trusted; the daylight saving bit is added by the object.
    fn trust(&self, at: Moment) -> ClockStatus {
        let _ = at;
        ClockStatus::OK
    }

    /// The true moment `at` as the clock shows it.
    fn local_time(&self, at: Moment) -> DateTime {
        self.settings().local(self.shown(at), self.trust(at))
    }
}

/// The meter's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Logical name.
    pub instance: ObisCode,
}

impl<S: ClockState + ?Sized> Object<S> for Clock {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(8)
    }

    fn attributes(&self) -> i8 {
        9
    }

    fn methods(&self) -> i8 {
        6
    }

    fn read(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        request: Read<'_>,
        _: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        let settings = state.settings();
        done(match request.attribute.0 {
            2 => out.date_time(&state.local_time(cx.at)),
            3 => out.long(settings.time_zone_min),
            4 => out.unsigned(state.local_time(cx.at).status().unwrap_or(ClockStatus::OK).0),
            5 => out.date_time(&settings.daylight_begin),
            6 => out.date_time(&settings.daylight_end),
            7 => out.integer(settings.daylight_deviation_min),
            8 => out.boolean(settings.daylight_enabled),
            9 => out.enumerated(settings.clock_base),
            _ => return Err(DataAccessResult::ReadWriteDenied),
        })
    }

    fn write(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        attribute: AttributeId,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        const WRONG: DataAccessResult = DataAccessResult::TypeUnmatched;
        match attribute.0 {
            2 => {
                let time = value.as_date_time().ok_or(WRONG)?;
                let shown = state.settings().utc(time).ok_or(DataAccessResult::OtherReason)?;
                state.set_shown(cx.at, shown);
            }
            3 => {
                let Data::Long(minutes @ -840..=840) = value else { return Err(WRONG) };
                state.settings_mut().time_zone_min = minutes;
            }
            5 => state.settings_mut().daylight_begin = value.as_date_time().ok_or(WRONG)?,
            6 => state.settings_mut().daylight_end = value.as_date_time().ok_or(WRONG)?,
            7 => {
                let Data::Integer(minutes @ -120..=120) = value else { return Err(WRONG) };
                state.settings_mut().daylight_deviation_min = minutes;
            }
            8 => {
                let Data::Boolean(enabled) = value else { return Err(WRONG) };
                state.settings_mut().daylight_enabled = enabled;
            }
            _ => return Err(DataAccessResult::ReadWriteDenied),
        }
        Ok(())
    }

    fn invoke(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        method: MethodId,
        parameter: Option<Data<'_>>,
        _: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        let shown = state.shown(cx.at);
        let adjusted = match method.0 {
            1 => nearest(shown, 900_000),
            2 => nearest(shown, i64::from(state.settings().measuring_period_seconds).saturating_mul(1000)),
            3 => nearest(shown, 60_000),
            4 => {
                let preset = state.settings().preset.ok_or(ActionResult::TemporaryFailure)?;
                if shown < preset.valid_from || shown > preset.valid_to {
                    return Err(ActionResult::TemporaryFailure);
                }
                state.settings_mut().preset = None;
                preset.time
            }
            5 => return preset(state.settings_mut(), parameter),
            6 => match parameter {
                Some(Data::Long(seconds @ SHIFT_SECONDS_MIN..=SHIFT_SECONDS_MAX)) => {
                    shown.plus_millis(i64::from(seconds).saturating_mul(1000))
                }
                Some(Data::Long(_)) => return Err(ActionResult::OtherReason),
                _ => return Err(ActionResult::TypeUnmatched),
            },
            _ => return Err(ActionResult::ReadWriteDenied),
        };
        state.set_shown(cx.at, adjusted);
        Ok(())
    }
}

/// The multiple of `unit_ms` that is nearest; the later one when both are equally near.
fn nearest(moment: Moment, unit_ms: i64) -> Moment {
    let unit_ms = unit_ms.max(1);
    let raised = moment.as_millis().saturating_add(unit_ms.wrapping_div(2));
    Moment::from_millis(raised.saturating_sub(raised.rem_euclid(unit_ms)))
}

/// `preset_adjusting_time`: a structure of the time and the interval in which it may be put in force.
fn preset(settings: &mut ClockSettings, parameter: Option<Data<'_>>) -> Result<(), ActionResult> {
    let members = parameter.and_then(|data| data.as_members::<3>()).ok_or(ActionResult::TypeUnmatched)?;
    let mut moments = [Moment::default(); 3];
    for (moment, member) in moments.iter_mut().zip(members) {
        let time = member.as_date_time().ok_or(ActionResult::TypeUnmatched)?;
        *moment = settings.utc(time).ok_or(as_action(DataAccessResult::OtherReason))?;
    }
    let [time, valid_from, valid_to] = moments;
    settings.preset = Some(PresetTime { time, valid_from, valid_to });
    Ok(())
}

#[cfg(test)]
mod tests;
