//! The default engine: RustCrypto's AES-GCM.

use aes::cipher::consts::U12;
use aes::cipher::{Block, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use aes::{Aes128, Aes256};
use aes_gcm::{AeadInOut, AesGcm};
use aes_kw::{KwAes128, KwAes256};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{Crypto, CryptoError, Digest, TAG_LENGTH, Tag};

/// RustCrypto's AES-GCM: portable, constant-time, with AES and carry-less multiplication instructions where the
/// processor has them.
#[derive(Clone, Copy, Debug)]
pub struct RustCrypto;

/// An expanded key of [`RustCrypto`]: AES round keys and GHASH subkeys.
#[derive(Debug)]
pub struct RustCryptoKey {
    gcm: Gcm,
    /// GHASH by itself, for authenticated data in pieces, which `aes-gcm` takes only as one slice.
    ghash: GHash,
}

enum Gcm {
    Aes128(AesGcm<Aes128, U12, U12>),
    Aes256(AesGcm<Aes256, U12, U12>),
}

impl core::fmt::Debug for Gcm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Gcm(redacted)")
    }
}

/// Authenticated data up to this length is joined on the stack, which is quicker there than hashing pieces: control
/// octet, authentication key and any challenge (97 octets), or a short APDU.
const JOINED: usize = 128;

impl Gcm {
    fn seal(&self, iv: &[u8; 12], aad: &[u8], text: &mut [u8]) -> Result<Tag, CryptoError> {
        let tag = match self {
            Self::Aes128(gcm) => gcm.encrypt_inout_detached(iv.into(), aad, text.into()),
            Self::Aes256(gcm) => gcm.encrypt_inout_detached(iv.into(), aad, text.into()),
        };
        tag.map(Into::into).map_err(|_| CryptoError::Engine)
    }

    fn open(&self, iv: &[u8; 12], aad: &[u8], text: &mut [u8], tag: &Tag) -> Result<(), CryptoError> {
        match self {
            Self::Aes128(gcm) => gcm.decrypt_inout_detached(iv.into(), aad, text.into(), tag.into()),
            Self::Aes256(gcm) => gcm.decrypt_inout_detached(iv.into(), aad, text.into(), tag.into()),
        }
        .map_err(|_| CryptoError::Tag)
    }
}

impl RustCryptoKey {
    fn new<A>(key: &[u8], gcm: impl FnOnce(A) -> Gcm) -> Result<Self, CryptoError>
    where
        A: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = aes::cipher::consts::U16>,
    {
        let cipher = A::new_from_slice(key).map_err(|_| CryptoError::KeyLength { found: key.len() })?;
        // The hash subkey is the enciphered zero block (NIST SP 800-38D, 7.1).
        let mut subkey = Block::<A>::default();
        cipher.encrypt_block(&mut subkey);
        let ghash = GHash::new(&subkey);
        subkey.zeroize();
        Ok(Self { gcm: gcm(cipher), ghash })
    }

    /// The tag over pieces, which need not be joined.
    fn tag_over_pieces(&self, iv: &[u8; 12], aad: &[&[u8]], text: &[u8]) -> Result<Tag, CryptoError> {
        // The tag is GHASH(data) xor E(K, IV || 1). Of no data at all GHASH is zero, so that the tag of the
        // empty message is the mask itself.
        let mut tag = self.gcm.seal(iv, &[], &mut [])?;
        tag.iter_mut().zip(hash_pieces(&self.ghash, aad, text)).for_each(|(mask, octet)| *mask ^= octet);
        Ok(tag)
    }
}

