use super::*;

fn vault(octet: u8) -> Vault {
    Vault::new(&MasterKey::from_hex(&hex::encode([octet; 32]), "test").unwrap())
}

fn meter(id: &str) -> MeterId {
    MeterId::try_new(id).unwrap()
}

fn key() -> Secret {
    Secret::new((0xA0..0xB0).collect())
}

#[test]
fn what_was_sealed_opens_for_the_same_meter_and_role_only() {
    let vault = vault(1);
    let sealed = vault.seal(&meter("a"), SecretRole::EncryptionKey, &key()).unwrap();
    assert_eq!(vault.open(&meter("a"), SecretRole::EncryptionKey, &sealed).unwrap(), key());
    assert_eq!(vault.open(&meter("b"), SecretRole::EncryptionKey, &sealed), Err(VaultError::Tag));
    assert_eq!(vault.open(&meter("a"), SecretRole::AuthenticationKey, &sealed), Err(VaultError::Tag));
}

#[test]
fn another_master_key_is_noticed() {
    let sealed = vault(1).seal(&meter("a"), SecretRole::Password, &key()).unwrap();
    assert_eq!(vault(2).open(&meter("a"), SecretRole::Password, &sealed), Err(VaultError::Tag));
    let check = vault(1).seal_check().unwrap();
    assert_eq!(vault(1).verify_check(&check), Ok(()));
    assert_eq!(vault(2).verify_check(&check), Err(VaultError::Tag));
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let vault = vault(1);
    let sealed = vault.seal(&meter("a"), SecretRole::EncryptionKey, &key()).unwrap();
    let open = |blob: Vec<u8>| vault.open(&meter("a"), SecretRole::EncryptionKey, &Sealed::from_bytes(blob));
    for bit in 0..sealed.as_bytes().len() * 8 {
        let mut blob = sealed.as_bytes().to_vec();
        blob[bit / 8] ^= 1 << (bit % 8);
        assert!(open(blob).is_err(), "bit {bit}");
    }
    for length in 0..sealed.as_bytes().len() {
        assert!(open(sealed.as_bytes()[..length].to_vec()).is_err(), "length {length}");
    }
}

#[test]
fn two_seals_of_one_secret_differ_and_hide_it() {
    let vault = vault(1);
    let seal = || vault.seal(&meter("a"), SecretRole::EncryptionKey, &key()).unwrap();
    assert_ne!(seal(), seal());
    assert!(!seal().as_bytes().windows(4).any(|part| part == &key().expose()[..4]));
}

#[test]
fn debug_shows_no_secret() {
    let master = MasterKey::from_hex(&"5A".repeat(32), "test").unwrap();
    let vault = Vault::new(&master);
    let sealed = vault.seal_check().unwrap();
    for shown in [format!("{master:?}"), format!("{vault:?}"), format!("{sealed:?}")] {
        assert!(!shown.to_ascii_lowercase().contains("5a") && !shown.contains("90"), "{shown}");
    }
}

#[test]
fn counters_belong_to_key_and_title() {
    let title = |last| SystemTitle([0x44, 0x48, 0x45, 0, 0, 0, 0, last]);
    let id = Vault::counter_id(&title(1), &key());
    assert_eq!(id, Vault::counter_id(&title(1), &key()));
    assert_ne!(id, Vault::counter_id(&title(2), &key()));
    assert_ne!(id, Vault::counter_id(&title(1), &Secret::new(vec![0; 16])));
}

#[test]
fn fingerprints_keep_parts_apart() {
    let vault = vault(1);
    assert_ne!(vault.fingerprint(&[b"ab", b"c"]), vault.fingerprint(&[b"a", b"bc"]));
    assert_eq!(vault.fingerprint(&[b"ab"]), vault.fingerprint(&[b"ab"]));
}

#[test]
fn the_master_key_is_made_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let (first, made) = MasterKey::load_or_generate(&path).unwrap();
    assert!(made);
    let (second, made) = MasterKey::load_or_generate(&path).unwrap();
    assert!(!made);
    assert_eq!(first.expose(), second.expose());
    assert_ne!(first.expose(), &[0; 32]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = MasterKey::load_or_generate(&path).unwrap_err();
        assert!(matches!(error, MasterKeyError::Permissions { mode: 0o640, .. }), "{error}");
    }
}

#[test]
fn a_damaged_master_key_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let _ = MasterKey::load_or_generate(&path).unwrap();
    std::fs::write(&path, "1234").unwrap();
    let error = MasterKey::load_or_generate(&path).unwrap_err();
    assert!(matches!(error, MasterKeyError::Format { .. }), "{error}");
    assert!(!error.to_string().contains("1234"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "1234");
}
