//! A registry in memory, and fleets of simulated meters.

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
use dlms_meter_server::simulator::{self, DeviceHandle, FleetConfig, Keys};
use tokio::time::Instant;

use crate::{
    fleet::{Fleet, FleetOptions, Network},
    meter::{
        Authentication, Ciphering, CounterId, Envelope, HdlcConfig, LinkConfig, MeterConfig, MeterId, MeterKeys,
        PolicyBits, Secret, TimePolicy, Timeouts,
    },
    operation::{
        AttributeRef, CounterBlock, GetAttribute, MeterAccess, MeterDirectory, ObjectModel, Operation, Outcome,
        ProfileLayout, RegisterRef, RequestError, RequestErrorKind,
    },
};

pub(super) const CLIENT_TITLE: SystemTitle = SystemTitle(*b"HES\0\0\0\0\x01");
pub(super) const IMPORT: ObisCode = ObisCode([1, 0, 1, 8, 0, 255]);
pub(super) const LOAD_PROFILE: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);

/// Long enough for a busy machine, short enough to end a test that hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Registry and store in memory. Counters are given out in blocks and never go down, as the real one does it.
#[derive(Default)]
pub(super) struct Registered {
    meters: Mutex<HashMap<MeterId, Arc<MeterConfig>>>,
    counters: Mutex<HashMap<CounterId, u32>>,
    models: Mutex<HashMap<MeterId, Arc<ObjectModel>>>,
    layouts: Mutex<HashMap<(MeterId, ObisCode), Arc<ProfileLayout>>>,
    /// Rotations whose new keys were proved.
    pub(super) proved: Mutex<Vec<String>>,
    /// Every reservation, in order.
    pub(super) reservations: Mutex<Vec<CounterBlock>>,
}

pub(super) const BLOCK: u32 = 256;

impl Registered {
    pub(super) fn add(&self, config: MeterConfig) -> MeterId {
        let id = config.id.clone();
        self.meters.lock().unwrap().insert(id.clone(), Arc::new(config));
        id
    }

    /// The next counter that would be reserved.
    pub(super) fn next_counter(&self, counter: CounterId) -> u32 {
        self.counters.lock().unwrap().get(&counter).copied().unwrap_or(1)
    }

    pub(super) fn set_counter(&self, counter: CounterId, next: u32) {
        self.counters.lock().unwrap().insert(counter, next);
    }

    pub(super) fn keep_layout(&self, meter: &MeterId, layout: ProfileLayout) {
        self.layouts.lock().unwrap().insert((meter.clone(), layout.profile), Arc::new(layout));
    }

    pub(super) fn layout(&self, meter: &MeterId, profile: ObisCode) -> Option<Arc<ProfileLayout>> {
        self.layouts.lock().unwrap().get(&(meter.clone(), profile)).cloned()
    }
}

impl MeterDirectory for Registered {
    async fn meter(&self, meter: &MeterId) -> Result<Arc<MeterConfig>, RequestError> {
        let found = self.meters.lock().unwrap().get(meter).cloned();
        found.ok_or_else(|| {
            RequestError::new(RequestErrorKind::NotFound, crate::operation::Layer::HeadEnd, "no such meter")
        })
    }

    async fn keys_proved(&self, _: &MeterId, rotation: &str) -> Result<(), RequestError> {
        self.proved.lock().unwrap().push(rotation.to_owned());
        Ok(())
    }

    async fn reserve_counters(&self, counter: CounterId) -> Result<CounterBlock, RequestError> {
        let mut counters = self.counters.lock().unwrap();
        let next = counters.entry(counter).or_insert(1);
        let block = CounterBlock { next: *next, end: *next + BLOCK };
        *next = block.end;
        self.reservations.lock().unwrap().push(CounterBlock { ..block });
        Ok(block)
    }

    async fn raise_counter(&self, counter: CounterId, seen: u32) -> Result<(), RequestError> {
        let mut counters = self.counters.lock().unwrap();
        let next = counters.entry(counter).or_insert(1);
        *next = (*next).max(seen + 1);
        Ok(())
    }

    async fn object_model(&self, meter: &MeterId) -> Result<Option<Arc<ObjectModel>>, RequestError> {
        Ok(self.models.lock().unwrap().get(meter).cloned())
    }

    async fn save_object_model(&self, meter: &MeterId, model: Arc<ObjectModel>) -> Result<(), RequestError> {
        self.models.lock().unwrap().insert(meter.clone(), model);
        Ok(())
    }

    async fn profile_layout(
        &self,
        meter: &MeterId,
        profile: ObisCode,
    ) -> Result<Option<Arc<ProfileLayout>>, RequestError> {
        Ok(self.layout(meter, profile))
    }

    async fn save_profile_layout(&self, meter: &MeterId, layout: Arc<ProfileLayout>) -> Result<(), RequestError> {
        self.layouts.lock().unwrap().insert((meter.clone(), layout.profile), layout);
        Ok(())
    }
}