/// GHASH over authenticated data in pieces, the ciphertext, and their lengths (NIST SP 800-38D, 7.1, step 5).
pub(super) fn hash_pieces(subkey: &GHash, aad: &[&[u8]], text: &[u8]) -> ghash::Block {
    let mut hash = Pieces { ghash: subkey.clone(), block: Zeroizing::new([0; 16]), filled: 0 };
    let mut aad_octets = 0_u64;
    for piece in aad {
        hash.update(piece);
        aad_octets = aad_octets.wrapping_add(piece.len() as u64);
    }
    hash.pad();
    hash.update(text);
    hash.pad();
    let mut lengths = ghash::Block::default();
    let (front, back) = lengths.split_at_mut(8);
    front.copy_from_slice(&aad_octets.wrapping_mul(8).to_be_bytes());
    back.copy_from_slice(&(text.len() as u64).wrapping_mul(8).to_be_bytes());
    hash.ghash.update(&[lengths]);
    hash.ghash.finalize()
}

/// GHASH over pieces of any length.
struct Pieces {
    ghash: GHash,
    /// Wipes itself: it may hold a part of the authentication key.
    block: Zeroizing<[u8; 16]>,
    filled: usize,
}

impl Pieces {
    fn update(&mut self, piece: &[u8]) {
        let mut piece = piece;
        if self.filled > 0 {
            let free = self.block.get_mut(self.filled..).unwrap_or_default();
            let (now, later) = piece.split_at_checked(free.len()).unwrap_or((piece, &[]));
            free.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            self.filled = self.filled.saturating_add(now.len());
            if self.filled < self.block.len() {
                return;
            }
            self.pad();
            piece = later;
        }
        let (blocks, rest) = ghash::Block::slice_as_chunks(piece);
        self.ghash.update(blocks);
        self.block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.filled = rest.len();
    }

    /// Ends a block with zeros.
    fn pad(&mut self) {
        if self.filled > 0 {
            self.block.get_mut(self.filled..).unwrap_or_default().fill(0);
            self.ghash.update(&[(*self.block).into()]);
            self.filled = 0;
        }
    }
}

/// Authenticated data as one slice, which `aes-gcm` demands.
enum Joined<'a> {
    One(&'a [u8]),
    /// Joined on the stack; the copy may hold the authentication key and wipes itself.
    Copy(Zeroizing<[u8; JOINED]>, usize),
}

impl<'a> Joined<'a> {
    /// `None` when there are several pieces and they are too long to be joined.
    fn new(aad: &[&'a [u8]]) -> Option<Self> {
        match aad {
            [] => return Some(Self::One(&[])),
            [piece] => return Some(Self::One(piece)),
            _ => {}
        }
        if aad.iter().fold(0_usize, |sum, piece| sum.saturating_add(piece.len())) > JOINED {
            return None;
        }
        let mut joined = Zeroizing::new([0; JOINED]);
        let mut length = 0_usize;
        for piece in aad {
            let end = length.checked_add(piece.len())?;
            joined.get_mut(length..end)?.copy_from_slice(piece);
            length = end;
        }
        Some(Self::Copy(joined, length))
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::One(piece) => piece,
            Self::Copy(joined, length) => joined.get(..*length).unwrap_or_default(),
        }
    }
}

impl Crypto for RustCrypto {
    type Key = RustCryptoKey;
    type MessageKey = RustCryptoKey;
    #[cfg(feature = "public-key")]
    type Curves = Self;
    #[cfg(not(feature = "public-key"))]
    type Curves = super::NoCurves;

    fn expand(key: &[u8]) -> Result<RustCryptoKey, CryptoError> {
        match key.len() {
            16 => RustCryptoKey::new::<Aes128>(key, |cipher| Gcm::Aes128(cipher.into())),
            32 => RustCryptoKey::new::<Aes256>(key, |cipher| Gcm::Aes256(cipher.into())),
            found => Err(CryptoError::KeyLength { found }),
        }
    }

    fn expand_message(key: &[u8]) -> Result<RustCryptoKey, CryptoError> {
        Self::expand(key)
    }

    fn seal(key: &RustCryptoKey, iv: &[u8; 12], aad: &[&[u8]], text: &mut [u8]) -> Result<Tag, CryptoError> {
        if let Some(joined) = Joined::new(aad) {
            return key.gcm.seal(iv, joined.as_slice(), text);
        }
        Self::cipher(key, iv, text)?;
        key.tag_over_pieces(iv, aad, text)
    }

