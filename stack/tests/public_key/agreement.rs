//! Key derivation and the three schemes.

use dlms::security::public_key::agreement::{
    EphemeralOffer, KeyUse, Parties, answer_offer, derive_key, one_pass_receive, one_pass_send, static_unified,
};
use dlms::security::{Curves, SecurityError, Suite};

use crate::curves::Noise;
use crate::vectors::{Ledger, Vector, named, on_every_engine, section};

/// Derived with an object identifier that an early edition misprinted: recognised, never produced.
const MISPRINTED: &str = "gb-c2e0s-guek-erratum";

fn suite(vector: &Vector) -> Suite {
    Suite::from_id(vector.number("suite")).unwrap()
}

pub(crate) fn derive<E: Curves>(ledger: &mut Ledger) {
    for vector in section("kdf") {
        let own = vector.private("own_private");
        assert_eq!(E::public_key(&own), Ok(vector.public("own_public")), "{}", vector.id());
        let secret = E::agree(&own, &vector.public("peer_public")).unwrap();
        assert_eq!(hex::encode_upper(secret.as_bytes()), vector.text("z"), "{}", vector.id());
        let pieces: [&[u8]; 3] = [&[0, 0, 0, 1], &vector.octets("z"), &vector.octets("other_info")];
        let digest = E::digest(vector.curve(), &pieces).unwrap();
        assert_eq!(hex::encode_upper(digest.as_bytes()), vector.text("digest"), "{}", vector.id());

        let key_use = if vector.text("algorithm").contains("wrap") { KeyUse::Wrap } else { KeyUse::Cipher };
        let (u, v) = (vector.octets("party_u_info"), vector.octets("party_v_info"));
        let key = derive_key::<E>(suite(&vector), &secret, key_use, &[&u], &v).unwrap();
        let same = hex::encode_upper(key.as_bytes()) == vector.text("key");
        assert_eq!(same, vector.id() != MISPRINTED, "{}", vector.id());

        if vector.text("scheme") == "C(0e,2s)" {
            let (title, id) = u.split_at(8);
            let parties = Parties { originator: title, recipient: &v };
            let key = static_unified::<E>(suite(&vector), parties, &own, &vector.public("peer_public"), &id[1..]);
            assert_eq!(hex::encode_upper(key.unwrap().as_bytes()), vector.text("key"), "{}", vector.id());
        }
        ledger.insert(vector.id().to_owned());
    }
}
on_every_engine!(every_key_is_derived, derive);

/// The published message of one-pass Diffie-Hellman, taken apart by its receiver.
fn one_pass<E: Curves>(_: &mut Ledger) {
    let (vector, message) =
        (named("kdf", "gb-c1e1s-client-to-server"), named("ecdsa_verify", "gb-one-pass-client-signature"));
    let data = [message.octets("message"), message.octets("signature")].concat();
    let (u, v) = (vector.octets("party_u_info"), vector.octets("party_v_info"));
    let parties = Parties { originator: &u, recipient: &v };
    let (own, signer) = (vector.private("own_private"), message.public("public_key"));
    let receive = |data: &[u8]| one_pass_receive::<E>(Suite::Suite1, parties, &own, &signer, data);
    assert_eq!(receive(&data).unwrap().as_bytes(), vector.octets("key"));
    for octet in [0, 63, 64, 127] {
        let mut forged = data.clone();
        forged[octet] ^= 1;
        assert_eq!(receive(&forged).unwrap_err(), SecurityError::Signature, "octet {octet}");
    }
    for length in [0, 63, 64, 127] {
        assert!(receive(&data[..length]).is_err(), "{length} octets");
    }
    // The signer's own key is no ephemeral key of somebody else.
    let other = one_pass_receive::<E>(Suite::Suite1, parties, &own, &vector.public("own_public"), &data);
    assert_eq!(other.unwrap_err(), SecurityError::Signature);
}
on_every_engine!(a_one_pass_message_is_believed_only_with_its_signature, one_pass);

