//! One connection to the broker, from CONNECT to its end. What was not acknowledged on it is nobody's: the next one
//! begins behind the cursor.

use std::{collections::VecDeque, io, time::Duration};

use rumqttc::{
    AsyncClient, ConnectAuth, ConnectionError, Event, LastWill, MqttOptions, Packet, PubAckReason, PublishNotice,
    PublishNoticeError, PublishOptions, PublishResult, QoS, TlsConfiguration, TlsError, Transport,
};
use tokio::{task::JoinHandle, time::timeout};
use zeroize::Zeroizing;

use super::{BrokerOptions, message::Message};
use crate::store::StoreError;

/// From the first octet to CONNACK.
const CONNECT: Duration = Duration::from_secs(20);
/// From a message to its acknowledgement.
const ACKNOWLEDGE: Duration = Duration::from_secs(30);
/// Silence after which the broker is asked whether it is there, in seconds.
const KEEP_ALIVE_S: u16 = 15;
/// How long the end may take.
const GOODBYE: Duration = Duration::from_secs(3);
/// Octets that a message has beside topic and payload, at most.
const OVERHEAD: usize = 64;
/// What MQTT itself can carry.
const LARGEST: usize = 268_435_455;

/// Why publishing was broken off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File { path: std::path::PathBuf, source: io::Error },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// No connection, or no longer.
    #[error("no connection")]
    Connection(#[from] ConnectionError),
    /// The broker did not answer in time.
    #[error("the broker did not {0} in time")]
    Late(&'static str),
    /// The broker did not take a message.
    #[error("the broker does not take {topic}: {reason:?}")]
    Refused { topic: String, reason: PubAckReason },
    /// The connection ended while messages were on their way.
    #[error("the connection ended while {topic} was on its way")]
    Unacknowledged { topic: String, source: PublishNoticeError },
    /// The connection takes no messages any more.
    #[error("the connection ended")]
    Ended,
    /// The store.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
}

/// A connection.
pub(super) struct Session {
    client: AsyncClient,
    driver: JoinHandle<ConnectionError>,
    in_flight: usize,
    largest: usize,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn file(path: &std::path::Path) -> Result<Vec<u8>, Broken> {
    tokio::fs::read(path).await.map_err(|source| Broken::File { path: path.to_owned(), source })
}

async fn settings(of: &BrokerOptions, client_id: &str, will: Message) -> Result<MqttOptions, Broken> {
    let mut settings = MqttOptions::new(client_id, (of.broker.host.clone(), of.broker.port));
    settings.set_keep_alive(KEEP_ALIVE_S).set_outgoing_inflight_upper_limit(of.in_flight.max(1));
    settings.set_request_channel_capacity(of.in_flight.max(1).into());
    settings.set_last_will(LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, true, None));
    let password = match &of.password_file {
        Some(path) => Some(Zeroizing::new(file(path).await?)),
        None => None,
    };
    // A file that an editor wrote ends with a line break.
    let password = password.as_deref().map(|octets| octets.trim_ascii_end().to_vec());
    match (&of.user, password) {
        (Some(user), Some(password)) => settings.set_credentials(user.clone(), password),
        (Some(user), None) => settings.set_username(user.clone()),
        (None, Some(password)) => settings.set_auth(ConnectAuth::Password { password: password.into() }),
        (None, None) => &mut settings,
    };
    if of.broker.tls {
        let client_auth = match &of.identity {
            Some((certificate, key)) => Some((file(certificate).await?, file(key).await?)),
            None => None,
        };
        settings.set_transport(match &of.ca {
            Some(ca) => Transport::Tls(TlsConfiguration::Simple { ca: file(ca).await?, alpn: None, client_auth }),
            None => Transport::try_tls_with_default_config()?,
        });
    }
    Ok(settings)
}

impl Session {
    /// Connects; `will` is what the broker publishes, retained, when the connection ends without a goodbye.
    ///
    /// # Errors
    /// [`Broken`].
    pub(super) async fn open(options: &BrokerOptions, client_id: &str, will: Message) -> Result<Self, Broken> {
        let settings = settings(options, client_id, will).await?;
        let in_flight = usize::from(options.in_flight.max(1));
        let (client, mut events) = AsyncClient::builder(settings).capacity(in_flight).build();
        let connected = timeout(CONNECT, async {
            loop {
                if let Event::Incoming(Packet::ConnAck(answer)) = events.poll().await? {
                    return Ok::<_, ConnectionError>(answer);
                }
            }
        });
        let answer = connected.await.map_err(|_| Broken::Late("connect"))??;
        let limit = answer.properties.and_then(|properties| properties.max_packet_size);
        let largest = limit.map_or(LARGEST, |limit| LARGEST.min(usize::try_from(limit).unwrap_or(LARGEST)));
        // Polled further it would connect again by itself, and publish what nobody waits for any more.
        let driver = tokio::spawn(async move {
            loop {
                if let Err(error) = events.poll().await {
                    return error;
                }
            }
        });
        Ok(Self { client, driver, in_flight, largest })
    }

    /// Ready when the connection has ended.
    pub(super) async fn ended(&mut self) -> Broken {
        match (&mut self.driver).await {
            Ok(error) => Broken::Connection(error),
            Err(_) => Broken::Ended,
        }
    }

    /// Messages on their way.
    pub(super) fn flight(&self) -> Flight<'_> {
        Flight { session: self, waiting: VecDeque::with_capacity(self.in_flight) }
    }

    /// Says `last` and goodbye, as far as the broker listens.
    pub(super) async fn close(mut self, last: Message) {
        let goodbye = async {
            let mut flight = self.flight();
            flight.send(last).await?;
            flight.settle().await?;
            self.client.disconnect().await.map_err(|_| Broken::Ended)
        };
        if let Ok(Ok(())) = timeout(GOODBYE, goodbye).await {
            // The connection ends behind the DISCONNECT.
            let _ = timeout(GOODBYE, &mut self.driver).await;
        }
    }
}

