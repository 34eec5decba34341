//! The seam between the API and the fleet: what can be asked of a meter, and what comes back.
//!
//! Nothing here knows gRPC, and nothing here knows sockets. The API, the command line and a
//! program that embeds the library all speak in these types; the fleet carries them out.

mod access;
mod diagnosis;
mod error;
mod guard;
mod outcome;
mod request;
mod terms;
mod trace;

pub use self::{
    access::{CounterBlock, MeterAccess, MeterDirectory},
    diagnosis::{Counters, Diagnosis, Percentiles, RouteLoad, Window},
    error::{AttributeRef, ItemResult, Layer, MeterAnswer, ObjectRef, RequestError, RequestErrorKind},
    guard::Guard,
    outcome::{
        AttributeValue, CaptureColumn, CaptureRow, Identity, ModelObject, ObjectModel, Opening, Outcome, Pong,
        ProfileLayout, ProfileReading, RegisterReading,
    },
    request::{
        GetAttribute, InvokeMethod, Operation, ProfileSelection, ReadProfile, RegisterRef, Selection, SetAttribute,
    },
    terms::{Priority, Terms},
    trace::{Direction, Said, TRACE_ENTRIES, TRACES, Trace, TraceEntry, TraceError},
};
