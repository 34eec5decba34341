//! general-ciphering and general-signing, with keys that the message names or brings along.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use dlms::id::SystemTitle;
use dlms::security::general::{
    Cipher, GeneralKeys, GeneralSession, KeyChoice, LAYERS_BACK, LAYERS_FRONT, Layers, Order, TransactionId, protect,
    unprotect,
};
use dlms::security::{
    Context, Crypto, Curve, Curves, Envelope, KeyEncryptionKey, KeySet, PrivateKey, Protection, PublicKey,
    ReceiveFloor, RustCrypto, Suite,
};

use super::pair::Counting;

type Engine = <RustCrypto as Crypto>::Curves;

const CLIENT: SystemTitle = SystemTitle(*b"CLI\0\0\0\0\x01");
const SERVER: SystemTitle = SystemTitle(*b"SRV\0\0\0\0\x01");

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Raw { apdu: &'a [u8] },
    Protected { cipher: u8, protection: u8, inverse: bool, transaction: u64, plain: &'a [u8], flip: Option<u16> },
}

/// Key pairs of both sides; each side knows the other's public ones.
struct Pairs {
    kek: KeyEncryptionKey,
    private: [PrivateKey; 2],
    public: [PublicKey; 2],
}

fn pairs() -> &'static Pairs {
    static PAIRS: OnceLock<Pairs> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let private = [0x11, 0x22].map(|octet| PrivateKey::from_slice(Curve::P256, &[octet; 32]).expect("a length"));
        let public = [0, 1].map(|side: usize| Engine::public_key(&private[side]).expect("a key"));
        Pairs { kek: KeyEncryptionKey::from_slice(Suite::Suite1, &[0x5A; 16]).expect("a length"), private, public }
    })
}

fn keys(own: usize) -> GeneralKeys<'static> {
    let pairs = pairs();
    GeneralKeys {
        kek: Some(&pairs.kek),
        signing: Some(&pairs.private[own]),
        agreement: Some(&pairs.private[own]),
        peer_signature: Some(&pairs.public[1 - own]),
        peer_agreement: Some(&pairs.public[1 - own]),
        ..GeneralKeys::default()
    }
}

fn context(own: SystemTitle, peer: SystemTitle) -> Context<RustCrypto> {
    let keys = KeySet::new(Suite::Suite1, &[0xA1; 16], &[0xB2; 16]).expect("lengths");
    let mut context = Context::new(own, &keys.with_broadcast(&[0xC3; 16]).expect("a length")).expect("keys");
    context.set_peer_title(peer);
    context.set_dedicated_key(&[0xD4; 16]).expect("a length");
    context.set_broadcast_accepted(true);
    context
}

fn cipher(octet: u8) -> Option<Cipher> {
    Some(match octet % 10 {
        0 => return None,
        1 => Cipher::Envelope(Envelope::Global),
        2 => Cipher::Envelope(Envelope::GeneralGlobal),
        3 => Cipher::Envelope(Envelope::GeneralDedicated),
        4 => Cipher::General(KeyChoice::Broadcast),
        5 => Cipher::General(KeyChoice::Wrapped),
        6 => Cipher::General(KeyChoice::OnePass),
        7 => Cipher::General(KeyChoice::StaticUnified),
        8 => Cipher::General(KeyChoice::Previous),
        _ => Cipher::General(KeyChoice::Unicast),
    })
}

pub(super) fn run(octets: &[u8]) {
    match Input::arbitrary(&mut Unstructured::new(octets)) {
        Ok(Input::Raw { apdu }) => {
            let mut context = context(SERVER, CLIENT);
            context.set_required(Protection::NONE);
            let mut received = apdu.to_vec();
            let opened =
                unprotect(&context, &mut GeneralSession::new(), &keys(1), &mut received, |_| ReceiveFloor::new(0));
            if let Ok(opened) = opened {
                assert!(received.get(opened.plain).is_some());
            }
        }
        Ok(Input::Protected { cipher: choice, protection, inverse, transaction, plain, flip }) => {
            let protection = Protection {
                authenticated: protection & 1 != 0,
                encrypted: protection & 2 != 0,
                signed: protection & 4 != 0,
            };
            let order = if inverse { Order::CipherThenSign } else { Order::SignThenCipher };
            protected(&Layers { cipher: cipher(choice), protection, order }, transaction, plain, flip);
        }
        Err(_) => {}
    }
}

fn protected(layers: &Layers, transaction: u64, plain: &[u8], flip: Option<u16>) {
    let mut buffer = [&[0; LAYERS_FRONT][..], plain, &[0; LAYERS_BACK]].concat();
    let place = LAYERS_FRONT..LAYERS_FRONT + plain.len();
    let sent = protect(
        &context(CLIENT, SERVER),
        &mut GeneralSession::new(),
        &keys(0),
        layers,
        &TransactionId::new(transaction),
        || Ok(7),
        &mut Counting(transaction >> 1),
        &mut buffer,
        place,
    );
    let Ok(sent) = sent else { return };
    let mut apdu = buffer[sent].to_vec();
    let proven = layers.protection.signed || (layers.protection.authenticated && layers.cipher.is_some());
    if let Some(flip) = flip.filter(|_| !apdu.is_empty()) {
        let at = usize::from(flip) % (apdu.len() * 8);
        apdu[at / 8] ^= 1 << (at % 8);
    }
    let mut receiver = context(SERVER, CLIENT);
    receiver.set_required(if proven && flip.is_some() { layers.protection } else { Protection::NONE });
    let opened = unprotect(&receiver, &mut GeneralSession::new(), &keys(1), &mut apdu, |_| ReceiveFloor::new(0));
    match (opened, flip) {
        (Ok(opened), None) => assert_eq!(&apdu[opened.plain], plain),
        (Err(_), _) => {}
        (Ok(opened), Some(_)) => assert!(!proven, "a flipped bit passed: {opened:?}"),
    }
}
