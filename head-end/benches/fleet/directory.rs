//! Meters of a simulated fleet as the head-end's fleet knows them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use dlms::{
    id::{ClientSap, ServerSap, SystemTitle},
    obis::ObisCode,
};
use dlms_head_end::{
    meter::{
        Authentication, Ciphering, CounterId, Envelope, LinkConfig, MeterConfig, MeterId, MeterKeys, PolicyBits,
        Secret, TimePolicy, Timeouts,
    },
    operation::{CounterBlock, Layer, MeterDirectory, ObjectModel, ProfileLayout, RequestError, RequestErrorKind},
};
use dlms_meter_server::simulator::Keys;

/// How the meters are reached.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Via {
    Tcp,
    Udp,
}

/// A registry in memory whose counters cost nothing. Configurations are made when they are asked for, so that those in
/// use count as memory of the associations.
pub(crate) struct Directory {
    /// Where meter 0, 1, ... is.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) via: Via,
    counters: Mutex<HashMap<CounterId, u32>>,
}

impl Directory {
    pub(crate) fn new(addresses: Vec<SocketAddr>, via: Via) -> Self {
        Self { addresses, via, counters: Mutex::default() }
    }
}

/// The name of a meter.
pub(crate) fn name(number: usize) -> MeterId {
    format!("meter-{number}").parse().expect("a legal name")
}

impl MeterDirectory for Directory {
    async fn meter(&self, meter: &MeterId) -> Result<Arc<MeterConfig>, RequestError> {
        let unknown = || RequestError::new(RequestErrorKind::NotFound, Layer::HeadEnd, "no such meter");
        let number = meter.as_str().strip_prefix("meter-").and_then(|number| number.parse::<usize>().ok());
        let found = number.and_then(|number| self.addresses.get(number).map(|address| (number, *address)));
        found.map(|(number, address)| Arc::new(config(number, address, self.via))).ok_or_else(unknown)
    }

    async fn keys_proved(&self, _: &MeterId, _: &str) -> Result<(), RequestError> {
        Ok(())
    }

    async fn reserve_counters(&self, counter: CounterId) -> Result<CounterBlock, RequestError> {
        let mut counters = self.counters.lock().expect("no holder panics");
        // Not 1: a key that was never used has the meter asked for its counter first.
        let next = counters.entry(counter).or_insert(2);
        let block = CounterBlock { next: *next, end: *next + 256 };
        *next = block.end;
        Ok(block)
    }

    async fn raise_counter(&self, _: CounterId, _: u32) -> Result<(), RequestError> {
        Ok(())
    }

    async fn object_model(&self, _: &MeterId) -> Result<Option<Arc<ObjectModel>>, RequestError> {
        Ok(None)
    }

    async fn save_object_model(&self, _: &MeterId, _: Arc<ObjectModel>) -> Result<(), RequestError> {
        Ok(())
    }

    async fn profile_layout(&self, _: &MeterId, _: ObisCode) -> Result<Option<Arc<ProfileLayout>>, RequestError> {
        Ok(None)
    }

    async fn save_profile_layout(&self, _: &MeterId, _: Arc<ProfileLayout>) -> Result<(), RequestError> {
        Ok(())
    }
}

fn config(number: usize, address: SocketAddr, via: Via) -> MeterConfig {
    let address = address.to_string().parse().expect("an address");
    let mut counter = [0; 16];
    counter[..8].copy_from_slice(&number.to_be_bytes());
    MeterConfig {
        id: name(number),
        revision: 1,
        link: match via {
            Via::Tcp => LinkConfig::TcpWrapper { address },
            Via::Udp => LinkConfig::UdpWrapper { address },
        },
        client: ClientSap::MANAGEMENT,
        server: ServerSap::MANAGEMENT,
        authentication: Authentication::HlsGmac,
        ciphering: Some(Ciphering {
            suite: 0,
            policy: PolicyBits { authenticated: true, encrypted: true },
            envelope: Envelope::ServiceSpecific,
            dedicated_key: false,
            client_title: SystemTitle(*b"HES\0\0\0\0\x01"),
            keys: MeterKeys {
                encryption: Secret::new(Keys::DEMONSTRATION_ENCRYPTION.to_vec()),
                authentication: Secret::new(Keys::DEMONSTRATION_AUTHENTICATION.to_vec()),
            },
            counter: CounterId(counter),
        }),
        meter_title: None,
        time: TimePolicy::default(),
        route: None,
        // Nothing ends by itself while it is measured.
        timeouts: Timeouts { idle: Duration::from_secs(3_600), ..Timeouts::default() },
        max_pdu: 1_024,
        gateway: None,
        rotation: None,
    }
}
