//! Security setup (class 64, versions 0 and 1).

#[cfg(feature = "public-key")]
mod methods;
#[cfg(feature = "public-key")]
mod public_keys;

#[cfg(feature = "public-key")]
pub use public_keys::{CERTIFICATE_OCTETS, CERTIFICATES, ClientKey, PUBLIC_KEYS_RECORD, PublicKeys};

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::security_setup::{KeyId, KeyTransferData};
use dlms::cosem::{Answer, Array, Enumerated, Method, security_setup};
#[cfg(feature = "public-key")]
use dlms::cosem::{
    Reply,
    security_setup::{CertificateIdentification, CertificateType, KeyAgreementData},
};
use dlms::id::{AttributeId, MethodId, SystemTitle};
use dlms::obis::ObisCode;
#[cfg(feature = "public-key")]
use dlms::security::Random;
use dlms::security::{Crypto, KeyEncryptionKey, Protection, SecurityPolicy, Suite, TransferredKey, unwrap_key};

#[cfg(feature = "public-key")]
use crate::moment::Moment;
use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

/// What a security setup tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityDescription {
    /// Least protection of requests and responses.
    pub policy: SecurityPolicy,
    /// Security suite.
    pub suite: Suite,
    /// System title of the client, as far as known.
    pub client_title: Option<SystemTitle>,
    /// System title of the meter.
    pub server_title: SystemTitle,
}

/// Keys that arrived with one `key_transfer`, each unwrapped and of the suite's length. They wipe themselves.
#[derive(Debug, Default)]
pub struct NewKeys {
    /// Global unicast encryption key.
    pub unicast: Option<TransferredKey>,
    /// Global broadcast encryption key.
    pub broadcast: Option<TransferredKey>,
    /// Authentication key.
    pub authentication: Option<TransferredKey>,
    /// Key encrypting key, the master key.
    pub master: Option<TransferredKey>,
}

impl NewKeys {
    /// The place of the key that `key_id` names.
    const fn place(&mut self, key_id: KeyId) -> Option<&mut Option<TransferredKey>> {
        match key_id {
            KeyId::GlobalUnicastEncryption => Some(&mut self.unicast),
            KeyId::GlobalBroadcastEncryption => Some(&mut self.broadcast),
            KeyId::Authentication => Some(&mut self.authentication),
            KeyId::Master => Some(&mut self.master),
            KeyId::Other(_) => None,
        }
    }
}

/// The security setups of the meter.
pub trait SecurityState {
    /// What unwraps keys.
    type Crypto: Crypto;

    /// Setup number `setup`: value group E of its logical name.
    fn security(&self, setup: u8) -> Option<SecurityDescription>;

    /// Puts a stronger policy in force.
    ///
    /// # Errors
    /// What the client gets; the policy is unchanged then.
    fn activate(&mut self, setup: u8, policy: SecurityPolicy) -> Result<(), ActionResult>;

    /// The key encrypting key, with which new keys are wrapped; `None` for a meter whose keys stay.
    fn master_key(&self, setup: u8) -> Option<&KeyEncryptionKey> {
        let _ = setup;
        None
    }

    /// Keeps new keys for good. They are put in force, with counters that begin anew, when the meter is told that the
    /// response has been made ([`Device::answered`](dlms::association::server::Device::answered)): it is still
    /// protected with the old ones.
    ///
    /// # Errors
    /// What the client gets; all keys stay as they are then.
    fn replace_keys(&mut self, setup: u8, keys: NewKeys) -> Result<(), ActionResult> {
        let _ = (setup, keys);
        Err(ActionResult::ReadWriteDenied)
    }

    /// Key pairs and certificates; `None` for a meter that has none.
    #[cfg(feature = "public-key")]
    fn public_keys(&self, setup: u8) -> Option<&PublicKeys> {
        let _ = setup;
        None
    }

    /// The same, to be changed, and the generator that draws keys. What is changed is kept next
    /// ([`keep_public_keys`](Self::keep_public_keys)).
    #[cfg(feature = "public-key")]
    fn public_keys_mut(&mut self, setup: u8) -> Option<(&mut PublicKeys, &mut dyn Random)> {
        let _ = setup;
        None
    }

