//! Reading an APDU down to its last value: deciphering with the keys at hand, and entering what is nested.

use dlms::apdu::{Apdu, Ciphered, DataNotification, GeneralSigning, Protected};
use dlms::deviation::{Deviation, Deviations};
use dlms::id::SystemTitle;
use dlms::security::{Context, Crypto, KeySet, ProtectedHeader, Protection, ReceiveFloor, RustCrypto, SecurityControl};
use dlms::time::DateTime;
use serde_json::Value;

use crate::ber;
use crate::complaint::Complaint;
use crate::p1;
use crate::readings::{explained, readings};
use crate::record::{Direction, Layer, Security};
use crate::tree::{Parts, Place, Tree, apdu};

/// APDUs within APDUs: general-signing in general-ciphering in a gateway's prefix is as deep as it gets.
const MAX_NESTING: usize = 6;

/// Octets of a GCM tag in DLMS.
const TAG: usize = dlms::security::TAG_LENGTH;

/// Keys, and the titles and the dedicated key that an exchange reveals as it goes on.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    unicast: Option<Vec<u8>>,
    authentication: Option<Vec<u8>>,
    dedicated: Option<Vec<u8>>,
    general: Option<Vec<u8>>,
    mac: Option<Vec<u8>>,
    secret: Option<Vec<u8>>,
    client: Option<SystemTitle>,
    server: Option<SystemTitle>,
    sender: Option<SystemTitle>,
}

/// A key or title of the command line, as `ROLE=HEX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyArgument {
    role: Role,
    octets: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Encryption,
    Authentication,
    Dedicated,
    General,
    Mac,
    ClientTitle,
    ServerTitle,
    SenderTitle,
}

/// What `ROLE` may be, for the help text and for errors.
pub const ROLES: &str = "guek, gak, dedicated, general, mac, client-title, server-title, title";

impl std::str::FromStr for KeyArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, octets) = text.split_once('=').ok_or_else(|| "expected ROLE=HEX".to_owned())?;
        let role = match role {
            "guek" => Role::Encryption,
            "gak" => Role::Authentication,
            "dedicated" => Role::Dedicated,
            "general" => Role::General,
            "mac" => Role::Mac,
            "client-title" => Role::ClientTitle,
            "server-title" => Role::ServerTitle,
            "title" => Role::SenderTitle,
            other => return Err(format!("no role {other:?}; there are {ROLES}")),
        };
        let octets = hex::decode(octets).map_err(|error| format!("{text}: {error}"))?;
        let lengths: &[usize] = match role {
            Role::ClientTitle | Role::ServerTitle | Role::SenderTitle => &[8],
            _ => &[16, 32],
        };
        if !lengths.contains(&octets.len()) {
            return Err(format!("{text}: {} octets, allowed are {lengths:?}", octets.len()));
        }
        Ok(Self { role, octets })
    }
}

impl FromIterator<KeyArgument> for Keys {
    fn from_iter<I: IntoIterator<Item = KeyArgument>>(arguments: I) -> Self {
        let mut keys = Self::default();
        for KeyArgument { role, octets } in arguments {
            match role {
                Role::Encryption => keys.unicast = Some(octets),
                Role::Authentication => keys.authentication = Some(octets),
                Role::Dedicated => keys.dedicated = Some(octets),
                Role::General => keys.general = Some(octets),
                Role::Mac => keys.mac = Some(octets),
                Role::ClientTitle => keys.client = SystemTitle::from_slice(&octets),
                Role::ServerTitle => keys.server = SystemTitle::from_slice(&octets),
                Role::SenderTitle => keys.sender = SystemTitle::from_slice(&octets),
            }
        }
        keys
    }
}

/// The keys that a record carries; for new records.
impl FromIterator<KeyArgument> for Security {
    fn from_iter<I: IntoIterator<Item = KeyArgument>>(arguments: I) -> Self {
        let mut security = Self { key_origin: Some("test-suite".to_owned()), ..Self::default() };
        for KeyArgument { role, octets } in arguments {
            let place = match role {
                Role::Encryption => &mut security.block_cipher_key,
                Role::Authentication => &mut security.auth_key,
                Role::Dedicated => &mut security.dedicated_key,
                Role::General => &mut security.general_ciphering_key,
                Role::Mac => &mut security.mac_key,
                Role::ClientTitle => &mut security.client_system_title,
                Role::ServerTitle => &mut security.server_system_title,
                Role::SenderTitle => &mut security.system_title,
            };
            *place = Some(octets.into());
        }
        security
    }
}

