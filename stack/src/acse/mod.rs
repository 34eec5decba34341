//! ACSE (ISO/IEC 8650-1 as profiled by IEC 62056-5-3): opening and releasing associations.
//!
//! The APDUs are BER. User-information is an xDLMS APDU, plain or ciphered, and stays raw octets here.

mod aare;
mod aarq;
mod ber;
mod names;
mod release;

pub use aare::{Aare, AssociationResult, Diagnostic, ServiceProviderDiagnostic, ServiceUserDiagnostic};
pub use aarq::{Aarq, AuthenticationValue, ProtocolVersion};
pub use names::{ApplicationContext, Mechanism, ObjectIdentifier};
pub use release::{ReleaseReason, Rlre, Rlrq};

/// First octet of an AARQ.
pub const AARQ: u8 = 0x60;
/// First octet of an AARE.
pub const AARE: u8 = 0x61;
/// First octet of an RLRQ.
pub const RLRQ: u8 = 0x62;
/// First octet of an RLRE.
pub const RLRE: u8 = 0x63;
