//! `head-end groups`.

use clap::{Args, Subcommand};
use dlms_proto::v1::{
    CreateGroupRequest, DeleteGroupRequest, Group, ListGroupsRequest, MeterNames, MeterSelector, group::Members,
};
use serde_json::{Value, json};

use super::{
    ClientOptions, Exit, Failure, Format, client,
    json::{object, text, time},
    meters, output,
};

/// Selections of meters that have a name.
#[derive(Debug, Subcommand)]
pub(super) enum Groups {
    /// Make a group
    Create(Create),
    /// Show groups
    List(List),
    /// Remove a group; its meters stay
    Delete(Delete),
}

/// Make a group.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name
    #[arg(value_parser = client::group_name)]
    group: String,
    /// Meters with this label, KEY=VALUE; may be given more than once: then with all of them
    #[arg(long = "label", value_parser = meters::label, value_name = "KEY=VALUE", required_unless_present = "meters")]
    labels: Vec<(String, String)>,
    /// This meter; may be given more than once
    #[arg(long = "meter", value_parser = client::meter_name, conflicts_with = "labels")]
    meters: Vec<String>,
    /// Name for people
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    display_name: String,
    /// Whose it is
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TENANT")]
    tenant: String,
    #[command(flatten)]
    client: ClientOptions,
}

/// Show groups.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    client: ClientOptions,
}

/// Remove a group.
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The group
    #[arg(value_parser = client::group_name)]
    group: String,
    #[command(flatten)]
    client: ClientOptions,
}

impl Groups {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::Create(command) => &command.client,
            Self::List(command) => &command.client,
            Self::Delete(command) => &command.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let format = self.client().format;
        let mut registry = self.client().registry().await?;
        match self {
            Self::Create(command) => {
                let members = match command.meters.is_empty() {
                    true => Members::Selector(MeterSelector { labels: command.labels.into_iter().collect() }),
                    false => Members::Meters(MeterNames { meters: command.meters }),
                };
                let group = Group {
                    name: command.group,
                    display_name: command.display_name,
                    members: Some(members),
                    tenant: command.tenant,
                    ..Group::default()
                };
                let request = command.client.request(CreateGroupRequest { group: Some(group) });
                show(&[registry.create_group(request).await?.into_inner()], format);
            }
            Self::List(command) => {
                let mut groups = Vec::new();
                let mut page_token = String::new();
                loop {
                    let request = ListGroupsRequest { page_size: 1_000, page_token };
                    let page = registry.list_groups(command.client.request(request)).await?.into_inner();
                    groups.extend(page.groups);
                    page_token = page.next_page_token;
                    if page_token.is_empty() {
                        break;
                    }
                }
                show(&groups, format);
            }
            Self::Delete(command) => {
                let request = DeleteGroupRequest { name: command.group.clone() };
                registry.delete_group(command.client.request(request)).await?;
                match format {
                    Format::Json => output::print_json(&json!({ "deleted": command.group })),
                    Format::Table => output::print(format_args!("{} deleted", command.group)),
                }
            }
        }
        Ok(Exit::Success)
    }
}

fn show(groups: &[Group], format: Format) {
    let mut table = output::table(&["GROUP", "MEMBERS", "TENANT", "NAME"]);
    for group in groups {
        let members = match &group.members {
            Some(Members::Selector(of)) => {
                of.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
            }
            Some(Members::Meters(of)) => format!("{} meters", of.meters.len()),
            None => String::new(),
        };
        match format {
            Format::Json => output::print_json(&to_json(group)),
            Format::Table => {
                let name = group.name.trim_start_matches("groups/").to_owned();
                table.add_row([name, members, group.tenant.clone(), group.display_name.clone()]);
            }
        }
    }
    if format == Format::Table {
        output::print_table(&table);
    }
}

fn to_json(of: &Group) -> Value {
    let (labels, meters) = match &of.members {
        Some(Members::Selector(of)) => (json!(of.labels), Value::Null),
        Some(Members::Meters(of)) => (Value::Null, json!(of.meters)),
        None => (Value::Null, Value::Null),
    };
    object([
        ("name", json!(of.name)),
        ("display_name", text(&of.display_name)),
        ("labels", labels),
        ("meters", meters),
        ("tenant", text(&of.tenant)),
        ("create_time", time(of.create_time.as_ref())),
    ])
}
