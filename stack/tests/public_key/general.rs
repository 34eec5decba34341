//! general-ciphering and general-signing.

use dlms::apdu::GeneralHeader;
use dlms::id::SystemTitle;
use dlms::security::general::{
    AuthenticatedFields, Cipher, GeneralKeys, GeneralSession, KeyChoice, LAYERS_BACK, LAYERS_FRONT, Layers, Opened,
    Order, SignedContent, TransactionId, TransactionMemory, protect, protect_general, sign, unprotect,
    unprotect_general, verify,
};
use dlms::security::{
    Context, Crypto, Curves, Envelope, ErrorClass, KeyEncryptionKey, KeyId, KeySet, PrivateKey, Protection, PublicKey,
    Random, ReceiveFloor, RustCrypto, SecurityControl, SecurityError, Suite,
};

use crate::curves::Noise;
use crate::vectors::{Ledger, Vector, named, section};

const KEK: &str = "606162636465666768696A6B6C6D6E6F";

/// Yields the octets that a vector was made with.
struct Given(Vec<u8>);

impl Random for Given {
    fn fill(&mut self, octets: &mut [u8]) {
        octets.copy_from_slice(&self.0[..octets.len()]);
    }
}

/// The four pairs of both parties, as far as a suite's vectors know them.
struct Keys {
    kek: KeyEncryptionKey,
    client_signing: PrivateKey,
    client_signature: PublicKey,
    client_agreement: PrivateKey,
    /// Unknown in suite 2: only messages to the server can be made, and not opened.
    server_agreement: Option<PrivateKey>,
    server_agreement_public: PublicKey,
    ephemeral: Vec<u8>,
}

fn keys_of(suite: Suite) -> Keys {
    let (signer, fixed, once) = if suite == Suite::Suite2 {
        ("suiteb-p384", "c-c0e2s-client-to-server-suite2", "c-c1e1s-client-to-server-suite2")
    } else {
        ("gb-one-pass-client-signature", "gb-c0e2s-client-to-server", "gb-c1e1s-client-to-server-originator-view")
    };
    let (signer, fixed, once) = (named("ecdsa_verify", signer), named("kdf", fixed), named("kdf", once));
    Keys {
        kek: KeyEncryptionKey::from_slice(Suite::Suite0, &hex::decode(KEK).unwrap()).unwrap(),
        client_signing: signer.private("private_key"),
        client_signature: signer.public("public_key"),
        client_agreement: fixed.private("own_private"),
        server_agreement: (suite != Suite::Suite2)
            .then(|| named("kdf", "gb-c1e1s-client-to-server").private("own_private")),
        server_agreement_public: fixed.public("peer_public"),
        ephemeral: once.octets("own_private"),
    }
}

fn fields_of(vector: &Vector) -> AuthenticatedFields {
    match vector.text("aad_variant") {
        "fields" => AuthenticatedFields::Fields,
        "iv+fields" => AuthenticatedFields::IvAndFields,
        other => panic!("{other}"),
    }
}

fn other(fields: AuthenticatedFields) -> AuthenticatedFields {
    match fields {
        AuthenticatedFields::Fields => AuthenticatedFields::IvAndFields,
        AuthenticatedFields::IvAndFields => AuthenticatedFields::Fields,
    }
}

fn choice_of(vector: &Vector) -> KeyChoice {
    match (vector.flag("key_info_present"), &vector.octets("key_info")[..]) {
        (false, []) => KeyChoice::Previous,
        (true, [0, 0]) => KeyChoice::Unicast,
        (true, [0, 1]) => KeyChoice::Broadcast,
        (true, [1, ..]) => KeyChoice::Wrapped,
        (true, [2, 1, 1, ..]) => KeyChoice::OnePass,
        (true, [2, 1, 2, ..]) => KeyChoice::StaticUnified,
        other => panic!("{other:02X?}"),
    }
}

