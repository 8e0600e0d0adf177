//! What the vault promises, with damaged files and wrong passphrases.

#![allow(clippy::unwrap_used)]
use std::fs;

use serde_json::{Value, json};

use super::*;

fn phrase(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn lock_with(text: &str) -> Protection {
    Protection::Passphrase(phrase(text))
}

fn unlock_with(text: &str) -> Unlock {
    Unlock::Passphrase(phrase(text))
}

fn key() -> Key {
    Zeroizing::new([7; 32])
}

fn made(protection: &Protection) -> (tempfile::TempDir, DataDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::at(temp.path().join("account"));
    dir.prepare().unwrap();
    create(&dir, &key(), protection).unwrap();
    (temp, dir)
}

/// Changes one value of `vault.json`.
fn tamper(dir: &DataDir, pointer: &str, value: Value) {
    let mut vault: Value = serde_json::from_slice(&fs::read(dir.vault()).unwrap()).unwrap();
    *vault.pointer_mut(pointer).unwrap() = value;
    fs::write(dir.vault(), vault.to_string()).unwrap();
}

#[test]
fn the_passphrase_opens_it_and_a_wrong_one_changes_nothing() {
    let (_temp, dir) = made(&lock_with("correct horse"));
    assert_eq!(kind(&dir).unwrap(), ProtectionKind::Passphrase);
    let before = fs::read(dir.vault()).unwrap();
    assert!(matches!(open(&dir, &unlock_with("correct hors")), Err(Error::WrongPassphrase)));
    assert!(matches!(change(&dir, &unlock_with("wrong"), &lock_with("new")), Err(Error::WrongPassphrase)));
    assert!(matches!(open(&dir, &Unlock::Stored), Err(Error::PassphraseNeeded)));
    assert_eq!(fs::read(dir.vault()).unwrap(), before);
    assert_eq!(open(&dir, &unlock_with("correct horse")).unwrap(), key());
}

#[test]
fn an_empty_passphrase_protects_nothing_and_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::at(temp.path());
    assert!(matches!(create(&dir, &key(), &lock_with("")), Err(Error::EmptyPassphrase)));
    assert!(!dir.has_account());
}

#[test]
fn a_new_passphrase_opens_the_same_key_and_the_old_one_nothing() {
    let (_temp, dir) = made(&lock_with("old"));
    change(&dir, &unlock_with("old"), &lock_with("new")).unwrap();
    assert!(matches!(open(&dir, &unlock_with("old")), Err(Error::WrongPassphrase)));
    assert_eq!(open(&dir, &unlock_with("new")).unwrap(), key());
}

#[test]
fn an_altered_vault_opens_nothing_whichever_part_was_altered() {
    let zeros = |bytes: usize| json!("00".repeat(bytes));
    for (pointer, value) in [
        ("/id", json!("another")),
        ("/protection/argon2id/passes", json!(1)),
        ("/protection/argon2id/memory_kib", json!(8)),
        ("/protection/salt", zeros(16)),
        ("/protection/nonce", zeros(12)),
        ("/protection/wrapped_key", zeros(48)),
    ] {
        let (_temp, dir) = made(&lock_with("right"));
        tamper(&dir, pointer, value);
        assert!(matches!(open(&dir, &unlock_with("right")), Err(Error::WrongPassphrase)), "{pointer}");
    }
}

#[test]
fn a_vault_that_asks_for_unbounded_memory_or_time_is_refused_before_any_is_taken() {
    for (name, value) in [("memory_kib", u32::MAX), ("memory_kib", 1024 * 1024 + 1), ("passes", 17), ("lanes", 17)] {
        let (_temp, dir) = made(&lock_with("right"));
        tamper(&dir, &format!("/protection/argon2id/{name}"), json!(value));
        assert!(matches!(open(&dir, &unlock_with("right")), Err(Error::VaultDamaged { .. })), "{name} {value}");
    }
}

