//! In general-ciphering with every kind of key, and signed.

use super::*;
use dlms::association::client::General;
use dlms::security::general::{
    Cipher, GeneralKeys, GeneralSession, KeyChoice, Layers, Order, TransactionId, TransactionMemory, protect,
};
use dlms::security::public_key::Curve;
use dlms::security::{Curves, KeyEncryptionKey, PrivateKey, PublicKey, Random};

const AE: Protection = Protection::AUTHENTICATED_ENCRYPTED;

/// Private keys: the client's for signing and agreement, then the meter's.
fn private(suite: Suite, which: u64) -> PrivateKey {
    RustCrypto::generate(suite.curve().unwrap_or(Curve::P256), &mut Counting(1_000 * (which + 1))).unwrap()
}

fn public(suite: Suite, which: u64) -> PublicKey {
    RustCrypto::public_key(&private(suite, which)).unwrap()
}

fn kek(suite: Suite) -> KeyEncryptionKey {
    KeyEncryptionKey::from_slice(suite, &vec![0x60; suite.key_length()]).unwrap()
}

fn unicast(suite: Suite) -> Vec<u8> {
    vec![0x11; suite.key_length()]
}

fn authentication(suite: Suite) -> Vec<u8> {
    vec![0x22; suite.key_length()]
}

fn meter(suite: Suite) -> Meter {
    let keys = MeterKeys {
        suite,
        unicast: unicast(suite),
        authentication: authentication(suite),
        kek: kek(suite),
        signing: private(suite, 2),
        agreement: private(suite, 3),
        client_signature: public(suite, 0),
        client_agreement: public(suite, 1),
        transactions: TransactionMemory::new(0),
        next_transaction: Some(50_000),
        push_policy: Protection::NONE,
    };
    Meter { keys: Some(Box::new(keys)), ..Meter::default() }
}

fn general(suite: Suite) -> General {
    let mut general = General::new(7_000);
    general.kek = Some(kek(suite));
    (general.signing, general.agreement) = (Some(private(suite, 0)), Some(private(suite, 1)));
    (general.peer_signature, general.peer_agreement) = (Some(public(suite, 2)), Some(public(suite, 3)));
    general
}

fn receiver(suite: Suite, required: Protection) -> Receiver<[Sender<RustCrypto>; 1]> {
    let keys = KeySet::new(suite, &unicast(suite), &authentication(suite)).unwrap();
    let context = Context::new(CLIENT_TITLE, &keys).unwrap();
    Receiver::new([Sender::new(SERVER_TITLE, context, required, 0).with_general(general(suite), 0)])
}

/// What protects a notification in this suite: every key, signed inside, outside and not.
fn every_wrapping(suite: Suite) -> Vec<Layers> {
    let mut ciphers = vec![
        Cipher::Envelope(Envelope::Global),
        Cipher::Envelope(Envelope::GeneralGlobal),
        Cipher::General(KeyChoice::Unicast),
        Cipher::General(KeyChoice::Wrapped),
    ];
    if suite == Suite::Suite0 {
        let unsigned = |cipher| Layers { cipher: Some(cipher), protection: AE, order: Order::SignThenCipher };
        return ciphers[1..].iter().copied().map(unsigned).collect();
    }
    ciphers.extend([Cipher::General(KeyChoice::OnePass), Cipher::General(KeyChoice::StaticUnified)]);
    let mut all = vec![Layers { cipher: None, protection: Protection::NONE.and_signed(), order: Order::default() }];
    for cipher in ciphers {
        for order in [Order::SignThenCipher, Order::CipherThenSign] {
            all.push(Layers { cipher: Some(cipher), protection: AE.and_signed(), order });
        }
        // The service's own form names nobody: DataNotification has none.
        if cipher != Cipher::Envelope(Envelope::Global) {
            all.push(Layers { cipher: Some(cipher), protection: AE, order: Order::default() });
        }
    }
    all
}

