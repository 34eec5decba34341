//! APDUs as text, for whoever follows a session. What is not known to be harmless is not shown.

use std::{fmt::Write as _, sync::Arc};

use dlms::{
    apdu::{
        ActionRequest, ActionResponse, Apdu, AttributeDescriptor, AttributeRequest, BlockResult, Ciphered, DataBlock,
        GetDataResult, GetRequest, GetResponse, MethodDescriptor, MethodResult, Protected, SetRequest, SetResponse,
    },
    association::Secret,
    axdr::{Data, Value},
    id::{ClassId, SystemTitle},
    security::{Crypto, RustCrypto, SecurityControl, TAG_LENGTH},
};
use zeroize::Zeroizing;

use crate::{
    meter::{Authentication, MeterConfig},
    operation::{Direction, Said},
};

/// What stands in the place of a secret.
const MASK: &str = "(masked)";
/// Characters of a text, at most.
const TEXT_MAX: usize = 4_000;
/// Elements of an array or structure that are shown.
const ELEMENTS: usize = 32;
/// Levels of arrays and structures that are shown.
const DEPTH: usize = 6;

/// Classes with passwords, keys or PINs in their attributes, and those whose association holds secrets (Blue Book):
/// short-name associations, association, local port, modem configuration, PPP, GPRS modem, SMTP, security setup, M-Bus client.
const KEPT: [u16; 9] = [12, 15, 19, 27, 44, 45, 46, 64, 72];
/// Classes whose attributes can be shown also when they are written: registers, clock, scripts, schedules, calendars,
/// limits, disconnection.
const WRITABLE: [u16; 18] = [3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 21, 22, 23, 61, 63, 68, 70, 71];

/// Makes texts of the APDUs of one session.
pub(super) struct Explainer {
    config: Arc<MeterConfig>,
    dedicated: Option<Secret>,
    /// The title that the meter gave itself.
    title: Option<SystemTitle>,
    /// Whether each value of the answer to the last request may be shown, in the order of the request.
    shown: Vec<bool>,
}

impl Explainer {
    pub(super) fn new(config: Arc<MeterConfig>, dedicated: Option<Secret>) -> Self {
        Self { title: config.meter_title, config, dedicated, shown: Vec::new() }
    }

