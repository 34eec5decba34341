//! Opening an association: keys, counters, and what to do when the meter refuses a counter.

use std::sync::Arc;

use dlms::{
    acse::Mechanism,
    apdu::{AttributeDescriptor, AttributeRequest, Conformance},
    association::{
        Secret as StackSecret,
        client::{CLIENT_CONFORMANCE, Config, General, GeneralBlocks, Security},
    },
    id::{AttributeId, ClassId, ClientSap},
    obis::ObisCode,
    quirk::Identity,
    security::{InvocationCounter, KeySet, PrivateKey, Protection, Random, SecurityError, Suite, public_key::hls7},
};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    calls::{Lent, Slot},
    contact::Tally,
    counters::CounterSource,
    directory::Directory,
    driver::{DriveError, Driver, OsRandom, Surroundings},
    failure::{counter_refused, expired, from_drive, from_transport, head_end},
    link::{MeterLink, line_time_ms},
    memory::Memory,
    notification::Inbox,
    session::Session,
    tapped::TappedLink,
    trace::Tap,
    transport::{Connector, Transport, TransportError},
    work::Work,
};
use crate::{
    config::QuirkModels,
    meter::{Authentication, Ciphering, Envelope, HlsDigest, LinkConfig, MeterConfig},
    operation::{Layer, RequestError, RequestErrorKind as Kind},
};

/// Where the meter keeps the invocation counter that it holds against us: the unicast key of its first security setup
/// (Blue Book, 0-b:43.1.e).
const COUNTER_OBJECT: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(1), ObisCode([0, 0, 43, 1, 0, 255]), AttributeId(2));
/// What is proposed: the services that are used, and general block transfer for answers to ACCESS, which has no blocks of
/// its own.
const PROPOSED: Conformance = CLIENT_CONFORMANCE.union(Conformance::GENERAL_BLOCK_TRANSFER);
/// The first counter of a key that was never used.
const FIRST_COUNTER: u32 = 1;
/// How long a session that failed may take to say goodbye.
pub(super) const FAREWELL: Duration = Duration::from_millis(500);

/// When a goodbye ends whose confirmation the caller waits for. It is said also where no time is left.
pub(super) fn farewell(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + FAREWELL)
}

/// What sessions need from the fleet.
#[derive(Clone)]
pub(super) struct Environment {
    pub(super) directory: Arc<dyn Directory>,
    pub(super) connector: Arc<dyn Connector>,
    /// Connections that the meter has made.
    pub(super) line: Arc<Slot>,
    /// No connection is waited for any more.
    pub(super) stop: CancellationToken,
    pub(super) random: OsRandom,
    pub(super) inbox: Inbox,
    /// By how much the meter's word may move our counter up.
    pub(super) counter_jump_max: u32,
    pub(super) quirks: QuirkModels,
    pub(super) counts: Tally,
    pub(super) tap: Tap,
}

impl Session {
    /// Opens an association with the meter.
    ///
    /// Where it is not known which of two generations of keys the meter has, and it refuses those of the first, those
    /// of the other are tried, once. An association that opens with new keys proves them.
    pub(super) async fn open(
        environment: &Environment,
        config: &Arc<MeterConfig>,
        memory: &mut Memory,
        work: &Work<'_>,
    ) -> Result<Self, RequestError> {
        // On the heap: the two attempts would take their room on the stack both.
        let opened = Box::pin(Self::open_with(environment, config, memory, work)).await;
        let Some(rotation) = &config.rotation else { return opened };
        let (session, is_new) = match opened {
            Ok(session) => (session, !rotation.other_is_new),
            Err(error) if error.kind() == Kind::SecurityFailed && !memory.other_keys_tried => {
                memory.other_keys_tried = true;
                tracing::info!(meter = %config.id, %error, "the keys of the other generation are tried");
                match Box::pin(Self::open_with(environment, &rotation.other, memory, work)).await {
                    Ok(session) => (session, rotation.other_is_new),
                    Err(other) => {
                        tracing::warn!(meter = %config.id, error = %other, "neither generation of keys opens");
                        return Err(error);
                    }
                }
            }
            Err(error) => return Err(error),
        };
        if is_new && let Err(error) = environment.directory.keys_proved(&config.id, &rotation.id).await {
            memory.counter = session.close(farewell(work.deadline)).await;
            return Err(error);
        }
        Ok(session)
    }

