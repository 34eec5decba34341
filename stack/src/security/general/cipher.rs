//! general-ciphering in place, with every kind of key-info.

use core::borrow::Borrow;
use core::fmt;
use core::ops::Range;

use zeroize::Zeroizing;

use super::sign::{HEADER_MAX, read_fields, write_fields};
use super::{AuthenticatedFields, GeneralKeys, KeyChoice, TransactionId, VerifiedTransaction};
use crate::apdu::GeneralHeader;
use crate::axdr::{Reader, Writer};
use crate::id::SystemTitle;
use crate::security::protect::iv;
use crate::security::public_key::agreement::{KeyData, Parties, one_pass_receive, one_pass_send, static_unified};
use crate::security::{
    AgreedKey, Context, CounterExhausted, Crypto, Envelope, KeyId, Protection, Random, ReceiveFloor, SecurityControl,
    SecurityError, Suite, TAG_LENGTH, VerifiedCounter, WrappedKey, unwrap_key, wrap_key,
};

/// Tag of general-ciphering.
pub(super) const GENERAL_CIPHERING: u8 = 0xDD;

/// key_id octets and scheme octets of key-info.
mod octet {
    pub(super) const IDENTIFIED: u8 = 0;
    pub(super) const WRAPPED: u8 = 1;
    pub(super) const AGREED: u8 = 2;
    pub(super) const UNICAST: u8 = 0;
    pub(super) const BROADCAST: u8 = 1;
    /// The only key that wraps.
    pub(super) const MASTER: u8 = 0;
    pub(super) const ONE_PASS: u8 = 1;
    pub(super) const STATIC_UNIFIED: u8 = 2;
}

/// Keys that came with messages of an association, for later messages without key-info.
pub struct GeneralSession<C: Crypto> {
    /// Ours, with the counter that it uses next.
    sent: Option<(C::MessageKey, u32)>,
    /// The peer's, with its floor.
    received: Option<(C::MessageKey, ReceiveFloor)>,
    /// The peer's that came with a message which may yet turn out to be a replay.
    candidate: Option<(TransactionId, C::MessageKey, ReceiveFloor)>,
    first: u32,
}

/// Where the counters of what is sent unasked begin, see [`GeneralSession::unasked`].
const UNASKED: u32 = 0x8000_0000;

impl<C: Crypto> GeneralSession<C> {
    /// No keys yet; new ones count from 0.
    #[must_use]
    pub const fn new() -> Self {
        Self::counting_from(0)
    }

    /// No keys yet; new ones count from `first`, as some peers' do from 1.
    #[must_use]
    pub const fn counting_from(first: u32) -> Self {
        Self { sent: None, received: None, candidate: None, first }
    }

    /// For messages that nobody asked for. An answer echoes the transaction-id of its request, which the peer has
    /// chosen: it may be that of such a message, and with [`KeyChoice::StaticUnified`] the key is the same then. So the
    /// counters of these messages begin at 80000000 hex, which those of a session that begins lower never reach.
    #[must_use]
    pub const fn unasked() -> Self {
        Self::counting_from(UNASKED)
    }

    /// The message with this transaction-id was no replay: the key that came with it may serve those after it.
    pub fn accept(&mut self, verified: VerifiedTransaction) {
        if let Some((id, key, floor)) = self.candidate.take()
            && id == verified.id()
        {
            self.received = Some((key, floor));
        }
    }
}

impl<C: Crypto> Default for GeneralSession<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Crypto> fmt::Debug for GeneralSession<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneralSession")
            .field("sent", &self.sent.is_some())
            .field("received", &self.received.is_some())
            .finish_non_exhaustive()
    }
}

/// A deciphered general-ciphering APDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneralUnprotected {
    /// Where the plain APDU now is.
    pub plain: Range<usize>,
    /// Which key protected it.
    pub choice: KeyChoice,
    /// The control octet.
    pub control: SecurityControl,
    /// Pairs the response with it.
    pub transaction_id: TransactionId,
    /// Counter of an identified key, proven by the tag.
    pub counter: Option<VerifiedCounter>,
    /// Transaction-id of a message with a key of its own, proven by the tag.
    pub transaction: Option<VerifiedTransaction>,
}

/// The key-info of a message that is sent: kept until it is written.
enum KeyInfo {
    Identified(u8),
    Wrapped(WrappedKey),
    OnePass(KeyData),
    StaticUnified,
    Absent,
}

