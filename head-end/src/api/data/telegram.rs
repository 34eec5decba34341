//! IngestTelegram.

use dlms_proto::v1::{
    IngestTelegramRequest, IngestTelegramResponse, ingest_telegram_request::CheckSum as Proto,
    ingest_telegram_response::Outcome,
};
use tonic::{Code, Status};
use tonic_types::FieldViolation;

use crate::{
    api::{
        capture::time_basis,
        parse::{self, Violations, to_timestamp},
        status,
    },
    meter::{MeterId, Tenant},
    telegram::{CheckSum, Refused, Sender, Taken},
};

/// The telegram of a request, and what is believed of whoever brings it.
pub(super) fn parse(request: IngestTelegramRequest, tenant: Option<Tenant>) -> Result<(Vec<u8>, Sender), Status> {
    let mut violations = Violations::default();
    let meter = match request.meter.as_str() {
        "" => Some(None),
        name => violations.check("meter", parse::meter_name(name)).map(Some),
    };
    let check_sum = match Proto::try_from(request.check_sum) {
        Ok(Proto::Unspecified | Proto::Required) => Ok(CheckSum::Required),
        Ok(Proto::IfPresent) => Ok(CheckSum::IfPresent),
        Ok(Proto::Unpadded) => Ok(CheckSum::Unpadded),
        Err(_) => Err("is not one of those that there are"),
    };
    let check_sum = violations.check("check_sum", check_sum);
    let (meter, check_sum) = violations.finish(meter.zip(check_sum))?;
    Ok((request.telegram, Sender { meter, check_sum, ..Sender::caller(tenant) }))
}

pub(super) fn answer(taken: &Taken) -> IngestTelegramResponse {
    let outcome = if taken.stored { Outcome::Stored } else { Outcome::Unchanged };
    IngestTelegramResponse {
        outcome: outcome.into(),
        meter: taken.meter.resource_name(),
        capture_time: Some(to_timestamp(taken.time)),
        time_basis: time_basis(taken.time_basis).into(),
        sub_meters: taken.sub_meters.iter().map(MeterId::resource_name).collect(),
    }
}

pub(super) fn status(refused: &Refused) -> Status {
    let meter = match refused {
        Refused::OtherMeter(meter) | Refused::Plaintext(meter) | Refused::Replay(meter) => Some(meter),
        Refused::Security { meter, .. } => Some(meter),
        _ => None,
    };
    let code = match refused {
        Refused::Store(error) => return status::store(error, None),
        Refused::Registry(_) => Code::Internal,
        Refused::UnknownEquipment(_) | Refused::UnknownTitle(_) => Code::NotFound,
        Refused::Ambiguous(_) => Code::FailedPrecondition,
        _ if meter.is_some() => Code::FailedPrecondition,
        _ => return status::invalid(vec![FieldViolation::new("telegram", refused.to_string())]),
    };
    status::telegram(code, refused.reason(), &refused.to_string(), meter)
}
