//! Raw writes and calls that need more than the permission to talk to meters.

use tonic::Status;

use super::status;
use crate::{
    access::{Caller, Permission},
    meter::MeterId,
    operation::Guard,
};

/// Lets a write or call through that is done at once, where nothing speaks against it.
pub(super) fn on_demand(caller: &Caller, guard: Option<Guard>, meter: &MeterId) -> Result<(), Status> {
    match guard {
        Some(Guard::Supply) => {
            let message = "this may take a supply away: Control and Jobs do it, with an expiry, a protected-customer check, \
                           rate caps and approval";
            Err(status::precondition("GUARDED", message, meter))
        }
        Some(Guard::Keys) => keys(caller),
        None => Ok(()),
    }
}

/// Lets only those change keys and security policies of meters who may.
pub(super) fn keys(caller: &Caller) -> Result<(), Status> {
    if caller.may(Permission::Secure) { Ok(()) } else { Err(status::not_secure(caller)) }
}

/// Lets only those change which meters there are who may.
pub(super) fn registry(caller: &Caller) -> Result<(), Status> {
    if caller.may(Permission::Register) { Ok(()) } else { Err(status::not_registering(caller)) }
}