impl KeyInfo {
    fn write(&self, out: &mut Writer<'_>) -> Result<(), crate::axdr::BufferFull> {
        out.present(!matches!(self, Self::Absent))?;
        match self {
            Self::Absent => Ok(()),
            Self::Identified(id) => out.bytes(&[octet::IDENTIFIED, *id]),
            Self::Wrapped(key) => {
                out.bytes(&[octet::WRAPPED, octet::MASTER])?;
                out.octet_string(key.as_bytes())
            }
            Self::OnePass(data) => {
                out.bytes(&[octet::AGREED, 1, octet::ONE_PASS])?;
                out.octet_string(data.as_bytes())
            }
            Self::StaticUnified => out.bytes(&[octet::AGREED, 1, octet::STATIC_UNIFIED, 0]),
        }
    }
}

/// Protects the plain APDU `plain` of `buffer` in place and returns where the ciphered APDU is.
///
/// `counter` is asked for a transmit counter only with an identified key; every other key counts by itself. Without
/// key-info the key of our last message that had one is used.
///
/// # Errors
/// [`SecurityError::NoKey`], [`SecurityError::NoGeneralKey`], [`SecurityError::NoAuthenticationKey`],
/// [`SecurityError::CounterExhausted`], [`SecurityError::BufferTooSmall`], [`SecurityError::TransactionId`] for a
/// key that is fresh only by its transaction-id; [`SecurityError::SuiteMismatch`], [`SecurityError::Compressed`],
/// [`SecurityError::BroadcastDedicated`] for a control octet that does not fit; what the engine refuses.
#[allow(clippy::too_many_arguments, reason = "who, how, with which keys, and the octets")]
pub fn protect_general<C: Crypto>(
    context: &Context<C>,
    session: &mut GeneralSession<C>,
    keys: &GeneralKeys<'_>,
    choice: KeyChoice,
    header: &GeneralHeader<'_>,
    control: SecurityControl,
    counter: impl FnOnce() -> Result<u32, CounterExhausted>,
    random: &mut dyn Random,
    buffer: &mut [u8],
    plain: Range<usize>,
) -> Result<Range<usize>, SecurityError> {
    check_control(context, control)?;
    let protection = control.protection();
    let tag_length = if protection.authenticated { TAG_LENGTH } else { 0 };
    if protection.authenticated {
        context.prefix(control)?;
    }
    if !may_use(choice, protection) {
        return Err(SecurityError::PolicyNotMet { required: Protection::AUTHENTICATED, found: protection });
    }
    let parties = Parties { originator: header.originator, recipient: header.recipient };
    let mut new_key = None;
    let info = match choice {
        KeyChoice::Unicast => KeyInfo::Identified(octet::UNICAST),
        KeyChoice::Broadcast => KeyInfo::Identified(octet::BROADCAST),
        KeyChoice::Previous => KeyInfo::Absent,
        KeyChoice::Wrapped => {
            let kek = keys.kek.ok_or(SecurityError::NoGeneralKey)?;
            let mut octets = Zeroizing::new([0; 32]);
            let drawn = octets.get_mut(..context.suite().key_length()).unwrap_or_default();
            random.fill(drawn);
            let wrapped = wrap_key::<C>(context.suite(), kek, drawn)?;
            new_key = Some(AgreedKey::from_slice(context.suite(), drawn)?);
            KeyInfo::Wrapped(wrapped)
        }
        KeyChoice::OnePass => {
            let signing = keys.signing.ok_or(SecurityError::NoGeneralKey)?;
            let peer = keys.peer_agreement.ok_or(SecurityError::NoGeneralKey)?;
            let (data, key) = one_pass_send::<C::Curves>(context.suite(), parties, signing, peer, random)?;
            new_key = Some(key);
            KeyInfo::OnePass(data)
        }
        KeyChoice::StaticUnified => {
            new_key = Some(static_key::<C>(context.suite(), keys, parties, header.transaction_id)?);
            KeyInfo::StaticUnified
        }
    };
    if choice.is_fresh() && header.transaction_id.is_empty() {
        // Nothing would keep it from being replayed.
        return Err(SecurityError::TransactionId);
    }
    if let Some(key) = new_key {
        session.sent = Some((C::expand_message(key.as_bytes())?, session.first));
    }
    let (key, counter) = match choice {
        KeyChoice::Unicast => (context.key(KeyId::Unicast)?, counter()?),
        KeyChoice::Broadcast => (context.key(KeyId::Broadcast)?, counter()?),
        _ => {
            let (key, next) = session.sent.as_mut().ok_or(SecurityError::NoGeneralKey)?;
            let counter = *next;
            if session.first < UNASKED && counter >= UNASKED {
                return Err(CounterExhausted.into());
            }
            *next = counter.checked_add(1).ok_or(CounterExhausted)?;
            ((*key).borrow(), counter)
        }
    };
    if counter == u32::MAX {
        return Err(CounterExhausted.into());
    }

    let full = |_| SecurityError::BufferTooSmall;
    let mut scratch = [0; HEADER_MAX];
    let mut front = Writer::new(&mut scratch);
    front.u8(GENERAL_CIPHERING).map_err(full)?;
    let fields = write_fields(&mut front, header)?;
    info.write(&mut front).map_err(full)?;
    front.length(plain.len().saturating_add(tag_length).saturating_add(5)).map_err(full)?;
    front.u8(control.0).map_err(full)?;
    front.u32(counter).map_err(full)?;
    let front = front.into_written();

    let start = plain.start.checked_sub(front.len()).ok_or(SecurityError::BufferTooSmall)?;
    let end = plain.end.checked_add(tag_length).ok_or(SecurityError::BufferTooSmall)?;
    let whole = buffer.get_mut(start..end).ok_or(SecurityError::BufferTooSmall)?;
    let (room, rest) = whole.split_at_mut_checked(front.len()).ok_or(SecurityError::BufferTooSmall)?;
    let (text, room_for_tag) = rest.split_at_mut_checked(plain.len()).ok_or(SecurityError::BufferTooSmall)?;

    let originator = SystemTitle::from_slice(header.originator).unwrap_or(context.own_title());
    let iv = iv(originator, counter);
    let front_fields = front.get(fields).unwrap_or_default();
    let between: &[u8] = match keys.authenticated_fields {
        AuthenticatedFields::Fields => &[],
        AuthenticatedFields::IvAndFields => &iv,
    };
    match (protection.authenticated, protection.encrypted) {
        (false, false) => {}
        (false, true) => C::cipher(key, &iv, text)?,
        (true, false) => {
            let aad = [context.prefix(control)?, between, front_fields, text];
            room_for_tag.copy_from_slice(&C::seal(key, &iv, &aad, &mut [])?);
        }
        (true, true) => {
            let aad = [context.prefix(control)?, between, front_fields];
            room_for_tag.copy_from_slice(&C::seal(key, &iv, &aad, text)?);
        }
    }
    room.copy_from_slice(front);
    Ok(start..end)
}

