//! Why an operation, or one item of it, did not succeed.

use std::{error::Error, fmt, sync::Arc};

use dlms::{
    acse::ServiceUserDiagnostic,
    apdu::{ActionResult, DataAccessResult},
    id::{AttributeId, ClassId, MethodId},
    obis::ObisCode,
};

use crate::meter::MeterId;

/// Result of one item of an operation.
pub type ItemResult<T> = Result<T, RequestError>;

/// An attribute of a COSEM object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttributeRef {
    /// Interface class.
    pub class: ClassId,
    /// Logical name.
    pub obis: ObisCode,
    /// Attribute index.
    pub attribute: AttributeId,
}

impl fmt::Display for AttributeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (class {}) attribute {}", self.obis, self.class, self.attribute)
    }
}

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectRef {
    /// An object as a whole.
    Object {
        /// Interface class, where it is known.
        class: Option<ClassId>,
        /// Logical name.
        obis: ObisCode,
    },
    /// An attribute.
    Attribute(AttributeRef),
    /// A method.
    Method {
        /// Interface class.
        class: ClassId,
        /// Logical name.
        obis: ObisCode,
        /// Method index.
        method: MethodId,
    },
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { class: Some(class), obis } => write!(f, "{obis} (class {class})"),
            Self::Object { class: None, obis } => write!(f, "{obis}"),
            Self::Attribute(attribute) => write!(f, "{attribute}"),
            Self::Method { class, obis, method } => write!(f, "{obis} (class {class}) method {method}"),
        }
    }
}

/// What went wrong, by who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// The meter answered no; [`RequestError::answer`] holds its words.
    MeterRefused,
    /// No connection, no answer, or the connection was lost.
    Unreachable,
    /// The peer broke the protocol: octets that do not decode, or are illegal at that point.
    Protocol,
    /// Tag, counter, policy, keys, authentication or system title.
    SecurityFailed,
    /// The deadline passed before the request was sent, or, for a request that changes nothing,
    /// before it was answered.
    Expired,
    /// The caller went away, or the meter was deleted or changed, before the request was sent.
    Cancelled,
    /// A request that changes something was sent and no answer came: it may have been carried out.
    UnknownOutcome,
    /// The meter's queue or its route is full: try again later.
    Busy,
    /// No such meter, or no such object in its model.
    NotFound,
    /// The request cannot be carried out as asked: the caller must change it.
    InvalidRequest,
    /// The store or the vault failed.
    Store,
    /// The head-end is shutting down.
    ShuttingDown,
}

impl RequestErrorKind {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 12] = [
        Self::MeterRefused,
        Self::Unreachable,
        Self::Protocol,
        Self::SecurityFailed,
        Self::Expired,
        Self::Cancelled,
        Self::UnknownOutcome,
        Self::Busy,
        Self::NotFound,
        Self::InvalidRequest,
        Self::Store,
        Self::ShuttingDown,
    ];

    /// The name in API, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MeterRefused => "METER_REFUSED",
            Self::Unreachable => "UNREACHABLE",
            Self::Protocol => "PROTOCOL",
            Self::SecurityFailed => "SECURITY_FAILED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
            Self::UnknownOutcome => "UNKNOWN_OUTCOME",
            Self::Busy => "BUSY",
            Self::NotFound => "NOT_FOUND",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::Store => "STORE",
            Self::ShuttingDown => "SHUTTING_DOWN",
        }
    }
}

/// The layer that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// Sockets, ports, HDLC and wrapper.
    Link,
    /// ACSE and xDLMS: association, block transfer, encoding.
    Association,
    /// Ciphering and authentication.
    Security,
    /// The meter's application: it understood and refused.
    Meter,
    /// The head-end's store and vault.
    Store,
    /// The head-end itself: queues, deadlines, request checks.
    HeadEnd,
}

impl Layer {
    /// The name in API, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Association => "association",
            Self::Security => "security",
            Self::Meter => "meter",
            Self::Store => "store",
            Self::HeadEnd => "head-end",
        }
    }
}

/// A refusal in the meter's own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MeterAnswer {
    /// Data-Access-Result of a GET or SET.
    DataAccess(u8),
    /// Action-Result of an ACTION.
    Action(u8),
    /// The association was rejected.
    Association {
        /// Association-result: 1 permanent, 2 transient.
        result: u8,
        /// Associate-source-diagnostic, of the ACSE service user.
        diagnostic: u8,
    },
    /// ExceptionResponse.
    Exception {
        /// State-error.
        state: u8,
        /// Service-error.
        service: u8,
    },
    /// ConfirmedServiceError.
    ConfirmedService {
        /// The service it answers.
        service: u8,
        /// Kind of ServiceError.
        error: u8,
        /// Its value.
        value: u8,
    },
}

