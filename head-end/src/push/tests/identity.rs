//! Who is believed, what is kept, and what is confirmed.

use dlms::{apdu::Apdu, hdlc, id::SystemTitle, security::Protection};
use tokio::{io::AsyncWriteExt, net::UdpSocket};

use super::support::{
    ENCRYPTION, Running, TITLE, answer, ciphered, confirmed, notification, opened, protected, send, wrapped,
};
use crate::{
    meter::{PolicyBits, PushSettings},
    push::PushOptions,
    store::{DeviceIdentity, PushState, PushStore},
};

fn options() -> PushOptions {
    PushOptions::default()
}

#[tokio::test]
async fn a_push_is_kept_in_clear_and_confirmed_behind_that() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), options()).await;
    let meter = running.register("m1", TITLE, PushSettings::default()).await;
    let mut stream = send(running.tcp(), &wrapped(&protected(7, &confirmed(3, 42)))).await;
    let confirmation = opened(answer(&mut stream).await);
    let pushes = running.pushes(&meter).await;
    assert!(matches!(Apdu::decode(&confirmation).unwrap(), Apdu::DataNotificationConfirm(of) if of.invoke.id() == 3));
    assert_eq!(pushes.len(), 1);
    assert_eq!((pushes[0].apdu.as_slice(), pushes[0].counter), (confirmed(3, 42).as_slice(), Some(7)));
    assert_eq!(pushes[0].protection, Protection::AUTHENTICATED_ENCRYPTED);
    assert_eq!(pushes[0].outcome.state, PushState::Waiting);
    running.stop().await;
}

#[tokio::test]
async fn counters_count_across_restarts_and_a_lost_confirmation_is_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), options()).await;
    let meter = running.register("m1", TITLE, PushSettings::default()).await;
    let push = wrapped(&protected(7, &confirmed(3, 42)));
    let mut stream = send(running.tcp(), &push).await;
    let first = answer(&mut stream).await;
    running.stop().await;

    let running = Running::start(folder.path(), options()).await;
    let mut stream = send(running.tcp(), &push).await;
    let second = answer(&mut stream).await;
    assert_ne!(first, second, "no counter of ours is used twice");
    assert_eq!(opened(first), opened(second));
    // The same counter with other contents, and lower ones, are replays.
    for (counter, value) in [(7, 43), (6, 42)] {
        stream.write_all(&wrapped(&protected(counter, &confirmed(3, value)))).await.unwrap();
    }
    let seen = running.until(|seen| seen.refused("replay") == 2).await;
    assert_eq!((seen.accepted, seen.repeated), (0, 1));
    stream.write_all(&wrapped(&protected(8, &confirmed(4, 44)))).await.unwrap();
    answer(&mut stream).await;
    assert_eq!(running.pushes(&meter).await.len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn wrong_keys_and_flipped_bits_move_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), options()).await;
    let meter = running.register("m1", TITLE, PushSettings::default()).await;
    let wrong = ciphered(TITLE, &[0x33; 16], Protection::AUTHENTICATED_ENCRYPTED, 1_000, &notification(1, 1));
    let weak = ciphered(TITLE, &ENCRYPTION, Protection::ENCRYPTED, 1_000, &notification(1, 1));
    let mut flipped = protected(1_000, &notification(1, 1));
    *flipped.last_mut().unwrap() ^= 1;
    let mut stream = send(running.tcp(), &[wrapped(&wrong), wrapped(&weak), wrapped(&flipped)].concat()).await;
    running.until(|seen| seen.refused("security") == 3).await;
    stream.write_all(&wrapped(&protected(1, &notification(1, 5)))).await.unwrap();
    let seen = running.until(|seen| seen.accepted == 1).await;
    assert_eq!(seen.refused("replay"), 0);
    assert_eq!(running.pushes(&meter).await.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn what_is_in_clear_is_taken_from_its_address_only_and_marked() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), options()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let push = wrapped(&notification(1, 42));
    let elsewhere = PushSettings { plaintext_from: Some("192.0.2.1".parse().unwrap()), ..PushSettings::default() };
    let meter = running.register("m1", TITLE, elsewhere).await;
    socket.send_to(&push, running.udp()).await.unwrap();
    running.until(|seen| seen.refused("plaintext") == 1).await;
    let here = PushSettings { plaintext_from: Some("127.0.0.1".parse().unwrap()), ..PushSettings::default() };
    let allowed = running.register("m2", SystemTitle([2; 8]), here.clone()).await;
    socket.send_to(&push, running.udp()).await.unwrap();
    running.until(|seen| seen.accepted == 1).await;
    let pushes = running.pushes(&allowed).await;
    assert_eq!((pushes[0].protection, pushes[0].counter), (Protection::NONE, None));
    assert!(running.pushes(&meter).await.is_empty());
    // With two meters behind one address the body has to say which one.
    running.register("m3", SystemTitle([3; 8]), PushSettings { device_name: "three".to_owned(), ..here }).await;
    socket.send_to(&push, running.udp()).await.unwrap();
    running.until(|seen| seen.refused("ambiguous") == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_customer_port_with_encryption_alone_needs_to_be_stated() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), options()).await;
    let encrypted = PolicyBits { authenticated: false, encrypted: true };
    let push = PushSettings { protection: Some(encrypted), ..PushSettings::default() };
    let meter = running.register("m1", TITLE, push).await;
    let apdu = ciphered(TITLE, &ENCRYPTION, Protection::ENCRYPTED, 1_000, &notification(1, 1));
    let mut stream = send(running.tcp(), &wrapped(&apdu)).await;
    running.until(|seen| seen.accepted == 1).await;
    let pushes = running.pushes(&meter).await;
    assert_eq!((pushes[0].protection, pushes[0].counter), (Protection::ENCRYPTED, None), "nothing proves the counter");
    stream.write_all(&wrapped(&protected(1, &notification(2, 1)))).await.unwrap();
    running.until(|seen| seen.accepted == 2).await;
    running.stop().await;
}

