//! Protection of APDUs in place (Green Book, clause 9.2.7.2: security header, IV and additional authenticated data).

use core::fmt;
use core::ops::Range;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::tags::{GENERAL_DED, GENERAL_GLO, dedicated_tag, global_tag};
use super::{
    AuthenticationKey, Crypto, EncryptionKey, Envelope, KeyId, KeySet, ProtectedHeader, Protection, ReceiveFloor,
    SecurityControl, SecurityError, Suite, TAG_LENGTH, VerifiedCounter,
};
use crate::axdr::Writer;
use crate::id::SystemTitle;

/// Octets that any protection may need in front of the plain APDU: tag, system title with its length, content length
/// (five octets at most), security control, invocation counter. Behind it, [`TAG_LENGTH`] are needed.
pub const HEADROOM: usize = 1 + 9 + 5 + 1 + 4;

/// Expanded keys, titles and required protection of one association.
///
/// Keys are expanded once, when the association opens. Transmit counters are handed in, receive floors are looked up
/// and moved by the caller, as both belong to the key and not to the association.
///
/// ```
/// use dlms::id::SystemTitle;
/// use dlms::security::{Context, Envelope, HEADROOM, KeySet, Protection, ReceiveFloor, RustCrypto, Suite, TAG_LENGTH};
///
/// # fn main() -> Result<(), dlms::security::SecurityError> {
/// let keys = KeySet::new(Suite::Suite0, &[0x11; 16], &[0x22; 16])?;
/// let (client, server) = (SystemTitle(*b"MMM\0\0\0\0\x01"), SystemTitle(*b"MMM\0\0\xBC\x61\x4E"));
/// let mut sender = Context::<RustCrypto>::new(client, &keys)?;
/// let mut receiver = Context::<RustCrypto>::new(server, &keys)?;
/// receiver.set_peer_title(client);
///
/// let plain = [0xC0, 0x01, 0x81, 0x00, 0x08, 0, 0, 1, 0, 0, 0xFF, 0x02, 0x00];
/// let mut buffer = [0; HEADROOM + 13 + TAG_LENGTH];
/// buffer[HEADROOM..HEADROOM + 13].copy_from_slice(&plain);
/// let control = sender.control(Protection::AUTHENTICATED_ENCRYPTED);
/// let sent = sender.protect(Envelope::Global, control, 1, &mut buffer, HEADROOM..HEADROOM + 13)?;
///
/// let mut floor = ReceiveFloor::new(0);
/// let apdu = &mut buffer[sent];
/// let received = receiver.unprotect(apdu, |_key| floor)?;
/// if let Some(verified) = received.verified {
///     floor.accept(verified);
/// }
/// assert_eq!(&apdu[received.plain], &plain);
/// assert_eq!(floor.lowest(), 2);
/// # Ok(())
/// # }
/// ```
pub struct Context<C: Crypto> {
    suite: Suite,
    own_title: SystemTitle,
    peer_title: Option<SystemTitle>,
    unicast: C::Key,
    broadcast: Option<C::Key>,
    broadcast_accepted: bool,
    dedicated: Option<C::Key>,
    authentication: Option<Prefixes>,
    required: Protection,
}

/// A deciphered APDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unprotected {
    /// Where the plain APDU now is in the received octets.
    pub plain: Range<usize>,
    /// How it was wrapped: the answer is wrapped the same.
    pub envelope: Envelope,
    /// How it was protected.
    pub protection: Protection,
    /// The key that protected it.
    pub key: KeyId,
    /// The counter it claims.
    pub counter: u32,
    /// The counter, proven by the tag: to be given to [`ReceiveFloor::accept`]. `None` for an APDU that is only
    /// enciphered or in clear: nothing proves its counter, which therefore must not move any floor.
    pub verified: Option<VerifiedCounter>,
}

impl<C: Crypto> Context<C> {
    /// Expands the keys. The peer's title is not known yet; required is authentication with encryption.
    ///
    /// # Errors
    /// [`SecurityError::Engine`], when the cryptographic engine refuses a key.
    pub fn new(own_title: SystemTitle, keys: &KeySet) -> Result<Self, SecurityError> {
        let broadcast = match &keys.broadcast {
            Some(key) => Some(C::expand(key.as_bytes())?),
            None => None,
        };
        Ok(Self {
            suite: keys.suite,
            own_title,
            peer_title: None,
            unicast: C::expand(keys.encryption.as_bytes())?,
            broadcast,
            broadcast_accepted: false,
            dedicated: None,
            authentication: keys.authentication.as_ref().map(|key| Prefixes::new(keys.suite, key)),
            required: Protection::AUTHENTICATED_ENCRYPTED,
        })
    }