    /// Keeps key pairs and certificates for good; when it cannot, the change is taken back.
    #[cfg(feature = "public-key")]
    fn keep_public_keys(&mut self, setup: u8) -> bool {
        let _ = setup;
        false
    }

    /// Seconds since 1970 in UTC at `at`, for the validity of certificates; `None` for a meter whose clock nobody has set,
    /// which does not look at it.
    #[cfg(feature = "public-key")]
    fn trusted_time(&self, at: Moment) -> Option<u64> {
        let _ = at;
        None
    }
}

/// Policy, suite, system titles, and keys that can be replaced but never read.
///
/// `key_transfer` wants requests that are authenticated and encrypted, whatever the access rights say, and replaces
/// all the keys that it names or none. Methods 3 to 8 of version 1 want the same, a meter of suite 1 or 2
/// (`SecurityState::public_keys`) and the feature `public-key`.
#[derive(Clone, Copy, Debug)]
pub struct SecuritySetup {
    /// Logical name.
    pub instance: ObisCode,
    /// Version of the class, 0 or 1: how the policy is written.
    pub version: u8,
}

serve!(security_setup: [S: SecurityState + ?Sized] SecuritySetup);

impl SecuritySetup {
    const fn setup(&self) -> u8 {
        let [_, _, _, _, e, _] = self.instance.0;
        e
    }

    fn describe<S: SecurityState + ?Sized>(&self, state: &S) -> Result<SecurityDescription, DataAccessResult> {
        state.security(self.setup()).ok_or(DataAccessResult::ObjectUnavailable)
    }

    fn activate<S: SecurityState + ?Sized>(
        &self,
        state: &mut S,
        policy: Option<SecurityPolicy>,
    ) -> Result<(), ActionResult> {
        let policy = policy.ok_or(ActionResult::OtherReason)?;
        let security = state.security(self.setup()).ok_or(ActionResult::ObjectUnavailable)?;
        if !security.policy.may_become(policy) {
            return Err(ActionResult::ReadWriteDenied);
        }
        state.activate(self.setup(), policy)
    }

    /// All or nothing: whatever is wrong with one key, no key is replaced, and the answer does not say which.
    fn transfer<S: SecurityState + ?Sized>(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        transfers: &Array<'_, KeyTransferData<'_>>,
    ) -> Result<(), ActionResult> {
        if !cx.access.request.covers(Protection::AUTHENTICATED_ENCRYPTED) {
            return Err(ActionResult::ReadWriteDenied);
        }
        let security = state.security(self.setup()).ok_or(ActionResult::ObjectUnavailable)?;
        let master = state.master_key(self.setup()).ok_or(ActionResult::ReadWriteDenied)?;
        let keys = unwrap_all::<S::Crypto>(security.suite, master, transfers)?;
        state.replace_keys(self.setup(), keys)
    }
}

/// Unwraps every key with the master key that is in force.
fn unwrap_all<C: Crypto>(
    suite: Suite,
    master: &KeyEncryptionKey,
    transfers: &Array<'_, KeyTransferData<'_>>,
) -> Result<NewKeys, ActionResult> {
    let mut keys = NewKeys::default();
    if transfers.is_empty() {
        return Err(ActionResult::TypeUnmatched);
    }
    for transfer in transfers.iter() {
        let KeyTransferData { key_id, key_wrapped } = transfer.map_err(|_| ActionResult::TypeUnmatched)?;
        let place = keys.place(key_id).ok_or(ActionResult::OtherReason)?;
        // One key twice: nobody knows which one is meant.
        if place.is_some() {
            return Err(ActionResult::OtherReason);
        }
        *place = Some(unwrap_key::<C>(suite, master, key_wrapped).map_err(|_| ActionResult::OtherReason)?);
    }
    Ok(keys)
}

impl<'c, S: SecurityState + ?Sized> security_setup::Server<S, Context<'c, S>> for SecuritySetup {
    fn class_version(&self) -> u8 {
        self.version
    }

