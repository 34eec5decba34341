//! The objects of a model file.

use std::collections::BTreeMap;
use std::ops::Range;

use dlms::axdr::Writer;
use dlms::cosem::short_name::{self, NamedObject, STRIDE};
use dlms::id::{AttributeId, ClassId, ShortName};
use dlms::obis::ObisCode;
use dlms::unit::{ScalerUnit, Unit};
use toml::Spanned;

use super::classes::{action, constant, fixed_rows, image_transfer, mbus, prepayment, supervision, tariff};
use super::error::Places;
use super::schema::{Initial, ObjectFile, RowsName, TypeName, ValueName};
use super::{ModelAssociation, ModelError, ModelSetup, SharedObject};
use crate::alarms::AlarmValue;
use crate::object::Object;
use crate::objects::{
    Association, AssociationOf, AssociationSn, CaptureObject, Clock, DataObject, DemandRegister, DisconnectControl,
    ExtendedRegister, ImageReceiver, ImageTransfer, ProfileGeneric, Register, SapAssignment, SecuritySetup,
    SingleActionSchedule, SupplySwitch, Switch,
};
use crate::simulator::consumption::{Quantity, RATES};
use crate::simulator::meter::Meter;
use crate::simulator::meter::events::LogKind;
use crate::simulator::meter::firmware::ImageBank;
use crate::simulator::meter::kept::KeptSlot;
use crate::simulator::meter::mbus::{ModelMbus, ValveRows};
use crate::simulator::meter::measured::Measured;
use crate::simulator::meter::number::{NumberFormat, unit_of, write_integer};
use crate::simulator::meter::prepayment::ModelPrepayment;
use crate::simulator::meter::push::ModelPush;
use crate::simulator::meter::rows::{EventRows, FailureRows, Interval, PeriodicRows};
use crate::simulator::meter::supervision::ModelSupervision;
use crate::simulator::meter::supply::{FailureFigure, LimitKind};
use crate::simulator::meter::tariff::ModelTariffs;
use crate::simulator::meter::values::{
    AverageDemand, Instantaneous, LastDemand, MaximumDemand, QualityRegister, Source,
};

/// Objects of a model.
const OBJECTS_MAX: usize = 4096;
/// Columns of a profile.
const COLUMNS_MAX: usize = 64;
/// Rows of a profile.
const CAPACITY_MAX: u32 = 1_000_000;
/// Entries of an event log, which are kept in memory.
const LOG_CAPACITY_MAX: u32 = 10_000;

