//! Meters between the API and the registry.

mod from;
mod link;
mod mask;
mod to;

pub(super) use self::{
    from::change,
    mask::merge,
    to::{lifecycle, to_lifecycle, to_proto},
};
