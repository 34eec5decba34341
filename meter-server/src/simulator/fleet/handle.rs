//! One physical device of a running fleet.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dlms::id::ServerSap;
use tokio::sync::Notify;

use crate::simulator::defect::DefectKind;
use crate::simulator::device::{PhysicalDevice, sap};
use crate::simulator::driver::Wake;
use crate::simulator::fault::Fault;
use crate::simulator::meter::MeterIdentity;
use crate::simulator::net::counts::LineCounts;
use crate::simulator::net::uses::Uses;
use crate::simulator::population::Population;

/// A physical device and what its ports share.
#[derive(Debug)]
pub(crate) struct Site {
    /// Numbers of its meters in the fleet.
    pub(crate) numbers: Range<u32>,
    pub(crate) population: Arc<Population>,
    device: Mutex<PhysicalDevice>,
    /// What goes wrong, when somebody has said so.
    faults: Mutex<Option<Arc<[Fault]>>>,
    /// Connections by the way they came.
    pub(crate) uses: Uses,
    /// Times that the device has started anew.
    boots: AtomicU32,
    boot: Notify,
}

impl Site {
    pub(crate) fn new(population: &Arc<Population>, numbers: Range<u32>, counts: &Arc<LineCounts>, wake: Wake) -> Self {
        let device = PhysicalDevice::new(Arc::clone(population), numbers.clone(), Arc::clone(counts), Some(wake));
        Self {
            numbers,
            population: Arc::clone(population),
            device: Mutex::new(device),
            faults: Mutex::new(None),
            uses: Uses::default(),
            boots: AtomicU32::new(0),
            boot: Notify::new(),
        }
    }

    /// The device, for the time of one request. A panic elsewhere must not take the meter down.
    pub(crate) fn device(&self) -> MutexGuard<'_, PhysicalDevice> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device loses power for a moment: whoever is connected is cut off.
    pub(crate) fn reboot(&self) {
        self.restart(DefectKind::Reboot);
    }

    /// The device starts anew after a loss of power of this kind.
    fn restart(&self, kind: DefectKind) {
        let mut device = self.device();
        for index in 0..self.numbers.len() {
            device.act(sap(index), |meter, at| meter.suffer(kind, at));
        }
        drop(device);
        self.boots.fetch_add(1, Ordering::Relaxed);
        self.boot.notify_waiters();
    }

    /// Waits until the device starts anew.
    pub(crate) async fn rebooted(&self) {
        self.boot.notified().await;
    }

    /// How often the device has started anew.
    pub(crate) fn boots(&self) -> u32 {
        self.boots.load(Ordering::Relaxed)
    }

    /// What goes wrong, when somebody has said so.
    pub(crate) fn told_faults(&self) -> MutexGuard<'_, Option<Arc<[Fault]>>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong on connections that are opened now.
    pub(crate) fn faults(&self) -> Arc<[Fault]> {
        let told = self.told_faults().clone();
        told.unwrap_or_else(|| self.population.faults(self.numbers.start))
    }
}

/// One physical device of a fleet.
#[derive(Clone, Debug)]
pub struct DeviceHandle {
    pub(in crate::simulator) site: Arc<Site>,
    identities: OnceLock<Arc<[MeterIdentity]>>,
    ports: Ports,
}

/// Where a device is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// TCP with the wrapper.
    pub tcp: Option<SocketAddr>,
    /// TCP with HDLC.
    pub hdlc_tcp: Option<SocketAddr>,
    /// UDP with the wrapper.
    pub udp: Option<SocketAddr>,
    /// Serial port with HDLC.
    pub serial: Option<PathBuf>,
    /// Which of the meters behind the ports it is, where they belong to a gateway or a concentrator.
    pub behind: Option<LineAddress>,
}

/// How one of the meters on a shared line is addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineAddress {
    /// By the prefix in front of every APDU.
    Gateway {
        /// Network behind the gateway.
        network: u8,
        /// Physical device address.
        device: [u8; 2],
    },
    /// By the wrapper port number, or upper HDLC address, instead of the logical device's.
    Concentrator(ServerSap),
}

impl DeviceHandle {
    pub(super) const fn new(site: Arc<Site>, ports: Ports) -> Self {
        Self { site, identities: OnceLock::new(), ports }
    }

    /// The meters of this device: one, unless the fleet is of logical devices.
    #[must_use]
    pub fn meters(&self) -> &[MeterIdentity] {
        self.identities.get_or_init(|| {
            let of = |(index, number)| self.site.population.identity(number, sap(index));
            self.site.numbers.clone().enumerate().filter_map(of).collect()
        })
    }

    /// Where it is reached.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(super) const fn ports_mut(&mut self) -> &mut Ports {
        &mut self.ports
    }

    /// Replaces the faults of connections that are opened from now on.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.share_faults(&faults.into());
    }

    /// Replaces the faults by ones that devices share.
    pub(crate) fn share_faults(&self, faults: &Arc<[Fault]>) {
        *self.site.told_faults() = Some(Arc::clone(faults));
    }

    /// What goes wrong on connections that are opened now.
    pub(crate) fn faults(&self) -> Arc<[Fault]> {
        self.site.faults()
    }

    /// Numbers of its meters in the fleet.
    pub(crate) fn numbers(&self) -> Range<u32> {
        self.site.numbers.clone()
    }

    /// Takes the power away for a moment: all connections are reset, all associations are forgotten.
    pub fn reboot(&self) {
        self.site.reboot();
    }

    /// The same after so many seconds without power.
    pub fn cut_power(&self, seconds: u32) {
        self.site.restart(DefectKind::PowerCut(seconds));
    }

    /// Looks at the device, or does something to it, between two requests.
    pub fn with<T>(&self, look: impl FnOnce(&mut PhysicalDevice) -> T) -> T {
        look(&mut self.site.device())
    }
}
