//! Signatures, points and private keys.

use dlms::security::public_key::{Curve, Signature};
use dlms::security::{CryptoError, Curves, PrivateKey, PublicKey, Random, RustCrypto, SecurityError};
use hex_literal::hex;

use crate::vectors::{Ledger, on_every_engine, section};

const CURVES: [Curve; 2] = [Curve::P256, Curve::P384];

/// Order of P-256 (SP 800-186).
const ORDER_P256: [u8; 32] = hex!("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");

/// Splitmix: enough for tests, never for keys.
pub(crate) struct Noise(pub(crate) u64);

impl Random for Noise {
    fn fill(&mut self, octets: &mut [u8]) {
        for chunk in octets.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) fn verify<E: Curves>(ledger: &mut Ledger) {
    for vector in section("ecdsa_verify") {
        let (key, message) = (vector.public("public_key"), vector.octets("message"));
        let signature = Signature::from_slice(vector.curve(), &vector.octets("signature")).unwrap();
        let result = E::verify(&key, &[&message], &signature);
        let expected = if vector.flag("valid") { Ok(()) } else { Err(CryptoError::Signature) };
        assert_eq!(result, expected, "{}", vector.id());
        // In pieces it is the same message.
        let (front, back) = message.split_at(message.len() / 2);
        assert_eq!(E::verify(&key, &[front, &[], back], &signature), expected, "{}", vector.id());
        if vector.has("private_key") {
            let private = vector.private("private_key");
            assert_eq!(E::public_key(&private), Ok(key), "{}", vector.id());
            let signature = E::sign(&private, &[front, back]).unwrap();
            assert_eq!(E::verify(&key, &[&message], &signature), Ok(()), "{}", vector.id());
            assert_eq!(RustCrypto::verify(&key, &[&message], &signature), Ok(()), "{}", vector.id());
        }
        ledger.insert(vector.id().to_owned());
    }
}
on_every_engine!(every_signature_is_verified_or_refused, verify);

/// RFC 6979, A.2.5 and A.2.6: the nonce, and with it the signature, depends on key and message only.
#[test]
fn signatures_of_the_default_engine_are_deterministic() {
    let vectors = [
        (
            Curve::P256,
            &hex!("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")[..],
            &hex!(
                "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
                "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
            )[..],
        ),
        (
            Curve::P384,
            &hex!("6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5"),
            &hex!(
                "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46"
                "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8"
            ),
        ),
    ];
    for (curve, key, signature) in vectors {
        let key = PrivateKey::from_slice(curve, key).unwrap();
        let signed = RustCrypto::sign(&key, &[b"sample"]).unwrap();
        assert_eq!(hex::encode(signed.as_bytes()), hex::encode(signature), "{curve:?}");
    }
}

/// A signature one in 256 of which begins with a zero octet in R or S keeps its width.
fn padding<E: Curves>(_: &mut Ledger) {
    for curve in CURVES {
        let key = E::generate(curve, &mut Noise(3)).unwrap();
        let public = E::public_key(&key).unwrap();
        let mut short = Vec::new();
        for message in 0..600_u32 {
            let message = message.to_be_bytes();
            let signature = E::sign(&key, &[&message]).unwrap();
            assert_eq!(signature.as_bytes().len(), curve.double_width());
            let (r, s) = signature.as_bytes().split_at(curve.width());
            for (name, half) in [("r", r), ("s", s)] {
                if half[0] == 0 {
                    short.push(name);
                    assert_eq!(RustCrypto::verify(&public, &[&message], &signature), Ok(()));
                }
            }
            if !short.is_empty() {
                break;
            }
        }
        assert!(!short.is_empty(), "no signature with a leading zero in 600");
    }
}
on_every_engine!(halves_that_begin_with_zeros_keep_their_width, padding);

fn flipped<E: Curves>(_: &mut Ledger) {
    for curve in CURVES {
        let key = E::generate(curve, &mut Noise(7)).unwrap();
        let public = E::public_key(&key).unwrap();
        let signature = E::sign(&key, &[b"one message"]).unwrap();
        for bit in (0..curve.double_width() * 8).step_by(7) {
            let mut octets = signature.as_bytes().to_vec();
            octets[bit / 8] ^= 1 << (bit % 8);
            let wrong = Signature::from_slice(curve, &octets).unwrap();
            assert_eq!(E::verify(&public, &[b"one message"], &wrong), Err(CryptoError::Signature), "bit {bit}");
        }
        assert_eq!(E::verify(&public, &[b"another message"], &signature), Err(CryptoError::Signature));
        // R or S of zero, of the order, above it.
        let order = |curve: Curve| {
            if curve == Curve::P256 { ORDER_P256.to_vec() } else { [0xFF; 48].to_vec() }
        };
        for bad in [vec![0; curve.width()], order(curve), vec![0xFF; curve.width()]] {
            let (r, s) = signature.as_bytes().split_at(curve.width());
            for octets in [[&bad, s].concat(), [r, &bad].concat()] {
                let wrong = Signature::from_slice(curve, &octets).unwrap();
                assert_eq!(E::verify(&public, &[b"one message"], &wrong), Err(CryptoError::Signature));
            }
        }
        for length in [0, 1, curve.double_width() - 1, curve.double_width() + 1] {
            assert_eq!(Signature::from_slice(curve, &vec![1; length]), Err(SecurityError::Signature));
        }
    }
}
on_every_engine!(wrong_signatures_are_refused, flipped);

fn invalid_points<E: Curves>(_: &mut Ledger) {
    for curve in CURVES {
        let own = E::generate(curve, &mut Noise(9)).unwrap();
        let good = E::public_key(&own).unwrap();
        assert_eq!(E::check(&good), Ok(()));
        let signature = E::sign(&own, &[b"m"]).unwrap();
        let mut off_curve = good.as_bytes().to_vec();
        *off_curve.last_mut().unwrap() ^= 1;
        // Off the curve, the encoding of no point, coordinates not below the field's prime.
        for octets in [off_curve, vec![0; curve.double_width()], vec![0xFF; curve.double_width()]] {
            let bad = PublicKey::from_slice(curve, &octets).unwrap();
            assert_eq!(E::check(&bad), Err(CryptoError::PublicKey));
            assert_eq!(E::agree(&own, &bad).unwrap_err(), CryptoError::PublicKey);
            assert_eq!(E::agree_once(&bad, &mut Noise(1)).unwrap_err(), CryptoError::PublicKey);
            assert_eq!(E::verify(&bad, &[b"m"], &signature), Err(CryptoError::PublicKey));
        }
        for length in [0, 1, curve.double_width() - 1, curve.double_width() + 1] {
            assert_eq!(PublicKey::from_slice(curve, &vec![1; length]), Err(SecurityError::PublicKey));
        }
    }
    let [one, other] = CURVES.map(|curve| E::generate(curve, &mut Noise(1)).unwrap());
    let foreign = E::public_key(&other).unwrap();
    assert_eq!(E::agree(&one, &foreign).unwrap_err(), CryptoError::PublicKey);
    let signature = E::sign(&one, &[b"m"]).unwrap();
    assert_eq!(E::verify(&foreign, &[b"m"], &signature), Err(CryptoError::Signature));
}
on_every_engine!(points_off_the_curve_are_refused, invalid_points);

fn private_keys<E: Curves>(_: &mut Ledger) {
    let above = {
        let mut octets = ORDER_P256;
        octets[31] += 1;
        octets
    };
    for octets in [[0; 32], ORDER_P256, above, [0xFF; 32]] {
        let key = PrivateKey::from_slice(Curve::P256, &octets).unwrap();
        assert_eq!(E::public_key(&key).unwrap_err(), CryptoError::PrivateKey);
        assert_eq!(E::sign(&key, &[b"m"]).unwrap_err(), CryptoError::PrivateKey);
    }
    assert_eq!(PrivateKey::from_slice(Curve::P256, &[1; 31]).unwrap_err(), SecurityError::KeyLength { found: 31 });

    struct Stuck(u8);
    impl Random for Stuck {
        fn fill(&mut self, octets: &mut [u8]) {
            octets.fill(self.0);
        }
    }
    for curve in CURVES {
        for value in [0, 0xFF] {
            assert_eq!(E::generate(curve, &mut Stuck(value)).unwrap_err(), CryptoError::Engine);
        }
        let (one, two) = (E::generate(curve, &mut Noise(1)).unwrap(), E::generate(curve, &mut Noise(2)).unwrap());
        assert_ne!(one.as_bytes(), two.as_bytes());
        assert_eq!(format!("{one:?}"), "PrivateKey(redacted)");
    }
}
on_every_engine!(private_keys_lie_between_zero_and_the_order, private_keys);

fn once<E: Curves>(_: &mut Ledger) {
    for curve in CURVES {
        let peer = E::generate(curve, &mut Noise(5)).unwrap();
        let peer_public = E::public_key(&peer).unwrap();
        let (public, secret) = E::agree_once(&peer_public, &mut Noise(6)).unwrap();
        assert_eq!(RustCrypto::agree(&peer, &public).unwrap().as_bytes(), secret.as_bytes());
        assert_eq!(secret.as_bytes().len(), curve.width());
    }
}
on_every_engine!(an_ephemeral_agreement_gives_both_the_same, once);
