//! ImportMeters: lines in, what became of them out, a bounded number of them at a time.

use std::{collections::VecDeque, sync::Arc};

use dlms_proto::v1::{
    self, ImportCounts, ImportError as Refused, ImportErrorReason as Reason, ImportMetersRequest, ImportMetersResponse,
    import_meters_request::Part,
};
use futures_util::{Stream, StreamExt, future::BoxFuture, stream, stream::FuturesUnordered};
use tonic::{Status, Streaming};
use zeroize::Zeroizing;

use crate::{
    api::{
        meter,
        parse::{self, Violations},
    },
    meter::{MeterId, Secret, SettingsError, Tenant},
    registry::{Change, ImportError, ImportOptions, Imported, Line, Lines, Naming, Registry, ShipmentReader},
    store::Store,
};

/// Meters that are written at the same time: enough that one synchronisation of the disk serves many.
const IN_FLIGHT: usize = 256;
/// Refused lines in one message.
const ERRORS: usize = 500;
/// Lines after which there is a message in any case.
const LINES: u64 = 1_000;
/// Octets of a chunk, at most.
const CHUNK: usize = 1024 * 1024;

/// What became of one line.
struct Ended {
    line: u64,
    meter: Option<MeterId>,
    result: Result<Imported, ImportError>,
}

/// An import on its way.
pub(super) struct Import<S> {
    registry: Arc<Registry<S>>,
    /// The caller's: all meters become theirs.
    tenant: Option<Tenant>,
    input: Streaming<ImportMetersRequest>,
    options: Arc<ImportOptions>,
    begun: bool,
    /// Cuts chunks, once there was one; records come without.
    shipment: Option<(Lines, ShipmentReader)>,
    records: u64,
    lines: VecDeque<Line>,
    writing: FuturesUnordered<BoxFuture<'static, Ended>>,
    counts: ImportCounts,
    errors: Vec<Refused>,
    /// Lines since the last message.
    fresh: u64,
    input_ended: bool,
    /// The last message was given.
    ended: bool,
}

impl<S: Store> Import<S> {
    pub(super) fn new(
        registry: Arc<Registry<S>>,
        tenant: Option<Tenant>,
        input: Streaming<ImportMetersRequest>,
    ) -> Self {
        let options = ImportOptions { tenant: tenant.clone(), ..ImportOptions::default() };
        Self {
            registry,
            tenant,
            input,
            options: Arc::new(options),
            begun: false,
            shipment: None,
            records: 0,
            lines: VecDeque::new(),
            writing: FuturesUnordered::new(),
            counts: ImportCounts::default(),
            errors: Vec::new(),
            fresh: 0,
            input_ended: false,
            ended: false,
        }
    }

    pub(super) fn run(self) -> impl Stream<Item = Result<ImportMetersResponse, Status>> + Send {
        stream::try_unfold(self, async |mut import| {
            let message = import.next().await?;
            Ok(message.map(|message| (message, import)))
        })
    }

    /// The next message; `None` behind the last one.
    async fn next(&mut self) -> Result<Option<ImportMetersResponse>, Status> {
        while !self.ended {
            while self.writing.len() < IN_FLIGHT
                && self.errors.len() < ERRORS
                && let Some(line) = self.lines.pop_front()
            {
                self.take(&line)?;
            }
            if self.errors.len() >= ERRORS || self.fresh >= LINES {
                return Ok(Some(self.message()));
            }
            if self.lines.is_empty() && self.writing.len() < IN_FLIGHT && !self.input_ended {
                tokio::select! {
                    biased;
                    Some(ended) = self.writing.next(), if !self.writing.is_empty() => self.count(ended),
                    message = self.input.message() => self.receive(message?)?,
                }
            } else if let Some(ended) = self.writing.next().await {
                self.count(ended);
            } else if self.lines.is_empty() {
                self.ended = true;
                return Ok(Some(self.message()));
            }
        }
        Ok(None)
    }

    fn message(&mut self) -> ImportMetersResponse {
        self.fresh = 0;
        ImportMetersResponse { errors: std::mem::take(&mut self.errors), counts: Some(self.counts), done: self.ended }
    }

    /// Takes a message of the caller, or their end.
    fn receive(&mut self, message: Option<ImportMetersRequest>) -> Result<(), Status> {
        let Some(message) = message else {
            self.input_ended = true;
            self.lines.extend(self.shipment.as_mut().and_then(|(lines, _)| lines.finish()));
            return Ok(());
        };
        let first = !std::mem::replace(&mut self.begun, true);
        match message.part {
            None => Err(wrong("part", "one of options, chunk and record is required")),
            Some(Part::Options(options)) if first => {
                let mut options = options_of(options)?;
                if let Some(own) = &self.tenant {
                    if options.tenant.as_ref().is_some_and(|tenant| tenant != own) {
                        return Err(wrong("options.tenant", "is your own"));
                    }
                    options.tenant = Some(own.clone());
                }
                self.options = Arc::new(options);
                Ok(())
            }
            Some(Part::Options(_)) => Err(wrong("options", "come in the first message only")),
            Some(Part::Chunk(_)) if self.records > 0 => Err(wrong("chunk", "is not possible together with records")),
            Some(Part::Chunk(chunk)) if chunk.len() > CHUNK => Err(wrong("chunk", "at most 1 MiB")),
            Some(Part::Chunk(chunk)) => {
                let chunk = Zeroizing::new(chunk);
                let (lines, _) = self.shipment.get_or_insert_default();
                self.lines.extend(lines.feed(&chunk));
                Ok(())
            }
            Some(Part::Record(_)) if self.shipment.is_some() => {
                Err(wrong("record", "is not possible together with chunks"))
            }
            Some(Part::Record(record)) => {
                self.records += 1;
                self.take_record(self.records, &record);
                Ok(())
            }
        }
    }

