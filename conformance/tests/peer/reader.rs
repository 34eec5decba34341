//! A client that is built on dlms-cosem-rs.

use std::io;
use std::net::{SocketAddr, TcpStream};

use dlms_cosem_rs::acse::AuthMechanism;
use dlms_cosem_rs::axdr::Data;
use dlms_cosem_rs::client::{AccessItem, AssociationStep, BlockCollector, ClientConfig, ClientSession, Response};
use dlms_cosem_rs::codec::Encode;
use dlms_cosem_rs::cosem::EntryDescriptor;
use dlms_cosem_rs::obis::Obis;
use dlms_cosem_rs::security::{KeyRing, RustCryptoProvider, Secret, SecurityPolicy, SecuritySuite, SystemTitle};
use dlms_cosem_rs::transport::hdlc::Parameters;
use dlms_cosem_rs::xdlms::AttributeDescriptor;
use serde_json::{Value, json};

use super::meter::SystemRandom;
use super::{
    AUTHENTICATION_KEY, Access, CLIENT_TITLE, ENCRYPTION_KEY, Framing, OtherLink, PASSWORD, PATIENCE, datagrams_to,
    other,
};

/// Octets of the largest value that is read.
const VALUE: usize = 1 << 20;

pub(crate) struct Reader {
    link: OtherLink,
    session: Box<ClientSession<RustCryptoProvider<SystemRandom>, 4096>>,
}

impl Reader {
    /// Connects and associates.
    pub(crate) fn open(
        address: SocketAddr,
        framing: Framing,
        access: Access,
        max_pdu: u16,
        counter: u32,
        parameters: Parameters,
    ) -> io::Result<Self> {
        let link = if framing == Framing::Udp {
            OtherLink::datagrams(datagrams_to(address)?, access.client(), 1)?
        } else {
            let stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            OtherLink::connect(stream, framing, access.client(), parameters)?
        };
        let ciphered = matches!(access, Access::Ciphered { .. });
        let config = ClientConfig {
            client_sap: u8::try_from(access.client()).map_err(other)?,
            system_title: ciphered.then_some(SystemTitle::new(CLIENT_TITLE)),
            mechanism: match access {
                Access::Public => AuthMechanism::None,
                Access::Password => AuthMechanism::Low,
                Access::Ciphered { .. } => AuthMechanism::HighGmac,
            },
            password: (access == Access::Password).then(|| Secret::new(PASSWORD)).transpose().map_err(other)?,
            security: if ciphered {
                SecurityPolicy::authenticated_encrypted(SecuritySuite::Suite0)
            } else {
                SecurityPolicy::NONE
            },
            max_pdu_size: max_pdu,
            invocation_counter: counter,
            ..Default::default()
        };
        let keys = if ciphered { KeyRing::new(ENCRYPTION_KEY, AUTHENTICATION_KEY) } else { KeyRing::default() };
        let session = Box::new(ClientSession::new(config, RustCryptoProvider::with_rng(keys, SystemRandom)));
        let mut reader = Self { link, session };
        let mut request = vec![0; 4096];
        let length = reader.session.associate_request(&mut request).map_err(other)?;
        let answer = reader.exchange(&request[..length])?;
        let mut step = reader.session.handle_associate_response(&answer).map_err(other)?;
        if step == AssociationStep::HlsReplyRequired {
            let length = reader.session.hls_reply_request(&mut request).map_err(other)?;
            let answer = reader.exchange(&request[..length])?;
            step = reader.session.handle_hls_reply_response(&answer).map_err(other)?;
        }
        if step == AssociationStep::Established { Ok(reader) } else { Err(other(step)) }
    }

