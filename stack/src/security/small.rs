//! The engine of a small meter: AES-128 only, one block at a time.

use aes::Aes128Enc;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};
use aes_kw::KwAes128;
use ghash::GHash;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::rustcrypto::hash_pieces;
use super::{Crypto, CryptoError, NoCurves, NoMessageKey, TAG_LENGTH, Tag};

/// RustCrypto's AES and GHASH for suite 0 without anything else: no AES-256, no digests, no curves, no keys that come with
/// messages of general-ciphering, and no code that works on several blocks at once. Half the code and a third of the memory for a key of
/// [`RustCrypto`](super::RustCrypto), and slower than it; constant-time like it.
#[derive(Clone, Copy, Debug)]
pub struct SmallCrypto;

/// An expanded key of [`SmallCrypto`].
pub struct SmallCryptoKey {
    cipher: Aes128Enc,
    /// With the hash subkey.
    ghash: GHash,
}

impl core::fmt::Debug for SmallCryptoKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SmallCryptoKey(redacted)")
    }
}

impl SmallCryptoKey {
    /// The enciphered counter block of this number (NIST SP 800-38D, 7.1: the initialization vector with it behind).
    fn mask(&self, iv: &[u8; 12], number: u32) -> Block<Aes128Enc> {
        let mut block = Block::<Aes128Enc>::default();
        block.iter_mut().zip(iv.iter().copied().chain(number.to_be_bytes())).for_each(|(to, from)| *to = from);
        self.cipher.encrypt_block(&mut block);
        block
    }

    fn tag(&self, iv: &[u8; 12], aad: &[&[u8]], text: &[u8]) -> Tag {
        let mut tag = [0; TAG_LENGTH];
        let masked = self.mask(iv, 1).into_iter().zip(hash_pieces(&self.ghash, aad, text));
        tag.iter_mut().zip(masked).for_each(|(to, (mask, octet))| *to = mask ^ octet);
        tag
    }
}

impl Crypto for SmallCrypto {
    type Key = SmallCryptoKey;
    type MessageKey = NoMessageKey<SmallCryptoKey>;
    type Curves = NoCurves;

    fn expand(key: &[u8]) -> Result<SmallCryptoKey, CryptoError> {
        let cipher = Aes128Enc::new_from_slice(key).map_err(|_| CryptoError::KeyLength { found: key.len() })?;
        // The hash subkey is the enciphered zero block.
        let mut subkey = Block::<Aes128Enc>::default();
        cipher.encrypt_block(&mut subkey);
        let ghash = GHash::new(&subkey);
        subkey.zeroize();
        Ok(SmallCryptoKey { cipher, ghash })
    }

    fn expand_message(_: &[u8]) -> Result<Self::MessageKey, CryptoError> {
        Err(CryptoError::Unsupported)
    }

    fn seal(key: &SmallCryptoKey, iv: &[u8; 12], aad: &[&[u8]], text: &mut [u8]) -> Result<Tag, CryptoError> {
        Self::cipher(key, iv, text)?;
        Ok(key.tag(iv, aad, text))
    }

    fn open(key: &SmallCryptoKey, iv: &[u8; 12], aad: &[&[u8]], text: &mut [u8], tag: &Tag) -> Result<(), CryptoError> {
        if !bool::from(key.tag(iv, aad, text).ct_eq(tag)) {
            return Err(CryptoError::Tag);
        }
        Self::cipher(key, iv, text)
    }

    fn cipher(key: &SmallCryptoKey, iv: &[u8; 12], text: &mut [u8]) -> Result<(), CryptoError> {
        let mut number = 1_u32;
        for part in text.chunks_mut(16) {
            number = number.checked_add(1).ok_or(CryptoError::Engine)?;
            let mut mask = key.mask(iv, number);
            part.iter_mut().zip(&mask).for_each(|(octet, mask)| *octet ^= mask);
            mask.zeroize();
        }
        Ok(())
    }

    fn encrypt_blocks(key: &[u8], blocks: &mut [[u8; 16]]) -> Result<(), CryptoError> {
        let cipher = Aes128Enc::new_from_slice(key).map_err(|_| CryptoError::KeyLength { found: key.len() })?;
        blocks.iter_mut().for_each(|block| cipher.encrypt_block(block.into()));
        Ok(())
    }

    fn wrap(kek: &[u8], key: &[u8], wrapped: &mut [u8]) -> Result<(), CryptoError> {
        let length = wrapped.len();
        let kw = KwAes128::new_from_slice(kek).map_err(|_| CryptoError::KeyLength { found: kek.len() })?;
        match kw.wrap_key(key, wrapped) {
            Ok(written) if written.len() == length => Ok(()),
            _ => Err(CryptoError::Engine),
        }
    }