    /// What an APDU says.
    pub(super) fn explain(&mut self, direction: Direction, apdu: &[u8]) -> Said {
        let (ciphered, mut text) = match Apdu::decode(apdu) {
            Ok(Apdu::Ciphered(envelope)) => (true, self.ciphered(direction, &envelope)),
            Ok(plain) => (false, self.plain(&plain)),
            Err(error) => (false, format!("cannot be decoded: {error}")),
        };
        if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
            text.truncate(end);
            text.push('…');
        }
        Said::Apdu { octets: apdu.len(), ciphered, text }
    }

    /// Octets of the line with the password overwritten, which goes in clear.
    pub(super) fn scrubbed(&self, octets: &[u8]) -> Vec<u8> {
        let mut octets = octets.to_vec();
        if let Authentication::Lls { password } = &self.config.authentication {
            let password = password.expose();
            let last = octets.len().saturating_sub(password.len());
            for start in (0..=last).filter(|_| !password.is_empty()) {
                if let Some(place) = octets.get_mut(start..start + password.len())
                    && place == password
                {
                    place.fill(b'*');
                }
            }
        }
        octets
    }

    fn ciphered(&mut self, direction: Direction, envelope: &Ciphered<'_>) -> String {
        let (name, title, dedicated, protected) = match envelope {
            Ciphered::Service { tag, protected } => (tag.name().to_owned(), None, tag.is_dedicated(), *protected),
            Ciphered::GeneralGlobal { system_title, protected } => {
                ("general-glo-ciphering".to_owned(), *system_title, false, *protected)
            }
            Ciphered::GeneralDedicated { system_title, protected } => {
                ("general-ded-ciphering".to_owned(), *system_title, true, *protected)
            }
            Ciphered::General { protected, .. } => {
                return format!("general-ciphering, counter {}, not deciphered", protected.counter);
            }
        };
        let sender = title.or(match direction {
            Direction::ToMeter => self.config.ciphering.as_ref().map(|ciphering| ciphering.client_title),
            Direction::FromMeter => self.title,
        });
        let head = format!("{name}, counter {}", protected.counter);
        match self.decipher(sender, dedicated, &protected) {
            Some(plain) => match Apdu::decode(&plain) {
                Ok(apdu) => format!("{head}: {}", self.plain(&apdu)),
                Err(_) => format!("{head}: does not decipher to an APDU"),
            },
            None => format!("{head}: not deciphered"),
        }
    }

    /// The plain text, its tag not looked at: the session does that.
    fn decipher(
        &self,
        sender: Option<SystemTitle>,
        dedicated: bool,
        protected: &Protected<'_>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let protection = SecurityControl(protected.control).protection();
        let tag = if protection.authenticated { TAG_LENGTH } else { 0 };
        let mut text = Zeroizing::new(protected.text.get(..protected.text.len().checked_sub(tag)?)?.to_vec());
        if protection.encrypted {
            let key = match dedicated {
                true => self.dedicated.as_ref()?.as_bytes(),
                false => self.config.ciphering.as_ref()?.keys.encryption.expose(),
            };
            let mut iv = [0; 12];
            let (title, counter) = iv.split_at_mut(8);
            title.copy_from_slice(sender?.as_bytes());
            counter.copy_from_slice(&protected.counter.to_be_bytes());
            let key = RustCrypto::expand(key).ok()?;
            RustCrypto::cipher(&key, &iv, &mut text).ok()?;
        }
        Some(text)
    }

    fn plain(&mut self, apdu: &Apdu<'_>) -> String {
        match apdu {
            Apdu::Aarq(aarq) => {
                let mut text = format!("aarq, context {}", aarq.context.identifier());
                let mechanism = aarq.mechanism.map(|mechanism| mechanism.identifier().to_string());
                append(&mut text, ", mechanism ", mechanism);
                append(&mut text, ", calling-ap-title ", aarq.calling_ap_title.map(hex::encode_upper));
                append(
                    &mut text,
                    ", calling-authentication-value ",
                    aarq.authentication_value.map(|_| MASK.to_owned()),
                );
                append(&mut text, ", user-information ", aarq.user_information.map(octets));
                text
            }
            Apdu::Aare(aare) => {
                self.title = aare.responding_ap_title.and_then(SystemTitle::from_slice).or(self.title);
                let mut text = format!("aare, {:?}, {:?}", aare.result, aare.diagnostic);
                append(&mut text, ", responding-ap-title ", aare.responding_ap_title.map(hex::encode_upper));
                append(&mut text, ", user-information ", aare.user_information.map(octets));
                text
            }
            Apdu::GetRequest(request) => self.get(request),
            Apdu::GetResponse(response) => self.got(response),
            Apdu::SetRequest(request) => self.set(request),
            Apdu::SetResponse(response) => match response {
                SetResponse::Normal { result, .. } => format!("set-response-normal {result}"),
                other => other.name().to_owned(),
            },
            Apdu::ActionRequest(request) => self.action(request),
            Apdu::ActionResponse(response) => self.returned(response),
            Apdu::ExceptionResponse(exception) => exception.to_string(),
            Apdu::ConfirmedServiceError(error) => error.to_string(),
            Apdu::GeneralBlockTransfer(block) => format!(
                "general-block-transfer, block {}, acknowledged {}, {}{}",
                block.number,
                block.acknowledged,
                octets(block.data),
                if block.control.is_last() { ", last" } else { "" }
            ),
            Apdu::Ciphered(_) => "ciphered twice, not deciphered".to_owned(),
            // Their values are of objects that only the meter knows, or that are not asked for by name.
            other => other.name().to_owned(),
        }
    }

    fn get(&mut self, request: &GetRequest<'_>) -> String {
        let mut text = request.name().to_owned();
        match request {
            GetRequest::Normal { request, .. } => {
                self.shown = vec![is_readable(&request.attribute)];
                let _ = write!(text, " {}", attribute(request));
            }
            GetRequest::Next { number, .. } => {
                let _ = write!(text, ", block {number}");
            }
            GetRequest::WithList { requests, .. } => {
                self.shown = requests.iter().map(|request| is_readable(&request.attribute)).collect();
                let list: Vec<_> = requests.iter().map(|request| attribute(&request)).collect();
                let _ = write!(text, " {}", list.join("; "));
            }
        }
        text
    }

    fn got(&self, response: &GetResponse<'_>) -> String {
        let shown = |place: usize| self.shown.get(place).copied().unwrap_or(false);
        match response {
            GetResponse::Normal { result, .. } => format!("get-response-normal {}", result_text(result, shown(0))),
            GetResponse::WithDataBlock { last, number, result, .. } => {
                let content = match result {
                    BlockResult::Raw(raw) => octets(raw),
                    BlockResult::Error(error) => error.to_string(),
                };
                format!("get-response-with-datablock, block {number}, {content}{}", if *last { ", last" } else { "" })
            }
            GetResponse::WithList { results, .. } => {
                let list: Vec<_> =
                    results.iter().enumerate().map(|(place, result)| result_text(&result, shown(place))).collect();
                format!("get-response-with-list {}", list.join("; "))
            }
        }
    }

    fn set(&mut self, request: &SetRequest<'_>) -> String {
        self.shown.clear();
        let written = |request: &AttributeRequest<'_>, value: &Data<'_>| {
            let shown = WRITABLE.contains(&request.attribute.class.0);
            format!("{} := {}", attribute(request), value_text(value, shown))
        };
        match request {
            SetRequest::Normal { request, value, .. } => format!("set-request-normal {}", written(request, value)),
            SetRequest::WithList { requests, values, .. } => {
                let list: Vec<_> =
                    requests.iter().zip(values.iter()).map(|(request, value)| written(&request, &value)).collect();
                format!("set-request-with-list {}", list.join("; "))
            }
            SetRequest::WithFirstDataBlock { request, block, .. } => {
                format!("set-request-with-first-datablock {}, {}", attribute(request), block_text(block))
            }
            SetRequest::WithDataBlock { block, .. } => format!("set-request-with-datablock, {}", block_text(block)),
            SetRequest::WithListAndFirstDataBlock { block, .. } => {
                format!("set-request-with-list-and-first-datablock, {}", block_text(block))
            }
        }
    }

    fn action(&mut self, request: &ActionRequest<'_>) -> String {
        match request {
            ActionRequest::Normal { request, .. } => {
                let shown = WRITABLE.contains(&request.method.class.0);
                self.shown = vec![shown];
                let parameter = request.parameter.as_ref().map(|parameter| value_text(parameter, shown));
                format!("action-request-normal {}({})", method(&request.method), parameter.unwrap_or_default())
            }
            other => {
                self.shown.clear();
                other.name().to_owned()
            }
        }
    }

    fn returned(&self, response: &ActionResponse<'_>) -> String {
        match response {
            ActionResponse::Normal { result: MethodResult { result, data }, .. } => {
                let shown = self.shown.first().copied().unwrap_or(false);
                let mut text = format!("action-response-normal {result}");
                append(&mut text, ", ", data.as_ref().map(|data| result_text(data, shown)));
                text
            }
            other => other.name().to_owned(),
        }
    }
}