/// Checks and deciphers a complete general-ciphering APDU in place and returns where the plain APDU is.
///
/// The checks go in this order: structure, recipient, control octet, key-info; for an agreed key the originator's
/// signature before anything is computed with its public key; counter; tag; originator. Whatever fails, nothing is
/// remembered. That the protection suffices, and that the transaction-id is new, is for the caller to check, who then
/// gives it to [`GeneralSession::accept`] as well.
///
/// # Errors
/// [`SecurityError`]'s variants for received APDUs; on the wire they all look alike.
pub fn unprotect_general<C: Crypto>(
    context: &Context<C>,
    session: &mut GeneralSession<C>,
    keys: &GeneralKeys<'_>,
    apdu: &mut [u8],
    floor: impl FnOnce(KeyId) -> ReceiveFloor,
) -> Result<GeneralUnprotected, SecurityError> {
    let mut reader = Reader::new(apdu);
    let tag = reader.u8()?;
    if tag != GENERAL_CIPHERING {
        return Err(SecurityError::NotCiphered { tag });
    }
    let (header, fields) = read_fields(&mut reader)?;
    let info = ReceivedInfo::read(&mut reader)?;
    let length = reader.length("ciphered-content")?;
    let mut body = Reader::with_offset(reader.bytes(length)?, reader.offset().saturating_sub(length));
    reader.finish()?;
    let control = SecurityControl(body.u8()?);
    let counter = body.u32()?;
    let protection = control.protection();
    let tag_length = if protection.authenticated { TAG_LENGTH } else { 0 };
    let text_length = body.remaining().checked_sub(tag_length).ok_or(SecurityError::NoRoomForTag)?;
    let text = body.offset()..body.offset().saturating_add(text_length);

    let transaction_id = TransactionId::from_slice(header.transaction_id)?;
    let to_all = info.choice == KeyChoice::Broadcast && header.recipient.is_empty();
    if header.recipient != context.own_title().as_bytes() && !to_all {
        return Err(SecurityError::NotRecipient);
    }
    check_control(context, control)?;
    if !may_use(info.choice, protection) {
        return Err(SecurityError::PolicyNotMet { required: Protection::AUTHENTICATED, found: protection });
    }
    let peer = context.peer_title();
    let originator = match header.originator {
        [] => peer.ok_or(SecurityError::NoPeerTitle)?,
        title => SystemTitle::from_slice(title).ok_or(SecurityError::TitleLength { length: title.len() })?,
    };
    if protection.authenticated {
        context.prefix(control)?;
    }
    let parties = Parties { originator: originator.as_bytes(), recipient: header.recipient };
    let fresh = info.key(context, keys, parties, header.transaction_id)?;
    let expanded = match &fresh {
        Some(key) => Some(C::expand_message(key.as_bytes())?),
        None => None,
    };
    let (key, key_id, lowest) = match (info.choice, &expanded, &session.received) {
        (KeyChoice::Unicast, _, _) => (context.key(KeyId::Unicast)?, KeyId::Unicast, floor(KeyId::Unicast)),
        (KeyChoice::Broadcast, _, _) => {
            if !context.broadcast_accepted() {
                return Err(SecurityError::NoKey(KeyId::Broadcast));
            }
            (context.key(KeyId::Broadcast)?, KeyId::Broadcast, floor(KeyId::Broadcast))
        }
        (_, Some(key), _) => (key.borrow(), KeyId::Message, ReceiveFloor::new(0)),
        (_, None, Some((key, floor))) => (key.borrow(), KeyId::Message, *floor),
        (_, None, None) => return Err(SecurityError::NoKey(KeyId::Message)),
    };
    lowest.check(counter)?;

    let choice = info.choice;
    let iv = iv(originator, counter);
    let (front, tag) = apdu.split_at_mut_checked(text.end).ok_or(SecurityError::NoRoomForTag)?;
    let (front, content) = front.split_at_mut_checked(text.start).ok_or(SecurityError::NoRoomForTag)?;
    let fields = front.get(fields).unwrap_or_default();
    let between: &[u8] = match keys.authenticated_fields {
        AuthenticatedFields::Fields => &[],
        AuthenticatedFields::IvAndFields => &iv,
    };
    if protection.authenticated {
        let tag = tag.first_chunk::<TAG_LENGTH>().ok_or(SecurityError::NoRoomForTag)?;
        let prefix = context.prefix(control)?;
        if protection.encrypted {
            C::open(key, &iv, &[prefix, between, fields], content, tag)?;
        } else {
            C::open(key, &iv, &[prefix, between, fields, content], &mut [], tag)?;
        }
    } else if protection.encrypted {
        C::cipher(key, &iv, content)?;
    }
    // Compared last: a title that is not the peer's takes as long to refuse as a wrong tag.
    if peer.is_some_and(|peer| peer != originator) {
        return Err(SecurityError::UnknownPeer);
    }
    if text.is_empty() {
        return Err(SecurityError::InnerTag { outer: GENERAL_CIPHERING });
    }
    // Without a tag nothing is proven, and nothing is remembered.
    let verified = protection.authenticated.then(|| VerifiedCounter::new(key_id, counter));
    let (mut proven_counter, mut transaction) = (None, None);
    match (choice, verified) {
        (_, None) => {}
        (KeyChoice::Unicast | KeyChoice::Broadcast, verified) => proven_counter = verified,
        (KeyChoice::Previous, Some(verified)) => {
            if let Some((_, floor)) = &mut session.received {
                floor.accept(verified);
            }
        }
        (_, Some(verified)) => {
            transaction = Some(VerifiedTransaction::new(transaction_id));
            let mut floor = ReceiveFloor::new(0);
            floor.accept(verified);
            session.candidate = expanded.map(|key| (transaction_id, key, floor));
        }
    }
    Ok(GeneralUnprotected { plain: text, choice, control, transaction_id, counter: proven_counter, transaction })
}

