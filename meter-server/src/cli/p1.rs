//! Options of the customer port.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Args;
use dlms_meter_server::simulator::{Model, P1_BAUD, P1Config, P1Dialect, P1Keys};

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// TCP port on which each meter sends the telegrams of its customer port (P1) to whoever connects; ports count up as for
    /// --tcp.
    #[arg(long, value_name = "ADDR", help_heading = "Customer port")]
    p1: Option<SocketAddr>,
    /// Serial port for the same, as PATH or PATH:BAUD (115200 8N1 unless given); repeat it for further meters.
    #[arg(long, value_name = "PATH", help_heading = "Customer port")]
    p1_serial: Vec<String>,
    /// What is sent: telegrams of dsmr5, emucs, luxembourg or austria, the last two ciphered; lists of aidon, kaifa or
    /// kamstrup in HDLC frames, or of kaifa-austria ciphered over M-Bus; what the push setup 0-8:25.9.0 or 0-6:25.9.0 of the
    /// model lists as landis-gyr or iskraemeco in HDLC frames. What the model says without it, or else dsmr5.
    #[arg(long, value_name = "NAME", help_heading = "Customer port")]
    p1_dialect: Option<P1Dialect>,
    /// Seconds of simulated time between telegrams; as in the dialect's country without it.
    #[arg(long, value_name = "SECONDS", help_heading = "Customer port")]
    p1_interval: Option<u32>,
    /// Encryption key of ciphered telegrams, 32 hexadecimal digits. The demonstration key F0 F1 … FF without it.
    #[arg(
        long,
        value_name = "HEX",
        env = "METER_SERVER_P1_KEY",
        hide_env_values = true,
        help_heading = "Customer port"
    )]
    p1_key: Option<String>,
    /// Their authentication key, 32 hexadecimal digits, where it is not the same for all meters as in Luxembourg; that of
    /// Luxembourg without it.
    #[arg(
        long,
        value_name = "HEX",
        env = "METER_SERVER_P1_AUTHENTICATION_KEY",
        hide_env_values = true,
        help_heading = "Customer port"
    )]
    p1_authentication_key: Option<String>,
}

impl Options {
    /// What the options say; `None` when there is no customer port.
    pub(crate) fn config(&self, model: &Model) -> anyhow::Result<Option<P1Config>> {
        if self.p1.is_none() && self.p1_serial.is_empty() {
            return Ok(None);
        }
        let serial = self.p1_serial.iter().map(|text| super::run::serial("--p1-serial", text, P1_BAUD));
        let key = |text: &Option<String>, what: &str, default: [u8; 16]| match text {
            Some(text) => {
                let octets =
                    hex::decode(text.replace(' ', "")).with_context(|| format!("{what} is not hexadecimal"))?;
                ensure!(octets.len() == 16, "{what} has {} octets instead of 16", octets.len());
                let mut key = [0; 16];
                key.copy_from_slice(&octets);
                Ok(key)
            }
            None => Ok(default),
        };
        let encryption = key(&self.p1_key, "--p1-key", P1Keys::DEMONSTRATION_ENCRYPTION)?;
        let common = dlms::p1::LUXEMBOURG_AUTHENTICATION_KEY;
        let authentication = key(&self.p1_authentication_key, "--p1-authentication-key", common)?;
        Ok(Some(P1Config {
            tcp: self.p1,
            serial: serial.collect::<anyhow::Result<_>>()?,
            interval_seconds: self.p1_interval,
            keys: Arc::new(P1Keys::new(encryption, authentication)),
            ..P1Config::new(self.p1_dialect.or(model.customer_port()).unwrap_or_default())
        }))
    }
}