    fn unwrap(kek: &[u8], wrapped: &[u8], key: &mut [u8]) -> Result<(), CryptoError> {
        let length = key.len();
        let kw = KwAes128::new_from_slice(kek).map_err(|_| CryptoError::KeyLength { found: kek.len() })?;
        match kw.unwrap_key(wrapped, key) {
            Ok(written) if written.len() == length => Ok(()),
            Err(aes_kw::Error::IntegrityCheckFailed) => Err(CryptoError::Tag),
            _ => Err(CryptoError::Engine),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::security::RustCrypto;
    use crate::security::general::GeneralSession;

    #[test]
    fn an_association_has_no_room_for_keys_of_messages() {
        // What remains are the counters and the identifier beside the keys.
        assert!(size_of::<GeneralSession<SmallCrypto>>() <= 64);
        assert!(size_of::<GeneralSession<RustCrypto>>() > 3 * 200);
        assert_eq!(SmallCrypto::expand_message(&[0; 16]).map(drop), Err(CryptoError::Unsupported));
    }

    /// The published test cases 2 and 4 of AES-GCM (McGrew and Viega), their tags cut to 96 bits.
    #[test]
    fn test_cases_of_the_mode() {
        let key = SmallCrypto::expand(&[0; 16]).unwrap();
        let mut text = [0; 16];
        let tag = SmallCrypto::seal(&key, &[0; 12], &[], &mut text).unwrap();
        assert_eq!(text, hex_literal::hex!("0388dace60b6a392f328c2b971b2fe78"));
        assert_eq!(tag, hex_literal::hex!("ab6e47d42cec13bdf53a67b2"));

        let key = SmallCrypto::expand(&hex_literal::hex!("feffe9928665731c6d6a8f9467308308")).unwrap();
        let iv = hex_literal::hex!("cafebabefacedbaddecaf888");
        let aad = hex_literal::hex!("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let mut text = hex_literal::hex!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        );
        let plain = text;
        let tag = SmallCrypto::seal(&key, &iv, &[&aad[..3], &aad[3..]], &mut text).unwrap();
        assert_eq!(text[..16], hex_literal::hex!("42831ec2217774244b7221b784d0d49c"));
        assert_eq!(tag, hex_literal::hex!("5bc94fbc3221a5db94fae95a"));
        SmallCrypto::open(&key, &iv, &[&aad], &mut text, &tag).unwrap();
        assert_eq!(text, plain);
    }

    /// Against `aes-gcm`, for all lengths around the block size.
    #[test]
    fn both_engines_agree() {
        let octets: Vec<u8> = (0..200).collect();
        let (small, large) = (SmallCrypto::expand(&octets[..16]).unwrap(), RustCrypto::expand(&octets[..16]).unwrap());
        for aad_length in [0, 1, 15, 16, 17, 33, 130] {
            for text_length in [0, 1, 15, 16, 17, 40, 200] {
                let aad: [&[u8]; 2] = [&octets[..aad_length / 3], &octets[aad_length / 3..aad_length]];
                let (mut a, mut b) = (octets[..text_length].to_vec(), octets[..text_length].to_vec());
                let tag = SmallCrypto::seal(&small, &[9; 12], &aad, &mut a).unwrap();
                assert_eq!(RustCrypto::seal(&large, &[9; 12], &aad, &mut b).unwrap(), tag);
                assert_eq!(a, b);
                let mut wrong = tag;
                wrong[0] ^= 0x80;
                assert_eq!(SmallCrypto::open(&small, &[9; 12], &aad, &mut a, &wrong), Err(CryptoError::Tag));
                assert_eq!(a, b, "unchanged");
                SmallCrypto::open(&small, &[9; 12], &aad, &mut a, &tag).unwrap();
                assert_eq!(a, octets[..text_length]);
            }
        }
        let (mut wrapped, mut key) = ([0; 24], [0; 16]);
        SmallCrypto::wrap(&[3; 16], &[4; 16], &mut wrapped).unwrap();
        RustCrypto::unwrap(&[3; 16], &wrapped, &mut key).unwrap();
        assert_eq!(key, [4; 16]);
        SmallCrypto::unwrap(&[3; 16], &wrapped, &mut key).unwrap();
        wrapped[5] ^= 1;
        assert_eq!(SmallCrypto::unwrap(&[3; 16], &wrapped, &mut key), Err(CryptoError::Tag));
    }

    #[test]
    fn only_keys_of_suite_0_are_expanded() {
        for length in 0..=40 {
            assert_eq!(SmallCrypto::expand(&[0; 40][..length]).is_ok(), length == 16, "{length}");
        }
        assert_eq!(SmallCrypto::hash(crate::security::Digest::Sha1, &[], &mut [0; 20]), Err(CryptoError::Unsupported));
    }
}
