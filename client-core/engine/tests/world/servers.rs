//! The keyserver and the relay of tests: what they keep, and what they answer.

use std::collections::BTreeMap;

use hushwire_crypto::PublicKey;
use hushwire_engine::{Call, CallFailed, Engine, Reply};
use hushwire_proto::account::{Chain, DoesNotFollow, SignedLink};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::ids::{AccountId, DepositId, DeviceId, MailboxId, TokenHash};
use hushwire_proto::keyserver::{self, Bundle, CURVE_KEY_LEN, Found, Publish, Stock, Who};
use hushwire_proto::relay::{self, Delivery, Deposit, Door, Outcome, StoredMany};

use super::{Person, World};

#[derive(Clone, Default)]
pub struct Mailbox {
    pub tokens: Vec<TokenHash>,
    pub envelopes: Vec<Delivery>,
    pub deposits: Vec<DepositId>,
    pub last: u64,
}

#[derive(Clone, Default)]
pub struct Keys {
    pub links: Vec<SignedLink>,
    pub handle: Option<String>,
    /// Of device 1.
    pub publish: Publish,
    /// Of the others.
    pub others: BTreeMap<DeviceId, Publish>,
}

impl Keys {
    pub fn of(&mut self, device: DeviceId) -> &mut Publish {
        if device == DeviceId::FIRST { &mut self.publish } else { self.others.entry(device).or_default() }
    }

    fn lists(&self, caller: &Caller) -> bool {
        let listed = self.links.last().and_then(|link| link.link().device(caller.device));
        listed.is_some_and(|device| device.signing_key == caller.signing_key)
    }
}

/// Who asks, as servers know them that have signed in.
#[derive(Clone)]
pub struct Caller {
    pub account: AccountId,
    pub device: DeviceId,
    pub mailbox: MailboxId,
    signing_key: [u8; 32],
}

impl Caller {
    pub fn of(engine: &Engine) -> Self {
        let credentials = engine.credentials();
        Self {
            account: credentials.account,
            device: credentials.device,
            mailbox: MailboxId(credentials.mailbox_key.verifying_key().to_bytes()),
            signing_key: credentials.signing_key.verifying_key().to_bytes(),
        }
    }
}

impl World {
    pub fn answer(&mut self, person: &Person, call: Call) -> Result<Reply, CallFailed> {
        self.reply(&Caller::of(person.engine()), call)
    }

