//! Where the store is, when it is not in files.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::Deserialize;
use zeroize::Zeroizing;

/// URL of a database, which may hold a password: it is never shown.
///
/// It is looked at when the store is opened and not before, because messages about options and lines of a file that are
/// not valid repeat them.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct StoreUrl(Zeroizing<String>);

impl StoreUrl {
    /// The URL with what it holds.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for StoreUrl {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl FromStr for StoreUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreUrl(..)")
    }
}
