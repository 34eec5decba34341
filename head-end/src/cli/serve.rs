//! `head-end serve`.

use std::{io::IsTerminal, path::PathBuf};

use clap::Args;
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

use super::{Exit, Failure, output};
#[cfg(feature = "otlp")]
use crate::otlp::Exporter;
use crate::{
    config::{Config, LogFormat, Options, QuirkModels},
    events::EventTables,
    node::{MASTER_KEY_VARIABLE, Node},
    push::Templates,
    telegram::TelegramOptions,
};

/// Run the head-end.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Configuration file in TOML; its keys are the flags below, with underscores
    #[arg(long, env = "HEADEND_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

impl Serve {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let file = match &self.config {
            Some(path) => Options::from_file(path).map_err(|error| Failure::configuration(&error))?,
            None => Options::default(),
        };
        let mut config = self.options.over(file).resolve();
        if let Some(path) = &config.quirks_file {
            config.fleet.quirks = QuirkModels::from_file(path).map_err(|error| Failure::configuration(&error))?;
        }
        if let Some(path) = &config.templates_file {
            config.templates = Templates::from_file(path).map_err(|error| Failure::configuration(&error))?;
        }
        if let Some(path) = &config.telegrams_file {
            config.telegrams = TelegramOptions::from_file(path).map_err(|error| Failure::configuration(&error))?;
        }
        if let Some(path) = &config.event_tables_file {
            config.event_tables = EventTables::from_file(path).map_err(|error| Failure::configuration(&error))?;
        }
        if let Some(path) = config.mqtt_file.clone() {
            #[cfg(feature = "mqtt")]
            {
                let broker = crate::mqtt::BrokerOptions::from_file(&path);
                config.mqtt = Some(broker.map_err(|error| Failure::configuration(&error))?);
            }
            #[cfg(not(feature = "mqtt"))]
            return Err(Failure::usage(format!("{}: this head-end was built without MQTT", path.display())));
        }
        let logging = init_logging(&config)?;
        let served = Self::serve(config).await;
        // The last spans are sent on a thread that may block.
        let _ = tokio::task::spawn_blocking(move || logging.finish()).await;
        served
    }

    async fn serve(config: Config) -> Result<Exit, Failure> {
        let master_key = std::env::var(MASTER_KEY_VARIABLE).ok().map(zeroize::Zeroizing::new);
        let started = Node::open(config, master_key.as_deref().map(String::as_str)).await;
        let node = started.map_err(|error| Failure::start(&error))?;
        drop(master_key);
        let listener = match node.listen().await {
            Ok(listener) => listener,
            Err(error) => {
                node.close().await;
                return Err(Failure::start(&error));
            }
        };
        let address = listener.local_addr().unwrap_or(node.config().listen);
        tracing::info!(%address, data = %node.config().data_dir.display(), "serving gRPC");
        // For whoever started this process and waits for it: the port may have been 0.
        output::print(format_args!("listening on {address}"));
        node.serve(listener, stop_signal()).await.map_err(|error| Failure::start(&error))?;
        Ok(Exit::Success)
    }
}

/// Where messages and spans go until the end.
#[derive(Debug)]
pub struct Logging {
    #[cfg(feature = "otlp")]
    exporter: Option<Exporter>,
}

impl Logging {
    /// Sends the last spans. Blocks for some seconds where the collector is slow.
    pub fn finish(self) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = self.exporter {
            exporter.shutdown();
        }
    }
}

/// Sends log messages to standard error, and spans to the collector if there is one.
///
/// # Errors
/// When the filter is not one, or the collector's address none.
pub fn init_logging(config: &Config) -> Result<Logging, Failure> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| Failure::usage(format!("{:?} is not a filter for log messages: {error}", config.log)))?;
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colored = std::io::stderr().is_terminal() && !no_color;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colored);
    let lines = match config.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let subscriber = registry().with(lines.with_filter(filter));
    let twice = |error| Failure::usage(format!("logging is set up already: {error}"));
    #[cfg(feature = "otlp")]
    {
        let exporter = config.otlp.as_deref().map(Exporter::new).transpose();
        let exporter = exporter.map_err(|error| Failure::usage(error.to_string()))?;
        subscriber.with(exporter.as_ref().map(Exporter::layer)).try_init().map_err(twice)?;
        Ok(Logging { exporter })
    }
    #[cfg(not(feature = "otlp"))]
    match &config.otlp {
        Some(collector) => Err(Failure::usage(format!("{collector}: this head-end was built without OpenTelemetry"))),
        None => subscriber.try_init().map_err(twice).map(|()| Logging {}),
    }
}

/// Ready when the process is told to stop.
pub(super) async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("stopping");
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // Without signals the process can only be killed; ending at once would be worse.
        std::future::pending::<()>().await;
    }
    tracing::info!("stopping");
}
