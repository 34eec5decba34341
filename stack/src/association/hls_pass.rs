//! Passes 3 and 4 of high-level security as APDUs: an ACTION with logical names, a Read with short names.

use super::{REPLY_TO_HLS, REPLY_TO_HLS_SHORT_NAME, Referencing};
use crate::apdu::{
    ActionRequest, ActionResponse, ActionResult, DataAccessResult, GetDataResult, InvokeIdAndPriority, List,
    MethodDescriptor, MethodRequest, MethodResult, ReadRequest, ReadResponse, ReadResult, VariableAccess, WriteRequest,
    WriteResponse, WriteResult, tag,
};
use crate::axdr::{BufferFull, Data, DecodeError, Writer};
use crate::deviation::{Deviation, Deviations};
use crate::obis::ObisCode;

/// Selector of the parameterised access that carries a method's parameter; no class gives it a meaning.
pub(super) const METHOD_SELECTOR: u8 = 1;

/// Writes pass 3: the client's answer to the server's challenge, to the current association or another object. With short
/// names there is no invoke-id and no other object.
pub(super) fn write_request(
    referencing: Referencing,
    invoke: InvokeIdAndPriority,
    object: Option<ObisCode>,
    reply: &[u8],
    out: &mut Writer<'_>,
) -> Result<(), BufferFull> {
    let reply = Data::OctetString(reply);
    match referencing {
        Referencing::LogicalName => {
            let method = MethodDescriptor { instance: object.unwrap_or(REPLY_TO_HLS.instance), ..REPLY_TO_HLS };
            let request = MethodRequest { method, parameter: Some(reply) };
            ActionRequest::Normal { invoke, request }.encode(out)
        }
        Referencing::ShortName => {
            let name = REPLY_TO_HLS_SHORT_NAME;
            let access = [VariableAccess::Parameterized { name, selector: METHOD_SELECTOR, parameters: reply }];
            ReadRequest { variables: List::from(&access) }.encode(out)
        }
    }
}

/// How pass 3 came, and how pass 4 therefore has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Action(InvokeIdAndPriority),
    Read,
    /// One client writes the method's name instead of reading it, and takes the value all the same.
    Write,
}

fn octets(data: Option<Data<'_>>) -> &[u8] {
    match data {
        Some(Data::OctetString(octets)) => octets,
        _ => &[],
    }
}

/// Reads pass 3; `None` for anything else. An answer of another type than octet-string is as good as an empty one.
pub(super) fn read_request(referencing: Referencing, plain: &[u8]) -> Option<(Carrier, &[u8], Deviations)> {
    let none = Deviations::NONE;
    match referencing {
        Referencing::LogicalName => match ActionRequest::decode(plain) {
            Ok(ActionRequest::Normal { invoke, request: MethodRequest { method, parameter } })
                if is_reply_to_hls(&method) =>
            {
                let met = if method == REPLY_TO_HLS { none } else { none.with(Deviation::HlsObject) };
                Some((Carrier::Action(invoke), octets(parameter), met))
            }
            _ => None,
        },
        Referencing::ShortName => {
            if let Ok(WriteRequest { variables, values }) = WriteRequest::decode(plain) {
                let named = variables.len() == 1
                    && values.len() == 1
                    && variables.get(0) == Some(VariableAccess::Name(REPLY_TO_HLS_SHORT_NAME));
                return named.then(|| (Carrier::Write, octets(values.get(0)), none));
            }
            let ReadRequest { variables } = ReadRequest::decode(plain).ok()?;
            match variables.get(0) {
                Some(VariableAccess::Parameterized { name: REPLY_TO_HLS_SHORT_NAME, parameters, .. })
                    if variables.len() == 1 =>
                {
                    Some((Carrier::Read, octets(Some(parameters)), none))
                }
                _ => None,
            }
        }
    }
}

/// Whether a method answers the server's challenge: that of the current association, or of an association by its own
/// number (0.0.40.0.e.255), which is the same where there is only one under way.
fn is_reply_to_hls(method: &MethodDescriptor) -> bool {
    let ObisCode([a, b, c, d, _, f]) = method.instance;
    let current = ObisCode([a, b, c, d, 0, f]);
    MethodDescriptor { instance: current, ..*method } == REPLY_TO_HLS
}

impl Carrier {
    /// Writes pass 4: the server's answer to the client's challenge.
    pub(super) fn write_success(self, reply: &[u8], out: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Action(invoke) => {
                // By hand: the encoder of any result at all is long, and firmware needs it for nothing else.
                out.bytes(&[tag::ACTION_RESPONSE, 1, invoke.0, ActionResult::Success.code(), 1, 0])?;
                out.octets(reply)
            }
            // A WriteResponse cannot carry a value.
            Self::Read | Self::Write => {
                let reply = Data::OctetString(reply);
                ReadResponse { results: List::from(&[ReadResult::Data(reply)]) }.encode(out)
            }
        }
    }

    /// Writes the refusal of pass 3.
    pub(super) fn write_refusal(self, out: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Action(invoke) => {
                out.bytes(&[tag::ACTION_RESPONSE, 1, invoke.0, ActionResult::ReadWriteDenied.code(), 0])
            }
            Self::Read => {
                let denied = [ReadResult::Error(DataAccessResult::ReadWriteDenied)];
                ReadResponse { results: List::from(&denied) }.encode(out)
            }
            Self::Write => {
                let denied = [WriteResult::Error(DataAccessResult::ReadWriteDenied)];
                WriteResponse { results: List::from(&denied) }.encode(out)
            }
        }
    }
}

/// What pass 4 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass4<'a> {
    /// The server's answer to the client's challenge.
    Reply(&'a [u8]),
    /// The server accepted pass 3, but proves nothing itself.
    NoReply,
    /// The server did not accept pass 3.
    Refused,
    /// Not an answer to pass 3.
    Unexpected,
}

/// Reads pass 4, and what of it is not as the standard has it.
pub(super) fn read_response(referencing: Referencing, plain: &[u8]) -> Result<(Pass4<'_>, Deviations), DecodeError> {
    // The choice between data and an error is missing in front of the data.
    if let (Referencing::LogicalName, &[tag::ACTION_RESPONSE, 1, _, 0, 1, 9, ..]) = (referencing, plain) {
        let octets = Data::from_slice(plain.get(5..).unwrap_or_default())?.as_bytes().unwrap_or_default();
        return Ok((Pass4::Reply(octets), Deviations::NONE.with(Deviation::MissingResultChoice)));
    }
    read_regular(referencing, plain).map(|pass| (pass, Deviations::NONE))
}

fn read_regular(referencing: Referencing, plain: &[u8]) -> Result<Pass4<'_>, DecodeError> {
    match referencing {
        Referencing::LogicalName => Ok(match ActionResponse::decode(plain)? {
            ActionResponse::Normal { result: MethodResult { result: ActionResult::Success, data }, .. } => match data {
                Some(GetDataResult::Data(Data::OctetString(reply))) => Pass4::Reply(reply),
                _ => Pass4::NoReply,
            },
            ActionResponse::Normal { .. } => Pass4::Refused,
            _ => Pass4::Unexpected,
        }),
        Referencing::ShortName => {
            let ReadResponse { results } = ReadResponse::decode(plain)?;
            Ok(match results.get(0) {
                Some(ReadResult::Data(Data::OctetString(reply))) if results.len() == 1 => Pass4::Reply(reply),
                Some(ReadResult::Data(_)) => Pass4::NoReply,
                Some(ReadResult::Error(_)) => Pass4::Refused,
                _ => Pass4::Unexpected,
            })
        }
    }
}
