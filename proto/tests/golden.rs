//! The bytes of every message. A change of one of these constants is a change of the wire: it needs a new version of the
//! protocol, and never happens by accident.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fmt::Debug;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use hushwire_proto::account::{Device, Link, Signatory, SignedLink, encode_links, parse_links};
use hushwire_proto::admission::{Invite, NewAccounts, Pass, Work};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{AccountId, DepositId, DeviceId, LinkHash, MailboxId, Seq, Token, TokenHash, UnixMillis};
use hushwire_proto::keyserver::{
    self, Bundle, CurveKey, Found, KYBER_KEY_LEN, Proven, Publish, SignedCurveKey, SignedKyberKey, Step, Stock, Who,
};
use hushwire_proto::log::SignedRoot;
use hushwire_proto::relay::{
    self, Deliveries, Delivery, Deposit, DepositMany, Door, Limits, Outcome, StoredMany, TokenClass, Whisper, Whispered,
};
use proptest::prelude::*;

const SIGNATURE: SignatureBytes = [0xCC; 64];

/// Bytes of every message: `group, name: hex`, with `aa*32` for a byte that stands more than eight times in a row.
const GOLDEN: &str = include_str!("golden.txt");

/// The account id that [`signed_link`] makes, computed apart from this code.
const LINK_0_HASH: &str = "93118f1aebf010cdc93e1a9487ca461ba7fbbeda4ad19536da676d683bcd9575";
const LINK_1_HASH: &str = "bf87d364d4c0ecb474001bd73983948b89d438bcc663ac4dbfd3751f0f5cf37b";

/// A message, its bytes as hex without the runs that are long and dull, and whether it reads back as itself.
struct Golden {
    name: &'static str,
    bytes: Bytes,
    reads_back: bool,
}

fn golden<M: PartialEq + Debug, E: Debug>(
    name: &'static str,
    message: M,
    encode: impl Fn(&M) -> Bytes,
    parse: impl Fn(&Bytes) -> Result<M, E>,
) -> Golden {
    let bytes = encode(&message);
    let reads_back = parse(&bytes).is_ok_and(|read| read == message);
    Golden { name, bytes, reads_back }
}

/// Hex in which a byte that stands more than eight times in a row is written once, with its count: `cc*64`.
fn shortened(bytes: &[u8]) -> String {
    let mut out = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        if run.len() > 8 {
            out.push_str(&format!(" {:02x}*{} ", run[0], run.len()));
        } else {
            out.push_str(&HEXLOWER.encode(run));
        }
    }
    out.trim().replace("  ", " ")
}

fn device() -> Device {
    Device {
        id: DeviceId::FIRST,
        registration_id: 0x1234,
        identity_key: [0x05; 33],
        signing_key: [0x11; 32],
        identity_proof: SIGNATURE,
        relay: "hush://r".to_owned(),
        mailbox: MailboxId([0x22; 32]),
        request_token: Token::from_slice(&[0x33; 32]).unwrap(),
        name: String::new(),
    }
}

fn link() -> Link {
    Link { version: 0, previous: None, devices: vec![device()], recovery_key: [0x44; 32] }
}

fn signed_link() -> SignedLink {
    link().sign(Signatory::Device(DeviceId::FIRST), &SigningKey::from_bytes(&[0x55; 32]))
}

fn next_link() -> SignedLink {
    let next = Link { version: 1, previous: Some(signed_link().hash()), ..link() };
    next.sign(Signatory::Recovery, &SigningKey::from_bytes(&[0x66; 32]))
}

fn curve() -> SignedCurveKey {
    SignedCurveKey { id: 0, key: [0x05; 33], signature: SIGNATURE }
}

fn kyber(id: u32) -> SignedKyberKey {
    SignedKyberKey { id, key: vec![0x08; KYBER_KEY_LEN].into(), signature: SIGNATURE }
}