impl MeterAnswer {
    /// Name of the code in the standard, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        match *self {
            Self::DataAccess(code) => DataAccessResult::from_code(code).name().map(str::to_owned),
            Self::Action(code) => ActionResult::from_code(code).name().map(str::to_owned),
            Self::Association { diagnostic, .. } => Some(ServiceUserDiagnostic::from(diagnostic).to_string()),
            Self::Exception { .. } | Self::ConfirmedService { .. } => None,
        }
    }
}

impl fmt::Display for MeterAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DataAccess(code) => write!(f, "data-access-result {code}")?,
            Self::Action(code) => write!(f, "action-result {code}")?,
            Self::Association { result, diagnostic } => {
                write!(f, "association-result {result}, diagnostic {diagnostic}")?;
            }
            Self::Exception { state, service } => {
                write!(f, "exception-response: state-error {state}, service-error {service}")?;
            }
            Self::ConfirmedService { service, error, value } => {
                write!(f, "confirmed-service-error: service {service}, error {error}, value {value}")?;
            }
        }
        match self.name() {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// Why an operation, or one item of it, did not succeed.
///
/// Cheap to clone, because one lost link fails every item that waits behind it.
#[derive(Clone, Debug)]
pub struct RequestError(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: RequestErrorKind,
    layer: Layer,
    message: String,
    meter: Option<MeterId>,
    object: Option<ObjectRef>,
    answer: Option<MeterAnswer>,
    sent: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl RequestError {
    /// An error of `kind`, raised in `layer`; `message` says what happened, in lower case and
    /// without secrets.
    #[must_use]
    pub fn new(kind: RequestErrorKind, layer: Layer, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            layer,
            message: message.into(),
            meter: None,
            object: None,
            answer: None,
            sent: false,
            source: None,
        }))
    }

    /// The meter's refusal `answer`.
    #[must_use]
    pub fn refused(answer: MeterAnswer) -> Self {
        let layer = match answer {
            MeterAnswer::Association { .. } => Layer::Association,
            _ => Layer::Meter,
        };
        let mut error = Self::new(RequestErrorKind::MeterRefused, layer, format!("the meter answered {answer}"));
        let inner = Arc::make_mut(&mut error.0);
        inner.answer = Some(answer);
        inner.sent = true;
        error
    }

    /// The same, about `meter`.
    #[must_use]
    pub fn with_meter(mut self, meter: &MeterId) -> Self {
        Arc::make_mut(&mut self.0).meter = Some(meter.clone());
        self
    }

    /// The same, about `object`.
    #[must_use]
    pub fn with_object(mut self, object: ObjectRef) -> Self {
        Arc::make_mut(&mut self.0).object = Some(object);
        self
    }

    /// The same, with what the meter answered.
    #[must_use]
    pub fn with_answer(mut self, answer: MeterAnswer) -> Self {
        Arc::make_mut(&mut self.0).answer = Some(answer);
        self
    }

    /// The same, with whether octets of the request had left for the meter.
    #[must_use]
    pub fn with_sent(mut self, sent: bool) -> Self {
        Arc::make_mut(&mut self.0).sent = sent;
        self
    }

    /// The same, with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::new(source));
        self
    }

    /// The same, as another kind: a lost answer is [`RequestErrorKind::UnknownOutcome`] for a
    /// request that changes something and [`RequestErrorKind::Unreachable`] for one that does not.
    #[must_use]
    pub fn with_kind(mut self, kind: RequestErrorKind) -> Self {
        Arc::make_mut(&mut self.0).kind = kind;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> RequestErrorKind {
        self.0.kind
    }

    /// Which layer failed.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.0.layer
    }

    /// Which meter it is about.
    #[must_use]
    pub fn meter(&self) -> Option<&MeterId> {
        self.0.meter.as_ref()
    }

    /// Which object it is about.
    #[must_use]
    pub fn object(&self) -> Option<ObjectRef> {
        self.0.object
    }

    /// What the meter answered.
    #[must_use]
    pub fn answer(&self) -> Option<MeterAnswer> {
        self.0.answer
    }

    /// Whether octets of the request had left for the meter.
    #[must_use]
    pub fn sent(&self) -> bool {
        self.0.sent
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.0.kind,
            RequestErrorKind::Unreachable
                | RequestErrorKind::Protocol
                | RequestErrorKind::Busy
                | RequestErrorKind::Store
                | RequestErrorKind::ShuttingDown
        )
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(object) = &self.0.object {
            write!(f, ", for {object}")?;
        }
        Ok(())
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl PartialEq for RequestError {
    /// Equal in everything that a caller can act on; causes are not compared.
    fn eq(&self, other: &Self) -> bool {
        let key = |e: &Self| (e.kind(), e.layer(), e.object(), e.answer(), e.sent());
        key(self) == key(other) && self.0.message == other.0.message && self.meter() == other.meter()
    }
}
