//! Readers that do not read.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::sync::broadcast;

use super::port::{BEHIND, End, pass_on};

fn telegram(number: u8) -> Arc<[u8]> {
    Arc::from(vec![number; 1_000])
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

#[test]
fn a_reader_that_takes_nothing_is_sent_away() {
    run(async {
        let sender = broadcast::Sender::new(BEHIND);
        let (mut line, mut other) = tokio::io::duplex(1_500);
        let telegrams = sender.subscribe();
        assert!(sender.send(telegram(1)).is_ok() && sender.send(telegram(2)).is_ok());
        // The second telegram fits in part, and its rest never leaves.
        assert!(matches!(pass_on(telegrams, &mut line).await, End::Behind));
        drop(line);
        let mut received = Vec::new();
        other.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), 1_500);
    });
}

#[test]
fn a_reader_that_is_too_far_behind_is_sent_away() {
    run(async {
        let sender = broadcast::Sender::new(BEHIND);
        let (mut line, _other) = tokio::io::duplex(100_000);
        let telegrams = sender.subscribe();
        for number in 0..=u8::try_from(BEHIND).unwrap() {
            assert!(sender.send(telegram(number)).is_ok());
        }
        assert!(matches!(pass_on(telegrams, &mut line).await, End::Behind));
    });
}

#[test]
fn a_reader_that_keeps_up_gets_every_telegram_whole() {
    run(async {
        let sender = broadcast::Sender::new(BEHIND);
        let (mut line, mut other) = tokio::io::duplex(1_500);
        let telegrams = sender.subscribe();
        let reader = async {
            let mut received = vec![0; 5_000];
            other.read_exact(&mut received).await.unwrap();
            received
        };
        let sending = async {
            for number in 0..5 {
                assert!(sender.send(telegram(number)).is_ok());
            }
            drop(sender);
            pass_on(telegrams, &mut line).await
        };
        let (received, end) = tokio::join!(reader, sending);
        assert!(matches!(end, End::Closed));
        assert!(received.chunks(1_000).enumerate().all(|(number, chunk)| chunk == &*telegram(number as u8)));
    });
}
