//! Templates of configurations.

use super::*;
use crate::meter::Tenant;

fn template(tenant: Option<&str>, name: &str, revision: u32, contents: u8) -> TemplateRow {
    TemplateRow {
        tenant: tenant.map(owner),
        name: name.to_owned(),
        revision,
        contents: vec![contents; 3],
        creator: "anna".to_owned(),
        created: Timestamp::from_second(1_790_000_000).unwrap(),
    }
}

fn owner(name: &str) -> Tenant {
    name.parse().unwrap()
}

async fn templates_are_numbered_and_never_changed(place: &impl Place) {
    let store = place.open().await;
    assert_eq!(store.add_template(template(None, "b", 0, 1)).await.unwrap(), template(None, "b", 1, 1));
    assert_eq!(store.add_template(template(None, "b", 0, 1)).await.unwrap().revision, 2);
    assert_eq!(store.add_template(template(None, "b", 3, 7)).await.unwrap().revision, 3);
    // A repetition, another thing under the same number, and a number that is not the next.
    assert_eq!(store.add_template(template(None, "b", 3, 7)).await.unwrap(), template(None, "b", 3, 7));
    for wrong in [template(None, "b", 3, 8), template(None, "b", 5, 8)] {
        let refused = store.add_template(wrong).await;
        assert!(matches!(refused, Err(StoreError::Conflict { found: 3, .. })), "{refused:?}");
    }
    store.add_template(template(Some("north"), "b", 0, 9)).await.unwrap();
    store.add_template(template(None, "a", 1, 4)).await.unwrap();

    drop(store);
    let store = place.open().await;
    let get = async |tenant: Option<&str>, name: &str, revision| {
        store.template(tenant.map(owner), name, revision).await.unwrap().map(|row| (row.revision, row.contents[0]))
    };
    assert_eq!(get(None, "b", None).await, Some((3, 7)));
    assert_eq!(get(None, "b", Some(1)).await, Some((1, 1)));
    assert_eq!((get(None, "b", Some(4)).await, get(None, "c", None).await), (None, None));
    assert_eq!(get(Some("north"), "b", None).await, Some((1, 9)), "each tenant has names of its own");
    assert_eq!(get(Some("north"), "a", None).await, None);
    let names = async |tenant: Option<&str>, after: Option<&str>, limit| {
        let found = store.list_templates(tenant.map(owner), after.map(str::to_owned), limit).await.unwrap();
        found.into_iter().map(|row| format!("{}@{}", row.name, row.revision)).collect::<Vec<_>>()
    };
    assert_eq!(names(None, None, 10).await, ["a@1", "b@3"]);
    assert_eq!(names(None, None, 1).await, ["a@1"]);
    assert_eq!(names(None, Some("a"), 10).await, ["b@3"]);
    assert_eq!(names(Some("north"), None, 10).await, ["b@1"]);

    store.delete_template(None, "b", Some(1)).await.unwrap();
    assert!(matches!(store.delete_template(None, "b", Some(1)).await, Err(StoreError::NotFound(_))));
    assert_eq!(store.add_template(template(None, "b", 0, 5)).await.unwrap().revision, 4);
    store.delete_template(None, "b", None).await.unwrap();
    assert!(matches!(store.delete_template(None, "b", None).await, Err(StoreError::NotFound(_))));
    assert_eq!(names(None, None, 10).await, ["a@1"]);
    assert_eq!(get(Some("north"), "b", None).await, Some((1, 9)));
}

on_every_store! {
    templates_are_numbered_and_never_changed
}