#[tokio::test]
async fn pushes_come_in_datagrams_and_in_frames() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), options()).await;
    let meter = running.register("m1", TITLE, PushSettings::default()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&wrapped(&protected(1, &confirmed(1, 1))), running.udp()).await.unwrap();
    let mut room = [0; 128];
    let length = socket.recv(&mut room).await.unwrap();
    assert_eq!(opened(room[8..length].to_vec())[0], 0x10);

    let (destination, source) = (hdlc::Address::client(1).unwrap(), hdlc::Address::shortest(1, None).unwrap());
    let information = [&hdlc::LLC_RESPONSE[..], &protected(2, &notification(2, 2))].concat();
    let control = hdlc::Control::with_poll_final(hdlc::Kind::Ui);
    let frame = hdlc::Repr { destination, source, control, segmented: false, information: &information };
    let mut octets = vec![0; frame.encoded_len()];
    frame.emit(&mut dlms::axdr::Writer::new(&mut octets)).unwrap();
    let _stream = send(running.hdlc(), &octets).await;
    running.until(|seen| seen.accepted == 2).await;
    assert_eq!(running.pushes(&meter).await[0].apdu, notification(2, 2));
    running.stop().await;
}

#[tokio::test]
async fn unknown_devices_are_listed_and_the_list_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), PushOptions { unclaimed: 2, ..options() }).await;
    let title = |n| SystemTitle([b'X', b'Y', b'Z', 0, 0, 0, 0, n]);
    for n in [1, 1, 2] {
        let apdu = ciphered(title(n), &ENCRYPTION, Protection::AUTHENTICATED_ENCRYPTED, 1, &notification(1, 1));
        send(running.tcp(), &wrapped(&apdu)).await;
    }
    running.until(|seen| seen.refused("unknown_title") == 3).await;
    let store = std::sync::Arc::clone(running.registry.store());
    let listed = loop {
        let listed = store.list_unclaimed(None, 10).await.unwrap();
        if listed.iter().map(|device| device.count).sum::<u64>() == 3 {
            break listed;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].identity, listed[0].count), (DeviceIdentity::Title(title(1)), 2));
    assert!(listed[0].source.starts_with("127.0.0.1:") && listed[0].first_seen <= listed[0].last_seen);
    let apdu = ciphered(title(3), &ENCRYPTION, Protection::AUTHENTICATED_ENCRYPTED, 1, &notification(1, 1));
    send(running.tcp(), &wrapped(&apdu)).await;
    let third = DeviceIdentity::Title(title(3));
    while store.unclaimed(third).await.unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(store.list_unclaimed(None, 10).await.unwrap().len(), 2);
    running.stop().await;
}