    fn open(
        key: &RustCryptoKey,
        iv: &[u8; 12],
        aad: &[&[u8]],
        text: &mut [u8],
        tag: &[u8; TAG_LENGTH],
    ) -> Result<(), CryptoError> {
        if let Some(joined) = Joined::new(aad) {
            return key.gcm.open(iv, joined.as_slice(), text, tag);
        }
        let expected = key.tag_over_pieces(iv, aad, text)?;
        if !bool::from(expected.ct_eq(tag)) {
            return Err(CryptoError::Tag);
        }
        Self::cipher(key, iv, text)
    }

    fn cipher(key: &RustCryptoKey, iv: &[u8; 12], text: &mut [u8]) -> Result<(), CryptoError> {
        // Counter mode is its own inverse; the tag is not wanted.
        if !text.is_empty() {
            key.gcm.seal(iv, &[], text)?;
        }
        Ok(())
    }

    fn encrypt_blocks(key: &[u8], blocks: &mut [[u8; 16]]) -> Result<(), CryptoError> {
        fn each<A>(key: &[u8], blocks: &mut [[u8; 16]]) -> Result<(), CryptoError>
        where
            A: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = aes::cipher::consts::U16>,
        {
            let cipher = A::new_from_slice(key).map_err(|_| CryptoError::KeyLength { found: key.len() })?;
            blocks.iter_mut().for_each(|block| cipher.encrypt_block(block.into()));
            Ok(())
        }
        if key.len() == 32 { each::<Aes256>(key, blocks) } else { each::<Aes128>(key, blocks) }
    }

    fn wrap(kek: &[u8], key: &[u8], wrapped: &mut [u8]) -> Result<(), CryptoError> {
        let length = wrapped.len();
        let written = match kek.len() {
            16 => KwAes128::new_from_slice(kek).ok().and_then(|kw| kw.wrap_key(key, wrapped).ok().map(<[u8]>::len)),
            32 => KwAes256::new_from_slice(kek).ok().and_then(|kw| kw.wrap_key(key, wrapped).ok().map(<[u8]>::len)),
            found => return Err(CryptoError::KeyLength { found }),
        };
        if written == Some(length) { Ok(()) } else { Err(CryptoError::Engine) }
    }

    fn unwrap(kek: &[u8], wrapped: &[u8], key: &mut [u8]) -> Result<(), CryptoError> {
        let length = key.len();
        let written = match kek.len() {
            16 => KwAes128::new_from_slice(kek).map(|kw| kw.unwrap_key(wrapped, key).map(<[u8]>::len)),
            32 => KwAes256::new_from_slice(kek).map(|kw| kw.unwrap_key(wrapped, key).map(<[u8]>::len)),
            found => return Err(CryptoError::KeyLength { found }),
        };
        match written {
            Ok(Ok(written)) if written == length => Ok(()),
            Ok(Err(aes_kw::Error::IntegrityCheckFailed)) => Err(CryptoError::Tag),
            _ => Err(CryptoError::Engine),
        }
    }

    fn hash(digest: Digest, pieces: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        match digest {
            Digest::Md5 => hash_with::<md5::Md5>(pieces, out),
            Digest::Sha1 => hash_with::<sha1::Sha1>(pieces, out),
            Digest::Sha256 => hash_with::<sha2::Sha256>(pieces, out),
        }
    }
}