#[test]
fn a_damaged_vault_is_told_from_one_of_a_later_program() {
    let (_temp, dir) = made(&Protection::KeyFile);
    tamper(&dir, "/version", json!(2));
    assert!(matches!(open(&dir, &Unlock::Stored), Err(Error::VaultNewer { version: 2 })));
    tamper(&dir, "/version", json!("one"));
    assert!(matches!(open(&dir, &Unlock::Stored), Err(Error::VaultDamaged { .. })));
    fs::write(dir.vault(), "{").unwrap();
    assert!(matches!(kind(&dir), Err(Error::VaultDamaged { .. })));
    for (name, value) in [("salt", "zz"), ("nonce", "00"), ("wrapped_key", "")] {
        let (_temp, dir) = made(&lock_with("right"));
        tamper(&dir, &format!("/protection/{name}"), json!(value));
        assert!(matches!(open(&dir, &unlock_with("right")), Err(Error::VaultDamaged { .. })), "{name}");
    }
}

#[test]
fn a_change_cut_short_before_the_vault_took_its_name_leaves_the_old_way_open() {
    let (_temp, dir) = made(&lock_with("old"));
    fs::write(files::draft_of(&dir.vault()), "{\"version\":1,\"id").unwrap();
    assert_eq!(open(&dir, &unlock_with("old")).unwrap(), key());
    change(&dir, &unlock_with("old"), &lock_with("new")).unwrap();
    assert_eq!(open(&dir, &unlock_with("new")).unwrap(), key());
    assert!(!files::draft_of(&dir.vault()).exists());
}

#[test]
fn a_key_file_opens_it_and_goes_when_the_way_changes() {
    let (_temp, dir) = made(&Protection::KeyFile);
    assert_eq!(open(&dir, &Unlock::Stored).unwrap(), key());
    change(&dir, &Unlock::Stored, &Protection::KeyFile).unwrap();
    assert_eq!(open(&dir, &Unlock::Stored).unwrap(), key());
    change(&dir, &Unlock::Stored, &lock_with("now a phrase")).unwrap();
    assert!(!dir.key_file().exists());
    assert_eq!(open(&dir, &unlock_with("now a phrase")).unwrap(), key());
}

#[test]
fn a_key_file_that_is_gone_or_cut_is_named() {
    let (_temp, dir) = made(&Protection::KeyFile);
    let said = |dir: &DataDir| open(dir, &Unlock::Stored).unwrap_err();
    files::write_private(&dir.key_file(), &[1; 31]).unwrap();
    assert!(matches!(said(&dir), Error::KeyDamaged { place } if place.ends_with("database.key")));
    fs::remove_file(dir.key_file()).unwrap();
    assert!(matches!(said(&dir), Error::KeyMissing { place } if place.ends_with("database.key")));
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_command_that_helps() {
    use std::os::unix::fs::PermissionsExt;
    let (_temp, dir) = made(&Protection::KeyFile);
    for path in [dir.key_file(), dir.vault()] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let said = open(&dir, &Unlock::Stored).unwrap_err().to_string();
        assert!(said.contains("mode 640") && said.contains("chmod 600"), "{said}");
    }
}

#[test]
fn no_passphrase_is_printed() {
    assert_eq!(format!("{:?} {:?}", lock_with("secret"), unlock_with("secret")), "Passphrase(..) Passphrase(..)");
}

/// Run by the test below, in a process whose session has no keyring.
#[test]
#[ignore = "needs the environment that the next test gives it"]
fn without_a_keyring() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::at(temp.path());
    let refused = create(&dir, &key(), &Protection::Keyring).unwrap_err();
    assert!(matches!(refused, Error::NoKeyring { .. }), "{refused:?}");
    assert!(refused.to_string().contains("use a passphrase or a key file"), "{refused}");
    assert!(!dir.has_account());
    let (_temp, dir) = made(&lock_with("right"));
    assert!(matches!(change(&dir, &unlock_with("right"), &Protection::Keyring), Err(Error::NoKeyring { .. })));
    assert_eq!(open(&dir, &unlock_with("right")).unwrap(), key());
}

#[cfg(target_os = "linux")]
#[test]
fn a_session_without_a_keyring_is_told_what_to_use_instead_and_loses_nothing() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "vault::tests::without_a_keyring"])
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
