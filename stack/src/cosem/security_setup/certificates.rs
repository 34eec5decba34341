//! Which certificate is meant.

use crate::axdr::{BufferFull, Data, Writer};
use crate::cosem::{FromData, ToData, TypeError};

enumeration! {
    /// Whose certificate.
    CertificateEntity "certificate entity" {
        /// The server's.
        Server = 0,
        /// A client's.
        Client = 1,
        /// A certification authority's.
        CertificationAuthority = 2,
        /// Somebody else's.
        OtherEntity = 3,
    }
}

enumeration! {
    /// What a key pair and its certificate are for.
    CertificateType "certificate type" {
        /// Digital signature.
        DigitalSignature = 0,
        /// Key agreement.
        KeyAgreement = 1,
        /// TLS.
        Tls = 2,
        /// Something else.
        OtherType = 3,
    }
}

/// Which certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateIdentification<'a> {
    /// That of an entity.
    ByEntity {
        /// Whose certificate.
        entity: CertificateEntity,
        /// What it is for.
        certificate_type: CertificateType,
        /// System title of the entity.
        system_title: &'a [u8],
    },
    /// That with a serial number.
    BySerial {
        /// Serial number.
        serial_number: &'a [u8],
        /// Who issued it.
        issuer: &'a [u8],
    },
}

/// Identification types: by entity, by serial number.
const BY_ENTITY: u8 = 0;
const BY_SERIAL: u8 = 1;

impl<'a> CertificateIdentification<'a> {
    fn from_members(data: Data<'a>, exact: bool) -> Result<Self, TypeError> {
        let refused = TypeError::new(Self::EXPECTED, &data);
        let [kind, options] = data.as_members().ok_or(refused)?;
        if exact && !matches!(kind, Data::Enum(_)) {
            return Err(TypeError::new("enum", &kind));
        }
        match (kind.as_u8(), options.as_structure().map(|options| options.len())) {
            (Some(BY_ENTITY), Some(3)) => {
                let [entity, certificate_type, system_title] = options.as_members().ok_or(refused)?;
                Ok(Self::ByEntity {
                    entity: member(entity, exact)?,
                    certificate_type: member(certificate_type, exact)?,
                    system_title: member(system_title, exact)?,
                })
            }
            (Some(BY_SERIAL), Some(2)) => {
                let [serial_number, issuer] = options.as_members().ok_or(refused)?;
                Ok(Self::BySerial { serial_number: member(serial_number, exact)?, issuer: member(issuer, exact)? })
            }
            _ => Err(refused),
        }
    }
}

fn member<'a, T: FromData<'a>>(data: Data<'a>, exact: bool) -> Result<T, TypeError> {
    if exact { T::from_exact(&data).ok_or(TypeError::new(T::EXPECTED, &data)) } else { T::from_data(data) }
}

impl<'a> FromData<'a> for CertificateIdentification<'a> {
    const EXPECTED: &'static str = "structure of certificate identification";

    fn from_data(data: Data<'a>) -> Result<Self, TypeError> {
        Self::from_members(data, false)
    }

    fn from_exact(data: &Data<'a>) -> Option<Self> {
        Self::from_members(*data, true).ok()
    }
}

impl ToData for CertificateIdentification<'_> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.structure(2)?;
        match *self {
            Self::ByEntity { entity, certificate_type, system_title } => {
                writer.enumerated(BY_ENTITY)?;
                writer.structure(3)?;
                entity.to_data(writer)?;
                certificate_type.to_data(writer)?;
                writer.octets(system_title)
            }
            Self::BySerial { serial_number, issuer } => {
                writer.enumerated(BY_SERIAL)?;
                writer.structure(2)?;
                writer.octets(serial_number)?;
                writer.octets(issuer)
            }
        }
    }
}
