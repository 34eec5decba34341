//! Single cryptographic computations of a corpus.

use dlms::id::SystemTitle;
use dlms::security::public_key::SharedSecret;
use dlms::security::public_key::agreement::{KeyUse, derive_key};
use dlms::security::{
    Context, Curve, Curves, Envelope, HEADROOM, KeyEncryptionKey, KeySet, PrivateKey, PublicKey, RustCrypto,
    SecurityControl, Suite, TAG_LENGTH, hls, wrap_key,
};
use serde_json::{Map, Value};

use super::verdict::Reading;
use crate::complaint::Complaint;
use crate::record::{Layer, Record};

/// Recomputes a vector and compares every figure that it expects.
pub(super) fn check(record: &Record, reading: &mut Reading) {
    let algorithm = record.algorithm.as_deref().unwrap_or_default();
    let input = Input(record.input.as_ref());
    let outcome = if algorithm.contains("mechanism 5") {
        gmac_response(&input)
    } else if algorithm.contains("mechanism 2") {
        block_response(&input)
    } else if algorithm.starts_with("AES-GCM") {
        protected(&input)
    } else if algorithm.contains("key wrap") {
        wrapped(&input)
    } else if algorithm.starts_with("ECDH P-256 one-pass") {
        one_pass(&input)
    } else if algorithm.starts_with("ECDH P-256 ephemeral") {
        ephemeral(&input)
    } else {
        reading.unsupported = Some(format!("computation {algorithm:?}"));
        return;
    };
    let computed = match outcome {
        Ok(computed) => computed,
        Err(message) => return reading.refuse(Complaint::new(Layer::Security, message)),
    };
    for (name, expected) in &record.expect {
        if computed.get(name) != Some(expected) {
            let found = computed.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string);
            let message = format!("{name}: expected {expected}, computed {found}");
            reading.refuse(Complaint::new(Layer::Security, message));
        }
    }
    // The figures were compared here: the record's `expect` has none of the fields of decoded traffic.
}

struct Input<'a>(Option<&'a Map<String, Value>>);

impl Input<'_> {
    fn octets(&self, name: &str) -> Result<Vec<u8>, String> {
        let text = self.0.and_then(|input| input.get(name)).and_then(Value::as_str);
        text.and_then(|text| hex::decode(text).ok()).ok_or_else(|| format!("input {name} is missing or not hex"))
    }

    fn counter(&self) -> Result<u32, String> {
        let number = self.0.and_then(|input| input.get("invocation_counter")).and_then(Value::as_u64);
        number.and_then(|number| u32::try_from(number).ok()).ok_or_else(|| "no invocation_counter".to_owned())
    }

    fn context(&self) -> Result<(Context<RustCrypto>, SecurityControl), String> {
        let title = SystemTitle::from_slice(&self.octets("system_title")?).ok_or("system_title is not of 8 octets")?;
        let control = SecurityControl(self.octets("security_control")?.first().copied().unwrap_or_default());
        let suite = control.suite().map_err(|error| error.to_string())?;
        let keys = KeySet::new(suite, &self.octets("block_cipher_key")?, &self.octets("auth_key")?);
        let context = keys.and_then(|keys| Context::new(title, &keys)).map_err(|error| error.to_string())?;
        Ok((context, control))
    }
}

type Figures = Result<Map<String, Value>, String>;

fn figures(pairs: &[(&str, &[u8])]) -> Figures {
    Ok(pairs.iter().map(|(name, octets)| ((*name).to_owned(), Value::String(hex::encode(octets)))).collect())
}

fn gmac_response(input: &Input<'_>) -> Figures {
    let (context, _) = input.context()?;
    let challenge = hls::Challenge::from_peer(&input.octets("challenge")?).map_err(|error| error.to_string())?;
    let response = hls::gmac_response(&context, input.counter()?, &challenge).map_err(|error| error.to_string())?;
    figures(&[("f", &response), ("tag", &response[5..])])
}

fn block_response(input: &Input<'_>) -> Figures {
    let challenge = hls::Challenge::from_peer(&input.octets("challenge")?).map_err(|error| error.to_string())?;
    let secret = input.octets("secret")?;
    let own = hls::Challenge::from_peer(&[0; 8]).map_err(|error| error.to_string())?;
    let exchange = hls::Exchange { secret: &secret, signer: None, verifier: None, challenge: &challenge, own: &own };
    let response =
        hls::respond::<RustCrypto>(dlms::acse::Mechanism::Hls2, &exchange).map_err(|error| error.to_string())?;
    figures(&[("f", response.as_bytes())])
}

/// Any envelope gives the same text and tag; the service-specific one needs no title.
fn protected(input: &Input<'_>) -> Figures {
    let (context, control) = input.context()?;
    let plain = input.octets("plaintext")?;
    let mut buffer = vec![0; HEADROOM + plain.len() + TAG_LENGTH];
    let place = HEADROOM..HEADROOM + plain.len();
    buffer[place.clone()].copy_from_slice(&plain);
    let apdu = context
        .protect(Envelope::Global, control, input.counter()?, &mut buffer, place)
        .map_err(|error| error.to_string())?;
    figures(&[("ciphertext_and_tag", &buffer[apdu.end - plain.len() - TAG_LENGTH..apdu.end])])
}

/// The suite only says how long the keys are.
fn wrapped(input: &Input<'_>) -> Figures {
    let (kek, key) = (input.octets("kek")?, input.octets("key")?);
    let suite = if kek.len() == Suite::Suite2.key_length() { Suite::Suite2 } else { Suite::Suite0 };
    let kek = KeyEncryptionKey::from_slice(suite, &kek).map_err(|error| error.to_string())?;
    let wrapped = wrap_key::<RustCrypto>(suite, &kek, &key).map_err(|error| error.to_string())?;
    figures(&[("wrapped", wrapped.as_bytes())])
}

/// The shared secret, from one side's private and the other's public key.
fn agreed(input: &Input<'_>, private: &str, public: &str) -> Result<SharedSecret, String> {
    let own = PrivateKey::from_slice(Curve::P256, &input.octets(private)?).map_err(|error| error.to_string())?;
    let peer = PublicKey::from_slice(Curve::P256, &input.octets(public)?).map_err(|error| error.to_string())?;
    RustCrypto::agree(&own, &peer).map_err(|error| error.to_string())
}

/// Both sides' secrets must be the expected one; the key is derived from the sender's.
fn one_pass(input: &Input<'_>) -> Figures {
    let secret = agreed(input, "ephemeral_private_u", "static_public_v")?;
    if secret.as_bytes() != agreed(input, "static_private_v", "ephemeral_public_u")?.as_bytes() {
        return Err("the two sides do not agree".to_owned());
    }
    let (u, v) = (input.octets("party_u")?, input.octets("party_v")?);
    let key = derive_key::<RustCrypto>(Suite::Suite1, &secret, KeyUse::Cipher, &[&u], &v);
    figures(&[("z", secret.as_bytes()), ("key", key.map_err(|error| error.to_string())?.as_bytes())])
}

/// The private key must belong to the public one that is given with it.
fn ephemeral(input: &Input<'_>) -> Figures {
    let own = PrivateKey::from_slice(Curve::P256, &input.octets("ephemeral_private_v")?);
    let own = own.map_err(|error| error.to_string())?;
    let public = RustCrypto::public_key(&own).map_err(|error| error.to_string())?;
    if public.as_bytes() != input.octets("ephemeral_public_v")? {
        return Err("private and public key do not belong together".to_owned());
    }
    figures(&[("z", agreed(input, "ephemeral_private_v", "ephemeral_public_u")?.as_bytes())])
}
