//! Bearer tokens that the head-end itself gives out.
//!
//! A token is `dhe_ID_SECRET`: ID finds its entry in the file of callers, SECRET is 32 random octets of which the file
//! holds the SHA-256 digest alone. A slow digest is not needed, for there is nothing to guess.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What every token begins with, so that scanners for leaked secrets know it.
const PREFIX: &str = "dhe_";

/// Digest of a token's secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

/// A new token; it is shown once and kept by its owner alone.
pub struct NewToken {
    /// What finds its entry.
    pub id: String,
    /// What the file keeps.
    pub hash: TokenHash,
    /// The token itself.
    pub token: Zeroizing<String>,
}

impl NewToken {
    /// Draws a token.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut id = [0; 6];
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut id)?;
        getrandom::fill(secret.as_mut_slice())?;
        let (id, secret) = (hex::encode(id), Zeroizing::new(hex::encode(secret.as_slice())));
        let hash = TokenHash::of(&secret);
        let token = Zeroizing::new(format!("{PREFIX}{id}_{}", secret.as_str()));
        Ok(Self { id, hash, token })
    }
}

impl TokenHash {
    /// The digest of a secret.
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The digest that `text`, `sha256:` and 64 hexadecimal digits, states.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text.strip_prefix("sha256:")?, &mut digest).ok()?;
        Some(Self(digest))
    }

    /// As [`parse`](Self::parse) takes it.
    #[must_use]
    pub fn text(self) -> String {
        format!("sha256:{}", hex::encode(self.0))
    }

    /// Whether `secret` is the one; takes as long for a wrong one as for the right one.
    #[must_use]
    pub fn matches(self, secret: &str) -> bool {
        Self::of(secret).0.ct_eq(&self.0).into()
    }
}

/// Id and secret of a token, if it has that form.
pub(super) fn split(token: &str) -> Option<(&str, &str)> {
    token.strip_prefix(PREFIX)?.split_once('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_its_own_hash_and_no_other() {
        let (one, other) = (NewToken::draw().unwrap(), NewToken::draw().unwrap());
        let (id, secret) = split(&one.token).unwrap();
        assert_eq!((id, secret.len()), (one.id.as_str(), 64));
        assert!(one.hash.matches(secret) && !other.hash.matches(secret) && !one.hash.matches(""));
        assert!(TokenHash::parse(&one.hash.text()) == Some(one.hash));
    }

    #[test]
    fn the_digest_is_that_of_the_sha256_command() {
        // printf secret | sha256sum
        let text = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        assert!(TokenHash::parse(text).unwrap().matches("secret"));
        assert!(TokenHash::parse(&text[7..]).is_none() && TokenHash::parse("sha256:00").is_none());
    }
}
