//! The keyserver over real QUIC: what it does, and what it refuses.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use bytes::Bytes;
use common::{Asker, Person, fetch, keyserver, reason, register};
use hushwire_crypto::curve::IdentityKeyPair;
use hushwire_keyserver::Registration;
use hushwire_proto::account::{Device, Link, Signatory, identity_transcript};
use hushwire_proto::auth::{SessionBinding, prove_device, prove_registration};
use hushwire_proto::ids::{AccountId, DeviceId};
use hushwire_proto::keyserver::{Answer, CurveKey, Publish, RefusedReason, Request, SignedCurveKey, Stock, Who};
use hushwire_proto::limits::PREKEYS_PER_DEVICE_MAX;

/// How many fetches of one account get one-time keys at once.
const ONE_TIME_BURST: u32 = 6;

#[tokio::test]
async fn what_was_published_is_found_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (mut alice, asker) = (Person::seeded(1), Asker::connect(running.address()).await);
    let Answer::Welcome(welcome) = asker.ask(Request::Hello).await else { panic!() };
    assert!(welcome.software.starts_with("hushwire-keyserver ") && welcome.now.0 > 1_700_000_000_000);
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered);
    assert_eq!(asker.ask(fetch(alice.account)).await, Answer::Bundles(Vec::new())); // nothing published yet
    assert_eq!(
        asker.ask(Request::GetStock).await,
        Answer::Stock(Stock { one_time: 0, one_time_kyber: 0, signed_prekey_id: None })
    );
    let published = alice.prekeys(10..13);
    let stock = Stock { one_time: 3, one_time_kyber: 3, signed_prekey_id: Some(1) };
    assert_eq!(asker.publish(published.clone()).await, stock);

    let stranger = Asker::connect(running.address()).await;
    for who in [Who::Handle("alice".to_owned()), Who::Account(alice.account)] {
        let Answer::Found(found) = stranger.ask(Request::Lookup(who)).await else { panic!() };
        let named = (found.account, &found.links[..], found.handle_name.as_deref());
        assert_eq!(named, (alice.account, &[alice.link.clone()][..], Some("alice")));
        assert!(found.proven.is_some());
    }
    for i in 0..3 {
        let bundle = stranger.bundle(alice.account).await;
        alice.verify(&bundle);
        assert_eq!(Some(&bundle.signed_prekey), published.signed_prekey.as_ref());
        assert_eq!(
            (bundle.one_time.as_ref(), &bundle.kyber),
            (published.one_time.get(i), &published.one_time_kyber[i])
        );
    }
    let last = stranger.bundle(alice.account).await;
    alice.verify(&last);
    assert_eq!((last.one_time, Some(last.kyber)), (None, published.last_resort_kyber.clone()));
    let none_left = Stock { one_time: 0, one_time_kyber: 0, ..stock };
    assert_eq!(asker.ask(Request::GetStock).await, Answer::Stock(none_left));

    // The answer to the publication was lost, and it is repeated: keys given out do not come back.
    assert_eq!(asker.publish(published).await, none_left);
    // A new signed prekey takes the place of the old one.
    let renewed = Publish { signed_prekey: Some(alice.signed(7)), ..Publish::default() };
    assert_eq!(asker.publish(renewed).await, Stock { signed_prekey_id: Some(7), ..none_left });
    assert_eq!(stranger.bundle(alice.account).await.signed_prekey.id, 7);
    running.shutdown().await;
}

#[tokio::test]
async fn a_registration_may_be_repeated_and_takes_nothing_from_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (alice, bob) = (Person::seeded(1), Person::seeded(2));
    let asker = Asker::connect(running.address()).await;
    assert_eq!(asker.register(&alice, "").await, Answer::Registered);
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered); // a handle may come later
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered);
    assert_eq!(asker.register(&alice, "").await, Answer::Registered); // and does not go by being left out
    assert_eq!(reason(asker.register(&alice, "alice2").await), RefusedReason::TooMany);
    let other = Asker::connect(running.address()).await;
    assert_eq!(reason(other.register(&bob, "alice").await), RefusedReason::HandleTaken);
    assert_eq!(other.refused(Request::GetStock).await, RefusedReason::NotSignedIn);
    let who = || Request::Lookup(Who::Account(bob.account));
    assert_eq!(other.refused(who()).await, RefusedReason::Unknown); // nothing changed
    assert_eq!(other.register(&bob, "bob").await, Answer::Registered);
    let Answer::Found(found) = other.ask(Request::Lookup(Who::Handle("alice".to_owned()))).await else { panic!() };
    assert_eq!(found.account, alice.account);
    running.shutdown().await;
}

