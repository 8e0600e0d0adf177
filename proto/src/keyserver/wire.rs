//! Requests and answers as payloads of frames, and back.
//!
//! Spec: keyserver §1; `proto/wire/keys.proto`.

use bytes::Bytes;

use super::{
    Answer, Bundle, CurveKey, Found, KYBER_KEY_LEN, Proven, Publish, Refused, RefusedReason, Request, SignedCurveKey,
    SignedKyberKey, Step, Stock, Welcome, Who,
};
use crate::account::SignedLink;
use crate::admission::{Invite, NewAccounts, Pass, Work};
use crate::ids::{AccountId, DeviceId, UnixMillis};
use crate::limits::{
    CHAIN_LINKS_MAX, DEVICES_PER_ACCOUNT_MAX, HANDLE_NAME_BYTES_MAX, LOOKUP_PROOF_BYTES_MAX, PREKEYS_PER_PUBLISH_MAX,
    PROOF_BYTES_MAX, STEP_PART_BYTES_MAX, WORK_BITS_MAX,
};
use crate::log::SignedRoot;
use crate::parse::{BadMessage, DETAIL_BYTES_MAX, at_most, bytes_at_most, decode, encode, exactly, some, text_at_most};
use crate::wire::keys as wire;

/// Bytes of the head of a padding: two of its field's number, three of its length.
const PADDING_HEAD_MAX: usize = 5;

