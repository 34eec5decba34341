//! Copies of a store.

use std::{fs, path::Path};

use super::*;
use crate::{
    meter::CounterId,
    operation::CounterBlock,
    store::{COUNTER_BLOCK, CounterStore, sqlite::backup::RESTORE_JUMP},
};

const KNOWN: CounterId = CounterId([1; 16]);
const LATER: CounterId = CounterId([2; 16]);

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory, SqliteOptions::default()).unwrap()
}

fn back_up(directory: &Path, into: &Path) -> BackupManifest {
    SqliteStore::back_up(directory, into, SqliteOptions::default()).unwrap()
}

fn restore(backup: &Path, directory: &Path) -> Result<Restored, BackupError> {
    SqliteStore::restore(backup, directory, SqliteOptions::default())
}

#[tokio::test]
async fn lesson_01_a_restored_store_never_gives_out_a_counter_that_was_used_since_the_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy, new) = (folder.path().join("data"), folder.path().join("copy"), folder.path().join("new"));
    let store = open(&data);
    store.reserve_counters(KNOWN).await.unwrap();
    // The store is open and used meanwhile.
    let manifest = back_up(&data, &copy);
    assert_eq!(manifest.files[0].name, "control.sqlite3");
    let mut used = CounterBlock { next: 0, end: 0 };
    for _ in 0..50 {
        used = store.reserve_counters(KNOWN).await.unwrap();
    }
    let later = store.reserve_counters(LATER).await.unwrap();
    store.close().await;
    drop(store);

    let restored = restore(&copy, &new).unwrap();
    assert_eq!((restored.counters, restored.jobs), (1, 0));
    let store = open(&new);
    let known = store.reserve_counters(KNOWN).await.unwrap();
    assert!(known.next >= used.end, "{known:?} after {used:?}");
    assert_eq!(known.next, 1 + COUNTER_BLOCK + RESTORE_JUMP);
    // The copy knows nothing of this one, which was used all the same.
    let again = store.reserve_counters(LATER).await.unwrap();
    assert!(again.next >= later.end, "{again:?} after {later:?}");
    store.close().await;
}

#[tokio::test]
async fn a_copy_of_a_restored_store_jumps_again_and_never_beyond_the_last_counter() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let store = open(&path("a"));
    store.raise_counter(KNOWN, crate::store::HIGHEST_CLAIM).await.unwrap();
    store.close().await;
    drop(store);
    back_up(&path("a"), &path("a-copy"));
    restore(&path("a-copy"), &path("b")).unwrap();
    back_up(&path("b"), &path("b-copy"));
    restore(&path("b-copy"), &path("c")).unwrap();
    let store = open(&path("c"));
    assert_eq!(store.reserve_counters(LATER).await.unwrap().next, 1 + 2 * RESTORE_JUMP);
    let known = store.reserve_counters(KNOWN).await.unwrap();
    assert_eq!(known.next, crate::store::HIGHEST_CLAIM + 1 + 2 * RESTORE_JUMP);
    store.raise_counter(LATER, 7).await.unwrap();
    assert!(store.reserve_counters(LATER).await.unwrap().next > 2 * RESTORE_JUMP);
    store.close().await;
}

#[tokio::test]
async fn what_is_there_is_never_replaced_and_what_is_damaged_never_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    open(&path("data")).close().await;
    let none = SqliteStore::back_up(&path("nothing"), &path("copy"), SqliteOptions::default());
    assert!(matches!(none, Err(BackupError::NoStore(_))), "{none:?}");
    back_up(&path("data"), &path("copy"));
    let twice = SqliteStore::back_up(&path("data"), &path("copy"), SqliteOptions::default());
    assert!(matches!(twice, Err(BackupError::Exists(_))), "{twice:?}");
    let over = restore(&path("copy"), &path("data"));
    assert!(matches!(over, Err(BackupError::Exists(_))), "{over:?}");

    let manifest = fs::read_to_string(path("copy/backup.json")).unwrap();
    for (wrong, place) in [
        (manifest.replace("\"control.sqlite3\"", "\"../control.sqlite3\""), "no file of a store"),
        (manifest.replace("\"format\": 1", "\"format\": 2"), "format 2"),
        (manifest.replace("\"octets\": ", "\"octets\": 1"), "digest"),
        ("{".to_owned(), "EOF"),
    ] {
        fs::write(path("copy/backup.json"), wrong).unwrap();
        let refused = restore(&path("copy"), &path("new")).unwrap_err().to_string();
        assert!(refused.contains(place), "{refused}");
        assert!(!path("new/control.sqlite3").exists() && !path("new/restore-unfinished").exists());
    }
    fs::write(path("copy/backup.json"), &manifest).unwrap();
    let mut octets = fs::read(path("copy/control.sqlite3")).unwrap();
    octets[5_000] ^= 1;
    fs::write(path("copy/control.sqlite3"), octets).unwrap();
    let refused = restore(&path("copy"), &path("new")).unwrap_err();
    assert!(matches!(refused, BackupError::Damaged { .. }), "{refused}");
}