#[tokio::test]
async fn a_handle_that_is_none_is_refused_and_unknown_accounts_are_all_answered_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (alice, asker) = (Person::seeded(1), Asker::connect(running.address()).await);
    for name in ["Alice", "a b", ".a", "ä", "a@b", "a\u{202e}"] {
        assert_eq!(reason(asker.register(&alice, name).await), RefusedReason::BadHandle, "{name}");
    }
    let unknown = asker.ask(Request::Lookup(Who::Account(alice.account))).await;
    assert_eq!(reason(unknown.clone()), RefusedReason::Unknown);
    assert_eq!(asker.ask(Request::Lookup(Who::Account(AccountId([0; 32])))).await, unknown);
    assert!(matches!(asker.ask(Request::Lookup(Who::Handle("nobody".to_owned()))).await, Answer::Absent(_)));
    assert_eq!(asker.ask(Request::Lookup(Who::Handle("No Handle".to_owned()))).await, unknown);
    assert_eq!(asker.ask(fetch(alice.account)).await, unknown);
    assert_eq!(asker.sign_in(&alice).await, unknown);
    running.shutdown().await;
}

#[tokio::test]
async fn only_a_proof_by_the_device_for_this_connection_counts() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (alice, mallory) = (Person::seeded(1), Person::seeded(2));
    let asker = Asker::connect(running.address()).await;
    let captured_registration = asker.registration(&alice, "alice");
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered);
    let (account, device) = (alice.account, DeviceId::FIRST);
    let captured =
        Request::SignIn { account, device, proof: prove_device(asker.binding(), account, device, &alice.signing) };
    assert_eq!(asker.ask(captured.clone()).await, Answer::SignedIn);

    let elsewhere = Asker::connect(running.address()).await;
    assert_eq!(elsewhere.refused(captured).await, RefusedReason::BadProof);
    assert_eq!(elsewhere.refused(captured_registration).await, RefusedReason::BadProof);
    let here = elsewhere.binding();
    let forged = prove_device(here, account, device, &mallory.signing);
    assert_eq!(elsewhere.refused(Request::SignIn { account, device, proof: forged }).await, RefusedReason::BadProof);
    let nobody = DeviceId::new(2).unwrap();
    let proof = prove_device(here, account, nobody, &alice.signing);
    assert_eq!(elsewhere.refused(Request::SignIn { account, device: nobody, proof }).await, RefusedReason::BadProof);
    // A proof for one handle is none for another, nor one for signing in.
    let for_alice = prove_registration(here, mallory.account, device, "alice", &mallory.signing);
    assert_eq!(elsewhere.refused(register(&mallory, "mallory", for_alice)).await, RefusedReason::BadProof);
    let signs_in = prove_device(here, mallory.account, device, &mallory.signing);
    assert_eq!(elsewhere.refused(register(&mallory, "", signs_in)).await, RefusedReason::BadProof);
    let zero = prove_registration(SessionBinding([0; 32]), mallory.account, device, "", &mallory.signing);
    assert_eq!(elsewhere.refused(register(&mallory, "", zero)).await, RefusedReason::BadProof);
    for request in [Request::GetStock, Request::Publish(Publish::default())] {
        assert_eq!(elsewhere.refused(request).await, RefusedReason::NotSignedIn);
    }
    assert_eq!(elsewhere.sign_in(&alice).await, Answer::SignedIn);
    running.shutdown().await;
}