/// A context with the vector's key where key-info looks for it, and other keys elsewhere.
fn context<C: Crypto>(vector: &Vector, own: &str, peer: &str) -> Context<C> {
    let suite = SecurityControl(vector.octets("sc")[0]).suite().unwrap();
    let (ek, foreign) = (vector.octets("ek"), vec![0x77; suite.key_length()]);
    let key = |choice| if choice_of(vector) == choice { &ek } else { &foreign };
    let keys = KeySet::new(suite, key(KeyChoice::Unicast), &vector.octets("ak")).unwrap();
    let keys = keys.with_broadcast(key(KeyChoice::Broadcast)).unwrap();
    let mut context = Context::new(vector.title(own), &keys).unwrap();
    context.set_peer_title(vector.title(peer));
    context.set_broadcast_accepted(true);
    context.set_required(Protection::NONE);
    context
}

pub(crate) fn ciphering<C: Crypto>(ledger: &mut Ledger) {
    // The one without key-info follows the one with the wrapped key.
    let mut receiver_session = GeneralSession::<C>::new();
    let mut sender_session = GeneralSession::<C>::counting_from(1);
    for vector in section("general_ciphering") {
        let control = SecurityControl(vector.octets("sc")[0]);
        let known = keys_of(control.suite().unwrap());
        let choice = choice_of(&vector);
        let fields = fields_of(&vector);
        let receiving = |authenticated_fields| GeneralKeys {
            kek: Some(&known.kek),
            agreement: known.server_agreement.as_ref(),
            peer_signature: Some(&known.client_signature),
            peer_agreement: None,
            authenticated_fields,
            ..GeneralKeys::default()
        };
        let client_agreement = C::Curves::public_key(&known.client_agreement).unwrap();
        let receiving = |fields| GeneralKeys { peer_agreement: Some(&client_agreement), ..receiving(fields) };
        let receiver = context::<C>(&vector, "recipient_system_title", "originator_system_title");
        let floor = |_| ReceiveFloor::new(vector.counter());

        if choice != KeyChoice::OnePass || known.server_agreement.is_some() {
            let mut octets = vector.octets("apdu");
            let error =
                unprotect_general(&receiver, &mut receiver_session, &receiving(other(fields)), &mut octets, floor);
            assert_eq!(error.unwrap_err(), SecurityError::Tag, "{}: the other reading", vector.id());
            let opened = unprotect_general(&receiver, &mut receiver_session, &receiving(fields), &mut octets, floor)
                .unwrap_or_else(|error| panic!("{}: {error}", vector.id()));
            assert_eq!(hex::encode_upper(&octets[opened.plain]), vector.text("plaintext"), "{}", vector.id());
            assert_eq!(opened.transaction_id.as_bytes(), vector.octets("transaction_id"));
            assert_eq!((opened.choice, opened.control), (choice, control));
            let expected = match choice {
                KeyChoice::Unicast => Some(KeyId::Unicast),
                KeyChoice::Broadcast => Some(KeyId::Broadcast),
                _ => None,
            };
            assert_eq!(opened.counter.map(|c| (c.key(), c.counter())), expected.map(|key| (key, vector.counter())));
            assert_eq!(opened.transaction.is_some(), choice.is_fresh(), "{}", vector.id());
            if let Some(transaction) = opened.transaction {
                receiver_session.accept(transaction);
            }
        }

        let sender = context::<C>(&vector, "originator_system_title", "recipient_system_title");
        let sending = GeneralKeys {
            kek: Some(&known.kek),
            signing: Some(&known.client_signing),
            agreement: Some(&known.client_agreement),
            peer_agreement: Some(&known.server_agreement_public),
            authenticated_fields: fields,
            ..GeneralKeys::default()
        };
        let names =
            ["transaction_id", "originator_system_title", "recipient_system_title", "date_time", "other_information"];
        let [id, originator, recipient, date_time, information] = names.map(|name| vector.octets(name));
        let header = GeneralHeader {
            transaction_id: &id,
            originator: &originator,
            recipient: &recipient,
            date_time: &date_time,
            other_information: &information,
        };
        // The published examples count from 0, the computed ones from 1.
        let mut first = GeneralSession::counting_from(vector.counter());
        let session = match choice {
            KeyChoice::Wrapped | KeyChoice::Previous => &mut sender_session,
            _ => &mut first,
        };
        let drawn = if choice == KeyChoice::Wrapped { vector.octets("ek") } else { known.ephemeral.clone() };
        let content = vector.octets("plaintext");
        let mut buffer = vec![0; LAYERS_FRONT + content.len() + LAYERS_BACK];
        let plain = LAYERS_FRONT..LAYERS_FRONT + content.len();
        buffer[plain.clone()].copy_from_slice(&content);
        let counter = || Ok(vector.counter());
        let sent = protect_general(
            &sender,
            session,
            &sending,
            choice,
            &header,
            control,
            counter,
            &mut Given(drawn),
            &mut buffer,
            plain,
        )
        .unwrap_or_else(|error| panic!("{}: {error}", vector.id()));
        let (sent, given) = (&buffer[sent], vector.octets("apdu"));
        // The signature over an ephemeral key of the published example was made with another nonce.
        let published_nonce = choice == KeyChoice::OnePass && control.suite() == Ok(Suite::Suite1);
        if published_nonce {
            let tail = given.len() - (content.len() + 12 + 5 + 2);
            assert_eq!(hex::encode(&sent[tail..]), hex::encode(&given[tail..]), "{}", vector.id());
            let signature = tail - 64;
            assert_eq!(hex::encode(&sent[..signature]), hex::encode(&given[..signature]), "{}", vector.id());
        } else {
            assert_eq!(hex::encode(sent), hex::encode(&given), "{}", vector.id());
        }
        ledger.insert(vector.id().to_owned());
    }
}

