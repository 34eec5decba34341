//! A meter taken into service: who it is, before keys are used; then all that it needs to be operated.

use dlms::{axdr::Value, id::SystemTitle, obis::ObisCode};
use futures_util::future::BoxFuture;

use super::{DEVICE_NAME, Steps, Stop, strange, text};
use crate::{
    jobs::{
        Procedure, Report, Resolution, StepKind, StepResult, Visit,
        procedures::{Configure, RotateKeys, SynchronizeClock, attributes, get, unexpected},
    },
    meter::{Mechanism, MeterSettings},
    operation::{
        Identity, Layer, ObjectModel, Operation, Outcome, RegisterRef, RequestError, RequestErrorKind as Kind,
    },
};

/// Total active energy that was imported: what nearly every meter has.
const ACTIVE_IMPORT: ObisCode = ObisCode([1, 0, 1, 8, 0, 255]);

/// Takes a meter into service.
#[derive(Debug)]
pub struct Commission {
    /// Whether keys may be used with a meter that nothing is known of.
    pub trust_unidentified: bool,
    /// Whether the meter has no public client to ask who it is.
    pub without_public_client: bool,
    /// Keys to renew first.
    pub rotate: Option<RotateKeys>,
    /// How its clock is set.
    pub clock: Option<SynchronizeClock>,
    /// How its push setup is to be.
    pub push: Option<Configure>,
    /// How else it is to be.
    pub template: Option<Configure>,
    /// What is read first; where it is empty, what nearly every meter has.
    pub registers: Vec<RegisterRef>,
}

/// The parts that change the meter, in this order; the note of a task begins with the number of the one under way.
const PARTS: [StepKind; 4] =
    [StepKind::RotateKeys, StepKind::SetClock, StepKind::ConfigurePush, StepKind::ApplyTemplate];

/// What was found out of who the meter is.
#[derive(Default)]
struct Known {
    title: Option<SystemTitle>,
    name: Option<String>,
}

fn wrong(what: &str, found: &str, registered: &str) -> RequestError {
    let message = format!("another meter answers: its {what} is {found}, and {registered} is registered");
    RequestError::new(Kind::SecurityFailed, Layer::Security, message)
}

impl Known {
    /// Compares with what is registered. Whether anything that is registered was told, and is the same.
    fn compare(&self, settings: &MeterSettings) -> Result<bool, RequestError> {
        let mut same = false;
        if let (Some(found), Some(registered)) = (self.title, settings.system_title) {
            if found != registered {
                return Err(wrong("system title", &found.to_string(), &registered.to_string()));
            }
            same = true;
        }
        let registered = &settings.logical_device_name;
        if let Some(found) = self.name.as_ref().filter(|_| !registered.is_empty()) {
            if found != registered {
                return Err(wrong("logical device name", found, registered));
            }
            same = true;
        }
        Ok(same)
    }

