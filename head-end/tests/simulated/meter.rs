//! A simulated meter at the far end of the network, and a record of what it carries out.

use dlms::{
    acse::Mechanism,
    apdu::{
        ActionResult, AttributeDescriptor, Conformance, DataAccessResult, MemberDescriptor, MethodDescriptor, Selection,
    },
    association::{
        Referencing,
        server::{
            Access, AssociationConfig, AuditEvent, Connection, Cursor, Device, FailedAttempts, Member, Progress, Source,
        },
    },
    axdr::{Data, Value, Writer},
    id::{AttributeId, ClassId, ClientSap, ServerSap, ShortName, SystemTitle},
    obis::ObisCode,
    security::{
        Protection, RustCrypto,
        general::{GeneralKeys, VerifiedTransaction},
    },
    time::{ClockStatus, DateTime},
    wrapper::server::Wrapper,
};
use dlms_meter_server::simulator::PhysicalDevice;

use super::{dice::Dice, truth::Executed};

pub(crate) const LOAD: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);
pub(crate) const RELAY: ObisCode = ObisCode([0, 0, 96, 3, 10, 255]);

/// Octets of the buffers of a line: an APDU of 1024 octets, ciphered and wrapped.
const ROOM: usize = 1_200;

type Server = Connection<Wrapper<Vec<u8>>, RustCrypto, Vec<u8>, 2>;

/// A meter's end of one connection.
pub(crate) struct Line {
    server: Box<Server>,
    random: Dice,
}

impl Line {
    pub(crate) fn new(random: Dice) -> Self {
        let link = Wrapper::new(vec![0; ROOM], vec![0; ROOM], 30_000);
        Self { server: Box::new(Connection::new(link, || vec![0; ROOM], vec![0; ROOM])), random }
    }

    /// Octets have arrived; what the meter answers, or that it closes the connection.
    pub(crate) fn hand_in(&mut self, octets: &[u8], now_ms: i64, device: &mut Recorded<'_>) -> Option<Vec<u8>> {
        let now = dlms::Instant::from_millis(u64::try_from(now_ms).unwrap());
        let mut answers = Vec::new();
        self.server.handle_timeout(now, device, &mut self.random).ok()?;
        let mut rest = octets;
        loop {
            let taken = self.server.handle_input(rest, now, device, &mut self.random).ok()?;
            rest = &rest[taken..];
            let before = answers.len();
            let mut room = [0; ROOM];
            while let Some(length) = self.server.poll_transmit(&mut room) {
                answers.extend_from_slice(&room[..length]);
                self.server.handle_timeout(now, device, &mut self.random).ok()?;
            }
            if rest.is_empty() && answers.len() == before {
                return Some(answers);
            }
        }
    }

    pub(crate) fn close(&mut self, device: &mut Recorded<'_>) {
        self.server.close(device);
    }
}

/// The device, with a note of each relay action that it carries out.
pub(crate) struct Recorded<'a> {
    pub(crate) device: &'a mut PhysicalDevice,
    pub(crate) meter: usize,
    pub(crate) at_ms: i64,
    pub(crate) executed: &'a mut Vec<Executed>,
}

/// Hands calls on to the device.
macro_rules! hand_on {
    ($($(($mut:tt))? $self:ident.$name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&$($mut)? $self, $($argument: $type),*) $(-> $result)? {
            $self.device.$name($($argument),*)
        })*
    };
}

