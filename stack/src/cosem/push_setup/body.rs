//! Values with their names out of the body of a push.
//!
//! A body does not say what it is made of. Four ways are in use: a list of structures that each begin with an OBIS code,
//! a flat list in which values follow their codes, a first element that is the push object list itself, and bare values
//! whose names are in a document of the grid operator.

use super::lists::{PushList, push_list};
use crate::axdr::{Data, Elements};
use crate::id::{AttributeId, ClassId};
use crate::obis::ObisCode;
use crate::unit::{ScalerUnit, Unit};

/// A value of a push with its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PushRow<'a> {
    /// Logical name of the object.
    pub instance: ObisCode,
    /// Where the name comes from.
    pub named: Named,
    /// The value.
    pub value: Data<'a>,
    /// Scaler and unit, when they came along.
    pub scaler_unit: Option<ScalerUnit>,
    /// Scaler and unit that the document has in which the list is published.
    pub published_scaler_unit: Option<ScalerUnit>,
}

impl PushRow<'_> {
    /// Scaler and unit that came along, or else those of the document.
    #[must_use]
    pub const fn scaling(&self) -> Option<ScalerUnit> {
        match self.scaler_unit {
            Some(sent) => Some(sent),
            None => self.published_scaler_unit,
        }
    }
}

/// Where the name of a pushed value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It stands in front of the value.
    Beside,
    /// The push object list, which says the attribute as well. Attribute 0 means a structure of all attributes.
    Listed(ClassId, AttributeId),
    /// A published list.
    Published,
}

/// Iterator over the values of a push that have a name. What has none is passed over; the body itself keeps all.
#[derive(Clone, Debug)]
pub struct PushRows<'a> {
    rows: Rows<'a>,
    list: Option<&'static PushList>,
}

#[derive(Clone, Debug)]
enum Rows<'a> {
    Listed { entries: Elements<'a>, values: Elements<'a> },
    Named { levels: [Option<Level<'a>>; DEPTH] },
    Positional { names: core::slice::Iter<'static, ObisCode>, values: Elements<'a> },
}

/// Structures inside structures that are looked into: one more than any body seen.
const DEPTH: usize = 4;

#[derive(Clone, Debug)]
struct Level<'a> {
    elements: Elements<'a>,
    /// A structure of a name, a value and perhaps scaler and unit: there the value cannot be another name.
    is_row: bool,
}

impl<'a> PushRows<'a> {
    /// Reads a body by what it says itself: names, a push object list in front, or the identifier of a list that is
    /// [known](push_list). `None` when it is no list of values.
    #[must_use]
    pub fn new(body: &Data<'a>) -> Option<Self> {
        let elements = body.as_sequence()?;
        let first = elements.get(0)?;
        if matches!(body, Data::Structure(_))
            && let Data::Array(objects) = first
            && is_object_list(&first)
        {
            // The list's own entry is the first one, and the list its value.
            return Self::listed(objects.iter(), elements.iter());
        }
        let list = first.as_bytes().and_then(push_list);
        match list.and_then(|list| list.layout(elements.len())) {
            Some(names) => Some(Self { rows: Rows::Positional { names: names.iter(), values: elements.iter() }, list }),
            None => {
                let level = Level { elements: elements.iter(), is_row: false };
                Some(Self { rows: Rows::Named { levels: [Some(level), None, None, None] }, list })
            }
        }
    }

    /// Reads a body by a push object list, which is attribute 2 of the push setup in any version. `None` when there are
    /// more or fewer values than entries, or when one of the two is no list.
    #[must_use]
    pub fn with_objects(objects: &Data<'a>, body: &Data<'a>) -> Option<Self> {
        let (entries, values) = (objects.as_array()?.iter(), body.as_structure()?.iter());
        (entries.len() == values.len() && is_object_list(objects))
            .then_some(Self { rows: Rows::Listed { entries, values }, list: None })
    }

    /// Reads a body of bare values by a list that the receiver knows to be in use. `None` when the list has no layout
    /// with as many values.
    #[must_use]
    pub fn with_list(list: &'static PushList, body: &Data<'a>) -> Option<Self> {
        let values = body.as_structure()?;
        let names = list.layout(values.len())?.iter();
        Some(Self { rows: Rows::Positional { names, values: values.iter() }, list: Some(list) })
    }