fn relay_messages() -> Vec<Golden> {
    use relay::{Answer, Refused, RefusedReason, Request, Welcome};
    let mailbox = MailboxId([0xAA; 32]);
    let token = Token::from_slice(&[0xBB; 32]).unwrap();
    let envelope = Envelope::new(vec![0xEE; 512].into()).unwrap();
    let request = |name, message: Request| golden(name, message, Request::encode, Request::parse);
    let answer = |name, message: Answer| golden(name, message, Answer::encode, Answer::parse);
    let deliveries = |deliveries| relay::Push::Deliveries(Deliveries { mailbox, expired_through: Seq(7), deliveries });
    let push = |name, message: relay::Push| golden(name, message, relay::Push::encode, relay::Push::parse);
    let tokens = vec![(TokenHash([1; 32]), TokenClass::Request), (TokenHash([2; 32]), TokenClass::Contact)];
    let whisper = Whisper { mailbox, token: token.clone(), envelope: envelope.clone() };
    let whispered = Whispered { mailbox, envelope: envelope.clone() };
    let deposit = Deposit { mailbox, token, id: DepositId([0xDD; 16]), envelope: envelope.clone() };
    let door = |n| Door {
        mailbox: MailboxId([n; 32]),
        token: Token::from_slice(&[0xBB; 32]).unwrap(),
        id: DepositId([n; 16]),
    };
    let doors = vec![door(0xA1), door(0xA2)];
    let outcomes = vec![Outcome::Stored, Outcome::Full, Outcome::NoSuchDoor, Outcome::Later];
    vec![
        request("hello", Request::Hello),
        request("open", Request::Open { mailbox, proof: SIGNATURE }),
        request("grant", Request::Grant { mailbox, tokens }),
        request("revoke", Request::Revoke { mailbox, hashes: vec![TokenHash([2; 32])] }),
        request("deposit", Request::Deposit(deposit)),
        request("deposit many", Request::DepositMany(DepositMany { envelope: envelope.clone(), doors })),
        request("whisper", Request::Whisper(whisper)),
        request("drain", Request::Drain { mailbox, after: Seq(300) }),
        request("drain from the beginning", Request::Drain { mailbox, after: Seq(0) }),
        request("acknowledge", Request::Acknowledge { mailbox, through: Seq(u64::MAX) }),
        answer(
            "welcome",
            Answer::Welcome(Welcome {
                now: UnixMillis(1_700_000_000_000),
                retention_seconds: 2_592_000,
                mailbox_bytes_max: 67_108_864,
                software: "hushwire-relay 0.1.0".to_owned(),
                limits: Limits {
                    envelope_bytes_max: 65_536,
                    requests_in_flight_max: 256,
                    fanout_max: 5000,
                    requests_per_second: 20_000,
                    bytes_in_flight_max: 8_388_608,
                    token_per_second: 1000,
                    mailbox_per_second: 5000,
                },
            }),
        ),
        answer("opened", Answer::Opened),
        answer("granted", Answer::Granted),
        answer("revoked", Answer::Revoked),
        answer("stored", Answer::Stored),
        answer("stored many", Answer::StoredMany(StoredMany { outcomes, retry_after_ms: 60_000 })),
        answer("passed", Answer::Passed),
        answer("draining", Answer::Draining { waiting: 300 }),
        answer("draining, nothing waits", Answer::Draining { waiting: 0 }),
        answer("acknowledged", Answer::Acknowledged),
        answer(
            "refused",
            Answer::Refused(Refused {
                reason: RefusedReason::MailboxFull,
                detail: "full".to_owned(),
                retry_after_ms: 1000,
            }),
        ),
        push("deliveries", deliveries(vec![Delivery { seq: Seq(9), stored_at: UnixMillis(1), envelope }])),
        push("deliveries of nothing", deliveries(Vec::new())),
        push("whispered", relay::Push::Whispered(whispered)),
    ]
}

