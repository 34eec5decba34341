//! From what a model file says to a model that can run.

use std::collections::BTreeMap;
use std::ops::Range;

use dlms::acse::Mechanism;
use dlms::apdu::Conformance;
use dlms::association::Referencing;
use dlms::id::{ClientSap, SystemTitle};
use dlms::security::{SecurityPolicy, Suite};
use dlms::time::{ClockStatus, Date, DateTime, Time};
use toml::Spanned;

use super::classes::{action, alarms, mbus};
use super::error::Places;
use super::objects::Builder;
use super::public_keys::InitialKeys;
use super::schema::{
    AssociationFile, ChangeRule, ClockFile, Day, MechanismFile, ModelFile, NamedDay, ReferencingFile, SetupFile,
};
use super::{Model, ModelAssociation, ModelError, ModelSetup};
use crate::objects::{ClockSettings, ImageReceiver, Switch};
use crate::simulator::meter::firmware::ImageBank;
use crate::simulator::meter::rows::check_column;
use crate::simulator::meter::supply::SupplyLimits;
use crate::table::ObjectTable;

/// Smallest and largest APDU that a model may offer, in octets.
const MAX_PDU: core::ops::RangeInclusive<u16> = 128..=16_384;
/// Seconds of capture period that `adjust_to_measuring_period` goes by.
const MEASURING_PERIOD_SECONDS: u32 = 900;

/// Reads and checks a model file.
pub(super) fn compile(text: &str) -> Result<Model, ModelError> {
    let places = Places(text);
    let file: ModelFile = toml::from_str(text).map_err(|error| places.syntax(&error))?;
    let ascii = |field: &Spanned<String>, what: &str| {
        let text = field.get_ref();
        if text.len() == 3 && text.bytes().all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit()) {
            Ok(text.clone())
        } else {
            Err(places.error(field.span(), format!("{what} has three capitals or digits, not `{text}`")))
        }
    };
    let manufacturer = ascii(&file.identity.manufacturer, "the manufacturer")?;
    let device_type = ascii(&file.identity.device_type, "the device type")?;
    let clock = clock(&places, &file.clock)?;
    let installation = file.installation.compile(&places, clock.time_zone_min)?;
    let setups = setups(&places, &file.security_setups)?;
    let suite = setups.first().map_or(Suite::Suite0, |setup| setup.suite);
    let initial_keys = match &file.public_key {
        None => InitialKeys::default(),
        Some(keys) if suite == Suite::Suite0 => {
            return Err(places.error(keys.span(), "suite 0 has no public keys: a security setup needs suite = 1 or 2"));
        }
        Some(keys) => InitialKeys::compile(&places, suite, keys.get_ref())?,
    };
    let associations = associations(&places, &file.associations, &setups)?;

    let (access_names, access) = access(&places, file.access, &associations)?;
    let kind = format!("{manufacturer}{device_type}");
    let mut builder = Builder::new(&places, &associations, &setups, &access_names, clock.time_zone_min, &kind);
    for object in &file.objects {
        builder.add(object)?;
    }
    let built = builder.finish();
    if built.prepayment.as_ref().is_some_and(|payment| payment.account.currency.name.is_empty()) {
        return Err(no_place("credits, charges and token gateways need an account (class 111)"));
    }
    let mut bases = vec![None; built.objects.len()];
    for (base, index) in &built.names {
        bases[*index] = Some(*base);
    }
    let mut limits = SupplyLimits::of_nominal(installation.voltage);
    built.limits.iter().for_each(|(kind, value)| limits.set(*kind, *value));
    let idle_schedules = action::idle_schedules(&built);
    let model = Model {
        name: file.name,
        about: file.about.trim().to_owned(),
        customer_port: file.customer_port.map(|dialect| dialect.0),
        manufacturer,
        device_type,
        first_serial: file.identity.first_serial,
        clock,
        drift_ppm: file.clock.drift_ppm,
        clock_error_ms: file.clock.error_seconds * 1000.0,
        installation,
        setups,
        suite,
        initial_keys,
        associations,
        switch: built.switch.or(Switch::new(0)).ok_or_else(|| no_place("control mode 0 is unknown"))?,
        image: built.image.unwrap_or_else(|| ImageReceiver::new(ImageBank::none(), Vec::new())),
        tariffs: built.tariffs,
        supervision: built.supervision,
        prepayment: built.prepayment,
        mbus: mbus::devices(&places, &file.mbus_devices, built.mbus)?,
        logs: built.logs,
        limits,
        alarms: alarms::compile(&places, &file.alarms)?,
        idle_schedules,
        schedules: built.schedules,
        pushes: built.pushes,
        objects: built.objects,
        access_of: built.access_of,
        access,
        index: built.index,
        names: built.names,
        bases,
    };
    for (span, column) in &built.columns {
        check_column(&model, column).map_err(|error| {
            let message = format!("column {}:{}:{}: {error}", column.class_id, column.instance, column.attribute);
            places.error(span.clone(), message)
        })?;
    }
    for (index, attribute, name) in &built.unreadable {
        let readable =
            |association: &ModelAssociation| model.rights(*index, association.client).attribute(attribute.0).readable();
        if let (Some(association), Some(span)) =
            (model.associations.iter().find(|known| readable(known)), built.entries.get(*index))
        {
            let message =
                format!("`{}` may read attribute {attribute} (`{name}`), which has no value", association.name);
            return Err(places.error(span.clone(), message));
        }
    }
    Ok(model)
}

