//! The list of our own devices: what a person wants of it, as a signed link that is kept before it is sent, and what others
//! of our devices have made of it meanwhile.
//!
//! A link that was signed is sent again and again, the same bytes, until the keyserver has answered: whatever is killed in
//! between, this device never signs two links for one place without knowing that the first was refused. If somebody else was
//! first, the newer list is fetched and the person is told: what they wanted may make no sense any more.
//!
//! Spec: keyserver §3.7, §3.8.

use hushwire_proto::account::{Chain, Change, Compared, Device, Signatory, SignedLink};
use hushwire_proto::ids::{DeviceId, UnixMillis};
use hushwire_proto::keyserver::{RefusedReason, Who};
use rand_core::CryptoRng;

use crate::account::{Keys, verify_links, vouches};
use crate::device_request::DeviceRequest;
use crate::engine::{Chore, Cx, Engine, Pending};
use crate::input::{Answer, Call, CallFailed, CommandError, Reply};
use crate::lie::Lie;
use crate::outbox::relay_address;
use crate::prekeys::{done, due, failed};
use crate::recovery::RecoveryKey;
use crate::store::me::{self, Flag};
use crate::store::{StoreError, contacts, damaged};
use crate::types::{Event, ListChange, ListedDevice, Membership};
use crate::{groups, log, lookup};

/// How often a device that waits to be added looks whether it was, in milliseconds.
const LOOK_EVERY_MS: u64 = 3_000;

/// Adds the device that asks for it.
pub(crate) fn add<R: CryptoRng>(cx: &mut Cx<'_, R>, request: DeviceRequest) -> Result<Answer, StoreError> {
    if request.account != cx.keys.account {
        return Ok(Answer::Refused(CommandError::OtherAccount));
    }
    if relay_address(&request.device.relay).is_none_or(|relay| relay.fingerprint().is_none()) {
        return Ok(Answer::Refused(CommandError::BadRequest)); // nobody could write to it
    }
    by_this_device(cx, &Change::Add(request.device))
}

/// Takes a device out.
pub(crate) fn revoke<R: CryptoRng>(cx: &mut Cx<'_, R>, device: DeviceId) -> Result<Answer, StoreError> {
    if device == cx.keys.device {
        return Ok(Answer::Refused(CommandError::ThisDevice));
    }
    by_this_device(cx, &Change::Revoke(device))
}

/// Calls a device otherwise.
pub(crate) fn rename<R: CryptoRng>(cx: &mut Cx<'_, R>, device: DeviceId, name: String) -> Result<Answer, StoreError> {
    by_this_device(cx, &Change::Rename(device, name))
}

/// Puts another recovery key into the place of the one of today.
pub(crate) fn renew_recovery<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    old: &RecoveryKey,
    new: &RecoveryKey,
) -> Result<Answer, StoreError> {
    if cx.keys.links.last().is_none_or(|link| link.link().recovery_key != old.public()) {
        return Ok(Answer::Refused(CommandError::WrongRecoveryWords));
    }
    let signing = old.signing();
    begin(cx, &Change::RenewRecovery(new.public()), |link| link.sign(Signatory::Recovery, &signing))
}

fn by_this_device<R: CryptoRng>(cx: &mut Cx<'_, R>, change: &Change) -> Result<Answer, StoreError> {
    let (device, signing) = (cx.keys.device, cx.keys.signing.clone());
    begin(cx, change, |link| link.sign(Signatory::Device(device), &signing))
}

/// Signs the next link and keeps it; it is sent by [`outstanding`].
fn begin<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    change: &Change,
    sign: impl FnOnce(hushwire_proto::account::Link) -> SignedLink,
) -> Result<Answer, StoreError> {
    if !cx.keys.is_listed() || !me::flag(cx.db, Flag::Registered)? {
        return Ok(Answer::Refused(CommandError::NotADevice));
    }
    if me::next_link(cx.db)?.is_some() {
        return Ok(Answer::Refused(CommandError::ChangeUnderWay));
    }
    let chain = own_chain(cx.keys)?;
    let link = match chain.change(change) {
        Ok(link) => sign(link),
        Err(error) => return Ok(Answer::Refused(error.into())),
    };
    // What the keyserver and everybody else would refuse is not sent.
    if chain.append(link.clone(), vouches).is_err() {
        return Ok(Answer::Refused(CommandError::BadRequest));
    }
    me::set_next_link(cx.db, Some(&link))?;
    Ok(Answer::Done)
}