    /// Nothing is written. Without public keys there are the first two methods alone.
    #[inline(always)]
    fn takes(&self, _: AttributeId) -> bool {
        false
    }

    #[inline(always)]
    fn obeys(&self, method: MethodId) -> bool {
        cfg!(feature = "public-key") || method <= security_setup::KeyTransfer::ID
    }

    fn security_policy_v0(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, security_setup::PolicyV0>,
    ) -> Answered {
        let policy = self.describe(state)?.policy.to_v0().ok_or(DataAccessResult::OtherReason)?;
        answer.value(&Enumerated(policy))
    }

    fn security_policy(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, security_setup::Policy>,
    ) -> Answered {
        answer.value(&Enumerated(self.describe(state)?.policy.to_v1()))
    }

    fn security_suite(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, security_setup::Suite>) -> Answered {
        answer.value(&Enumerated(self.describe(state)?.suite.id()))
    }

    fn client_system_title(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, security_setup::ClientSystemTitle>,
    ) -> Answered {
        answer.value(&self.describe(state)?.client_title.as_ref().map_or(&[], |title| title.as_bytes()))
    }

    fn server_system_title(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, security_setup::ServerSystemTitle>,
    ) -> Answered {
        answer.value(&self.describe(state)?.server_title.as_bytes().as_slice())
    }

    fn certificates(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, security_setup::Certificates>,
    ) -> Answered {
        #[cfg(feature = "public-key")]
        return self.list_certificates(state, answer);
        #[cfg(not(feature = "public-key"))]
        {
            self.describe(state)?;
            answer.elements(0, |_| Err(DataAccessResult::OtherReason))
        }
    }

    fn security_activate_v0(&self, state: &mut S, _: &Context<'c, S>, policy: Enumerated) -> Result<(), ActionResult> {
        // One client implementation writes the bits of the security control octet (seen in its source).
        let value = if matches!(policy.0, 0x10 | 0x20 | 0x30) { policy.0 >> 4 } else { policy.0 };
        self.activate(state, SecurityPolicy::from_v0(value))
    }

    fn security_activate(&self, state: &mut S, _: &Context<'c, S>, policy: Enumerated) -> Result<(), ActionResult> {
        self.activate(state, SecurityPolicy::from_v1(policy.0))
    }

    fn global_key_transfer(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        transfers: Array<'_, KeyTransferData<'_>>,
    ) -> Result<(), ActionResult> {
        self.transfer(state, cx, &transfers)
    }

    fn key_transfer(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        transfers: Array<'_, KeyTransferData<'_>>,
    ) -> Result<(), ActionResult> {
        self.transfer(state, cx, &transfers)
    }

    #[cfg(feature = "public-key")]
    fn key_agreement(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        offers: Array<'_, KeyAgreementData<'_>>,
        reply: Reply<'_, '_, security_setup::KeyAgreement>,
    ) -> Result<(), ActionResult> {
        self.agree(state, cx, &offers, reply)
    }

    #[cfg(feature = "public-key")]
    fn generate_key_pair(&self, state: &mut S, cx: &Context<'c, S>, kind: CertificateType) -> Result<(), ActionResult> {
        self.generate(state, cx, kind)
    }

    #[cfg(feature = "public-key")]
    fn generate_certificate_request(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        kind: CertificateType,
        reply: Reply<'_, '_, security_setup::GenerateCertificateRequest>,
    ) -> Result<(), ActionResult> {
        self.request(state, cx, kind, reply)
    }

    #[cfg(feature = "public-key")]
    fn import_certificate(&self, state: &mut S, cx: &Context<'c, S>, der: &[u8]) -> Result<(), ActionResult> {
        self.import(state, cx, der)
    }

    #[cfg(feature = "public-key")]
    fn export_certificate(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        which: CertificateIdentification<'_>,
        reply: Reply<'_, '_, security_setup::ExportCertificate>,
    ) -> Result<(), ActionResult> {
        self.export(state, cx, which, reply)
    }

    #[cfg(feature = "public-key")]
    fn remove_certificate(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        which: CertificateIdentification<'_>,
    ) -> Result<(), ActionResult> {
        self.remove(state, cx, which)
    }
}
