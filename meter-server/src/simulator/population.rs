//! Who the meters of a fleet are: everything about a meter follows from its number.
//!
//! So a fleet of a hundred thousand starts by remembering its groups; a meter is made when somebody first speaks to it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dlms::id::{ServerSap, SystemTitle};

use super::config::{Group, KeySource};
use super::consumption::Noise;
use super::defect::{Defect, DefectKind};
use super::fault::Fault;
use super::fleet::FleetError;
use super::keys::Keys;
use super::meter::security::Security;
use super::meter::{Meter, MeterIdentity};
use super::model::Model;
use super::timeline::Timeline;
use crate::moment::Moment;

/// Streams of a group's noise.
const SEEDS: u64 = 2_000;
const FAULTS: u64 = 1_000;
const FAULTY: u64 = 3_000;
const DEFECTS: u64 = 4_000;

/// Meters of one kind, numbered one after the other.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) numbers: Range<u32>,
    pub(crate) name: String,
    pub(crate) model: Arc<Model>,
    noise: Noise,
    keys: KeySource,
    /// System title of meter 0 of the fleet, or of the group's first one, and that one's number.
    title: (SystemTitle, u32),
    faults: Arc<[Fault]>,
    fault_share: f64,
    defects: Vec<Defect>,
}

/// All meters of a fleet.
#[derive(Debug)]
pub(crate) struct Population {
    /// In the order of their numbers, without gaps.
    groups: Vec<Members>,
    timeline: Timeline,
    /// How far the simulated time was moved forward by hand.
    ahead_ms: AtomicI64,
    /// The operating system's time at the start.
    wall: Moment,
    state: Option<PathBuf>,
    /// Where meters push to whose push setup names no destination.
    push_to: Option<Arc<str>>,
}

impl Population {
    /// The meters of these groups, numbered through from 0.
    pub(crate) fn new(groups: Vec<Group>, timeline: Timeline, wall: Moment, state: Option<PathBuf>) -> Self {
        let mut next: u32 = 0;
        let members = |group: Group| {
            let first = next;
            next = next.saturating_add(group.meters);
            let title = match group.system_title {
                Some(title) => (title, first),
                None => (model_title(&group.model), 0),
            };
            Members {
                numbers: first..next,
                name: group.name,
                model: group.model,
                noise: Noise::new(group.seed),
                keys: group.keys,
                title,
                faults: group.faults.into(),
                fault_share: group.fault_share,
                defects: group.defects,
            }
        };
        Self {
            groups: groups.into_iter().map(members).collect(),
            timeline,
            ahead_ms: AtomicI64::new(0),
            wall,
            state,
            push_to: None,
        }
    }

    /// The same, pushing to `host:port` where a push setup names no destination.
    pub(crate) fn pushing_to(self, push_to: Option<String>) -> Self {
        Self { push_to: push_to.map(Arc::from), ..self }
    }

    /// How many meters there are.
    pub(crate) fn len(&self) -> u32 {
        self.groups.last().map_or(0, |group| group.numbers.end)
    }

