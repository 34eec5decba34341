//! A meter that is served by dlms-cosem-rs.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread::JoinHandle;

use dlms_cosem_rs::acse::AuthMechanism;
use dlms_cosem_rs::axdr::{Data, Unit};
use dlms_cosem_rs::codec::{self, Encode, Writer};
use dlms_cosem_rs::cosem::{AttributeAccess, MethodAccess};
use dlms_cosem_rs::obis::Obis;
use dlms_cosem_rs::security::{
    KeyRing, RandomSource, RustCryptoProvider, Secret, SecurityPolicy, SecuritySuite, SystemTitle,
};
use dlms_cosem_rs::server::{ObjectStore, Server, ServerConfig, StoreResult};
use dlms_cosem_rs::xdlms::{ActionResult, DataAccessResult, SelectiveAccess};
use serde_json::{Value, json};

use super::{AUTHENTICATION_KEY, Access, ENCRYPTION_KEY, Framing, METER_TITLE, OtherLink, PASSWORD, random};

pub(crate) const ENERGY: u32 = 12_345_678;
pub(crate) const NAME: &[u8] = b"OTHER0123";
pub(crate) const ROWS: u32 = 240;

const LDN: Obis = Obis::new(0, 0, 42, 0, 0, 255);
const REGISTER: Obis = Obis::new(1, 0, 1, 8, 0, 255);
const RELAY: Obis = Obis::new(0, 0, 96, 3, 10, 255);
const PROFILE: Obis = Obis::new(1, 0, 99, 1, 0, 255);

/// The rows of the profile, as they must be read.
pub(crate) fn rows(first: u32, last: u32) -> Value {
    (first - 1..last).map(|row| json!([1_000_000 + row * 17, row * 7 % 1000])).collect()
}

struct Store {
    closed: bool,
}

impl ObjectStore for Store {
    fn get_attribute(
        &self,
        class_id: u16,
        logical_name: Obis,
        attribute_id: i8,
        access: Option<SelectiveAccess<'_>>,
        w: &mut dyn Writer,
    ) -> StoreResult<()> {
        let bad = |_| DataAccessResult::OtherReason;
        match (class_id, logical_name, attribute_id) {
            (1, LDN, 2) => Data::OctetString(NAME).encode(w).map_err(bad),
            (3, REGISTER, 2) => Data::DoubleLongUnsigned(ENERGY).encode(w).map_err(bad),
            (3, REGISTER, 3) => w.write_bytes(&[0x02, 0x02, 0x0F, 0xFE, 0x16, Unit::WATT_HOUR.0]).map_err(bad),
            (70, RELAY, 2) => Data::Boolean(self.closed).encode(w).map_err(bad),
            (7, PROFILE, 2) => profile(access, w),
            _ => Err(DataAccessResult::ObjectUndefined),
        }
    }

