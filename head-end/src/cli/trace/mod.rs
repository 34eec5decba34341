//! `head-end trace`.

mod pcap;

use std::{fs::File, io::BufWriter, path::PathBuf};

use clap::Args;
use dlms_proto::v1::{
    TraceDirection, TraceFraming, TraceMeterRequest, TraceMeterResponse, admin_client::AdminClient,
    trace_meter_response::Said,
};
use serde_json::json;

use self::pcap::Pcap;
use super::{
    ClientOptions, Exit, Failure, Format, client,
    output::{self, time_text},
};
use crate::config::Span;

/// Follow what is said between the head-end and a meter, as it is said; secrets are masked. Nothing is sent to the meter
/// for it: read something meanwhile, or wait for a plan.
#[derive(Debug, Args)]
pub(super) struct Trace {
    /// The meter
    #[arg(value_parser = client::meter_name, value_name = "METER")]
    meter: String,
    /// How long to follow, at most an hour
    #[arg(long = "for", default_value = "60s", value_name = "TIME")]
    span: Span,
    /// Write the octets of the line there, ciphered where they are, for Wireshark
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

impl Trace {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let failed = |error: std::io::Error| {
            let path = self.pcap.as_deref().unwrap_or_else(|| std::path::Path::new(""));
            Failure::usage(format!("cannot write {}: {error}", path.display()))
        };
        // Before the call, so that nothing is followed in vain.
        let file = self.pcap.as_ref().map(create).transpose().map_err(failed)?;
        let duration = prost_types::Duration::try_from(self.span.duration())
            .map_err(|_| Failure::usage("the time is too long"))?;
        let request = TraceMeterRequest { meter: self.meter.clone(), duration: Some(duration), octets: file.is_some() };
        let mut admin = AdminClient::new(self.client.connect().await?);
        let mut entries = admin.trace_meter(self.client.patient(request)).await?.into_inner();
        let mut file = file;
        let mut pcap = None;
        while let Some(entry) = entries.message().await? {
            if entry.lost > 0 {
                output::note(format_args!("{} entries were lost", entry.lost));
            }
            match &entry.said {
                Some(Said::Framing(framing)) => {
                    if let Some(file) = file.take() {
                        let framing = TraceFraming::try_from(*framing).unwrap_or_default();
                        pcap = Some(Pcap::begin(BufWriter::new(file), framing).map_err(failed)?);
                    }
                }
                Some(Said::Octets(octets)) => {
                    if let Some(pcap) = &mut pcap {
                        let time = entry.time.unwrap_or_default();
                        pcap.octets(entry.direction(), time.seconds, time.nanos, octets).map_err(failed)?;
                    }
                }
                Some(Said::Apdu(_)) => self.print(&entry),
                None => {}
            }
        }
        Ok(Exit::Success)
    }

    fn print(&self, entry: &TraceMeterResponse) {
        let Some(Said::Apdu(apdu)) = &entry.said else { return };
        let time = time_text(entry.time.as_ref());
        let to_meter = entry.direction() == TraceDirection::ToMeter;
        match self.client.format {
            Format::Json => output::print_json(&json!({
                "time": time,
                "direction": if to_meter { "to_meter" } else { "from_meter" },
                "length": apdu.length,
                "ciphered": apdu.ciphered,
                "text": apdu.text,
            })),
            Format::Table => {
                let arrow = if to_meter { "-->" } else { "<--" };
                output::print(format_args!("{time} {arrow} {:>5} {}", apdu.length, apdu.text));
            }
        }
    }
}

/// A file that only its owner can read.
fn create(path: &PathBuf) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