/// What has been built of a model's objects.
#[derive(Default)]
pub(super) struct Built {
    pub(super) objects: Vec<SharedObject>,
    pub(super) access_of: Vec<usize>,
    pub(super) index: BTreeMap<(u16, [u8; 6]), usize>,
    /// Object numbers by base name.
    pub(super) names: BTreeMap<ShortName, usize>,
    pub(super) logs: BTreeMap<u8, u32>,
    /// How meters judge their supply.
    pub(super) limits: Vec<(LimitKind, f64)>,
    pub(super) switch: Option<Switch>,
    pub(super) image: Option<ImageReceiver<ImageBank, Vec<u8>>>,
    /// Objects of class 9.
    pub(super) scripts: Vec<(ObisCode, KeptSlot)>,
    /// Objects of class 22.
    pub(super) schedules: Vec<SingleActionSchedule<KeptSlot>>,
    /// Objects of class 40.
    pub(super) pushes: Vec<ModelPush>,
    pub(super) tariffs: ModelTariffs,
    pub(super) supervision: ModelSupervision,
    pub(super) prepayment: Option<ModelPrepayment>,
    pub(super) mbus: ModelMbus,
    /// Columns to be checked when all objects are known.
    pub(super) columns: Vec<(Range<usize>, CaptureObject)>,
    /// Attributes without a value, which no right may make readable: number of the object, attribute and its name.
    pub(super) unreadable: Vec<(usize, AttributeId, &'static str)>,
    /// Where the entry of each object is.
    pub(super) entries: Vec<Range<usize>>,
}

impl Built {
    /// Gives the next object a base name; returns the first name behind its last attribute or method.
    fn place(&mut self, base: ShortName, object: &dyn Object<Meter>) -> Result<Option<ShortName>, String> {
        if !base.0.is_multiple_of(STRIDE) {
            return Err(format!("base name {base} is not a multiple of {STRIDE}"));
        }
        // Names from FA00 on belong to objects that every client finds there (Blue Book).
        let reserved = match object.class().0 {
            12 => Some(short_name::ASSOCIATION),
            17 => Some(short_name::SAP_ASSIGNMENT),
            _ if object.instance() == ObisCode::LOGICAL_DEVICE_NAME => Some(short_name::LOGICAL_DEVICE_NAME),
            _ => None,
        };
        if reserved.is_some_and(|reserved| reserved != base) || (reserved.is_none() && base >= short_name::ASSOCIATION)
        {
            return Err(match reserved {
                Some(reserved) => format!("its base name is {reserved}, not {base}"),
                None => format!("base name {base} is reserved"),
            });
        }
        let named = NamedObject::new(base, object.class(), object.version(), object.instance());
        let end = base.0.checked_add(named.extent(object.attributes(), object.methods()));
        let end = ShortName(end.ok_or("its names go past FFFF")?);
        // Names of this object within another, or of another within this one.
        let before = self.names.range(..=end).next_back().map(|(base, index)| (*base, *index));
        if let Some((other, index)) = before {
            let reach = self.objects.get(index).map_or(0, |object| {
                NamedObject::new(other, object.class(), object.version(), object.instance())
                    .extent(object.attributes(), object.methods())
            });
            if other >= base || other.0.saturating_add(reach) >= base.0 {
                return Err(format!("its names {base} to {end} overlap with those of the object at {other}"));
            }
        }
        self.names.insert(base, self.objects.len());
        Ok(end.0.checked_add(STRIDE).map(ShortName))
    }
}

/// Builds objects one entry of the file after the other.
pub(super) struct Builder<'a> {
    places: &'a Places<'a>,
    associations: &'a [ModelAssociation],
    setups: &'a [ModelSetup],
    access: &'a BTreeMap<String, usize>,
    time_zone_min: i16,
    /// Manufacturer and device type.
    kind: &'a str,
    built: Built,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        places: &'a Places<'a>,
        associations: &'a [ModelAssociation],
        setups: &'a [ModelSetup],
        access: &'a BTreeMap<String, usize>,
        time_zone_min: i16,
        kind: &'a str,
    ) -> Self {
        Self { places, associations, setups, access, time_zone_min, kind, built: Built::default() }
    }

    pub(super) fn finish(self) -> Built {
        self.built
    }

    /// Adds the objects of one entry.
    pub(super) fn add(&mut self, entry: &Spanned<ObjectFile>) -> Result<(), ModelError> {
        let (file, span) = (entry.get_ref(), entry.span());
        let access = *self.access.get(file.access.get_ref()).ok_or_else(|| {
            let message = format!("there is no access set `{}`", file.access.get_ref());
            self.places.error(file.access.span(), message)
        })?;
        let mut base = file.base_name.as_ref().map(|base| ShortName(*base.get_ref()));
        for code in file.obis.0.codes() {
            let number = self.built.objects.len();
            if number >= OBJECTS_MAX {
                return Err(self.places.error(span, format!("a model has at most {OBJECTS_MAX} objects")));
            }
            if self.built.index.insert((file.class, code.0), number).is_some() {
                return Err(self.places.error(span, format!("object {code} of class {} comes twice", file.class)));
            }
            let object = self.object(file, *code, number).map_err(|problem| match problem {
                Problem::Here(message) => self.places.error(span.clone(), format!("object {code}: {message}")),
                Problem::At(span, message) => self.places.error(span, format!("object {code}: {message}")),
            })?;
            if let (Some(found), Some(name)) = (base, &file.base_name) {
                base = self
                    .built
                    .place(found, &*object)
                    .map_err(|message| self.places.error(name.span(), format!("object {code}: {message}")))?;
            }
            self.built.objects.push(object);
            self.built.access_of.push(access);
            self.built.entries.push(file.access.span());
        }
        Ok(())
    }

    fn object(&mut self, file: &ObjectFile, instance: ObisCode, slot: usize) -> Result<SharedObject, Problem> {
        check_keys(file)?;
        if let Some(attributes) = &file.attributes {
            let source = self.places.0;
            return match file.class {
                9 | 22 | 40 => action::build(source, file, attributes, (instance, slot), &mut self.built),
                _ => constant::build(source, file, attributes, instance, &mut self.built),
            };
        }
        Ok(match file.class {
            1 => Box::new(DataObject { instance, value: self.source(file, instance, slot)? }),
            3 => {
                let scaler_unit = scaler_unit(file, instance)?;
                Box::new(Register { instance, value: self.source(file, instance, slot)?, scaler_unit })
            }
            4 if file.value == Some(ValueName::MbusValue) => mbus::value(instance)?,
            4 => {
                let scaler_unit = scaler_unit(file, instance)?;
                let (quantity, rate, format) = demand(file, instance)?;
                match file.value {
                    Some(ValueName::LastDemand) => {
                        let value = LastDemand(AverageDemand { quantity, format, slot });
                        Box::new(ExtendedRegister { instance, value, scaler_unit })
                    }
                    Some(ValueName::MaximumDemand) => {
                        let value = MaximumDemand { quantity, rate, format };
                        Box::new(ExtendedRegister { instance, value, scaler_unit })
                    }
                    _ => return Err(here("class 4 has a value of last-demand or maximum-demand")),
                }
            }
            5 => {
                let scaler_unit = scaler_unit(file, instance)?;
                let (quantity, _, format) = demand(file, instance)?;
                if file.value != Some(ValueName::Demand) {
                    return Err(here("class 5 has a value of demand"));
                }
                Box::new(DemandRegister { instance, demand: AverageDemand { quantity, format, slot }, scaler_unit })
            }
            6 => {
                let activation = file.register_activation.as_ref();
                let activation = activation.ok_or_else(|| here("class 6 needs [object.register-activation]"))?;
                tariff::activation(activation, instance, &mut self.built)?
            }
            7 => self.profile(file, instance, slot)?,
            8 => Box::new(Clock { instance }),
            11 => tariff::special_days(file.special_day.as_deref().unwrap_or_default(), instance, &mut self.built)?,
            12 => {
                let version = file.version.unwrap_or(4);
                if version > 4 {
                    return Err(here("class 12 has versions from 0 to 4"));
                }
                Box::new(AssociationSn { instance, version })
            }
            15 => Box::new(Association { instance, of: self.association_of(file)? }),
            17 => Box::new(SapAssignment { instance }),
            18 => {
                let file = file.image_transfer.as_ref();
                let file = file.ok_or_else(|| here("class 18 needs [object.image-transfer]"))?;
                if self.built.image.replace(image_transfer::build(file, self.kind)?).is_some() {
                    return Err(here("a meter has one image transfer"));
                }
                Box::new(ImageTransfer { instance })
            }
            20 => {
                let calendar = file.activity_calendar.as_ref();
                let calendar = calendar.ok_or_else(|| here("class 20 needs [object.activity-calendar]"))?;
                tariff::calendar(calendar, instance, &mut self.built)?
            }
            21 => {
                let monitor = file.register_monitor.as_ref();
                let monitor = monitor.ok_or_else(|| here("class 21 needs [object.register-monitor]"))?;
                supervision::monitor(monitor, instance, &mut self.built)?
            }
            111 => {
                let account = file.account.as_ref().ok_or_else(|| here("class 111 needs [object.account]"))?;
                prepayment::account(account, instance, &mut self.built)?
            }
            112 => {
                let credit = file.credit.as_ref().ok_or_else(|| here("class 112 needs [object.credit]"))?;
                prepayment::credit(credit, instance, &mut self.built)?
            }
            113 => {
                let charge = file.charge.as_ref().ok_or_else(|| here("class 113 needs [object.charge]"))?;
                prepayment::charge(charge, instance, &mut self.built)?
            }
            115 => {
                let gateway = file.token_gateway.as_ref();
                let gateway = gateway.ok_or_else(|| here("class 115 needs [object.token-gateway]"))?;
                prepayment::gateway(gateway, instance, &mut self.built)?
            }
            71 => {
                let limiter = file.limiter.as_ref().ok_or_else(|| here("class 71 needs [object.limiter]"))?;
                supervision::limiter(limiter, instance, &mut self.built)?
            }
            64 => {
                let number = instance.0[4];
                let Some(setup) = self.setups.iter().find(|setup| setup.number == number) else {
                    return Err(here(&format!("there is no security setup {number}, which value group E names")));
                };
                Box::new(SecuritySetup { instance, version: setup.version })
            }
            70 => {
                let mode = file.control_mode.ok_or_else(|| here("class 70 needs control-mode"))?;
                let switch = Switch::new(mode).ok_or_else(|| here("the control mode is from 0 to 6"))?;
                if let Some(valve) = mbus::valve(switch, instance, &mut self.built)? {
                    return Ok(valve);
                }
                if self.built.switch.replace(switch).is_some() {
                    return Err(here("a meter has one disconnect control"));
                }
                Box::new(DisconnectControl { instance, place: SupplySwitch })
            }
            72 => {
                let client = file.mbus_client.as_ref().ok_or_else(|| here("class 72 needs [object.mbus-client]"))?;
                mbus::client(client, file.version.unwrap_or(1), instance, &mut self.built)?
            }
            class => {
                let message = "has no behaviour here: its attributes must be given in [object.attributes]";
                return Err(here(&format!("class {class} {message}")));
            }
        })
    }

    fn association_of(&self, file: &ObjectFile) -> Result<AssociationOf, Problem> {
        let Some(name) = &file.association else { return Ok(AssociationOf::Current) };
        let found = self.associations.iter().find(|known| known.name == *name.get_ref());
        let found =
            found.ok_or_else(|| Problem::At(name.span(), format!("there is no association `{}`", name.get_ref())))?;
        Ok(AssociationOf::Client(found.client))
    }

    fn source(&mut self, file: &ObjectFile, instance: ObisCode, slot: usize) -> Result<Source, Problem> {
        let [_, _, c, _, e, _] = instance.0;
        let value = match (file.value, &file.initial) {
            (Some(value), None) => value,
            (None, Some(initial)) => {
                let limit =
                    LimitKind::from_code(instance).map(|kind| (kind, 10f64.powi(file.scaler.unwrap_or(0).into())));
                if let (Some((kind, one)), Initial::Number(number)) = (limit, initial.get_ref()) {
                    self.built.limits.push((kind, *number as f64 * one));
                }
                return stored(file, initial, slot, limit);
            }
            _ => return Err(here("either value or initial is needed")),
        };
        let format = || {
            let kind = file.kind.ok_or_else(|| here("a measured value needs a type"))?;
            NumberFormat::new(kind, file.scaler.unwrap_or(0)).ok_or_else(|| here("the type is not that of a number"))
        };
        Ok(match value {
            ValueName::Energy => {
                let quantity = Quantity::from_group_c(c).ok_or_else(|| here("value group C names no energy"))?;
                if usize::from(e) > RATES {
                    return Err(here("value group E names a tariff from 0 to 8"));
                }
                Source::Energy { quantity, rate: e, format: format()? }
            }
            ValueName::Instantaneous => {
                let quantity = Instantaneous::from_code(instance)
                    .ok_or_else(|| here("the code names no instantaneous value (1.b.c.7.0.f)"))?;
                Source::Instantaneous { quantity, format: format()? }
            }
            ValueName::Average => {
                let quantity = (instance.0[0] == 1).then(|| Instantaneous::from_group_c(c)).flatten();
                let quantity = quantity.ok_or_else(|| here("value group C names no value to be averaged"))?;
                Source::Average { quantity, period_seconds: period(file)?, format: format()? }
            }
            ValueName::Measured => {
                let quantity = Measured::from_code(instance)
                    .ok_or_else(|| here("the code names nothing that is measured (1.b.c.7.0.f or 1.b.c.7.124.f)"))?;
                Source::Measured { quantity, format: format()? }
            }
            ValueName::VoltageQuality => {
                let register = QualityRegister::from_code(instance);
                let register = register.ok_or_else(|| here("the code counts no dips, swells or losses of a phase"))?;
                Source::VoltageQuality { register, format: format()? }
            }
            ValueName::PowerFailures => {
                let figure = FailureFigure::from_code(instance);
                let figure = figure.ok_or_else(|| here("the code counts no power failures"))?;
                Source::PowerFailures { figure, format: format()? }
            }
            ValueName::IntervalEnergy => {
                let quantity = Quantity::from_group_c(c).ok_or_else(|| here("value group C names no energy"))?;
                Source::IntervalEnergy { quantity, period_seconds: period(file)?, format: format()? }
            }
            ValueName::BillingDate => Source::BillingDate,
            ValueName::BillingCount => Source::BillingCount { format: format()? },
            ValueName::LogicalDeviceName => Source::LogicalDeviceName,
            ValueName::SerialNumber => Source::SerialNumber,
            ValueName::FirmwareVersion => Source::FirmwareVersion,
            ValueName::ActiveTariff => Source::ActiveTariff { activation: e.into() },
            ValueName::ProfileStatus => Source::ProfileStatus { period_seconds: period(file)? },
            ValueName::LastEvent => {
                Source::LastEvent(LogKind::from_group_e(e).ok_or_else(|| here("value group E names no event log"))?)
            }
            ValueName::Alarm => {
                let value = AlarmValue::from_groups(instance.0[3], e).filter(|_| c == 97);
                Source::Alarm(value.ok_or_else(|| here("the code names no alarm or error register"))?)
            }
            ValueName::LocalTime => Source::LocalTime,
            ValueName::LocalDate => Source::LocalDate,
            ValueName::InvocationCounter => {
                if !self.setups.iter().any(|setup| setup.number == e) {
                    return Err(here(&format!("there is no security setup {e}, which value group E names")));
                }
                Source::InvocationCounter { setup: e }
            }
            ValueName::MbusDeviceNumber => Source::MbusDeviceNumber { channel: mbus::channel(instance)? },
            ValueName::MbusValue => return Err(here("values of M-Bus devices are of class 4")),
            ValueName::Demand | ValueName::LastDemand | ValueName::MaximumDemand => {
                return Err(here("averages and maxima are of classes 4 and 5"));
            }
        })
    }

    fn profile(&mut self, file: &ObjectFile, instance: ObisCode, slot: usize) -> Result<SharedObject, Problem> {
        let columns = file.columns.as_deref().unwrap_or_default();
        if columns.is_empty() || columns.len() > COLUMNS_MAX {
            return Err(here(&format!("a profile has from 1 to {COLUMNS_MAX} columns")));
        }
        let columns = columns
            .iter()
            .map(|text| {
                let column = column(text.get_ref()).ok_or_else(|| {
                    Problem::At(text.span(), format!("`{text}` is not CLASS:OBIS:ATTRIBUTE", text = text.get_ref()))
                })?;
                self.built.columns.push((text.span(), column));
                Ok(column)
            })
            .collect::<Result<Vec<_>, Problem>>()?;
        let capacity = match (file.rows, file.capacity) {
            (Some(RowsName::Valve), None) => 0,
            (Some(RowsName::Valve), Some(_)) => return Err(here("the log of a valve has a capacity of its own")),
            (_, capacity) => capacity.ok_or_else(|| here("a profile needs a capacity"))?,
        };
        match file.rows {
            Some(RowsName::Periodic) => {
                let period_seconds = file.period.ok_or_else(|| here("periodic rows need a period"))?;
                if !(1..=86_400).contains(&period_seconds) {
                    return Err(here("the period is from 1 to 86400 seconds"));
                }
                let interval = Interval::Seconds(period_seconds);
                let rows = PeriodicRows { slot, columns, interval, capacity: rows_held(capacity)? };
                Ok(Box::new(ProfileGeneric { instance, rows }))
            }
            Some(RowsName::Monthly) => {
                let interval = Interval::Month;
                let rows = PeriodicRows { slot, columns, interval, capacity: rows_held(capacity)? };
                Ok(Box::new(ProfileGeneric { instance, rows }))
            }
            Some(RowsName::Current) => {
                let rows = PeriodicRows { slot, columns, interval: Interval::Current, capacity };
                if capacity != 1 {
                    return Err(here("a profile of current values has a capacity of 1"));
                }
                Ok(Box::new(ProfileGeneric { instance, rows }))
            }
            Some(RowsName::Events) => {
                let [_, _, _, _, e, _] = instance.0;
                let kind = LogKind::from_group_e(e).ok_or_else(|| here("value group E names no event log"))?;
                if !(1..=LOG_CAPACITY_MAX).contains(&capacity) {
                    return Err(here(&format!("an event log holds from 1 to {LOG_CAPACITY_MAX} entries")));
                }
                self.built.logs.insert(e, capacity);
                Ok(Box::new(ProfileGeneric { instance, rows: EventRows { kind, columns } }))
            }
            Some(RowsName::PowerFailures) => {
                let rows = FailureRows { slot, columns, capacity: rows_held(capacity)? };
                Ok(Box::new(ProfileGeneric { instance, rows }))
            }
            Some(RowsName::Fixed) => {
                let entries = file.entries.as_deref().unwrap_or_default();
                let rows =
                    fixed_rows::build(self.places.0, entries, columns, rows_held(capacity)?, self.time_zone_min)?;
                Ok(Box::new(ProfileGeneric { instance, rows }))
            }
            Some(RowsName::Valve) => Ok(Box::new(ProfileGeneric {
                instance,
                rows: ValveRows { channel: mbus::channel(instance)?, columns },
            })),
            None => {
                Err(here("a profile needs rows: periodic, monthly, current, events, power-failures, valve or fixed"))
            }
        }
    }
}