#[test]
fn every_general_ciphering_apdu_is_opened_and_made() {
    ciphering::<RustCrypto>(&mut Ledger::new());
}

pub(crate) fn signing<E: Curves>(ledger: &mut Ledger) {
    for vector in section("general_signing") {
        let covers = match vector.text("tbs_variant") {
            "content-value" => SignedContent::Value,
            "content-lv" => SignedContent::LengthAndValue,
            other => panic!("{other}"),
        };
        let titles = ["recipient_system_title", "originator_system_title"].map(|name| vector.title(name));
        let [recipient, originator] = titles;
        let (key, octets) = (vector.public("public_key"), vector.octets("apdu"));
        let result = verify::<E>(recipient, originator, &key, covers, &octets);
        if !vector.flag("valid") {
            assert_eq!(result.unwrap_err(), SecurityError::Signature, "{}", vector.id());
            ledger.insert(vector.id().to_owned());
            continue;
        }
        let signed = result.unwrap_or_else(|error| panic!("{}: {error}", vector.id()));
        assert_eq!(octets[signed.content.clone()], vector.octets("content"));
        assert_eq!(signed.transaction_id.as_bytes(), vector.octets("transaction_id"));
        let wrong = if covers == SignedContent::Value { SignedContent::LengthAndValue } else { SignedContent::Value };
        assert_eq!(verify::<E>(recipient, originator, &key, wrong, &octets), Err(SecurityError::Signature));
        assert_eq!(verify::<E>(originator, originator, &key, covers, &octets), Err(SecurityError::NotRecipient));
        assert_eq!(verify::<E>(recipient, recipient, &key, covers, &octets), Err(SecurityError::UnknownPeer));
        for octet in 0..octets.len() {
            let mut forged = octets.clone();
            forged[octet] ^= 0x04;
            assert!(verify::<E>(recipient, originator, &key, covers, &forged).is_err(), "{} {octet}", vector.id());
        }

        let names =
            ["transaction_id", "originator_system_title", "recipient_system_title", "date_time", "other_information"];
        let [id, originator, recipient, date_time, information] = names.map(|name| vector.octets(name));
        let header = GeneralHeader {
            transaction_id: &id,
            originator: &originator,
            recipient: &recipient,
            date_time: &date_time,
            other_information: &information,
        };
        let content = vector.octets("content");
        let place = LAYERS_FRONT..LAYERS_FRONT + content.len();
        let mut buffer = vec![0; place.end + LAYERS_BACK];
        buffer[place.clone()].copy_from_slice(&content);
        let made = sign::<E>(&vector.private("private_key"), covers, &header, &mut buffer, place).unwrap();
        let signature = octets.len() - key.curve().double_width();
        assert_eq!(hex::encode(&buffer[made.clone()][..signature]), hex::encode(&octets[..signature]));
        let titles = titles.map(|title| title);
        assert!(verify::<E>(titles[0], titles[1], &key, covers, &buffer[made]).is_ok(), "{}", vector.id());
        ledger.insert(vector.id().to_owned());
    }
}
crate::vectors::on_every_engine!(every_signed_apdu_is_verified_and_made, signing);