impl Request {
    /// The payload of a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        use wire::request::Body;
        let body = match self {
            Self::Hello => Body::Hello(wire::Hello {}),
            Self::Register { link, handle_name, proof, pass } => Body::Register(wire::Register {
                link: Some(link.to_wire()),
                handle_name: handle_name.clone().unwrap_or_default(),
                signature: copy(proof),
                work: pass.work.map(|work| wire::Work { at_ms: work.at.0, nonce: work.nonce }),
                invite: pass.invite.as_ref().map(|invite| copy(invite.as_bytes())).unwrap_or_default(),
            }),
            Self::SignIn { account, device, proof } => Body::SignIn(wire::SignIn {
                account: copy(account.as_bytes()),
                device_id: device.get().into(),
                signature: copy(proof),
            }),
            Self::Publish(publish) => Body::Publish(wire::Publish {
                signed_prekey: publish.signed_prekey.as_ref().map(curve_to_wire),
                last_resort_kyber: publish.last_resort_kyber.as_ref().map(kyber_to_wire),
                one_time: publish.one_time.iter().map(one_time_to_wire).collect(),
                one_time_kyber: publish.one_time_kyber.iter().map(kyber_to_wire).collect(),
            }),
            Self::GetStock => Body::GetStock(wire::GetStock {}),
            Self::Lookup(who) => Body::Lookup(wire::Lookup {
                who: Some(match who {
                    Who::Handle(name) => wire::lookup::Who::HandleName(name.clone()),
                    Who::Account(account) => wire::lookup::Who::Account(copy(account.as_bytes())),
                }),
            }),
            Self::GetRoot { epoch } => Body::GetRoot(wire::GetRoot { epoch: epoch.unwrap_or_default() }),
            Self::GetHistory { handle_name } => Body::GetHistory(wire::GetHistory { handle_name: handle_name.clone() }),
            Self::GetStep { epoch, offset } => Body::GetStep(wire::GetStep { epoch: *epoch, offset: *offset }),
            Self::AppendLink { account, link } => {
                Body::AppendLink(wire::AppendLink { account: copy(account.as_bytes()), link: Some(link.to_wire()) })
            }
            Self::Fetch { account, devices } => Body::Fetch(wire::Fetch {
                account: copy(account.as_bytes()),
                device_ids: devices.iter().map(|device| device.get().into()).collect(),
            }),
        };
        encode(&wire::Request { body: Some(body) })
    }

    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// [`BadMessage`] says what is wrong with it.
    pub fn parse(payload: &Bytes) -> Result<Self, BadMessage> {
        use wire::request::Body;
        let message: wire::Request = decode(payload)?;
        Ok(match message.body.ok_or(BadMessage::UnknownKind)? {
            Body::Hello(wire::Hello {}) => Self::Hello,
            Body::Register(register) => Self::Register {
                link: SignedLink::from_wire(some("link", register.link)?)?,
                handle_name: handle(register.handle_name)?,
                proof: exactly("signature", &register.signature)?,
                pass: Pass {
                    work: register.work.map(|work| Work { at: UnixMillis(work.at_ms), nonce: work.nonce }),
                    invite: match register.invite.is_empty() {
                        true => None,
                        false => Some(Invite::from_bytes(exactly("invite", &register.invite)?)),
                    },
                },
            },
            Body::SignIn(sign_in) => Self::SignIn {
                account: account(&sign_in.account)?,
                device: device(sign_in.device_id)?,
                proof: exactly("signature", &sign_in.signature)?,
            },
            Body::Publish(publish) => Self::Publish(Publish {
                signed_prekey: publish.signed_prekey.map(curve_from_wire).transpose()?,
                last_resort_kyber: publish.last_resort_kyber.map(kyber_from_wire).transpose()?,
                one_time: at_most("one_time", publish.one_time, PREKEYS_PER_PUBLISH_MAX)?
                    .into_iter()
                    .map(one_time_from_wire)
                    .collect::<Result<_, _>>()?,
                one_time_kyber: at_most("one_time_kyber", publish.one_time_kyber, PREKEYS_PER_PUBLISH_MAX)?
                    .into_iter()
                    .map(kyber_from_wire)
                    .collect::<Result<_, _>>()?,
            }),
            Body::GetStock(wire::GetStock {}) => Self::GetStock,
            Body::Lookup(lookup) => Self::Lookup(match lookup.who.ok_or(BadMessage::Length("who"))? {
                wire::lookup::Who::HandleName(name) => Who::Handle(some("handle_name", handle(name)?)?),
                wire::lookup::Who::Account(id) => Who::Account(account(&id)?),
            }),
            Body::GetRoot(get) => Self::GetRoot { epoch: Some(get.epoch).filter(|epoch| *epoch > 0) },
            Body::GetHistory(get) => Self::GetHistory { handle_name: some("handle_name", handle(get.handle_name)?)? },
            Body::GetStep(get) => Self::GetStep { epoch: get.epoch, offset: get.offset },
            Body::AppendLink(append) => Self::AppendLink {
                account: account(&append.account)?,
                link: SignedLink::from_wire(some("link", append.link)?)?,
            },
            Body::Fetch(fetch) => Self::Fetch {
                account: account(&fetch.account)?,
                devices: at_most("device_ids", fetch.device_ids, DEVICES_PER_ACCOUNT_MAX)?
                    .into_iter()
                    .map(device)
                    .collect::<Result<_, _>>()?,
            },
        })
    }
}

