//! `head-end firmware`.

mod campaigns;
mod images;

use clap::{Args, Subcommand};
use dlms_proto::v1::{
    ActivateFirmwareRequest, ActivateFirmwareSpec, GetFirmwareVersionsRequest, GetFirmwareVersionsSpec,
    firmware_client::FirmwareClient,
};

use super::{
    ClientOptions, Exit, Failure, client,
    instruct::{self, How, With},
};
use crate::store::ImageId;

/// Bring firmware to meters.
#[derive(Debug, Subcommand)]
pub(super) enum Firmware {
    /// Upload an image
    Upload(images::Upload),
    /// List images
    Images(images::List),
    /// Remove an image
    DeleteImage(images::Delete),
    /// Make a campaign, which brings an image to meters in waves
    Campaign(Box<campaigns::Create>),
    /// List campaigns, the newest first
    Campaigns(campaigns::List),
    /// Show a campaign
    Show(campaigns::One),
    /// Follow a campaign to its end
    Watch(campaigns::One),
    /// Begin no further meter of a campaign
    Pause(campaigns::Change),
    /// Go on with a campaign that was paused or stopped
    Resume(campaigns::Change),
    /// Withdraw a campaign
    Abort(campaigns::Change),
    /// Read what meters run
    Versions(Versions),
    /// Activate an image that meters have verified
    Activate(Activate),
}

/// Read what meters run.
#[derive(Debug, Args)]
pub(super) struct Versions {
    #[command(flatten)]
    with: With,
    /// Data object to read; may be given more than once [default: the usual firmware identifiers]
    #[arg(long = "object", value_parser = client::obis, value_name = "OBIS")]
    objects: Vec<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    client: ClientOptions,
}

/// Activate an image that meters have verified.
#[derive(Debug, Args)]
pub(super) struct Activate {
    /// The image
    #[arg(long, value_parser = image_name)]
    image: String,
    #[command(flatten)]
    with: With,
    #[command(flatten)]
    objects: Objects,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    client: ClientOptions,
}

/// Objects of meters.
#[derive(Clone, Debug, Args)]
struct Objects {
    /// The image transfer object [default: 0-0:44.0.0]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    object: Option<String>,
    /// The active firmware identifier [default: 1-0:0.2.0]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    identifier: Option<String>,
}

fn image_name(text: &str) -> Result<String, String> {
    let id: Result<ImageId, _> = text.strip_prefix("images/").unwrap_or(text).parse();
    id.map(ImageId::resource_name).map_err(|_| format!("{text:?} is not the name of an image: 32 hexadecimal digits"))
}

impl Firmware {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::Upload(command) => &command.client,
            Self::Images(command) => &command.client,
            Self::DeleteImage(command) => &command.client,
            Self::Campaign(command) => &command.client,
            Self::Campaigns(command) => &command.client,
            Self::Show(command) | Self::Watch(command) => &command.client,
            Self::Pause(command) | Self::Resume(command) | Self::Abort(command) => &command.client,
            Self::Versions(command) => &command.client,
            Self::Activate(command) => &command.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let options = self.client().clone();
        let mut firmware = FirmwareClient::new(options.connect().await?);
        match self {
            Self::Upload(command) => command.run(&mut firmware).await,
            Self::Images(command) => command.run(&mut firmware).await,
            Self::DeleteImage(command) => command.run(&mut firmware).await,
            Self::Campaign(command) => command.run(&mut firmware).await,
            Self::Campaigns(command) => command.run(&mut firmware).await,
            Self::Show(command) => command.show(&mut firmware).await,
            Self::Watch(command) => command.watch(&mut firmware).await,
            Self::Pause(command) => command.pause(&mut firmware).await,
            Self::Resume(command) => command.resume(&mut firmware).await,
            Self::Abort(command) => command.abort(&mut firmware).await,
            Self::Versions(Versions { with, objects, how, .. }) => {
                let spec = Some(GetFirmwareVersionsSpec { objects });
                let (target, instruction) = (with.target(), how.instruction());
                let request = GetFirmwareVersionsRequest { target, spec, instruction };
                let answer = firmware.get_firmware_versions(options.request(request)).await?;
                instruct::conclude(&options, answer.into_inner()).await
            }
            Self::Activate(Activate { image, with, objects, how, .. }) => {
                let spec = Some(ActivateFirmwareSpec {
                    image,
                    object: objects.object.unwrap_or_default(),
                    identifier: objects.identifier.unwrap_or_default(),
                    activate_timeout: None,
                });
                let (target, instruction) = (with.target(), how.instruction());
                let request = ActivateFirmwareRequest { target, spec, instruction };
                let answer = firmware.activate_firmware(options.request(request)).await?;
                instruct::conclude(&options, answer.into_inner()).await
            }
        }
    }
}