/// The vector whose content is signed: both layers off at once, and refused where the signature is foreign.
pub(crate) fn layered(ledger: &mut Ledger) {
    for vector in section("aead") {
        let control = SecurityControl(vector.octets("sc")[0]);
        let keys = KeySet::new(control.suite().unwrap(), &vector.octets("ek"), &vector.octets("ak")).unwrap();
        let inner = named("general_signing", "c-gs-p256-plain-get");
        let mut receiver = Context::<RustCrypto>::new(inner.title("recipient_system_title"), &keys).unwrap();
        receiver.set_peer_title(vector.title("system_title"));
        receiver.set_required(Protection::AUTHENTICATED_ENCRYPTED.and_signed());
        let public = inner.public("public_key");
        let general = GeneralKeys { peer_signature: Some(&public), ..GeneralKeys::default() };
        let mut octets = vector.octets("apdu");
        let floor = |_| ReceiveFloor::new(0);
        let opened = unprotect(&receiver, &mut GeneralSession::new(), &general, &mut octets, floor).unwrap();
        assert_eq!(octets[opened.plain.clone()], inner.octets("content"));
        assert_eq!(opened.layers.cipher, Some(Cipher::Envelope(Envelope::GeneralGlobal)));
        assert_eq!(opened.layers.order, Order::SignThenCipher);
        assert!(opened.layers.protection.signed && opened.counter.is_some() && opened.transaction.is_none());
        ledger.insert(vector.id().to_owned());
    }
}

#[test]
fn a_signed_apdu_in_a_ciphered_one_loses_both_layers() {
    layered(&mut Ledger::new());
}

struct Side {
    context: Context<RustCrypto>,
    session: GeneralSession<RustCrypto>,
    kek: KeyEncryptionKey,
    signing: PrivateKey,
    agreement: PrivateKey,
    peer: [PublicKey; 2],
}

impl Side {
    fn keys(&self) -> GeneralKeys<'_> {
        GeneralKeys {
            kek: Some(&self.kek),
            signing: Some(&self.signing),
            agreement: Some(&self.agreement),
            peer_signature: Some(&self.peer[0]),
            peer_agreement: Some(&self.peer[1]),
            ..GeneralKeys::default()
        }
    }

    fn send(&mut self, layers: &Layers, id: u64, counter: u32, plain: &[u8]) -> Result<Vec<u8>, SecurityError> {
        let place = LAYERS_FRONT..LAYERS_FRONT + plain.len();
        let mut buffer = vec![0; place.end + LAYERS_BACK];
        buffer[place.clone()].copy_from_slice(plain);
        let keys = GeneralKeys {
            kek: Some(&self.kek),
            signing: Some(&self.signing),
            agreement: Some(&self.agreement),
            peer_signature: Some(&self.peer[0]),
            peer_agreement: Some(&self.peer[1]),
            ..GeneralKeys::default()
        };
        let counter = || Ok(counter);
        let id = TransactionId::new(id);
        let (context, session) = (&self.context, &mut self.session);
        let sent = protect(
            context,
            session,
            &keys,
            layers,
            &id,
            counter,
            &mut Noise(id.number().unwrap() as u64),
            &mut buffer,
            place,
        )?;
        Ok(buffer[sent].to_vec())
    }

    fn receive(&mut self, octets: &mut [u8], floor: u32) -> Result<Opened, SecurityError> {
        let mut session = core::mem::take(&mut self.session);
        let opened = unprotect(&self.context, &mut session, &self.keys(), octets, |_| ReceiveFloor::new(floor));
        self.session = session;
        opened
    }
}

