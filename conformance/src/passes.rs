//! Passes 3 and 4 of high level security: whether each side's answer fits the challenge it was sent.

use dlms::acse::Mechanism;
use dlms::id::SystemTitle;
use dlms::security::{Context, KeySet, Protection, ReceiveFloor, RustCrypto, SecurityControl, hls};
use serde_json::Value;

use crate::collect::innermost;
use crate::complaint::Complaint;
use crate::open::Keys;
use crate::record::Layer;

/// Mechanism and challenges of the association under way.
#[derive(Debug, Default)]
pub struct Passes {
    mechanism: Option<u8>,
    to_server: Option<Vec<u8>>,
    to_client: Option<Vec<u8>>,
    /// The client has answered; the server's answer is next.
    answered: bool,
}

impl Passes {
    /// Takes the next decoded APDU; true when it carries an answer that was verified.
    pub fn push(&mut self, decoded: &Value, keys: &Keys) -> Result<bool, Complaint> {
        let apdu = innermost(decoded);
        let octets = |value: &Value| value.as_str().and_then(|text| hex::decode(text).ok());
        match apdu["apdu"].as_str().unwrap_or_default() {
            "aarq" => {
                let mechanism = apdu["mechanism"].as_str().and_then(|oid| oid.rsplit('.').next()?.parse().ok());
                *self = Self { mechanism, to_server: octets(&apdu["calling-auth"]), ..Self::default() };
                Ok(false)
            }
            "aare" => {
                self.to_client = octets(&apdu["responding-auth"]);
                Ok(false)
            }
            "action-request-normal" if apdu["class"] == 15 && apdu["method"] == 1 => {
                self.answered = true;
                let answer = octets(&apdu["data"]["octet-string"]);
                self.verify(answer, [&self.to_client, &self.to_server], [keys.client(), keys.server()], keys)
            }
            "action-response-normal" if std::mem::take(&mut self.answered) => {
                let answer = octets(&apdu["return"]["data"]["octet-string"]);
                self.verify(answer, [&self.to_server, &self.to_client], [keys.server(), keys.client()], keys)
            }
            _ => Ok(false),
        }
    }

    /// `challenge` is the one that is answered, `own` that of the side that answers; `signer` is this side.
    fn verify(
        &self,
        answer: Option<Vec<u8>>,
        [challenge, own]: [&Option<Vec<u8>>; 2],
        [signer, verifier]: [Option<SystemTitle>; 2],
        keys: &Keys,
    ) -> Result<bool, Complaint> {
        let (Some(answer), Some(challenge), Some(own)) = (answer, challenge, own) else { return Ok(false) };
        let refuse = |error| Complaint::new(Layer::Security, format_args!("answer to the HLS challenge: {error}"));
        let challenge = hls::Challenge::from_peer(challenge).map_err(refuse)?;
        match (self.mechanism, keys.unicast(), keys.authentication(), keys.secret()) {
            (Some(5), Some(key), Some(authentication), _) => {
                let Some(signer) = signer else { return Ok(false) };
                let control = SecurityControl(answer.first().copied().unwrap_or_default());
                let suite = control.suite().map_err(refuse)?;
                let keys = KeySet::new(suite, key, authentication).map_err(refuse)?;
                let mut context = Context::<RustCrypto>::new(SystemTitle([0; 8]), &keys).map_err(refuse)?;
                context.set_required(Protection::NONE);
                context.set_peer_title(signer);
                // A replay moves no floor: captured exchanges are cut out of longer ones.
                let _verified =
                    hls::verify_gmac(&context, ReceiveFloor::new(0), &challenge, &answer).map_err(refuse)?;
                Ok(true)
            }
            (Some(id @ (2 | 3 | 4 | 6)), _, _, Some(secret)) => {
                let own = hls::Challenge::from_peer(own).map_err(refuse)?;
                let exchange = hls::Exchange { secret, signer, verifier, challenge: &challenge, own: &own };
                hls::verify::<RustCrypto>(Mechanism::from_id(id), &exchange, &answer).map_err(refuse)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::Security;

    /// Green Book: the client's answer to the challenge 503677524a323146.
    const ANSWER: &str = "10000000011a52fe7dd3e72748973c1e28";

    fn push(answer: &str) -> Result<bool, Complaint> {
        let octets = |text: &str| Some(hex::decode(text).unwrap().into());
        let keys = Keys::new(&Security {
            block_cipher_key: octets("000102030405060708090a0b0c0d0e0f"),
            auth_key: octets("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"),
            client_system_title: octets("4d4d4d0000000001"),
            ..Security::default()
        });
        let mut passes = Passes::default();
        passes.push(&json!({"apdu": "aarq", "mechanism": "2.16.756.5.8.2.5", "calling-auth": "00"}), &keys)?;
        passes.push(&json!({"apdu": "aare", "responding-auth": "503677524a323146"}), &keys)?;
        let action =
            json!({"apdu": "action-request-normal", "class": 15, "method": 1, "data": {"octet-string": answer}});
        passes.push(&json!({"apdu": "glo-action-request", "plain": action}), &keys)
    }

    #[test]
    fn lesson_02_a_published_answer_verifies_with_its_own_counter() {
        assert_eq!(push(ANSWER), Ok(true));
        let other_counter = ANSWER.replace("00000001", "00000002");
        assert_eq!(push(&other_counter).unwrap_err().layer, Layer::Security);
        assert_eq!(push("1000").unwrap_err().layer, Layer::Security);
    }
}