    pub fn reply(&mut self, caller: &Caller, call: Call) -> Result<Reply, CallFailed> {
        self.log.now = self.now;
        let down = |down: bool| if down { Err(CallFailed::Unreachable("no answer".into())) } else { Ok(()) };
        match call {
            Call::Grant { tokens } => {
                down(self.relay_down)?;
                let held = self.mailboxes.entry(caller.mailbox).or_default();
                held.tokens.extend(tokens.iter().map(|(hash, _)| *hash));
                Ok(Reply::TokensKept)
            }
            Call::Revoke { hashes } => {
                down(self.relay_down)?;
                self.mailboxes.entry(caller.mailbox).or_default().tokens.retain(|hash| !hashes.contains(hash));
                Ok(Reply::TokensKept)
            }
            Call::Acknowledge { through } => {
                down(self.relay_down)?;
                let held = self.mailboxes.entry(caller.mailbox).or_default();
                held.envelopes.retain(|delivery| delivery.seq > through);
                Ok(Reply::Acknowledged)
            }
            Call::Deposit { deposit, .. } => {
                down(self.relay_down)?;
                self.deposit(deposit)
            }
            Call::DepositMany { many, .. } => {
                down(self.relay_down)?;
                let outcomes = many.doors.into_iter().map(|door| {
                    let Door { mailbox, token, id } = door;
                    match self.deposit(Deposit { mailbox, token, id, envelope: many.envelope.clone() }) {
                        Ok(_) => Outcome::Stored,
                        Err(_) => Outcome::NoSuchDoor,
                    }
                });
                Ok(Reply::StoredMany(StoredMany { outcomes: outcomes.collect(), retry_after_ms: 0 }))
            }
            Call::Whisper { whisper, .. } => {
                let held = self.mailboxes.get(&whisper.mailbox);
                if !self.relay_down && held.is_some_and(|held| held.tokens.contains(&whisper.token.hash())) {
                    self.whispered.push((whisper.mailbox, whisper.envelope));
                }
                Err(CallFailed::Unreachable("nobody asks".into()))
            }
            Call::Register { link, handle_name, .. } => {
                down(self.keyserver_down)?;
                if handle_name.is_some() && self.accounts.values().any(|keys| keys.handle == handle_name) {
                    return Err(refused(keyserver::RefusedReason::HandleTaken));
                }
                let keys = Keys { links: vec![link.clone()], handle: handle_name, ..Keys::default() };
                self.accounts.entry(AccountId(link.hash().0)).or_insert(keys);
                Ok(Reply::Registered)
            }
            Call::AppendLink { account, link, .. } => {
                down(self.keyserver_down)?;
                let keys = self.accounts.get_mut(&account).ok_or_else(|| refused(keyserver::RefusedReason::Unknown))?;
                match Chain::verify(keys.links.clone(), vouches).unwrap().append(link, vouches) {
                    Ok(chain) => keys.links = chain.links().to_vec(),
                    Err(DoesNotFollow::Taken) => return Err(refused(keyserver::RefusedReason::OutOfDate)),
                    Err(DoesNotFollow::Bad(_)) => return Err(refused(keyserver::RefusedReason::BadKeys)),
                }
                Ok(Reply::Appended)
            }
            Call::Publish { publish, .. } => {
                down(self.keyserver_down)?;
                let keys = self.accounts.get_mut(&caller.account).unwrap();
                if !keys.lists(caller) {
                    return Err(refused(keyserver::RefusedReason::BadProof));
                }
                let held = keys.of(caller.device);
                held.signed_prekey = publish.signed_prekey.or(held.signed_prekey.take());
                held.last_resort_kyber = publish.last_resort_kyber.or(held.last_resort_kyber.take());
                held.one_time.extend(publish.one_time);
                held.one_time_kyber.extend(publish.one_time_kyber);
                Ok(Reply::Stock(stock(held)))
            }
            Call::GetStock { .. } => {
                down(self.keyserver_down)?;
                let keys = self.accounts.get_mut(&caller.account).unwrap();
                if !keys.lists(caller) {
                    return Err(refused(keyserver::RefusedReason::BadProof));
                }
                Ok(Reply::Stock(stock(keys.of(caller.device))))
            }
            Call::Lookup { who, .. } => {
                down(self.keyserver_down)?;
                let found = self.accounts.iter().find(|(account, keys)| match &who {
                    Who::Account(wanted) => *account == wanted,
                    Who::Handle(name) => keys.handle.as_ref() == Some(name),
                });
                let Some((account, keys)) = found else {
                    return match who {
                        Who::Handle(name) => Ok(Reply::Absent(self.log.absence(&name))),
                        Who::Account(_) => Err(refused(keyserver::RefusedReason::Unknown)),
                    };
                };
                Ok(Reply::Found(Found {
                    account: *account,
                    links: keys.links.clone(),
                    handle_name: keys.handle.clone(),
                    proven: keys.handle.as_ref().map(|name| self.log.says(name, &keys.links)),
                }))
            }
            Call::GetReport { .. } => Err(CallFailed::Unreachable("no auditor".into())),
            Call::GetHistory { handle_name, .. } => {
                down(self.keyserver_down)?;
                let owner = self.accounts.values().find(|keys| keys.handle.as_ref() == Some(&handle_name));
                let keys = owner.ok_or_else(|| refused(keyserver::RefusedReason::Unknown))?;
                self.log.says(&handle_name, &keys.links);
                Ok(Reply::History(self.log.history(&handle_name)))
            }
            Call::Fetch { account, devices, .. } => {
                down(self.keyserver_down)?;
                let twist = self.twist;
                let keys = self.accounts.get_mut(&account).unwrap();
                let bundles = devices.into_iter().filter_map(|device| {
                    let held = keys.of(device);
                    let mut bundle = Bundle {
                        device,
                        signed_prekey: held.signed_prekey.clone()?,
                        kyber: match held.one_time_kyber.is_empty() {
                            true => held.last_resort_kyber.clone()?,
                            false => held.one_time_kyber.remove(0),
                        },
                        one_time: (!held.one_time.is_empty()).then(|| held.one_time.remove(0)),
                    };
                    if let Some(twist) = twist {
                        twist(&mut bundle);
                    }
                    Some(bundle)
                });
                Ok(Reply::Bundles(bundles.collect()))
            }
        }
    }

    fn deposit(&mut self, deposit: Deposit) -> Result<Reply, CallFailed> {
        self.seen.push(deposit.envelope.clone());
        let held = self.mailboxes.entry(deposit.mailbox).or_default();
        if !held.tokens.contains(&deposit.token.hash()) {
            return Err(CallFailed::Relay(relay::Refused {
                reason: relay::RefusedReason::NoSuchDoor,
                detail: String::new(),
                retry_after_ms: 0,
            }));
        }
        if !held.deposits.contains(&deposit.id) {
            held.deposits.push(deposit.id);
            self.inject(deposit.mailbox, deposit.envelope);
        }
        Ok(Reply::Stored)
    }
}

fn vouches(key: &[u8; CURVE_KEY_LEN], message: &[u8], signature: &SignatureBytes) -> bool {
    PublicKey::from_pub33(key).is_ok_and(|key| key.verify(&[message], signature))
}

fn stock(publish: &Publish) -> Stock {
    Stock {
        one_time: publish.one_time.len() as u32,
        one_time_kyber: publish.one_time_kyber.len() as u32,
        signed_prekey_id: publish.signed_prekey.as_ref().map(|key| key.id),
    }
}

fn refused(reason: keyserver::RefusedReason) -> CallFailed {
    CallFailed::Keyserver(keyserver::Refused { reason, detail: String::new(), retry_after_ms: 0 })
}
