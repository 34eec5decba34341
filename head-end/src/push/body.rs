//! The values of a notification with their names.

use dlms::{
    apdu::Apdu,
    axdr::{Data, Value},
    cosem::push_setup::{Named, PushRows},
    id::{AttributeId, ClassId, SystemTitle},
    obis::ObisCode,
    time::DateTime,
    unit::ScalerUnit,
};

use super::{BodyShape, Templates};
use crate::operation::CaptureColumn;

/// Values of one notification, at most: a body of 64 KiB can hold more, and none that was seen comes near.
const VALUES: usize = 4_096;
/// Elements at the beginning of a body among which it names its push setup.
const HEAD: usize = 3;

/// A value and what it is.
pub(super) type Cell = (CaptureColumn, Value);

/// The values of a notification.
#[derive(Debug)]
pub(super) struct Body {
    /// How they were named, for people.
    pub(super) by: String,
    /// The push setup that sent it, where the body names it.
    pub(super) push_setup: Option<ObisCode>,
    /// When it was made, by its header.
    pub(super) time: Option<DateTime>,
    /// The values.
    pub(super) cells: Vec<Cell>,
}

/// What can be said about a notification.
#[derive(Debug)]
pub(super) enum Understood {
    /// Its values have names.
    Named(Body),
    /// It comes from a push setup whose object list would say them.
    Needs(ObisCode),
    /// Nothing.
    Unknown(&'static str),
}

/// Names the values of `apdu`: by `templates` of the user and then by what the body says of itself, by the object list of its push
/// setup that `objects` gives, where that is known, and by the templates that are built in.
pub(super) fn understand(
    apdu: &Apdu<'_>,
    title: Option<SystemTitle>,
    templates: &Templates,
    objects: Option<&[CaptureColumn]>,
) -> Understood {
    let (time, data) = match apdu {
        Apdu::DataNotification(sent) => (sent.time, sent.body),
        Apdu::EventNotification(sent) => {
            let column = column(sent.attribute.class, sent.attribute.instance, sent.attribute.attribute, None);
            let cells = vec![(column, Value::from(sent.value))];
            return Understood::Named(Body {
                by: "event notification".to_owned(),
                push_setup: None,
                time: sent.time,
                cells,
            });
        }
        _ => return Understood::Unknown("its values have short names"),
    };
    let Some(elements) = data.as_sequence() else {
        return Understood::Unknown("its body is no list of values");
    };
    // A body that begins with the object list itself says all.
    if let Some(Data::Array(_)) = elements.get(0)
        && let Some(rows) = PushRows::new(&data)
    {
        let cells = cells(rows);
        let setup = cells.first().map(|(column, _)| column).filter(|column| column.class.0 == 40);
        let push_setup = setup.map(|column| column.obis);
        return match cells.is_empty() {
            true => Understood::Unknown("its object list fits its values badly"),
            false => Understood::Named(Body { by: "object list in the body".to_owned(), push_setup, time, cells }),
        };
    }
    let push_setup = elements.iter().take(HEAD).find_map(|element| element.as_obis().filter(is_push_setup));
    let named = |by: &str, cells: Vec<Cell>| Understood::Named(Body { by: by.to_owned(), push_setup, time, cells });
    let values = || elements.iter().take(VALUES).map(Value::from);
    if let Some(objects) = objects.filter(|objects| objects.len() == elements.len()) {
        return named("push object list of the meter", objects.iter().copied().zip(values()).collect());
    }
    let shape = BodyShape { title, push_setup, values: elements.len() };
    if let Some(template) = templates.find(&shape) {
        if let Some(columns) = template.columns() {
            return named(template.name(), columns.into_iter().zip(values()).collect());
        }
        if let Some(rows) = template.published().and_then(|list| PushRows::with_list(list, &data)) {
            return named(template.name(), cells(rows));
        }
    }
    match (push_setup, PushRows::new(&data)) {
        (None, Some(rows)) => {
            let cells = cells(rows);
            if cells.is_empty() {
                Understood::Unknown("no value has a name")
            } else {
                named("names in the body", cells)
            }
        }
        (Some(setup), _) if objects.is_none() => Understood::Needs(setup),
        (Some(_), _) => Understood::Unknown("it has other values than the object list of its push setup"),
        (None, None) => Understood::Unknown("no value has a name"),
    }
}

fn cells(rows: PushRows<'_>) -> Vec<Cell> {
    let mut cells = Vec::new();
    for row in rows.take(VALUES) {
        let scaling = row.scaling();
        match row.named {
            Named::Listed(class, AttributeId(0)) => cells.extend(whole_object(class, row.instance, &row.value)),
            Named::Listed(class, attribute) => {
                cells.push((column(class, row.instance, attribute, scaling), Value::from(row.value)));
            }
            Named::Beside | Named::Published => {
                let class = likely_class(row.instance, &row.value, scaling);
                cells.push((column(class, row.instance, AttributeId(2), scaling), Value::from(row.value)));
            }
        }
    }
    cells
}

/// All attributes of a register as one structure: its value, with the scaler and unit behind it.
fn whole_object(class: ClassId, instance: ObisCode, data: &Data<'_>) -> Option<Cell> {
    let attributes = data.as_structure()?;
    let value = Value::from(attributes.get(1)?);
    let scaling = match (class.0, attributes.get(2).as_ref().and_then(Data::as_members)) {
        (3 | 4, Some([Data::Integer(scaler), Data::Enum(unit)])) => {
            Some(ScalerUnit { scaler, unit: dlms::unit::Unit(unit) })
        }
        _ => None,
    };
    Some((column(class, instance, AttributeId(2), scaling), value))
}

const fn column(
    class: ClassId,
    obis: ObisCode,
    attribute: AttributeId,
    scaler_unit: Option<ScalerUnit>,
) -> CaptureColumn {
    CaptureColumn { class, obis, attribute, data_index: 0, scaler_unit }
}

/// The class of an object that is known by its name alone: clocks, registers, and data for the rest.
fn likely_class(obis: ObisCode, value: &Data<'_>, scaling: Option<ScalerUnit>) -> ClassId {
    ClassId(match obis.0 {
        [0, _, 1, 0, ..] => 8,
        [1, _, 1..=95, ..] if scaling.is_some() || value.as_i64().is_some() => 3,
        _ => 1,
    })
}

/// Push setups have names 0.b.25.9.e (Blue Book).
fn is_push_setup(obis: &ObisCode) -> bool {
    matches!(obis.0, [0, _, 25, 9, _, 255])
}

/// Whether a column is the time of a clock.
pub(super) fn is_clock(column: &CaptureColumn) -> bool {
    column.class.0 == 8 && column.attribute.0 == 2
}
