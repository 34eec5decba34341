//! How the objects of an association are referred to.

use crate::acse::ApplicationContext;
use crate::apdu::InitiateResponse;

/// How the objects of an association are referred to. The application context names it, once for the association.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Referencing {
    /// By class and logical name: GET, SET, ACTION and ACCESS.
    #[default]
    LogicalName,
    /// By short name, a number of 16 bits for each attribute and method: Read, Write and InformationReport.
    ShortName,
}

impl Referencing {
    /// The application context.
    pub(super) const fn context(self, ciphered: bool) -> ApplicationContext {
        match (self, ciphered) {
            (Self::LogicalName, false) => ApplicationContext::LogicalName,
            (Self::LogicalName, true) => ApplicationContext::LogicalNameCiphered,
            (Self::ShortName, false) => ApplicationContext::ShortName,
            (Self::ShortName, true) => ApplicationContext::ShortNameCiphered,
        }
    }

    /// What the InitiateResponse says about it.
    pub(super) const fn vaa_name(self) -> u16 {
        match self {
            Self::LogicalName => InitiateResponse::VAA_LOGICAL_NAME,
            Self::ShortName => InitiateResponse::VAA_SHORT_NAME,
        }
    }
}