impl Device for Recorded<'_> {
    fn association(&self, client: ClientSap, server: ServerSap) -> Option<AssociationConfig<'_>> {
        self.device.association(client, server)
    }

    fn general_keys(&self, client: ClientSap, server: ServerSap, peer: Option<SystemTitle>) -> GeneralKeys<'_> {
        self.device.general_keys(client, server, peer)
    }

    fn read(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        self.device.read(access, attribute, selection, cursor, out)
    }

    fn write(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        self.device.write(access, attribute, selection, value)
    }

    fn invoke(
        &mut self,
        access: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        let done = self.device.invoke(access, method, parameter, out);
        if done.is_ok() && method.instance == RELAY {
            let Self { meter, at_ms, .. } = *self;
            self.executed.push(Executed { meter, method: method.method.0, at_ms });
        }
        done
    }

    hand_on! {
        self.short_name(access: &Access, name: ShortName) -> Option<MemberDescriptor>;
        (mut) self.take_counter(server: ServerSap, setup: u8) -> Option<u32>;
        self.floor(server: ServerSap, setup: u8, peer: SystemTitle) -> u32;
        (mut) self.accept_counter(server: ServerSap, setup: u8, peer: SystemTitle, counter: u32);
        self.key_generation(server: ServerSap, setup: u8) -> u32;
        (mut) self.answered(server: ServerSap);
        self.failed_attempts(client: ClientSap, server: ServerSap, source: Source) -> FailedAttempts;
        (mut) self.set_failed_attempts(
            client: ClientSap, server: ServerSap, source: Source, attempts: FailedAttempts);
        (mut) self.accept_transaction(
            server: ServerSap, setup: u8, peer: SystemTitle, transaction: VerifiedTransaction) -> bool;
        (mut) self.take_transaction(server: ServerSap, setup: u8) -> Option<u64>;
        self.response_protection(access: &Access, member: Member) -> Protection;
        (mut) self.audit(event: AuditEvent);
    }
}

fn attribute(class: u16, instance: ObisCode, attribute: i8) -> AttributeDescriptor {
    AttributeDescriptor::new(ClassId(class), instance, AttributeId(attribute))
}

/// Reads an attribute of the device itself, without a network in between.
fn read(device: &mut PhysicalDevice, what: AttributeDescriptor, selection: Option<&Value>) -> Value {
    let access = Access {
        referencing: Referencing::LogicalName,
        client: ClientSap::MANAGEMENT,
        server: ServerSap::MANAGEMENT,
        mechanism: Mechanism::Gmac,
        ciphered_context: true,
        request: Protection::AUTHENTICATED_ENCRYPTED,
        broadcast: false,
        conformance: Conformance::default(),
        client_max_pdu: 0,
        server_max_pdu: 0,
        client_title: None,
    };
    let mut parameters = [0; 128];
    let mut writer = Writer::new(&mut parameters);
    if let Some(selection) = selection {
        selection.encode(&mut writer).unwrap();
    }
    let parameters = writer.into_written();
    let selection = selection.map(|_| Selection { selector: 1, parameters: Data::from_slice(parameters).unwrap() });
    let (mut cursor, mut octets) = (Cursor::default(), Vec::new());
    loop {
        let mut part = [0; 4_096];
        let mut out = Writer::new(&mut part);
        let progress = device.read(&access, what, selection, &mut cursor, &mut out).expect("readable");
        octets.extend_from_slice(out.into_written());
        cursor.part += 1;
        if progress == Progress::Done {
            return Value::from_slice(&octets).expect("a value");
        }
    }
}

/// The rows of the load profile that the meter has with times in `from..=to`, in seconds.
pub(crate) fn rows(device: &mut PhysicalDevice, from: i64, to: i64) -> Vec<Vec<Value>> {
    let time = |at| Value::OctetString(DateTime::from_unix_seconds(at, 0, ClockStatus::OK).to_bytes().to_vec());
    let column = vec![
        Value::LongUnsigned(8),
        Value::OctetString(ObisCode::CLOCK.0.to_vec()),
        Value::Integer(2),
        Value::LongUnsigned(0),
    ];
    let range = Value::Structure(vec![Value::Structure(column), time(from), time(to), Value::Array(vec![])]);
    let Value::Array(rows) = read(device, attribute(7, LOAD, 2), Some(&range)) else { panic!("no buffer") };
    let cells = |row| match row {
        Value::Structure(mut cells) => {
            if let Some(Value::OctetString(clock)) = cells.first() {
                let clock = clock.as_slice().try_into().expect("twelve octets");
                cells[0] = Value::DateTime(DateTime::from_bytes(clock));
            }
            cells
        }
        other => panic!("no row: {other:?}"),
    };
    rows.into_iter().map(cells).collect()
}

/// Whether the supply is connected.
pub(crate) fn is_connected(device: &mut PhysicalDevice) -> bool {
    read(device, attribute(70, RELAY, 2), None) == Value::Boolean(true)
}