impl Answer {
    /// The payload of a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(&self.to_wire())
    }

    /// The payload of a frame, filled up with zeros to a multiple of `step` bytes, so that its length says little.
    #[must_use]
    pub fn encode_filled(&self, step: usize) -> Bytes {
        let mut message = self.to_wire();
        let length = prost::Message::encoded_len(&message);
        let full = length.saturating_add(PADDING_HEAD_MAX).next_multiple_of(step.max(1));
        // Some lengths no padding has: that of its own length takes a byte more from 128 zeros on.
        let padding = [full, full.saturating_add(step)].into_iter().find_map(|full| {
            let room = full.saturating_sub(length);
            let zeros = room.saturating_sub(PADDING_HEAD_MAX)..room;
            zeros.rev().find(|zeros| 2 + prost::length_delimiter_len(*zeros) + zeros == room)
        });
        message.padding = vec![0; padding.unwrap_or_default()].into();
        encode(&message)
    }

    fn to_wire(&self) -> wire::Answer {
        use wire::answer::Body;
        let body = match self {
            Self::Welcome(welcome) => {
                let (new_accounts, work_bits) = match welcome.new_accounts {
                    NewAccounts::Open { work_bits } => (1, work_bits.into()),
                    NewAccounts::Invites => (2, 0),
                    NewAccounts::Closed => (3, 0),
                };
                let (now_ms, software) = (welcome.now.0, welcome.software.clone());
                Body::Welcome(wire::Welcome { now_ms, software, new_accounts, work_bits })
            }
            Self::Registered => Body::Registered(wire::Registered {}),
            Self::SignedIn => Body::SignedIn(wire::SignedIn {}),
            Self::Appended => Body::Appended(wire::Appended {}),
            Self::Stock(stock) => Body::Stock(wire::Stock {
                one_time: stock.one_time,
                one_time_kyber: stock.one_time_kyber,
                signed_prekey_id: stock.signed_prekey_id.unwrap_or_default(),
                published: stock.signed_prekey_id.is_some(),
            }),
            Self::Found(found) => Body::Found(wire::Found {
                account: copy(found.account.as_bytes()),
                chain: Some(crate::account::links_to_wire(&found.links)),
                handle_name: found.handle_name.clone().unwrap_or_default(),
                proven: found.proven.as_ref().map(proven_to_wire),
            }),
            Self::Absent(proven) => Body::Absent(wire::Absent { proven: Some(proven_to_wire(proven)) }),
            Self::Root(root) => Body::Root(root.to_wire()),
            Self::History(proven) => Body::History(wire::History { proven: Some(proven_to_wire(proven)) }),
            Self::Step(step) => Body::Step(wire::Step { bytes_total: step.bytes_total, part: step.part.clone() }),
            Self::Bundles(bundles) => Body::Bundles(wire::Bundles {
                bundles: bundles
                    .iter()
                    .map(|bundle| wire::Bundle {
                        device_id: bundle.device.get().into(),
                        signed_prekey: Some(curve_to_wire(&bundle.signed_prekey)),
                        kyber: Some(kyber_to_wire(&bundle.kyber)),
                        one_time: bundle.one_time.as_ref().map(one_time_to_wire),
                    })
                    .collect(),
            }),
            Self::Refused(refused) => Body::Refused(wire::Refused {
                reason: refused.reason.code(),
                detail: refused.detail.chars().take(DETAIL_BYTES_MAX / 4).collect(),
                retry_after_ms: refused.retry_after_ms,
            }),
        };
        wire::Answer { body: Some(body), padding: Bytes::new() }
    }

    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// [`BadMessage`] says what is wrong with it.
    pub fn parse(payload: &Bytes) -> Result<Self, BadMessage> {
        use wire::answer::Body;
        let message: wire::Answer = decode(payload)?;
        Ok(match message.body.ok_or(BadMessage::UnknownKind)? {
            Body::Welcome(welcome) => Self::Welcome(Welcome {
                now: UnixMillis(welcome.now_ms),
                software: text_at_most("software", welcome.software, DETAIL_BYTES_MAX)?,
                new_accounts: match (welcome.new_accounts, u8::try_from(welcome.work_bits)) {
                    (0 | 1, Ok(work_bits)) if work_bits <= WORK_BITS_MAX => NewAccounts::Open { work_bits },
                    (0 | 1, _) => return Err(BadMessage::Range("work_bits")),
                    (2, _) => NewAccounts::Invites,
                    (3, _) => NewAccounts::Closed,
                    _ => return Err(BadMessage::Range("new_accounts")),
                },
            }),
            Body::Registered(wire::Registered {}) => Self::Registered,
            Body::SignedIn(wire::SignedIn {}) => Self::SignedIn,
            Body::Appended(wire::Appended {}) => Self::Appended,
            Body::Stock(stock) => Self::Stock(Stock {
                one_time: stock.one_time,
                one_time_kyber: stock.one_time_kyber,
                signed_prekey_id: stock.published.then_some(stock.signed_prekey_id),
            }),
            Body::Found(found) => Self::Found(Found {
                account: account(&found.account)?,
                links: at_most("links", some("chain", found.chain)?.links, CHAIN_LINKS_MAX)?
                    .into_iter()
                    .map(SignedLink::from_wire)
                    .collect::<Result<_, _>>()?,
                handle_name: handle(found.handle_name)?,
                proven: found.proven.map(|proven| proven_from_wire(proven, LOOKUP_PROOF_BYTES_MAX)).transpose()?,
            }),
            Body::Absent(absent) => {
                Self::Absent(proven_from_wire(some("proven", absent.proven)?, LOOKUP_PROOF_BYTES_MAX)?)
            }
            Body::Root(root) => Self::Root(SignedRoot::from_wire(root)?),
            Body::History(history) => {
                Self::History(proven_from_wire(some("proven", history.proven)?, PROOF_BYTES_MAX)?)
            }
            Body::Step(step) => Self::Step(Step {
                bytes_total: step.bytes_total,
                part: bytes_at_most("part", step.part, STEP_PART_BYTES_MAX)?,
            }),
            Body::Bundles(bundles) => Self::Bundles(
                at_most("bundles", bundles.bundles, DEVICES_PER_ACCOUNT_MAX)?
                    .into_iter()
                    .map(|bundle| {
                        Ok(Bundle {
                            device: device(bundle.device_id)?,
                            signed_prekey: curve_from_wire(some("signed_prekey", bundle.signed_prekey)?)?,
                            kyber: kyber_from_wire(some("kyber", bundle.kyber)?)?,
                            one_time: bundle.one_time.map(one_time_from_wire).transpose()?,
                        })
                    })
                    .collect::<Result<_, BadMessage>>()?,
            ),
            Body::Refused(refused) => Self::Refused(Refused {
                reason: RefusedReason::from_code(refused.reason).ok_or(BadMessage::Range("reason"))?,
                detail: text_at_most("detail", refused.detail, DETAIL_BYTES_MAX)?,
                retry_after_ms: refused.retry_after_ms,
            }),
        })
    }
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn account(bytes: &[u8]) -> Result<AccountId, BadMessage> {
    Ok(AccountId(exactly("account", bytes)?))
}

