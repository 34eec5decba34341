//! Simulated meters: thousands in one process, each with its own state, behind real sockets.
//!
//! ```no_run
//! use dlms_meter_server::simulator::{Fleet, FleetConfig};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = FleetConfig { meters: 3, tcp: Some("127.0.0.1:0".parse()?), ..FleetConfig::default() };
//! let fleet = Fleet::start(config).await?;
//! for device in fleet.devices() {
//!     println!("{} at {:?}", device.meters()[0].serial, device.ports().tcp);
//! }
//! fleet.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod config;
mod consumption;
mod control;
mod defect;
mod device;
mod driver;
mod fault;
mod firmware;
mod fleet;
mod fleet_file;
mod keys;
mod meter;
mod model;
mod net;
mod p1;
mod population;
mod record;
mod shipment;
mod small_map;
mod state;
mod timeline;

pub use config::{Addressing, DialConfig, FleetConfig, Group, HdlcConfig, KeySource, Limits, SerialConfig, SiteConfig};
pub use defect::{Defect, DefectKind, ParseDefectError};
pub use device::PhysicalDevice;
pub use fault::{Fault, FaultKind, ParseFaultError};
pub use firmware::{ImageError, make_image};
pub use fleet::{ControlAddresses, DeviceHandle, Fleet, FleetError, LineAddress, Ports};
pub use fleet_file::{FleetFileError, read_fleet_file};
pub use keys::{Keys, MasterSeed, MasterSeedError};
pub use meter::{Carrier, ImageBank, Meter, MeterIdentity, Notification};
pub use model::{BuiltInModel, DEFAULT_MODEL, MODELS, Model, ModelError, ModelPlace, SHORT_NAME_MODEL};
pub use net::counts::Counts;
pub use net::descriptors::descriptor_limit;
pub use p1::{P1_BAUD, P1Config, P1Dialect, P1Keys, UnknownDialect};
pub use shipment::TransportKey;
pub use timeline::Timeline;