    /// Opens an association with the keys of this configuration.
    ///
    /// Where the meter refuses, as it does when it holds a higher invocation counter against us, its counter object is
    /// read in a short association of the public client, our counter is moved up, and opening is tried once more.
    async fn open_with(
        environment: &Environment,
        config: &Arc<MeterConfig>,
        memory: &mut Memory,
        work: &Work<'_>,
    ) -> Result<Self, RequestError> {
        let mut resynchronised = false;
        if let Some(ciphering) = &config.ciphering {
            memory.count_for(ciphering.counter);
            let source = source(environment, ciphering);
            let refused = memory.counter_refused.take();
            let unknown = memory.counter.end() == 0;
            source.top_up(&mut memory.counter).await?;
            // Nothing was ever sent under this key: the meter may know better, for another system may have used it.
            let first = unknown && memory.counter.next() <= FIRST_COUNTER;
            if first || refused.is_some() {
                match resynchronise(environment, config, memory, refused.flatten(), work).await {
                    Ok(()) => resynchronised = true,
                    Err(error) => no_harm(error)?,
                }
            }
        }
        loop {
            work.check()?;
            let error = match Self::attempt(environment, config, memory, work).await? {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            let hint = match (&config.ciphering, counter_refused(&error)) {
                (Some(_), Some(hint)) if !resynchronised => hint,
                _ => return Err(from_drive(error, "while the association was opened")),
            };
            resynchronised = true;
            let before = memory.counter.next();
            if let Err(error) = resynchronise(environment, config, memory, hint, work).await {
                no_harm(error)?;
            }
            if memory.counter.next() == before {
                // The counter was not what the meter minded.
                return Err(from_drive(error, "while the association was opened"));
            }
        }
    }

    /// Connects and associates once. The inner error is the meter's or the line's, and may be about the counter.
    async fn attempt(
        environment: &Environment,
        config: &Arc<MeterConfig>,
        memory: &mut Memory,
        work: &Work<'_>,
    ) -> Result<Result<Self, DriveError>, RequestError> {
        let deadline = work.deadline;
        let association = (association(environment, config, memory.receive_floor)?, signatures(config)?);
        let counters = config.ciphering.as_ref().map(|ciphering| source(environment, ciphering));
        if let Some(source) = &counters {
            source.top_up(&mut memory.counter).await?;
        }
        let counter = std::mem::replace(&mut memory.counter, InvocationCounter::new(0, 0));
        let began = Instant::now();
        let mut driver = match connect(environment, config, association, counter, counters, work).await {
            Ok(driver) => driver,
            Err((counter, error)) => {
                memory.counter = counter;
                return Err(error);
            }
        };
        let connection = began.elapsed();
        match driver.associate(deadline).await {
            Ok(negotiated) => {
                let session = Self::new(driver, Arc::clone(config), negotiated);
                Ok(Ok(session.opened_in(connection, began.elapsed().saturating_sub(connection))))
            }
            Err(error) => {
                memory.counter = driver.take_counter();
                driver.finish(farewell(deadline)).await;
                Ok(Err(error))
            }
        }
    }
}

fn source(environment: &Environment, ciphering: &Ciphering) -> CounterSource {
    CounterSource::new(Arc::clone(&environment.directory), ciphering.counter)
}

/// Connects; gives the counter back where that fails.
async fn connect(
    environment: &Environment,
    config: &Arc<MeterConfig>,
    (association, signatures): (Config, Option<General>),
    counter: InvocationCounter,
    counters: Option<CounterSource>,
    work: &Work<'_>,
) -> Result<Driver, (InvocationCounter, RequestError)> {
    let deadline = work.deadline;
    let link = match MeterLink::new(config, association.client, &association.quirks) {
        Ok(link) => link,
        Err(error) => return Err((counter, error)),
    };
    let by = deadline.min(Instant::now() + config.timeouts.connect);
    let opened = match config.link {
        LinkConfig::DialIn => match called(environment, work).await {
            Ok(line) => line.map(Transport::Lent).ok_or(TransportError::NotCalled),
            Err(error) => return Err((counter, error)),
        },
        _ => environment.connector.connect(&config.link, by).await,
    };
    match opened {
        Ok(transport) => {
            let dedicated = association.security.as_ref().and_then(|security| security.dedicated_key.clone());
            let link = TappedLink::new(link, environment.tap.clone(), Arc::clone(config), dedicated);
            let surroundings = Surroundings {
                random: environment.random,
                inbox: environment.inbox.clone(),
                counts: environment.counts.clone(),
            };
            Ok(Driver::new(link, (association, signatures), counter, transport, counters, surroundings))
        }
        Err(error) => {
            let error = match Instant::now() >= deadline && error != TransportError::NotCalled {
                true => expired("while the connection was made").with_source(error),
                false => from_transport(error),
            };
            Err((counter, error))
        }
    }
}

/// How often it is looked whether somebody still waits for a meter that connects by itself.
const LOOK: Duration = Duration::from_millis(250);
/// How much earlier than its caller's deadline the wait for such a meter ends, so that the caller hears of it.
const EARLIER: Duration = Duration::from_millis(100);

/// A connection that the meter has made, or makes until the deadline, where that is waited for.
async fn called(environment: &Environment, work: &Work<'_>) -> Result<Option<Lent>, RequestError> {
    let until = work.deadline.checked_sub(EARLIER).filter(|_| work.waits).unwrap_or_else(Instant::now);
    loop {
        let now = Instant::now();
        let lent = environment.line.lend(until.min(now + LOOK)).await;
        if lent.is_some() || now >= until || environment.stop.is_cancelled() {
            return Ok(lent);
        }
        work.check()?;
    }
}

/// Reads the counter that the meter holds against us and moves ours above it. `hint` is what the meter told when it
/// refused, used where the object cannot be read.
///
/// Both come from a peer that has proved nothing, so they move the counter up only, and only so far: somebody on the
/// line who says "four thousand million" must not use the key up.
async fn resynchronise(
    environment: &Environment,
    config: &Arc<MeterConfig>,
    memory: &mut Memory,
    hint: Option<u32>,
    work: &Work<'_>,
) -> Result<(), RequestError> {
    let Some(ciphering) = &config.ciphering else { return Ok(()) };
    let seen = match (read_counter(environment, config, work).await, hint) {
        (Ok(seen), hint) => seen.max(hint.map_or(0, |lowest| lowest.saturating_sub(1))),
        (Err(_), Some(lowest)) => lowest.saturating_sub(1),
        (Err(error), None) => return Err(error),
    };
    let own = memory.counter.next();
    if seen < own {
        return Ok(());
    }
    if seen - own > environment.counter_jump_max {
        let limit = environment.counter_jump_max;
        let message = format!("the meter's invocation counter {seen} is more than {limit} above our own {own}");
        return Err(RequestError::new(Kind::SecurityFailed, Layer::Security, message));
    }
    tracing::info!(meter = %config.id, own, seen, "invocation counter moved up to the meter's");
    source(environment, ciphering).raise(seen, &mut memory.counter).await?;
    environment.counts.counter_raised();
    Ok(())
}

/// Passes on what must end the opening although the counter could not be read: a jump that is too large, and the
/// store. That the meter does not tell its counter is no reason not to try.
fn no_harm(error: RequestError) -> Result<(), RequestError> {
    match error.kind() {
        Kind::Store | Kind::SecurityFailed | Kind::Expired | Kind::Cancelled => Err(error),
        _ => {
            tracing::debug!(%error, "the meter's invocation counter could not be read");
            Ok(())
        }
    }
}

/// Opens an association of the public client, on a connection of its own.
///
/// The first error is that of a line without connection; the inner one is the meter's word about the public client,
/// which says nothing about our keys.
pub(super) async fn public(
    environment: &Environment,
    config: &Arc<MeterConfig>,
    work: &Work<'_>,
) -> Result<Result<Session, DriveError>, RequestError> {
    work.check()?;
    let association = Config {
        max_pdu: config.max_pdu,
        response_timeout_ms: response_timeout_ms(config),
        general_blocks: GeneralBlocks::DEFAULT,
        ..Config::public(config.server)
    };
    debug_assert_eq!(association.client, ClientSap::PUBLIC);
    let none = InvocationCounter::new(0, 0);
    let connected = connect(environment, config, (association, None), none, None, work).await;
    let mut driver = connected.map_err(|(_, error)| error)?;
    Ok(match driver.associate(work.deadline).await {
        Ok(negotiated) => Ok(Session::new(driver, Arc::clone(config), negotiated)),
        Err(error) => {
            driver.finish(farewell(work.deadline)).await;
            Err(error)
        }
    })
}

/// Reads the invocation counter object as the public client.
async fn read_counter(
    environment: &Environment,
    config: &Arc<MeterConfig>,
    work: &Work<'_>,
) -> Result<u32, RequestError> {
    let refused = |error| from_drive(error, "while the invocation counter was read").with_kind(Kind::Unreachable);
    let mut session = public(environment, config, work).await?.map_err(refused)?;
    let read = session.get(AttributeRequest::whole(COUNTER_OBJECT), work).await;
    session.close(farewell(work.deadline)).await;
    // What was sent is not what the caller asked for.
    let value = read.map_err(|error| error.with_sent(false))?;
    let counter = value.as_data().and_then(|data| data.as_u32());
    counter.ok_or_else(|| {
        let message = format!("the invocation counter is no number but {}", value.type_name());
        RequestError::new(Kind::Protocol, Layer::Meter, message)
    })
}

fn response_timeout_ms(config: &MeterConfig) -> u64 {
    // On a slow line the answer itself takes its time, with a third more for the frames around it.
    let answer = line_time_ms(&config.link, u64::from(config.max_pdu).saturating_mul(4) / 3);
    u64::try_from(config.timeouts.response.as_millis()).unwrap_or(u64::MAX).saturating_add(answer)
}

/// What the stack's client needs to know.
fn association(environment: &Environment, config: &MeterConfig, receive_floor: u32) -> Result<Config, RequestError> {
    let mut own_title = None;
    let (mechanism, secret) = match &config.authentication {
        Authentication::None => (Mechanism::Lowest, StackSecret::NONE),
        Authentication::Lls { password } => {
            let secret = StackSecret::new(password.expose())
                .ok_or_else(|| head_end(Kind::InvalidRequest, "the password is too long"))?;
            (Mechanism::Lls, secret)
        }
        Authentication::HlsDigest { digest, secret, client_title } => {
            own_title = Some(*client_title);
            let secret = StackSecret::new(secret.expose())
                .ok_or_else(|| head_end(Kind::InvalidRequest, "the secret is too long"))?;
            let mechanism = match digest {
                HlsDigest::Md5 => Mechanism::Md5,
                HlsDigest::Sha1 => Mechanism::Sha1,
                HlsDigest::Sha256 => Mechanism::Sha256,
            };
            (mechanism, secret)
        }
        Authentication::HlsGmac => (Mechanism::Gmac, StackSecret::NONE),
        Authentication::HlsEcdsa { client_title, .. } => {
            own_title = Some(*client_title);
            (Mechanism::Ecdsa, StackSecret::NONE)
        }
    };
    let identity = Identity { system_title: config.meter_title, logical_device_name: None };
    let public = Config::public(config.server);
    let avoided = environment.quirks.avoided(&identity);
    let challenge_length = match mechanism {
        Mechanism::Ecdsa => hls7::CHALLENGE_MIN,
        _ => public.challenge_length,
    };
    let security = match &config.ciphering {
        Some(ciphering) => Some(security(environment, config, ciphering, receive_floor)?),
        None => None,
    };
    Ok(Config {
        quirks: environment.quirks.find(&identity),
        client: config.client,
        server: config.server,
        mechanism,
        secret,
        security,
        max_pdu: config.max_pdu,
        response_timeout_ms: response_timeout_ms(config),
        challenge_length,
        conformance: PROPOSED.without(avoided),
        system_title: own_title,
        peer_title: config.meter_title,
        ..public
    })
}

/// Keys for signatures, where the meter proves itself by them.
fn signatures(config: &MeterConfig) -> Result<Option<General>, RequestError> {
    let Authentication::HlsEcdsa { own, meter, .. } = &config.authentication else { return Ok(None) };
    let own = PrivateKey::from_slice(meter.curve(), own.expose()).map_err(unusable)?;
    // Nothing but the challenge is signed, which needs no transaction-id.
    Ok(Some(General::signing(own, *meter, 0)))
}

fn unusable(error: SecurityError) -> RequestError {
    RequestError::new(Kind::SecurityFailed, Layer::Security, format!("the meter's keys cannot be used: {error}"))
}

fn security(
    environment: &Environment,
    config: &MeterConfig,
    ciphering: &Ciphering,
    receive_floor: u32,
) -> Result<Security, RequestError> {
    let suite = Suite::from_id(ciphering.suite).map_err(unusable)?;
    let keys = KeySet::new(suite, ciphering.keys.encryption.expose(), ciphering.keys.authentication.expose());
    let dedicated_key = match ciphering.dedicated_key {
        true => {
            let mut key = Zeroizing::new(vec![0; suite.key_length()]);
            let mut random = environment.random;
            random.fill(&mut key);
            StackSecret::new(&key)
        }
        false => None,
    };
    Ok(Security {
        suite,
        keys: keys.map_err(unusable)?,
        dedicated_key,
        system_title: ciphering.client_title,
        peer_title: config.meter_title,
        protection: Protection {
            authenticated: ciphering.policy.authenticated,
            encrypted: ciphering.policy.encrypted,
            signed: false,
        },
        general: ciphering.envelope == Envelope::General,
        receive_floor,
    })
}