impl Keys {
    /// The keys of a record.
    pub fn new(security: &Security) -> Self {
        let octets = |key: &Option<crate::record::HexBytes>| key.as_ref().map(|key| key.0.clone());
        let title =
            |key: &Option<crate::record::HexBytes>| key.as_ref().and_then(|key| SystemTitle::from_slice(&key.0));
        Self {
            unicast: octets(&security.block_cipher_key),
            authentication: octets(&security.auth_key),
            dedicated: octets(&security.dedicated_key),
            general: octets(&security.general_ciphering_key),
            mac: octets(&security.mac_key),
            secret: octets(&security.hls_secret),
            client: title(&security.client_system_title),
            server: title(&security.server_system_title),
            sender: title(&security.system_title),
        }
    }

    /// Takes over what a later record of the same exchange states; what was learned stays.
    pub fn merge(&mut self, security: &Security) {
        let stated = Self::new(security);
        let keep = |own: &mut Option<Vec<u8>>, stated: Option<Vec<u8>>| *own = stated.or(own.take());
        keep(&mut self.unicast, stated.unicast);
        keep(&mut self.authentication, stated.authentication);
        keep(&mut self.general, stated.general);
        keep(&mut self.mac, stated.mac);
        keep(&mut self.secret, stated.secret);
        self.dedicated = self.dedicated.take().or(stated.dedicated);
        self.client = self.client.or(stated.client);
        self.server = self.server.or(stated.server);
        self.sender = stated.sender.or(self.sender);
    }

    pub(crate) fn unicast(&self) -> Option<&[u8]> {
        self.unicast.as_deref()
    }

    pub(crate) fn authentication(&self) -> Option<&[u8]> {
        self.authentication.as_deref()
    }

    pub(crate) fn secret(&self) -> Option<&[u8]> {
        self.secret.as_deref()
    }

    pub(crate) const fn client(&self) -> Option<SystemTitle> {
        self.client
    }

    pub(crate) const fn server(&self) -> Option<SystemTitle> {
        self.server
    }

    /// Titles that the sender may have, the likeliest first.
    fn senders(&self, direction: Direction) -> Vec<SystemTitle> {
        let order = match direction {
            Direction::ClientToMeter => [self.client, self.sender, self.server],
            Direction::MeterToClient => [self.server, self.sender, self.client],
            Direction::Unknown => [self.sender, self.server, self.client],
        };
        order.into_iter().flatten().collect()
    }
}

/// An APDU read down to its values.
#[derive(Debug, Default)]
pub struct Opened {
    /// Names from the outermost APDU inwards.
    pub names: Vec<String>,
    /// The decoded tree.
    pub tree: Option<Tree>,
    /// Octets after the first deciphering.
    pub plaintext: Option<Vec<u8>>,
    /// Date-times of data-notifications, readable.
    pub notification_time: Vec<String>,
    /// What the body of a data-notification names, as records state it.
    pub readings: Vec<Value>,
    /// The same for people.
    pub explained: Vec<Value>,
    /// A P1 telegram that was ciphered.
    pub p1: Option<Value>,
    /// Known departures from the standard that were understood all the same.
    pub deviations: Deviations,
}

/// Reads an APDU that lies at `offset` of its input.
pub fn open(keys: &mut Keys, octets: &[u8], offset: usize, direction: Direction) -> Result<Opened, Complaint> {
    let mut opened = Opened::default();
    let tree = Opener { keys, direction, opened: &mut opened }.read(octets, offset, true, 0)?;
    opened.tree = Some(tree);
    Ok(opened)
}

struct Opener<'k> {
    keys: &'k mut Keys,
    direction: Direction,
    opened: &'k mut Opened,
}

