//! The key with which this device writes to a group: made, given to each device of each member in a session of its own,
//! replaced when somebody who has it is a member no longer, or a device is no longer theirs. And the keys that others give us.

use hushwire_crypto::{DistributionId, OurSenderKey, SenderKeyDistributionMessage, SenderKeys, SharedKey};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, MailboxId, Token};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::content::{Content, GroupKey, HEADS_MAX};
use crate::engine::Cx;
use crate::identity;
use crate::seal::GroupInside;
use crate::store::groups::{Ours, SecretsKept};
use crate::store::{StoreError, contacts, conversations, groups, me, unsealed};
use crate::types::{Contact, ContactId, GroupStanding, LocalGroup, Talk};

/// A key writes so many messages.
const MESSAGES_MAX: u64 = 1000;

/// A key lives so long, in milliseconds: a week.
const AGE_MAX_MS: u64 = 7 * 24 * 3600 * 1000;

/// Distributions that are kept of one device: today's, and those before under which something may still come.
const DISTRIBUTIONS_KEPT: usize = 4;

/// Secrets that are kept of one group. Members who write choose the newest one they know; after somebody left each may
/// make one before hearing of another's.
const SECRETS_KEPT: SecretsKept = SecretsKept { all: 64, of_one: 8, of_one_alone: 4 };

/// What a group's secret is used for, before the group's id: whoever tells a secret of one group as one of another makes
/// nobody take the two for each other.
const SEAL_PURPOSE: &[u8] = b"hushwire/1 group seal";
const WHISPER_PURPOSE: &[u8] = b"hushwire/1 group whisper";
const DOOR_PURPOSE: &[u8] = b"hushwire/1 group door";

/// What seals a group's envelopes.
pub(crate) fn seal(group: GroupId, secret: &[u8; 32]) -> SharedKey {
    #[cfg(test)]
    tests::MADE.with(|made| made.set(made.get() + 1));
    SharedKey::new(secret, &[SEAL_PURPOSE, group.as_bytes()].concat())
}

/// Whatever seals envelopes to the groups that are known, newest first: each that comes is tried with all of them, and each is
/// several hashes to make. Made when the first envelope comes, and anew after a secret did.
#[derive(Default)]
pub(crate) struct Seals(Option<Vec<(LocalGroup, SharedKey)>>);

/// The group whose secret sealed this, and what it holds.
pub(crate) fn open<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    envelope: &Envelope,
) -> Result<Option<(LocalGroup, GroupInside)>, StoreError> {
    let seals = match &mut cx.flight.seals.0 {
        Some(seals) => seals,
        none => {
            let secrets = groups::secrets(cx.db)?;
            none.insert(secrets.iter().map(|(group, id, secret)| (*group, seal(*id, secret))).collect())
        }
    };
    Ok(seals.iter().find_map(|(group, key)| Some((*group, GroupInside::open(envelope, key)?))))
}

/// What seals whispers to a group.
pub(crate) fn whispers(group: GroupId, secret: &[u8; 32]) -> SharedKey {
    SharedKey::new(secret, &[WHISPER_PURPOSE, group.as_bytes()].concat())
}

/// What whoever knows the secret deposits with.
pub(crate) fn door(group: GroupId, secret: &[u8; 32], mailbox: MailboxId) -> Token {
    let key = SharedKey::new(secret, &[DOOR_PURPOSE, group.as_bytes()].concat());
    Token::from_bytes(&key.derive(mailbox.as_bytes()))
}

/// The devices of members, each with its contact.
pub(crate) fn devices<R: CryptoRng>(
    cx: &Cx<'_, R>,
    members: &[Contact],
) -> Result<Vec<(ContactId, DeviceId)>, StoreError> {
    let mut all = Vec::with_capacity(members.len());
    for member in members {
        let links = contacts::links(cx.db, member.id)?;
        let listed = identity::agreed(cx.db, member.id, &links)?;
        all.extend(listed.iter().map(|device| (member.id, device.id)));
    }
    Ok(all)
}

