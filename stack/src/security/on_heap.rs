//! Expanded keys on the heap.

use alloc::boxed::Box;
use core::marker::PhantomData;

use super::crypto::{Crypto, CryptoError, Digest, Tag};

/// The engine `C`, with its expanded keys on the heap: for those who hold many associations, few of which have all the
/// keys that there is room for.
#[derive(Debug)]
pub struct OnHeap<C>(PhantomData<C>);

impl<C: Crypto> Crypto for OnHeap<C> {
    type Key = Box<C::Key>;
    type MessageKey = Box<C::Key>;
    type Curves = C::Curves;

    fn expand(key: &[u8]) -> Result<Self::Key, CryptoError> {
        C::expand(key).map(Box::new)
    }

    fn expand_message(key: &[u8]) -> Result<Self::MessageKey, CryptoError> {
        Self::expand(key)
    }

    fn seal(key: &Self::Key, iv: &[u8; 12], aad: &[&[u8]], text: &mut [u8]) -> Result<Tag, CryptoError> {
        C::seal(key, iv, aad, text)
    }

    fn open(key: &Self::Key, iv: &[u8; 12], aad: &[&[u8]], text: &mut [u8], tag: &Tag) -> Result<(), CryptoError> {
        C::open(key, iv, aad, text, tag)
    }

    fn cipher(key: &Self::Key, iv: &[u8; 12], text: &mut [u8]) -> Result<(), CryptoError> {
        C::cipher(key, iv, text)
    }

    fn encrypt_blocks(key: &[u8], blocks: &mut [[u8; 16]]) -> Result<(), CryptoError> {
        C::encrypt_blocks(key, blocks)
    }

    fn wrap(kek: &[u8], key: &[u8], wrapped: &mut [u8]) -> Result<(), CryptoError> {
        C::wrap(kek, key, wrapped)
    }

    fn unwrap(kek: &[u8], wrapped: &[u8], key: &mut [u8]) -> Result<(), CryptoError> {
        C::unwrap(kek, wrapped, key)
    }

    fn hash(digest: Digest, pieces: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        C::hash(digest, pieces, out)
    }
}