fn hash_with<H: md5::Digest>(pieces: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
    let mut hash = H::new();
    pieces.iter().for_each(|piece| hash.update(piece));
    let result = hash.finalize();
    if out.len() != result.len() {
        return Err(CryptoError::Engine);
    }
    out.copy_from_slice(&result);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// The path over pieces against `aes-gcm` itself, for every split and length around the block size.
    #[test]
    fn pieces_give_the_tag_of_the_whole() {
        let octets: Vec<u8> = (0..200).collect();
        for key_length in [16, 32] {
            let key = RustCrypto::expand(&octets[..key_length]).unwrap();
            let iv = [7; 12];
            for aad_length in [0, 1, 15, 16, 17, 31, 33, 64, 128, 129, 160] {
                let aad = &octets[..aad_length];
                for text_length in [0, 1, 16, 40] {
                    let mut text = octets[..text_length].to_vec();
                    let tag = key.gcm.seal(&iv, aad, &mut text).unwrap();
                    for cut in 0..=aad_length {
                        let pieces: [&[u8]; 3] = [&aad[..cut], &[], &aad[cut..]];
                        assert_eq!(key.tag_over_pieces(&iv, &pieces, &text).unwrap(), tag);
                        let mut again = octets[..text_length].to_vec();
                        assert_eq!(RustCrypto::seal(&key, &iv, &pieces, &mut again).unwrap(), tag);
                        assert_eq!(again, text);
                        RustCrypto::open(&key, &iv, &pieces, &mut again, &tag).unwrap();
                        assert_eq!(again, octets[..text_length]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_wrong_tag_leaves_the_text_alone() {
        let key = RustCrypto::expand(&[1; 16]).unwrap();
        for aad in [&[&[0; 17][..]][..], &[&[0; 50], &[0; 50]], &[&[0; 100], &[0; 100]]] {
            let mut text = [9; 20];
            let mut tag = RustCrypto::seal(&key, &[0; 12], aad, &mut text).unwrap();
            let sealed = text;
            tag[11] ^= 1;
            assert_eq!(RustCrypto::open(&key, &[0; 12], aad, &mut text, &tag), Err(CryptoError::Tag));
            assert_eq!(text, sealed);
            tag[11] ^= 1;
            assert_eq!(RustCrypto::open(&key, &[0; 12], aad, &mut text, &tag), Ok(()));
            assert_eq!(text, [9; 20]);
        }
    }

    #[test]
    fn only_aes_key_lengths_are_expanded() {
        for length in 0..=40 {
            let expanded = RustCrypto::expand(&[0; 40][..length]);
            assert_eq!(expanded.is_ok(), length == 16 || length == 32, "{length}");
        }
        assert_eq!(RustCrypto::encrypt_blocks(&[0; 15], &mut [[0; 16]]), Err(CryptoError::KeyLength { found: 15 }));
    }

    /// "abc" of RFC 1321 (A.5), FIPS 180-2 (A.1, B.1).
    #[test]
    fn digests_of_pieces() {
        let expected: [(Digest, &[u8]); 3] = [
            (Digest::Md5, &hex_literal::hex!("900150983cd24fb0d6963f7d28e17f72")),
            (Digest::Sha1, &hex_literal::hex!("a9993e364706816aba3e25717850c26c9cd0d89d")),
            (Digest::Sha256, &hex_literal::hex!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
        ];
        for (digest, expected) in expected {
            let mut out = std::vec![0; digest.length()];
            RustCrypto::hash(digest, &[b"a", b"", b"bc"], &mut out).unwrap();
            assert_eq!(out, expected, "{digest:?}");
            assert_eq!(RustCrypto::hash(digest, &[], &mut [0; 5]), Err(CryptoError::Engine));
        }
    }

    /// FIPS 197, appendix C.
    #[test]
    fn single_blocks() {
        let key: Vec<u8> = (0..32).collect();
        let plain: [u8; 16] = core::array::from_fn(|i| (i * 0x11) as u8);
        let mut blocks = [plain; 2];
        RustCrypto::encrypt_blocks(&key[..16], &mut blocks).unwrap();
        assert_eq!(blocks, [hex_literal::hex!("69C4E0D86A7B0430D8CDB78070B4C55A"); 2]);
        let mut block = [plain];
        RustCrypto::encrypt_blocks(&key, &mut block).unwrap();
        assert_eq!(block, [hex_literal::hex!("8EA2B7CA516745BFEAFC49904B496089")]);
    }
}
