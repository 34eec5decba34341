use std::path::Path;

use super::*;
use crate::{
    meter::{Authentication, Mechanism, PolicyBits, SecuritySettings},
    operation::{MeterDirectory, RequestErrorKind},
    store::sqlite::{SqliteOptions, SqliteStore},
    vault::MasterKey,
};

fn vault(octet: u8) -> Vault {
    Vault::new(&MasterKey::from_hex(&hex::encode([octet; 32]), "test").unwrap())
}

async fn open(folder: &Path, master: u8) -> Result<Registry<SqliteStore>, RegistryError> {
    let store = Arc::new(SqliteStore::open(folder, SqliteOptions::default()).unwrap());
    Registry::open(store, vault(master), Timeouts::default(), None).await
}

fn id(text: &str) -> MeterId {
    MeterId::try_new(text).unwrap()
}

fn key(octet: u8) -> Option<Secret> {
    Some(Secret::new(vec![octet; 16]))
}

fn ciphered() -> Change {
    let security = SecuritySettings {
        suite: 0,
        policy: PolicyBits { authenticated: true, encrypted: true },
        envelope: Default::default(),
        dedicated_key: false,
        client_title: None,
    };
    Change {
        settings: MeterSettings { mechanism: Mechanism::HlsGmac, security: Some(security), ..MeterSettings::default() },
        secrets: Secrets::from([(SecretRole::EncryptionKey, key(0xEE)), (SecretRole::AuthenticationKey, key(0xAA))]),
    }
}

fn fields(error: RegistryError) -> Vec<Cow<'static, str>> {
    match error {
        RegistryError::Invalid(problems) => problems.into_iter().map(|problem| problem.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_fleet_gets_opened_secrets_and_the_store_sees_none() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path(), 1).await.unwrap();
    let record = registry.create(id("m1"), ciphered(), None).await.unwrap();
    assert!(record.encryption_key_set && record.authentication_key_set && !record.password_set);
    let config = registry.meter(&id("m1")).await.unwrap();
    let ciphering = config.ciphering.as_ref().unwrap();
    assert_eq!(config.authentication, Authentication::HlsGmac);
    assert_eq!(Some(&ciphering.keys.encryption), key(0xEE).as_ref());
    assert_eq!(Some(&ciphering.keys.authentication), key(0xAA).as_ref());
    assert_eq!(ciphering.client_title, registry.title());
    let shown = format!("{config:?}{registry:?}");
    // Two octets of each key in a row: one by itself may stand in the title that was drawn, or in a path.
    let digits = shown.to_lowercase();
    let keys = ["238, 238", "170, 170", "eeee", "aaaa"];
    assert!(!keys.iter().any(|key| digits.contains(key)), "{shown}");
    registry.store().close().await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let octets = std::fs::read(&path).unwrap();
            let seen = octets.windows(8).any(|part| part == [0xEE; 8] || part == [0xAA; 8]);
            assert!(!seen, "a key is in {}", path.display());
        }
    }
}

#[tokio::test]
async fn another_master_key_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), 1).await.unwrap());
    assert!(matches!(open(folder.path(), 2).await, Err(RegistryError::MasterKey)));
    open(folder.path(), 1).await.unwrap();
}

#[tokio::test]
async fn the_system_title_of_an_installation_is_drawn_once() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let title = async |folder: &Path| open(folder, 1).await.unwrap().title();
    let first = title(one.path()).await;
    assert_eq!(first, title(one.path()).await);
    assert_ne!(first, title(two.path()).await);
    assert!(first.as_bytes().starts_with(b"DHE"));
}

#[tokio::test]
async fn keys_must_be_there_and_fit() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path(), 1).await.unwrap();
    let mut change = ciphered();
    change.secrets = Secrets::from([(SecretRole::EncryptionKey, Some(Secret::new(vec![1; 15])))]);
    let error = registry.create(id("m1"), change, None).await.unwrap_err();
    assert_eq!(fields(error), ["security.encryption_key", "security.authentication_key"]);
    let lls = Change {
        settings: MeterSettings { mechanism: Mechanism::Lls, ..MeterSettings::default() },
        secrets: Secrets::new(),
    };
    let error = registry.create(id("m1"), lls, None).await.unwrap_err();
    assert_eq!(fields(error), ["authentication.password"]);
    assert!(matches!(registry.get(&id("m1")).await, Err(RegistryError::Store(StoreError::NotFound(_)))));
}

#[tokio::test]
async fn an_update_keeps_secrets_that_it_does_not_name_and_may_not_remove_needed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path(), 1).await.unwrap();
    registry.create(id("m1"), ciphered(), None).await.unwrap();
    let rename = |settings: &MeterSettings| {
        Ok(Change {
            settings: MeterSettings { display_name: "cellar".into(), ..settings.clone() },
            secrets: Secrets::new(),
        })
    };
    let record = registry.update(&id("m1"), Some(1), None, rename).await.unwrap();
    assert_eq!((record.revision, record.settings.display_name.as_str()), (2, "cellar"));
    let config = registry.meter(&id("m1")).await.unwrap();
    assert_eq!(Some(&config.ciphering.as_ref().unwrap().keys.encryption), key(0xEE).as_ref());
    let remove = |settings: &MeterSettings| {
        Ok(Change { settings: settings.clone(), secrets: Secrets::from([(SecretRole::EncryptionKey, None)]) })
    };
    let error = registry.update(&id("m1"), None, None, remove).await.unwrap_err();
    assert_eq!(fields(error), ["security.encryption_key"]);
    let stale = registry.update(&id("m1"), Some(1), None, rename).await;
    assert!(matches!(stale, Err(RegistryError::Store(StoreError::Conflict { .. }))));
}

#[tokio::test]
async fn lesson_01_deleting_and_registering_again_does_not_reset_the_counter() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path(), 1).await.unwrap();
    let counter = async || {
        registry.create(id("m1"), ciphered(), None).await.unwrap();
        registry.meter(&id("m1")).await.unwrap().ciphering.as_ref().unwrap().counter
    };
    let first = registry.reserve_counters(counter().await).await.unwrap();
    registry.delete(&id("m1"), None, None).await.unwrap();
    let second = registry.reserve_counters(counter().await).await.unwrap();
    assert_eq!(second.next, first.end);
}

#[tokio::test]
async fn unknown_meters_and_unbelievable_counters_are_typed() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path(), 1).await.unwrap();
    let error = registry.meter(&id("m1")).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NotFound);
    assert_eq!(error.meter(), Some(&id("m1")));
    let counter = crate::meter::CounterId([1; 16]);
    let error = registry.raise_counter(counter, u32::MAX).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::SecurityFailed);
}