/// The period over which a value is gathered.
fn period(file: &ObjectFile) -> Result<u32, Problem> {
    let period = file.period.filter(|period| (1..=86_400).contains(period));
    period.ok_or_else(|| here("this value needs a period from 1 to 86400 seconds"))
}

/// Whether a value is gathered over a period.
const fn has_period(value: ValueName) -> bool {
    matches!(value, ValueName::ProfileStatus | ValueName::Average | ValueName::IntervalEnergy)
}

fn rows_held(capacity: u32) -> Result<u32, Problem> {
    let possible = (1..=CAPACITY_MAX).contains(&capacity);
    possible.then_some(capacity).ok_or_else(|| here("a profile holds from 1 to a million rows"))
}

/// What is wrong with an object: at its entry or at a place of its own.
pub(super) enum Problem {
    Here(String),
    At(Range<usize>, String),
}

pub(super) fn here(message: &str) -> Problem {
    Problem::Here(message.to_owned())
}

/// Refuses keys that the class has no use for: they would be promises that nobody keeps.
fn check_keys(file: &ObjectFile) -> Result<(), Problem> {
    let given = [
        ("value", file.value.is_some(), [1, 3, 4, 5].as_slice()),
        ("initial", file.initial.is_some(), &[1, 3]),
        ("type", file.kind.is_some(), &[1, 3, 4, 5]),
        ("scaler", file.scaler.is_some(), &[3, 4, 5]),
        ("unit", file.unit.is_some(), &[3, 4, 5]),
        ("association", file.association.is_some(), &[15]),
        ("version", file.version.is_some() && file.attributes.is_none(), &[12, 72]),
        ("rows", file.rows.is_some(), &[7]),
        ("period", file.period.is_some() && !file.value.is_some_and(has_period), &[7]),
        ("capacity", file.capacity.is_some(), &[7]),
        ("columns", file.columns.is_some(), &[7]),
        ("entries", file.entries.is_some(), if file.rows == Some(RowsName::Fixed) { &[7] } else { &[] }),
        ("control-mode", file.control_mode.is_some(), &[70]),
        ("push-setup", file.push_setup.is_some(), &[40]),
        ("activity-calendar", file.activity_calendar.is_some(), &[20]),
        ("account", file.account.is_some(), &[111]),
        ("credit", file.credit.is_some(), &[112]),
        ("charge", file.charge.is_some(), &[113]),
        ("token-gateway", file.token_gateway.is_some(), &[115]),
        ("mbus-client", file.mbus_client.is_some(), &[72]),
        ("limiter", file.limiter.is_some(), &[71]),
        ("register-monitor", file.register_monitor.is_some(), &[21]),
        ("special-day", file.special_day.is_some(), &[11]),
        ("register-activation", file.register_activation.is_some(), &[6]),
        ("image-transfer", file.image_transfer.is_some(), &[18]),
    ];
    for (key, present, classes) in given {
        if present && !classes.contains(&file.class) {
            return Err(here(&format!("`{key}` has no meaning in class {}", file.class)));
        }
        if present && !["version", "push-setup"].contains(&key) && file.attributes.is_some() {
            return Err(here(&format!("`{key}` has no meaning beside [object.attributes]")));
        }
    }
    if file.accepts.is_some() && file.attributes.is_none() {
        return Err(here("`accepts` has a meaning beside [object.attributes] only"));
    }
    Ok(())
}

