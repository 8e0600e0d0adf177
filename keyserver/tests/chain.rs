//! Devices come and go, a stolen one takes nothing for good, and the recovery key takes everything back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{Asker, Person, Program, fetch, init, keyserver, reason};
use hushwire_keyserver::Registration;
use hushwire_proto::account::{Link, Signatory, SignedLink};
use hushwire_proto::auth::prove_device;
use hushwire_proto::ids::AccountId;
use hushwire_proto::keyserver::{Answer, RefusedReason, Request, Who};

/// Links that devices may add to an account at once.
const BURST: u64 = 16;

async fn links(asker: &Asker, account: AccountId) -> Vec<SignedLink> {
    match asker.ask(Request::Lookup(Who::Account(account))).await {
        Answer::Found(found) => found.links,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_device_is_added_and_signs_in_and_is_revoked_and_is_out() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (mut alice, asker) = (Person::seeded(1), Asker::connect(running.address()).await);
    asker.register(&alice, "alice").await;
    asker.publish(alice.prekeys(10..12)).await;
    let (account, first) = (alice.account, alice.link.link().devices[0].clone());
    let (second, second_key) = alice.device(2);
    let added = alice.next(&alice.link, vec![first.clone(), second.clone()], 1, &alice.signing);
    let other = Asker::connect(running.address()).await;
    let proof = |asker: &Asker| prove_device(asker.binding(), account, second.id, &second_key);
    let sign_in = |asker: &Asker| Request::SignIn { account, device: second.id, proof: proof(asker) };
    assert_eq!(other.refused(sign_in(&other)).await, RefusedReason::BadProof);
    for _ in 0..3 {
        assert_eq!(other.append(account, &added).await, Answer::Appended); // whoever brings it, and however often
    }
    assert_eq!(links(&asker, account).await, [alice.link.clone(), added.clone()]);
    assert_eq!(other.ask(sign_in(&other)).await, Answer::SignedIn);

    // The second device revokes the first: its connection is signed in no more, and its prekeys are gone.
    let revoked = alice.next(&added, vec![second.clone()], 2, &second_key);
    assert_eq!(other.append(account, &revoked).await, Answer::Appended);
    assert_eq!(asker.refused(Request::GetStock).await, RefusedReason::NotSignedIn);
    assert_eq!(asker.refused(Request::Publish(alice.prekeys(20..21))).await, RefusedReason::NotSignedIn);
    assert_eq!(reason(asker.sign_in(&alice).await), RefusedReason::BadProof);
    assert_eq!(asker.ask(fetch(account)).await, Answer::Bundles(Vec::new()));
    let back = alice.next(&revoked, vec![first, second.clone()], 1, &alice.signing);
    assert_eq!(reason(asker.append(account, &back).await), RefusedReason::BadKeys);
    assert_eq!(other.ask(sign_in(&other)).await, Answer::SignedIn);
    running.shutdown().await;
}

#[tokio::test]
async fn of_two_links_in_one_place_the_first_stands_unless_the_recovery_key_signed_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (alice, asker) = (Person::seeded(1), Asker::connect(running.address()).await);
    asker.register(&alice, "").await;
    let (account, first) = (alice.account, alice.link.link().devices[0].clone());
    let ((second, second_key), (third, _)) = (alice.device(2), alice.device(3));
    let theft = alice.next(&alice.link, vec![second.clone()], 1, &alice.signing);
    let late = alice.next(&alice.link, vec![first, third.clone()], 1, &alice.signing);
    assert_eq!(asker.append(account, &theft).await, Answer::Appended);
    assert_eq!(reason(asker.append(account, &late).await), RefusedReason::OutOfDate);
    let further = alice.next(&theft, vec![second.clone()], 2, &second_key);
    assert_eq!(asker.append(account, &further).await, Answer::Appended);

    let link =
        Link { previous: Some(alice.link.hash()), version: 1, devices: vec![third], ..alice.link.link().clone() };
    let stranger = Person::seeded(9);
    let forged = link.clone().sign(Signatory::Recovery, &stranger.recovery);
    assert_eq!(reason(asker.append(account, &forged).await), RefusedReason::BadKeys);
    let taken_back = link.sign(Signatory::Recovery, &alice.recovery);
    assert_eq!(asker.append(account, &taken_back).await, Answer::Appended);
    assert_eq!(links(&asker, account).await, [alice.link.clone(), taken_back]);
    for thief in [&theft, &further] {
        assert_eq!(reason(asker.append(account, thief).await), RefusedReason::OutOfDate);
    }
    assert_eq!(reason(asker.append(stranger.account, &stranger.link).await), RefusedReason::Unknown);
    running.shutdown().await;
}

#[tokio::test]
async fn a_stolen_device_soon_waits_and_the_recovery_key_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let (alice, asker) = (Person::seeded(1), Asker::connect(running.address()).await);
    asker.register(&alice, "").await;
    let (account, devices) = (alice.account, alice.link.link().devices.clone());
    let mut head = alice.link.clone();
    loop {
        let next = alice.next(&head, devices.clone(), 1, &alice.signing);
        match Asker::connect(running.address()).await.append(account, &next).await {
            Answer::Appended => head = next,
            other => break assert_eq!(reason(other), RefusedReason::Overloaded),
        }
    }
    assert_eq!(head.link().version, BURST);
    let taken_back = alice.next(&head, vec![alice.device(5).0], 0, &alice.recovery);
    assert_eq!(asker.append(account, &taken_back).await, Answer::Appended);
    running.shutdown().await;
}

#[tokio::test]
async fn a_link_that_was_acknowledged_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let mut program = Program::start(&config);
    let alice = Person::seeded(1);
    Asker::connect(&program.address).await.register(&alice, "alice").await;
    let (account, mut chain) = (alice.account, vec![alice.link.clone()]);
    for number in 2..8 {
        let asker = Asker::connect(&program.address).await;
        let devices = vec![alice.link.link().devices[0].clone(), alice.device(number).0];
        let next = alice.next(chain.last().unwrap(), devices, 1, &alice.signing);
        assert_eq!(asker.append(account, &next).await, Answer::Appended);
        chain.push(next);
        program.kill();
        program = Program::start(&config);
        assert_eq!(links(&Asker::connect(&program.address).await, account).await, chain);
    }
}