/// The published half of the client, and a whole exchange in both suites.
fn ephemeral<E: Curves>(_: &mut Ledger) {
    let published = named("ecdsa_verify", "gb-key-agreement-client-signature");
    let message = published.octets("message");
    let data = [&message[1..], &published.octets("signature")].concat();
    let vector = named("kdf", "gb-c2e0s-guek");
    let (client, server) = (vector.title("party_u_info"), vector.title("party_v_info"));
    let signing = named("ecdsa_verify", "c-key-agreement-server-signature");
    let answer = |key_id, data: &[u8]| {
        let signer = published.public("public_key");
        let own = signing.private("private_key");
        answer_offer::<E>(Suite::Suite1, key_id, client, server, &signer, &own, data, &mut Noise(1))
    };
    assert!(answer(0, &data).is_ok());
    // Signed for key 0 and offered for another.
    assert_eq!(answer(1, &data).unwrap_err(), SecurityError::Signature);
    assert_eq!(answer(4, &data).unwrap_err(), SecurityError::KeyUnwrap);

    for suite in [Suite::Suite1, Suite::Suite2] {
        let curve = suite.curve().unwrap();
        let [client_key, server_key] = [11, 12].map(|seed| E::generate(curve, &mut Noise(seed)).unwrap());
        let [client_public, server_public] = [&client_key, &server_key].map(|key| E::public_key(key).unwrap());
        for key_id in 0..=3 {
            let offer = || EphemeralOffer::new::<E>(suite, key_id, &client_key, &mut Noise(13)).unwrap();
            let first = offer();
            let data = first.key_data().as_bytes().to_vec();
            assert_eq!(data.len(), 2 * curve.double_width());
            let (answered, theirs) =
                answer_offer::<E>(suite, key_id, client, server, &client_public, &server_key, &data, &mut Noise(14))
                    .unwrap();
            let ours = first.complete::<E>(client, server, &server_public, answered.as_bytes()).unwrap();
            assert_eq!((ours.as_bytes(), ours.as_bytes().len()), (theirs.as_bytes(), suite.key_length()));
            let mut forged = answered.as_bytes().to_vec();
            forged[curve.double_width()] ^= 0x40;
            let error = offer().complete::<E>(client, server, &server_public, &forged).unwrap_err();
            assert_eq!(error, SecurityError::Signature);
        }
    }
    assert_eq!(
        EphemeralOffer::new::<E>(Suite::Suite0, 0, &signing.private("private_key"), &mut Noise(1)).unwrap_err(),
        SecurityError::NoCurve
    );
}
on_every_engine!(both_halves_of_key_agreement_give_one_key, ephemeral);

fn messages<E: Curves>(_: &mut Ledger) {
    for suite in [Suite::Suite1, Suite::Suite2] {
        let curve = suite.curve().unwrap();
        let [signing, static_u, static_v] = [1, 2, 3].map(|seed| E::generate(curve, &mut Noise(seed)).unwrap());
        let public = |key| E::public_key(key).unwrap();
        let parties = Parties { originator: b"ORIGINAT", recipient: b"RECIPIEN" };
        let (data, sent) = one_pass_send::<E>(suite, parties, &signing, &public(&static_v), &mut Noise(4)).unwrap();
        let received = one_pass_receive::<E>(suite, parties, &static_v, &public(&signing), data.as_bytes()).unwrap();
        assert_eq!(sent.as_bytes(), received.as_bytes());

        let id = [7; 8];
        let at_u = static_unified::<E>(suite, parties, &static_u, &public(&static_v), &id).unwrap();
        let at_v = static_unified::<E>(suite, parties, &static_v, &public(&static_u), &id).unwrap();
        let later = static_unified::<E>(suite, parties, &static_v, &public(&static_u), &[8; 8]).unwrap();
        assert_eq!(at_u.as_bytes(), at_v.as_bytes());
        assert_ne!(at_u.as_bytes(), later.as_bytes());
        for id in [&[][..], &[1; 128]] {
            let error = static_unified::<E>(suite, parties, &static_u, &public(&static_v), id).unwrap_err();
            assert_eq!(error, SecurityError::TransactionId);
        }
        let other = if suite == Suite::Suite1 { Suite::Suite2 } else { Suite::Suite1 };
        let error = static_unified::<E>(other, parties, &static_u, &public(&static_v), &id).unwrap_err();
        assert_eq!(error, SecurityError::PublicKey);
    }
}
on_every_engine!(sender_and_receiver_of_a_message_derive_one_key, messages);