fn scaler_unit(file: &ObjectFile, instance: ObisCode) -> Result<ScalerUnit, Problem> {
    let unit = match &file.unit {
        Some(symbol) => Unit::from_symbol(symbol.get_ref())
            .ok_or_else(|| Problem::At(symbol.span(), format!("`{}` is not the symbol of a unit", symbol.get_ref())))?,
        None => unit_of(instance).ok_or_else(|| here("the unit does not follow from the code: give one"))?,
    };
    Ok(ScalerUnit { scaler: file.scaler.unwrap_or(0), unit })
}

fn demand(file: &ObjectFile, instance: ObisCode) -> Result<(Quantity, u8, NumberFormat), Problem> {
    let [_, _, c, _, rate, _] = instance.0;
    let quantity = Quantity::from_group_c(c).ok_or_else(|| here("value group C names no power"))?;
    if usize::from(rate) > RATES {
        return Err(here("value group E names a tariff from 0 to 8"));
    }
    let kind = file.kind.ok_or_else(|| here("a measured value needs a type"))?;
    let format = NumberFormat::new(kind, file.scaler.unwrap_or(0));
    Ok((quantity, rate, format.ok_or_else(|| here("the type is not that of a number"))?))
}

/// A value that stays: text as an octet-string unless a type is given, a number only with a type.
fn stored(
    file: &ObjectFile,
    initial: &Spanned<Initial>,
    slot: usize,
    limit: Option<(LimitKind, f64)>,
) -> Result<Source, Problem> {
    let mut buffer = [0; 256];
    let mut out = Writer::new(&mut buffer);
    let written = match (initial.get_ref(), file.kind) {
        (Initial::Text(text), None | Some(TypeName::OctetString)) => out.octets(text.as_bytes()).is_ok(),
        (Initial::Text(text), Some(TypeName::VisibleString)) => out.visible_string(text).is_ok(),
        (Initial::Number(number), Some(kind)) => write_integer(kind, *number, &mut out).is_ok(),
        (Initial::Number(_), None) => return Err(here("a number needs a type")),
        (Initial::Text(_), Some(_)) => false,
    };
    if written {
        Ok(Source::Stored { slot, initial: out.written().to_vec(), limit })
    } else {
        Err(Problem::At(initial.span(), "the value does not fit its type, or is longer than 250 octets".to_owned()))
    }
}

/// `8:0.0.1.0.0:2`.
pub(super) fn column(text: &str) -> Option<CaptureObject> {
    let (class, rest) = text.split_once(':')?;
    let (instance, attribute) = rest.rsplit_once(':')?;
    let (class, attribute) = (ClassId(class.parse().ok()?), AttributeId(attribute.parse().ok()?));
    Some(CaptureObject::whole(class, instance.parse().ok()?, attribute))
}
