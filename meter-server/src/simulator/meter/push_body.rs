//! The body of a push: one element for each entry of the push object list.

use dlms::apdu::{DataAccessResult, Selection};
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::{Data, Writer};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;
use dlms::time::DateTime;

use super::Meter;
use crate::object::{Context, Object, Read};

/// Octets of one value.
const VALUE_MAX: usize = 16_384;
/// Parts of one value: the rows of a profile.
const PARTS_MAX: usize = 10_000;

/// One entry of a list, of any version of the class.
struct Entry<'a> {
    class: ClassId,
    instance: ObisCode,
    attribute: AttributeId,
    data_index: u16,
    /// Type and value, from version 1 on.
    restriction: Option<(u8, Data<'a>)>,
    /// Columns of a profile, from version 2 on.
    columns: Option<Data<'a>>,
}

impl<'a> Entry<'a> {
    fn parse(data: &Data<'a>) -> Option<Self> {
        let mut members = data.as_structure()?.iter();
        let class = ClassId(members.next()?.as_u16()?);
        let instance = members.next()?.as_obis()?;
        let attribute = AttributeId(members.next()?.as_i8()?);
        let data_index = members.next()?.as_u16()?;
        let restriction = members.next().and_then(|data| match data.as_structure()?.to_array()? {
            [kind, value] => Some((kind.as_u8()?, value)),
        });
        let columns = members.next().filter(|columns| columns.as_array().is_some_and(|columns| !columns.is_empty()));
        Some(Self { class, instance, attribute, data_index, restriction, columns })
    }
}

/// Writes the body: a structure, or an array, with the value of each entry, null-data for one that cannot be read.
pub(super) fn write_body(
    meter: &Meter,
    cx: &Context<'_, Meter>,
    list: &Data<'_>,
    array: bool,
    out: &mut Writer<'_>,
) -> Result<(), DataAccessResult> {
    let entries = list.as_array().ok_or(DataAccessResult::TypeUnmatched)?;
    if array { out.array(entries.len()) } else { out.structure(entries.len()) }?;
    for entry in entries.iter() {
        let start = out.len();
        let written = Entry::parse(&entry).ok_or(DataAccessResult::TypeUnmatched);
        if written.and_then(|entry| write_entry(meter, cx, &entry, out)).is_err() {
            out.truncate(start);
            out.null()?;
        }
    }
    Ok(())
}

fn write_entry(
    meter: &Meter,
    cx: &Context<'_, Meter>,
    entry: &Entry<'_>,
    out: &mut Writer<'_>,
) -> Result<(), DataAccessResult> {
    let object = cx.table.find(entry.class, entry.instance).and_then(|index| cx.table.object(index));
    let object = object.ok_or(DataAccessResult::ObjectUndefined)?;
    if entry.attribute.0 == 0 {
        // All attributes of the object.
        let attributes = object.attributes();
        out.structure(usize::try_from(attributes).unwrap_or(0))?;
        for attribute in (1..=attributes).map(AttributeId) {
            let start = out.len();
            if write_attribute(meter, cx, object, attribute, None, out).is_err() {
                out.truncate(start);
                out.null()?;
            }
        }
        return Ok(());
    }
    if entry.class.0 == 7 && entry.attribute.0 == 2 {
        return write_rows(meter, cx, object, entry, out);
    }
    if entry.data_index == 0 {
        return write_attribute(meter, cx, object, entry.attribute, None, out);
    }
    let mut buffer = vec![0; VALUE_MAX];
    let mut value = Writer::new(&mut buffer);
    write_attribute(meter, cx, object, entry.attribute, None, &mut value)?;
    let value = Data::from_slice(value.written()).map_err(|_| DataAccessResult::OtherReason)?;
    let elements = value.as_sequence().ok_or(DataAccessResult::TypeUnmatched)?;
    let element = elements.get(usize::from(entry.data_index) - 1).ok_or(DataAccessResult::ObjectUndefined)?;
    Ok(element.encode(out)?)
}

/// Writes an attribute, part after part.
fn write_attribute(
    meter: &Meter,
    cx: &Context<'_, Meter>,
    object: &dyn Object<Meter>,
    attribute: AttributeId,
    selection: Option<Selection<'_>>,
    out: &mut Writer<'_>,
) -> Result<(), DataAccessResult> {
    if attribute.0 == 1 {
        return Ok(out.obis(object.instance())?);
    }
    if !(2..=object.attributes()).contains(&attribute.0) {
        return Err(DataAccessResult::ObjectUndefined);
    }
    let mut cursor = Cursor::default();
    for _ in 0..PARTS_MAX {
        match object.read(meter, cx, Read { attribute, selection }, &mut cursor, out)? {
            Progress::Done => return Ok(()),
            Progress::More => cursor.part += 1,
        }
    }
    Err(DataAccessResult::OtherReason)
}

