//! Who makes a call, as the gate found out.

use tonic::{Request, Status};

use crate::access::Caller;

/// Who makes the call. The gate has put it there; without it nothing is done.
pub(super) fn of<T>(request: &Request<T>) -> Result<&Caller, Status> {
    request.extensions().get().ok_or_else(|| Status::internal("the call did not come through the gate"))
}