fn keyserver_messages() -> Vec<Golden> {
    use keyserver::{Answer, Refused, RefusedReason, Request, Welcome};
    let account = AccountId([0xAA; 32]);
    let (device, other) = (DeviceId::FIRST, DeviceId::new(127).unwrap());
    let request = |name, message: Request| golden(name, message, Request::encode, Request::parse);
    let answer = |name, message: Answer| golden(name, message, Answer::encode, Answer::parse);
    let handle_name = Some("alice".to_owned());
    let register = |handle_name, pass| Request::Register { link: signed_link(), handle_name, proof: SIGNATURE, pass };
    let work = Work { at: UnixMillis(1_700_000_000_000), nonce: 0x0102_0304_0506_0708 };
    let worked = Pass { work: Some(work), invite: None };
    let invited = Pass { work: None, invite: Some(Invite::from_bytes([0xA6; 15])) };
    let welcome = |new_accounts| {
        Answer::Welcome(Welcome {
            now: UnixMillis(1_700_000_000_000),
            software: "hushwire-keyserver 0.1.0".to_owned(),
            new_accounts,
        })
    };
    let one_time = CurveKey { id: u32::MAX, key: [0x05; 33] };
    let root = SignedRoot {
        epoch: 300,
        root: [0xA1; 32],
        at: UnixMillis(1_700_000_000_000),
        vrf_key: [0xA2; 32],
        key: [0xA3; 32],
        signature: SIGNATURE,
    };
    let proven = Proven { root: root.clone(), proof: vec![0xA4; 100].into() };
    let links = vec![signed_link(), next_link()];
    let found = |handle_name: Option<String>| {
        let proven = handle_name.is_some().then(|| proven.clone());
        Answer::Found(Found { account, links: links.clone(), handle_name, proven })
    };
    let bundle = |one_time| Bundle { device, signed_prekey: curve(), kyber: kyber(2), one_time };
    let stock = |signed_prekey_id| Answer::Stock(Stock { one_time: 200, one_time_kyber: 0, signed_prekey_id });
    vec![
        request("hello", Request::Hello),
        request("register", register(handle_name.clone(), Pass::default())),
        request("register without a handle", register(None, Pass::default())),
        request("register with work", register(handle_name.clone(), worked)),
        request("register with an invite", register(handle_name.clone(), invited)),
        request("sign in", Request::SignIn { account, device, proof: SIGNATURE }),
        request(
            "publish",
            Request::Publish(Publish {
                signed_prekey: Some(curve()),
                last_resort_kyber: Some(kyber(1)),
                one_time: vec![CurveKey { id: 0, key: [0x05; 33] }, one_time.clone()],
                one_time_kyber: vec![kyber(2)],
            }),
        ),
        request("publish nothing", Request::Publish(Publish::default())),
        request("get stock", Request::GetStock),
        request("look up a handle", Request::Lookup(Who::Handle("alice".to_owned()))),
        request("look up an account", Request::Lookup(Who::Account(account))),
        request("append a link", Request::AppendLink { account, link: next_link() }),
        request("get the newest root", Request::GetRoot { epoch: None }),
        request("get a root", Request::GetRoot { epoch: Some(300) }),
        request("get a history", Request::GetHistory { handle_name: "alice".to_owned() }),
        request("get a step", Request::GetStep { epoch: 300, offset: 131_072 }),
        request("fetch", Request::Fetch { account, devices: vec![device, other] }),
        answer("welcome", welcome(NewAccounts::Open { work_bits: 20 })),
        answer("welcome with an invite", welcome(NewAccounts::Invites)),
        answer("closed to new accounts", welcome(NewAccounts::Closed)),
        answer("registered", Answer::Registered),
        answer("signed in", Answer::SignedIn),
        answer("appended", Answer::Appended),
        answer("stock", stock(Some(0))),
        answer("stock of nothing", stock(None)),
        answer("found", found(handle_name)),
        answer("found without a handle", found(None)),
        answer("absent", Answer::Absent(proven.clone())),
        answer("root", Answer::Root(root)),
        answer("history", Answer::History(proven.clone())),
        answer("step", Answer::Step(Step { bytes_total: 131_172, part: vec![0xA5; 100].into() })),
        answer("bundles", Answer::Bundles(vec![bundle(Some(one_time)), bundle(None)])),
        answer("bundles of nothing", Answer::Bundles(Vec::new())),
        answer(
            "refused",
            Answer::Refused(Refused {
                reason: RefusedReason::Overloaded,
                detail: "later".to_owned(),
                retry_after_ms: 61,
            }),
        ),
    ]
}