fn is_readable(attribute: &AttributeDescriptor) -> bool {
    !KEPT.contains(&attribute.class.0) || attribute.attribute.0 == 1 || is_object_list(attribute)
}

/// The object list of an association, which everybody may see.
fn is_object_list(attribute: &AttributeDescriptor) -> bool {
    attribute.class == ClassId(15) && attribute.attribute.0 == 2
}

fn append(text: &mut String, name: &str, value: Option<String>) {
    if let Some(value) = value {
        text.push_str(name);
        text.push_str(&value);
    }
}

fn octets(octets: &[u8]) -> String {
    format!("({} octets)", octets.len())
}

fn attribute(request: &AttributeRequest<'_>) -> String {
    let AttributeDescriptor { class, instance, attribute } = request.attribute;
    let selection = if request.selection.is_some() { ", selected" } else { "" };
    format!("{}/{instance}/{}{selection}", class.0, attribute.0)
}

fn method(method: &MethodDescriptor) -> String {
    format!("{}/{}/{}", method.class.0, method.instance, method.method.0)
}

fn block_text(block: &DataBlock<'_>) -> String {
    format!("block {}, {}{}", block.number, octets(block.raw), if block.last { ", last" } else { "" })
}

fn result_text(result: &GetDataResult<'_>, shown: bool) -> String {
    match result {
        GetDataResult::Data(data) => value_text(data, shown),
        GetDataResult::Error(error) => error.to_string(),
    }
}

fn value_text(data: &Data<'_>, shown: bool) -> String {
    let value = Value::from(*data);
    if !shown {
        return format!("{} {MASK}", value.type_name());
    }
    let mut text = String::new();
    write_value(&mut text, &value, 0);
    text
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    let name = value.type_name();
    // Writing to a string does not fail.
    let _ = match value {
        Value::Array(elements) | Value::Structure(elements) => {
            text.push_str(name);
            if depth == DEPTH {
                let _ = write!(text, " of {}", elements.len());
                return;
            }
            text.push_str(" {");
            for (place, element) in elements.iter().take(ELEMENTS).enumerate() {
                text.push_str(if place == 0 { " " } else { ", " });
                write_value(text, element, depth + 1);
                if text.len() > TEXT_MAX {
                    break;
                }
            }
            let more = elements.len().saturating_sub(ELEMENTS);
            if more > 0 { write!(text, " and {more} more }}") } else { write!(text, " }}") }
        }
        Value::OctetString(octets) => write!(text, "{name} {}", hex::encode_upper(octets)),
        Value::VisibleString(octets) | Value::Utf8String(octets) => {
            write!(text, "{name} {:?}", String::from_utf8_lossy(octets))
        }
        Value::CompactArray(_) => write!(text, "{name}"),
        other => write!(text, "{other:?}"),
    };
}

#[cfg(test)]
#[path = "tests/explain.rs"]
mod tests;
