//! A new device of an account that is there already: asked for, and added by another device; or signed by the recovery key,
//! when there is no other device any more.
//!
//! What a keyserver shows of the account is checked first; there is no other way to a [`KnownAccount`].
//!
//! Spec: keyserver §3.8.

use hushwire_proto::account::{Chain, Change, Signatory, is_device_name};
use hushwire_proto::address::{Handle, ServerAddress};
use hushwire_proto::ids::{AccountId, UnixMillis};
use hushwire_proto::keyserver::{Found, Who};
use hushwire_proto::log::SignedRoot;
use rand_core::CryptoRng;

use crate::account::{NewDevice, verify_links};
use crate::device_request::DeviceRequest;
use crate::engine::{Engine, Flight};
use crate::input::NewContact;
use crate::recovery::RecoveryKey;
use crate::store::{Store, StoreError, me, roots};
use crate::{log, prekeys};

/// An account as a keyserver showed it, checked: the chain verifies, and the log says it of the handle.
#[derive(Clone, Debug)]
pub struct KnownAccount {
    keyserver: ServerAddress,
    chain: Chain,
    handle_name: Option<String>,
    root: Option<SignedRoot>,
}

/// Why a device cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotJoin {
    /// What the keyserver showed does not hold.
    #[error("{0}; do not trust this keyserver until its operator has an explanation")]
    Disbelieved(String),
    /// Not what the account's newest list names.
    #[error("these are not the recovery words of this account, or they were renewed since")]
    WrongWords,
    /// Of the new device.
    #[error("a device's name is one line of at most 48 bytes without spaces around it")]
    BadName,
    /// The list has no room, or somebody has used the words already.
    #[error(transparent)]
    Devices(#[from] hushwire_proto::account::CannotChange),
}

/// What a new device is to be.
#[derive(Clone, Debug)]
pub struct Joining {
    /// Of which account.
    pub account: KnownAccount,
    /// Where its mailbox shall be. With a fingerprint.
    pub relay: ServerAddress,
    /// What its owner calls it; may be empty. Everyone can read it.
    pub name: String,
}

/// Whom to ask which keyserver for.
#[must_use]
pub fn whom_to_ask(whose: &NewContact) -> (&ServerAddress, Who) {
    match whose {
        NewContact::Handle(handle, keyserver) => (keyserver, Who::Handle(handle.name().to_owned())),
        NewContact::Link(link) => (&link.keyserver, Who::Account(link.account)),
    }
}

impl KnownAccount {
    /// Checks what a keyserver found.
    ///
    /// # Errors
    /// [`CannotJoin::Disbelieved`].
    pub fn verify(whose: &NewContact, found: Found) -> Result<Self, CannotJoin> {
        let disbelieved = |why: &str| CannotJoin::Disbelieved(why.to_owned());
        let (keyserver, who) = whom_to_ask(whose);
        let chain = verify_links(found.links)
            .map_err(|bad| CannotJoin::Disbelieved(format!("the keyserver's answer does not verify ({bad})")))?;
        let is_asked_for = match &who {
            Who::Account(account) => chain.account() == *account,
            Who::Handle(name) => found.handle_name.as_ref() == Some(name),
        };
        if chain.account() != found.account || !is_asked_for {
            return Err(disbelieved("the keyserver answered with another account than was asked for"));
        }
        let root = match (&found.handle_name, found.proven) {
            (None, _) => None,
            (Some(_), None) => return Err(disbelieved("the keyserver does not prove that its log says so")),
            (Some(name), Some(proven)) => {
                let server = keyserver.fingerprint().ok_or_else(|| disbelieved("its address has no fingerprint"))?;
                hushwire_log::watch(server, None, &proven.root).map_err(|alarm| disbelieved(&alarm.to_string()))?;
                let said = hushwire_log::present(&proven.root, name, &proven.proof);
                if said.ok() != log::entry_of(&chain) {
                    return Err(disbelieved("the keyserver's log says something else of this handle than it does"));
                }
                Some(proven.root)
            }
        };
        Ok(Self { keyserver: keyserver.clone(), chain, handle_name: found.handle_name, root })
    }

