//! Which firmware a meter runs.

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
};
use futures_util::future::BoxFuture;

use super::super::{attributes, get};
use crate::{
    jobs::{FirmwareVersion, Procedure, Report, Resolution, Visit},
    operation::{AttributeRef, GetAttribute, Operation, RequestError, RequestErrorKind as Kind},
};

const DATA: ClassId = ClassId(1);
const VALUE: AttributeId = AttributeId(2);

/// Active firmware identifiers and signatures of the parts of a meter, as companion specifications name them: the
/// application, the core and the communication module.
pub const VERSIONS: [ObisCode; 6] = [
    ObisCode([1, 0, 0, 2, 0, 255]),
    ObisCode([1, 1, 0, 2, 0, 255]),
    ObisCode([1, 2, 0, 2, 0, 255]),
    ObisCode([1, 0, 0, 2, 8, 255]),
    ObisCode([1, 1, 0, 2, 8, 255]),
    ObisCode([1, 2, 0, 2, 8, 255]),
];

/// Reads firmware identifiers; those that the meter does not have are left out.
#[derive(Clone, Debug)]
pub struct ReadVersions {
    /// Data objects (class 1).
    pub objects: Vec<ObisCode>,
}

impl Procedure for ReadVersions {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move {
            let wanted = self
                .objects
                .iter()
                .map(|object| GetAttribute { attribute: AttributeRef::new(DATA, *object, VALUE), selection: None });
            let values = attributes(visit.read(Operation::GetAttributes(wanted.collect())).await?)?;
            let (mut versions, mut refusal) = (Vec::new(), None);
            for value in values {
                match value {
                    Ok(read) => {
                        versions.push(FirmwareVersion { object: read.attribute.obis, version: text(&read.value) });
                    }
                    Err(error) if error.kind() == Kind::MeterRefused => refusal = Some(error),
                    Err(error) => return Err(error),
                }
            }
            match (versions.is_empty(), refusal) {
                (true, Some(error)) => Err(error),
                _ => Ok(Report::Versions(versions)),
            }
        })
    }

    fn resolve<'a>(&'a self, _: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        // It changes nothing.
        Box::pin(async { Ok(Resolution::NotDone) })
    }
}

/// The firmware identifier `object`, where the meter tells.
pub(super) async fn read(visit: &Visit<'_>, object: ObisCode) -> Result<Option<String>, RequestError> {
    let values = attributes(visit.read(get(DATA, object, &[VALUE.0])).await?)?;
    match values.into_iter().next() {
        Some(Ok(read)) => Ok(Some(text(&read.value))),
        Some(Err(error)) if error.kind() != Kind::MeterRefused => Err(error),
        _ => Ok(None),
    }
}

/// Text where it is printable, else hexadecimal digits.
fn text(value: &Value) -> String {
    let octets = match value {
        Value::OctetString(octets) | Value::VisibleString(octets) | Value::Utf8String(octets) => octets.to_vec(),
        other => other.to_vec(),
    };
    let trimmed = octets.strip_suffix(&[0]).unwrap_or(&octets);
    match str::from_utf8(trimmed) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => text.to_owned(),
        _ => hex::encode_upper(&octets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_text_where_they_are_text() {
        assert_eq!(text(&Value::OctetString(b"FW-1.2".to_vec())), "FW-1.2");
        assert_eq!(text(&Value::VisibleString(b"FW-1.2\0".to_vec())), "FW-1.2");
        assert_eq!(text(&Value::OctetString(vec![1, 2, 0xFE])), "0102FE");
    }
}
