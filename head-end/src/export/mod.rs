//! Captures as files for others: CSV, Parquet, and MeterReadings of IEC 61968-9 in XML and JSON.
//!
//! An [`Encoder`] is given captures in order, meter after meter, and hands out octets as it goes: a file of any
//! length needs no more memory than a page of captures.

mod csv;
mod meter_readings;
#[cfg(feature = "parquet")]
mod parquet;
mod reading_type;
pub(crate) mod row;

use std::collections::HashMap;

use dlms::obis::ObisCode;

pub use self::reading_type::ReadingType;
use crate::store::StoredCapture;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, one line for each value.
    Csv,
    /// Apache Parquet, one row for each value.
    #[cfg(feature = "parquet")]
    Parquet,
    /// MeterReadings of IEC 61968-9 in XML.
    MeterReadingsXml,
    /// The same in JSON.
    MeterReadingsJson,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Writing failed.
    #[error("cannot write: {0}")]
    Io(#[from] std::io::Error),
    /// A line of CSV could not be written.
    #[error("cannot write CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// JSON could not be written.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Parquet could not be written.
    #[cfg(feature = "parquet")]
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

/// Captures of one meter in ascending order of time.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The captures; at least one.
    pub captures: &'a [StoredCapture],
    /// Seconds between two rows of a profile, where they are known and fixed.
    pub periods: &'a HashMap<ObisCode, u32>,
}

/// Makes a file of captures.
pub trait Encoder: Send {
    /// Adds captures, and appends to `out` what of the file is
    /// complete.
    ///
    /// # Errors
    /// [`ExportError`]; the file is then of no use.
    fn page(&mut self, page: &Page<'_>, out: &mut Vec<u8>) -> Result<(), ExportError>;

    /// Appends the rest of the file.
    ///
    /// # Errors
    /// [`ExportError`].
    fn finish(self: Box<Self>, out: &mut Vec<u8>) -> Result<(), ExportError>;
}

impl Format {
    /// An encoder of this format.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn encoder(self) -> Result<Box<dyn Encoder>, ExportError> {
        Ok(match self {
            Self::Csv => Box::new(csv::Csv::default()),
            #[cfg(feature = "parquet")]
            Self::Parquet => Box::new(parquet::Parquet::new()?),
            Self::MeterReadingsXml => Box::new(meter_readings::Xml::default()),
            Self::MeterReadingsJson => Box::new(meter_readings::Json::default()),
        })
    }

    /// The media type of the file.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            #[cfg(feature = "parquet")]
            Self::Parquet => "application/vnd.apache.parquet",
            Self::MeterReadingsXml => "application/xml",
            Self::MeterReadingsJson => "application/json",
        }
    }
}

#[cfg(test)]
mod tests;