/// The key to write with: the one there is, or a new one if that is old, or known to a device that is to hear no more. What
/// such a device knows of the secret is not used either.
pub(crate) fn ours<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    devices: &[(ContactId, DeviceId)],
) -> Result<Ours, StoreError> {
    if let Some(ours) = known_to(cx, group, devices)? {
        if ours.messages < MESSAGES_MAX && cx.now.since(ours.made_at) < AGE_MAX_MS {
            return Ok(ours);
        }
    } else if groups::our_key(cx.db, group)?.is_some() {
        groups::note_left(cx.db, group, cx.now)?;
    }
    let mut distribution = [0; 16];
    cx.rng.fill_bytes(&mut distribution);
    let key = OurSenderKey::generate(DistributionId::from_bytes(distribution), cx.rng);
    let secret = secret(cx, group)?;
    let ours = Ours { key, secret, made_at: cx.now, messages: 0 };
    groups::set_our_key(cx.db, group, &ours)?;
    groups::forget_given(cx.db, group)?;
    Ok(ours)
}

/// The key there is, if nobody has it but these devices.
pub(crate) fn known_to<R: CryptoRng>(
    cx: &Cx<'_, R>,
    group: LocalGroup,
    devices: &[(ContactId, DeviceId)],
) -> Result<Option<Ours>, StoreError> {
    let is_theirs = groups::given(cx.db, group)?.iter().all(|given| devices.contains(given));
    if is_theirs { groups::our_key(cx.db, group) } else { Ok(None) }
}

/// What a device knows that has this account no longer is not used from now on in the groups that it is in, whether it was
/// given our key or told the secret by others.
pub(crate) fn renew<R: CryptoRng>(cx: &mut Cx<'_, R>, account: AccountId) -> Result<(), StoreError> {
    for group in groups::all(cx.db, GroupStanding::Member)? {
        if super::is_member(cx, group, account)? {
            groups::note_left(cx.db, group, cx.now)?;
            groups::forget_our_key(cx.db, group)?;
        }
    }
    Ok(())
}

/// The newest secret that a member told since somebody left, or a new one. What somebody told who is out is not used.
fn secret<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    for (secret, by) in groups::secrets_since_left(cx.db, group)? {
        let by = by.map(|by| contacts::get(cx.db, by)).transpose()?.flatten();
        if by.map_or(Ok(true), |by| super::is_member(cx, group, by.account))? {
            return Ok(secret);
        }
    }
    let mut secret = Zeroizing::new([0; 32]);
    cx.rng.fill_bytes(&mut secret[..]);
    keep_secret(cx, group, None, &secret)?;
    Ok(secret)
}

/// Takes a secret in, and lets whoever knows it deposit with us.
pub(crate) fn keep_secret<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    by: Option<ContactId>,
    secret: &[u8; 32],
) -> Result<(), StoreError> {
    cx.flight.seals = Seals::default();
    if !groups::add_secret(cx.db, group, by, secret, cx.now, &SECRETS_KEPT)? {
        return Ok(());
    }
    let (id, mailbox) = (groups::id_of(cx.db, group)?, cx.keys.mailbox_id());
    me::add_group_token(cx.db, &door(id, secret, mailbox), group)?;
    let kept = groups::secrets_of(cx.db, group)?;
    let kept: Vec<Token> = kept.iter().map(|secret| door(id, secret, mailbox)).collect();
    me::keep_group_tokens(cx.db, group, &kept)
}

/// We are in the group no longer: a secret is kept to know what is sealed with it, and opens no door.
pub(crate) fn keep_shut<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    by: Option<ContactId>,
    secret: &[u8; 32],
) -> Result<(), StoreError> {
    cx.flight.seals = Seals::default();
    groups::add_secret(cx.db, group, by, secret, cx.now, &SECRETS_KEPT).map(drop)
}