/// Sends the link that is kept, and looks whether others of our devices have changed the list. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let mut wake = None;
    if !me::flag(cx.db, Flag::Registered)? {
        return Ok(wake);
    }
    let (keyserver, account) = (cx.keys.keyserver.clone(), cx.keys.account);
    if let Some(link) = me::next_link(cx.db)? {
        if due(cx, Chore::Append, &mut wake, |pending| matches!(pending, Pending::Append)) {
            cx.call(Call::AppendLink { keyserver, account, link }, Pending::Append);
        }
        return Ok(wake);
    }
    let waits = !cx.keys.is_listed() && !me::flag(cx.db, Flag::Joined)?;
    if (waits || cx.flight.own_list_wanted)
        && due(cx, Chore::OwnList, &mut wake, |pending| matches!(pending, Pending::OwnList(..)))
    {
        let (known, version) = (log::known(cx, &keyserver)?, cx.keys.links.len());
        cx.call(Call::Lookup { keyserver, who: Who::Account(account) }, Pending::OwnList(known, version));
    }
    Ok(wake)
}

/// The keyserver answered to the link that we want.
pub(crate) fn appended<R: CryptoRng>(cx: &mut Cx<'_, R>, reply: Result<Reply, CallFailed>) -> Result<(), StoreError> {
    let Some(link) = me::next_link(cx.db)? else { return Ok(()) };
    let refused = match reply {
        Ok(Reply::Appended) => {
            done(cx, Chore::Append);
            me::set_next_link(cx.db, None)?;
            // It is there, perhaps with more behind it already: then the newer list is fetched.
            return match own_chain(cx.keys)?.append(link, vouches) {
                Ok(chain) => take(cx, &chain),
                Err(_) => {
                    cx.flight.own_list_wanted = true;
                    Ok(())
                }
            };
        }
        Err(CallFailed::Keyserver(refused)) => refused,
        Ok(_) | Err(_) => {
            failed(cx, Chore::Append);
            return Ok(());
        }
    };
    let reason = match refused.reason {
        RefusedReason::OutOfDate => {
            "another device of yours, or whoever has one, changed the list first; look at it and try again".to_owned()
        }
        RefusedReason::BadKeys | RefusedReason::Unknown | RefusedReason::BadRequest | RefusedReason::TooMany => {
            format!("the keyserver refused it: {refused}")
        }
        _ => {
            failed(cx, Chore::Append);
            if let Some(backoff) = cx.flight.chores.get_mut(&Chore::Append) {
                backoff.due = backoff.due.max(cx.now.plus(refused.retry_after_ms));
            }
            return Ok(());
        }
    };
    done(cx, Chore::Append);
    me::set_next_link(cx.db, None)?;
    cx.flight.own_list_wanted = true;
    cx.event(Event::OwnDevicesNotChanged { reason });
    Ok(())
}