    /// Puts other global keys of the same suite in force; titles, demands and the dedicated key stay.
    ///
    /// # Errors
    /// [`SecurityError::SuiteMismatch`], [`SecurityError::Engine`]; the keys are unchanged then.
    pub fn replace_keys(&mut self, keys: &KeySet) -> Result<(), SecurityError> {
        if keys.suite != self.suite {
            return Err(SecurityError::SuiteMismatch { found: keys.suite.id() });
        }
        let broadcast = match &keys.broadcast {
            Some(key) => Some(C::expand(key.as_bytes())?),
            None => None,
        };
        self.unicast = C::expand(keys.encryption.as_bytes())?;
        self.broadcast = broadcast;
        self.authentication = keys.authentication.as_ref().map(|key| Prefixes::new(keys.suite, key));
        Ok(())
    }

    /// States the least protection that received APDUs must have.
    pub fn set_required(&mut self, required: Protection) {
        self.required = required;
    }

    /// The least protection that received APDUs must have.
    #[must_use]
    pub const fn required(&self) -> Protection {
        self.required
    }

    /// Whether received APDUs may use the broadcast key, which the whole group of meters holds: any of them can forge
    /// such an APDU. A server that serves broadcasts allows it, and then looks at [`Unprotected::key`] before it
    /// grants anything; a client never does. Not allowed at first.
    pub fn set_broadcast_accepted(&mut self, accepted: bool) {
        self.broadcast_accepted = accepted;
    }

    /// Whether received APDUs may use the broadcast key.
    pub(super) const fn broadcast_accepted(&self) -> bool {
        self.broadcast_accepted
    }

    /// Sets the peer's system title, from the AARQ or AARE or from configuration.
    pub fn set_peer_title(&mut self, title: SystemTitle) {
        self.peer_title = Some(title);
    }

    /// The peer's system title, once it is known.
    #[must_use]
    pub const fn peer_title(&self) -> Option<SystemTitle> {
        self.peer_title
    }

    /// The own system title.
    #[must_use]
    pub const fn own_title(&self) -> SystemTitle {
        self.own_title
    }

    /// The security suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Expands the association's dedicated key, which starts with fresh counters.
    ///
    /// # Errors
    /// [`SecurityError::KeyLength`] when it does not have the suite's length, [`SecurityError::Engine`].
    pub fn set_dedicated_key(&mut self, key: &[u8]) -> Result<(), SecurityError> {
        let key = EncryptionKey::from_slice(self.suite, key)?;
        self.dedicated = Some(C::expand(key.as_bytes())?);
        Ok(())
    }

    /// Whether a dedicated key was agreed.
    #[must_use]
    pub const fn has_dedicated_key(&self) -> bool {
        self.dedicated.is_some()
    }

    /// The security control octet for this suite, with the unicast or dedicated key.
    #[must_use]
    pub const fn control(&self, protection: Protection) -> SecurityControl {
        SecurityControl::new(self.suite, protection)
    }

    /// Protects the plain APDU `plain` of `buffer` in place and returns where the ciphered APDU is.
    ///
    /// The header grows to the front, the tag to the back: [`HEADROOM`] octets before and [`TAG_LENGTH`] octets behind
    /// `plain` always suffice. `counter` must never have been used with this key and the own title before, and is used
    /// up even when this fails.
    ///
    /// # Errors
    /// [`SecurityError::NoCounterpart`] when the service needs a general envelope; [`SecurityError::NoKey`],
    /// [`SecurityError::NoAuthenticationKey`], [`SecurityError::CounterExhausted`], [`SecurityError::BufferTooSmall`];
    /// [`SecurityError::SuiteMismatch`], [`SecurityError::Compressed`] or [`SecurityError::BroadcastDedicated`]
    /// for a control octet that does not fit this context; [`SecurityError::Engine`].
    pub fn protect(
        &self,
        envelope: Envelope,
        control: SecurityControl,
        counter: u32,
        buffer: &mut [u8],
        plain: Range<usize>,
    ) -> Result<Range<usize>, SecurityError> {
        let key = self.key(self.check_control(envelope, control)?)?;
        if counter == u32::MAX {
            return Err(super::CounterExhausted.into());
        }
        let protection = control.protection();
        let tag_length = if protection.authenticated { TAG_LENGTH } else { 0 };
        let text = buffer.get(plain.clone()).ok_or(SecurityError::BufferTooSmall)?;

        let mut scratch = [0; HEADROOM];
        let mut header = Writer::new(&mut scratch);
        let content = text.len().saturating_add(5).saturating_add(tag_length);
        self.write_header(&mut header, envelope, text.first().copied().unwrap_or_default(), content, control, counter)?;
        let header = header.into_written();

        let start = plain.start.checked_sub(header.len()).ok_or(SecurityError::BufferTooSmall)?;
        let end = plain.end.checked_add(tag_length).ok_or(SecurityError::BufferTooSmall)?;
        let whole = buffer.get_mut(start..end).ok_or(SecurityError::BufferTooSmall)?;
        let (room, rest) = whole.split_at_mut_checked(header.len()).ok_or(SecurityError::BufferTooSmall)?;
        let (text, room_for_tag) = rest.split_at_mut_checked(plain.len()).ok_or(SecurityError::BufferTooSmall)?;

        let iv = iv(self.own_title, counter);
        match (protection.authenticated, protection.encrypted) {
            (false, false) => {}
            (false, true) => C::cipher(key, &iv, text)?,
            (true, false) => {
                let tag = C::seal(key, &iv, &[self.prefix(control)?, text], &mut [])?;
                room_for_tag.copy_from_slice(&tag);
            }
            (true, true) => {
                let tag = C::seal(key, &iv, &[self.prefix(control)?], text)?;
                room_for_tag.copy_from_slice(&tag);
            }
        }
        room.copy_from_slice(header);
        Ok(start..end)
    }

