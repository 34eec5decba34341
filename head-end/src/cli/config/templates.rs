//! `head-end config template`: templates that the head-end keeps.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dlms_proto::v1::{
    ConfigurationTemplate, CreateTemplateRequest, DeleteTemplateRequest, GetTemplateRequest, ListTemplatesRequest,
    StoredTemplate, configuration_client::ConfigurationClient,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::files;
use crate::cli::{ClientOptions, Exit, Failure, Format, json, output, value};

/// Keep, show and remove templates.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Templates {
    /// Keep a template as the next revision of its name
    Create(Create),
    /// Show a template
    Show(Named),
    /// List the newest revisions
    List(List),
    /// Remove a template, or one revision of it
    Delete(Named),
}

/// Keep a template.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// Its name
    name: String,
    /// File in TOML, see docs/configuration.md
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The revision that it is to be, so that a repetition makes no other [default: the next]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    revision: u32,
    #[command(flatten)]
    client: ClientOptions,
}

/// One template.
#[derive(Debug, Args)]
pub(in crate::cli) struct Named {
    /// NAME, or NAME@REVISION
    #[arg(value_parser = name)]
    name: String,
    #[command(flatten)]
    client: ClientOptions,
}

/// All templates.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    client: ClientOptions,
}

/// A template as users name it: `dc`, `dc@3`, or as the API does.
pub(super) fn name(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("templates/").unwrap_or(text);
    match rest.split_once('@') {
        Some((name, revision)) => match revision.parse::<u32>() {
            Ok(revision) => Ok(format!("templates/{name}/revisions/{revision}")),
            Err(_) => Err(format!("{text:?} is not NAME@REVISION")),
        },
        None => Ok(format!("templates/{rest}")),
    }
}

impl Templates {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::Create(of) => &of.client,
            Self::Show(of) | Self::Delete(of) => &of.client,
            Self::List(of) => &of.client,
        }
    }

    pub(super) async fn run(self, mut client: ConfigurationClient<Channel>) -> Result<Exit, Failure> {
        let options = self.client().clone();
        match self {
            Self::Create(Create { name, file, revision, .. }) => {
                let template = Some(files::template(&file)?);
                let request = CreateTemplateRequest { template_id: name, template, revision };
                print(options.format, &client.create_template(options.request(request)).await?.into_inner());
            }
            Self::Show(Named { name, .. }) => {
                let request = options.request(GetTemplateRequest { name });
                print(options.format, &client.get_template(request).await?.into_inner());
            }
            Self::Delete(Named { name, .. }) => {
                client.delete_template(options.request(DeleteTemplateRequest { name })).await?;
            }
            Self::List(_) => {
                let mut request = ListTemplatesRequest::default();
                let mut table = output::table(&["TEMPLATE", "REVISION", "ATTRIBUTES", "MADE (UTC)", "BY"]);
                loop {
                    let page = client.list_templates(options.request(request)).await?.into_inner();
                    for of in &page.templates {
                        match options.format {
                            Format::Json => output::print_json(&to_json(of)),
                            Format::Table => {
                                let attributes = of.template.as_ref().map_or(0, |of| of.attributes.len());
                                let name = of.name.trim_start_matches("templates/");
                                table.add_row([
                                    name.split('/').next().unwrap_or_default().to_owned(),
                                    of.revision.to_string(),
                                    attributes.to_string(),
                                    output::time_text(of.create_time.as_ref()),
                                    of.creator.clone(),
                                ]);
                            }
                        }
                    }
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request = ListTemplatesRequest { page_token: page.next_page_token, ..Default::default() };
                }
                if options.format == Format::Table {
                    output::print_table(&table);
                }
            }
        }
        Ok(Exit::Success)
    }
}

fn print(format: Format, of: &StoredTemplate) {
    if format == Format::Json {
        return output::print_json(&to_json(of));
    }
    output::print(&of.name);
    let mut table = output::table(&["CLASS", "OBIS", "ATTRIBUTE", "VALUE"]);
    for of in of.template.iter().flat_map(|of| &of.attributes) {
        let attribute = of.attribute.clone().unwrap_or_default();
        let shown = of.value.as_ref().map(value::show).unwrap_or_default();
        table.add_row([attribute.class_id.to_string(), attribute.obis, attribute.attribute.to_string(), shown]);
    }
    output::print_table(&table);
}

fn to_json(of: &StoredTemplate) -> Value {
    let contents = |of: &ConfigurationTemplate| {
        let attributes = of.attributes.iter().map(|of| {
            let attribute = of.attribute.clone().unwrap_or_default();
            json!({
                "class_id": attribute.class_id,
                "obis": attribute.obis,
                "attribute": attribute.attribute,
                "value": of.value.as_ref().map(json::value),
            })
        });
        json!({ "name": of.name, "attributes": attributes.collect::<Vec<_>>() })
    };
    json::object([
        ("name", json!(of.name)),
        ("revision", json!(of.revision)),
        ("template", of.template.as_ref().map_or(Value::Null, contents)),
        ("creator", json!(of.creator)),
        ("create_time", json::time(of.create_time.as_ref())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_named_with_or_without_a_revision() {
        assert_eq!(name("dc").unwrap(), "templates/dc");
        assert_eq!(name("dc@3").unwrap(), "templates/dc/revisions/3");
        assert_eq!(name("templates/dc").unwrap(), "templates/dc");
        assert!(name("dc@x").is_err());
    }
}
