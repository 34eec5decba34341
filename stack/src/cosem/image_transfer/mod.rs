//! Class 18, Image transfer: firmware in blocks, verified and activated by the meter.
//!
//! [`Transfer`] is the client's side as a state machine: what to ask the meter next, until the image is in use.

mod blocks;
mod transfer;

pub use transfer::{Ask, Failure, Outcome, Settings, Step, Transfer};

use super::{Array, Zero};
use crate::axdr::BitString;

interface_class! {
    "Image transfer" = 18, versions 0..=0, methods at 0x40;
    attributes {
        /// Octets of a block; the last one may be shorter.
        2 BlockSize image_block_size, static: u32;
        /// Which blocks are there: bit n for block n.
        3 TransferredBlocksStatus image_transferred_blocks_status, dynamic: BitString<'a>;
        /// Number of the first block that is missing; the number of blocks when none is.
        4 FirstNotTransferredBlockNumber image_first_not_transferred_block_number, dynamic: u32;
        /// Whether images are taken at all. While false, every method fails.
        5 TransferEnabled image_transfer_enabled/set_image_transfer_enabled, static: bool;
        /// How far the transfer is.
        6 TransferStatus image_transfer_status, dynamic: ImageTransferStatus;
        /// What the verified image holds: what will be activated.
        7 ToActivateInfo image_to_activate_info, dynamic: Array<'a, ImageToActivate<'a>>;
    }
    methods {
        /// Begins a transfer. All blocks are missing then, also after an earlier transfer of the same image.
        1 TransferInitiate image_transfer_initiate: ImageToTransfer<'a>;
        /// Hands over a block, in any order.
        2 BlockTransfer image_block_transfer: ImageBlock<'a>;
        /// Verifies the image, which may take longer than the answer: then it fails for now, and the status tells.
        3 Verify image_verify: Zero;
        /// Activates the image, which may take longer than the answer, and end the association.
        4 Activate image_activate: Zero;
    }
}

enumeration! {
    /// How far the transfer of an image is.
    ImageTransferStatus "image transfer status" {
        /// No transfer.
        NotInitiated = 0,
        /// Blocks are taken.
        Initiated = 1,
        /// The image is being verified.
        VerificationInitiated = 2,
        /// The image was verified, and may be activated.
        VerificationSuccessful = 3,
        /// The image is not good.
        VerificationFailed = 4,
        /// The image is being activated.
        ActivationInitiated = 5,
        /// The image is in use.
        ActivationSuccessful = 6,
        /// The image was not activated.
        ActivationFailed = 7,
    }
}

structure! {
    /// What is to be transferred.
    #[derive(Eq)]
    ImageToTransfer<'a> "structure of image identifier and size" {
        /// Name of the image.
        image_identifier: &'a [u8],
        /// Octets of the image.
        image_size: u32,
    }
}

structure! {
    /// A block of an image.
    #[derive(Eq)]
    ImageBlock<'a> "structure of block number and octets" {
        /// Number of the block, from 0.
        image_block_number: u32,
        /// Its octets.
        image_block_value: &'a [u8],
    }
}

structure! {
    /// What a verified image holds.
    #[derive(Eq)]
    ImageToActivate<'a> "structure of image to activate" {
        /// Octets of the part.
        image_to_activate_size: u32,
        /// Name of the part.
        image_to_activate_identification: &'a [u8],
        /// Its signature; empty when there is none.
        image_to_activate_signature: &'a [u8],
    }
}