impl Opener<'_> {
    /// Reads an APDU. `named`: its name belongs to the names of the record, as user-information's does not.
    fn read(&mut self, octets: &[u8], offset: usize, named: bool, depth: usize) -> Result<Tree, Complaint> {
        if depth > MAX_NESTING {
            return Err(Complaint::new(Layer::Apdu, format_args!("APDUs nested over {MAX_NESTING} deep")));
        }
        let (decoded, deviations) = Apdu::decode_with_deviations(octets)
            .map_err(|error| Complaint::new(Layer::Apdu, error.kind).at(offset + error.offset))?;
        self.opened.deviations = self.opened.deviations.union(deviations);
        if named {
            self.opened.names.push(decoded.name().to_owned());
        }
        let place = Place::new(octets, offset);
        let at = |part: &[u8]| place.offset_of(part).unwrap_or(offset);
        let parts = apdu::apdu(&decoded, place);
        let fields = match &decoded {
            Apdu::Aarq(_) | Apdu::Aare(_) | Apdu::Rlrq(_) | Apdu::Rlre(_) => ber::fields(octets),
            _ => Vec::new(),
        };
        let parts = parts.located(|name| {
            let tag = ber::tag_of(decoded.name(), name)?;
            fields.iter().find(|(found, _)| *found == tag).map(|(_, at)| offset + at)
        });
        let parts = match &decoded {
            Apdu::Aarq(aarq) => {
                // A new association: what the last one agreed on is void.
                if let Some(title) = aarq.calling_ap_title.and_then(SystemTitle::from_slice) {
                    self.keys.client = Some(title);
                }
                self.user_information(parts, aarq.user_information, at, depth)?
            }
            Apdu::Aare(aare) => {
                if let Some(title) = aare.responding_ap_title.and_then(SystemTitle::from_slice) {
                    self.keys.server = Some(title);
                }
                self.user_information(parts, aare.user_information, at, depth)?
            }
            Apdu::Rlrq(rlrq) => self.user_information(parts, rlrq.user_information, at, depth)?,
            Apdu::Rlre(rlre) => self.user_information(parts, rlre.user_information, at, depth)?,
            Apdu::InitiateRequest(request) => {
                if let Some(key) = request.dedicated_key {
                    self.keys.dedicated = Some(key.to_vec());
                }
                parts
            }
            Apdu::DataNotification(push) => self.push(parts, push, deviations),
            Apdu::EventNotification(_) => match octets.get(1) {
                Some(presence @ 2..) => parts.with("quirk", format!("time presence byte {presence:02x}")),
                _ => parts,
            },
            Apdu::Ciphered(ciphered) => self.ciphered(parts, ciphered, octets, offset, named, depth)?,
            Apdu::GeneralSigning(GeneralSigning { content, .. }) => {
                let content = self.read(content, at(content), named, depth + 1)?;
                parts.with("content", content)
            }
            Apdu::Gateway(gateway) => {
                let content = self.read(gateway.apdu, at(gateway.apdu), named, depth + 1)?;
                parts.with("content", content)
            }
            _ => parts,
        };
        Ok(Tree::from(parts).at(offset))
    }

    fn user_information(
        &mut self,
        parts: Parts,
        octets: Option<&[u8]>,
        at: impl Fn(&[u8]) -> usize,
        depth: usize,
    ) -> Result<Parts, Complaint> {
        let Some(octets) = octets else { return Ok(parts) };
        let tree = self.read(octets, at(octets), false, depth + 1)?;
        Ok(parts.with("user-information", tree))
    }

    fn push(&mut self, parts: Parts, push: &DataNotification<'_>, deviations: Deviations) -> Parts {
        self.opened.notification_time.extend(push.time.as_ref().map(readable));
        self.opened.readings = readings(&push.body);
        self.opened.explained = explained(&push.body);
        if deviations.contains(Deviation::DateTimeForm) {
            parts.with("quirk", "date-time carries an extra 09 type tag")
        } else {
            parts
        }
    }

    fn ciphered(
        &mut self,
        parts: Parts,
        ciphered: &Ciphered<'_>,
        octets: &[u8],
        offset: usize,
        named: bool,
        depth: usize,
    ) -> Result<Parts, Complaint> {
        let protected = ciphered.protected();
        let outcome = match ciphered {
            Ciphered::General { header, key, .. } => {
                let parts = apdu::general_header(parts, header).with("key-info", key.as_ref().map(apdu::key_info));
                let parts = security_header(parts, &protected);
                return self.general(
                    parts,
                    &protected,
                    SystemTitle::from_slice(header.originator),
                    octets,
                    offset,
                    depth,
                );
            }
            Ciphered::Service { .. } => self.decipher(octets, None)?,
            Ciphered::GeneralGlobal { system_title, .. } | Ciphered::GeneralDedicated { system_title, .. } => {
                self.decipher(octets, *system_title)?
            }
        };
        let parts = match ciphered {
            Ciphered::GeneralGlobal { system_title, .. } | Ciphered::GeneralDedicated { system_title, .. } => {
                let title = system_title.as_ref().map_or(&[][..], |title| title.as_bytes());
                parts.with("system-title", Tree::hex(title))
            }
            _ => parts,
        };
        let parts = security_header(parts, &protected);
        let Some(Deciphered { plain, authenticated }) = outcome else {
            return Ok(parts.with("ciphertext-len", protected.text.len()));
        };
        let parts = if authenticated { parts.with("gcm-tag-ok", true) } else { parts };
        let at = Place::new(octets, offset).offset_of(protected.text).unwrap_or(offset);
        self.opened.plaintext.get_or_insert_with(|| plain.clone());
        if plain.first() == Some(&b'/') {
            self.opened.p1 = Some(p1::deciphered(&plain)?);
            return Ok(parts);
        }
        let plain = self.read(&plain, at, named, depth + 1).map_err(|complaint| {
            // Without a tag only the content tells a wrong key.
            if authenticated { complaint } else { Complaint::new(Layer::Security, complaint.message) }
        })?;
        Ok(parts.with("plain", plain))
    }

    /// Deciphers with every title the sender may have; `None` when a key or title is missing.
    fn decipher(&self, octets: &[u8], title: Option<SystemTitle>) -> Result<Option<Deciphered>, Complaint> {
        let header = ProtectedHeader::parse(octets).map_err(security)?;
        let dedicated = header.envelope.is_dedicated();
        let key = if dedicated { &self.keys.dedicated } else { &self.keys.unicast };
        let Some(key) = key else { return Ok(None) };
        let senders = title.map_or_else(|| self.keys.senders(self.direction), |title| vec![title]);
        let mut refusal = None;
        for sender in senders {
            let attempt = match (&self.keys.authentication, header.control.protection().authenticated) {
                (None, true) => encipher_only(&header, key, sender, octets),
                (authentication, _) => {
                    verify(header.control, key, authentication.as_deref(), dedicated, sender, octets)
                }
            };
            match attempt {
                Ok(plain) => return Ok(Some(plain)),
                Err(complaint) => refusal = refusal.or(Some(complaint)),
            }
        }
        refusal.map_or(Ok(None), Err)
    }

    /// general-ciphering with the key that the record states, or only authenticated.
    fn general(
        &mut self,
        parts: Parts,
        protected: &Protected<'_>,
        originator: Option<SystemTitle>,
        octets: &[u8],
        offset: usize,
        depth: usize,
    ) -> Result<Parts, Complaint> {
        let at = Place::new(octets, offset).offset_of(protected.text).unwrap_or(offset);
        let protection = SecurityControl(protected.control).protection();
        let tag_length = if protection.authenticated { TAG } else { 0 };
        let (text, tag) = protected
            .text
            .len()
            .checked_sub(tag_length)
            .and_then(|length| protected.text.split_at_checked(length))
            .ok_or_else(|| Complaint::new(Layer::Security, "no room for the authentication tag"))?;
        let mut text = text.to_vec();
        let parts = if protection.encrypted {
            let (Some(key), Some(title)) = (&self.keys.general, originator) else {
                return Ok(parts.with("ciphertext-len", protected.text.len()));
            };
            let key = RustCrypto::expand(key).map_err(security)?;
            RustCrypto::cipher(&key, &iv(title, protected.counter), &mut text).map_err(security)?;
            parts
        } else {
            self.check_mac(protected, &text, tag)?;
            parts.with("mac", Tree::hex(tag))
        };
        self.opened.plaintext.get_or_insert_with(|| text.clone());
        let plain = self.read(&text, at, true, depth + 1)?;
        Ok(parts.with("plain", plain))
    }

    /// The outer MAC of a GBCS message: a GCM tag over nothing, with the signed APDU as additional data.
    fn check_mac(&self, protected: &Protected<'_>, signed: &[u8], tag: &[u8]) -> Result<(), Complaint> {
        let Some(key) = &self.keys.mac else { return Ok(()) };
        let Ok(Apdu::GeneralSigning(inner)) = Apdu::decode(signed) else { return Ok(()) };
        let title = SystemTitle::from_slice(inner.header.originator)
            .ok_or_else(|| Complaint::new(Layer::Security, "originator of the signed APDU is no system title"))?;
        let key = RustCrypto::expand(key).map_err(security)?;
        let computed =
            RustCrypto::seal(&key, &iv(title, protected.counter), &[&[protected.control], &[0; 5], signed], &mut [])
                .map_err(security)?;
        if computed.as_slice() == tag {
            Ok(())
        } else {
            Err(Complaint::new(Layer::Security, "the outer MAC does not verify"))
        }
    }
}

