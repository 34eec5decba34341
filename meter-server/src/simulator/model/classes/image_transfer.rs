//! Image transfer (class 18): `[object.image-transfer]`.

use dlms::security::public_key::{Curve, PublicKey};
use serde::Deserialize;
use toml::Spanned;

use crate::objects::ImageReceiver;
use crate::simulator::meter::firmware::{ImageBank, ModelFirmware};
use crate::simulator::model::objects::Problem;

/// Blocks of an image.
const BLOCKS_MAX: u32 = 65_536;
/// Octets of an image that a simulated meter keeps.
const OCTETS_MAX: u32 = 4 << 20;

/// Firmware of the meters, and the images that they take.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct ImageTransferFile {
    /// Version in use at the start: what an object with the value `firmware-version` shows.
    version: String,
    /// Octets of a block.
    block_size: Spanned<u32>,
    /// Octets of the longest image.
    octets: Spanned<u32>,
    /// Whether images are taken before a client has enabled it (attribute 5).
    #[serde(default)]
    enabled: bool,
    /// P-256 key that images must be signed with, X and Y in hexadecimal. Images have a hash alone without it.
    public_key: Option<Spanned<String>>,
}

/// The transfer that all meters begin with. `kind` is what an image must name.
pub(in crate::simulator::model) fn build(
    file: &ImageTransferFile,
    kind: &str,
) -> Result<ImageReceiver<ImageBank, Vec<u8>>, Problem> {
    let (block_size, octets) = (*file.block_size.get_ref(), *file.octets.get_ref());
    if !(16..=4_096).contains(&block_size) {
        return Err(Problem::At(file.block_size.span(), "a block has from 16 to 4096 octets".to_owned()));
    }
    let blocks = octets.div_ceil(block_size);
    if octets == 0 || octets > OCTETS_MAX || blocks > BLOCKS_MAX {
        let message = format!("an image has from 1 to {OCTETS_MAX} octets, and at most {BLOCKS_MAX} blocks");
        return Err(Problem::At(file.octets.span(), message));
    }
    let key = match &file.public_key {
        None => None,
        Some(text) => {
            let octets = hex::decode(text.get_ref()).ok();
            let key = octets.and_then(|octets| PublicKey::from_slice(Curve::P256, &octets).ok());
            Some(key.ok_or_else(|| Problem::At(text.span(), "this is no public key of P-256: X and Y".to_owned()))?)
        }
    };
    let kind = kind.to_owned();
    let bank =
        ImageBank::new(ModelFirmware { version: file.version.clone(), kind, block_size, octets_max: octets, key });
    let bitmap = vec![0; usize::try_from(blocks.div_ceil(8)).unwrap_or(0)];
    let mut receiver = ImageReceiver::new(bank, bitmap);
    receiver.set_enabled(file.enabled);
    Ok(receiver)
}
