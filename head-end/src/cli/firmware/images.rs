//! Images on the command line.

use std::{io::Read, path::PathBuf};

use clap::Args;
use dlms_proto::v1::{
    DeleteImageRequest, FirmwareImage, ImageHeader, ListImagesRequest, UploadImageRequest,
    firmware_client::FirmwareClient, upload_image_request::Part,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::image_name;
use crate::cli::{
    ClientOptions, Exit, Failure, Format,
    json::{object, text, time},
    output,
};

/// Octets of a message.
const PART: usize = 256 * 1024;
/// Messages read ahead of the connection.
const AHEAD: usize = 4;

/// Upload an image.
#[derive(Debug, Args)]
pub(in crate::cli) struct Upload {
    /// The file
    file: PathBuf,
    /// image_identifier as the maker gives it: text, or hex: and hexadecimal digits
    #[arg(long, value_parser = octets, value_name = "NAME")]
    identification: Octets,
    /// What the active firmware identifier says of a meter that runs it
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    version: String,
    /// SHA-256 that the file must have
    #[arg(long, value_parser = digest, value_name = "DIGITS")]
    sha256: Option<Octets>,
    /// File with the maker's signature
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// For people
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    description: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// Octets of an option.
#[derive(Clone, Debug)]
struct Octets(Vec<u8>);

/// List images.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// Remove an image.
#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    /// The image
    #[arg(value_parser = image_name)]
    image: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

fn octets(text: &str) -> Result<Octets, String> {
    match text.strip_prefix("hex:") {
        Some(digits) => hex::decode(digits).map(Octets).map_err(|error| error.to_string()),
        None => Ok(Octets(text.as_bytes().to_vec())),
    }
}

fn digest(text: &str) -> Result<Octets, String> {
    let octets = hex::decode(text).ok().filter(|octets| octets.len() == 32);
    octets.map(Octets).ok_or_else(|| "has 64 hexadecimal digits".to_owned())
}

impl Upload {
    pub(super) async fn run(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        let cannot =
            |path: &PathBuf, error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
        let signature = match &self.signature {
            Some(path) => std::fs::read(path).map_err(|error| cannot(path, error))?,
            None => Vec::new(),
        };
        let mut file = std::fs::File::open(&self.file).map_err(|error| cannot(&self.file, error))?;
        let header = ImageHeader {
            identification: self.identification.0,
            version: self.version,
            sha256: self.sha256.map(|digest| digest.0).unwrap_or_default(),
            signature,
            description: self.description,
        };
        let (sender, receiver) = tokio::sync::mpsc::channel(AHEAD);
        let reader = tokio::task::spawn_blocking(move || {
            let mut part = Some(Part::Header(header));
            while let Some(next) = part {
                // Who refused the rest of the image says why in the answer.
                if sender.blocking_send(UploadImageRequest { part: Some(next) }).is_err() {
                    break;
                }
                let mut octets = Vec::with_capacity(PART);
                (&mut file).take(PART as u64).read_to_end(&mut octets)?;
                part = (!octets.is_empty()).then_some(Part::Octets(octets));
            }
            std::io::Result::Ok(())
        });
        let parts =
            futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let answer = firmware.upload_image(self.client.request(parts)).await;
        let read = reader.await.map_err(|error| Failure::start(&error))?;
        read.map_err(|error| cannot(&self.file, error))?;
        show(self.client.format, &[answer?.into_inner()]);
        Ok(Exit::Success)
    }
}

impl List {
    pub(super) async fn run(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        let mut images = Vec::new();
        let mut request = ListImagesRequest { page_size: 500, ..Default::default() };
        loop {
            let page = firmware.list_images(self.client.request(request.clone())).await?.into_inner();
            images.extend(page.images);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        show(self.client.format, &images);
        Ok(Exit::Success)
    }
}

impl Delete {
    pub(super) async fn run(self, firmware: &mut FirmwareClient<Channel>) -> Result<Exit, Failure> {
        firmware.delete_image(self.client.request(DeleteImageRequest { name: self.image })).await?;
        Ok(Exit::Success)
    }
}

fn show(format: Format, images: &[FirmwareImage]) {
    if format == Format::Json {
        return images.iter().for_each(|image| output::print_json(&to_json(image)));
    }
    let mut table = output::table(&["IMAGE", "IDENTIFICATION", "VERSION", "OCTETS", "MADE (UTC)", "BY", "DESCRIPTION"]);
    for image in images {
        table.add_row([
            image.name.trim_start_matches("images/").to_owned(),
            name(&image.identification),
            image.version.clone(),
            image.size.to_string(),
            output::time_text(image.create_time.as_ref()),
            image.creator.clone(),
            image.description.clone(),
        ]);
    }
    output::print_table(&table);
}

/// Octets as the option takes them.
fn name(octets: &[u8]) -> String {
    match str::from_utf8(octets) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("hex:{}", hex::encode_upper(octets)),
    }
}

fn to_json(of: &FirmwareImage) -> Value {
    object([
        ("name", json!(of.name)),
        ("sha256", json!(hex::encode(&of.sha256))),
        ("size", json!(of.size)),
        ("identification", json!(name(&of.identification))),
        ("version", text(&of.version)),
        ("signature", text(&hex::encode(&of.signature))),
        ("description", text(&of.description)),
        ("creator", text(&of.creator)),
        ("create_time", time(of.create_time.as_ref())),
    ])
}