/// Whether a key may be used with this protection. One that comes with a message counts from its beginning, and only the
/// tag proves that the transaction-id, which keeps the message from being replayed and the key from being derived twice,
/// belongs to it.
const fn may_use(choice: KeyChoice, protection: Protection) -> bool {
    protection.authenticated || matches!(choice, KeyChoice::Unicast | KeyChoice::Broadcast)
}

/// The control octet must name this suite; general-ciphering chooses its key by key-info and never by the key set.
fn check_control<C: Crypto>(context: &Context<C>, control: SecurityControl) -> Result<(), SecurityError> {
    if control.is_broadcast() {
        return Err(SecurityError::BroadcastDedicated);
    }
    context.check_control(Envelope::GeneralGlobal, control).map(drop)
}

/// The key of the static unified model; the same for both sides.
fn static_key<C: Crypto>(
    suite: Suite,
    keys: &GeneralKeys<'_>,
    parties: Parties<'_>,
    transaction_id: &[u8],
) -> Result<AgreedKey, SecurityError> {
    let own = keys.agreement.ok_or(SecurityError::NoGeneralKey)?;
    let peer = keys.peer_agreement.ok_or(SecurityError::NoGeneralKey)?;
    static_unified::<C::Curves>(suite, parties, own, peer, transaction_id)
}