fn sides(suite: Suite) -> [Side; 2] {
    let titles = [SystemTitle(*b"CLI\0\0\0\0\x01"), SystemTitle(*b"SRV\0\0\0\0\x02")];
    let curve = suite.curve().unwrap_or(dlms::security::Curve::P256);
    let pairs =
        [20, 30].map(|seed| [seed, seed + 1].map(|seed| RustCrypto::generate(curve, &mut Noise(seed)).unwrap()));
    let public =
        [&pairs[0], &pairs[1]].map(|pair| [&pair[0], &pair[1]].map(|key| RustCrypto::public_key(key).unwrap()));
    let mut pairs = pairs.into_iter();
    [0, 1].map(|side| {
        let key = vec![7; suite.key_length()];
        let keys = KeySet::new(suite, &key, &key).unwrap().with_broadcast(&vec![8; suite.key_length()]).unwrap();
        let mut context = Context::new(titles[side], &keys).unwrap();
        context.set_peer_title(titles[1 - side]);
        let [signing, agreement] = pairs.next().unwrap();
        let kek = KeyEncryptionKey::from_slice(suite, &vec![9; suite.key_length()]).unwrap();
        Side { context, session: GeneralSession::new(), kek, signing, agreement, peer: public[1 - side] }
    })
}

const PLAIN: &[u8] = b"\xC0\x01\xC1\x00\x08\x00\x00\x01\x00\x00\xFF\x02\x00";

/// Every cipher, protection and order that exists in a suite.
fn every_wrapping(suite: Suite) -> Vec<Layers> {
    let mut all = Vec::new();
    let ciphers = [Envelope::Global, Envelope::GeneralGlobal].map(|e| Some(Cipher::Envelope(e))).into_iter();
    let choices = [KeyChoice::Unicast, KeyChoice::Wrapped, KeyChoice::OnePass, KeyChoice::StaticUnified];
    let choices = choices
        .into_iter()
        .filter(|choice| suite != Suite::Suite0 || !matches!(choice, KeyChoice::OnePass | KeyChoice::StaticUnified));
    for cipher in ciphers.chain(choices.map(|choice| Some(Cipher::General(choice)))) {
        for protection in [Protection::AUTHENTICATED, Protection::AUTHENTICATED_ENCRYPTED] {
            all.push(Layers { cipher, protection, order: Order::SignThenCipher });
            if suite != Suite::Suite0 {
                for order in [Order::SignThenCipher, Order::CipherThenSign] {
                    all.push(Layers { cipher, protection: protection.and_signed(), order });
                }
            }
        }
    }
    if suite != Suite::Suite0 {
        all.push(Layers { cipher: None, protection: Protection::NONE.and_signed(), order: Order::SignThenCipher });
    }
    all
}

