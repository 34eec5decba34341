//! Fleets of several kinds of meters, as a file describes them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dlms::id::SystemTitle;
use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use super::config::{Addressing, DialConfig, FleetConfig, Group, KeySource, SerialConfig, SiteConfig};
use super::defect::Defect;
use super::fault::Fault;
use super::keys::Keys;
use super::model::Model;

/// What is wrong with a fleet file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FleetFileError {
    /// It is not as the format demands.
    #[error("{0}")]
    Form(#[from] toml::de::Error),
    /// A group makes no sense.
    #[error("line {line}: group {group}: {reason}")]
    Group {
        /// Where the group begins, from 1.
        line: usize,
        /// Its name.
        group: String,
        /// What is wrong.
        reason: String,
    },
    /// No group has a share, and the groups have not as many meters as were asked for.
    #[error("the groups have {counted} meters instead of {meters}, and none has a share of the rest")]
    Count {
        /// What the groups say.
        counted: u32,
        /// What was asked for.
        meters: u32,
    },
    /// There is no group.
    #[error("there is no [[group]]")]
    Empty,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FleetFile {
    /// Meters of all groups together.
    meters: Option<u32>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    addressing: AddressingName,
    /// Rate of the line behind a gateway or concentrator.
    line_baud: Option<u32>,
    tcp: Option<SocketAddr>,
    hdlc_tcp: Option<SocketAddr>,
    udp: Option<SocketAddr>,
    #[serde(default)]
    serial: Vec<SerialFile>,
    dial: Option<DialFile>,
    #[serde(rename = "group", default)]
    groups: Vec<Spanned<GroupFile>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AddressingName {
    #[default]
    Ports,
    Addresses,
    LogicalDevices,
    Gateway,
    Concentrator,
}

impl AddressingName {
    fn with(self, line_baud: Option<u32>) -> Addressing {
        let baud = line_baud.unwrap_or(Addressing::LINE_BAUD);
        match self {
            Self::Ports => Addressing::Ports,
            Self::Addresses => Addressing::Addresses,
            Self::LogicalDevices => Addressing::LogicalDevices,
            Self::Gateway => Addressing::Gateway { baud },
            Self::Concentrator => Addressing::Concentrator { baud },
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DialFile {
    to: SocketAddr,
    from: Option<IpAddr>,
    connections: Option<usize>,
    attempts: Option<usize>,
    spread_seconds: Option<u32>,
    #[serde(default)]
    banner: bool,
}

/// A serial port: the first is the first meter's, and so on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SerialFile {
    path: PathBuf,
    baud: Option<u32>,
    #[serde(default)]
    mode_e: bool,
}

impl From<SerialFile> for SerialConfig {
    fn from(file: SerialFile) -> Self {
        Self { path: file.path, baud: file.baud.unwrap_or(Self::DEFAULT_BAUD), mode_e: file.mode_e }
    }
}

fn serial(files: Vec<SerialFile>) -> Vec<SerialConfig> {
    files.into_iter().map(SerialConfig::from).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GroupFile {
    name: String,
    /// Name of a built-in model, or a file.
    model: String,
    /// How many.
    count: Option<u32>,
    /// Part of the meters that no group counts, in proportion to the shares of others.
    share: Option<f64>,
    seed: Option<u64>,
    #[serde(default)]
    keys: KeysName,
    system_title: Option<String>,
    #[serde(default)]
    faults: Vec<String>,
    fault_share: Option<f64>,
    /// As on the command line.
    #[serde(default)]
    defects: Vec<String>,
    /// Ways of its own; those of the fleet unless one is given.
    addressing: Option<AddressingName>,
    line_baud: Option<u32>,
    tcp: Option<SocketAddr>,
    hdlc_tcp: Option<SocketAddr>,
    udp: Option<SocketAddr>,
    #[serde(default)]
    serial: Vec<SerialFile>,
    dial: Option<DialFile>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeysName {
    /// As the fleet is told.
    #[default]
    OfTheFleet,
    Demonstration,
}

impl From<DialFile> for DialConfig {
    fn from(file: DialFile) -> Self {
        let mut dial = Self::new(file.to);
        dial.from = file.from;
        dial.banner = file.banner;
        dial.connections = file.connections.unwrap_or(dial.connections);
        dial.attempts = file.attempts.unwrap_or(dial.attempts);
        dial.spread = file.spread_seconds.map_or(dial.spread, |seconds| Duration::from_secs(seconds.into()));
        dial
    }
}

/// Reads a fleet file: what concerns the whole fleet goes into `config`, and its groups are returned. `meters` are instead
/// of the number that the file says. `keys` are those of groups that say nothing else, and `model` finds a model by its
/// name or file.
///
/// # Errors
/// What is wrong, and where.
pub fn read_fleet_file(
    text: &str,
    config: &mut FleetConfig,
    meters: Option<u32>,
    keys: &KeySource,
    mut model: impl FnMut(&str) -> Result<Model, String>,
) -> Result<Vec<Group>, FleetFileError> {
    let file: FleetFile = toml::from_str(text)?;
    if file.groups.is_empty() {
        return Err(FleetFileError::Empty);
    }
    config.seed = file.seed.unwrap_or(config.seed);
    let given = SiteConfig {
        addressing: file.addressing.with(file.line_baud),
        tcp: file.tcp,
        hdlc_tcp: file.hdlc_tcp,
        udp: file.udp,
        serial: serial(file.serial),
        dial: file.dial.map(DialConfig::from),
    };
    if given != SiteConfig::default() {
        let SiteConfig { addressing, tcp, hdlc_tcp, udp, serial, dial } = given;
        (config.addressing, config.tcp, config.hdlc_tcp, config.udp, config.serial, config.dial) =
            (addressing, tcp, hdlc_tcp, udp, serial, dial);
    }
    let counts = counts(text, &file.groups, meters.or(file.meters))?;
    let mut models: BTreeMap<String, Arc<Model>> = BTreeMap::new();
    let mut groups = Vec::new();
    for (entry, meters) in file.groups.into_iter().zip(counts) {
        // A share of a small fleet may be nobody.
        if meters == 0 {
            continue;
        }
        let wrong = {
            let (at, name) = (entry.span().start, entry.get_ref().name.clone());
            move |reason: String| FleetFileError::Group { line: line(text, at), group: name.clone(), reason }
        };
        let group = entry.into_inner();
        let shared = match models.get(&group.model) {
            Some(known) => Arc::clone(known),
            None => {
                let made = Arc::new(model(&group.model).map_err(&wrong)?);
                models.insert(group.model.clone(), Arc::clone(&made));
                made
            }
        };
        groups.push(group.build(shared, meters, config.seed, keys).map_err(wrong)?);
    }
    Ok(groups)
}

impl GroupFile {
    fn build(self, model: Arc<Model>, meters: u32, seed: u64, keys: &KeySource) -> Result<Group, String> {
        let faults = self.faults.iter().map(|text| text.parse::<Fault>().map_err(|error| error.to_string()));
        let defects = self.defects.iter().map(|text| text.parse::<Defect>().map_err(|error| error.to_string()));
        let title = self.system_title.as_deref().map(title).transpose()?;
        let keys = match self.keys {
            KeysName::OfTheFleet => keys.clone(),
            KeysName::Demonstration => KeySource::Shared(Arc::new(Keys::demonstration_of(model.suite))),
        };
        let site = SiteConfig {
            addressing: self.addressing.unwrap_or_default().with(self.line_baud),
            tcp: self.tcp,
            hdlc_tcp: self.hdlc_tcp,
            udp: self.udp,
            serial: serial(self.serial),
            dial: self.dial.map(DialConfig::from),
        };
        if self.addressing.is_some() && site == (SiteConfig { addressing: site.addressing, ..SiteConfig::default() }) {
            return Err("addressing needs tcp, hdlc-tcp, udp, serial or dial beside it".to_owned());
        }
        Ok(Group {
            name: self.name,
            model,
            meters,
            seed: self.seed.unwrap_or(seed),
            keys,
            system_title: title,
            faults: faults.collect::<Result<_, _>>()?,
            fault_share: self.fault_share.unwrap_or(1.0),
            defects: defects.collect::<Result<_, _>>()?,
            site: (site != SiteConfig::default()).then_some(site),
        })
    }
}

fn title(text: &str) -> Result<SystemTitle, String> {
    let mut octets = [0; 8];
    hex::decode_to_slice(text, &mut octets)
        .map_err(|_| format!("`{text}` is no system title of 16 hexadecimal digits"))?;
    Ok(SystemTitle(octets))
}

/// The line of an octet, from 1.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|octet| *octet == b'\n').count() + 1
}

/// How many meters each group has.
fn counts(text: &str, groups: &[Spanned<GroupFile>], meters: Option<u32>) -> Result<Vec<u32>, FleetFileError> {
    let mut counted: u32 = 0;
    let mut whole = 0.0;
    for entry in groups {
        let group = entry.get_ref();
        let wrong = |reason: &str| FleetFileError::Group {
            line: line(text, entry.span().start),
            group: group.name.clone(),
            reason: reason.to_owned(),
        };
        match (group.count, group.share) {
            (Some(count), None) => counted = counted.saturating_add(count),
            (None, Some(share)) if share > 0.0 && share <= 1e9 => whole += share,
            (None, Some(_)) => return Err(wrong("a share is a number over 0")),
            _ => return Err(wrong("it has either a count or a share")),
        }
        if group.share.is_some() && meters.is_none() {
            return Err(wrong("a share of how many? Give the number of meters in the file or with --meters"));
        }
    }
    let meters = meters.unwrap_or(counted);
    let rest = meters.checked_sub(counted).filter(|rest| *rest == 0 || whole > 0.0);
    let rest = rest.ok_or(FleetFileError::Count { counted, meters })?;
    // Rounding at the sums, not at the parts: they add up to the rest.
    let (mut passed, mut given) = (0.0, 0);
    Ok(groups
        .iter()
        .map(|entry| match (entry.get_ref().count, entry.get_ref().share) {
            (Some(count), _) => count,
            (None, share) => {
                passed += share.unwrap_or(0.0);
                let until = (f64::from(rest) * (passed / whole).min(1.0)).round() as u32;
                let part = until - given;
                given = until;
                part
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = r#"
meters = 1000
seed = 9
addressing = "addresses"
tcp = "127.1.0.1:4059"

[[group]]
name = "households"
model = "idis-three-phase"
share = 0.9
faults = ["silence:0.01"]
fault-share = 0.05
defects = ["wrong-keys:0.01"]

[[group]]
name = "old ones"
model = "short-names"
share = 0.1

[[group]]
name = "laboratory"
model = "idis-three-phase"
count = 7
seed = 1
keys = "demonstration"
system-title = "4C41420000000001"
udp = "127.0.0.1:5000"
"#;

    fn read(text: &str, meters: Option<u32>) -> Result<(FleetConfig, Vec<Group>), FleetFileError> {
        let mut config = FleetConfig::default();
        let keys = KeySource::Shared(Arc::new(Keys::demonstration()));
        let model = |name: &str| match name {
            "idis-three-phase" => Ok(Model::built_in()),
            "short-names" => Model::from_toml(crate::simulator::SHORT_NAME_MODEL).map_err(|error| error.to_string()),
            _ => Err(format!("no model {name}")),
        };
        let groups = read_fleet_file(text, &mut config, meters, &keys, model)?;
        Ok((config, groups))
    }

    #[test]
    fn shares_divide_what_is_not_counted() {
        let (config, groups) = read(MIXED, None).unwrap();
        assert_eq!((config.seed, config.addressing), (9, Addressing::Addresses));
        assert_eq!(groups.iter().map(|group| group.meters).collect::<Vec<_>>(), [894, 99, 7]);
        assert_eq!(groups.iter().map(|group| group.seed).collect::<Vec<_>>(), [9, 9, 1]);
        assert!(Arc::ptr_eq(&groups[0].model, &groups[2].model));
        assert_eq!((groups[0].faults.len(), groups[0].fault_share, groups[0].defects.len()), (1, 0.05, 1));
        assert_eq!(groups[0].site, None);
        let own = groups[2].site.as_ref().unwrap();
        assert_eq!((own.addressing, own.tcp, own.udp.map(|udp| udp.port())), (Addressing::Ports, None, Some(5000)));
        assert_eq!(groups[2].system_title, Some(SystemTitle(*b"LAB\0\0\0\0\x01")));
        for meters in [7, 8, 10, 12, 99_999] {
            let (_, groups) = read(MIXED, Some(meters)).unwrap();
            assert_eq!(groups.iter().map(|group| group.meters).sum::<u32>(), meters);
        }
    }

    #[test]
    fn serial_ports_are_those_of_the_fleet_or_of_a_group() {
        let text = MIXED
            .replace("udp = \"127.0.0.1:5000\"", "serial = [{ path = \"/dev/ttyS7\", baud = 19200, mode-e = true }]");
        let text =
            text.replace("seed = 9", "seed = 9\nserial = [{ path = \"/dev/ttyS0\" }, { path = \"/dev/ttyS1\" }]");
        let (config, groups) = read(&text, None).unwrap();
        let port = |path: &str, baud, mode_e| SerialConfig { path: path.into(), baud, mode_e };
        assert_eq!(config.serial, [port("/dev/ttyS0", 9_600, false), port("/dev/ttyS1", 9_600, false)]);
        assert_eq!(groups[2].site.as_ref().unwrap().serial, [port("/dev/ttyS7", 19_200, true)]);
        assert!(read(&text.replace("baud =", "bauds ="), None).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let message = |text: &str| read(text, None).err().unwrap().to_string();
        assert!(message("meters = \"many\"").contains("line 1"), "{}", message("meters = \"many\""));
        assert!(message("color = 1").contains("unknown field `color`"));
        assert_eq!(message("meters = 1"), "there is no [[group]]");
        let changed = |from: &str, to: &str| message(&MIXED.replace(from, to));
        assert_eq!(changed("count = 7\n", ""), "line 20: group laboratory: it has either a count or a share");
        assert_eq!(changed("share = 0.1", "share = -1"), "line 15: group old ones: a share is a number over 0");
        assert_eq!(changed("\"short-names\"", "\"other\""), "line 15: group old ones: no model other");
        assert!(changed("silence:0.01", "noise:1").contains("line 7: group households: `noise` is none of"));
        assert!(changed("4C41", "4X41").contains("line 20: group laboratory: `4X41420000000001` is no system title"));
        assert!(changed("meters = 1000", "").contains("a share of how many?"));
        let refused = read("[[group]]\nname = \"a\"\nmodel = \"short-names\"\ncount = 3", Some(5)).err().unwrap();
        assert_eq!(refused.to_string(), "the groups have 3 meters instead of 5, and none has a share of the rest");
    }
}
