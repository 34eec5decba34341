//! Methods 3 to 8 and attribute 6: what suites 1 and 2 add to a security setup.
//!
//! Every change is made to a copy, which takes the place of the original when it is kept for good: all or nothing. Whatever
//! is wrong with a key or a certificate, the answer is the same.

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::security_setup::{
    self, CertificateEntity, CertificateIdentification, CertificateInfo, CertificateType, KeyAgreementData, KeyId,
};
use dlms::cosem::{Answer, Array, Reply};
use dlms::security::certificate::{
    self, Certificate, CertificateError, Entity, Identification, Purpose, REQUEST_MAX, certification_request,
};
use dlms::security::public_key::agreement::{KeyData, answer_offer};
use dlms::security::{AgreedKey, Crypto, Curve, Curves, Protection, Random, TransferredKey};

use super::{NewKeys, PublicKeys, SecurityDescription, SecuritySetup, SecurityState};
use crate::object::Context;

type CurvesOf<S> = <<S as SecurityState>::Crypto as Crypto>::Curves;

/// Keys that one request may agree on: all that there are.
const KEYS_MAX: usize = 4;
/// Octets around the keys of an answer to `key_agreement`: its head, and what ciphering and signing put around an APDU.
const AROUND_ANSWER: usize = 200;
/// Octets around each key of it.
const AROUND_KEY: usize = 7;
/// Octets of a serial number as DER INTEGER: 20 of content at most.
const SERIAL_OCTETS: usize = 22;

fn refused(error: CertificateError) -> ActionResult {
    let _ = error;
    ActionResult::OtherReason
}

/// The purposes that a meter has key pairs for.
fn own_purpose(kind: CertificateType) -> Result<Purpose, ActionResult> {
    let purpose = Purpose::from_value(kind.into());
    purpose.filter(|purpose| *purpose != Purpose::Other).ok_or(ActionResult::OtherReason)
}

fn identification(given: CertificateIdentification<'_>) -> Result<Identification<'_>, ActionResult> {
    Ok(match given {
        CertificateIdentification::ByEntity { entity, certificate_type, system_title } => Identification::Entity {
            entity: Entity::from_value(entity.into()).ok_or(ActionResult::OtherReason)?,
            purpose: Purpose::from_value(certificate_type.into()).ok_or(ActionResult::OtherReason)?,
            title: system_title,
        },
        CertificateIdentification::BySerial { serial_number, issuer } => {
            Identification::Serial { serial: serial_number, issuer }
        }
    })
}

/// The content of an INTEGER with tag and length, as peers write it to name a certificate.
fn der_integer<'b>(content: &[u8], buffer: &'b mut [u8; SERIAL_OCTETS]) -> Option<&'b [u8]> {
    let length = u8::try_from(content.len()).ok()?;
    let end = content.len().checked_add(2)?;
    let whole = buffer.get_mut(..end)?;
    let octets = [2, length].into_iter().chain(content.iter().copied());
    whole.iter_mut().zip(octets).for_each(|(to, octet)| *to = octet);
    Some(whole)
}

impl SecuritySetup {
    /// Whether this request may do it at all, and in a suite that has it.
    fn asked<S: SecurityState + ?Sized>(
        &self,
        state: &S,
        cx: &Context<'_, S>,
    ) -> Result<(SecurityDescription, Curve), ActionResult> {
        if !cx.access.request.covers(Protection::AUTHENTICATED_ENCRYPTED) {
            return Err(ActionResult::ReadWriteDenied);
        }
        let security = state.security(self.setup()).ok_or(ActionResult::ObjectUnavailable)?;
        Ok((security, security.suite.curve().ok_or(ActionResult::OtherReason)?))
    }

