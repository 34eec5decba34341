//! Association SN (class 12, versions 0 to 4): the association where objects are referred to by short names.

use dlms::apdu::{ActionResult, AttributeDescriptor, DataAccessResult, Selection};
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::{BufferFull, Data, Writer};
use dlms::cosem::ToData;
use dlms::cosem::short_name::NamedObject;
use dlms::id::{AttributeId, ClassId, ClientSap, MethodId};
use dlms::obis::ObisCode;

use super::AssociationState;
use crate::access::Rights;
use crate::device::read_attribute;
use crate::object::{Context, Object, Read, done};

/// `read_by_logicalname`.
const READ_BY_LOGICAL_NAME: MethodId = MethodId(3);
/// `change_LLS_secret` and `change_HLS_secret`.
const CHANGE_SECRET: [MethodId; 2] = [MethodId(5), MethodId(6)];

/// The current association, as a client with short names finds it at base name FA00.
///
/// `reply_to_HLS_authentication` (method 8) never gets here: the stack answers it while the association is being
/// opened. The lists name only objects that have a base name and on which the client has a right.
#[derive(Clone, Copy, Debug)]
pub struct AssociationSn {
    /// Logical name.
    pub instance: ObisCode,
    /// Version of the class, up to 4.
    pub version: u8,
}

/// Which elements of `object_list` a client asked for.
#[derive(Clone, Copy)]
enum Filter {
    All,
    Class(ClassId),
    Object(ClassId, ObisCode),
}

impl Filter {
    fn new(selection: Option<Selection<'_>>) -> Result<Self, DataAccessResult> {
        let Some(selection) = selection else { return Ok(Self::All) };
        match (selection.selector, selection.parameters) {
            (1, class) => class.as_u16().map(|class| Self::Class(ClassId(class))),
            (2, data) => match data.as_members() {
                Some([class, instance]) => class
                    .as_u16()
                    .zip(instance.as_obis())
                    .map(|(class, instance)| Self::Object(ClassId(class), instance)),
                None => None,
            },
            _ => None,
        }
        .ok_or(DataAccessResult::TypeUnmatched)
    }

    fn admits(self, object: &NamedObject) -> bool {
        match self {
            Self::All => true,
            Self::Class(class) => object.class == class,
            Self::Object(class, instance) => object.class == class && object.instance == instance,
        }
    }
}

impl AssociationSn {
    /// Writes one part of a list of objects: its head, or the element with that number.
    fn list<S: ?Sized>(
        self,
        attribute: AttributeId,
        cx: &Context<'_, S>,
        filter: Filter,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        let mut listed = (0..cx.table.len()).filter_map(|index| {
            let rights = cx.table.rights(index, cx.access.client);
            let (object, base) = cx.table.object(index).zip(cx.table.base(index))?;
            let named = NamedObject::new(base, object.class(), object.version(), object.instance());
            (rights.any() && filter.admits(&named)).then_some((named, object, rights))
        });
        let Some(number) = cursor.part.checked_sub(1) else {
            let count = listed.count();
            cursor.extent = u64::try_from(count).unwrap_or(u64::MAX);
            done(out.array(count))?;
            return Ok(if count == 0 { Progress::Done } else { Progress::More });
        };
        let index = usize::try_from(number).map_err(|_| DataAccessResult::OtherReason)?;
        let (named, object, rights) = listed.nth(index).ok_or(DataAccessResult::OtherReason)?;
        done(match attribute {
            AttributeId(2) => named.to_data(out),
            _ => self.rights(&named, object, &rights, out),
        })?;
        Ok(if u64::from(cursor.part) < cursor.extent { Progress::More } else { Progress::Done })
    }

