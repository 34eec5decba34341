//! Deviations of the peer: counted, and refused where they are not tolerated.

use super::{Config, Connection, End, RequestError, State};
use crate::acse::{Aare, Diagnostic, ServiceUserDiagnostic};
use crate::apdu::{Apdu, InitiateResponse, tag};
use crate::association::client::ConnectionError;
use crate::deviation::{Deviation, DeviationCounts, Deviations};
use crate::link::{Link, Storage};
use crate::security::{Crypto, Random};

/// The longest APDU that every server should take, in octets.
const PDU_SIZE_LEAST: u16 = 128;

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// The deviations from the standard that the server has shown so far, on every layer, and how often.
    #[must_use]
    pub const fn deviations(&self) -> &DeviationCounts {
        &self.deviations
    }

    /// Counts what was met.
    ///
    /// # Errors
    /// The first that is not tolerated.
    pub(super) fn tolerate(&mut self, met: Deviations) -> Result<(), RequestError> {
        self.deviations.count(met);
        self.config.quirks.check(met).map_err(RequestError::Deviates)
    }

    /// Counts what the link has met; ends the connection over what is not tolerated.
    pub(super) fn tolerate_link(&mut self) {
        let met = self.link.take_deviations();
        if let Err(error) = self.tolerate(met)
            && !matches!(self.state, State::Idle)
        {
            self.finish(End::Lost(ConnectionError::Request(error)));
        }
    }

    /// What the answer to a release shows.
    pub(super) fn release_deviations(&mut self) -> Deviations {
        let apdu = self.link.apdu();
        match Apdu::decode_with_deviations(apdu) {
            Ok((Apdu::ExceptionResponse(_) | Apdu::ConfirmedServiceError(_), met)) => {
                met.with(Deviation::RefusedRelease)
            }
            Ok((_, met)) => met,
            Err(_) => Deviations::NONE,
        }
    }
}

/// What an APDU shows before it is deciphered: its envelope, and an error in clear where nothing should be.
pub(super) fn of_envelope(apdu: &[u8], ciphered: bool) -> Deviations {
    match apdu {
        [tag::GENERAL_GLO_CIPHERING | tag::GENERAL_DED_CIPHERING, 0, ..] => {
            Deviations::NONE.with(Deviation::EmptySystemTitle)
        }
        [tag::EXCEPTION_RESPONSE | tag::CONFIRMED_SERVICE_ERROR, ..] => {
            let met = Apdu::decode_with_deviations(apdu).map_or(Deviations::NONE, |(_, met)| met);
            if ciphered { met.with(Deviation::PlainError) } else { met }
        }
        _ => Deviations::NONE,
    }
}

/// What an accepted AARE shows beside its encoding.
pub(super) fn of_aare(aare: &Aare<'_>, config: &Config, challenged: bool) -> Deviations {
    let mut met = Deviations::NONE;
    let ciphered = config.security.is_some() && config.ciphered_context;
    // The mechanisms with digests and signatures use titles without ciphering.
    let titled = ciphered || config.own_title().is_some();
    let announced = aare.diagnostic == Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationRequired);
    for (shown, deviation) in [
        (challenged && !announced && aare.authentication_value.is_some(), Deviation::UnannouncedChallenge),
        (ciphered && aare.responding_ap_title.is_none(), Deviation::MissingSystemTitle),
        (!titled && aare.responding_ap_title.is_some_and(|title| !title.is_empty()), Deviation::UnneededSystemTitle),
        (challenged && aare.mechanism.is_none(), Deviation::MissingMechanism),
    ] {
        if shown {
            met.insert(deviation);
        }
    }
    met
}

/// What an InitiateResponse shows beside its encoding.
pub(super) fn of_initiate(initiate: &InitiateResponse, config: &Config) -> Deviations {
    let mut met = Deviations::NONE;
    let size = initiate.max_receive_pdu;
    for (shown, deviation) in [
        (!config.conformance.contains(initiate.conformance), Deviation::ExtraConformance),
        (size == 0, Deviation::ZeroPduSize),
        ((1..PDU_SIZE_LEAST).contains(&size), Deviation::SmallPduSize),
        (initiate.vaa_name != config.referencing.vaa_name(), Deviation::VaaName),
    ] {
        if shown {
            met.insert(deviation);
        }
    }
    met
}
