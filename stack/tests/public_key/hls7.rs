//! Mechanism 7: the signatures of passes 3 and 4.

use dlms::security::hls::Challenge;
use dlms::security::public_key::hls7::{Exchange, response, verify};
use dlms::security::{Curves, SecurityError};

use crate::vectors::{Ledger, on_every_engine, section};

pub(crate) fn passes<E: Curves>(ledger: &mut Ledger) {
    for vector in section("hls") {
        assert_eq!(vector.number("mechanism"), 7);
        let challenge = |name| Challenge::from_peer(&vector.octets(name)).unwrap();
        let (ctos, stoc) = (challenge("ctos"), challenge("stoc"));
        let client = Exchange {
            own_title: vector.title("client_system_title"),
            peer_title: vector.title("server_system_title"),
            own_challenge: &ctos,
            peer_challenge: &stoc,
        };
        let server = Exchange {
            own_title: client.peer_title,
            peer_title: client.own_title,
            own_challenge: &stoc,
            peer_challenge: &ctos,
        };
        let (signer, verifier) = if vector.number("pass") == 3 { (&client, &server) } else { (&server, &client) };
        let (key, public) = (vector.private("private_key"), vector.public("public_key"));
        let given = vector.octets("output");
        assert_eq!(verify::<E>(&public, verifier, &given), Ok(()), "{}", vector.id());
        let own = response::<E>(&key, signer).unwrap();
        assert_eq!(verify::<E>(&public, verifier, own.as_bytes()), Ok(()), "{}", vector.id());
        // The answer of the other direction, and any other answer, proves nothing.
        assert_eq!(verify::<E>(&public, signer, &given), Err(SecurityError::Authentication));
        for octet in 0..given.len() {
            let mut forged = given.clone();
            forged[octet] ^= 0x10;
            assert_eq!(verify::<E>(&public, verifier, &forged), Err(SecurityError::Authentication));
        }
        assert_eq!(verify::<E>(&public, verifier, &given[1..]), Err(SecurityError::Authentication));

        let short = Challenge::from_peer(&[1; 31]).unwrap();
        let error = response::<E>(&key, &Exchange { peer_challenge: &short, ..*signer }).unwrap_err();
        assert_eq!(error, SecurityError::ChallengeLength { length: 31 });
        let reflected = Exchange { peer_challenge: signer.own_challenge, ..*signer };
        assert_eq!(response::<E>(&key, &reflected).unwrap_err(), SecurityError::ChallengeReflected);
        ledger.insert(vector.id().to_owned());
    }
}
on_every_engine!(both_passes_are_signed_and_verified, passes);
