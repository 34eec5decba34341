//! `object_list`: the objects that a client may know of, with its rights on each.

use dlms::apdu::{DataAccessResult, Selection};
use dlms::association::server::Progress;
use dlms::axdr::{BufferFull, Data, Writer};
use dlms::cosem::association_ln::ObjectId;
use dlms::cosem::{FromData, Part};
use dlms::id::{AttributeId, ClassId, ClientSap};
use dlms::obis::ObisCode;

use crate::access::Rights;
use crate::object::{Context, Object, done};

/// Which objects a client asked for (Blue Book, selective access to `object_list`).
#[derive(Clone, Copy)]
enum Filter<'a> {
    /// Selector 1, or none.
    All,
    /// Selector 2: an array of classes.
    Classes(Data<'a>),
    /// Selectors 3 (an array) and 4 (one) of class and logical name.
    Objects(Data<'a>),
    Object(Data<'a>),
}

impl<'a> Filter<'a> {
    fn new(selection: Option<Selection<'a>>) -> Result<Self, DataAccessResult> {
        let Some(selection) = selection else { return Ok(Self::All) };
        let array = |data: Data<'a>| data.as_array().map(|_| data).ok_or(DataAccessResult::TypeUnmatched);
        match selection.selector {
            1 => Ok(Self::All),
            2 => array(selection.parameters).map(Self::Classes),
            3 => array(selection.parameters).map(Self::Objects),
            4 if reference(selection.parameters).is_some() => Ok(Self::Object(selection.parameters)),
            _ => Err(DataAccessResult::TypeUnmatched),
        }
    }

    fn admits(&self, class: ClassId, instance: ObisCode) -> bool {
        let named = |data: Data<'_>| reference(data) == Some((class, instance));
        match self {
            Self::All => true,
            Self::Classes(data) => {
                data.as_array().is_some_and(|list| list.into_iter().any(|item| item.as_u16() == Some(class.0)))
            }
            Self::Objects(data) => data.as_array().is_some_and(|list| list.into_iter().any(named)),
            Self::Object(data) => named(*data),
        }
    }

    /// Selector 3 asks for elements without access rights.
    const fn is_short(&self) -> bool {
        matches!(self, Self::Objects(_))
    }
}

/// Class and logical name in a structure of two.
fn reference(data: Data<'_>) -> Option<(ClassId, ObisCode)> {
    let ObjectId { class_id, logical_name } = FromData::from_exact(&data)?;
    Some((class_id, logical_name))
}

/// Writes one part of the list: its head, or the element with that number.
pub(super) fn read<S: ?Sized>(
    cx: &Context<'_, S>,
    client: ClientSap,
    Part { selection, cursor, out }: Part<'_, '_>,
) -> Result<Progress, DataAccessResult> {
    let filter = Filter::new(selection)?;
    let mut listed = (0..cx.table.len()).filter_map(|index| {
        let rights = cx.table.rights(index, client);
        let object = cx.table.object(index)?;
        (rights.any() && filter.admits(object.class(), object.instance())).then_some((object, rights))
    });
    let Some(number) = cursor.part.checked_sub(1) else {
        let count = listed.count();
        cursor.extent = u64::try_from(count).unwrap_or(u64::MAX);
        done(out.array(count))?;
        return Ok(if count == 0 { Progress::Done } else { Progress::More });
    };
    let index = usize::try_from(number).map_err(|_| DataAccessResult::OtherReason)?;
    let (object, rights) = listed.nth(index).ok_or(DataAccessResult::OtherReason)?;
    done(element(object, &rights, filter.is_short(), out))?;
    Ok(if u64::from(cursor.part) < cursor.extent { Progress::More } else { Progress::Done })
}

/// Writes an `object_list_element`; a short one leaves the rights empty.
fn element<S: ?Sized>(
    object: &dyn Object<S>,
    rights: &Rights<'_>,
    short: bool,
    out: &mut Writer<'_>,
) -> Result<(), BufferFull> {
    out.structure(4)?;
    out.long_unsigned(object.class().0)?;
    out.unsigned(object.version())?;
    out.obis(object.instance())?;
    out.structure(2)?;
    let (attributes, methods) = if short { (0, 0) } else { (object.attributes(), object.methods()) };
    out.array(usize::try_from(attributes).unwrap_or(0))?;
    for id in 1..=attributes {
        out.structure(3)?;
        out.integer(id)?;
        out.enumerated(rights.attribute(id).mode())?;
        match object.selectors(AttributeId(id)) {
            [] => out.null()?,
            selectors => {
                out.array(selectors.len())?;
                for selector in selectors {
                    out.integer(selector.cast_signed())?;
                }
            }
        }
    }
    out.array(usize::try_from(methods).unwrap_or(0))?;
    for id in 1..=methods {
        out.structure(2)?;
        out.integer(id)?;
        out.enumerated(rights.method(id).mode())?;
    }
    Ok(())
}
