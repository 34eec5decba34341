//! Campaigns on the command line.

use clap::Args;
use dlms_proto::v1::{
    AbortCampaignRequest, Campaign, CampaignState, CreateCampaignRequest, FirmwareActivation, GetCampaignRequest,
    ListCampaignsRequest, PauseCampaignRequest, ResumeCampaignRequest, UpdateFirmwareSpec, WavePolicy,
    firmware_client::FirmwareClient, jobs_client::JobsClient,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{Objects, image_name};
use crate::{
    api::to_timestamp,
    cli::{
        ClientOptions, Exit, Failure, Format, client, control,
        instruct::{self, How, With},
        json::{object, text, time},
        moment, output, tasks,
    },
    config::Span,
};

/// Make a campaign.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// The image
    #[arg(long, value_parser = image_name)]
    image: String,
    #[command(flatten)]
    with: With,
    /// When a verified image is activated: `request` (by `firmware activate`), `now`, or a moment
    #[arg(long, default_value = "request", value_parser = activation, value_name = "WHEN")]
    activate: Activation,
    /// Meters of the first wave
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "canary_meters")]
    canary: u32,
    /// A meter of the first wave; may be given more than once
    #[arg(long = "canary-meter", value_parser = client::meter_name, value_name = "METER")]
    canary_meters: Vec<String>,
    /// Meters of a wave behind it; may be given more than once, and the last one repeats [default: 50, 500, 5000]
    #[arg(long = "wave", value_parser = clap::value_parser!(u32).range(1..), value_name = "METERS")]
    sizes: Vec<u32>,
    /// From the end of a wave to the next one
    #[arg(long, default_value = "1h", value_name = "TIME")]
    pause: Span,
    /// Percent of the meters let run so far that may fail before the campaign stops
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "PERCENT")]
    max_failures: u32,
    #[command(flatten)]
    objects: Objects,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

#[derive(Clone, Copy, Debug)]
enum Activation {
    OnRequest,
    Immediate,
    At(Timestamp),
}

fn activation(text: &str) -> Result<Activation, String> {
    match text {
        "request" => Ok(Activation::OnRequest),
        "now" => Ok(Activation::Immediate),
        moment => moment::parse(moment).map(Activation::At),
    }
}

/// List campaigns.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// One campaign.
#[derive(Debug, Args)]
pub(in crate::cli) struct One {
    /// The campaign
    #[arg(value_parser = campaign_name)]
    campaign: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// Change a campaign.
#[derive(Debug, Args)]
pub(in crate::cli) struct Change {
    /// The campaign
    #[arg(value_parser = campaign_name)]
    campaign: String,
    /// Why, for the audit log
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

fn campaign_name(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("campaigns/").unwrap_or(text);
    let id: Result<crate::store::JobId, _> = id.parse();
    id.map(|id| format!("campaigns/{id}")).map_err(|error| error.to_string())
}

impl Create {
    pub(super) async fn run(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        let (activation, activate_time) = match self.activate {
            Activation::OnRequest => (FirmwareActivation::OnRequest, None),
            Activation::Immediate => (FirmwareActivation::Immediate, None),
            Activation::At(when) => (FirmwareActivation::At, Some(to_timestamp(when))),
        };
        let waves = WavePolicy {
            canary: if self.canary_meters.is_empty() { self.canary } else { 0 },
            canary_meters: self.canary_meters,
            sizes: self.sizes,
            pause: Some(control::in_proto(self.pause)),
            max_failures_percent: self.max_failures,
        };
        let spec = Some(UpdateFirmwareSpec {
            image: self.image,
            object: self.objects.object.unwrap_or_default(),
            identifier: self.objects.identifier.unwrap_or_default(),
            activation: activation.into(),
            activate_time,
            waves: Some(waves),
            verify_timeout: None,
            activate_timeout: None,
        });
        let (target, instruction) = (self.with.target(), self.how.instruction());
        let request = CreateCampaignRequest { target, spec, instruction };
        let campaign = firmware.create_campaign(self.client.request(request)).await?.into_inner();
        show(self.client.format, &[campaign]);
        Ok(Exit::Success)
    }
}

impl List {
    pub(super) async fn run(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        let request = ListCampaignsRequest { page_size: self.limit, ..Default::default() };
        let campaigns = firmware.list_campaigns(self.client.request(request)).await?.into_inner().campaigns;
        show(self.client.format, &campaigns);
        Ok(Exit::Success)
    }
}

impl One {
    async fn get(&self, firmware: &mut FirmwareClient<Channel>) -> Result<Campaign, Failure> {
        let request = GetCampaignRequest { name: self.campaign.clone() };
        Ok(firmware.get_campaign(self.client.request(request)).await?.into_inner())
    }