#[tokio::test]
async fn an_account_begins_with_one_device_that_vouches_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let mut alice = Person::seeded(1);
    let asker = Asker::connect(running.address()).await;
    let honest = alice.link.link().clone();
    let device = &honest.devices[0];
    let stolen = IdentityKeyPair::generate(&mut alice.rng).public().to_pub33();
    let mut weak = [0; 33];
    weak[0] = 5;
    let with = |devices: Vec<Device>| Link { devices, ..honest.clone() };
    let second = DeviceId::new(2).unwrap();
    let vouched = identity_transcript(second, device.registration_id, &device.signing_key);
    let identity_proof = alice.identity.sign(&[vouched.bytes()], &mut alice.rng);
    let second = Device { id: second, identity_proof, ..device.clone() };
    let bad = [
        with(vec![Device { identity_key: stolen, ..device.clone() }]),
        with(vec![Device { identity_key: weak, identity_proof: [0; 64], ..device.clone() }]),
        with(vec![Device { identity_proof: [0; 64], ..device.clone() }]),
        with(vec![Device { signing_key: [0; 32], ..device.clone() }]),
        with(vec![device.clone(), second]),
        Link { version: 1, ..honest.clone() },
        Link { previous: Some(alice.link.hash()), ..honest.clone() },
    ];
    for link in bad {
        alice.link = link.sign(Signatory::Device(DeviceId::FIRST), &alice.signing);
        alice.account = AccountId(alice.link.hash().0);
        assert_eq!(reason(asker.register(&alice, "").await), RefusedReason::BadKeys);
        assert_eq!(asker.refused(fetch(alice.account)).await, RefusedReason::Unknown);
    }
    alice.link = honest.sign(Signatory::Device(DeviceId::FIRST), &alice.recovery.clone()); // signed by a stranger to it
    alice.account = AccountId(alice.link.hash().0);
    assert_eq!(reason(asker.register(&alice, "").await), RefusedReason::BadKeys);
    running.shutdown().await;
}

#[tokio::test]
async fn keys_that_do_not_verify_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (mut alice, mut mallory) = (Person::seeded(1), Person::seeded(2));
    let asker = Asker::connect(running.address()).await;
    asker.register(&alice, "").await;
    let kept = asker.publish(alice.prekeys(10..11)).await;
    let mut low_order = [0; 33];
    (low_order[0], low_order[1]) = (5, 1);
    let mut zero = [0; 33];
    zero[0] = 5;
    let mut zero_kyber = alice.kyber(90);
    zero_kyber.key = [&[8][..], &[0; 1568]].concat().into();
    zero_kyber.signature = alice.identity.sign(&[&zero_kyber.key], &mut alice.rng);
    let mut other_kem = alice.kyber(90);
    other_kem.key = [&[0x0A][..], &other_kem.key[1..]].concat().into();
    other_kem.signature = alice.identity.sign(&[&other_kem.key], &mut alice.rng);
    let nothing = Publish::default;
    let mut bad = vec![
        Publish { signed_prekey: Some(mallory.signed(90)), ..nothing() },
        Publish { last_resort_kyber: Some(mallory.kyber(90)), ..nothing() },
        Publish { one_time_kyber: vec![alice.kyber(90), mallory.kyber(91)], ..nothing() },
        Publish { one_time: vec![alice.one_time(90), alice.one_time(90)], ..nothing() },
        Publish { one_time: vec![alice.one_time(90), alice.one_time(10)], ..nothing() }, // 10 is another key
        Publish { one_time_kyber: vec![alice.kyber(90), alice.kyber(10)], ..nothing() },
    ];
    for key in [zero, low_order, [0xFF; 33], [0; 33]] {
        let signature = alice.identity.sign(&[&key], &mut alice.rng);
        bad.push(Publish { signed_prekey: Some(SignedCurveKey { id: 90, key, signature }), ..nothing() });
        bad.push(Publish { one_time: vec![alice.one_time(91), CurveKey { id: 90, key }], ..nothing() });
    }
    for key in [zero_kyber, other_kem] {
        bad.push(Publish { last_resort_kyber: Some(key.clone()), ..nothing() });
        bad.push(Publish { one_time_kyber: vec![alice.kyber(91), key], ..nothing() });
    }
    for publish in bad {
        assert_eq!(asker.refused(Request::Publish(publish)).await, RefusedReason::BadKeys);
    }
    assert_eq!(asker.ask(Request::GetStock).await, Answer::Stock(kept));
    let bundle = asker.bundle(alice.account).await;
    alice.verify(&bundle);
    running.shutdown().await;
}

#[tokio::test]
async fn a_device_has_no_more_keys_here_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (mut alice, asker) = (Person::seeded(1), Asker::connect(running.address()).await);
    asker.register(&alice, "").await;
    for start in (0..PREKEYS_PER_DEVICE_MAX).step_by(50) {
        let one_time = (start..start + 50).map(|id| alice.one_time(id)).collect();
        asker.publish(Publish { one_time, ..Publish::default() }).await;
    }
    let one_more = Publish { one_time: vec![alice.one_time(PREKEYS_PER_DEVICE_MAX)], ..Publish::default() };
    assert_eq!(asker.refused(Request::Publish(one_more)).await, RefusedReason::TooMany);
    let full = Stock { one_time: PREKEYS_PER_DEVICE_MAX, one_time_kyber: 0, signed_prekey_id: None };
    assert_eq!(asker.ask(Request::GetStock).await, Answer::Stock(full));
    running.shutdown().await;
}