fn push(config: &Config, layers: Layers) -> PushTo {
    to(config, PushProtection::Layers { layers, recipient: CLIENT_TITLE })
}

/// Hands an APDU of the client to the meter.
fn answer(line: &mut Line<wrapper::client::Wrapper<Vec<u8>>, WrapperServer>, apdu: &[u8]) {
    let mut wpdu = hex!("0001 0011 0001").to_vec();
    wpdu.extend(u16::try_from(apdu.len()).unwrap().to_be_bytes());
    wpdu.extend_from_slice(apdu);
    line.server.handle_input(&wpdu, line.now, &mut line.meter, &mut line.random).unwrap();
    line.carry();
}

fn sent(line: &mut Line<wrapper::client::Wrapper<Vec<u8>>, WrapperServer>) -> Vec<u8> {
    line.wait();
    line.carry();
    line.sent.pop().unwrap()[8..].to_vec()
}

#[test]
fn every_key_and_signature_opens_once_and_is_confirmed_alike() {
    for suite in [Suite::Suite0, Suite::Suite1, Suite::Suite2] {
        for layers in every_wrapping(suite) {
            let what = format!("{suite:?} {layers:?}");
            let config = reader(PASSWORD);
            let push = confirmed(push(&config, layers));
            let mut line = over_wrapper(config, meter(suite));
            line.notify(&data(CONFIRMED_7), push).unwrap();
            line.carry();
            if line.sent.is_empty() {
                // Random numbers are there at the next call, which is due at once.
                assert_eq!(line.server.poll_timeout(), Some(line.now), "{what}");
                line.server.handle_timeout(line.now, &mut line.meter, &mut line.random).unwrap();
                line.carry();
            }
            let octets = line.sent.pop().unwrap()[8..].to_vec();
            let mut receiver = receiver(suite, layers.protection);
            for bit in (0..octets.len() * 8).step_by(if suite == Suite::Suite0 { 1 } else { 97 }) {
                let mut forged = octets.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(receiver.open(&mut forged, Some(SERVER_TITLE)).is_err(), "{what}: bit {bit}");
            }
            let mut apdu = octets.clone();
            let received = receiver.open(&mut apdu, None).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(encoded(&received.apdu), encoded(&data(CONFIRMED_7)), "{what}");
            assert_eq!((received.sender, received.protection), (Some(SERVER_TITLE), layers.protection), "{what}");

            // Another transport, another time: a replay all the same.
            let replayed = receiver.open(&mut octets.clone(), None).unwrap_err();
            let stale =
                matches!(replayed, PushError::Security(SecurityError::Counter { .. } | SecurityError::TransactionId));
            assert!(stale, "{what}: {replayed}");

            // Sent again it is a new message of the same notification.
            let mut again = sent(&mut line);
            assert!(receiver.open(&mut again, None).is_ok(), "{what}");

            let mut buffer = [0; 448];
            let counter = || Ok(line.meter.floors.get(&CLIENT_TITLE).map_or(1, |floor| floor + 1));
            let place = receiver
                .confirm_general(&received, counter, || Ok(7_777), &mut Counting(9 << 32), &mut buffer)
                .unwrap();
            let confirmation = buffer[place].to_vec();
            let named = confirmation.windows(8).any(|octets| octets == 7_777_u64.to_be_bytes());
            let outside = layers.order == Order::CipherThenSign && layers.protection.signed;
            if outside || matches!(layers.cipher, None | Some(Cipher::General(_))) {
                assert!(named, "{what}: with the id that the caller gave");
            }
            let mut forged = confirmation.clone();
            *forged.last_mut().unwrap() ^= 1;
            answer(&mut line, &forged);
            assert_eq!(line.audited("NotificationConfirmed"), 0, "{what}");
            answer(&mut line, &confirmation);
            assert_eq!(line.audited("NotificationConfirmed"), 1, "{what}");
            assert_eq!(line.server.poll_timeout(), None, "{what}");

            // The old confirmation confirms nothing new.
            line.notify(&data(CONFIRMED_7), push).unwrap();
            line.server.handle_timeout(line.now, &mut line.meter, &mut line.random).unwrap();
            line.carry();
            answer(&mut line, &confirmation);
            assert_eq!(line.audited("NotificationConfirmed"), 1, "{what}: replayed");
        }
    }
}

