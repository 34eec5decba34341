//! Alarm registers, descriptors and filters of a meter: read, cleared, set.

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
};
use jiff::Timestamp;

use super::derive::{self, Occasion};
use crate::{
    head_end::HeadEnd,
    meter::{MeterId, TimeBasis},
    operation::{
        AttributeRef, GetAttribute, ItemResult, Layer, MeterAccess, RequestError, RequestErrorKind, SetAttribute, Terms,
    },
    store::{EventOrigin, Store},
};

/// Class of all of them: data.
const DATA: ClassId = ClassId(1);
/// Value of a data object.
const VALUE: AttributeId = AttributeId(2);

/// What an alarm object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmObject {
    /// The alarms that stand (0-0:97.98.0 and following).
    Register,
    /// Which events become alarms (0-0:97.98.10 and following).
    Filter,
    /// The alarms that were not acknowledged yet (0-0:97.98.20 and following).
    Descriptor,
}

impl AlarmObject {
    /// Its logical name; `number` is from 1 to 10.
    #[must_use]
    pub const fn obis(self, number: u8) -> ObisCode {
        let first = match self {
            Self::Register => 0,
            Self::Filter => 10,
            Self::Descriptor => 20,
        };
        ObisCode([0, 0, 97, 98, first + number.saturating_sub(1), 255])
    }

    fn attribute(self, number: u8) -> AttributeRef {
        AttributeRef::new(DATA, self.obis(number), VALUE)
    }
}

/// An alarm register as read, with what belongs to it.
#[derive(Clone, Debug)]
pub struct AlarmRegister {
    /// Its number, from 1.
    pub number: u8,
    /// The alarms that stand.
    pub register: ItemResult<u32>,
    /// Which events become alarms; not every meter has it.
    pub filter: ItemResult<u32>,
    /// The alarms that were not acknowledged yet; not every meter has it.
    pub descriptor: ItemResult<u32>,
    /// Bits of the register and what they mean.
    pub alarms: Vec<Alarm>,
}

/// A bit that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Which one, from 0.
    pub bit: u8,
    /// What it means in the meter's table.
    pub name: String,
}

impl<S: Store, A: MeterAccess> HeadEnd<S, A> {
    /// Reads alarm register `number`, from 1, with its filter and descriptor; what is new in it becomes events.
    ///
    /// # Errors
    /// When the operation as a whole failed. A meter without a filter or descriptor says so in those.
    pub async fn read_alarms(
        &self,
        meter: &MeterId,
        number: u8,
        terms: impl Into<Terms>,
    ) -> Result<AlarmRegister, RequestError> {
        let objects = [AlarmObject::Register, AlarmObject::Filter, AlarmObject::Descriptor];
        let asked = objects.map(|object| GetAttribute { attribute: object.attribute(number), selection: None });
        let mut answers = self.get_attributes(meter, asked.to_vec(), terms).await?.into_iter();
        let mut next = || match answers.next() {
            Some(Ok(answer)) => bits(&answer.value),
            Some(Err(error)) => Err(error),
            None => Err(RequestError::new(RequestErrorKind::Protocol, Layer::HeadEnd, "a result is missing")),
        };
        let (register, filter, descriptor) = (next(), next(), next());
        let alarms = match &register {
            Ok(value) => self.note_alarms(meter, AlarmObject::Register.obis(number), *value).await?,
            Err(_) => Vec::new(),
        };
        Ok(AlarmRegister { number, register, filter, descriptor, alarms })
    }

    /// Clears bits of an alarm register: what stands and is not in `keep` is written back as 0. Where the meter has a
    /// descriptor, the same bits are cleared in it.
    ///
    /// # Errors
    /// As [`set_attributes`](Self::set_attributes); nothing was written when reading failed.
    pub async fn clear_alarms(
        &self,
        meter: &MeterId,
        number: u8,
        mask: u32,
        terms: impl Into<Terms>,
    ) -> Result<AlarmRegister, RequestError> {
        let terms = terms.into();
        let before = self.read_alarms(meter, number, terms).await?;
        let mut written = Vec::new();
        for (object, value) in
            [(AlarmObject::Register, &before.register), (AlarmObject::Descriptor, &before.descriptor)]
        {
            if let Ok(value) = value
                && value & mask != 0
            {
                written.push((object, value & !mask));
            }
        }
        let sets = written.iter().map(|(object, value)| set(object.attribute(number), *value)).collect::<Vec<_>>();
        if !sets.is_empty() {
            for result in self.set_attributes(meter, sets, terms).await? {
                result?;
            }
        }
        for (object, value) in written {
            let kept = self.registry().store().swap_alarms(meter, object.obis(number), value).await;
            kept.map_err(RequestError::from)?;
        }
        self.read_alarms(meter, number, terms).await
    }

    /// Sets which events become alarms.
    ///
    /// # Errors
    /// As [`set_attributes`](Self::set_attributes).
    pub async fn set_alarm_filter(
        &self,
        meter: &MeterId,
        number: u8,
        filter: u32,
        terms: impl Into<Terms>,
    ) -> Result<(), RequestError> {
        let sets = vec![set(AlarmObject::Filter.attribute(number), filter)];
        self.set_attributes(meter, sets, terms).await?.into_iter().collect()
    }

    /// Records what is new in an alarm register that was read, and names what stands.
    async fn note_alarms(&self, meter: &MeterId, register: ObisCode, value: u32) -> Result<Vec<Alarm>, RequestError> {
        let now = Timestamp::now();
        let occasion = Occasion {
            time: now,
            time_basis: TimeBasis::Received,
            clock: None,
            origin: EventOrigin::AlarmRegister,
            received: now,
        };
        let record = self.registry().get(meter).await.map_err(RequestError::from)?;
        let Some(table) = self.events().table_of(&record) else { return Ok(Vec::new()) };
        let standing = derive::of_alarms(meter, register, value, table, occasion);
        let store = &**self.registry().store();
        self.events().record_alarms(store, meter, register, value, standing.clone()).await?;
        let alarm = |bit: u32, name| u8::try_from(bit).ok().map(|bit| Alarm { bit, name });
        Ok(standing.into_iter().filter_map(|event| alarm(event.code?, event.name)).collect())
    }
}

fn set(attribute: AttributeRef, value: u32) -> SetAttribute {
    SetAttribute { attribute, selection: None, value: Value::DoubleLongUnsigned(value) }
}

/// The bits of an alarm register: a number, as IDIS and DSMR have it, or a bit string, whose first bit is bit 0.
fn bits(value: &Value) -> ItemResult<u32> {
    if let Value::BitString(string) = value {
        let bits = string.as_bits();
        return Ok((0..bits.len().min(32)).filter(|n| bits.get(*n) == Some(true)).fold(0, |sum, n| sum | 1 << n));
    }
    let number = value.as_data().and_then(|data| data.as_u64()).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| {
        let message = format!("the alarm register is no number of 32 bits but {}", value.type_name());
        RequestError::new(RequestErrorKind::Protocol, Layer::Meter, message)
    })
}