#[tokio::test]
async fn whoever_asks_too_often_gets_the_last_resort_key_and_then_has_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (mut alice, owner) = (Person::seeded(1), Asker::connect(running.address()).await);
    owner.register(&alice, "").await;
    let stock = owner.publish(alice.prekeys(10..60)).await;
    let greedy = Asker::connect(running.address()).await;
    let mut with_one_time = 0;
    for _ in 0..2 * ONE_TIME_BURST {
        let bundle = greedy.bundle(alice.account).await;
        alice.verify(&bundle);
        assert_eq!(bundle.one_time.is_some(), bundle.kyber.id != 2);
        with_one_time += u32::from(bundle.one_time.is_some());
    }
    assert_eq!(with_one_time, ONE_TIME_BURST);
    let left = Stock { one_time: 50 - ONE_TIME_BURST, one_time_kyber: 50 - ONE_TIME_BURST, ..stock };
    assert_eq!(owner.ask(Request::GetStock).await, Answer::Stock(left));
    let refused = loop {
        match greedy.ask(Request::Lookup(Who::Account(alice.account))).await {
            Answer::Found(_) => {}
            Answer::Refused(refused) => break refused,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused.reason, RefusedReason::Overloaded);
    assert!((1..1000).contains(&refused.retry_after_ms), "{refused:?}");
    tokio::time::sleep(std::time::Duration::from_millis(refused.retry_after_ms)).await;
    assert!(matches!(greedy.ask(Request::Lookup(Who::Account(alice.account))).await, Answer::Found(_)));
    running.shutdown().await;
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_the_connection_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (mut alice, asker) = (Person::seeded(1), Asker::connect(running.address()).await);
    asker.register(&alice, "").await;
    let mut short_kyber = alice.kyber(1);
    short_kyber.key = short_kyber.key.slice(..1568);
    let twice = Request::Fetch { account: alice.account, devices: vec![DeviceId::FIRST; 2] };
    let many = Publish { one_time: (0..51).map(|id| alice.one_time(id)).collect(), ..Publish::default() };
    let payloads = [
        Bytes::new(),
        Bytes::from_static(b"\xff\xff\xff"),
        Bytes::from(vec![0x3A; 4096]),
        Bytes::from_static(b"\x1a\x03\x0a\x01\x00"), // SignIn with an account of one byte
        Request::Publish(Publish { last_resort_kyber: Some(short_kyber), ..Publish::default() }).encode(),
        Request::Publish(many).encode(),
        twice.encode(),
    ];
    for payload in payloads {
        assert_eq!(reason(asker.say(payload).await), RefusedReason::BadRequest);
    }
    assert!(matches!(asker.ask(Request::GetStock).await, Answer::Stock(_)));
    running.shutdown().await;
}

#[tokio::test]
async fn a_closed_keyserver_takes_nobody_new_and_a_restart_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (mut alice, bob) = (Person::seeded(1), Person::seeded(2));
    let published = alice.prekeys(10..12);
    let running = keyserver(dir.path(), Registration::Open).await;
    let asker = Asker::connect(running.address()).await;
    asker.register(&alice, "alice").await;
    asker.publish(published.clone()).await;
    assert_eq!(asker.bundle(alice.account).await.one_time, published.one_time.first().cloned());
    running.shutdown().await;

    let running = keyserver(dir.path(), Registration::Closed).await;
    let asker = Asker::connect(running.address()).await;
    assert_eq!(reason(asker.register(&bob, "bob").await), RefusedReason::Closed);
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered); // a retry is no new account
    assert_eq!(asker.sign_in(&alice).await, Answer::SignedIn);
    let left = Stock { one_time: 1, one_time_kyber: 1, signed_prekey_id: Some(1) };
    assert_eq!(asker.ask(Request::GetStock).await, Answer::Stock(left));
    let Answer::Found(found) = asker.ask(Request::Lookup(Who::Handle("alice".to_owned()))).await else { panic!() };
    assert_eq!(found.links, [alice.link.clone()]);
    assert_eq!(asker.publish(published.clone()).await, left); // also after a restart
    assert_eq!(asker.bundle(alice.account).await.one_time, published.one_time.get(1).cloned());
    running.shutdown().await;
}
