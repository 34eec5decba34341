use std::collections::BTreeMap;

use dlms::{
    id::{AttributeId, ClassId, MethodId},
    unit::{ScalerUnit, Unit},
};

use super::*;
use crate::{
    operation::{CaptureColumn, ModelObject},
    vault::{Sealed, SecretRole},
};

fn sealed(octet: u8) -> Option<Sealed> {
    Some(Sealed::from_bytes(vec![octet; 3]))
}

async fn a_meter_survives_a_restart_with_its_secrets(place: &impl Place) {
    let mut new = meter("m1", 1);
    new.secrets = vec![(SecretRole::EncryptionKey, sealed(1)), (SecretRole::Password, sealed(2))];
    let store = place.open().await;
    store.create_meter(new.clone(), None).await.unwrap();
    drop(store);
    let stored = place.open().await.meter(&id("m1")).await.unwrap().unwrap();
    assert_eq!(stored.record, new.record);
    assert_eq!(stored.secrets.get(&SecretRole::EncryptionKey), sealed(1).as_ref());
    assert_eq!(stored.secrets.get(&SecretRole::Password), sealed(2).as_ref());
    assert_eq!(stored.secrets.len(), 2);
}

async fn a_name_is_given_once(place: &impl Place) {
    let store = place.open().await;
    store.create_meter(meter("m1", 1), None).await.unwrap();
    let again = store.create_meter(meter("m1", 1), None).await;
    assert!(matches!(again, Err(StoreError::AlreadyExists(name)) if name == "meters/m1"));
}

async fn an_update_needs_the_revision_before_it(place: &impl Place) {
    let store = place.open().await;
    assert!(matches!(store.update_meter(meter("m1", 2), None).await, Err(StoreError::NotFound(_))));
    store.create_meter(meter("m1", 1), None).await.unwrap();
    let mut second = meter("m1", 2);
    second.secrets = vec![(SecretRole::Password, sealed(9))];
    store.update_meter(second, None).await.unwrap();
    let stale = store.update_meter(meter("m1", 2), None).await;
    assert!(matches!(stale, Err(StoreError::Conflict { found: 2, expected: 1, .. })));
    let mut third = meter("m1", 3);
    third.secrets = vec![(SecretRole::Password, None)];
    store.update_meter(third, None).await.unwrap();
    let stored = store.meter(&id("m1")).await.unwrap().unwrap();
    assert_eq!(stored.record.revision, 3);
    assert!(stored.secrets.is_empty());
}

async fn deleting_takes_secrets_and_models_along(place: &impl Place) {
    let store = place.open().await;
    let mut new = meter("m1", 1);
    new.secrets = vec![(SecretRole::EncryptionKey, sealed(1))];
    store.create_meter(new, None).await.unwrap();
    store.save_object_model(&id("m1"), Arc::new(ObjectModel::default())).await.unwrap();
    assert!(matches!(store.delete_meter(&id("m1"), Some(7), None).await, Err(StoreError::Conflict { .. })));
    store.delete_meter(&id("m1"), Some(1), None).await.unwrap();
    assert!(store.meter(&id("m1")).await.unwrap().is_none());
    assert!(store.object_model(&id("m1")).await.unwrap().is_none());
    assert!(matches!(store.delete_meter(&id("m1"), None, None).await, Err(StoreError::NotFound(_))));
    store.create_meter(meter("m1", 1), None).await.unwrap();
    assert!(store.meter(&id("m1")).await.unwrap().unwrap().secrets.is_empty());
}

async fn lists_are_in_order_and_begin_behind_a_name(place: &impl Place) {
    let store = place.open().await;
    for name in ["c", "a", "B", "d"] {
        let mut new = meter(name, 1);
        if matches!(name, "a" | "d") {
            new.record.settings.labels = BTreeMap::from([("a \"b\".c".to_owned(), "1".to_owned())]);
        }
        store.create_meter(new, None).await.unwrap();
    }
    let names = async |after: Option<&str>, filter: MeterFilter, limit| {
        let found = store.list_meters(after.map(id), filter, limit).await.unwrap();
        found.into_iter().map(|record| record.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, MeterFilter::default(), 10).await, ["B", "a", "c", "d"]);
    assert_eq!(names(None, MeterFilter::default(), 2).await, ["B", "a"]);
    assert_eq!(names(Some("a"), MeterFilter::default(), 10).await, ["c", "d"]);
    let labelled = |value: &str| MeterFilter {
        labels: BTreeMap::from([("a \"b\".c".to_owned(), value.to_owned())]),
        ..MeterFilter::default()
    };
    assert_eq!(names(None, labelled("1"), 10).await, ["a", "d"]);
    assert_eq!(names(None, labelled("2"), 10).await, [""; 0]);
}