/// Writes rows of a profile: all of them, those of a restriction, or the last ones that the data index asks for.
fn write_rows(
    meter: &Meter,
    cx: &Context<'_, Meter>,
    object: &dyn Object<Meter>,
    entry: &Entry<'_>,
    out: &mut Writer<'_>,
) -> Result<(), DataAccessResult> {
    let mut buffer = vec![0; 512];
    let mut parameters = Writer::new(&mut buffer);
    let local = |at| meter.stamp(at);
    let selector = match (&entry.restriction, entry.data_index) {
        (Some((1, value)), _) => {
            let [from, to] = bounds(value)?;
            range(&mut parameters, &from, &to, entry.columns.as_ref())?;
            Some(1)
        }
        (Some((2, value)), _) => {
            let [from, to] = bounds(value)?;
            let number = |data: Data<'_>| data.as_u32().ok_or(DataAccessResult::TypeUnmatched);
            entries(&mut parameters, number(from)?, number(to)?)?;
            Some(2)
        }
        // The high four bits say what is counted, the others how many: 1 the last entries, 2 to 5 those of the last
        // seconds, minutes, hours and days. That is not verified against the standard.
        (_, index @ 0x1000..0x2000) => {
            let held = u32::try_from(held(meter, cx, object)?).unwrap_or(u32::MAX);
            let wanted = u32::from(index & 0x0FFF).min(held);
            if wanted == 0 {
                return Ok(out.array(0)?);
            }
            entries(&mut parameters, held - wanted + 1, held)?;
            Some(2)
        }
        (_, index @ 0x2000..0x6000) => {
            let unit_ms = [1_000, 60_000, 3_600_000, 86_400_000][usize::from(index >> 12) - 2];
            let from = cx.at.plus_millis(-unit_ms * i64::from(index & 0x0FFF));
            let (from, to) = (date_time(&local(from)), date_time(&local(cx.at)));
            range(&mut parameters, &Data::OctetString(&from), &Data::OctetString(&to), entry.columns.as_ref())?;
            Some(1)
        }
        (_, 0) => None,
        _ => return Err(DataAccessResult::TypeUnmatched),
    };
    let parameters = Data::from_slice(parameters.written());
    let selection = selector.zip(parameters.ok()).map(|(selector, parameters)| Selection { selector, parameters });
    write_attribute(meter, cx, object, AttributeId(2), selection, out)
}

/// Entries that a profile holds.
fn held(meter: &Meter, cx: &Context<'_, Meter>, object: &dyn Object<Meter>) -> Result<u64, DataAccessResult> {
    let mut buffer = [0; 16];
    let mut out = Writer::new(&mut buffer);
    write_attribute(meter, cx, object, AttributeId(7), None, &mut out)?;
    let held = Data::from_slice(out.written()).ok().and_then(|data| data.as_u64());
    held.ok_or(DataAccessResult::OtherReason)
}

/// First and last of a restriction.
fn bounds<'a>(value: &Data<'a>) -> Result<[Data<'a>; 2], DataAccessResult> {
    value.as_structure().and_then(|bounds| bounds.to_array()).ok_or(DataAccessResult::TypeUnmatched)
}

fn date_time(time: &DateTime) -> [u8; 12] {
    time.to_bytes()
}

/// A range descriptor by the clock.
fn range(
    out: &mut Writer<'_>,
    from: &Data<'_>,
    to: &Data<'_>,
    columns: Option<&Data<'_>>,
) -> Result<(), DataAccessResult> {
    out.structure(4)?;
    out.structure(4)?;
    out.long_unsigned(8)?;
    out.obis(ObisCode::CLOCK)?;
    out.integer(2)?;
    out.long_unsigned(0)?;
    from.encode(out)?;
    to.encode(out)?;
    match columns {
        Some(columns) => columns.encode(out)?,
        None => out.array(0)?,
    }
    Ok(())
}

/// An entry descriptor with all columns.
fn entries(out: &mut Writer<'_>, from: u32, to: u32) -> Result<(), DataAccessResult> {
    out.structure(4)?;
    out.double_long_unsigned(from)?;
    out.double_long_unsigned(to)?;
    out.long_unsigned(1)?;
    Ok(out.long_unsigned(0)?)
}