/// A public client's meter at `address` over TCP.
pub(in crate::fleet) fn config(id: &str, address: &str) -> MeterConfig {
    MeterConfig {
        id: id.parse().unwrap(),
        revision: 1,
        link: LinkConfig::TcpWrapper { address: address.parse().unwrap() },
        client: ClientSap::PUBLIC,
        server: ServerSap::MANAGEMENT,
        authentication: Authentication::None,
        ciphering: None,
        meter_title: None,
        time: TimePolicy::default(),
        route: None,
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(5),
            idle: Duration::from_secs(5),
            ..Timeouts::default()
        },
        max_pdu: 1_024,
        gateway: None,
        rotation: None,
    }
}

/// The management client's meter: HLS-GMAC, authenticated and encrypted.
pub(super) fn management(id: &str, address: &str, title: Option<SystemTitle>) -> MeterConfig {
    MeterConfig {
        client: ClientSap::MANAGEMENT,
        authentication: Authentication::HlsGmac,
        ciphering: Some(ciphering(id)),
        meter_title: title,
        ..config(id, address)
    }
}

pub(super) fn ciphering(id: &str) -> Ciphering {
    Ciphering {
        suite: 0,
        policy: PolicyBits { authenticated: true, encrypted: true },
        envelope: Envelope::ServiceSpecific,
        dedicated_key: false,
        client_title: CLIENT_TITLE,
        keys: MeterKeys {
            encryption: Secret::new(Keys::DEMONSTRATION_ENCRYPTION.to_vec()),
            authentication: Secret::new(Keys::DEMONSTRATION_AUTHENTICATION.to_vec()),
        },
        counter: counter(id),
    }
}

/// One counter for each meter: the simulated ones keep their floors apart although they share a key.
pub(super) fn counter(id: &str) -> CounterId {
    let mut octets = [0; 16];
    octets.iter_mut().zip(id.bytes()).for_each(|(to, from)| *to = from);
    CounterId(octets)
}

/// A fleet, its registry, and simulated meters.
pub(super) struct Setup {
    pub(super) fleet: Fleet,
    pub(super) registered: Arc<Registered>,
    pub(super) meters: simulator::Fleet,
}

impl Setup {
    pub(super) async fn new(meters: u32) -> Self {
        Self::with(FleetConfig { meters, ..ports() }, FleetOptions::default()).await
    }

    pub(super) async fn with(config: FleetConfig, options: FleetOptions) -> Self {
        let meters = simulator::Fleet::start(config).await.unwrap();
        let registered = Arc::new(Registered::default());
        let (fleet, _) = Fleet::start(Arc::clone(&registered), Network::default(), options).unwrap();
        Self { fleet, registered, meters }
    }

    pub(super) fn device(&self, index: usize) -> &DeviceHandle {
        &self.meters.devices()[index]
    }

    pub(super) fn title(&self, index: usize) -> SystemTitle {
        self.device(index).meters()[0].system_title
    }

    pub(super) fn tcp(&self, index: usize) -> String {
        self.device(index).ports().tcp.unwrap().to_string()
    }

    /// Registers meter `index` for the management client over TCP.
    pub(super) fn managed(&self, index: usize) -> MeterId {
        let id = format!("meter-{index}");
        self.registered.add(management(&id, &self.tcp(index), Some(self.title(index))))
    }

    /// The same over HDLC, with `response` for each answer.
    pub(super) fn managed_over_hdlc(&self, index: usize, hdlc: HdlcConfig, response: Duration) -> MeterId {
        let id = format!("meter-{index}");
        let address = self.device(index).ports().hdlc_tcp.unwrap().to_string().parse().unwrap();
        let config = management(&id, "127.0.0.1:1", Some(self.title(index)));
        let timeouts = Timeouts { response, ..config.timeouts };
        self.registered.add(MeterConfig { link: LinkConfig::HdlcTcp { address, hdlc }, timeouts, ..config })
    }

    pub(super) async fn execute(&self, meter: &MeterId, operation: Operation) -> Result<Outcome, RequestError> {
        self.fleet.execute(meter, operation, (Instant::now() + PATIENCE).into()).await
    }
}

/// A simulated fleet with all kinds of ports, at a fixed time in winter.
pub(super) fn ports() -> FleetConfig {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    FleetConfig { tcp: Some(any), hdlc_tcp: Some(any), udp: Some(any), ..FleetConfig::default() }
}

pub(super) fn registers(obis: &[ObisCode]) -> Operation {
    Operation::ReadRegisters(obis.iter().map(|obis| RegisterRef { obis: *obis, class: None }).collect())
}

pub(super) fn get(class: u16, obis: ObisCode, attribute: i8) -> Operation {
    let attribute = AttributeRef::new(class.into(), obis, dlms::id::AttributeId(attribute));
    Operation::GetAttributes(vec![GetAttribute { attribute, selection: None }])
}

/// The built-in model with `from` replaced wherever it stands.
pub(super) fn model(from: &str, to: &str) -> Arc<simulator::Model> {
    let text = simulator::DEFAULT_MODEL;
    assert!(text.contains(from));
    Arc::new(simulator::Model::from_toml(&text.replace(from, to)).unwrap())
}
