//! Class 62, Compact data: values of several objects as one octet string, whose types are told apart from it.

mod buffer;

pub use buffer::{CompactDataError, compress, describe, expand};

use super::push_setup::{PushObject, PushObjectV1};
use super::{Array, Zero};
use crate::cosem::profile_generic::CaptureObject;

interface_class! {
    "Compact data" = 62, versions 0..=1;
    attributes {
        /// The values without their types: see [`expand`] and, for a server, [`compress`].
        2 CompactBuffer compact_buffer, dynamic: &'a [u8];
        /// What is captured; the first one is the identifier of the template.
        3 CaptureObjectsV0 capture_objects_v0/set_capture_objects_v0 "capture_objects", static until 0:
            Array<'a, CaptureObject>;
        /// What is captured, with a restriction for each; the first one is the identifier of the template.
        3 CaptureObjects capture_objects/set_capture_objects, static since 1: Array<'a, PushObjectV1<'a>>;
        /// Identifier of the template: changes with the objects that are captured.
        4 TemplateId template_id/set_template_id, static: u8;
        /// The types of the values: a structure with the tag of each; see [`describe`].
        5 TemplateDescription template_description, dynamic: &'a [u8];
        /// When values are captured.
        6 Capture capture_method/set_capture_method, static: CaptureMethod;
    }
    methods {
        /// Empties the buffer.
        1 Reset reset: Zero;
        /// Captures values now.
        2 CaptureNow capture: Zero;
    }
}

/// An entry of `capture_objects` with columns, as later editions have it in version 1.
pub type CaptureObjectWithColumns<'a> = PushObject<'a>;

enumeration! {
    /// When values are captured.
    CaptureMethod "capture method" {
        /// When the method is invoked.
        Explicit = 0,
        /// When the buffer is read.
        Implicit = 1,
    }
}
