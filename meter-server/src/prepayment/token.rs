//! Tokens: credit on the way to a meter.

/// Octets of a token.
pub const TOKEN_OCTETS: usize = 21;
/// Octets that are authenticated.
const BODY: usize = 9;

/// Who can tell whether a token is authentic, and remembers which was the last.
pub trait TokenVerifier {
    /// Whether `tag` is the one of `body`, for this meter.
    fn verify(&self, body: &[u8], tag: &[u8]) -> bool;

    /// Keeps the number of a token that is about to be executed, so that [`Prepayment::token_number`] can begin with it after
    /// a loss of power; whether it is kept. One that is not is refused.
    ///
    /// [`Prepayment::token_number`]: super::Prepayment::token_number
    fn keep(&mut self, number: u32) -> bool;
}

/// A token of a form of our own: an octet of 1, a number that grows from token to token, an amount in the account's
/// currency, both four octets with the most significant first, and twelve octets of authentication.
///
/// It is a stand-in for a vendor's or an STS token: simple, and not to be used to sell energy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Number, greater than that of each token before.
    pub number: u32,
    /// Amount.
    pub amount: i32,
}

impl Token {
    /// The token in these octets, authentic or not.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let octets: &[u8; TOKEN_OCTETS] = octets.try_into().ok()?;
        let [1, n0, n1, n2, n3, a0, a1, a2, a3, ..] = *octets else { return None };
        Some(Self { number: u32::from_be_bytes([n0, n1, n2, n3]), amount: i32::from_be_bytes([a0, a1, a2, a3]) })
    }

    /// What is authenticated of a token.
    #[must_use]
    pub const fn body(self) -> [u8; BODY] {
        let [n0, n1, n2, n3] = self.number.to_be_bytes();
        let [a0, a1, a2, a3] = self.amount.to_be_bytes();
        [1, n0, n1, n2, n3, a0, a1, a2, a3]
    }

    pub(super) fn is_authentic(self, octets: &[u8], verifier: &dyn TokenVerifier) -> bool {
        octets.get(BODY..).is_some_and(|tag| verifier.verify(&self.body(), tag))
    }
}