    fn change<S: SecurityState + ?Sized>(
        &self,
        state: &mut S,
        change: impl FnOnce(&mut PublicKeys, &mut dyn Random) -> Result<(), ActionResult>,
    ) -> Result<(), ActionResult> {
        let (keys, random) = state.public_keys_mut(self.setup()).ok_or(ActionResult::OtherReason)?;
        let mut next = keys.next().map_err(refused)?;
        change(&mut next, random)?;
        let before = core::mem::replace(keys, next);
        if state.keep_public_keys(self.setup()) {
            return Ok(());
        }
        if let Some((keys, _)) = state.public_keys_mut(self.setup()) {
            *keys = before;
        }
        Err(ActionResult::OtherReason)
    }

    pub(super) fn list_certificates<S: SecurityState + ?Sized>(
        &self,
        state: &S,
        answer: Answer<'_, '_, security_setup::Certificates>,
    ) -> Result<Progress, DataAccessResult> {
        self.describe(state)?;
        let keys = state.public_keys(self.setup());
        let part = answer.into_part();
        let revision = keys.map_or(0, PublicKeys::revision);
        // A list that changes while it is read in blocks has neither the old nor the new number of elements.
        if part.cursor.part == 0 {
            part.cursor.anchor = revision;
        } else if part.cursor.anchor != revision {
            return Err(DataAccessResult::OtherReason);
        }
        let answer = Answer::<security_setup::Certificates>::from(part);
        let mut buffer = [0; SERIAL_OCTETS];
        let serial = &mut buffer;
        let count = keys.map_or(0, |keys| keys.certificates().count());
        answer.elements(count, move |index| {
            let found = keys.and_then(|keys| keys.certificates().nth(index)).ok_or(DataAccessResult::OtherReason)?;
            let certificate = Certificate::parse(found.der).map_err(|_| DataAccessResult::OtherReason)?;
            Ok(CertificateInfo {
                entity: CertificateEntity::from(found.entity.value()),
                certificate_type: CertificateType::from(found.purpose.value()),
                serial_number: der_integer(certificate.serial_number(), serial).ok_or(DataAccessResult::OtherReason)?,
                issuer: certificate.issuer(),
                subject: certificate.subject(),
                subject_alt_name: certificate.subject_alt_name(),
            })
        })
    }

    /// All keys or none, in force behind the answer. The client's signature is verified before anything is computed with
    /// what it offers.
    pub(super) fn agree<S: SecurityState + ?Sized>(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        offers: &Array<'_, KeyAgreementData<'_>>,
        reply: Reply<'_, '_, security_setup::KeyAgreement>,
    ) -> Result<(), ActionResult> {
        let (security, curve) = self.asked(state, cx)?;
        if offers.is_empty() {
            return Err(ActionResult::TypeUnmatched);
        }
        // An answer in several APDUs would change the keys between them.
        let key = curve.double_width().saturating_mul(2).saturating_add(AROUND_KEY);
        let octets = offers.len().saturating_mul(key).saturating_add(AROUND_ANSWER);
        let limit = usize::from(cx.access.client_max_pdu.min(cx.access.server_max_pdu));
        if offers.len() > KEYS_MAX || (cx.access.client_max_pdu != 0 && octets > limit) {
            return Err(ActionResult::OtherReason);
        }
        let client = cx.access.client_title.ok_or(ActionResult::OtherReason)?;
        let now = state.trusted_time(cx.at);
        let (keys, random) = state.public_keys_mut(self.setup()).ok_or(ActionResult::OtherReason)?;
        let signer =
            keys.client_key::<CurvesOf<S>>(security.suite, client, Purpose::Signature, now).map_err(refused)?;
        let signing = keys.private_key(Purpose::Signature).ok_or(ActionResult::OtherReason)?;
        let mut agreed = NewKeys::default();
        let mut answers: [Option<(KeyId, KeyData)>; KEYS_MAX] = [None; KEYS_MAX];
        for (offer, place) in offers.iter().zip(&mut answers) {
            let KeyAgreementData { key_id, key_data } = offer.map_err(|_| ActionResult::TypeUnmatched)?;
            let to = agreed.place(key_id).ok_or(ActionResult::OtherReason)?;
            if to.is_some() {
                return Err(ActionResult::OtherReason);
            }
            let (data, key) = answer_offer::<CurvesOf<S>>(
                security.suite,
                key_id.into(),
                client,
                security.server_title,
                &signer.key,
                signing,
                key_data,
                random,
            )
            .map_err(|_| ActionResult::OtherReason)?;
            *to = Some(transferred(&security, &key)?);
            *place = Some((key_id, data));
        }
        state.replace_keys(self.setup(), agreed)?;
        let mut elements = [KeyAgreementData { key_id: KeyId::Master, key_data: &[] }; KEYS_MAX];
        let mut count: usize = 0;
        for (element, (key_id, data)) in elements.iter_mut().zip(answers.iter().flatten()) {
            *element = KeyAgreementData { key_id: *key_id, key_data: data.as_bytes() };
            count = count.saturating_add(1);
        }
        reply.value(&Array::Values(elements.get(..count).unwrap_or_default()))
    }