/// The keyserver told which list of our devices it has; there were `asked_at` links when it was asked.
pub(crate) fn looked_up<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    known: &log::Known,
    asked_at: usize,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    let Ok(Reply::Found(found)) = reply else {
        failed(cx, Chore::OwnList);
        return Ok(());
    };
    let keyserver = cx.keys.keyserver.clone();
    let chain = match verify_links(found.links) {
        Ok(chain) if chain.account() == cx.keys.account => chain,
        Ok(_) | Err(_) => {
            failed(cx, Chore::OwnList);
            log::lie(cx, &keyserver, Lie::OurListInvalid);
            return Ok(());
        }
    };
    if let Some(name) = me::handle_name(cx.db)?
        && log::handle(cx, &keyserver, known, &name, &chain, found.proven.as_ref())?.is_err()
    {
        failed(cx, Chore::OwnList);
        return Ok(()); // told
    }
    cx.flight.own_list_wanted = false;
    done(cx, Chore::OwnList);
    if !cx.keys.is_listed() {
        // Looked at again in a moment; it is no failure that nobody has added us yet.
        let due = cx.now.plus(LOOK_EVERY_MS);
        cx.flight.chores.insert(Chore::OwnList, crate::outbox::Backoff { attempts: 0, due });
    }
    match own_chain(cx.keys)?.compare(&chain) {
        Ok(Compared::Newer | Compared::Recovered) => take(cx, &chain),
        Ok(Compared::Older | Compared::Undone) if chain.links().len() < asked_at => {
            log::lie(cx, &keyserver, Lie::OurListOlder);
            Ok(())
        }
        Ok(Compared::Same | Compared::Older | Compared::Undone) => Ok(()),
        Ok(Compared::Forked) | Err(_) => {
            cx.event(Event::OwnDevicesForked);
            Ok(())
        }
    }
}

/// Our list is this one from now on.
fn take<R: CryptoRng>(cx: &mut Cx<'_, R>, chain: &Chain) -> Result<(), StoreError> {
    if chain.links() == cx.keys.links {
        return Ok(());
    }
    let change = ListChange::between(&cx.keys.links, chain.links());
    let is_listed = |device: &Device| chain.device(device.id).is_some();
    let before = cx.keys.links.last().map_or(&[][..], |link| &link.link().devices);
    let dropped: Vec<DeviceId> = before.iter().filter(|device| !is_listed(device)).map(|device| device.id).collect();
    let is_any_gone = lookup::is_any_gone(&cx.keys.links, chain);
    me::set_links(cx.db, chain.links())?;
    cx.keys.links = chain.links().to_vec();
    if is_any_gone {
        groups::keys::renew(cx, chain.account())?;
    }
    if let Some(link) = chain.links().last() {
        groups::drop_devices(cx, &dropped, link.hash())?;
    }
    contacts::forget_introductions(cx.db)?;
    cx.event(Event::OwnDevicesChanged { change });
    if cx.keys.is_listed() {
        me::set_flag(cx.db, Flag::Joined)?;
        cx.flight.chores.remove(&Chore::OwnList);
    } else if me::flag(cx.db, Flag::Joined)? {
        cx.event(Event::Revoked);
    }
    Ok(())
}

fn own_chain(keys: &Keys) -> Result<Chain, StoreError> {
    verify_links(keys.links.clone()).map_err(|_| damaged("links"))
}

impl Engine {
    /// The devices of this account, as the newest list that is known here has them.
    #[must_use]
    pub fn devices(&self) -> Vec<ListedDevice> {
        let links = &self.keys.links;
        let since = |device: &Device| {
            let same = |link: &&SignedLink| {
                link.link().device(device.id).is_some_and(|listed| listed.identity_key == device.identity_key)
            };
            links.iter().rev().take_while(same).last().map_or(0, |link| link.link().version)
        };
        let listed = links.last().map_or(&[][..], |link| &link.link().devices);
        let row = |device: &Device| ListedDevice {
            id: device.id,
            name: device.name.clone(),
            is_this: self.keys.is_listed() && device.id == self.keys.device,
            relay: device.relay.clone(),
            since_version: since(device),
        };
        listed.iter().map(row).collect()
    }

    /// Whether these are the recovery words of today.
    #[must_use]
    pub fn is_recovered_by(&self, words: &RecoveryKey) -> bool {
        self.keys.links.last().is_some_and(|link| link.link().recovery_key == words.public())
    }

    /// Whether a change of the list is on its way to the keyserver.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_changing_devices(&self) -> Result<bool, StoreError> {
        Ok(me::next_link(self.store.read())?.is_some())
    }

    pub(crate) fn membership(&self) -> Result<Membership, StoreError> {
        Ok(match (self.keys.is_listed(), me::flag(self.store.read(), Flag::Joined)?) {
            (true, _) => Membership::Listed,
            (false, false) => Membership::Waiting,
            (false, true) => Membership::Revoked,
        })
    }
}
