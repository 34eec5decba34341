//! What a request is about, looked at before it is answered.

use super::device::{Access, Device};
use crate::apdu::{
    AccessRequest, AccessSpecification, ActionRequest, AttributeDescriptor, AttributeRequest, Conformance, GetRequest,
    MethodDescriptor, SetRequest,
};
use crate::security::Protection;

/// An attribute or a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// An attribute.
    Attribute(AttributeDescriptor),
    /// A method.
    Method(MethodDescriptor),
}

/// The attributes or methods that a request names; those of blocks that follow were named by the first one.
pub(super) trait Members {
    /// Whether the request names any itself.
    fn is_first(&self) -> bool;

    /// Visits each attribute with whether only a part of it is selected, and each method.
    fn visit(&self, see: &mut dyn FnMut(Member, bool));

    /// Whether everything that is asked for was negotiated: selective access, and all attributes at once (attribute 0).
    fn is_negotiated(&self, services: Conformance, all_attributes: Conformance) -> bool {
        let mut negotiated = true;
        self.visit(&mut |member, selected| {
            let zero = matches!(member, Member::Attribute(attribute) if attribute.attribute.0 == 0);
            negotiated &= !zero || services.contains(all_attributes);
            negotiated &= !selected || services.contains(Conformance::SELECTIVE_ACCESS);
        });
        negotiated
    }

    /// What access rights demand of the response to all of them.
    fn response_protection<D: Device>(&self, access: &Access, device: &D) -> Protection {
        let mut required = Protection::NONE;
        self.visit(&mut |member, _| required = required.union(device.response_protection(access, member)));
        required
    }
}

fn attribute(request: &AttributeRequest<'_>, see: &mut dyn FnMut(Member, bool)) {
    see(Member::Attribute(request.attribute), request.selection.is_some());
}

impl Members for GetRequest<'_> {
    fn is_first(&self) -> bool {
        !matches!(self, Self::Next { .. })
    }

    fn visit(&self, see: &mut dyn FnMut(Member, bool)) {
        match self {
            Self::Normal { request, .. } => attribute(request, see),
            Self::WithList { requests, .. } => requests.iter().for_each(|request| attribute(&request, see)),
            Self::Next { .. } => {}
        }
    }
}

impl Members for SetRequest<'_> {
    fn is_first(&self) -> bool {
        !matches!(self, Self::WithDataBlock { .. })
    }

    fn visit(&self, see: &mut dyn FnMut(Member, bool)) {
        match self {
            Self::Normal { request, .. } | Self::WithFirstDataBlock { request, .. } => attribute(request, see),
            Self::WithList { requests, .. } | Self::WithListAndFirstDataBlock { requests, .. } => {
                requests.iter().for_each(|request| attribute(&request, see));
            }
            Self::WithDataBlock { .. } => {}
        }
    }
}

impl Members for AccessRequest<'_> {
    fn is_first(&self) -> bool {
        true
    }

    fn visit(&self, see: &mut dyn FnMut(Member, bool)) {
        use AccessSpecification as Item;
        self.specifications.iter().for_each(|item| match item {
            Item::Get(attribute) | Item::Set(attribute) => see(Member::Attribute(attribute), false),
            Item::GetWithSelection { attribute, .. } | Item::SetWithSelection { attribute, .. } => {
                see(Member::Attribute(attribute), true);
            }
            Item::Action(method) => see(Member::Method(method), false),
        });
    }

    /// Each item has a result of its own: none is refused for the others.
    fn is_negotiated(&self, _: Conformance, _: Conformance) -> bool {
        true
    }
}

impl Members for ActionRequest<'_> {
    fn is_first(&self) -> bool {
        !matches!(self, Self::WithPBlock { .. } | Self::NextPBlock { .. })
    }

    fn visit(&self, see: &mut dyn FnMut(Member, bool)) {
        match self {
            Self::Normal { request, .. } => see(Member::Method(request.method), false),
            Self::WithFirstPBlock { method, .. } => see(Member::Method(*method), false),
            Self::WithList { methods, .. } | Self::WithListAndFirstPBlock { methods, .. } => {
                methods.iter().for_each(|method| see(Member::Method(method), false));
            }
            Self::WithPBlock { .. } | Self::NextPBlock { .. } => {}
        }
    }
}