    /// Writes an element of `access_rights_list`.
    fn rights<S: ?Sized>(
        self,
        named: &NamedObject,
        object: &dyn Object<S>,
        rights: &Rights<'_>,
        out: &mut Writer<'_>,
    ) -> Result<(), BufferFull> {
        // Version 4 has bit masks as version 3 of the Association LN; how the versions differ is not verified further.
        let masks = self.version >= 4;
        out.structure(3)?;
        out.long(named.base.into())?;
        out.array(usize::try_from(object.attributes()).unwrap_or(0))?;
        for id in 1..=object.attributes() {
            let right = rights.attribute(id);
            out.structure(3)?;
            out.integer(id)?;
            out.enumerated(if masks { right.bits() } else { right.mode() })?;
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
        out.array(usize::try_from(object.methods()).unwrap_or(0))?;
        for id in 1..=object.methods() {
            let right = rights.method(id);
            out.structure(2)?;
            out.integer(id)?;
            out.enumerated(if masks { right.bits() } else { right.mode() })?;
        }
        Ok(())
    }
}

impl<S: AssociationState + ?Sized> Object<S> for AssociationSn {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(12)
    }

    fn version(&self) -> u8 {
        self.version
    }

    fn attributes(&self) -> i8 {
        match self.version {
            0 | 1 => 2,
            // Users (attributes 5 and 6, from version 3 on) are not identified by this server.
            _ => 4,
        }
    }

    fn methods(&self) -> i8 {
        8
    }

    fn selectors(&self, attribute: AttributeId) -> &'static [u8] {
        if attribute.0 == 2 { &[1, 2] } else { &[] }
    }

    fn read(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        request: Read<'_>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        match request.attribute.0 {
            2 | 3 => self.list(request.attribute, cx, Filter::new(request.selection)?, cursor, out),
            4 => {
                let association = state.description(cx.access.client).ok_or(DataAccessResult::ObjectUnavailable)?;
                done(match association.security_setup {
                    Some(setup) => out.obis(setup),
                    None => out.octets(&[]),
                })
            }
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }

    fn invoke(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        method: MethodId,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        match (method, parameter) {
            (READ_BY_LOGICAL_NAME, Some(list)) => read_by_logical_name(state, cx, list, out),
            (method, Some(Data::OctetString(secret))) if CHANGE_SECRET.contains(&method) => {
                set_secret(state, cx.access.client, secret)
            }
            (method, _) if CHANGE_SECRET.contains(&method) || method == READ_BY_LOGICAL_NAME => {
                Err(ActionResult::TypeUnmatched)
            }
            _ => Err(ActionResult::ReadWriteDenied),
        }
    }
}

fn set_secret<S: AssociationState + ?Sized>(
    state: &mut S,
    client: ClientSap,
    secret: &[u8],
) -> Result<(), ActionResult> {
    state.set_secret(client, secret).map_err(|result| ActionResult::from_code(result.code()))
}

/// Reads attributes named by class, logical name and number; one that cannot be read is null-data in its place.
fn read_by_logical_name<S: ?Sized>(
    state: &S,
    cx: &Context<'_, S>,
    list: Data<'_>,
    out: &mut Writer<'_>,
) -> Result<(), ActionResult> {
    let list = list.as_array().ok_or(ActionResult::TypeUnmatched)?;
    let full = |_| ActionResult::OtherReason;
    out.array(list.len()).map_err(full)?;
    for item in list.iter() {
        let named = item.as_members().and_then(|[class, instance, attribute]: [Data<'_>; 3]| {
            let attribute = i8::try_from(attribute.as_i64()?).ok()?;
            Some(AttributeDescriptor::new(ClassId(class.as_u16()?), instance.as_obis()?, AttributeId(attribute)))
        });
        let attribute = named.ok_or(ActionResult::TypeUnmatched)?;
        let start = out.len();
        let mut cursor = Cursor::default();
        loop {
            match read_attribute(cx, state, attribute, None, &mut cursor, out) {
                Ok(Progress::Done) => break,
                Ok(Progress::More) => cursor.part = cursor.part.checked_add(1).ok_or(ActionResult::OtherReason)?,
                Err(_) => {
                    out.truncate(start);
                    out.null().map_err(full)?;
                    break;
                }
            }
        }
    }
    Ok(())
}