    /// Values behind a list that is the first of them and may or may not list itself. `None` when there are more or
    /// fewer values than entries: nobody could say which is which.
    fn listed(entries: Elements<'a>, values: Elements<'a>) -> Option<Self> {
        let (mut entries, mut values) = (entries, values);
        if entries.len() == values.len() {
            entries.next();
        }
        values.next();
        (entries.len() == values.len()).then_some(Self { rows: Rows::Listed { entries, values }, list: None })
    }
}

impl<'a> Iterator for PushRows<'a> {
    type Item = PushRow<'a>;

    fn next(&mut self) -> Option<PushRow<'a>> {
        let (instance, named, value, scaler_unit) = match &mut self.rows {
            Rows::Listed { entries, values } => {
                let (class_id, instance, attribute) = entry(&entries.next()?)?;
                (instance, Named::Listed(class_id, attribute), values.next()?, None)
            }
            Rows::Positional { names, values } => (*names.next()?, Named::Published, values.next()?, None),
            Rows::Named { levels } => {
                let (instance, value, scaler_unit) = named_value(levels)?;
                (instance, Named::Beside, value, scaler_unit)
            }
        };
        // The document that follows from a list's identifier counts for all values behind it.
        if let ([_, _, 0, 2, 129, _], Some(id)) = (instance.0, value.as_bytes()) {
            self.list = push_list(id).or(self.list);
        }
        let published_scaler_unit = self.list.and_then(|list| list.scaler_unit(instance));
        Some(PushRow { instance, named, value, scaler_unit, published_scaler_unit })
    }
}

/// A name, the value behind it, and its scaler and unit if they are there.
type NamedValue<'a> = (ObisCode, Data<'a>, Option<ScalerUnit>);

/// The next name with a value behind it.
fn named_value<'a>(levels: &mut [Option<Level<'a>>; DEPTH]) -> Option<NamedValue<'a>> {
    loop {
        let depth = levels.iter().rposition(Option::is_some)?;
        let level = levels.get_mut(depth)?.as_mut()?;
        let Some(first) = level.elements.next() else {
            *levels.get_mut(depth)? = None;
            continue;
        };
        if let Some(instance) = name(&first) {
            let mut ahead = level.elements.clone();
            let value = ahead.next().filter(|value| value.as_sequence().is_none());
            // What looks like a name behind a name is one, unless the two stand alone.
            let Some(value) = value.filter(|value| level.is_row || name(value).is_none()) else { continue };
            level.elements = ahead.clone();
            let scaler_unit = ahead.next().as_ref().and_then(scaler_unit);
            if scaler_unit.is_some() {
                level.elements = ahead;
            }
            return Some((instance, value, scaler_unit));
        }
        if let (Some(inner), Some(place)) = (first.as_sequence(), levels.get_mut(depth.saturating_add(1))) {
            let is_row = matches!(first, Data::Structure(_)) && inner.len() <= 3;
            *place = Some(Level { elements: inner.iter(), is_row });
        }
    }
}

/// An OBIS code of a current value.
fn name(data: &Data<'_>) -> Option<ObisCode> {
    data.as_obis().filter(|code| matches!(code.0, [.., 0xFF]))
}

fn scaler_unit(data: &Data<'_>) -> Option<ScalerUnit> {
    match data.as_members()? {
        [Data::Integer(scaler), Data::Enum(unit)] => Some(ScalerUnit { scaler, unit: Unit(unit) }),
        _ => None,
    }
}

/// Class, logical name and attribute: the first members of an entry in all versions.
fn entry(data: &Data<'_>) -> Option<(ClassId, ObisCode, AttributeId)> {
    let mut members = data.as_structure().filter(|members| members.len() >= 4)?.iter();
    let class_id = ClassId(members.next()?.as_u16()?);
    let instance = members.next()?.as_obis()?;
    Some((class_id, instance, AttributeId(members.next()?.as_i8()?)))
}

fn is_object_list(data: &Data<'_>) -> bool {
    data.as_array().is_some_and(|entries| !entries.is_empty() && entries.iter().all(|data| entry(&data).is_some()))
}
