//! How the protection parameters of a push setup become layers around a notification.

use dlms::cosem::Array;
use dlms::cosem::push_setup::{ProtectionKey, ProtectionParameters, ProtectionType};
use dlms::id::SystemTitle;
use dlms::security::general::{Cipher, KeyChoice, Layers, Order};
use dlms::security::{Envelope, Protection};

/// Layers and whom they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrapping {
    pub(super) layers: Layers,
    pub(super) recipient: Option<SystemTitle>,
}

impl Wrapping {
    /// What the parameters say, the innermost layer first. `None` for what this meter does not do.
    ///
    /// The global key goes with general-glo-ciphering unless a recipient is named, which only general-ciphering can. That is
    /// not verified against the standard.
    pub(super) fn parse(parameters: &Array<'_, ProtectionParameters<'_>>) -> Option<Self> {
        let mut wrapping = Self { layers: Layers::default(), recipient: None };
        for layer in parameters.iter() {
            let ProtectionParameters { protection_type, options } = layer.ok()?;
            let recipient = match options.recipient_system_title {
                [] => None,
                title => Some(SystemTitle::from_slice(title)?),
            };
            if wrapping.recipient.is_some() && recipient.is_some() && wrapping.recipient != recipient {
                return None;
            }
            wrapping.recipient = wrapping.recipient.or(recipient);
            let layers = &mut wrapping.layers;
            let protection = match protection_type {
                ProtectionType::Authentication => Protection::AUTHENTICATED,
                ProtectionType::Encryption => Protection::ENCRYPTED,
                ProtectionType::AuthenticatedEncryption => Protection::AUTHENTICATED_ENCRYPTED,
                ProtectionType::Signature if layers.protection.signed => return None,
                ProtectionType::Signature => {
                    if layers.cipher.is_some() {
                        layers.order = Order::CipherThenSign;
                    }
                    layers.protection.signed = true;
                    continue;
                }
                ProtectionType::Other(_) => return None,
            };
            let cipher = match key(&options.key_info)? {
                KeyChoice::Unicast if recipient.is_none() => Cipher::Envelope(Envelope::GeneralGlobal),
                choice => Cipher::General(choice),
            };
            // Two layers with one key are one; there is no second key.
            let inside = layers.order == Order::SignThenCipher;
            if layers.cipher.is_some_and(|known| known != cipher) || !inside {
                return None;
            }
            layers.cipher = Some(cipher);
            layers.protection = layers.protection.union(protection);
        }
        Some(wrapping)
    }
}

/// Which key the information names: 0 identified, 1 wrapped, 2 agreed. The meter draws and wraps keys itself, so that
/// only the kind of an agreement matters: 1 one-pass, 2 static unified.
fn key(info: &ProtectionKey<'_>) -> Option<KeyChoice> {
    let options = info.key_info_options;
    match info.key_info_type.0 {
        // Broadcast keys would let every meter speak for every other.
        0 => matches!(options.as_u8(), Some(0)).then_some(KeyChoice::Unicast),
        1 => Some(KeyChoice::Wrapped),
        2 => match options.as_structure().and_then(|agreed| agreed.iter().next())?.as_bytes()? {
            [1] => Some(KeyChoice::OnePass),
            [2] => Some(KeyChoice::StaticUnified),
            _ => None,
        },
        _ => None,
    }
}
