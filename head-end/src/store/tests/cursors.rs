use super::*;

async fn a_cursor_stays_where_it_was_put(place: &impl Place) {
    let store = place.open().await;
    assert_eq!(store.cursor("one").await.unwrap(), None);
    store.keep_cursor("one", 5).await.unwrap();
    store.keep_cursor("one", u64::MAX).await.unwrap();
    store.keep_cursor("other", 0).await.unwrap();
    store.close().await;
    drop(store);
    let store = place.open().await;
    assert_eq!(store.cursor("one").await.unwrap(), Some(u64::MAX));
    assert_eq!(store.cursor("other").await.unwrap(), Some(0));
}

on_every_store! { a_cursor_stays_where_it_was_put }