fn device(id: u32) -> Result<DeviceId, BadMessage> {
    DeviceId::new(id).ok_or(BadMessage::Range("device_id"))
}

fn handle(name: String) -> Result<Option<String>, BadMessage> {
    Ok(Some(text_at_most("handle_name", name, HANDLE_NAME_BYTES_MAX)?).filter(|name| !name.is_empty()))
}

fn proven_to_wire(proven: &Proven) -> wire::Proven {
    wire::Proven { root: Some(proven.root.to_wire()), proof: proven.proof.clone() }
}

fn proven_from_wire(proven: wire::Proven, limit: usize) -> Result<Proven, BadMessage> {
    let root = SignedRoot::from_wire(some("root", proven.root)?)?;
    Ok(Proven { root, proof: bytes_at_most("proof", proven.proof, limit)? })
}

fn curve_to_wire(key: &SignedCurveKey) -> wire::SignedPreKey {
    wire::SignedPreKey { id: key.id, key: copy(&key.key), signature: copy(&key.signature) }
}

fn curve_from_wire(key: wire::SignedPreKey) -> Result<SignedCurveKey, BadMessage> {
    Ok(SignedCurveKey { id: key.id, key: exactly("key", &key.key)?, signature: exactly("signature", &key.signature)? })
}

fn kyber_to_wire(key: &SignedKyberKey) -> wire::SignedPreKey {
    wire::SignedPreKey { id: key.id, key: key.key.clone(), signature: copy(&key.signature) }
}

fn kyber_from_wire(key: wire::SignedPreKey) -> Result<SignedKyberKey, BadMessage> {
    if key.key.len() != KYBER_KEY_LEN {
        return Err(BadMessage::Length("key"));
    }
    Ok(SignedKyberKey { id: key.id, key: key.key, signature: exactly("signature", &key.signature)? })
}

fn one_time_to_wire(key: &CurveKey) -> wire::OneTimePreKey {
    wire::OneTimePreKey { id: key.id, key: copy(&key.key) }
}

fn one_time_from_wire(key: wire::OneTimePreKey) -> Result<CurveKey, BadMessage> {
    Ok(CurveKey { id: key.id, key: exactly("key", &key.key)? })
}
