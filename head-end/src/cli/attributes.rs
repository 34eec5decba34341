//! `head-end get`, `set` and `invoke`.

use clap::Args;
use dlms_proto::v1::{
    AttributeAssignment, AttributeRef, AttributeResult, AttributeSelector, GetAttributesRequest, InvokeMethodRequest,
    Result as MeterResult, SetAttributesRequest, Value,
};
use serde_json::json;

use super::{ClientOptions, Exit, Failure, Format, client, json, output, value};

/// Read attributes of a meter as they are.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// Attributes, as CLASS/OBIS/ATTRIBUTE (`8/0-0:1.0.0/2`)
    #[arg(required = true, value_parser = attribute)]
    attributes: Vec<AttributeRef>,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// Write an attribute of a meter.
#[derive(Debug, Args)]
#[command(after_help = value::SYNTAX)]
pub(super) struct Set {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// The attribute, as CLASS/OBIS/ATTRIBUTE
    #[arg(value_parser = attribute)]
    attribute: AttributeRef,
    /// Its new value, as TYPE:VALUE
    #[arg(value_parser = value::parse)]
    value: Value,
    /// Name of this request: given again, nothing is written twice
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    request_id: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// Invoke a method of a meter.
#[derive(Debug, Args)]
#[command(after_help = value::SYNTAX)]
pub(super) struct Invoke {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// The method, as CLASS/OBIS/METHOD (`7/1-0:99.1.0/1`)
    #[arg(value_parser = attribute)]
    method: AttributeRef,
    /// Its parameter, as TYPE:VALUE
    #[arg(value_parser = value::parse)]
    parameter: Option<Value>,
    /// Name of this request: given again, nothing is invoked twice
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    request_id: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// CLASS/OBIS/INDEX.
pub(super) fn attribute(text: &str) -> Result<AttributeRef, String> {
    let wrong = || format!("{text:?} is not of the form CLASS/OBIS/INDEX such as 8/0-0:1.0.0/2");
    let mut parts = text.split('/');
    let (Some(class), Some(obis), Some(index), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let class_id = class.parse::<u16>().map_err(|_| wrong())?.into();
    let attribute = index.parse::<i8>().map_err(|_| wrong())?.into();
    Ok(AttributeRef { class_id, obis: client::obis(obis)?, attribute })
}

impl Get {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let attributes = self.attributes.into_iter();
        let attributes =
            attributes.map(|attribute| AttributeSelector { attribute: Some(attribute), selection: None }).collect();
        let request = GetAttributesRequest { meter: self.meter, attributes };
        let response = reading.get_attributes(self.client.request(request)).await?.into_inner();
        Ok(print_results(&response.results, self.client.format))
    }
}

impl Set {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let assignment =
            AttributeAssignment { attribute: Some(self.attribute), selection: None, value: Some(self.value) };
        let request =
            SetAttributesRequest { meter: self.meter, assignments: vec![assignment], request_id: self.request_id };
        let response = reading.set_attributes(self.client.request(request)).await?.into_inner();
        Ok(print_results(&response.results, self.client.format))
    }
}

fn print_results(results: &[AttributeResult], format: Format) -> Exit {
    match format {
        Format::Json => {
            let results: Vec<_> = results.iter().map(json::attribute).collect();
            output::print_json(&json!({ "results": results }));
        }
        Format::Table => {
            let mut table = output::table(&["CLASS", "OBIS", "ATTRIBUTE", "RESULT", "VALUE", ""]);
            for result in results {
                let asked = result.attribute.clone().unwrap_or_default();
                table.add_row([
                    asked.class_id.to_string(),
                    asked.obis,
                    asked.attribute.to_string(),
                    output::result_name(result.result),
                    result.value.as_ref().map(value::show).unwrap_or_default(),
                    output::failure_text(result.failure.as_ref()),
                ]);
            }
            output::print_table(&table);
        }
    }
    Exit::of(results.iter().all(|result| result.result == MeterResult::Succeeded as i32))
}

impl Invoke {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let request = InvokeMethodRequest {
            meter: self.meter,
            class_id: self.method.class_id,
            obis: self.method.obis,
            method: self.method.attribute,
            parameter: self.parameter,
            request_id: self.request_id,
        };
        let response = reading.invoke_method(self.client.request(request)).await?.into_inner();
        let result = output::result_name(response.result);
        match self.client.format {
            Format::Json => output::print_json(&json!({
                "result": result,
                "failure": json::failure(response.failure.as_ref()),
                "return_value": response.return_value.as_ref().map(json::value),
            })),
            Format::Table => {
                let returned = response.return_value.as_ref().map(|of| format!(": {}", value::show(of)));
                let failure = output::failure_text(response.failure.as_ref());
                let failure = if failure.is_empty() { failure } else { format!(": {failure}") };
                output::print(format_args!("{result}{}{failure}", returned.unwrap_or_default()));
            }
        }
        Ok(Exit::of(response.result == MeterResult::Succeeded as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_three_parts() {
        let parsed = attribute("8/0-0:1.0.0/2").unwrap();
        assert_eq!((parsed.class_id, parsed.obis.as_str(), parsed.attribute), (8, "0.0.1.0.0.255", 2));
        assert_eq!(attribute("3/1.0.1.8.0.255/-1").unwrap().attribute, -1);
        for wrong in ["", "8/0-0:1.0.0", "8/0-0:1.0.0/2/3", "x/0-0:1.0.0/2", "8/nonsense/2", "8/0-0:1.0.0/300"] {
            assert!(attribute(wrong).is_err(), "{wrong}");
        }
    }
}
