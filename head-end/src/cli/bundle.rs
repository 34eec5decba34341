//! `head-end bundle`.

use clap::Args;
use dlms_proto::v1::{
    AttributeAssignment, AttributeSelector, BundleItem, BundleSpec, EntryRange, GetAttributesSpec, InvokeMethodSpec,
    ReadProfileSpec, ReadRegistersSpec, RegisterSelector, Result as MeterResult, RunBundleRequest, SetAttributesSpec,
    bundle_item::Kind, read_profile_spec::Selection,
};
use serde_json::{Value, json};

use super::{ClientOptions, Exit, Failure, Format, attributes, client, output, profile, tasks, value};

const SYNTAX: &str = "\
An ACTION is one of
  read:OBIS                        a register with its unit
  profile:OBIS[=FIRST-LAST]        rows of a profile, by position
  get:CLASS/OBIS/ATTRIBUTE         an attribute as it is
  set:CLASS/OBIS/ATTRIBUTE=VALUE   an attribute gets a value
  invoke:CLASS/OBIS/METHOD[=VALUE] a method, with its parameter

";

/// Do several things with a meter in one association, in order.
#[derive(Debug, Args)]
#[command(after_help = format!("{SYNTAX}{}", value::SYNTAX))]
pub(super) struct Bundle {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// What to do
    #[arg(required = true, value_parser = action, value_name = "ACTION")]
    actions: Vec<BundleItem>,
    /// Leave out what comes behind an action that did not succeed
    #[arg(long)]
    stop_on_error: bool,
    /// Name of this request: given again, nothing is done twice
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    request_id: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// KIND:OBJECT, and what follows an equals sign.
fn action(text: &str) -> Result<BundleItem, String> {
    let wrong = || format!("{text:?} is not an action such as read:1-0:1.8.0 or get:8/0-0:1.0.0/2");
    let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (object, given) = rest.split_once('=').map_or((rest, None), |(object, given)| (object, Some(given)));
    let kind = match (kind, given) {
        ("read", None) => {
            let register = RegisterSelector { obis: client::obis(object)?, class_id: 0 };
            Kind::ReadRegisters(ReadRegistersSpec { registers: vec![register] })
        }
        ("profile", rows) => {
            let rows: Option<EntryRange> = rows.map(profile::entries).transpose()?;
            let selection = rows.map(Selection::Entries);
            Kind::ReadProfile(ReadProfileSpec { profile: client::obis(object)?, selection })
        }
        ("get", None) => {
            let attribute = AttributeSelector { attribute: Some(attributes::attribute(object)?), selection: None };
            Kind::GetAttributes(GetAttributesSpec { attributes: vec![attribute] })
        }
        ("set", Some(new)) => {
            let (attribute, value) = (Some(attributes::attribute(object)?), Some(value::parse(new)?));
            let assignment = AttributeAssignment { attribute, selection: None, value };
            Kind::SetAttributes(SetAttributesSpec { assignments: vec![assignment] })
        }
        ("invoke", parameter) => {
            let method = attributes::attribute(object)?;
            Kind::InvokeMethod(InvokeMethodSpec {
                class_id: method.class_id,
                obis: method.obis,
                method: method.attribute,
                parameter: parameter.map(value::parse).transpose()?,
            })
        }
        _ => return Err(wrong()),
    };
    Ok(BundleItem { kind: Some(kind) })
}

impl Bundle {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let bundle = BundleSpec { items: self.actions, stop_on_error: self.stop_on_error };
        let request = RunBundleRequest { meter: self.meter, bundle: Some(bundle), request_id: self.request_id };
        let items = reading.run_bundle(self.client.request(request)).await?.into_inner().items;
        match self.client.format {
            Format::Json => {
                let items: Vec<Value> = items.iter().map(tasks::item_json).collect();
                output::print_json(&json!({ "items": items }));
            }
            Format::Table => {
                let mut table = output::table(&["ACTION", "RESULT", "OUTCOME", ""]);
                for (n, item) in items.iter().enumerate() {
                    let outcome = item.outcome.as_ref().and_then(|of| of.kind.as_ref());
                    table.add_row([
                        (n + 1).to_string(),
                        output::result_name(item.result),
                        outcome.map(tasks::summary).unwrap_or_default(),
                        output::failure_text(item.failure.as_ref()),
                    ]);
                }
                output::print_table(&table);
            }
        }
        Ok(Exit::of(items.iter().all(|item| item.result == MeterResult::Succeeded as i32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_and_nonsense_is_refused() {
        let kind = |text| action(text).unwrap().kind.unwrap();
        assert!(matches!(kind("read:1-0:1.8.0"), Kind::ReadRegisters(of) if of.registers[0].obis == "1.0.1.8.0.255"));
        assert!(matches!(kind("get:8/0-0:1.0.0/2"), Kind::GetAttributes(_)));
        assert!(
            matches!(kind("set:8/0-0:1.0.0/3=long:60"), Kind::SetAttributes(of) if of.assignments[0].value.is_some())
        );
        assert!(matches!(kind("invoke:7/1-0:99.1.0/1"), Kind::InvokeMethod(of) if of.parameter.is_none()));
        assert!(matches!(kind("invoke:7/1-0:99.1.0/1=integer:0"), Kind::InvokeMethod(of) if of.parameter.is_some()));
        let Kind::ReadProfile(of) = kind("profile:1-0:99.1.0=2-5") else { panic!() };
        assert_eq!(of.selection, Some(Selection::Entries(EntryRange { from: 2, to: 5 })));
        for wrong in ["", "read", "read:", "read:1-0:1.8.0=1", "get:8/0-0:1.0.0", "set:8/0-0:1.0.0/3", "ping:x"] {
            assert!(action(wrong).is_err(), "{wrong}");
        }
    }
}
