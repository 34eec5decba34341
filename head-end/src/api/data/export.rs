//! ExportReadings: captures of one meter after the other through an encoder.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

use dlms::obis::ObisCode;
use dlms_proto::v1::{ExportReadingsRequest, ExportReadingsResponse, export_readings_request as ask};
use tonic::Status;

use super::Walk;
use crate::{
    api::{
        capture::CHUNK,
        parse::{self, Violations},
        status,
    },
    export::{Encoder, ExportError, Format, Page},
    head_end::HeadEnd,
    meter::MeterId,
    operation::MeterAccess,
    store::{CaptureQuery, Store},
};

/// Octets in one message, at most.
const PIECE: usize = 64 * 1024;
/// Meters in one file, at most.
const METERS: usize = 1_000;

pub(super) struct Asked {
    pub(super) meters: VecDeque<MeterId>,
    pub(super) format: Format,
    /// With any meter; each takes its turn.
    query: CaptureQuery,
}

pub(super) fn parse(request: &ExportReadingsRequest) -> Result<Asked, Status> {
    let mut violations = Violations::default();
    parse::count(&mut violations, "meters", request.meters.len(), METERS);
    let meters: Option<VecDeque<MeterId>> = request
        .meters
        .iter()
        .take(METERS)
        .enumerate()
        .map(|(n, meter)| violations.check(format!("meters[{n}]"), parse::meter_name(meter)))
        .collect();
    let filter = violations.capture_filter(&request.profile, request.registers_only);
    let (from, to) = violations.range(request.from.as_ref(), request.to.as_ref());
    let format = violations.check("format", format(request.format));
    let asked = (|| {
        let meters = meters?;
        let query = CaptureQuery {
            meter: meters.front()?.clone(),
            filter: filter?,
            from: from?,
            to: to?,
            all_revisions: request.all_revisions,
            after: None,
            limit: CHUNK,
        };
        Some(Asked { meters, format: format?, query })
    })();
    violations.finish(asked)
}

fn format(format: i32) -> Result<Format, &'static str> {
    match ask::Format::try_from(format) {
        Ok(ask::Format::Unspecified | ask::Format::Csv) => Ok(Format::Csv),
        #[cfg(feature = "parquet")]
        Ok(ask::Format::Parquet) => Ok(Format::Parquet),
        #[cfg(not(feature = "parquet"))]
        Ok(ask::Format::Parquet) => Err("this head-end was built without Parquet"),
        Ok(ask::Format::MeterReadingsXml) => Ok(Format::MeterReadingsXml),
        Ok(ask::Format::MeterReadingsJson) => Ok(Format::MeterReadingsJson),
        Err(_) => Err("is not a format"),
    }
}

/// The file, piece after piece.
pub(super) struct Export<S, A> {
    head_end: HeadEnd<S, A>,
    query: CaptureQuery,
    meters: VecDeque<MeterId>,
    /// The meter whose captures are being read, and how often its profiles capture.
    present: Option<(Walk<S, A>, HashMap<ObisCode, u32>)>,
    encoder: Option<Box<dyn Encoder>>,
    out: Vec<u8>,
    media_type: &'static str,
}

impl<S: Store, A: MeterAccess> Export<S, A> {
    pub(super) fn new(head_end: HeadEnd<S, A>, asked: Asked) -> Result<Self, Status> {
        let Asked { meters, format, query } = asked;
        let encoder = Some(format.encoder().map_err(|error| failed(&error))?);
        let media_type = format.media_type();
        Ok(Self { head_end, query, meters, present: None, encoder, out: Vec::new(), media_type })
    }

    /// The next piece; none at the end.
    pub(super) async fn piece(&mut self) -> Result<Option<ExportReadingsResponse>, Status> {
        while self.out.len() < PIECE && self.encoder.is_some() {
            self.advance().await?;
        }
        if self.out.is_empty() {
            return Ok(None);
        }
        let rest = self.out.split_off(self.out.len().min(PIECE));
        let octets = mem::replace(&mut self.out, rest);
        Ok(Some(ExportReadingsResponse { octets, media_type: mem::take(&mut self.media_type).to_owned() }))
    }

    /// Encodes a page, goes on to the next meter, or ends the file.
    async fn advance(&mut self) -> Result<(), Status> {
        let Some((walk, periods)) = &mut self.present else {
            return match self.meters.pop_front() {
                Some(meter) => self.begin(meter).await,
                None => {
                    self.encoder.take().map_or(Ok(()), |end| end.finish(&mut self.out)).map_err(|error| failed(&error))
                }
            };
        };
        let captures = walk.captures().await?;
        if captures.is_empty() {
            self.present = None;
            return Ok(());
        }
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        encoder.page(&Page { captures: &captures, periods }, &mut self.out).map_err(|error| failed(&error))
    }

    async fn begin(&mut self, meter: MeterId) -> Result<(), Status> {
        let model =
            self.head_end.discovered_objects(&meter).await.map_err(|error| status::operation(&error, &meter))?;
        let profiles = model.iter().flat_map(|model| &model.profiles);
        let periods = profiles.map(|layout| (layout.profile, layout.capture_period_s)).collect();
        let query = CaptureQuery { meter, ..self.query.clone() };
        self.present = Some((Walk::new(self.head_end.clone(), query, Vec::new(), u64::MAX), periods));
        Ok(())
    }
}

fn failed(error: &ExportError) -> Status {
    Status::internal(format!("the file could not be made: {error}"))
}