    fn set_attribute(
        &mut self,
        class_id: u16,
        logical_name: Obis,
        attribute_id: i8,
        _: Option<SelectiveAccess<'_>>,
        value: Data<'_>,
    ) -> StoreResult<()> {
        match (class_id, logical_name, attribute_id, value) {
            (70, RELAY, 2, Data::Boolean(closed)) => {
                self.closed = closed;
                Ok(())
            }
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }

    fn invoke_method(
        &mut self,
        class_id: u16,
        logical_name: Obis,
        method_id: i8,
        _: Option<Data<'_>>,
        _: &mut dyn Writer,
    ) -> Result<bool, ActionResult> {
        match (class_id, logical_name, method_id) {
            (70, RELAY, 1 | 2) => {
                self.closed = method_id == 2;
                Ok(false)
            }
            _ => Err(ActionResult::ObjectUndefined),
        }
    }

    fn attribute_access(&self, _: u16, logical_name: Obis, _: i8) -> AttributeAccess {
        if logical_name == RELAY { AttributeAccess::READ | AttributeAccess::WRITE } else { AttributeAccess::READ }
    }

    fn method_access(&self, _: u16, logical_name: Obis, _: i8) -> MethodAccess {
        if logical_name == RELAY { MethodAccess::ACCESS } else { MethodAccess::empty() }
    }
}

/// Rows by entry, or all of them.
fn profile(access: Option<SelectiveAccess<'_>>, w: &mut dyn Writer) -> StoreResult<()> {
    let bad = |_| DataAccessResult::OtherReason;
    let (first, last) = match access {
        None => (1, ROWS),
        Some(access) if access.selector == 2 => {
            let entries = access.parameters.as_structure().ok_or(DataAccessResult::TypeUnmatched)?;
            let entry = |index| entries.get(index).ok().and_then(|entry| entry.as_u64()).unwrap_or(0);
            (u32::try_from(entry(0)).unwrap_or(1), u32::try_from(entry(1)).unwrap_or(ROWS))
        }
        Some(_) => return Err(DataAccessResult::ScopeOfAccessViolated),
    };
    w.write_u8(0x01).map_err(bad)?;
    w.write_length((last + 1 - first) as usize).map_err(bad)?;
    for row in first - 1..last {
        w.write_bytes(&[0x02, 0x02]).map_err(bad)?;
        Data::DoubleLongUnsigned(1_000_000 + row * 17).encode(w).map_err(bad)?;
        Data::LongUnsigned(u16::try_from(row * 7 % 1000).unwrap_or(0)).encode(w).map_err(bad)?;
    }
    Ok(())
}

pub(crate) struct SystemRandom;

impl RandomSource for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> codec::Result<()> {
        random(out);
        Ok(())
    }
}

/// A free port, and what waits there for a client.
fn listen(framing: Framing, client: u16) -> (SocketAddr, Box<dyn FnOnce() -> io::Result<OtherLink> + Send>) {
    if framing == Framing::Udp {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("its address");
        return (address, Box::new(move || OtherLink::datagrams(socket, 1, client)));
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    (address, Box::new(move || OtherLink::serve(listener.accept()?.0, framing, client)))
}

/// Serves one connection on a free port.
pub(crate) fn start(
    framing: Framing,
    access: Access,
    client: u16,
    max_pdu: u16,
) -> (SocketAddr, JoinHandle<io::Result<()>>) {
    let (address, accept) = listen(framing, client);
    // The server's working buffers are large arrays in its own frame.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(move || {
        let mut link = accept()?;
        let ciphered = matches!(access, Access::Ciphered { .. });
        let (mechanism, security) = match access {
            Access::Public => (AuthMechanism::None, SecurityPolicy::NONE),
            Access::Password => (AuthMechanism::Low, SecurityPolicy::NONE),
            Access::Ciphered { .. } => {
                (AuthMechanism::HighGmac, SecurityPolicy::authenticated_encrypted(SecuritySuite::Suite0))
            }
        };
        let mut server: Box<Server<Store, _, 8192>> = Box::new(Server::new(
            ServerConfig {
                system_title: ciphered.then_some(SystemTitle::new(METER_TITLE)),
                mechanism,
                password: (access == Access::Password)
                    .then(|| Secret::new(PASSWORD))
                    .transpose()
                    .map_err(super::other)?,
                security,
                max_pdu_size: max_pdu,
                ..Default::default()
            },
            Store { closed: true },
            RustCryptoProvider::with_rng(
                if ciphered { KeyRing::new(ENCRYPTION_KEY, AUTHENTICATION_KEY) } else { KeyRing::default() },
                SystemRandom,
            ),
        ));
        let mut out = vec![0; 0x1_0000];
        while let Some(apdu) = link.receive()? {
            let length = server.handle(&apdu, &mut out).map_err(super::other)?;
            link.send(&out[..length])?;
            // Nobody closes datagrams: a session ends with its release (RLRQ).
            if framing == Framing::Udp && apdu.first() == Some(&0x62) {
                break;
            }
        }
        Ok(())
    });
    (address, thread.expect("a thread"))
}
