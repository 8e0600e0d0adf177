//! Requests with one thing wrong, at the servers as programs: each is refused in words or closes the connection, and a
//! proof counts for nothing but what was signed.
//!
//! `HUSHWIRE_MALFORMED=1000000` says how many for the keyserver in all; the usual is 1,000 of each kind.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hushwire_attacks::grammar::{WAYS, malformed};
use hushwire_attacks::server::{Kind, Server};
use hushwire_proto::account::{Device, Link, Signatory, SignedLink};
use hushwire_proto::address::{KEYSERVER_PORT, ServerAddress};
use hushwire_proto::admission::Pass;
use hushwire_proto::auth::{EXPORTER_LABEL, SessionBinding, prove_device, prove_mailbox, prove_registration};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{AccountId, DepositId, DeviceId, MailboxId, Seq, Token};
use hushwire_proto::keyserver::{self, Answer, CurveKey, Publish, RefusedReason, SignedCurveKey, SignedKyberKey, Who};
use hushwire_proto::limits::{CONNECT_DEADLINE, ORDINARY_FRAME_BYTES};
use hushwire_proto::net::call::{ConnectError, Connection};
use hushwire_proto::relay::{self, Deposit, DepositMany, Door, TokenClass, Whisper};
use rand::SeedableRng;
use rand::rngs::StdRng;

const EACH: usize = 1000;

/// Requests on one connection: a keyserver lets one ask 256 at once, if they are cheap ones.
const ON_ONE: usize = 200;

const DEADLINE: Duration = Duration::from_secs(60);

async fn connect(server: &Server) -> Connection {
    let address = ServerAddress::parse(server.address(), KEYSERVER_PORT).unwrap();
    loop {
        match Connection::connect(&address, server.kind().alpn(), CONNECT_DEADLINE).await {
            Ok(connection) => return connection,
            // One address has so many connections, and those that ended count for some seconds.
            Err(ConnectError::Refused) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(other) => panic!("{other}"),
        }
    }
}

