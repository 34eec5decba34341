//! Reads the load profile of a meter over TCP, each row as soon as the block with it has arrived.
//!
//! ```text
//! cargo run -p dlms --example read_profile -- 127.0.0.1:4059 12345678
//! ```

mod support;

use std::error::Error;

use dlms::acse::Mechanism;
use dlms::apdu::AttributeRequest;
use dlms::association::Secret;
use dlms::association::client::{Config, Event, Response};
use dlms::axdr::{Data, Value};
use dlms::cosem::Attribute;
use dlms::cosem::profile_generic::{Buffer, CaptureObjects, CapturePeriod, Nulls, RowError, RowReader, Sort};
use dlms::id::{ClientSap, ServerSap};
use dlms::obis::ObisCode;
use dlms::security::InvocationCounter;

const LOAD_PROFILE: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(password)) = (arguments.next(), arguments.next()) else {
        return Err("two arguments: the meter's address, host:port, and the password".into());
    };
    let config = Config {
        client: ClientSap(17),
        mechanism: Mechanism::Lls,
        secret: Secret::new(password.as_bytes()).ok_or("the password is too long")?,
        ..Config::public(ServerSap::MANAGEMENT)
    };
    let mut meter = support::Meter::connect(&address, config, InvocationCounter::new(0, 0))?;
    let columns =
        meter.get::<CaptureObjects, _>(LOAD_PROFILE, |columns| columns.iter().collect::<Result<Vec<_>, _>>())??;
    let period = meter.get::<CapturePeriod, _>(LOAD_PROFILE, |period| period)?;
    let order = meter.get::<Sort, _>(LOAD_PROFILE, |order| order)?;
    for column in &columns {
        print!("{} attribute {}  ", column.instance, column.attribute.0);
    }
    println!();

    let mut rows = RowReader::new(&columns, Nulls::as_before(period, order));
    let mut show = |octets: &[u8]| -> Result<(), RowError> {
        rows.push(octets);
        while let Some(row) = rows.next_row()? {
            println!("{}", row.iter().map(text).collect::<Vec<_>>().join("  "));
        }
        Ok(())
    };
    meter.client.get(AttributeRequest::whole(Buffer::of(LOAD_PROFILE)), meter.now())?;
    meter.until(|event| match event {
        Event::Response(Response::GetBlock { raw, last }) => {
            show(raw)?;
            Ok(last.then_some(()))
        }
        // Short enough for one answer.
        Event::Response(Response::Get(result)) => {
            let data = result.into_result().map_err(|refusal| format!("the profile: {refusal}"))?;
            show(&Value::from(data).to_vec())?;
            Ok(Some(()))
        }
        Event::Failed(error) => Err(error.into()),
        Event::Closed(error) => Err(error.into()),
        _ => Ok(None),
    })?;
    println!("{} rows", rows.rows_read());
    rows.finish()?;
    meter.release()
}

/// A cell: a time, a number, or whatever else the column holds.
fn text(cell: &Value) -> String {
    let number = |data: Data<'_>| data.as_i64().map(|number| number.to_string());
    let time = |data: Data<'_>| data.as_date_time().map(|time| time.to_string());
    cell.as_data().and_then(|data| time(data).or_else(|| number(data))).unwrap_or_else(|| format!("{cell:?}"))
}