/// Without a tag nothing would bind the transaction-id, and the key derived from it would count from 0 again.
#[test]
fn a_key_that_comes_with_a_message_is_used_with_a_tag_only() {
    for suite in [Suite::Suite0, Suite::Suite1] {
        for choice in [KeyChoice::Wrapped, KeyChoice::OnePass, KeyChoice::StaticUnified] {
            if suite == Suite::Suite0 && choice != KeyChoice::Wrapped {
                continue;
            }
            let refused = |error: &SecurityError| matches!(error, SecurityError::PolicyNotMet { .. });
            for protection in [Protection::NONE, Protection::ENCRYPTED] {
                let [mut client, _] = sides(suite);
                let layers = Layers { cipher: Some(Cipher::General(choice)), protection, order: Order::SignThenCipher };
                let error = client.send(&layers, 5, 9, PLAIN).unwrap_err();
                assert!(refused(&error), "{choice:?}, {protection:?}: {error}");
            }
            for bits in [0x00, 0x20] {
                let [mut client, mut server] = sides(suite);
                server.context.set_required(Protection::NONE);
                let protection = Protection::AUTHENTICATED_ENCRYPTED;
                let layers = Layers { cipher: Some(Cipher::General(choice)), protection, order: Order::SignThenCipher };
                let mut octets = client.send(&layers, 5, 9, PLAIN).unwrap();
                // Tag, text and counter stand behind the control octet.
                let control = octets.len() - 12 - PLAIN.len() - 5;
                assert_eq!(octets[control] & 0xF0, 0x30);
                octets[control] = octets[control] & 0x0F | bits;
                let error = server.receive(&mut octets, 0).unwrap_err();
                assert!(refused(&error), "{choice:?}, {bits:02X}: {error}");
            }
        }
    }
}

#[test]
fn every_wrapping_is_taken_off_again_and_any_flipped_bit_fails() {
    for suite in [Suite::Suite0, Suite::Suite1, Suite::Suite2] {
        for layers in every_wrapping(suite) {
            let [mut client, mut server] = sides(suite);
            server.context.set_required(layers.protection);
            let sent = client.send(&layers, 5, 9, PLAIN).unwrap_or_else(|error| panic!("{layers:?}: {error}"));
            let mut octets = sent.clone();
            let opened = server.receive(&mut octets, 0).unwrap_or_else(|error| panic!("{layers:?}: {error}"));
            assert_eq!(&octets[opened.plain.clone()], PLAIN, "{layers:?}");
            assert_eq!((opened.layers.protection, opened.layers.order), (layers.protection, layers.order));
            if !layers.protection.signed {
                assert_eq!(opened.layers.cipher, layers.cipher);
            }
            assert!(opened.counter.is_some() != opened.transaction.is_some(), "{layers:?}: fresh by one thing");
            // Agreed keys and signatures are dear: a few of their octets, all of the others'.
            let step = if layers.needs_transaction() && suite != Suite::Suite0 { 23 } else { 1 };
            for bit in (0..sent.len() * 8).step_by(step) {
                let mut forged = sent.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                let error = server.receive(&mut forged, 0).expect_err(&format!("{layers:?}: bit {bit}"));
                assert!(matches!(error.class(), ErrorClass::Deciphering | ErrorClass::Malformed), "{error:?}");
            }
            // Sent back to its sender it is for somebody else.
            assert!(client.receive(&mut sent.clone(), 0).is_err());
        }
    }
}

#[test]
fn lesson_28_less_protection_than_required_is_refused_layer_by_layer() {
    let suite = Suite::Suite1;
    for sent_as in every_wrapping(suite) {
        for required in every_wrapping(suite).iter().map(|layers| layers.protection) {
            let [mut client, mut server] = sides(suite);
            server.context.set_required(required);
            let mut octets = client.send(&sent_as, 5, 9, PLAIN).unwrap();
            let result = server.receive(&mut octets, 0);
            if sent_as.protection.covers(required) {
                assert!(result.is_ok(), "{sent_as:?} for {required}");
            } else {
                assert!(matches!(result, Err(SecurityError::PolicyNotMet { .. })), "{sent_as:?} for {required}");
            }
        }
    }
    // A lone glo- APDU where a signature is required, opened without a look at the layers.
    let [mut client, mut server] = sides(suite);
    server.context.set_required(Protection::AUTHENTICATED_ENCRYPTED.and_signed());
    let layers = Layers::envelope(Envelope::Global, Protection::AUTHENTICATED_ENCRYPTED);
    let mut octets = client.send(&layers, 1, 1, PLAIN).unwrap();
    let error = server.context.unprotect(&mut octets, |_| ReceiveFloor::new(0)).unwrap_err();
    assert!(matches!(error, SecurityError::PolicyNotMet { .. }));
}

