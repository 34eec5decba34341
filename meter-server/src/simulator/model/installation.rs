//! What a model file says about the installations that its meters are in.
//!
//! Either `kind` names a kind of customer, whose consumption over day, week and year is built in, or the tables `import`
//! and `export` describe consumption and generation by hours:
//!
//! ```toml
//! [installation]
//! installed = "2024-01-01T00:00:00+01:00"
//! voltage = 230.0
//! frequency = 50.0
//! generation-share = 0.3       # part of the meters that have generation
//! kind = "household"           # or "commercial" or "industrial"
//! kwh-per-year = 3500.0        # mean of all meters without generation; a usual one of the kind when absent
//! generation-peak-kw = 8.0     # mean of the generators, 8 kW when absent
//! latitude = 50.0              # where the sun shines on them, 50 degrees north when absent
//! ```

use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::ModelError;
use super::error::Places;
use super::schema::Parsed;
use crate::simulator::consumption::{Customer, CustomerKind, Installation, Irregularity, Shape, Spread, Tangents};

/// How far quarters of an hour stray from the weight of their hour.
const QUARTERS_IRREGULARITY: f64 = 0.4;
/// Mean peak power of generators where nothing is said, in kilowatts.
const USUAL_PEAK_KW: f64 = 8.0;
/// Latitude where nothing is said.
const USUAL_LATITUDE: f64 = 50.0;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct InstallationFile {
    installed: Parsed<jiff::Timestamp>,
    voltage: f64,
    frequency: f64,
    /// Whether there is one phase only: all of the load is on L1 then.
    #[serde(default)]
    single_phase: bool,
    /// Part of the meters that have generation.
    generation_share: Spanned<f64>,
    /// Kind of customer.
    kind: Option<Spanned<KindFile>>,
    /// Mean energy of a year without generation (with `kind`).
    kwh_per_year: Option<Spanned<f64>>,
    /// Mean peak power of a generator (with `kind`).
    generation_peak_kw: Option<Spanned<f64>>,
    /// Degrees north of the equator (with `kind`).
    latitude: Option<Spanned<f64>>,
    /// Consumption (without `kind`).
    import: Option<LoadFile>,
    /// Generation (without `kind`). Hours with a weight import nothing at meters that have generation.
    export: Option<LoadFile>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindFile {
    /// Flats and houses: peaks at noon and in the evening, more in winter.
    Household,
    /// Shops and offices: working hours, half a Saturday.
    Commercial,
    /// Factories of two shifts over a base load.
    Industrial,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LoadFile {
    wh_per_day: Spanned<f64>,
    /// Swing over the year, from 0 to 1.
    season: f64,
    /// Day of the year with the highest value.
    season_peak: f64,
    /// How far a day strays from the average, from 0 to 1.
    irregularity: Spanned<f64>,
    /// Weight of each hour.
    hours: Spanned<[f64; 24]>,
}

impl InstallationFile {
    pub(super) fn compile(&self, places: &Places<'_>, time_zone_min: i16) -> Result<Installation, ModelError> {
        let generation_share = *self.generation_share.get_ref();
        let here = |message: &str| places.error(self.generation_share.span(), message);
        if !(0.0..=1.0).contains(&generation_share) {
            return Err(here("the share of meters with generation is from 0 to 1"));
        }
        if !(self.voltage > 0.0 && self.frequency > 0.0) {
            return Err(here("voltage and frequency are above 0"));
        }
        let of_kind = [&self.kwh_per_year, &self.generation_peak_kw, &self.latitude];
        if self.kind.is_none()
            && let Some(given) = of_kind.into_iter().flatten().next()
        {
            return Err(places.error(given.span(), "this belongs to a kind of customer, which is not given"));
        }
        let (customer, spread, tangents) = match (&self.kind, &self.import, &self.export) {
            (Some(kind), None, None) => self.customer(places, *kind.get_ref())?,
            (None, Some(import), Some(export)) => {
                (by_hours(places, import, export)?, Spread::Even, Tangents::default())
            }
            (Some(kind), _, _) => {
                return Err(places.error(kind.span(), "a kind of customer comes without import and export"));
            }
            (None, _, _) => return Err(here("an installation has a kind, or import and export")),
        };
        let Customer { import, import_beside_generation, export } = customer;
        Ok(Installation {
            import: import.0,
            import_daily_wh: import.1,
            import_beside_generation: import_beside_generation.0,
            import_beside_generation_daily_wh: import_beside_generation.1,
            export: export.0,
            export_daily_wh: export.1,
            generation_share,
            spread,
            installed_ms: self.installed.0.as_millisecond(),
            standard_offset_ms: -60_000 * i64::from(time_zone_min),
            voltage: self.voltage,
            frequency: self.frequency,
            single_phase: self.single_phase,
            tangents,
        })
    }

    fn customer(&self, places: &Places<'_>, kind: KindFile) -> Result<(Customer, Spread, Tangents), ModelError> {
        let kind = match kind {
            KindFile::Household => CustomerKind::Household,
            KindFile::Commercial => CustomerKind::Commercial,
            KindFile::Industrial => CustomerKind::Industrial,
        };
        let number = |given: &Option<Spanned<f64>>, usual: f64, range: std::ops::RangeInclusive<f64>, what: &str| {
            let Some(given) = given else { return Ok(usual) };
            if range.contains(given.get_ref()) {
                return Ok(*given.get_ref());
            }
            let message = format!("{what} is from {} to {}", range.start(), range.end());
            Err(places.error(given.span(), message))
        };
        let yearly = number(&self.kwh_per_year, kind.usual_kwh_per_year(), 0.0..=3.6e6, "the energy of a year in kWh")?;
        let peak = number(&self.generation_peak_kw, USUAL_PEAK_KW, 0.0..=1e3, "the peak power of generators in kW")?;
        let latitude = number(&self.latitude, USUAL_LATITUDE, -66.0..=66.0, "the latitude in degrees north")?;
        Ok((Customer::new(kind, yearly, peak, latitude), Spread::Logarithmic(kind.spread()), kind.tangents()))
    }
}

/// Consumption and generation as the tables have them. Hours of generation import nothing.
fn by_hours(places: &Places<'_>, import: &LoadFile, export: &LoadFile) -> Result<Customer, ModelError> {
    import.check(places)?;
    export.check(places)?;
    let mut beside_hours = *import.hours.get_ref();
    for (hour, generated) in beside_hours.iter_mut().zip(export.hours.get_ref()) {
        if *generated > 0.0 {
            *hour = 0.0;
        }
    }
    let (daily, generated) = (*import.wh_per_day.get_ref(), *export.wh_per_day.get_ref());
    Ok(Customer {
        import: (Arc::new(import.shape(import.hours.get_ref())), daily),
        import_beside_generation: (Arc::new(import.shape(&beside_hours)), daily),
        export: (Arc::new(export.shape(export.hours.get_ref())), generated),
    })
}

impl LoadFile {
    fn shape(&self, hours: &[f64; 24]) -> Shape {
        let days = *self.irregularity.get_ref();
        let irregularity = Irregularity { weeks: 0.1, days, quarters: QUARTERS_IRREGULARITY };
        Shape::from_hours(self.season, self.season_peak, irregularity, hours)
    }

    /// Season and irregularity together leave something of each day.
    fn check(&self, places: &Places<'_>) -> Result<(), ModelError> {
        let irregularity = *self.irregularity.get_ref();
        if !(self.season >= 0.0 && irregularity >= 0.0 && self.season + irregularity < 1.0) {
            let message = "season and irregularity are not negative and below 1 together, so that registers never fall";
            return Err(places.error(self.irregularity.span(), message));
        }
        if !(0.0..=1e7).contains(self.wh_per_day.get_ref()) {
            return Err(places.error(self.wh_per_day.span(), "the energy of a day is from 0 to 10 MWh"));
        }
        if !self.hours.get_ref().iter().all(|weight| (0.0..=1e6).contains(weight)) {
            return Err(places.error(self.hours.span(), "the weight of an hour is from 0 to a million"));
        }
        Ok(())
    }
}
