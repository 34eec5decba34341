//! `head-end export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dlms_proto::v1::{ExportReadingsRequest, export_readings_request as ask};
use jiff::Timestamp;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{ClientOptions, Exit, Failure, client, moment, output};
use crate::api::to_timestamp;

/// Write readings of meters into a file, or to standard output.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The meters
    #[arg(value_parser = client::meter_name, required = true)]
    meters: Vec<String>,
    /// Only rows of this profile
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    profile: Option<String>,
    /// Only registers that were read by themselves
    #[arg(long, conflicts_with = "profile")]
    registers: bool,
    /// First moment: 2026-11-21T10:00:00Z, 2026-11-21 (local), yesterday, 24h (ago)
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    from: Timestamp,
    /// First moment that is no longer wanted
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    to: Timestamp,
    /// All revisions and not only the latest
    #[arg(long)]
    all_revisions: bool,
    /// Format of the file
    #[arg(long = "as", default_value = "csv", value_name = "FORMAT")]
    kind: Kind,
    /// The file; it must not be there yet. Without: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// Formats of files.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Comma-separated values
    Csv,
    /// Apache Parquet
    Parquet,
    /// MeterReadings of IEC 61968-9 in XML
    Xml,
    /// MeterReadings of IEC 61968-9 in JSON
    Json,
}

impl Export {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut data = self.client.data().await?;
        let request = ExportReadingsRequest {
            meters: self.meters,
            profile: self.profile.unwrap_or_default(),
            registers_only: self.registers,
            from: Some(to_timestamp(self.from)),
            to: Some(to_timestamp(self.to)),
            all_revisions: self.all_revisions,
            format: match self.kind {
                Kind::Csv => ask::Format::Csv,
                Kind::Parquet => ask::Format::Parquet,
                Kind::Xml => ask::Format::MeterReadingsXml,
                Kind::Json => ask::Format::MeterReadingsJson,
            }
            .into(),
        };
        let mut pieces = data.export_readings(self.client.request(request)).await?.into_inner();
        let failed = |error| Failure::start(&error);
        // Opened only after the head-end has taken the request: a wrong one leaves no file behind.
        let mut file: Box<dyn AsyncWrite + Unpin + Send> = match &self.output {
            Some(path) => Box::new(tokio::fs::File::create_new(path).await.map_err(failed)?),
            None => Box::new(tokio::io::stdout()),
        };
        let mut octets = 0;
        while let Some(piece) = pieces.message().await? {
            octets += piece.octets.len();
            file.write_all(&piece.octets).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        if let Some(path) = &self.output {
            output::note(format_args!("{octets} octets in {}", path.display()));
        }
        Ok(Exit::Success)
    }
}