/// A key that came with a message serves later ones without key-info, but never a replayed one's.
#[test]
fn a_replayed_message_brings_no_key_back() {
    for choice in [KeyChoice::Wrapped, KeyChoice::OnePass, KeyChoice::StaticUnified] {
        let [mut client, mut server] = sides(Suite::Suite1);
        let mut memory = TransactionMemory::<8>::new(0);
        let with = |choice| Layers {
            cipher: Some(Cipher::General(choice)),
            protection: Protection::AUTHENTICATED_ENCRYPTED,
            order: Order::SignThenCipher,
        };
        let mut accept = |server: &mut Side, octets: &[u8]| -> Result<(), SecurityError> {
            let mut octets = octets.to_vec();
            let opened = server.receive(&mut octets, 0)?;
            assert_eq!(&octets[opened.plain.clone()], PLAIN);
            if let Some(transaction) = opened.transaction {
                memory.accept(transaction)?;
                server.session.accept(transaction);
            }
            Ok(())
        };
        let first = client.send(&with(choice), 1, 0, PLAIN).unwrap();
        let second = client.send(&with(KeyChoice::Previous), 2, 0, PLAIN).unwrap();
        // Without the message that carried the key there is none.
        assert_eq!(accept(&mut server, &second).unwrap_err(), SecurityError::NoKey(KeyId::Message));
        accept(&mut server, &first).unwrap();
        accept(&mut server, &second).unwrap();
        assert!(matches!(accept(&mut server, &second), Err(SecurityError::Counter { .. })), "{choice:?}");
        let next = client.send(&with(choice), 3, 0, PLAIN).unwrap();
        let after = client.send(&with(KeyChoice::Previous), 4, 0, PLAIN).unwrap();
        accept(&mut server, &next).unwrap();
        // The old key would open the old message; it does not come back.
        assert_eq!(accept(&mut server, &first).unwrap_err(), SecurityError::TransactionId, "{choice:?}");
        assert_eq!(accept(&mut server, &second).unwrap_err(), SecurityError::Tag, "{choice:?}");
        accept(&mut server, &after).unwrap();
    }
}

#[test]
fn what_has_no_key_is_refused_on_both_sides() {
    let layers = |choice| Layers {
        cipher: Some(Cipher::General(choice)),
        protection: Protection::AUTHENTICATED_ENCRYPTED,
        order: Order::SignThenCipher,
    };
    for choice in [KeyChoice::Wrapped, KeyChoice::OnePass, KeyChoice::StaticUnified] {
        let [mut client, server] = sides(Suite::Suite1);
        let mut octets = client.send(&layers(choice), 1, 0, PLAIN).unwrap();
        let none = GeneralKeys::default();
        let (mut session, floor) = (GeneralSession::new(), |_| ReceiveFloor::new(0));
        let error = unprotect(&server.context, &mut session, &none, &mut octets, floor).unwrap_err();
        assert_eq!((error, error.class()), (SecurityError::NoGeneralKey, ErrorClass::Deciphering));
    }
    let [mut client, mut server] = sides(Suite::Suite1);
    let previous = client.send(&layers(KeyChoice::Previous), 1, 0, PLAIN);
    assert_eq!(previous.unwrap_err(), SecurityError::NoGeneralKey);
    // The broadcast key, which every meter of the group holds, only where it was allowed.
    let mut octets = client.send(&layers(KeyChoice::Broadcast), 1, 7, PLAIN).unwrap();
    assert_eq!(server.receive(&mut octets, 0).unwrap_err(), SecurityError::NoKey(KeyId::Broadcast));
    server.context.set_broadcast_accepted(true);
    assert_eq!(server.receive(&mut octets, 0).unwrap().counter.unwrap().key(), KeyId::Broadcast);
    assert_eq!(server.receive(&mut octets, 8).unwrap_err(), SecurityError::Counter { lowest: 8 });
    // Suite 0 has no curve.
    let [mut client, _] = sides(Suite::Suite0);
    assert_eq!(client.send(&layers(KeyChoice::OnePass), 1, 0, PLAIN).unwrap_err(), SecurityError::PublicKey);
}