#[test]
fn ids_that_were_used_stay_used_after_a_restart_of_the_receiver() {
    let suite = Suite::Suite1;
    let signed = Layers { cipher: None, protection: Protection::NONE.and_signed(), order: Order::default() };
    let config = reader(PASSWORD);
    let push = push(&config, signed);
    let mut line = over_wrapper(config, meter(suite));
    line.notify(&data(5), push).unwrap();
    line.carry();
    let octets = line.sent.pop().unwrap()[8..].to_vec();
    let mut first = receiver(suite, signed.protection);
    first.open(&mut octets.clone(), None).unwrap();
    let floor = first.senders_mut()[0].transaction_floor().unwrap();
    let keys = KeySet::new(suite, &unicast(suite), &authentication(suite)).unwrap();
    let context = Context::<RustCrypto>::new(CLIENT_TITLE, &keys).unwrap();
    let sender = Sender::new(SERVER_TITLE, context, signed.protection, 0).with_general(general(suite), floor);
    let mut second = Receiver::new([sender]);
    let error = second.open(&mut octets.clone(), None).unwrap_err();
    assert_eq!(error, PushError::Security(SecurityError::TransactionId));
}

#[test]
fn what_is_not_protected_as_demanded_is_refused_and_what_cannot_be_is_not_sent() {
    let suite = Suite::Suite1;
    let config = reader(PASSWORD);
    // The policy strengthens what was asked for.
    let glo = push(&config, Layers::envelope(Envelope::GeneralGlobal, AE));
    let mut signing = meter(suite);
    signing.keys.as_mut().unwrap().push_policy = AE.and_signed();
    let mut line = over_wrapper(reader(PASSWORD), signing);
    line.notify(&data(5), glo).unwrap();
    line.carry();
    let mut apdu = line.sent.pop().unwrap()[8..].to_vec();
    let received = receiver(suite, AE.and_signed()).open(&mut apdu, None).map(|received| received.protection);
    assert_eq!(received, Ok(AE.and_signed()));
    // Without a recipient there is no header to sign.
    line.notify(&data(5), to(&config, PushProtection::Keys(Envelope::GeneralGlobal))).unwrap();
    line.carry();
    assert_eq!((line.sent.len(), line.audited("NotificationLost")), (0, 1));
    // Nor without a key, nor without anything that keeps it fresh.
    line.meter.keys.as_mut().unwrap().signing = private(Suite::Suite2, 2);
    line.notify(&data(5), glo).unwrap();
    line.carry();
    assert_eq!((line.sent.len(), line.audited("NotificationLost")), (0, 2));
    let mut timeless = meter(suite);
    timeless.keys.as_mut().unwrap().next_transaction = None;
    let mut line = over_wrapper(reader(PASSWORD), timeless);
    let signed = Layers { cipher: None, protection: Protection::NONE.and_signed(), order: Order::default() };
    line.notify(&data(5), push(&config, signed)).unwrap();
    line.carry();
    assert_eq!((line.sent.len(), line.audited("NotificationLost")), (0, 1));

    // A receiver that demands a signature takes nothing less, and one without keys nothing at all.
    line.meter = meter(suite);
    let wrapped =
        Layers { cipher: Some(Cipher::General(KeyChoice::StaticUnified)), protection: AE, order: Order::default() };
    line.notify(&data(5), push(&config, wrapped)).unwrap();
    line.carry();
    let octets = line.sent.pop().unwrap()[8..].to_vec();
    let error = receiver(suite, AE.and_signed()).open(&mut octets.clone(), None).unwrap_err();
    assert!(matches!(error, PushError::Security(SecurityError::PolicyNotMet { .. })), "{error}");
    let keys = KeySet::new(suite, &unicast(suite), &authentication(suite)).unwrap();
    let context = Context::<RustCrypto>::new(CLIENT_TITLE, &keys).unwrap();
    let mut without = Receiver::new([Sender::new(SERVER_TITLE, context, AE, 0)]);
    assert!(without.open(&mut octets.clone(), None).is_err());
}