fn no_place(message: &str) -> ModelError {
    ModelError { place: None, message: message.to_owned() }
}

fn clock(places: &Places<'_>, file: &ClockFile) -> Result<ClockSettings, ModelError> {
    let time_zone_min = *file.time_zone.get_ref();
    if !(-840..=840).contains(&time_zone_min) {
        return Err(places.error(file.time_zone.span(), "the time zone is at most 840 minutes from UTC"));
    }
    let rule = |rule: Option<ChangeRule>| match rule {
        None => Ok(DateTime::UNSPECIFIED),
        Some(rule) => change_rule(rule).ok_or_else(|| {
            places.error(file.time_zone.span(), "a daylight saving rule of this clock names no date of the calendar")
        }),
    };
    Ok(ClockSettings {
        time_zone_min,
        daylight_begin: rule(file.daylight_begin)?,
        daylight_end: rule(file.daylight_end)?,
        daylight_deviation_min: file.daylight_deviation,
        daylight_enabled: file.daylight_begin.is_some() && file.daylight_end.is_some(),
        clock_base: file.clock_base,
        measuring_period_seconds: MEASURING_PERIOD_SECONDS,
        preset: None,
    })
}

/// A rule as the clock's attributes have it: year and deviation left open.
fn change_rule(rule: ChangeRule) -> Option<DateTime> {
    let day = match rule.day {
        Day::Number(day @ 1..=31) => day,
        Day::Number(_) => return None,
        Day::Named(NamedDay::Last) => Date::LAST_DAY,
        Day::Named(NamedDay::SecondLast) => Date::SECOND_LAST_DAY,
    };
    let weekday = match rule.weekday {
        None => 0xFF,
        Some(weekday @ 1..=7) => weekday,
        Some(_) => return None,
    };
    if !(1..=12).contains(&rule.month) {
        return None;
    }
    let date = Date::from_bytes(&[0xFF, 0xFF, rule.month, day, weekday]);
    Some(DateTime::new(date, Time::new(rule.hour, 0, 0)?, None, ClockStatus::UNSPECIFIED))
}

fn setups(places: &Places<'_>, files: &[Spanned<SetupFile>]) -> Result<Vec<ModelSetup>, ModelError> {
    let mut setups: Vec<ModelSetup> = Vec::new();
    for file in files {
        let SetupFile { number, version, suite, policy, response_policy } = file.get_ref();
        if setups.iter().any(|setup| setup.number == *number) {
            return Err(places.error(file.span(), format!("security setup {number} is described twice")));
        }
        if *version > 1 {
            return Err(places.error(file.span(), format!("class 64 has versions 0 and 1, not {version}")));
        }
        let suite = Suite::from_id(*suite)
            .map_err(|_| places.error(file.span(), format!("there are security suites 0, 1 and 2, not {suite}")))?;
        if suite != Suite::Suite0 && *version == 0 {
            return Err(places.error(file.span(), format!("suite {} needs version = 1 of class 64", suite.id())));
        }
        if setups.first().is_some_and(|first| first.suite != suite) {
            let message = "all security setups of a meter have one suite, because they share its keys";
            return Err(places.error(file.span(), message));
        }
        let policy =
            SecurityPolicy { request: policy.protection(), response: response_policy.unwrap_or(*policy).protection() };
        if *version == 0 && policy.to_v0().is_none() {
            return Err(places.error(file.span(), "version 0 of class 64 has no such policy"));
        }
        if suite == Suite::Suite0 && policy.request.union(policy.response).signed {
            return Err(places.error(file.span(), "suite 0 has no signatures"));
        }
        setups.push(ModelSetup { number: *number, policy, version: *version, suite });
    }
    Ok(setups)
}