    /// The simulated moment.
    pub(crate) fn now(&self) -> Moment {
        self.timeline.now().plus_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Makes this moment now, if it lies ahead.
    pub(crate) fn jump(&self, moment: Moment) {
        let left_ms = moment.as_millis().saturating_sub(self.now().as_millis());
        self.ahead_ms.fetch_add(left_ms.max(0), Ordering::Relaxed);
    }

    /// The simulated time.
    pub(crate) const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Whether meters remember something across restarts.
    pub(crate) const fn keeps_state(&self) -> bool {
        self.state.is_some()
    }

    /// The folder in which they remember it.
    pub(crate) fn state_folder(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// The groups with meters among these numbers.
    pub(crate) fn groups(&self, numbers: Range<u32>) -> impl Iterator<Item = &Members> {
        self.groups.iter().filter(move |group| group.numbers.start < numbers.end && numbers.start < group.numbers.end)
    }

    /// The group of a meter.
    pub(crate) fn group(&self, number: u32) -> Option<&Members> {
        let at = self.groups.partition_point(|group| group.numbers.end <= number);
        self.groups.get(at)
    }

    /// Who a meter is.
    pub(crate) fn identity(&self, number: u32, server: ServerSap) -> Option<MeterIdentity> {
        Some(self.group(number)?.identity(number, server))
    }

    /// What goes wrong on the lines of a meter, if nobody has said otherwise.
    pub(crate) fn faults(&self, number: u32) -> Arc<[Fault]> {
        let Some(group) = self.group(number) else { return Arc::default() };
        let faulty = group.noise.stream(FAULTY).unit(i64::from(number)) < group.fault_share;
        if faulty { Arc::clone(&group.faults) } else { Arc::default() }
    }

    /// What the faults of a device draw from, whose first meter this is.
    pub(crate) fn fault_noise(&self, number: u32) -> Noise {
        let noise = self.group(number).map_or(Noise::new(0), |group| group.noise);
        noise.stream(u64::from(number)).stream(FAULTS)
    }

    /// What is wrong with a meter from the start.
    pub(crate) fn defects(&self, number: u32) -> impl Iterator<Item = DefectKind> {
        let defects = self.group(number).map_or(&[][..], |group| &group.defects);
        let picked = move |(which, defect): &(u64, &Defect)| self.is_picked(number, *which, defect.share);
        (0..).zip(defects).filter(picked).map(|(_, defect)| defect.kind)
    }

    /// Whether a meter is among a share of all for the purpose `which`. The same meters are picked each time.
    pub(crate) fn is_picked(&self, number: u32, which: u64, share: f64) -> bool {
        let noise = self.group(number).map_or(Noise::new(0), |group| group.noise);
        noise.stream(DEFECTS).stream(which).unit(i64::from(number)) < share
    }

    /// Makes a meter.
    pub(crate) fn meter(
        &self,
        number: u32,
        server: ServerSap,
        neighbours: &Arc<[(ServerSap, String)]>,
    ) -> Result<Meter, FleetError> {
        let limit = self.len();
        let group = self.group(number).ok_or(FleetError::Meters { count: number, limit })?;
        let identity = group.identity(number, server);
        let keys = group.keys(identity.system_title);
        let security = Security::open(keys, &group.model, self.state.as_deref(), &identity, self.wall);
        let security = security
            .map_err(|error| FleetError::State { serial: identity.serial.clone(), reason: error.to_string() })?;
        let seed = group.noise.stream(SEEDS).bits(i64::from(number));
        let model = Arc::clone(&group.model);
        let start = self.timeline.start();
        let mut meter = Meter::new(model, identity, Arc::clone(neighbours), seed, start, security);
        meter.open_mbus(self.state.as_deref()).map_err(|error| FleetError::State {
            serial: meter.identity().serial.clone(),
            reason: error.to_string(),
        })?;
        for kind in self.defects(number) {
            meter.suffer(kind, start);
        }
        if let Some(folder) = &self.state {
            let serial = meter.identity().serial.clone();
            meter.remember_in(folder).map_err(|error| FleetError::State { serial, reason: error.to_string() })?;
        }
        meter.commission(self.push_to.clone(), start);
        Ok(meter)
    }
}

impl Members {
    /// The keys with which the meter with this title begins.
    pub(crate) fn keys(&self, title: SystemTitle) -> Arc<Keys> {
        self.keys.of_meter(self.model.suite, title)
    }

    /// The first and the last system title.
    pub(crate) fn titles(&self) -> (SystemTitle, SystemTitle) {
        let (first, counted_from) = self.title;
        let at = |number: u32| counted_up(first, number.saturating_sub(counted_from));
        (at(self.numbers.start), at(self.numbers.end.saturating_sub(1)))
    }

    fn identity(&self, number: u32, server: ServerSap) -> MeterIdentity {
        let model = &self.model;
        let serial = model.first_serial.saturating_add(u64::from(number));
        let (first, counted_from) = self.title;
        MeterIdentity {
            server,
            serial: format!("{serial:08}"),
            // Sixteen octets are the most that a logical device name may have (Blue Book).
            logical_device_name: format!("{}{}{:010}", model.manufacturer, model.device_type, serial % 10_000_000_000),
            system_title: counted_up(first, number.saturating_sub(counted_from)),
        }
    }
}

/// Manufacturer and serial number of a model's first meter.
fn model_title(model: &Model) -> SystemTitle {
    let mut title = [0; 8];
    let [_, _, _, tail @ ..] = model.first_serial.to_be_bytes();
    title.iter_mut().zip(model.manufacturer.bytes().take(3)).for_each(|(to, from)| *to = from);
    title[3..].copy_from_slice(&tail);
    SystemTitle(title)
}

/// The title `number` after `first`: the manufacturer stays, the other five octets count.
fn counted_up(first: SystemTitle, number: u32) -> SystemTitle {
    let [a, b, c, tail @ ..] = first.0;
    let mut wide = [0; 8];
    wide[3..].copy_from_slice(&tail);
    let [_, _, _, tail @ ..] = u64::from_be_bytes(wide).wrapping_add(u64::from(number)).to_be_bytes();
    let [d, e, f, g, h] = tail;
    SystemTitle([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::config::FleetConfig;

    fn population(groups: Vec<Group>) -> Population {
        Population::new(groups, Timeline::real(), Moment::default(), None)
    }

    #[test]
    fn system_titles_count_up() {
        let first = SystemTitle(*b"SIM\0\0\0\0\xFF");
        assert_eq!(counted_up(first, 1), SystemTitle(*b"SIM\0\0\0\x01\0"));
    }

    #[test]
    fn meters_of_a_fleet_are_all_different() {
        let group = |meters| FleetConfig { meters, ..FleetConfig::default() }.group();
        let population = population(vec![group(2), group(3)]);
        assert_eq!(population.len(), 5);
        let of = |number| population.identity(number, ServerSap(1)).unwrap();
        assert_eq!(of(0).logical_device_name, "SIM3PH0010000001");
        assert_eq!(of(2).serial, "10000003");
        assert_eq!(of(1).system_title, SystemTitle([b'S', b'I', b'M', 0, 0, 0x98, 0x96, 0x82]));
        assert_eq!(of(4).system_title, SystemTitle([b'S', b'I', b'M', 0, 0, 0x98, 0x96, 0x85]));
        assert_eq!(population.identity(5, ServerSap(1)), None);
        assert_eq!(population.groups(1..3).count(), 2);
        assert_eq!(population.groups(2..3).count(), 1);
    }

    #[test]
    fn a_share_of_the_meters_is_faulty_and_always_the_same_ones() {
        let faults = vec!["close:1".parse().unwrap()];
        let group =
            Group { faults, fault_share: 0.1, ..FleetConfig { meters: 5_000, ..FleetConfig::default() }.group() };
        let population = population(vec![group]);
        let faulty = || (0..5_000).filter(|number| !population.faults(*number).is_empty()).collect::<Vec<_>>();
        assert!((400..600).contains(&faulty().len()), "{}", faulty().len());
        assert_eq!(faulty(), faulty());
    }
}
