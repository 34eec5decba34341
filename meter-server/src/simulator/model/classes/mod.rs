//! What single classes have in a model file, and the objects made of it.

pub(super) mod action;
pub(super) mod alarms;
pub(super) mod constant;
pub(super) mod fixed_rows;
pub(super) mod image_transfer;
pub(super) mod mbus;
pub(super) mod prepayment;
pub(super) mod supervision;
pub(super) mod tariff;
