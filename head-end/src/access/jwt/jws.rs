//! A signed token in the compact form of RFC 7515.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;

use super::Refused;

/// Longest token, in characters.
const LONGEST: usize = 16 * 1024;

/// A signature algorithm of RFC 7518 and RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// A token, taken apart.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) payload: Vec<u8>,
    /// Header and payload as they were signed.
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    /// Extensions that must be understood, of which we know none.
    crit: Option<serde::de::IgnoredAny>,
}

/// A public key of a set (RFC 7517).
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    /// The one algorithm that it is for, where that is said.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// 0x04, x, y.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, Refused> {
        const FORM: Refused = Refused("the token is not a signed JSON web token of a known algorithm");
        if token.len() > LONGEST {
            return Err(Refused("the token is too long"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(FORM)?;
        let (header, payload) = signed.split_once('.').ok_or(FORM)?;
        let decode = |part: &str| BASE64.decode(part).map_err(|_| FORM);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| FORM)?;
        if header.crit.is_some() {
            return Err(Refused("the token demands extensions that are not known"));
        }
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        Ok(Self { algorithm: header.alg, key_id: header.kid, payload, signed, signature })
    }

    pub(super) fn is_signed_by(&self, key: &Key) -> bool {
        key.algorithm.is_none_or(|only| only == self.algorithm)
            && key.material.verifies(self.algorithm, self.signed.as_bytes(), &self.signature)
    }
}

impl Material {
    fn verifies(&self, algorithm: Algorithm, message: &[u8], mac: &[u8]) -> bool {
        let plain = |of: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(of, key).verify(message, mac).is_ok()
        };
        match (self, algorithm) {
            (Self::Rsa { n, e }, algorithm) => {
                rsa(algorithm).is_some_and(|of| RsaPublicKeyComponents { n, e }.verify(of, message, mac).is_ok())
            }
            (Self::P256(point), Algorithm::ES256) => plain(&signature::ECDSA_P256_SHA256_FIXED, point),
            (Self::P384(point), Algorithm::ES384) => plain(&signature::ECDSA_P384_SHA384_FIXED, point),
            (Self::Ed25519(point), Algorithm::EdDSA) => plain(&signature::ED25519, point),
            _ => false,
        }
    }
}

/// Keys from 2048 bit on, as NIST SP 800-131A has it.
fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => None,
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that can verify signatures; what is for something else, or of an unknown sort, is left out as
/// RFC 7517, section 5, demands.
pub(super) fn keys(json: &[u8]) -> Result<Vec<Key>, serde_json::Error> {
    let set: Set = serde_json::from_slice(json)?;
    Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).filter_map(key).collect())
}

fn key(jwk: Jwk) -> Option<Key> {
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    let algorithm = match jwk.alg {
        None => None,
        // A key for an algorithm that we do not know is no use.
        Some(name) => Some(serde_json::from_value(serde_json::Value::String(name)).ok()?),
    };
    let octets = |part: &Option<String>| BASE64.decode(part.as_ref()?).ok();
    let point = |size: usize| {
        let (x, y) = (octets(&jwk.x)?, octets(&jwk.y)?);
        (x.len() == size && y.len() == size).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
    };
    let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Material::Rsa { n: octets(&jwk.n)?, e: octets(&jwk.e)? },
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(octets(&jwk.x)?),
        _ => return None,
    };
    Some(Key { id: jwk.kid, algorithm, material })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.3.
    const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv\
        bS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const ES256_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    /// RFC 8037, appendix A.
    const ED25519: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg\
        3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    const ED25519_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn only(key: &str) -> Key {
        keys(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).unwrap().pop().unwrap()
    }

    #[test]
    fn published_signatures_verify_with_their_keys_and_no_others() {
        let (ec, ed) = (only(ES256_KEY), only(ED25519_KEY));
        let (by_ec, by_ed) = (Jws::parse(ES256).unwrap(), Jws::parse(ED25519).unwrap());
        assert!(by_ec.is_signed_by(&ec) && by_ed.is_signed_by(&ed));
        assert!(!by_ec.is_signed_by(&ed) && !by_ed.is_signed_by(&ec));
        assert_eq!(by_ed.payload, b"Example of Ed25519 signing");
        let forged = ES256.replacen("eyJpc3Mi", "eyJpc3Nj", 1);
        assert!(!Jws::parse(&forged).unwrap().is_signed_by(&ec));
        let other = Key { algorithm: Some(Algorithm::ES384), ..ec };
        assert!(!by_ec.is_signed_by(&other), "the key is for another algorithm");
    }

    #[test]
    fn none_and_secrets_are_no_algorithms() {
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"NONE"}"#,
            "{}",
            "[]",
            r#"{"alg":"ES256","crit":["x"]}"#,
        ] {
            let token = format!("{}.e30.", BASE64.encode(header));
            assert!(Jws::parse(&token).is_err(), "{header}");
        }
        for token in ["", ".", "..", "a.b", "a.b.c.d", "é.é.é", &"a".repeat(LONGEST + 1)] {
            assert!(Jws::parse(token).is_err());
        }
    }

    #[test]
    fn keys_of_other_sorts_are_left_out() {
        let keys = keys(
            br#"{"keys":[{"kty":"oct","k":"AA"},{"kty":"EC","crv":"P-521","x":"AA","y":"AA"},{"kty":"RSA","use":"enc","n":"AA","e":"AQAB"},
            {"kty":"EC","crv":"P-256","x":"AA","y":"AA"},5,{"kty":"RSA","alg":"HS256","n":"AA","e":"AQAB"},{"kty":"RSA","kid":"k","n":"AA","e":"AQAB"}]}"#,
        )
        .unwrap();
        assert_eq!(keys.iter().map(|key| key.id.as_deref()).collect::<Vec<_>>(), [Some("k")]);
        assert!(super::keys(b"{}").is_err() && super::keys(b"<html>").is_err());
    }
}