fn ecdsa(suite: Suite, protection: Protection) -> Config {
    let keys = KeySet::new(suite, &unicast(suite), &authentication(suite)).unwrap();
    let security = client::Security { suite, keys, protection, ..management().security.unwrap() };
    Config {
        client: CIPHERED_ECDSA,
        mechanism: dlms::acse::Mechanism::Ecdsa,
        challenge_length: 32,
        security: Some(security),
        ..Config::public(ServerSap::MANAGEMENT)
    }
}

#[test]
fn in_an_association_whose_policy_demands_signatures_notifications_are_signed_and_so_are_confirmations() {
    let suite = Suite::Suite1;
    for dedicated in [false, true] {
        let mut config = ecdsa(suite, AE.and_signed());
        if let Some(security) = &mut config.security {
            security.dedicated_key = dedicated.then(|| Secret::new(&[0x55; 16]).unwrap());
        }
        let push = confirmed(to(&config, PushProtection::Association { general: false }));
        let mut meter = meter(suite);
        meter.policy = Some(AE.and_signed());
        let mut line = over_wrapper(config, meter);
        line.client = line.client.with_general(general(suite));
        let mut line = line.associated();
        // Also while an answer is waited for.
        line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
        line.notify(&data(CONFIRMED_7), push).unwrap();
        let seen = line.drive();
        let expected = Seen::Notification(encoded(&data(CONFIRMED_7)), AE.and_signed());
        assert_eq!(seen, [expected, Seen::Value(913)], "{dedicated}");
        assert_eq!(line.audited("NotificationConfirmed"), 1, "{dedicated}");
        line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
        assert_eq!(line.drive(), [Seen::Value(913)]);
    }
}

/// Keys of its own for a message pass by the association, whose answers go on.
#[test]
fn a_push_in_general_ciphering_disturbs_no_request() {
    let suite = Suite::Suite1;
    for layers in every_wrapping(suite) {
        if !layers.needs_transaction() || matches!(layers.cipher, Some(Cipher::Envelope(_))) {
            continue;
        }
        let config = ecdsa(suite, AE);
        let push = push(&config, layers);
        let mut meter = meter(suite);
        meter.policy = Some(AE);
        let mut line = over_wrapper(config, meter);
        line.client = line.client.with_general(general(suite));
        let mut line = line.associated();
        line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
        line.notify(&data(9), push).unwrap();
        let mut seen = line.drive();
        assert!(seen.contains(&Seen::Value(913)), "{layers:?}: {seen:?}");
        seen.retain(|seen| *seen != Seen::Value(913));
        let [Seen::Foreign(octets)] = &seen[..] else { panic!("{layers:?}: {seen:?}") };
        let mut receiver = receiver(suite, layers.protection);
        let mut apdu = octets.clone();
        let received = receiver.open(&mut apdu, None).unwrap();
        assert_eq!(encoded(&received.apdu), encoded(&data(9)), "{layers:?}");
    }
}

