//! Garbage, floods, half-open connections, huge lengths.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use super::support::{Running, TITLE, notification, protected, send, wrapped};
use crate::{meter::PushSettings, push::PushOptions};

/// Waits until the listener closes the connection.
async fn closed(mut stream: TcpStream) {
    let mut room = [0; 64];
    // A reset is an end as well.
    while matches!(stream.read(&mut room).await, Ok(count) if count > 0) {}
}

#[tokio::test]
async fn octets_that_are_nothing_are_counted_and_end_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let options = PushOptions { apdu_octets: 1_024, rate_per_minute: 1_000, ..PushOptions::default() };
    let running = Running::start(folder.path(), options).await;
    running.register("m1", TITLE, PushSettings::default()).await;
    closed(send(running.tcp(), b"GET / HTTP/1.1\r\n\r\n").await).await;
    assert_eq!(running.seen().refused("malformed"), 1);
    closed(send(running.tcp(), &[0, 1, 0, 1, 0, 1, 0xFF, 0xFF]).await).await;
    assert_eq!(running.seen().refused("too_long"), 1);
    // Whole APDUs that mean nothing leave the connection alone.
    let mut stream = send(running.tcp(), &wrapped(&[0xDB, 8, 1])).await;
    for apdu in [&[0xDB, 0xFF, 0xFF][..], &[0x0F], &[0x60, 0x10, 0xA1], &[0xDD], &[0xDF, 0x84, 0xFF, 0xFF], &[0xE0]] {
        stream.write_all(&wrapped(apdu)).await.unwrap();
    }
    let other = [0xC4, 1, 0xC1, 0, 0];
    stream.write_all(&wrapped(&protected(1, &other))).await.unwrap();
    stream.write_all(&wrapped(&protected(2, &notification(1, 1)))).await.unwrap();
    let seen = running.until(|seen| seen.accepted == 1).await;
    assert!(seen.refused("malformed") >= 6, "{seen:?}");
    assert_eq!(seen.refused("not_a_notification"), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_flood_is_cut_off_and_others_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        PushOptions { rate_per_minute: 20, connections: 3, connections_per_source: 2, ..PushOptions::default() };
    let running = Running::start(folder.path(), options).await;
    let flood: Vec<u8> = (0..50).flat_map(|_| wrapped(&[0x0F, 1, 2, 3])).collect();
    closed(send(running.tcp(), &flood).await).await;
    let seen = running.seen();
    assert_eq!((seen.refused("rate_limited"), seen.refused("malformed")), (1, 20));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..5 {
        socket.send_to(&wrapped(&[0x0F]), running.udp()).await.unwrap();
    }
    running.until(|seen| seen.refused("rate_limited") == 6).await;
    // Connections of one source end at their number; those that are there stay.
    let first = TcpStream::connect(running.tcp()).await.unwrap();
    let second = TcpStream::connect(running.tcp()).await.unwrap();
    running.until(|seen| seen.connections == 3).await;
    closed(TcpStream::connect(running.tcp()).await.unwrap()).await;
    assert_eq!(running.seen().connections_refused, 1);
    drop((first, second));
    running.stop().await;
}

#[tokio::test]
async fn silence_and_half_an_apdu_end_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        PushOptions { idle: Duration::from_millis(200), read: Duration::from_millis(50), ..PushOptions::default() };
    let running = Running::start(folder.path(), options).await;
    let silent = TcpStream::connect(running.tcp()).await.unwrap();
    let frames = TcpStream::connect(running.hdlc()).await.unwrap();
    let half = send(running.tcp(), &[0, 1, 0, 1, 0, 1, 0, 9, 0x0F]).await;
    closed(half).await;
    assert_eq!(running.seen().refused("malformed"), 1);
    closed(silent).await;
    closed(frames).await;
    running.stop().await;
}

#[tokio::test]
async fn noise_on_frames_is_passed_over_until_it_is_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), PushOptions { rate_per_minute: 30, ..PushOptions::default() }).await;
    let noise: Vec<u8> = (0..200_u32).flat_map(|n| [0x7E, 0xA0, 0x07, n as u8, 0x21, 0x13, 0xFF, 0xFF, 0x7E]).collect();
    closed(send(running.hdlc(), &noise).await).await;
    let seen = running.seen();
    assert!(seen.refused("malformed") >= 30, "{seen:?}");
    running.stop().await;
}

/// On Linux every host has all of 127.0.0.0/8.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn datagrams_from_any_number_of_addresses_keep_nobody_from_connecting() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), PushOptions::default()).await;
    let heard = |seen: &crate::push::Seen| seen.refused.iter().map(|(_, count)| count).sum::<u64>();
    for n in 1..=16_500_u32 {
        let from = std::net::Ipv4Addr::from(0x7F01_0000 + n);
        let socket = UdpSocket::bind((from, 0)).await.unwrap();
        socket.send_to(&wrapped(&[0x0F]), running.udp()).await.unwrap();
        if n % 100 == 0 {
            // Or the system drops what is not read in time.
            running.until(|seen| heard(seen) >= u64::from(n)).await;
        }
    }
    assert!(running.seen().refused("rate_limited") > 0, "there is no room for more senders of datagrams");
    send(running.tcp(), &wrapped(&[0x0F])).await;
    running.until(|seen| seen.connections == 1).await;
    assert_eq!(running.seen().connections_refused, 0);
    running.stop().await;
}
