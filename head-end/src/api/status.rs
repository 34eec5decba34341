//! Errors as google.rpc.Status with details. The whole mapping is here.

use std::{collections::HashMap, error::Error, time::Duration};

use dlms_proto::ERROR_DOMAIN;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::{
    access::{Caller, Method, Refused, Role},
    collection::CollectionError,
    jobs::JobError,
    meter::MeterId,
    operation::{RequestError, RequestErrorKind},
    registry::RegistryError,
    store::StoreError,
};

/// Type of the resources in ResourceInfo.
const METER_TYPE: &str = "dlms.headend.v1/Meter";

/// INVALID_ARGUMENT with every wrong field.
pub(super) fn invalid(violations: Vec<FieldViolation>) -> Status {
    let fields: Vec<String> =
        violations.iter().map(|violation| format!("{}: {}", violation.field, violation.description)).collect();
    let mut details = ErrorDetails::with_bad_request(violations);
    details.set_error_info("INVALID_REQUEST", ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(Code::InvalidArgument, fields.join("; "), details)
}

/// An error of the registry about `meter`.
pub(super) fn registry(error: &RegistryError, meter: Option<&MeterId>) -> Status {
    match error {
        RegistryError::Invalid(problems) => invalid(
            problems
                .iter()
                .map(|problem| FieldViolation::new(field(&problem.field), problem.problem.clone()))
                .collect(),
        ),
        RegistryError::Store(error) => store(error, meter),
        RegistryError::Lifecycle(error) => {
            with_info(Code::FailedPrecondition, "LIFECYCLE", &error.to_string(), meter, HashMap::new())
        }
        other => with_info(Code::Internal, "STORE", &described(other), meter, HashMap::new()),
    }
}

/// Where a request has a field of a meter's settings; the mask of an update lies beside the meter.
fn field(name: &str) -> String {
    if name == "update_mask" { name.to_owned() } else { format!("meter.{name}") }
}

/// An error of collection.
pub(super) fn collection(error: &CollectionError) -> Status {
    match error {
        CollectionError::Invalid(problems) => {
            let field = |name: &str| if name == "update_mask" { name.to_owned() } else { format!("plan.{name}") };
            let wrong = problems.iter().map(|wrong| FieldViolation::new(field(&wrong.field), wrong.problem.clone()));
            invalid(wrong.collect())
        }
        CollectionError::Paused(_) => {
            with_info(Code::FailedPrecondition, "PAUSED", &error.to_string(), None, HashMap::new())
        }
        CollectionError::Store(error) => store(error, None),
    }
}

/// An error of the store about `meter`.
pub(super) fn store(error: &StoreError, meter: Option<&MeterId>) -> Status {
    let (code, reason) = match error {
        StoreError::AlreadyExists(_) => (Code::AlreadyExists, "ALREADY_EXISTS"),
        StoreError::NotFound(_) => (Code::NotFound, "NOT_FOUND"),
        StoreError::Conflict { .. } => (Code::Aborted, "ETAG_MISMATCH"),
        StoreError::RequestMismatch(_) => {
            return invalid(vec![FieldViolation::new("request_id", error.to_string())]);
        }
        StoreError::Overloaded { .. } => (Code::ResourceExhausted, "BUSY"),
        error if error.is_transient() => (Code::Unavailable, "STORE"),
        _ => (Code::Internal, "STORE"),
    };
    let metadata = HashMap::from([
        ("layer".to_owned(), "store".to_owned()),
        ("retryable".to_owned(), error.is_transient().to_string()),
    ]);
    with_info(code, reason, &described(error), meter, metadata)
}

/// An operation that failed as a whole.
pub(super) fn operation(error: &RequestError, meter: &MeterId) -> Status {
    // A store below says more precisely what can be done.
    if let Some(below) = error.source().and_then(|source| source.downcast_ref::<StoreError>()) {
        return store(below, Some(meter));
    }
    let code = match error.kind() {
        RequestErrorKind::Unreachable | RequestErrorKind::Protocol | RequestErrorKind::ShuttingDown => {
            Code::Unavailable
        }
        RequestErrorKind::SecurityFailed | RequestErrorKind::MeterRefused => Code::FailedPrecondition,
        RequestErrorKind::Expired => Code::DeadlineExceeded,
        RequestErrorKind::Cancelled => Code::Cancelled,
        RequestErrorKind::UnknownOutcome => Code::Aborted,
        RequestErrorKind::Busy => Code::ResourceExhausted,
        RequestErrorKind::NotFound => Code::NotFound,
        RequestErrorKind::InvalidRequest => Code::InvalidArgument,
        RequestErrorKind::Store => Code::Internal,
    };
    let mut metadata = HashMap::from([
        ("layer".to_owned(), error.layer().name().to_owned()),
        ("sent".to_owned(), error.sent().to_string()),
        ("retryable".to_owned(), error.is_retryable().to_string()),
    ]);
    metadata.extend(error.object().map(|object| ("object".to_owned(), object.to_string())));
    metadata.extend(error.answer().map(|answer| ("answer".to_owned(), answer.to_string())));
    with_info(code, error.kind().name(), &described(error), Some(meter), metadata)
}

/// A job that was not made, or not changed.
pub(super) fn job(error: &JobError) -> Status {
    let (code, reason) = match error {
        JobError::Invalid { field, problem } => return invalid(vec![FieldViolation::new(*field, problem.clone())]),
        JobError::NotFound(_) | JobError::NoMeter(_) | JobError::NoGroup(_) => (Code::NotFound, "NOT_FOUND"),
        JobError::MassDisconnect { .. } => (Code::FailedPrecondition, "MASS_DISCONNECT"),
        JobError::NobodyToApprove { .. } => (Code::FailedPrecondition, "NOBODY_TO_APPROVE"),
        JobError::SamePerson(_) => (Code::FailedPrecondition, "SAME_PERSON"),
        JobError::State(_) => (Code::FailedPrecondition, "JOB_STATE"),
        JobError::Store(error) => return store(error, None),
        JobError::Registry(error) => return registry(error, None),
    };
    with_info(code, reason, &described(error), None, HashMap::new())
}

/// FAILED_PRECONDITION: something else has to be done first.
pub(super) fn precondition(reason: &str, message: &str, meter: &MeterId) -> Status {
    with_info(Code::FailedPrecondition, reason, message, Some(meter), HashMap::new())
}

/// A telegram that was not taken.
pub(super) fn telegram(code: Code, reason: &str, message: &str, meter: Option<&MeterId>) -> Status {
    with_info(code, &reason.to_ascii_uppercase(), message, meter, HashMap::new())
}

/// FAILED_PRECONDITION: something else needs it.
pub(super) fn in_use(message: &str) -> Status {
    with_info(Code::FailedPrecondition, "IN_USE", message, None, HashMap::new())
}

/// DEADLINE_EXCEEDED: what was uploaded did not come to its end in time.
pub(super) fn upload_too_slow() -> Status {
    let message = "the upload did not come to its end before the deadline of the call";
    with_info(Code::DeadlineExceeded, "EXPIRED", message, None, HashMap::new())
}

/// UNIMPLEMENTED: there is no such method, or nobody has said who may call it.
pub(super) fn no_method(path: &str) -> Status {
    let path: String = path.chars().take(200).collect();
    with_info(Code::Unimplemented, "NO_METHOD", &format!("there is no method {path:?}"), None, HashMap::new())
}

/// UNAUTHENTICATED: the call does not prove who makes it.
pub(super) fn unauthenticated(refused: Refused) -> Status {
    with_info(Code::Unauthenticated, "UNAUTHENTICATED", refused.0, None, HashMap::new())
}

/// PERMISSION_DENIED: the call comes from a web page that is not listed.
pub(super) fn foreign_page() -> Status {
    let message = "web pages of this origin may not call; list it in cors_origins";
    with_info(Code::PermissionDenied, "FOREIGN_ORIGIN", message, None, HashMap::new())
}

/// RESOURCE_EXHAUSTED: the caller has to wait.
pub(super) fn too_often(wait: Duration) -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(wait));
    details.set_error_info("RATE_LIMIT", ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(Code::ResourceExhausted, "too many calls", details)
}

