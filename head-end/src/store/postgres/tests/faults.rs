//! Servers that are not there, do not answer, or are not ours.

use super::*;
use crate::{
    meter::CounterId,
    store::{
        AuditIntent, AuditRow, AuditStore, CounterStore, MeterStore,
        tests::{
            id, meter,
            readings::{all, batch as captures, query, rows},
        },
    },
};

const KEY: CounterId = CounterId([3; 16]);

#[tokio::test]
async fn a_server_that_is_not_there_is_a_typed_error_without_the_password() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let url = format!("postgres://user:secret@127.0.0.1:{port}/meters").parse().unwrap();
    let refused = PostgresStore::open(PostgresOptions::new(url)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unreachable { .. }) && refused.is_transient(), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("secret"), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_is_given_up() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://user@{}/meters", socket.local_addr().unwrap()).parse().unwrap();
    let options = PostgresOptions { connect: Duration::from_millis(200), ..PostgresOptions::new(url) };
    let refused = PostgresStore::open(options).await.unwrap_err();
    assert!(matches!(refused, StoreError::Late { .. }) && refused.is_transient(), "{refused:?}");
}

#[tokio::test]
async fn a_schema_of_the_future_is_refused() {
    let Some(place) = Schema::new().await else { return };
    place.open().await.close().await;
    place.execute("UPDATE schema_version SET version = 99").await.unwrap();
    let newer = PostgresStore::open(place.options()).await;
    assert!(matches!(newer, Err(StoreError::NewerSchema { found: 99, known: 1.., .. })), "{newer:?}");
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_waited_for_no_longer_than_a_statement_may_take() {
    let Some(place) = Schema::new().await else { return };
    let options = PostgresOptions { statement: Duration::from_millis(300), ..place.options() };
    let store = PostgresStore::open(options).await.unwrap();
    store.reserve_counters(KEY).await.unwrap();
    let other = place.client().await;
    other.batch_execute("BEGIN; SELECT * FROM counters FOR UPDATE").await.unwrap();
    let refused = store.reserve_counters(KEY).await.unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. } | StoreError::Late { .. }), "{refused:?}");
    assert!(refused.is_transient());
    assert!(store.meter(&id("m1")).await.unwrap().is_none(), "readers are not disturbed");
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(store.reserve_counters(KEY).await.unwrap().next, 257);
}

#[tokio::test]
async fn readings_wait_for_a_locked_table_and_are_not_lost() {
    let Some(place) = Schema::new().await else { return };
    let options = PostgresOptions { statement: Duration::from_millis(300), ..place.options() };
    let store = PostgresStore::open(options).await.unwrap();
    store.append(captures("m1", rows(1))).await.unwrap();
    let other = place.client().await;
    other.batch_execute("BEGIN; LOCK TABLE captures IN EXCLUSIVE MODE").await.unwrap();
    let kept = store.append(captures("m1", rows(20))).await.unwrap();
    let AppendOutcome::Kept(error) = kept else { panic!("{kept:?}") };
    assert!(error.is_transient(), "{error:?}");
    other.batch_execute("COMMIT").await.unwrap();
    store.close().await;
    drop(store);
    assert_eq!(query(&place.open().await, all("m1")).await.len(), 20);
}

#[tokio::test]
async fn connections_that_the_server_ends_are_made_anew() {
    let Some(place) = Schema::new().await else { return };
    let store = place.open().await;
    store.create_meter(meter("m1", 1), None).await.unwrap();
    let client = place.client().await;
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()";
    assert!(!client.query(ended, &[]).await.unwrap().is_empty());
    // One call may still meet a connection that does not know yet.
    let mut attempts = 0;
    while let Err(error) = store.meter(&id("m1")).await {
        assert!(error.is_transient(), "{error:?}");
        attempts += 1;
        assert!(attempts < 10, "{error:?}");
    }
    store.append(captures("m1", rows(2))).await.unwrap();
    assert_eq!(query(&store, all("m1")).await.len(), 2);
}

#[tokio::test]
async fn what_postgresql_cannot_hold_in_text_does_not_fail_a_write() {
    let Some(place) = Schema::new().await else { return };
    let store = place.open().await;
    let mut odd = meter("m1", 1);
    odd.record.settings.display_name = "a\0b".to_owned();
    odd.record.settings.labels.insert("k\0".to_owned(), "v\0".to_owned());
    store.create_meter(odd.clone(), None).await.unwrap();
    assert_eq!(store.meter(&id("m1")).await.unwrap().unwrap().record, odd.record);
    let row = AuditRow::Intent(AuditIntent { target: "meters/\0".to_owned(), ..AuditIntent::default() });
    store.append_audit(row).await.unwrap();
    assert_eq!(place.verify_audit(None).await.unwrap().number, 1);
}