    pub(super) async fn show(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        let campaign = self.get(firmware).await?;
        show(self.client.format, &[campaign]);
        Ok(Exit::Success)
    }

    /// Follows its job, whose tasks are the meters.
    pub(super) async fn watch(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        let job = self.get(firmware).await?.job.unwrap_or_default().name;
        let mut jobs = JobsClient::new(self.client.connect().await?);
        let job = instruct::follow(&mut jobs, &self.client, job).await?;
        let campaign = self.get(firmware).await?;
        show(self.client.format, &[campaign]);
        let counts = job.counts.unwrap_or_default();
        Ok(Exit::of(counts.succeeded == counts.total))
    }
}

impl Change {
    pub(super) async fn pause(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        let request = PauseCampaignRequest { name: self.campaign, reason: self.reason };
        show(self.client.format, &[firmware.pause_campaign(self.client.request(request)).await?.into_inner()]);
        Ok(Exit::Success)
    }

    pub(super) async fn resume(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        let request = ResumeCampaignRequest { name: self.campaign, reason: self.reason };
        show(self.client.format, &[firmware.resume_campaign(self.client.request(request)).await?.into_inner()]);
        Ok(Exit::Success)
    }

    pub(super) async fn abort(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        let request = AbortCampaignRequest { name: self.campaign, reason: self.reason };
        show(self.client.format, &[firmware.abort_campaign(self.client.request(request)).await?.into_inner()]);
        Ok(Exit::Success)
    }
}

fn state(of: CampaignState) -> &'static str {
    of.as_str_name().trim_start_matches("CAMPAIGN_STATE_")
}

fn show(format: Format, campaigns: &[Campaign]) {
    if format == Format::Json {
        return campaigns.iter().for_each(|campaign| output::print_json(&to_json(campaign)));
    }
    let head = ["CAMPAIGN", "IMAGE", "STATE", "WAVE", "LET RUN", "METERS", "DONE", "FAILED", "NEXT WAVE (UTC)", ""];
    let mut table = output::table(&head);
    for of in campaigns {
        let counts = of.job.as_ref().and_then(|job| job.counts).unwrap_or_default();
        let image = of.spec.as_ref().map(|spec| spec.image.trim_start_matches("images/").to_owned());
        table.add_row([
            of.name.trim_start_matches("campaigns/").to_owned(),
            image.unwrap_or_default(),
            state(of.state()).to_owned(),
            of.wave.to_string(),
            of.released.to_string(),
            counts.total.to_string(),
            counts.succeeded.to_string(),
            tasks::failed(&counts).to_string(),
            output::time_text(of.next_wave_time.as_ref()),
            of.stop_reason.clone(),
        ]);
    }
    output::print_table(&table);
}

fn to_json(of: &Campaign) -> Value {
    let spec = of.spec.clone().unwrap_or_default();
    object([
        ("name", json!(of.name)),
        ("image", text(&spec.image)),
        ("activation", json!(spec.activation().as_str_name().trim_start_matches("FIRMWARE_ACTIVATION_"))),
        ("activate_time", time(spec.activate_time.as_ref())),
        ("state", json!(state(of.state()))),
        ("wave", json!(of.wave)),
        ("released", json!(of.released)),
        ("next_wave_time", time(of.next_wave_time.as_ref())),
        ("stop_reason", text(&of.stop_reason)),
        ("job", of.job.as_ref().map_or(Value::Null, tasks::job_json)),
    ])
}