    /// Which.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.chain.account()
    }

    /// Its handle, if it has one.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.handle_name.as_ref().and_then(|name| Handle::new(name, self.keyserver.clone()).ok())
    }

    /// What its devices are called.
    #[must_use]
    pub fn devices(&self) -> Vec<String> {
        self.chain.devices().iter().map(crate::types::device_label).collect()
    }

    /// Whether these words take it back.
    #[must_use]
    pub fn is_recovered_by(&self, words: &RecoveryKey) -> bool {
        self.chain.head().is_some_and(|head| head.link().recovery_key == words.public())
    }
}

impl Engine {
    /// Makes a device that waits until another one of the account adds it. Nothing leaves the device before the first
    /// [`Engine::handle`].
    ///
    /// # Errors
    /// [`CannotJoin`] inside; [`StoreError`], also when there is an account already.
    pub fn join(
        store: Store,
        joining: &Joining,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) -> Result<Result<(Self, DeviceRequest), CannotJoin>, StoreError> {
        let made = match new_device(joining, rng) {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        let request = DeviceRequest { account: joining.account.account(), device: made.device.clone() };
        if let Err(error) = joining.account.chain.change(&Change::Add(request.device.clone())) {
            return Ok(Err(error.into()));
        }
        Ok(Ok((begin(store, joining, made, None, now, rng)?, request)))
    }

    /// Makes the one device of an account whose others are lost or in other hands: the list that names it alone is signed
    /// by the recovery key, kept, and sent by the first [`Engine::handle`].
    ///
    /// # Errors
    /// As [`Engine::join`].
    pub fn recover(
        store: Store,
        joining: &Joining,
        words: &RecoveryKey,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) -> Result<Result<Self, CannotJoin>, StoreError> {
        if !joining.account.is_recovered_by(words) {
            return Ok(Err(CannotJoin::WrongWords));
        }
        let made = match new_device(joining, rng) {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        let link = match joining.account.chain.change(&Change::Recover(made.device.clone())) {
            Ok(link) => link.sign(Signatory::Recovery, &words.signing()),
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(Ok(begin(store, joining, made, Some(&link), now, rng)?))
    }

    /// What this device asks for, as long as it waits to be added.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn device_request(&self) -> Result<Option<DeviceRequest>, StoreError> {
        let db = self.store.read();
        if self.keys.is_listed() || me::flag(db, me::Flag::Joined)? || me::next_link(db)?.is_some() {
            return Ok(None);
        }
        let Some(bytes) = me::wanted(db)? else { return Ok(None) };
        let device = hushwire_proto::account::parse_device(&bytes).map_err(|_| crate::store::damaged("wanted"))?;
        Ok(Some(DeviceRequest { account: self.keys.account, device }))
    }
}

fn new_device(joining: &Joining, rng: &mut impl CryptoRng) -> Result<NewDevice, CannotJoin> {
    if !is_device_name(&joining.name) {
        return Err(CannotJoin::BadName);
    }
    let id = joining.account.chain.free_device_id().ok_or(hushwire_proto::account::CannotChange::TooManyDevices)?;
    Ok(NewDevice::generate(id, joining.name.clone(), &joining.relay, rng))
}

fn begin(
    store: Store,
    joining: &Joining,
    made: NewDevice,
    link: Option<&hushwire_proto::account::SignedLink>,
    now: UnixMillis,
    rng: &mut impl CryptoRng,
) -> Result<Engine, StoreError> {
    let KnownAccount { keyserver, chain, handle_name, root } = &joining.account;
    let tx = store.begin()?;
    let wanted = hushwire_proto::account::encode_device(&made.device);
    let keys = made.keep(&tx, chain.account(), chain.links().to_vec(), keyserver, handle_name.clone(), rng)?;
    me::set_joining(&tx, &wanted)?;
    me::set_next_link(&tx, link)?;
    if let (Some(server), Some(root)) = (keyserver.fingerprint(), root) {
        roots::keep(&tx, server, root)?;
    }
    prekeys::make_first(&tx, &keys, now, rng)?;
    tx.commit()?;
    Ok(Engine { store, keys, flight: Flight::default() })
}
