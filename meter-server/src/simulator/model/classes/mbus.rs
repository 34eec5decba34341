//! M-Bus clients (class 72), the values of their devices, and the devices themselves: `[object.mbus-client]` and
//! `[[mbus-device]]`.

use dlms::cosem::mbus_client::manufacturer_id;
use dlms::obis::ObisCode;
use serde::Deserialize;
use toml::Spanned;

use crate::mbus::{CHANNELS, Element};
use crate::objects::{ChannelValve, DisconnectControl, MBusClient, MBusValue, Switch};
use crate::simulator::meter::mbus::{DEVICES_MAX, DeviceKind, ModelClient, ModelDevice, ModelMbus};
use crate::simulator::model::error::Places;
use crate::simulator::model::objects::{Built, Problem, here};
use crate::simulator::model::{ModelError, SharedObject};

/// Days of a year.
const YEAR: f64 = 365.25;
/// The most that a device may count in a year: what fits 32 bits for forty years.
const PER_YEAR: std::ops::RangeInclusive<f64> = 0.0..=100_000.0;

/// A meter on the M-Bus.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct DeviceFile {
    kind: KindFile,
    /// The channel that it is installed on; it waits to be installed when absent.
    channel: Option<u8>,
    /// Three capitals.
    manufacturer: String,
    #[serde(default)]
    version: u8,
    /// Cubic metres, or gigajoules, in a year on the average.
    per_year: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindFile {
    Gas,
    Heat,
    WarmWater,
    Water,
}

/// An M-Bus client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct ClientFile {
    /// Seconds between captures.
    capture_period: u32,
    /// Data and value information block of each value, in hexadecimal digits; all that the device has when absent.
    #[serde(default)]
    capture: Option<Vec<[String; 2]>>,
}

/// The devices of a model.
pub(in crate::simulator::model) fn devices(
    places: &Places<'_>,
    files: &[Spanned<DeviceFile>],
    mut mbus: ModelMbus,
) -> Result<ModelMbus, ModelError> {
    for spanned in files {
        let file = spanned.get_ref();
        let error = |message: &str| Err(places.error(spanned.span(), message));
        let Some(manufacturer) = manufacturer_id(&file.manufacturer) else {
            return error("the manufacturer of an M-Bus device has three capitals");
        };
        if let Some(channel) = file.channel {
            if !mbus.clients.contains_key(&channel) {
                return error("the channel of an M-Bus device is that of an object of class 72");
            }
            if mbus.devices.iter().any(|device| device.channel == file.channel) {
                return error("a channel has one M-Bus device");
            }
        }
        if mbus.devices.len() >= DEVICES_MAX {
            return error("a meter has at most eight M-Bus devices");
        }
        if !PER_YEAR.contains(&file.per_year) {
            return error("an M-Bus device counts from 0 to 100000 in a year");
        }
        let kind = match file.kind {
            KindFile::Gas => DeviceKind::Gas,
            KindFile::Heat => DeviceKind::Heat,
            KindFile::WarmWater => DeviceKind::WarmWater,
            KindFile::Water => DeviceKind::Water,
        };
        let daily = file.per_year * 1_000.0 / YEAR;
        mbus.devices.push(ModelDevice { kind, channel: file.channel, manufacturer, version: file.version, daily });
    }
    Ok(mbus)
}

/// The channel that value group B names.
pub(in crate::simulator::model) fn channel(instance: ObisCode) -> Result<u8, Problem> {
    let [_, channel, ..] = instance.0;
    let known = (1..=CHANNELS).contains(&channel);
    known.then_some(channel).ok_or_else(|| here("value group B names an M-Bus channel from 1 to 4"))
}

/// Builds an M-Bus client.
pub(in crate::simulator::model) fn client(
    file: &ClientFile,
    version: u8,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    if version > 1 {
        return Err(here("class 72 has versions 0 and 1 here"));
    }
    let channel = channel(instance)?;
    let element = |[data, value]: &[String; 2]| Element::new(&hex::decode(data).ok()?, &hex::decode(value).ok()?);
    let definition = match &file.capture {
        None => None,
        Some(blocks) => {
            let mut definition = heapless::Vec::new();
            for block in blocks {
                let element = element(block).ok_or_else(|| here("information blocks have up to eleven octets"))?;
                definition.push(element).map_err(|_| here("at most four values are captured"))?;
            }
            Some(definition)
        }
    };
    let port = ObisCode::new(0, channel, 24, 6, 0, 255);
    let client = ModelClient { port, period_s: file.capture_period, definition };
    if built.mbus.clients.insert(channel, client).is_some() {
        return Err(here("a channel has one M-Bus client"));
    }
    Ok(Box::new(MBusClient { instance, version }))
}

/// Builds the object of a value.
pub(in crate::simulator::model) fn value(instance: ObisCode) -> Result<SharedObject, Problem> {
    channel(instance)?;
    let [0, _, 24, 2, 1..=4, _] = instance.0 else {
        return Err(here("the values of M-Bus devices are 0-b:24.2.1 to 0-b:24.2.4"));
    };
    Ok(Box::new(MBusValue { instance }))
}

/// Builds the disconnect control of a device; `None` for that of the supply.
pub(in crate::simulator::model) fn valve(
    switch: Switch,
    instance: ObisCode,
    built: &mut Built,
) -> Result<Option<SharedObject>, Problem> {
    let [0, _, 24, 4, 0, _] = instance.0 else { return Ok(None) };
    let channel = channel(instance)?;
    built.mbus.valves.insert(channel, switch);
    Ok(Some(Box::new(DisconnectControl { instance, place: ChannelValve(channel) })))
}
