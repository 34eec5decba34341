//! One operation inside an open association.

use std::sync::Arc;

use dlms::{
    apdu::{AttributeDescriptor, AttributeRequest},
    id::{AttributeId, ClassId},
    obis::ObisCode,
};
use tokio::time::Instant;

use super::{
    attributes, discover, failure::head_end, memory::Memory, open::Environment, profile, registers, session::Session,
    work::Work,
};
use crate::operation::{ItemResult, Opening, Operation, Outcome, Pong, RequestError, RequestErrorKind as Kind};

/// The logical name of the association that asks (Blue Book, class 15, 0.0.40.0.0.255): every server has it.
const CURRENT_ASSOCIATION: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(15), ObisCode([0, 0, 40, 0, 0, 255]), AttributeId(1));

/// Carries an operation out. `opening` is how long opening the association took, where it was opened for it.
pub(super) async fn perform(
    session: &mut Session,
    memory: &mut Memory,
    environment: &Environment,
    operation: &Operation,
    opening: Option<Opening>,
    work: &Work<'_>,
) -> Result<Outcome, RequestError> {
    let Operation::Bundle { operations, stop_on_error } = operation else {
        return single(session, memory, environment, operation, opening, work).await;
    };
    let mut outcomes: Vec<ItemResult<Outcome>> = Vec::with_capacity(operations.len());
    for operation in operations {
        let before = outcomes.last();
        let stopped = *stop_on_error && before.is_some_and(|of| !of.as_ref().is_ok_and(Outcome::is_complete));
        outcomes.push(match stopped {
            true => Err(head_end(Kind::Cancelled, "what came before it in the bundle did not succeed")),
            false => single(session, memory, environment, operation, opening, work).await,
        });
    }
    Ok(Outcome::Bundle(outcomes))
}

async fn single(
    session: &mut Session,
    memory: &mut Memory,
    environment: &Environment,
    operation: &Operation,
    opening: Option<Opening>,
    work: &Work<'_>,
) -> Result<Outcome, RequestError> {
    let directory = environment.directory.as_ref();
    let meter = session.config().id.clone();
    Ok(match operation {
        Operation::ReadRegisters(wanted) => {
            let model = directory.object_model(&meter).await?;
            Outcome::Registers(registers::read(session, memory, model.as_deref(), wanted, work).await)
        }
        Operation::ReadProfile(request) => {
            Outcome::Profile(profile::read(session, memory, directory, request, work).await?)
        }
        Operation::GetAttributes(wanted) => Outcome::Attributes(attributes::get(session, memory, wanted, work).await),
        Operation::SetAttributes(wanted) => Outcome::Set(attributes::set(session, wanted, work).await),
        Operation::InvokeMethod(method) => Outcome::Method(attributes::invoke(session, method, work).await?),
        Operation::DiscoverObjects => {
            let earlier = directory.object_model(&meter).await?;
            let model = Arc::new(discover::discover(session, memory, earlier.as_deref(), work).await?);
            directory.save_object_model(&meter, Arc::clone(&model)).await?;
            Outcome::Objects(model)
        }
        Operation::Ping => Outcome::Pong(ping(session, opening, work).await?),
        Operation::Bundle { .. } => {
            return Err(head_end(Kind::InvalidRequest, "a bundle cannot be part of a bundle"));
        }
        Operation::Identify => {
            return Err(head_end(Kind::InvalidRequest, "who is there is asked in an association of its own"));
        }
    })
}

/// A refusal is an answer too.
async fn ping(session: &mut Session, opening: Option<Opening>, work: &Work<'_>) -> Result<Pong, RequestError> {
    let asked = Instant::now();
    match session.get(AttributeRequest::whole(CURRENT_ASSOCIATION), work).await {
        Err(error) if error.kind() != Kind::MeterRefused => Err(error),
        Ok(_) | Err(_) => {
            let negotiated = session.negotiated();
            Ok(Pong {
                round_trip: asked.elapsed(),
                opening,
                server_max_pdu: negotiated.server_max_pdu,
                conformance: negotiated.conformance,
                server_title: negotiated.server_title,
            })
        }
    }
}