async fn a_repeated_request_gets_the_first_answer_and_changes_nothing(place: &impl Place) {
    let store = place.open().await;
    let create = async |revision| store.create_meter(meter("m1", revision), Some(request("r", 1))).await;
    assert!(matches!(create(1).await.unwrap(), Written::Done(record) if record.revision == 1));
    assert!(matches!(create(5).await.unwrap(), Written::Repeated(record) if record.revision == 1));
    let other = store.create_meter(meter("m2", 1), Some(request("r", 2))).await;
    assert!(matches!(other, Err(StoreError::RequestMismatch(id)) if id == "r"));
    assert!(store.meter(&id("m2")).await.unwrap().is_none());
    for _ in 0..2 {
        store.delete_meter(&id("m1"), None, Some(request("d", 1))).await.unwrap();
    }
}

async fn a_request_that_failed_leaves_no_trace(place: &impl Place) {
    let store = place.open().await;
    assert!(store.update_meter(meter("m1", 2), Some(request("r", 1))).await.is_err());
    store.create_meter(meter("m1", 1), None).await.unwrap();
    assert!(matches!(store.update_meter(meter("m1", 2), Some(request("r", 1))).await.unwrap(), Written::Done(_)));
}

async fn requests_are_new_then_unfinished_then_finished_across_restarts(place: &impl Place) {
    let begin = async || place.open().await.begin_request(request("r", 1)).await.unwrap();
    assert_eq!(begin().await, RequestState::New);
    assert_eq!(begin().await, RequestState::Unfinished);
    place.open().await.abandon_request(request("r", 1)).await.unwrap();
    assert_eq!(begin().await, RequestState::New);
    place.open().await.finish_request(request("r", 1), b"answer".to_vec()).await.unwrap();
    assert_eq!(begin().await, RequestState::Finished(b"answer".to_vec()));
    place.open().await.abandon_request(request("r", 1)).await.unwrap();
    assert_eq!(begin().await, RequestState::Finished(b"answer".to_vec()));
}

async fn models_and_layouts_come_back_as_they_were(place: &impl Place) {
    let store = place.open().await;
    let energy = ScalerUnit { scaler: -3, unit: Unit(30) };
    let profile = ObisCode::new(1, 0, 99, 1, 0, 255);
    let layout = |period| {
        Arc::new(ProfileLayout {
            profile,
            columns: vec![CaptureColumn {
                class: ClassId(3),
                obis: ObisCode::new(1, 0, 1, 8, 0, 255),
                attribute: AttributeId(-1),
                data_index: 3,
                scaler_unit: Some(energy),
            }],
            capture_period_s: period,
            entries_in_use: Some(3),
            profile_entries: None,
        })
    };
    let model = ObjectModel {
        objects: vec![ModelObject {
            class: ClassId(7),
            version: 1,
            obis: profile,
            attributes: vec![(AttributeId(1), 1), (AttributeId(-2), 3)],
            methods: vec![(MethodId(1), 1)],
            scaler_unit: None,
        }],
        profiles: vec![layout(900)],
        read: "2026-11-20T12:00:00Z".parse().unwrap(),
    };
    let lost = store.save_object_model(&id("m1"), Arc::new(model.clone())).await;
    assert!(matches!(lost, Err(StoreError::NotFound(_))));
    store.create_meter(meter("m1", 1), None).await.unwrap();
    store.save_object_model(&id("m1"), Arc::new(model.clone())).await.unwrap();
    assert_eq!(store.object_model(&id("m1")).await.unwrap().unwrap(), model);
    store.save_profile_layout(&id("m1"), layout(60)).await.unwrap();
    assert_eq!(store.profile_layout(&id("m1"), profile).await.unwrap().unwrap(), *layout(60));
    store.save_object_model(&id("m1"), Arc::new(ObjectModel { profiles: vec![], ..model })).await.unwrap();
    assert!(store.profile_layout(&id("m1"), profile).await.unwrap().is_none());
}

async fn a_value_of_the_installation_is_set_once(place: &impl Place) {
    let value = async |octet: u8| place.open().await.instance_value("title", vec![octet]).await.unwrap();
    assert_eq!(value(1).await, [1]);
    assert_eq!(value(2).await, [1]);
}

on_every_store! {
    a_meter_survives_a_restart_with_its_secrets
    a_name_is_given_once
    an_update_needs_the_revision_before_it
    deleting_takes_secrets_and_models_along
    lists_are_in_order_and_begin_behind_a_name
    a_repeated_request_gets_the_first_answer_and_changes_nothing
    a_request_that_failed_leaves_no_trace
    requests_are_new_then_unfinished_then_finished_across_restarts
    models_and_layouts_come_back_as_they_were
    a_value_of_the_installation_is_set_once
}