    /// The new pair waits for its certificate; the one in use stays in use.
    pub(super) fn generate<S: SecurityState + ?Sized>(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        kind: CertificateType,
    ) -> Result<(), ActionResult> {
        let (_, curve) = self.asked(state, cx)?;
        let purpose = own_purpose(kind)?;
        self.change(state, |keys, random| {
            let pair = CurvesOf::<S>::generate(curve, random).map_err(|_| ActionResult::OtherReason)?;
            *keys.pending_mut(purpose).ok_or(ActionResult::OtherReason)? = Some(pair);
            Ok(())
        })
    }

    pub(super) fn request<S: SecurityState + ?Sized>(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        kind: CertificateType,
        reply: Reply<'_, '_, security_setup::GenerateCertificateRequest>,
    ) -> Result<(), ActionResult> {
        let (security, _) = self.asked(state, cx)?;
        let pair = state.public_keys(self.setup()).and_then(|keys| keys.newest(own_purpose(kind).ok()?));
        let pair = pair.ok_or(ActionResult::OtherReason)?;
        let mut room = [0; REQUEST_MAX];
        let place = certification_request::<CurvesOf<S>>(pair, security.server_title, &mut room).map_err(refused)?;
        reply.value(&room.get(place).ok_or(ActionResult::OtherReason)?)
    }

    pub(super) fn import<S: SecurityState + ?Sized>(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        der: &[u8],
    ) -> Result<(), ActionResult> {
        let (security, _) = self.asked(state, cx)?;
        let now = state.trusted_time(cx.at);
        self.change(state, |keys, _| {
            keys.import::<CurvesOf<S>>(security.suite, security.server_title, now, der).map_err(refused)
        })
    }

    pub(super) fn export<S: SecurityState + ?Sized>(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        which: CertificateIdentification<'_>,
        reply: Reply<'_, '_, security_setup::ExportCertificate>,
    ) -> Result<(), ActionResult> {
        self.asked(state, cx)?;
        let keys = state.public_keys(self.setup()).ok_or(ActionResult::OtherReason)?;
        reply.value(&certificate::export(keys.store(), &identification(which)?).map_err(refused)?)
    }

    pub(super) fn remove<S: SecurityState + ?Sized>(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        which: CertificateIdentification<'_>,
    ) -> Result<(), ActionResult> {
        self.asked(state, cx)?;
        let which = identification(which)?;
        self.change(state, |keys, _| certificate::remove(keys.store_mut(), &which).map_err(refused))
    }
}

/// From here on a key that was agreed on is as one that was transferred.
fn transferred(security: &SecurityDescription, key: &AgreedKey) -> Result<TransferredKey, ActionResult> {
    TransferredKey::from_slice(security.suite, key.as_bytes()).map_err(|_| ActionResult::OtherReason)
}