fn binding(connection: &Connection) -> SessionBinding {
    SessionBinding(connection.exporter(EXPORTER_LABEL, &[]).unwrap())
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

/// One of each kind, right, for this connection.
fn to_a_relay(binding: SessionBinding) -> Vec<relay::Request> {
    let mailbox = MailboxId(key().verifying_key().to_bytes());
    let token = Token::from_slice(&[9; 32]).unwrap();
    let envelope = Envelope::new(vec![7; 512].into()).unwrap();
    let id = DepositId([1; 16]);
    let doors = vec![Door { mailbox, token: token.clone(), id }; 2];
    vec![
        relay::Request::Hello,
        relay::Request::Open { mailbox, proof: prove_mailbox(binding, &key()) },
        relay::Request::Grant { mailbox, tokens: vec![(token.hash(), TokenClass::Contact)] },
        relay::Request::Revoke { mailbox, hashes: vec![token.hash()] },
        relay::Request::Whisper(Whisper { mailbox, token: token.clone(), envelope: envelope.clone() }),
        relay::Request::Deposit(Deposit { mailbox, token, id, envelope: envelope.clone() }),
        relay::Request::DepositMany(DepositMany { envelope, doors }),
        relay::Request::Drain { mailbox, after: Seq(1) },
        relay::Request::Acknowledge { mailbox, through: Seq(1) },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_refuses_a_thousand_malformed_requests_of_each_kind() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(Kind::Relay, dir.path()).unwrap();
    let mut rng = StdRng::seed_from_u64(4);
    let mut seen = BTreeMap::<String, usize>::new();
    for which in 0..to_a_relay(SessionBinding([0; 32])).len() {
        let mut done = 0;
        while done < EACH {
            let connection = connect(&server).await;
            let right = to_a_relay(binding(&connection)).swap_remove(which).encode();
            let before = connection.call(relay::Request::Hello.encode(), DEADLINE).await.unwrap();
            assert!(matches!(relay::Answer::parse(&before), Ok(relay::Answer::Welcome(_))));
            for _ in 0..ON_ONE.min(EACH - done) {
                let wrong = Bytes::from(malformed(&right, done % WAYS, &mut rng));
                done += 1;
                let parsed = relay::Request::parse(&wrong);
                let answer = connection.call(wrong.clone(), DEADLINE).await;
                let answer = answer.unwrap_or_else(|error| panic!("{error} for {wrong:02x?}"));
                let answer = relay::Answer::parse(&answer).unwrap();
                *seen.entry(name(&answer)).or_default() += 1;
                match answer {
                    relay::Answer::Refused(refused) => {
                        let is_bad = refused.reason == relay::RefusedReason::BadRequest;
                        assert!(parsed.is_ok() || is_bad, "{refused:?} for no message at all");
                    }
                    // What is a message all the same is answered as one; a mailbox opens for the true proof only.
                    relay::Answer::Opened => assert_eq!(parsed.unwrap().encode(), right),
                    _ => assert!(parsed.is_ok(), "{answer:?} for what is no message"),
                }
            }
        }
    }
    assert!(seen.get("Refused(BadRequest)").is_some_and(|count| *count > EACH), "{seen:?}");
    println!("{seen:?}");
    assert!(server.is_alive() && !server.log().contains("panicked"), "{}", server.log());
}

fn name(answer: &relay::Answer) -> String {
    match answer {
        relay::Answer::Refused(refused) => format!("Refused({:?})", refused.reason),
        other => format!("{other:?}").chars().take_while(|char| char.is_alphabetic()).collect(),
    }
}

/// An account whose identity key vouches for nothing: a link of it is refused, however it is signed.
fn link() -> SignedLink {
    let device = Device {
        name: String::new(),
        id: DeviceId::FIRST,
        registration_id: 7,
        identity_key: [5; 33],
        signing_key: key().verifying_key().to_bytes(),
        identity_proof: [6; 64],
        relay: "hush://relay.example.org:4431".to_owned(),
        mailbox: MailboxId([7; 32]),
        request_token: Token::from_slice(&[9; 32]).unwrap(),
    };
    let link = Link { version: 0, previous: None, devices: vec![device], recovery_key: [8; 32] };
    link.sign(Signatory::Device(DeviceId::FIRST), &key())
}

fn to_a_keyserver(binding: SessionBinding) -> Vec<keyserver::Request> {
    let link = link();
    let (account, device, handle) = (AccountId(link.hash().0), DeviceId::FIRST, "alice");
    let kyber = SignedKyberKey { id: 2, key: vec![8; 1569].into(), signature: [1; 64] };
    let publish = Publish {
        signed_prekey: Some(SignedCurveKey { id: 1, key: [5; 33], signature: [1; 64] }),
        last_resort_kyber: Some(kyber.clone()),
        one_time: vec![CurveKey { id: 1, key: [5; 33] }; 2],
        one_time_kyber: vec![kyber],
    };
    let register = prove_registration(binding, account, device, handle, &key());
    vec![
        keyserver::Request::Hello,
        keyserver::Request::Register {
            link: link.clone(),
            handle_name: Some(handle.to_owned()),
            proof: register,
            pass: Pass::default(),
        },
        keyserver::Request::SignIn { account, device, proof: prove_device(binding, account, device, &key()) },
        keyserver::Request::Publish(publish),
        keyserver::Request::GetStock,
        keyserver::Request::Lookup(Who::Handle(handle.to_owned())),
        keyserver::Request::AppendLink { account, link },
        keyserver::Request::GetRoot { epoch: Some(1) },
        keyserver::Request::GetHistory { handle_name: handle.to_owned() },
        keyserver::Request::GetStep { epoch: 1, offset: 0 },
        keyserver::Request::Fetch { account, devices: vec![device] },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyserver_refuses_malformed_requests_of_each_kind_and_takes_nothing_in() {
    let kinds = to_a_keyserver(SessionBinding([0; 32])).len();
    let all = std::env::var("HUSHWIRE_MALFORMED").ok().map(|all| all.parse::<usize>().unwrap());
    let each = all.map_or(EACH, |all| all.div_ceil(kinds));
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(Kind::Keyserver, dir.path()).unwrap();
    let mut rng = StdRng::seed_from_u64(5);
    let mut seen = BTreeMap::<String, usize>::new();
    for which in 0..kinds {
        let mut done = 0;
        while done < each {
            let connection = connect(&server).await;
            let right = to_a_keyserver(binding(&connection)).swap_remove(which).encode();
            let mut calls = Vec::new();
            for _ in 0..ON_ONE.min(each - done) {
                let wrong = Bytes::from(malformed(&right, done % WAYS, &mut rng));
                done += 1;
                assert!(wrong.len() <= ORDINARY_FRAME_BYTES);
                calls.push((keyserver::Request::parse(&wrong).is_ok(), connection.start(wrong).unwrap()));
            }
            for (is_message, call) in calls {
                let answer = Answer::parse(&call.answer(DEADLINE).await.unwrap()).unwrap();
                let name = match &answer {
                    Answer::Refused(refused) => {
                        let allowed = [RefusedReason::BadRequest, RefusedReason::Overloaded];
                        assert!(is_message || allowed.contains(&refused.reason), "{refused:?} for no message at all");
                        format!("Refused({:?})", refused.reason)
                    }
                    Answer::Registered
                    | Answer::SignedIn
                    | Answer::Appended
                    | Answer::Stock(_)
                    | Answer::Bundles(_) => {
                        panic!("{answer:?}: nobody here could sign that")
                    }
                    other => {
                        assert!(is_message, "{other:?} for what is no message");
                        format!("{other:?}").chars().take_while(|char| char.is_alphabetic()).collect()
                    }
                };
                // What was not looked at does not count.
                done -= usize::from(name == "Refused(Overloaded)");
                *seen.entry(name).or_default() += 1;
            }
        }
    }
    println!("{} requests: {seen:?}", seen.values().sum::<usize>());
    assert!(seen.get("Refused(BadRequest)").is_some_and(|count| *count > each), "{seen:?}");
    assert!(server.is_alive() && !server.log().contains("panicked"), "{}", server.log());
}