fn associations(
    places: &Places<'_>,
    files: &[Spanned<AssociationFile>],
    setups: &[ModelSetup],
) -> Result<Vec<ModelAssociation>, ModelError> {
    let mut associations: Vec<ModelAssociation> = Vec::new();
    for spanned in files {
        let file = spanned.get_ref();
        let error = |message: String| Err(places.error(spanned.span(), message));
        let client = ClientSap(file.client);
        if associations.iter().any(|known| known.client == client || known.name == file.name) {
            return error(format!("association `{}` or its client {client} is described twice", file.name));
        }
        // The SAP of a client is an integer of seven bits in HDLC addresses of one octet.
        if !(1..=127).contains(&file.client) {
            return error(format!("client {client} is not from 1 to 127"));
        }
        if !MAX_PDU.contains(&file.max_pdu) {
            return error(format!("max-pdu is from {} to {}", MAX_PDU.start(), MAX_PDU.end()));
        }
        let mechanism = match file.mechanism {
            MechanismFile::None => Mechanism::Lowest,
            MechanismFile::Lls => Mechanism::Lls,
            MechanismFile::Hls2 => Mechanism::Hls2,
            MechanismFile::HlsMd5 => Mechanism::Md5,
            MechanismFile::HlsSha1 => Mechanism::Sha1,
            MechanismFile::HlsGmac => Mechanism::Gmac,
            MechanismFile::HlsSha256 => Mechanism::Sha256,
            MechanismFile::HlsEcdsa => Mechanism::Ecdsa,
        };
        match file.security_setup {
            Some(number) if !setups.iter().any(|setup| setup.number == number) => {
                return error(format!("there is no security setup {number}"));
            }
            None if file.mechanism == MechanismFile::HlsGmac => {
                return error("hls-gmac needs a security setup for its keys".to_owned());
            }
            _ if file.mechanism == MechanismFile::HlsEcdsa
                && setups.first().is_none_or(|setup| setup.suite == Suite::Suite0) =>
            {
                return error("hls-ecdsa needs a security setup of suite 1 or 2".to_owned());
            }
            _ => {}
        }
        associations.push(ModelAssociation {
            name: file.name.clone(),
            client,
            referencing: match file.referencing {
                ReferencingFile::LogicalName => Referencing::LogicalName,
                ReferencingFile::ShortName => Referencing::ShortName,
            },
            mechanism,
            security_setup: file.security_setup,
            client_title: file.client_title.as_ref().map(|text| client_title(places, text)).transpose()?,
            conformance: conformance(places, &file.conformance)?,
            max_pdu: file.max_pdu,
        });
    }
    Ok(associations)
}

fn client_title(places: &Places<'_>, text: &Spanned<String>) -> Result<SystemTitle, ModelError> {
    let mut title = [0; 8];
    hex::decode_to_slice(text.get_ref(), &mut title)
        .map_err(|_| places.error(text.span(), "a system title has 8 octets in hexadecimal"))?;
    Ok(SystemTitle(title))
}

fn conformance(places: &Places<'_>, names: &[Spanned<String>]) -> Result<Conformance, ModelError> {
    names.iter().try_fold(Conformance::NONE, |all, name| {
        let bit = (0..24)
            .map(|bit| Conformance::from_bits(1 << bit))
            .find(|bit| bit.names().any(|known| known == name.get_ref()))
            .ok_or_else(|| places.error(name.span(), format!("`{}` is not a conformance bit", name.get_ref())))?;
        Ok(all.union(bit))
    })
}

type AccessSets = (BTreeMap<String, usize>, Vec<BTreeMap<ClientSap, super::rights::RightsList>>);

fn access(
    places: &Places<'_>,
    files: BTreeMap<String, BTreeMap<Spanned<String>, super::schema::Parsed<super::rights::RightsList>>>,
    associations: &[ModelAssociation],
) -> Result<AccessSets, ModelError> {
    let (mut names, mut sets) = (BTreeMap::new(), Vec::new());
    for (name, by_association) in files {
        let mut set = BTreeMap::new();
        for (association, rights) in by_association {
            let client = associations.iter().find(|known| known.name == *association.get_ref()).ok_or_else(|| {
                let message = format!("access `{name}`: there is no association `{}`", association.get_ref());
                places.error(span(&association), message)
            })?;
            set.insert(client.client, rights.0);
        }
        names.insert(name, sets.len());
        sets.push(set);
    }
    Ok((names, sets))
}

fn span<T>(spanned: &Spanned<T>) -> Range<usize> {
    spanned.span()
}