/// INVALID_ARGUMENT: the octets of the request are not what the method takes.
pub(super) fn unreadable(reason: &str) -> Status {
    with_info(Code::InvalidArgument, "INVALID_REQUEST", reason, None, HashMap::new())
}

/// NOT_FOUND: there is no such meter, or none that the caller may see.
pub(super) fn no_meter(meter: &MeterId) -> Status {
    store(&StoreError::NotFound(meter.resource_name()), Some(meter))
}

/// PERMISSION_DENIED: nobody has seen to it that the method keeps tenants apart.
pub(super) fn not_for_tenants(method: &Method) -> Status {
    let message = format!("{} is not for callers of a tenant", method.path);
    with_info(Code::PermissionDenied, "PERMISSION_DENIED", &message, None, HashMap::new())
}

/// PERMISSION_DENIED: none of the caller's roles may call this.
pub(super) fn forbidden(method: &Method, caller: &Caller) -> Status {
    let roles: Vec<&str> =
        Role::ALL.into_iter().filter(|role| role.grants(method.permission)).map(Role::name).collect();
    let message =
        format!("{} may not call {}: it needs one of the roles {}", caller.subject, method.path, roles.join(", "));
    with_info(Code::PermissionDenied, "PERMISSION_DENIED", &message, None, HashMap::new())
}

/// PERMISSION_DENIED: the caller may talk to meters, and not change their keys.
pub(super) fn not_secure(caller: &Caller) -> Status {
    let message = format!("{} may not change keys or security policies of meters", caller.subject);
    with_info(Code::PermissionDenied, "PERMISSION_DENIED", &message, None, HashMap::new())
}

/// PERMISSION_DENIED: the caller may talk to meters, and not take them into service or out of it.
pub(super) fn not_registering(caller: &Caller) -> Status {
    let message = format!("{} may not change which meters there are", caller.subject);
    with_info(Code::PermissionDenied, "PERMISSION_DENIED", &message, None, HashMap::new())
}

fn with_info(
    code: Code,
    reason: &str,
    message: &str,
    meter: Option<&MeterId>,
    mut metadata: HashMap<String, String>,
) -> Status {
    let mut details = ErrorDetails::new();
    if let Some(meter) = meter {
        metadata.insert("meter".to_owned(), meter.resource_name());
        details.set_resource_info(METER_TYPE, meter.resource_name(), "", message);
    }
    details.set_error_info(reason, ERROR_DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// An error with its causes in one line.
fn described(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat the cause that they wrap.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