struct Deciphered {
    plain: Vec<u8>,
    /// A tag was there and verified.
    authenticated: bool,
}

/// Checks and deciphers through the stack's own context.
fn verify(
    control: SecurityControl,
    key: &[u8],
    authentication: Option<&[u8]>,
    dedicated: bool,
    sender: SystemTitle,
    octets: &[u8],
) -> Result<Deciphered, Complaint> {
    let suite = control.suite().map_err(security)?;
    let keys = match authentication {
        Some(authentication) => KeySet::new(suite, key, authentication),
        None => KeySet::encryption_only(suite, key),
    };
    let keys = keys.and_then(|keys| keys.with_broadcast(key)).map_err(security)?;
    let mut context = Context::<RustCrypto>::new(SystemTitle([0; 8]), &keys).map_err(security)?;
    context.set_required(Protection::NONE);
    context.set_broadcast_accepted(true);
    context.set_peer_title(sender);
    if dedicated {
        context.set_dedicated_key(key).map_err(security)?;
    }
    let mut octets = octets.to_vec();
    // A replay starts at any counter: captured exchanges are cut out of longer ones.
    let opened = context.unprotect(&mut octets, |_| ReceiveFloor::new(0)).map_err(security)?;
    Ok(Deciphered { plain: octets[opened.plain].to_vec(), authenticated: opened.protection.authenticated })
}