    /// Takes a line of a shipment.
    fn take(&mut self, line: &Line) -> Result<(), Status> {
        let Some((_, reader)) = &mut self.shipment else { return Ok(()) };
        match reader.read(line, &self.options) {
            Ok(None) => Ok(()),
            Ok(Some((meter, change))) => {
                self.write(line.number, meter, change);
                Ok(())
            }
            // Without its first line, the others mean nothing.
            Err(error) if !reader.is_usable() => Err(wrong("chunk", format!("line {}: {error}", line.number))),
            Err(error) => {
                self.count(Ended { line: line.number, meter: None, result: Err(error.into()) });
                Ok(())
            }
        }
    }

    fn take_record(&mut self, line: u64, record: &v1::Meter) {
        let meter = parse::meter_name(&record.name);
        let change = meter::change(record);
        if let (Some(own), Ok(meter), Ok(change)) = (&self.tenant, &meter, &change)
            && change.settings.tenant.as_ref().is_some_and(|tenant| tenant != own)
        {
            let result = Err(ImportError::OtherTenant(meter.clone()));
            return self.count(Ended { line, meter: Some(meter.clone()), result });
        }
        match (meter, change) {
            (Ok(meter), Ok(change)) => self.write(line, meter, change),
            (meter, change) => {
                let name = meter.as_ref().err().map(|problem| ("name".to_owned(), problem.clone()));
                let others = change.err().into_iter().flatten().map(|wrong| (wrong.field, wrong.description));
                let problem = |(field, problem): (String, String)| SettingsError { field: field.into(), problem };
                let problems = name.into_iter().chain(others).map(problem).collect();
                self.count(Ended { line, meter: meter.ok(), result: Err(ImportError::Invalid(problems)) });
            }
        }
    }

    fn write(&mut self, line: u64, meter: MeterId, change: Change) {
        let (registry, options) = (Arc::clone(&self.registry), Arc::clone(&self.options));
        self.writing.push(Box::pin(async move {
            let result = registry.import(meter.clone(), change, &options).await;
            Ended { line, meter: Some(meter), result }
        }));
    }

    fn count(&mut self, ended: Ended) {
        self.fresh += 1;
        self.counts.lines += 1;
        let error = match ended.result {
            Ok(Imported::Created) => return self.counts.created += 1,
            Ok(Imported::Updated) => return self.counts.updated += 1,
            Ok(Imported::Unchanged) => return self.counts.unchanged += 1,
            Err(error) => error,
        };
        self.counts.refused += 1;
        let meter = ended.meter.as_ref().map(MeterId::resource_name).unwrap_or_default();
        let refused = |field: &str, problem: String, reason: Reason| Refused {
            line: ended.line,
            meter: meter.clone(),
            field: field.to_owned(),
            problem,
            reason: reason.into(),
        };
        match error {
            // A line has one number, and as many mistakes as it has; the first names the field.
            ImportError::Invalid(problems) => {
                let field = problems.first().map(|wrong| wrong.field.to_string()).unwrap_or_default();
                let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                self.errors.push(refused(&field, text, Reason::Invalid));
            }
            ImportError::Shipment(error) => {
                let field = if error.field == "line" { "" } else { &*error.field };
                self.errors.push(refused(field, error.problem.clone(), Reason::Record));
            }
            ImportError::Differs { ref fields, .. } => {
                let field = fields.first().copied().unwrap_or_default();
                self.errors.push(refused(field, error.to_string(), Reason::Differs));
            }
            ImportError::OtherKeys(_) => self.errors.push(refused("keys", error.to_string(), Reason::OtherKeys)),
            ImportError::OtherTenant(_) => self.errors.push(refused("tenant", error.to_string(), Reason::OtherTenant)),
            ImportError::Registry(_) => self.errors.push(refused("", error.to_string(), Reason::Store)),
        }
    }
}

fn wrong(field: &str, problem: impl Into<String>) -> Status {
    let mut violations = Violations::default();
    violations.add(field, problem);
    violations.finish::<()>(None).err().unwrap_or_else(|| Status::invalid_argument(field))
}

fn options_of(of: v1::ImportOptions) -> Result<ImportOptions, Status> {
    let mut violations = Violations::default();
    let tenant = match of.tenant.as_str() {
        "" => Some(None),
        name => violations.check("options.tenant", name.parse()).map(Some),
    };
    let naming = match v1::ImportNaming::try_from(of.naming) {
        Ok(v1::ImportNaming::Unspecified | v1::ImportNaming::SerialNumber) => Some(Naming::SerialNumber),
        Ok(v1::ImportNaming::LogicalDeviceName) => Some(Naming::LogicalDeviceName),
        Ok(v1::ImportNaming::SystemTitle) => Some(Naming::SystemTitle),
        Err(_) => {
            violations.add("options.naming", "is no naming");
            None
        }
    };
    if !matches!(of.transport_key.len(), 0 | 16 | 32) {
        violations.add("options.transport_key", "16 or 32 octets");
    }
    let (tenant, naming) = violations.finish(tenant.zip(naming))?;
    Ok(ImportOptions {
        dry_run: of.dry_run,
        tenant,
        labels: of.labels,
        client: of.client,
        link: of.link,
        naming,
        transport_key: (!of.transport_key.is_empty()).then(|| Secret::new(of.transport_key)),
        update: of.update_existing,
    })
}