    fn shown(&self) -> String {
        let title = self.title.map(|title| format!("system title {title}"));
        let name = self.name.as_ref().map(|name| format!("logical device name {name}"));
        [title, name].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Commission {
    fn part(&self, number: usize) -> Option<&dyn Procedure> {
        match PARTS.get(number)? {
            StepKind::RotateKeys => self.rotate.as_ref().map(|part| part as &dyn Procedure),
            StepKind::SetClock => self.clock.as_ref().map(|part| part as &dyn Procedure),
            StepKind::ConfigurePush => self.push.as_ref().map(|part| part as &dyn Procedure),
            _ => self.template.as_ref().map(|part| part as &dyn Procedure),
        }
    }

    /// Asks who is there before anything that only the right meter may have is used.
    async fn identify(&self, steps: &mut Steps<'_>, settings: &MeterSettings) -> Result<(), Stop> {
        let kind = StepKind::Identify;
        let identity = if self.without_public_client {
            Identity::default()
        } else {
            match steps.read(kind, steps.visit.read(Operation::Identify).await)? {
                Outcome::Identity(identity) => identity,
                other => return Err(steps.failed(kind, strange(&other))),
            }
        };
        let name = identity.logical_device_name.as_deref().map(text);
        let known = Known { title: identity.system_title, name };
        let same = steps.read(kind, known.compare(settings))?;
        let (has_keys, ciphered) =
            (settings.security.is_some() || settings.mechanism != Mechanism::None, settings.security.is_some());
        // An association that is ciphered compares the title itself, before it answers the meter's challenge. A password
        // would be in the hands of whoever answers by then.
        let later = ciphered && settings.mechanism != Mechanism::Lls && settings.system_title.is_some();
        if !has_keys || same {
            steps.done(kind, known.shown());
        } else if later {
            let told = "the meter tells nobody its system title: the association compares it";
            let told = if self.without_public_client { "not asked: the association compares it" } else { told };
            steps.note(kind, StepResult::Skipped, told);
        } else if self.trust_unidentified {
            steps.note(kind, StepResult::Skipped, "trusted without proof");
        } else {
            let told = match known.shown() {
                nothing if nothing.is_empty() => "nothing".to_owned(),
                shown => shown,
            };
            let message = format!(
                "no keys are used with a meter that nothing is known of: register its system title or logical device \
                 name; it tells {told}"
            );
            return Err(steps.failed(kind, RequestError::new(Kind::InvalidRequest, Layer::HeadEnd, message)));
        }
        Ok(())
    }

    /// Opens the association that is registered. What it shows is proved where it is authenticated.
    async fn associate(&self, steps: &mut Steps<'_>, settings: &MeterSettings) -> Result<Known, Stop> {
        let kind = StepKind::Associate;
        let pong = match steps.read(kind, steps.visit.read(Operation::Ping).await)? {
            Outcome::Pong(pong) => pong,
            other => return Err(steps.failed(kind, strange(&other))),
        };
        let (class, obis) = DEVICE_NAME;
        let read = steps.visit.read(get(class, obis, &[2])).await.and_then(attributes);
        let name = match steps.read(kind, read)?.into_iter().next() {
            Some(Ok(read)) => match &read.value {
                Value::OctetString(octets) | Value::VisibleString(octets) => Some(text(octets)),
                _ => None,
            },
            // Some clients may not see it.
            Some(Err(error)) if error.kind() == Kind::MeterRefused => None,
            Some(Err(error)) => return steps.read(kind, Err(error)),
            None => None,
        };
        let known = Known { title: pong.server_title, name };
        steps.read(kind, known.compare(settings))?;
        steps.done(kind, known.shown());
        Ok(known)
    }

    /// Does the parts that change the meter, but for those that an attempt before has done.
    async fn change(&self, steps: &mut Steps<'_>, from: usize, parts: &[usize]) -> Result<(), Stop> {
        for number in parts {
            let (Some(kind), Some(part)) = (PARTS.get(*number).copied(), self.part(*number)) else { continue };
            if *number < from {
                steps.note(kind, StepResult::DoneBefore, "");
                continue;
            }
            let report = steps.act(kind, steps.visit.part(note(*number), part).await)?;
            if let Some((error, _)) = report.failure() {
                return steps.act(kind, Err(error.clone()));
            }
            steps.visit.save(vec![note(number + 1)]).await.map_err(Stop::Later)?;
            steps.done(kind, detail(&report));
        }
        Ok(())
    }

    async fn discover(&self, steps: &mut Steps<'_>) -> Result<std::sync::Arc<ObjectModel>, Stop> {
        let kind = StepKind::DiscoverObjects;
        match steps.read(kind, steps.visit.read(Operation::DiscoverObjects).await)? {
            Outcome::Objects(model) => {
                steps.done(kind, format!("{} objects, {} profiles", model.objects.len(), model.profiles.len()));
                Ok(model)
            }
            other => Err(steps.failed(kind, strange(&other))),
        }
    }

    async fn steps(&self, steps: &mut Steps<'_>) -> Result<(), Stop> {
        let registered = steps.visit.registered();
        let settings = registered.settings().await.map_err(Stop::Later)?;
        steps.report.status = settings.lifecycle.status;
        let now = steps.visit.now();
        let may_be = settings.lifecycle.commissioned(now).map(drop);
        steps.read(StepKind::ChangeStatus, may_be.map_err(|error| invalid(error.to_string())))?;
        let from = steps.visit.checkpoint().and_then(|note| note.first()).map_or(0, |number| usize::from(*number));
        self.identify(steps, &settings).await?;
        let known = self.associate(steps, &settings).await?;
        // Keys that came with the shipment are used as little as possible.
        self.change(steps, from, &[0]).await?;
        let model = self.discover(steps).await?;
        self.change(steps, from, &[1, 2, 3]).await?;
        let registers = match &self.registers[..] {
            [] if model.find(ACTIVE_IMPORT).is_some() => vec![RegisterRef { obis: ACTIVE_IMPORT, class: None }],
            asked => asked.to_vec(),
        };
        steps.registers(&registers).await?;
        // What an association without a tag shows, anybody could have said.
        let proved = settings.security.is_some_and(|security| security.policy.authenticated);
        let (title, name) = (known.title.filter(|_| proved), known.name.filter(|_| proved));
        let kept = [
            title.filter(|_| settings.system_title.is_none()).map(|_| "system title kept"),
            name.as_ref().filter(|_| settings.logical_device_name.is_empty()).map(|_| "logical device name kept"),
        ];
        let amended = registered.amend(Box::new(move |settings| {
            if let Ok(life) = settings.lifecycle.commissioned(now) {
                settings.lifecycle = life;
                settings.system_title = settings.system_title.or(title);
                if let Some(name) = name.as_ref().filter(|_| settings.logical_device_name.is_empty()) {
                    settings.logical_device_name.clone_from(name);
                }
            }
        }));
        let settings = steps.read(StepKind::ChangeStatus, amended.await)?;
        steps.report.status = settings.lifecycle.status;
        // Somebody may have taken it out of service meanwhile.
        let is_so = settings.lifecycle.commissioned(now).map(drop);
        steps.read(StepKind::ChangeStatus, is_so.map_err(|error| invalid(error.to_string())))?;
        steps.done(StepKind::ChangeStatus, kept.into_iter().flatten().collect::<Vec<_>>().join(", "));
        Ok(())
    }
}

/// The number of a part in the note of a task.
fn note(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn invalid(message: String) -> RequestError {
    RequestError::new(Kind::InvalidRequest, Layer::HeadEnd, message)
}

/// What a part gave, in a few words.
fn detail(report: &Report) -> String {
    match report {
        Report::Clock(clock) => format!("{:+.1} s off", clock.after_ms as f64 / 1_000.0),
        Report::Keys(keys) => keys.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", "),
        Report::Changed { after } => format!("{} attributes as they should be", after.len()),
        _ => String::new(),
    }
}

impl Procedure for Commission {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move {
            let mut steps = Steps::new(visit);
            let ended = self.steps(&mut steps).await;
            steps.end(ended)
        })
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async move {
            let number = visit.checkpoint().and_then(|note| note.first()).copied();
            let number = number.ok_or_else(|| unexpected("the note of the task has no part"))?;
            let part = self.part(usize::from(number)).ok_or_else(|| unexpected("there is no such part"))?;
            Ok(match visit.resolve_part(number, part).await? {
                Resolution::Done(_) => {
                    visit.save(vec![number.saturating_add(1)]).await?;
                    // The rest is still to be done.
                    Resolution::NotDone
                }
                other => other,
            })
        })
    }
}