    /// Checks and deciphers a complete ciphered APDU in place and returns where the plain APDU is.
    ///
    /// `floor` gives the receive floor of the key that the sender used. The checks go from cheap to dear: structure,
    /// control octet, required protection, counter, tag, plain tag. Whatever fails, no counter may move; the caller
    /// moves the floor with [`Unprotected::verified`] and nothing else can.
    ///
    /// # Errors
    /// Any of [`SecurityError`]'s variants for received APDUs; [`SecurityError::class`] tells what to answer. Before
    /// the tag was found right, the octets are unchanged.
    pub fn unprotect(
        &self,
        apdu: &mut [u8],
        floor: impl FnOnce(KeyId) -> ReceiveFloor,
    ) -> Result<Unprotected, SecurityError> {
        self.unprotect_layer(apdu, self.required, floor)
    }

    /// The same where the APDU is one of several layers, which together satisfy what is required.
    pub(super) fn unprotect_layer(
        &self,
        apdu: &mut [u8],
        required: Protection,
        floor: impl FnOnce(KeyId) -> ReceiveFloor,
    ) -> Result<Unprotected, SecurityError> {
        let header = ProtectedHeader::parse(apdu)?;
        let key_id = self.check_control(header.envelope, header.control)?;
        let protection = header.control.protection();
        if !protection.covers(required) {
            return Err(SecurityError::PolicyNotMet { required, found: protection });
        }
        if key_id == KeyId::Broadcast && !self.broadcast_accepted {
            return Err(SecurityError::NoKey(key_id));
        }
        let key = self.key(key_id)?;
        let sender = header.title.or(self.peer_title).ok_or(SecurityError::NoPeerTitle)?;
        floor(key_id).check(header.counter)?;

        let verified = self.open(key, key_id, &header, sender, apdu)?;
        // Compared last: a title that is not the peer's takes as long to refuse as a wrong tag.
        if self.peer_title.is_some_and(|peer| peer != sender) {
            return Err(SecurityError::UnknownPeer);
        }
        let inner = apdu.get(header.text.clone()).and_then(|text| text.first().copied());
        if inner.is_none() || header.inner_tag.is_some_and(|expected| inner != Some(expected)) {
            return Err(SecurityError::InnerTag { outer: header.tag });
        }
        Ok(Unprotected {
            plain: header.text,
            envelope: header.envelope,
            protection,
            key: key_id,
            counter: header.counter,
            verified,
        })
    }

    /// GMAC with the unicast key over the control octet, the authentication key and `octets` (HLS mechanism 5).
    pub(super) fn gmac(&self, signer: SystemTitle, counter: u32, octets: &[u8]) -> Result<super::Tag, SecurityError> {
        let control = self.control(Protection::AUTHENTICATED);
        Ok(C::seal(&self.unicast, &iv(signer, counter), &[self.prefix(control)?, octets], &mut [])?)
    }

    /// Verifies what [`gmac`](Self::gmac) made.
    pub(super) fn verify_gmac(
        &self,
        signer: SystemTitle,
        counter: u32,
        octets: &[u8],
        tag: &super::Tag,
    ) -> Result<VerifiedCounter, SecurityError> {
        let control = self.control(Protection::AUTHENTICATED);
        C::open(&self.unicast, &iv(signer, counter), &[self.prefix(control)?, octets], &mut [], tag)?;
        Ok(VerifiedCounter::new(KeyId::Unicast, counter))
    }

