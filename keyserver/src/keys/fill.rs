//! A database with as many handles as a measurement wants, made at once: the rows and epochs are those that people would
//! have made one by one, but for their size, and nothing is verified.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use hushwire_proto::account::{Device, Link, Signatory};
use hushwire_proto::ids::{AccountId, DeviceId, MailboxId, Token, UnixMillis};
use hushwire_proto::net::tls::ServerIdentity;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::rows::{Family, StoredAccount};
use super::view::View;
use super::{OpenError, epochs, open_database};
use crate::log::{Log, LogKeys};

/// Handles in one epoch: many, so that a million takes minutes.
const PER_EPOCH: u64 = 8_192;

/// What was done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Handles that are there.
    pub handles: u64,
    /// Time that the last epoch took, with its rows.
    pub last: Duration,
}

/// The handle of this number.
#[must_use]
pub fn name_of(number: u64) -> String {
    format!("made-up.{number}")
}

/// Puts the handles of these numbers into the database in `data_dir`, which nobody may have open. Says after each epoch how
/// far it is. Needs a tokio runtime around it, and a thread that may wait.
///
/// # Errors
/// [`OpenError`].
pub fn fill(
    data_dir: &Path,
    identity: &ServerIdentity,
    numbers: Range<u64>,
    mut told: impl FnMut(Filled),
) -> Result<(), OpenError> {
    let db = std::sync::Arc::new(open_database(data_dir)?);
    let keys = LogKeys::of(identity).ok_or(OpenError::OtherKey)?;
    let failed = |error: &dyn std::fmt::Display| OpenError::Log(error.to_string());
    let log = Log::new(db.clone(), keys).map_err(|error| failed(&error))?;
    epochs::begin(&db, &log)?;
    let signing = SigningKey::from_bytes(&[7; 32]);
    let mut from = numbers.start;
    while from < numbers.end {
        let (began, to) = (Instant::now(), numbers.end.min(from.saturating_add(PER_EPOCH)));
        let mut view = View::new(&db);
        let mut entries = Vec::new();
        for number in from..to {
            let (name, account, stored) = made_up(number, &signing);
            entries.extend(stored.entry(account).map(|entry| (name.clone(), entry)));
            view.put(Family::Handles, name.into_bytes(), account.as_bytes().to_vec());
            view.put(Family::Accounts, account.as_bytes().to_vec(), stored.to_row());
        }
        if let Some(next) = log.next(entries, UnixMillis::default()).map_err(|error| failed(&error))? {
            epochs::put(&mut view, next).map_err(|error| failed(&error))?;
        }
        view.commit().map_err(|error| failed(&error))?;
        told(Filled { handles: to, last: began.elapsed() });
        from = to;
    }
    Ok(())
}

fn made_up(number: u64, signing: &SigningKey) -> (String, AccountId, StoredAccount) {
    let mut mailbox = [0; 32];
    mailbox.iter_mut().zip(number.to_be_bytes()).for_each(|(to, byte)| *to = byte);
    let device = Device {
        name: String::new(),
        id: DeviceId::FIRST,
        registration_id: 1,
        identity_key: [5; 33],
        signing_key: signing.verifying_key().to_bytes(),
        identity_proof: [0; 64],
        relay: "hush://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@relay.example.org".to_owned(),
        mailbox: MailboxId(mailbox),
        request_token: Token::generate(&mut StdRng::seed_from_u64(number)),
    };
    let recovery_key = signing.verifying_key().to_bytes();
    let link = Link { version: 0, previous: None, devices: vec![device], recovery_key };
    let link = link.sign(Signatory::Device(DeviceId::FIRST), signing);
    let (name, account) = (name_of(number), AccountId(link.hash().0));
    (name.clone(), account, StoredAccount { handle: Some(name), links: vec![link] })
}
