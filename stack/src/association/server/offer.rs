//! What a device can ever offer, as the compiler knows it.

use super::device::AssociationConfig;
use crate::acse::Mechanism;
use crate::apdu::Conformance;
use crate::association::Referencing;

/// What the associations of a device can offer at most, whatever its configuration says: the constant
/// [`Device::OFFER`](super::Device::OFFER).
///
/// What is left out is refused like any service that was not negotiated, and it is not linked: a meter does not pay
/// for what it does not do. The [engine](crate::security::Crypto) is chosen the same way, by its type.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// Services. Without `READ`, `WRITE` and `UNCONFIRMED_WRITE` there are no short names at all.
    pub services: Conformance,
    /// Mechanism 1: passwords.
    pub passwords: bool,
    /// Mechanisms 2, 3, 4 and 6: high-level security with a secret.
    pub secrets: bool,
    /// Mechanism 5: high-level security with GMAC.
    pub gmac: bool,
    /// Mechanism 7: high-level security with signatures.
    pub signatures: bool,
    /// Associations that nobody proposes.
    pub pre_established: bool,
    /// Passing APDUs on to devices behind this one.
    pub gateway: bool,
    /// Telling of what clients do against the standard, and refusing it ([`Device::quirks`](super::Device::quirks)).
    pub deviations: bool,
}

impl Offer {
    /// Everything that the stack has.
    pub const EVERYTHING: Self = Self {
        services: Conformance::from_bits(u32::MAX),
        passwords: true,
        secrets: true,
        gmac: true,
        signatures: true,
        pre_established: true,
        gateway: true,
        deviations: true,
    };

    /// What a small meter needs: logical names, GET, SET and ACTION, also of lists and with selective
    /// access, passwords and GMAC. Only the answers to GET are
    /// sent in blocks, of the service's own: for blocks of SET and ACTION add
    /// [`Conformance::BLOCK_TRANSFER_WITH_SET`] and [`Conformance::BLOCK_TRANSFER_WITH_ACTION`].
    pub const MINIMAL: Self = Self {
        services: Conformance::GET
            .union(Conformance::SET)
            .union(Conformance::ACTION)
            .union(Conformance::SELECTIVE_ACCESS)
            .union(Conformance::BLOCK_TRANSFER_WITH_GET)
            .union(Conformance::MULTIPLE_REFERENCES),
        passwords: true,
        secrets: false,
        gmac: true,
        signatures: false,
        pre_established: false,
        gateway: false,
        deviations: false,
    };

    /// Whether a service is offered.
    #[must_use]
    pub const fn has(self, service: Conformance) -> bool {
        self.services.contains(service)
    }

    /// Whether objects may be referred to by short names.
    #[must_use]
    pub const fn has_short_names(self) -> bool {
        self.has(Conformance::READ) || self.has(Conformance::WRITE) || self.has(Conformance::UNCONFIRMED_WRITE)
    }

    /// Whether an association may be as its configuration says.
    pub(super) fn allows(self, config: &AssociationConfig<'_>) -> bool {
        self.has_mechanism(config.mechanism)
            && (config.referencing == Referencing::LogicalName || self.has_short_names())
    }

    /// Whether a client may prove who it is by `mechanism`.
    #[must_use]
    pub const fn has_mechanism(self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::Lowest => true,
            Mechanism::Lls => self.passwords,
            Mechanism::Gmac => self.gmac,
            Mechanism::Ecdsa => self.signatures,
            _ => self.secrets,
        }
    }
}
