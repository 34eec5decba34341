//! Reads clock and energy register of a meter over TCP.
//!
//! ```text
//! cargo run -p dlms --example read_register -- 127.0.0.1:4059
//! cargo run -p dlms --example read_register -- 127.0.0.1:4059 --client 17 --password 12345678
//! ```

mod support;

use std::error::Error;

use dlms::acse::Mechanism;
use dlms::association::Secret;
use dlms::association::client::Config;
use dlms::cosem::{clock, register};
use dlms::id::{ClientSap, ServerSap};
use dlms::obis::ObisCode;
use dlms::security::InvocationCounter;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("the first argument is the meter's address, host:port")?;
    let mut config = Config::public(ServerSap::MANAGEMENT);
    while let (Some(option), Some(value)) = (arguments.next(), arguments.next()) {
        match &option[..] {
            "--client" => config.client = ClientSap(value.parse()?),
            "--password" => {
                config.mechanism = Mechanism::Lls;
                config.secret = Secret::new(value.as_bytes()).ok_or("the password is too long")?;
            }
            other => return Err(format!("no option {other:?}").into()),
        }
    }

    // Without ciphering no invocation counter is used.
    let mut meter = support::Meter::connect(&address, config, InvocationCounter::new(0, 0))?;
    let time = meter.get::<clock::Time, _>(ObisCode::CLOCK, |time| time)?;
    let unit = meter.get::<register::ScalerUnit, _>(ObisCode::ACTIVE_IMPORT, |unit| unit)?;
    let energy = meter.get::<register::Value, _>(ObisCode::ACTIVE_IMPORT, |value| value.as_i64().map(i128::from))?;
    let energy = energy.ok_or("the register holds no integer")?;
    println!("{time}: {} = {} {}", ObisCode::ACTIVE_IMPORT, unit.decimal(energy), unit.unit);
    meter.release()
}