/// Messages on their way. Only [`settle`](Self::settle) says that they have arrived.
pub(super) struct Flight<'a> {
    session: &'a Session,
    waiting: VecDeque<(String, PublishNotice)>,
}

impl Flight<'_> {
    /// Sends a message; waits for the oldest one on its way where there are as many as may be.
    ///
    /// # Errors
    /// [`Broken`]: the connection is of no more use.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), Broken> {
        if message.topic.len() + message.payload.len() + OVERHEAD > self.session.largest {
            // Sent, it would end the connection, and again each time.
            let octets = message.payload.len();
            tracing::error!(topic = message.topic, octets, "the broker takes no message of this size; left out");
            return Ok(());
        }
        while self.waiting.len() >= self.session.in_flight {
            self.oldest().await?;
        }
        let Message { topic, payload, retain } = message;
        let options = PublishOptions::new(QoS::AtLeastOnce);
        let options = if retain { options.retained() } else { options };
        let sent = timeout(ACKNOWLEDGE, self.session.client.publish_tracked(topic.clone(), payload, options)).await;
        let notice = sent.map_err(|_| Broken::Late("take a message"))?.map_err(|_| Broken::Ended)?;
        self.waiting.push_back((topic, notice));
        Ok(())
    }

    async fn oldest(&mut self) -> Result<(), Broken> {
        let Some((topic, notice)) = self.waiting.pop_front() else { return Ok(()) };
        let result = timeout(ACKNOWLEDGE, notice.wait_async()).await;
        match result.map_err(|_| Broken::Late("acknowledge a message"))? {
            Ok(PublishResult::Qos1(ack)) => match ack.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
                reason => Err(Broken::Refused { topic, reason }),
            },
            Err(PublishNoticeError::V5PubAck(reason)) => Err(Broken::Refused { topic, reason }),
            Err(source) => Err(Broken::Unacknowledged { topic, source }),
            // Nothing is sent with another quality of service.
            Ok(_) => Err(Broken::Ended),
        }
    }

    /// Waits until all are acknowledged.
    ///
    /// # Errors
    /// [`Broken`]: some are not.
    pub(super) async fn settle(mut self) -> Result<(), Broken> {
        while !self.waiting.is_empty() {
            self.oldest().await?;
        }
        Ok(())
    }
}