/// Deciphers what cannot be verified because the authentication key is unknown.
fn encipher_only(
    header: &ProtectedHeader,
    key: &[u8],
    sender: SystemTitle,
    octets: &[u8],
) -> Result<Deciphered, Complaint> {
    let mut plain = octets[header.text.clone()].to_vec();
    if header.control.protection().encrypted {
        let key = RustCrypto::expand(key).map_err(security)?;
        RustCrypto::cipher(&key, &iv(sender, header.counter), &mut plain).map_err(security)?;
    }
    Ok(Deciphered { plain, authenticated: false })
}

fn security_header(parts: Parts, protected: &Protected<'_>) -> Parts {
    parts.with("security-control", Tree::hex(&[protected.control])).with("invocation-counter", protected.counter)
}

/// System title and invocation counter: the nonce of AES-GCM in DLMS.
fn iv(title: SystemTitle, counter: u32) -> [u8; 12] {
    let mut iv = [0; 12];
    iv[..8].copy_from_slice(title.as_bytes());
    iv[8..].copy_from_slice(&counter.to_be_bytes());
    iv
}

fn security(error: impl std::fmt::Display) -> Complaint {
    Complaint::new(Layer::Security, error)
}

/// `2023-04-25T10:59:30 dev=-120 status=80`: local time, deviation in minutes as sent, clock status in hex.
pub(crate) fn readable(time: &DateTime) -> String {
    let two = |part: Option<u8>| part.map_or_else(|| "??".to_owned(), |part| format!("{part:02}"));
    let year = time.year().map_or_else(|| "????".to_owned(), |year| format!("{year:04}"));
    let deviation = time.deviation_minutes().map_or_else(|| "none".to_owned(), |minutes| minutes.to_string());
    let hundredths = match time.hundredths() {
        None | Some(0) => String::new(),
        Some(hundredths) => format!(".{hundredths:02}"),
    };
    format!(
        "{year}-{}-{}T{}:{}:{}{hundredths} dev={deviation} status={:02x}",
        two(time.month()),
        two(time.day()),
        two(time.hour()),
        two(time.minute()),
        two(time.second()),
        time.to_bytes()[11]
    )
}