/// In the static unified model the key depends on the transaction-id alone; the client chooses that of an answer.
#[test]
fn no_push_meets_key_and_counter_of_an_answer() {
    let suite = Suite::Suite1;
    let cipher = Some(Cipher::General(KeyChoice::StaticUnified));
    let config = ecdsa(suite, AE);
    let push = push(&config, Layers { cipher, protection: AE, order: Order::default() });
    let mut meter = meter(suite);
    meter.policy = Some(AE);
    meter.keys.as_mut().unwrap().next_transaction = Some(6_999);
    let mut line = over_wrapper(config, meter);
    let general = General { cipher: Some(KeyChoice::StaticUnified), ..general(suite) };
    line.client = line.client.with_general(general);
    let mut line = line.associated();
    for _ in 0..5 {
        line.client.get(AttributeRequest::whole(REGISTER), line.now).unwrap();
        line.notify(&data(9), push).unwrap();
        assert!(line.drive().contains(&Seen::Value(913)));
    }
    let mut used = Vec::new();
    let sent = line.sent.concat();
    let mut rest = &sent[..];
    while !rest.is_empty() {
        let (apdu, behind) = rest[8..].split_at(usize::from(u16::from_be_bytes([rest[6], rest[7]])));
        rest = behind;
        // Id, titles, no date-time and no other information; key-info, length, control, counter.
        assert_eq!((&apdu[..2], &apdu[28..35]), (&hex!("DD08")[..], &hex!("0000 01 02 01 02 00")[..]), "{apdu:02X?}");
        let counter = if apdu[35] < 0x80 { &apdu[37..41] } else { &apdu[38..42] };
        used.push((apdu[2..10].to_vec(), counter.to_vec()));
    }
    let all = used.len();
    assert_eq!(all, 10);
    used.sort();
    used.dedup();
    assert_eq!(used.len(), all, "the same key and counter twice");
    used.dedup_by(|a, b| a.0 == b.0);
    assert!(used.len() < all, "an id came twice");

    // Nor do answers ever count as far.
    let keys = KeySet::new(suite, &unicast(suite), &authentication(suite)).unwrap();
    let mut context = Context::<RustCrypto>::new(SERVER_TITLE, &keys).unwrap();
    context.set_peer_title(CLIENT_TITLE);
    let mut session = GeneralSession::counting_from(0x7FFF_FFFF);
    let kek = kek(suite);
    let keys = GeneralKeys { kek: Some(&kek), ..GeneralKeys::default() };
    let mut sent = |choice| {
        let layers = Layers { cipher: Some(Cipher::General(choice)), protection: AE, order: Order::default() };
        let (id, counter) = (TransactionId::new(1), || Err(dlms::security::CounterExhausted));
        let place = 200..210;
        protect(&context, &mut session, &keys, &layers, &id, counter, &mut Counting(1), &mut [0; 400], place).map(drop)
    };
    assert_eq!(sent(KeyChoice::Wrapped), Ok(()));
    assert_eq!(sent(KeyChoice::Previous), Err(dlms::security::CounterExhausted.into()));
}

#[test]
fn keys_that_are_not_kept_for_notifications_are_refused_at_once() {
    let config = reader(PASSWORD);
    let mut line = over_wrapper(reader(PASSWORD), meter(Suite::Suite1));
    for key in [KeyChoice::Broadcast, KeyChoice::Previous] {
        let layers = Layers { cipher: Some(Cipher::General(key)), protection: AE, order: Order::default() };
        assert_eq!(line.notify(&data(5), push(&config, layers)), Err(NotifyError::Key(key)));
    }
    assert_eq!((line.server.poll_timeout(), line.audited("NotificationLost")), (None, 0));
}

/// A generator that must not be asked is not.
#[test]
fn nothing_random_is_needed_but_for_drawn_keys() {
    struct Forbidden;
    impl Random for Forbidden {
        fn fill(&mut self, _: &mut [u8]) {
            panic!("no random numbers are needed");
        }
    }
    let suite = Suite::Suite1;
    for layers in every_wrapping(suite) {
        if matches!(layers.cipher, Some(Cipher::General(KeyChoice::Wrapped | KeyChoice::OnePass))) {
            continue;
        }
        let config = reader(PASSWORD);
        let push = push(&config, layers);
        let mut line = over_wrapper(config, meter(suite));
        line.notify(&data(5), push).unwrap();
        line.server.handle_timeout(line.now, &mut line.meter, &mut Forbidden).unwrap();
        line.carry();
        assert_eq!(line.sent.len(), 1, "{layers:?}");
    }
}