/// Gives our key to those of these members who lack it.
pub(crate) fn give<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    ours: &Ours,
    devices: &[(ContactId, DeviceId)],
    mut heads: Vec<ChangeHash>,
) -> Result<(), StoreError> {
    heads.truncate(HEADS_MAX);
    let given = groups::given(cx.db, group)?;
    let conversation = conversations::of(cx.db, group)?;
    let lamport = conversations::lamport(cx.db, conversation)?;
    let mut last = None;
    for (contact, device) in devices.iter().filter(|device| !given.contains(device)) {
        if last != Some(*contact) {
            // Behind what they hear us from: what had been said when they came.
            let said = groups::place_when_joined(cx.db, group, *contact)?;
            let key = GroupKey {
                group: groups::id_of(cx.db, group)?,
                key: ours.key.distribution_message().to_bytes(),
                secret: ours.secret.clone(),
                heads: heads.clone(),
                lamport,
                said,
            };
            unsealed::add(cx.db, Talk::Contact(*contact), None, &Content::GroupKey(key).encode())?;
            last = Some(*contact);
        }
        groups::note_given(cx.db, group, *contact, *device)?;
    }
    Ok(())
}

/// A member's device gives us its key. `false`: it is none.
pub(crate) fn take<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    from: (ContactId, DeviceId),
    told: &GroupKey,
) -> Result<bool, StoreError> {
    let Ok(message) = SenderKeyDistributionMessage::parse(&told.key) else { return Ok(false) };
    let before = groups::sender_keys(cx.db, group, from.0, from.1, message.distribution())?;
    let Ok(keys) = before.accept(&message) else { return Ok(false) };
    groups::set_sender_keys(cx.db, group, from, &keys, cx.now, DISTRIBUTIONS_KEPT)?;
    keep_secret(cx, group, Some(from.0), &told.secret)?;
    Ok(true)
}

/// We are out: nothing opens any more, nothing is written, and nobody deposits.
pub(crate) fn leave<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup) -> Result<(), StoreError> {
    if unsealed::is_any_for_group(cx.db, group)? {
        // That we leave is on its way; `send` comes back here.
        return Ok(());
    }
    groups::forget_keys(cx.db, group)
}

/// What came under a sender's key has moved it.
pub(crate) fn save<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    from: (ContactId, DeviceId),
    keys: &SenderKeys,
) -> Result<(), StoreError> {
    groups::set_sender_keys(cx.db, group, from, keys, cx.now, DISTRIBUTIONS_KEPT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;

    use hushwire_proto::address::ServerAddress;
    use hushwire_proto::ids::UnixMillis;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::account::Setup;
    use crate::engine::Engine;
    use crate::store::Store;

    thread_local! {
        /// How often a key was made that seals to a group.
        pub(super) static MADE: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn the_keys_of_all_groups_are_made_once_for_all_envelopes_and_anew_after_a_new_secret() {
        let mut rng = StdRng::seed_from_u64(1);
        let server = ServerAddress::parse("hush://example.org", 1).unwrap();
        let setup = Setup { relay: server.clone(), keyserver: server, handle_name: None };
        let (mut us, _) = Engine::create(Store::memory().unwrap(), &setup, UnixMillis(1), &mut rng).unwrap();
        let tx = us.store.begin().unwrap();
        let (keys, flight) = (&mut us.keys, &mut us.flight);
        let mut cx = Cx { db: &tx, keys, flight, now: UnixMillis(2), rng: &mut rng, out: Vec::new() };
        let mut newest = None;
        for number in 1..=20 {
            let id = GroupId([number; 32]);
            let (group, _) = groups::insert(cx.db, id, "friends", GroupStanding::Member, cx.now).unwrap();
            keep_secret(&mut cx, group, None, &[number; 32]).unwrap();
            newest = Some((group, id));
        }
        let (group, id) = newest.unwrap();
        let inside = GroupInside { account: cx.keys.account, device: DeviceId::FIRST, message: vec![7] };
        let old = inside.seal(&seal(id, &[20; 32]), cx.rng).unwrap();
        let new = inside.seal(&seal(id, &[99; 32]), cx.rng).unwrap();
        let before = MADE.get();
        for _ in 0..10 {
            assert_eq!(open(&mut cx, &old).unwrap().unwrap().0, group);
            assert!(open(&mut cx, &new).unwrap().is_none());
        }
        assert_eq!(MADE.get() - before, 20);
        keep_secret(&mut cx, group, None, &[99; 32]).unwrap();
        assert_eq!(open(&mut cx, &new).unwrap().unwrap().0, group);
        assert_eq!(MADE.get() - before, 20 + 21);
    }
}