fn account_messages() -> Vec<Golden> {
    let read = |bytes: &Bytes| parse_links(bytes);
    let write = |links: &Vec<SignedLink>| Bytes::from(encode_links(links));
    vec![golden("chain", vec![signed_link(), next_link()], write, read)]
}

#[test]
fn the_bytes_of_every_message_are_these_and_read_back_as_the_message() {
    let groups = [("relay", relay_messages()), ("keyserver", keyserver_messages()), ("account", account_messages())];
    let mut found = String::new();
    for (group, messages) in groups {
        for Golden { name, bytes, reads_back } in messages {
            assert!(reads_back, "{group} {name} does not read back as itself");
            found.push_str(&format!("{group}, {name}: {}\n", shortened(&bytes)));
        }
    }
    assert_eq!(found, GOLDEN);
}

#[test]
fn every_reason_has_its_number_and_no_other_number_is_one() {
    let relay = relay::RefusedReason::ALL.iter().map(|reason| reason.code());
    assert!(relay.eq(1..=12));
    let keyserver = keyserver::RefusedReason::ALL.iter().map(|reason| reason.code());
    assert!(keyserver.eq(1..=16));
    for code in 0..300 {
        assert_eq!(relay::RefusedReason::from_code(code).is_some(), (1..=12).contains(&code));
        assert_eq!(keyserver::RefusedReason::from_code(code).is_some(), (1..=16).contains(&code));
    }
}

#[test]
fn an_answer_that_is_filled_up_has_the_length_of_others_and_reads_back_the_same() {
    use keyserver::Answer;
    for length in 0..700 {
        let answer = Answer::Step(Step { bytes_total: 7, part: vec![0xA5; length].into() });
        let filled = answer.encode_filled(256);
        assert_eq!(filled.len() % 256, 0, "{length}");
        assert!(filled.len() < answer.encode().len() + 3 * 256);
        assert_eq!(Answer::parse(&filled).unwrap(), answer);
    }
}

#[test]
fn an_account_id_and_a_link_hash_are_these() {
    assert_eq!(HEXLOWER.encode(signed_link().hash().as_bytes()), LINK_0_HASH);
    assert_eq!(HEXLOWER.encode(next_link().hash().as_bytes()), LINK_1_HASH);
    assert_eq!(next_link().link().previous, LinkHash::from_slice(&HEXLOWER.decode(LINK_0_HASH.as_bytes()).unwrap()));
}

/// Every reader there is, on the same bytes. What a reader takes, it writes again, and reads that as the same.
fn read_everything(bytes: &Bytes) {
    fn again<M: PartialEq + Debug, E: Debug>(
        read: Result<M, E>,
        encode: impl Fn(&M) -> Bytes,
        parse: impl Fn(&Bytes) -> Result<M, E>,
    ) {
        if let Ok(message) = read {
            assert_eq!(parse(&encode(&message)).unwrap(), message);
        }
    }
    again(relay::Request::parse(bytes), relay::Request::encode, relay::Request::parse);
    again(relay::Answer::parse(bytes), relay::Answer::encode, relay::Answer::parse);
    again(relay::Push::parse(bytes), relay::Push::encode, relay::Push::parse);
    again(keyserver::Request::parse(bytes), keyserver::Request::encode, keyserver::Request::parse);
    again(keyserver::Answer::parse(bytes), keyserver::Answer::encode, keyserver::Answer::parse);
    again(parse_links(bytes), |links| encode_links(links).into(), |bytes| parse_links(bytes));
}

fn all_messages() -> Vec<Bytes> {
    let all = [relay_messages(), keyserver_messages(), account_messages()];
    all.into_iter().flatten().map(|message| message.bytes).collect()
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_everything(&bytes.into());
    }

    #[test]
    fn a_message_with_some_bytes_changed_cut_or_doubled_never_panics(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        doubled in any::<bool>(),
    ) {
        let mut bytes = which.get(&all_messages()).to_vec();
        for (place, byte) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len().min(64)); // tags and lengths are at the front
                bytes[place] = byte;
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        if doubled {
            bytes.extend_from_within(..);
        }
        read_everything(&bytes.into());
    }
}
