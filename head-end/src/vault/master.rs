//! The master key: 32 octets from a file that only its owner can read, or from the configuration.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// The key that seals all others.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// The file could not be read or made.
    #[error("cannot {action} the master key file {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error("the master key file {} is open to others (mode {mode:03o}); make it 600", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is not 64 hexadecimal digits.
    #[error("a master key is 64 hexadecimal digits; {origin} has something else")]
    Format {
        /// Where it came from, never its contents.
        origin: String,
    },
    /// The operating system gave no random octets.
    #[error("the operating system gave no random octets for a master key")]
    Random,
}

impl MasterKey {
    /// The key written as 64 hexadecimal digits, white space around it ignored; `origin` is named in
    /// the error.
    ///
    /// # Errors
    /// [`MasterKeyError::Format`].
    pub fn from_hex(text: &str, origin: &str) -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), key.as_mut_slice())
            .map_err(|_| MasterKeyError::Format { origin: origin.to_owned() })?;
        Ok(Self(key))
    }

    /// A new key from the operating system's generator.
    ///
    /// # Errors
    /// [`MasterKeyError::Random`].
    pub fn generate() -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| MasterKeyError::Random)?;
        Ok(Self(key))
    }

    /// The key in `path`; where there is no such file, a new key is made and written there for its
    /// owner alone, durable before it is used. Returns whether it was made.
    ///
    /// # Errors
    /// [`MasterKeyError`]; a file that exists is never replaced.
    pub fn load_or_generate(path: &Path) -> Result<(Self, bool), MasterKeyError> {
        match Self::load(path) {
            Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::create(path).map(|key| (key, true))
            }
            loaded => loaded.map(|key| (key, false)),
        }
    }

    fn load(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |action| move |source| MasterKeyError::Io { action, path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed("open"))?;
        check_mode(&file, path)?;
        // Enough for the digits and a line end; more is not a key.
        let mut text = Zeroizing::new(Vec::with_capacity(128));
        Read::by_ref(&mut file).take(128).read_to_end(&mut text).map_err(failed("read"))?;
        let text = std::str::from_utf8(&text).unwrap_or_default();
        Self::from_hex(text, &path.display().to_string())
    }

    fn create(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::Io { action: "write", path: path.to_owned(), source };
        let key = Self::generate()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        let mut line = Zeroizing::new([0_u8; 65]);
        if let Some((last, digits)) = line.split_last_mut() {
            // The slice has exactly two digits for each octet.
            let _ = hex::encode_to_slice(key.expose(), digits);
            *last = b'\n';
        }
        file.write_all(line.as_slice()).and_then(|()| file.sync_all()).map_err(failed)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            // The directory entry too must survive a power cut, or all secrets are lost with it.
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(key)
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), MasterKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |source| MasterKeyError::Io { action: "inspect", path: path.to_owned(), source };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(MasterKeyError::Permissions { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_file: &File, _path: &Path) -> Result<(), MasterKeyError> {
    Ok(())
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}
