use super::*;
use crate::store::{AuditBreak, AuditIntent, AuditQuery, AuditRow, AuditStore};

fn intent(subject: &str, target: &str) -> AuditRow {
    AuditRow::Intent(AuditIntent {
        time_ms: 1_000,
        subject: subject.into(),
        tenant: (subject == "north").then(|| "north".parse().unwrap()),
        method: "dlms.headend.v1.MeterRegistry/CreateMeter".into(),
        target: target.into(),
        ..AuditIntent::default()
    })
}

async fn fill(store: &impl AuditStore) {
    let first = store.append_audit(intent("north", "meters/m1")).await.unwrap();
    store.append_audit(intent("south", "meters/m2")).await.unwrap();
    let outcome = AuditRow::Outcome { intent: first, time_ms: 2_000, outcome: "OK".into() };
    assert_eq!(store.append_audit(outcome).await.unwrap(), 3);
}

async fn calls_are_shown_newest_first_with_what_became_of_them(place: &impl Place) {
    let store = place.open().await;
    fill(&store).await;
    let ask = async |query: AuditQuery| {
        let calls = store.query_audit(AuditQuery { limit: 10, ..query }).await.unwrap();
        calls.into_iter().map(|call| (call.number, call.outcome.map(|(_, code)| code))).collect::<Vec<_>>()
    };
    let (first, second) = ((1, Some("OK".to_owned())), (2, None));
    assert_eq!(ask(AuditQuery::default()).await, [second.clone(), first.clone()]);
    assert_eq!(ask(AuditQuery { before: Some(2), ..Default::default() }).await, std::slice::from_ref(&first));
    assert_eq!(ask(AuditQuery { subject: "south".into(), ..Default::default() }).await, std::slice::from_ref(&second));
    assert_eq!(
        ask(AuditQuery { tenant: "north".parse().ok(), ..Default::default() }).await,
        std::slice::from_ref(&first)
    );
    assert_eq!(ask(AuditQuery { target: "m2".into(), ..Default::default() }).await, std::slice::from_ref(&second));
    assert_eq!(ask(AuditQuery { open: true, ..Default::default() }).await, std::slice::from_ref(&second));
    assert_eq!(ask(AuditQuery { method: "CreateMeter".into(), ..Default::default() }).await, [second, first]);
    assert_eq!(ask(AuditQuery { method: "Meter".into(), ..Default::default() }).await, []);
    assert_eq!(ask(AuditQuery { from_ms: Some(1_001), ..Default::default() }).await, []);
    assert_eq!(ask(AuditQuery { to_ms: Some(1_000), ..Default::default() }).await, []);
}

async fn rows_are_neither_changed_nor_removed_and_who_does_it_all_the_same_breaks_the_chain(place: &impl Place) {
    let store = place.open().await;
    fill(&store).await;
    store.close().await;
    drop(store);
    let verify = async || place.verify_audit(None).await;
    let head = verify().await.unwrap();
    assert_eq!(head.number, 3);

    for statement in ["UPDATE audit SET subject = 'x' WHERE number = 1", "DELETE FROM audit WHERE number = 2"] {
        let refused = place.execute(statement).await.unwrap_err();
        assert!(refused.contains("only added to"), "{refused}");
    }
    place.unlock_audit().await;
    for (change, back, broken) in [
        ("UPDATE audit SET subject = 'x' WHERE number = 1", "UPDATE audit SET subject = 'north' WHERE number = 1", 1),
        (
            "UPDATE audit SET outcome = 'NOT_FOUND' WHERE number = 3",
            "UPDATE audit SET outcome = 'OK' WHERE number = 3",
            3,
        ),
        (
            "UPDATE audit SET target = 'meters/m', details = '2' WHERE number = 2",
            "UPDATE audit SET target = 'meters/m2', details = '' WHERE number = 2",
            2,
        ),
    ] {
        place.execute(change).await.unwrap();
        assert_eq!(verify().await, Err(AuditBreak::Changed(broken)), "{change}");
        place.execute(back).await.unwrap();
        assert_eq!(verify().await, Ok(head));
    }
    place.execute("DELETE FROM audit WHERE number = 3").await.unwrap();
    assert_eq!(verify().await.unwrap().number, 2, "a shorter chain holds by itself");
    let through = place.verify_audit(Some(head)).await;
    assert_eq!(through, Err(AuditBreak::Missing(3)), "but not for who has seen it longer");
    place.execute("DELETE FROM audit WHERE number = 1").await.unwrap();
    assert_eq!(verify().await, Err(AuditBreak::Missing(1)));
}

async fn the_chain_goes_on_after_a_restart(place: &impl Place) {
    for _ in 0..3 {
        let store = place.open().await;
        fill_more(&store).await;
        store.close().await;
    }
    assert_eq!(place.verify_audit(None).await.unwrap().number, 3);
}

async fn fill_more(store: &impl AuditStore) {
    store.append_audit(intent("north", "meters/m1")).await.unwrap();
}

on_every_store! {
    calls_are_shown_newest_first_with_what_became_of_them
    rows_are_neither_changed_nor_removed_and_who_does_it_all_the_same_breaks_the_chain
    the_chain_goes_on_after_a_restart
}