    fn open(
        &self,
        key: &C::Key,
        key_id: KeyId,
        header: &ProtectedHeader,
        sender: SystemTitle,
        apdu: &mut [u8],
    ) -> Result<Option<VerifiedCounter>, SecurityError> {
        let iv = iv(sender, header.counter);
        let (front, tag) = apdu.split_at_mut_checked(header.text.end).ok_or(SecurityError::NoRoomForTag)?;
        let text = front.get_mut(header.text.start..).ok_or(SecurityError::NoRoomForTag)?;
        let protection = header.control.protection();
        if !protection.authenticated {
            if protection.encrypted {
                C::cipher(key, &iv, text)?;
            }
            return Ok(None);
        }
        let tag = tag.first_chunk::<TAG_LENGTH>().ok_or(SecurityError::NoRoomForTag)?;
        let prefix = self.prefix(header.control)?;
        if protection.encrypted {
            C::open(key, &iv, &[prefix], text, tag)?;
        } else {
            C::open(key, &iv, &[prefix, text], &mut [], tag)?;
        }
        Ok(Some(VerifiedCounter::new(key_id, header.counter)))
    }

    /// Checks what the control octet says by itself, and gives the key it selects.
    pub(super) fn check_control(&self, envelope: Envelope, control: SecurityControl) -> Result<KeyId, SecurityError> {
        if control.is_compressed() {
            return Err(SecurityError::Compressed);
        }
        let suite = control.suite()?;
        if suite != self.suite {
            return Err(SecurityError::SuiteMismatch { found: suite.id() });
        }
        envelope.key(control)
    }

    pub(super) fn key(&self, id: KeyId) -> Result<&C::Key, SecurityError> {
        match id {
            KeyId::Unicast => Some(&self.unicast),
            KeyId::Broadcast => self.broadcast.as_ref(),
            KeyId::Dedicated => self.dedicated.as_ref(),
            KeyId::Message => None,
        }
        .ok_or(SecurityError::NoKey(id))
    }

    /// Control octet and authentication key, with which all authenticated data begins.
    pub(super) fn prefix(&self, control: SecurityControl) -> Result<&[u8], SecurityError> {
        self.authentication.as_ref().map(|prefixes| prefixes.get(control)).ok_or(SecurityError::NoAuthenticationKey)
    }

    fn write_header(
        &self,
        header: &mut Writer<'_>,
        envelope: Envelope,
        plain_tag: u8,
        content: usize,
        control: SecurityControl,
        counter: u32,
    ) -> Result<(), SecurityError> {
        let tag = match envelope {
            Envelope::Global => global_tag(plain_tag),
            Envelope::Dedicated => dedicated_tag(plain_tag),
            Envelope::GeneralGlobal => Some(GENERAL_GLO),
            Envelope::GeneralDedicated => Some(GENERAL_DED),
        }
        .ok_or(SecurityError::NoCounterpart { tag: plain_tag })?;
        let title = envelope.is_general().then_some(self.own_title);
        (|| {
            header.u8(tag)?;
            if let Some(title) = title {
                header.octet_string(title.as_bytes())?;
            }
            header.length(content)?;
            header.u8(control.0)?;
            header.u32(counter)
        })()
        .map_err(|_| SecurityError::BufferTooSmall)
    }
}

impl<C: Crypto> fmt::Debug for Context<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("suite", &self.suite)
            .field("own_title", &self.own_title)
            .field("peer_title", &self.peer_title)
            .field("required", &self.required)
            .field("broadcast", &self.broadcast.is_some())
            .field("dedicated", &self.dedicated.is_some())
            .finish_non_exhaustive()
    }
}

/// The four beginnings of authenticated data, joined once: control octet and authentication key.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Prefixes {
    octets: [[u8; 33]; 4],
    length: usize,
}

impl Prefixes {
    fn new(suite: Suite, key: &AuthenticationKey) -> Self {
        let mut prefixes = Self { octets: [[0; 33]; 4], length: suite.key_length().saturating_add(1) };
        for (index, prefix) in prefixes.octets.iter_mut().enumerate() {
            let protection = Protection { authenticated: true, encrypted: index & 1 != 0, signed: false };
            let control = SecurityControl::new(suite, protection);
            let control = if index & 2 == 0 { control } else { control.with_broadcast_key() };
            let octets = core::iter::once(&control.0).chain(key.as_bytes());
            prefix.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        }
        prefixes
    }

    /// `control` is authenticated, uncompressed and of this suite: only two bits are left to choose.
    fn get(&self, control: SecurityControl) -> &[u8] {
        let index = usize::from(control.protection().encrypted) | (usize::from(control.is_broadcast()) << 1);
        self.octets.get(index).and_then(|prefix| prefix.get(..self.length)).unwrap_or_default()
    }
}

/// Initialization vector: the system title of the sender, then the counter.
pub(super) fn iv(sender: SystemTitle, counter: u32) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = sender.0;
    let [i, j, k, l] = counter.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l]
}
