//! `head-end discover`.

use clap::Args;
use dlms_proto::v1::DiscoverObjectsRequest;
use serde_json::json;

use super::{ClientOptions, Exit, Failure, Format, client, json, output};

/// Read the object list of a meter.
#[derive(Debug, Args)]
pub(super) struct Discover {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// Show the list of the last time without asking the meter
    #[arg(long)]
    cached: bool,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

impl Discover {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let request = DiscoverObjectsRequest { meter: self.meter, cached: self.cached };
        let response = reading.discover_objects(self.client.request(request)).await?.into_inner();
        match self.client.format {
            Format::Json => output::print_json(&json!({
                "objects": response.objects.iter().map(json::cosem_object).collect::<Vec<_>>(),
                "profiles": response.profiles.iter().map(json::layout).collect::<Vec<_>>(),
                "read_time": output::time_text(response.read_time.as_ref()),
            })),
            Format::Table => {
                let mut table = output::table(&["CLASS", "VERSION", "OBIS", "ATTRIBUTES", "METHODS"]);
                for object in &response.objects {
                    let ids = |of: &[dlms_proto::v1::Access]| {
                        of.iter().map(|access| access.id.to_string()).collect::<Vec<_>>().join(" ")
                    };
                    table.add_row([
                        object.class_id.to_string(),
                        object.version.to_string(),
                        object.obis.clone(),
                        ids(&object.attributes),
                        ids(&object.methods),
                    ]);
                }
                output::print_table(&table);
            }
        }
        Ok(Exit::Success)
    }
}