/// Key-info as it came.
struct ReceivedInfo<'a> {
    choice: KeyChoice,
    /// Wrapped key, or ephemeral public key with its signature.
    data: &'a [u8],
}

impl<'a> ReceivedInfo<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, SecurityError> {
        let of = |choice| Ok(Self { choice, data: &[] });
        // Key-info is under no tag: nothing about it may have two forms.
        match reader.u8()? {
            0 => return of(KeyChoice::Previous),
            1 => {}
            _ => return Err(SecurityError::NoGeneralKey),
        }
        match reader.u8()? {
            octet::IDENTIFIED => match reader.u8()? {
                octet::UNICAST => of(KeyChoice::Unicast),
                octet::BROADCAST => of(KeyChoice::Broadcast),
                _ => Err(SecurityError::NoGeneralKey),
            },
            octet::WRAPPED => {
                let kek = reader.u8()?;
                let data = reader.octet_string("wrapped key")?;
                if kek == octet::MASTER {
                    Ok(Self { choice: KeyChoice::Wrapped, data })
                } else {
                    Err(SecurityError::NoGeneralKey)
                }
            }
            octet::AGREED => {
                let parameters = reader.octet_string("key parameters")?;
                let data = reader.octet_string("key ciphered data")?;
                match parameters {
                    [octet::ONE_PASS] => Ok(Self { choice: KeyChoice::OnePass, data }),
                    [octet::STATIC_UNIFIED] if data.is_empty() => of(KeyChoice::StaticUnified),
                    _ => Err(SecurityError::NoGeneralKey),
                }
            }
            _ => Err(SecurityError::NoGeneralKey),
        }
    }

    /// The key that the message came with, if it did.
    fn key<C: Crypto>(
        &self,
        context: &Context<C>,
        keys: &GeneralKeys<'_>,
        parties: Parties<'_>,
        transaction_id: &[u8],
    ) -> Result<Option<AgreedKey>, SecurityError> {
        let suite = context.suite();
        if self.choice.is_fresh() && transaction_id.is_empty() {
            return Err(SecurityError::TransactionId);
        }
        match self.choice {
            KeyChoice::Unicast | KeyChoice::Broadcast | KeyChoice::Previous => Ok(None),
            KeyChoice::Wrapped => {
                let kek = keys.kek.ok_or(SecurityError::NoGeneralKey)?;
                let key = unwrap_key::<C>(suite, kek, self.data)?;
                AgreedKey::from_slice(suite, key.as_bytes()).map(Some)
            }
            KeyChoice::OnePass => {
                let own = keys.agreement.ok_or(SecurityError::NoGeneralKey)?;
                let peer = keys.peer_signature.ok_or(SecurityError::NoGeneralKey)?;
                one_pass_receive::<C::Curves>(suite, parties, own, peer, self.data).map(Some)
            }
            KeyChoice::StaticUnified => static_key::<C>(suite, keys, parties, transaction_id).map(Some),
        }
    }
}
