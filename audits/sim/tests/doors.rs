//! Bad input at each door of a relay and a keyserver that run as programs. After each: what was stored is there, the
//! program runs, and a well-behaved client is served.
//!
//! What the servers' own tests hold is not repeated here (`relay/tests/loopback.rs`, `keyserver/tests/loopback.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod visitor;

use std::net::UdpSocket;
use std::time::{Duration, UNIX_EPOCH};

use hushwire_proto::account::{Device, Link, Signatory, identity_transcript};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::admission::{Pass, Task};
use hushwire_proto::auth::{SessionBinding, prove_mailbox};
use hushwire_proto::frame::{Frame, RequestId};
use hushwire_proto::ids::{AccountId, DeviceId, MailboxId, Token, UnixMillis};
use hushwire_proto::keyserver as keys;
use hushwire_proto::limits::{CONNECT_DEADLINE, FRAME_BYTES_MAX};
use hushwire_proto::net::call::Connection;
use hushwire_proto::net::{CloseCode, KEYS_ALPN, RELAY_ALPN};
use hushwire_proto::relay::{Answer, RefusedReason, Request};
use hushwire_sim::server::{Kind, Server};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use visitor::{Owner, Raw, RelayClient, SMALL_ORDER, ask_keys, frame};

/// Both servers, and somebody with a mailbox in which one envelope lies from before.
struct House {
    relay: Server,
    keyserver: Server,
    bob: Owner,
    stored: Vec<u64>,
    _dir: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let relay = Server::start(Kind::Relay, dir.path()).unwrap();
        let keyserver = Server::start(Kind::Keyserver, dir.path()).unwrap();
        let mut house = Self { relay, keyserver, bob: Owner::new(7), stored: Vec::new(), _dir: dir };
        house.bobs_device().await;
        house.deposit(0).await;
        house
    }

    async fn relay_client(&self) -> RelayClient {
        RelayClient::connect(self.relay.address()).await
    }

    async fn bobs_device(&self) -> RelayClient {
        let device = self.relay_client().await;
        assert_eq!(device.ask(device.opening(&self.bob)).await, Answer::Opened);
        assert_eq!(device.ask(self.bob.grant()).await, Answer::Granted);
        device
    }

    /// A well-behaved sender.
    async fn deposit(&mut self, mark: u64) {
        assert_eq!(self.relay_client().await.ask(self.bob.deposit(mark)).await, Answer::Stored);
        self.stored.push(mark);
    }

    /// Both run, both answer, and the mailbox holds exactly what was answered stored, in order.
    async fn is_well(&mut self) {
        self.deposit(self.stored.len() as u64).await;
        let mut device = self.bobs_device().await;
        assert!(matches!(device.ask(self.bob.drain(0)).await, Answer::Draining { .. }));
        assert_eq!(device.marks(self.stored.len()).await, self.stored);
        let hello = ask_keys(self.keyserver.address(), keys::Request::Hello).await;
        assert!(matches!(hello, keys::Answer::Welcome(_)), "{hello:?}");
        assert!(!self.relay.has_ended() && !self.keyserver.has_ended());
    }

    fn doors(&self) -> [(&ServerAddress, &'static [u8]); 2] {
        [(self.relay.address(), RELAY_ALPN), (self.keyserver.address(), KEYS_ALPN)]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_frame_ends_that_connection_and_no_other() {
    let mut house = House::new().await;
    let hello = frame(1, &Request::Hello.encode());
    let too_large = [&u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes()[..], &1_u64.to_be_bytes()].concat();
    let cases = [
        ("a push from a client", frame(0, &Request::Hello.encode())),
        ("a push with nothing in it", frame(0, b"")),
        ("one byte too many announced", too_large.clone()),
        ("a good frame, then one too large", [hello.clone(), too_large].concat()),
        ("everything announced", vec![0xFF; 12]),
        ("a head cut short", hello[..7].to_vec()),
        ("a payload cut short", [&100_u32.to_be_bytes()[..], &1_u64.to_be_bytes(), b"abc"].concat()),
        ("a good frame, then a piece of one", [&hello[..], &hello[..5]].concat()),
    ];
    for (address, alpn) in house.doors() {
        for (what, bytes) in &cases {
            let code = Raw::connect(address, alpn).await.send_and_finish(bytes).await;
            assert_eq!(code, Some(CloseCode::BadFrame.code()), "{what}");
        }
    }
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_deposit_and_a_vanished_client_store_nothing() {
    let mut house = House::new().await;
    let whole = frame(1, &house.bob.deposit(500).encode());
    for end in [1, 12, 13, whole.len() / 2, whole.len() - 1] {
        Raw::connect(house.relay.address(), RELAY_ALPN).await.send_and_vanish(&whole[..end]).await;
        Raw::connect(house.relay.address(), RELAY_ALPN).await.send_and_reset(&whole[..end]).await;
        Raw::connect(house.keyserver.address(), KEYS_ALPN).await.send_and_reset(&whole[..end]).await;
    }
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_ids_in_any_order_and_twice_get_an_answer_each() {
    let mut house = House::new().await;
    let ids = [u64::MAX, 5, 5, 1, 0x8000_0000_0000_0000, 4];
    for (address, alpn) in house.doors() {
        let requests: Vec<u8> = ids.iter().flat_map(|id| frame(*id, &Request::Hello.encode())).collect();
        let mut answered = Raw::connect(address, alpn).await.send_and_read(&requests, ids.len()).await;
        answered.sort_unstable();
        let mut expected = ids.to_vec();
        expected.sort_unstable();
        assert_eq!(answered, expected);
    }
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_at_the_other_door_is_refused_at_this_one() {
    let mut house = House::new().await;
    // By the name of the protocol, before anything is said.
    for (address, alpn) in [(house.relay.address(), KEYS_ALPN), (house.keyserver.address(), RELAY_ALPN)] {
        assert!(Connection::connect(address, alpn, CONNECT_DEADLINE).await.is_err());
    }
    // And each message of the one, said to the other: refused, or harmless.
    let client = house.relay_client().await;
    for request in [
        keys::Request::Publish(keys::Publish::default()),
        keys::Request::GetStock,
        keys::Request::Lookup(keys::Who::Handle("bob".to_owned())),
        keys::Request::Fetch { account: AccountId([1; 32]), devices: vec![DeviceId::FIRST] },
        keys::Request::SignIn { account: AccountId([1; 32]), device: DeviceId::FIRST, proof: [1; 64] },
    ] {
        let answer = client.ask_bytes(&request.encode()).await;
        assert!(matches!(answer, Answer::Refused(_)), "{request:?}: {answer:?}");
    }
    let keyserver = Connection::connect(house.keyserver.address(), KEYS_ALPN, CONNECT_DEADLINE).await.unwrap();
    for request in [house.bob.grant(), house.bob.drain(0), house.bob.acknowledge(1), house.bob.deposit(900)] {
        let answer = visitor::keys_answer(&keyserver, request.encode()).await;
        assert!(matches!(answer, keys::Answer::Refused(_)), "{request:?}: {answer:?}");
    }
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_captured_before_a_restart_opens_nothing_after_it() {
    let mut house = House::new().await;
    let device = house.relay_client().await;
    let captured = device.opening(&house.bob);
    assert_eq!(device.ask(captured.clone()).await, Answer::Opened);
    house.relay = house.relay.kill_and_restart(Duration::ZERO).unwrap();
    let mallory = house.relay_client().await;
    assert_refused(&mallory.ask(captured).await, RefusedReason::BadProof);
    assert_refused(&mallory.ask(house.bob.drain(0)).await, RefusedReason::NotOpen);
    assert_refused(&mallory.ask(house.bob.acknowledge(1)).await, RefusedReason::NotOpen);
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_for_one_server_is_worth_nothing_when_it_is_passed_on_to_the_other() {
    let mut house = House::new().await;
    // Bob signs in at an evil server; it passes the proof on to the honest one over a connection of its own.
    let evil = Connection::connect(house.keyserver.address(), KEYS_ALPN, CONNECT_DEADLINE).await.unwrap();
    let binding = SessionBinding(evil.exporter(hushwire_proto::auth::EXPORTER_LABEL, b"").unwrap());
    let proof = prove_mailbox(binding, &house.bob.key);
    let client = house.relay_client().await;
    let passed_on = Request::Open { mailbox: house.bob.mailbox(), proof };
    assert_refused(&client.ask(passed_on).await, RefusedReason::BadProof);
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captured_deposit_stores_nothing_new_and_what_the_relay_keeps_of_a_token_is_none() {
    let mut house = House::new().await;
    let captured = house.bob.deposit(0); // as it was stored
    for _ in 0..3 {
        assert_eq!(house.relay_client().await.ask(captured.clone()).await, Answer::Stored);
    }
    house.relay = house.relay.kill_and_restart(Duration::ZERO).unwrap();
    assert_eq!(house.relay_client().await.ask(captured).await, Answer::Stored, "also after a restart");
    let mut thief = house.bob.clone();
    thief.token = Token::from_slice(house.bob.token.hash().as_bytes()).unwrap();
    assert_refused(&house.relay_client().await.ask(thief.deposit(901)).await, RefusedReason::NoSuchDoor);
    thief.token = Token::from_slice(&[0; 32]).unwrap();
    assert_refused(&house.relay_client().await.ask(thief.deposit(902)).await, RefusedReason::NoSuchDoor);
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_owns_a_mailbox_of_a_weak_key_whatever_they_sign() {
    let mut house = House::new().await;
    let client = house.relay_client().await;
    for weak in SMALL_ORDER {
        // The signature that a lax check takes for a key of small order: R the key or the identity, s zero.
        for r in [weak, visitor::IDENTITY, [0; 32]] {
            let mut proof = [0; 64];
            proof[..32].copy_from_slice(&r);
            let open = Request::Open { mailbox: MailboxId(weak), proof };
            assert_refused(&client.ask(open).await, RefusedReason::BadProof);
        }
        let owner = Request::Grant { mailbox: MailboxId(weak), tokens: Vec::new() };
        assert_refused(&client.ask(owner).await, RefusedReason::NotOpen);
    }
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_account_begins_with_a_weak_key() {
    let mut house = House::new().await;
    let mut rng = StdRng::seed_from_u64(3);
    let identity = hushwire_crypto::IdentityKeyPair::generate(&mut rng);
    let signing = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let keyserver = Connection::connect(house.keyserver.address(), KEYS_ALPN, CONNECT_DEADLINE).await.unwrap();
    let binding = SessionBinding(keyserver.exporter(hushwire_proto::auth::EXPORTER_LABEL, b"").unwrap());
    let register = |signing_key: [u8; 32], identity_key: [u8; 33], rng: &mut StdRng| {
        let vouched = identity_transcript(DeviceId::FIRST, 4711, &signing_key);
        let device = Device {
            id: DeviceId::FIRST,
            registration_id: 4711,
            identity_key,
            signing_key,
            identity_proof: identity.sign(&[vouched.bytes()], rng),
            relay: "hush://relay.example.org:4431".to_owned(),
            mailbox: house.bob.mailbox(),
            request_token: Token::from_slice(&[5; 32]).unwrap(),
            name: String::new(),
        };
        let link = Link { version: 0, previous: None, devices: vec![device], recovery_key: [8; 32] };
        let link = link.sign(Signatory::Device(DeviceId::FIRST), &signing);
        let account = AccountId(link.hash().0);
        let proof = hushwire_proto::auth::prove_registration(binding, account, DeviceId::FIRST, "", &signing);
        let now = u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        let server = house.keyserver.address().fingerprint().unwrap();
        let work = Task::new(server, account, UnixMillis(now)).search(20, 0, u64::MAX);
        keys::Request::Register { link, handle_name: None, proof, pass: Pass { work, invite: None } }
    };
    let is_bad = |answer: &keys::Answer| match answer {
        keys::Answer::Refused(refused) => refused.reason == keys::RefusedReason::BadKeys,
        _ => false,
    };
    let (ours, theirs) = (signing.verifying_key().to_bytes(), identity.public().to_pub33());
    let curve = |weak: [u8; 32]| {
        let mut key = [5; 33];
        key[1..].copy_from_slice(&weak);
        key
    };
    for weak in SMALL_ORDER {
        let answer = visitor::keys_answer(&keyserver, register(weak, theirs, &mut rng).encode()).await;
        assert!(is_bad(&answer), "signing key {weak:x?}: {answer:?}");
    }
    for weak in visitor::SMALL_ORDER_MONTGOMERY {
        let answer = visitor::keys_answer(&keyserver, register(ours, curve(weak), &mut rng).encode()).await;
        assert!(is_bad(&answer), "identity key {weak:x?}: {answer:?}");
    }
    // The same with good keys is taken: so it was the keys.
    let answer = visitor::keys_answer(&keyserver, register(ours, theirs, &mut rng).encode()).await;
    assert_eq!(answer, keys::Answer::Registered);
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_bytes_as_a_payload_are_answered_or_refused() {
    let mut house = House::new().await;
    let mut rng = StdRng::seed_from_u64(11);
    let good = house.bob.deposit(903).encode();
    let client = house.relay_client().await;
    let keyserver = Connection::connect(house.keyserver.address(), KEYS_ALPN, CONNECT_DEADLINE).await.unwrap();
    for _ in 0..150 {
        let mut bytes: Vec<u8> = match rng.random_range(0..3) {
            0 => (0..rng.random_range(0..300)).map(|_| rng.random_range(0..=255)).collect(),
            1 => good[..rng.random_range(0..good.len())].to_vec(),
            _ => good.to_vec(),
        };
        if !bytes.is_empty() {
            // Within the heads of the fields: a changed envelope would be a good deposit of another envelope.
            let at = rng.random_range(0..bytes.len().min(40));
            bytes[at] ^= 1 << rng.random_range(0..8);
        }
        let answer = client.ask_bytes(&bytes.clone().into()).await;
        assert!(matches!(answer, Answer::Refused(_) | Answer::Welcome(_)), "{bytes:x?}: {answer:?}");
        let _ = visitor::keys_answer(&keyserver, bytes.into()).await;
    }
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_that_are_no_quic_or_belong_to_nobody_are_ignored() {
    let mut house = House::new().await;
    let mut rng = StdRng::seed_from_u64(12);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (address, _) in house.doors() {
        for _ in 0..2000 {
            let mut datagram: Vec<u8> = (0..rng.random_range(1..1400)).map(|_| rng.random_range(0..=255)).collect();
            datagram[0] = [0x40, 0xC0, 0xFF, 0x00][rng.random_range(0..4)]; // short, long, long, neither
            socket.send_to(&datagram, ("127.0.0.1", address.port())).unwrap();
        }
    }
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_connected_to_a_relay_that_was_killed_learns_it_from_the_one_that_comes_back() {
    let mut house = House::new().await;
    let device = house.bobs_device().await;
    house.relay = house.relay.kill_and_restart(Duration::ZERO).unwrap();
    let began = std::time::Instant::now();
    let answer = device.connection.call(Request::Hello.encode(), Duration::from_secs(20)).await;
    let Err(hushwire_proto::net::call::CallError::Disconnected(_)) = answer else { panic!("{answer:?}") };
    assert!(began.elapsed() < Duration::from_secs(5), "by silence only: after {:?}", began.elapsed());
    house.is_well().await;
}

#[test]
fn a_frame_of_these_tests_is_one_of_the_protocol() {
    let mut bytes = bytes::BytesMut::from(&frame(3, b"payload")[..]);
    let decoded = hushwire_proto::frame::decode(&mut bytes).unwrap();
    assert_eq!(decoded, Some(Frame { id: RequestId(3), payload: "payload".into() }));
}

fn assert_refused(answer: &Answer, reason: RefusedReason) {
    match answer {
        Answer::Refused(refused) => assert_eq!(refused.reason, reason, "{}", refused.detail),
        other => panic!("{other:?} instead of {reason}"),
    }
}