    /// The last invocation counter that was used.
    pub(crate) fn counter(&self) -> u32 {
        self.session.invocation_counter()
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        self.link.send(request)?;
        self.link.receive()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// An attribute without types, or a selection of a profile's entries; `None`: refused.
    pub(crate) fn read(
        &mut self,
        class: u16,
        obis: [u8; 6],
        attribute: i8,
        entries: Option<(u32, u32)>,
    ) -> io::Result<Option<Value>> {
        let [a, b, c, d, e, f] = obis;
        let descriptor = AttributeDescriptor::new(class, Obis::new(a, b, c, d, e, f), attribute);
        let mut scratch = [0; 64];
        let selection = entries.map(|(first, last)| EntryDescriptor::entries(first, last));
        let selection = selection.as_ref().map(|entries| entries.to_selective_access(&mut scratch)).transpose();
        let mut request = vec![0; 4096];
        let length = self.session.get_request(descriptor, selection.map_err(other)?, &mut request).map_err(other)?;
        let mut answer = self.exchange(&request[..length])?;
        let (mut plain, mut storage) = (vec![0; 0x1_0000], vec![0; VALUE]);
        let mut blocks = BlockCollector::new(&mut storage);
        loop {
            match self.session.handle_response(&answer, &mut plain).map_err(other)? {
                Response::Data(value) => return value_of(&value).map(Some),
                Response::DataError(_) => return Ok(None),
                Response::Block { last, number, data } => {
                    blocks.push(number, data).map_err(other)?;
                    if last {
                        return value_of(&blocks.value().map_err(other)?).map(Some);
                    }
                    let length = self.session.get_next_block_request(number, &mut request).map_err(other)?;
                    answer = self.exchange(&request[..length])?;
                }
                unexpected => return Err(other(unexpected)),
            }
        }
    }

    /// Several attributes by one ACCESS request: each result as this implementation shows it, and the value.
    pub(crate) fn read_access(&mut self, wanted: &[(u16, [u8; 6], i8)]) -> io::Result<Vec<(String, Value)>> {
        let items: Vec<_> = wanted
            .iter()
            .map(|&(class, [a, b, c, d, e, f], attribute)| AccessItem::Get {
                descriptor: AttributeDescriptor::new(class, Obis::new(a, b, c, d, e, f), attribute),
                access: None,
            })
            .collect();
        let mut request = vec![0; 4096];
        let length = self.session.access_request(&items, &mut request).map_err(other)?;
        let answer = self.exchange(&request[..length])?;
        let mut plain = vec![0; 4096];
        match self.session.handle_response(&answer, &mut plain).map_err(other)? {
            Response::Access { data, results } => results
                .iter()
                .zip(data.iter())
                .map(|(result, value)| {
                    let value = value_of(&value.map_err(other)?)?;
                    Ok((format!("{:?}", result.map_err(other)?), value))
                })
                .collect(),
            unexpected => Err(other(unexpected)),
        }
    }

    /// Releases the association.
    pub(crate) fn close(mut self) -> io::Result<()> {
        let mut request = vec![0; 4096];
        let length = self.session.release_request(&mut request).map_err(other)?;
        let answer = self.exchange(&request[..length])?;
        let mut plain = vec![0; 4096];
        match self.session.handle_response(&answer, &mut plain).map_err(other)? {
            Response::Released => Ok(()),
            unexpected => Err(other(unexpected)),
        }
    }
}

fn encoded(value: &Data<'_>) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    value.encode(&mut octets).map_err(other)?;
    Ok(octets)
}

/// A value as this implementation decoded it, without types.
fn value_of(value: &Data<'_>) -> io::Result<Value> {
    let elements = |elements: &dlms_cosem_rs::axdr::Seq<'_>| {
        elements
            .iter()
            .map(|element| value_of(&element.map_err(other)?))
            .collect::<io::Result<Vec<_>>>()
            .map(Value::from)
    };
    Ok(match value {
        Data::Null => Value::Null,
        Data::Array(sequence) | Data::Structure(sequence) => elements(sequence)?,
        Data::Boolean(value) => json!(value),
        Data::OctetString(octets) => json!(hex::encode(octets)),
        Data::BitString(bits) => {
            json!((0..bits.len()).map(|i| if bits.bit(i) { '1' } else { '0' }).collect::<String>())
        }
        other_kind => match (other_kind.as_str(), other_kind.as_i64(), other_kind.as_u64()) {
            (Some(text), _, _) => json!(text),
            (None, Some(number), _) => json!(number),
            (None, None, Some(number)) => json!(number),
            (None, None, None) => match encoded(other_kind)?[..] {
                // A date-time by its tag.
                [25, ref octets @ ..] => json!(hex::encode(octets)),
                _ => return Err(other(other_kind)),
            },
        },
    })
}
