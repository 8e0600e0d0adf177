//! Who may make an account: whoever did the work, whoever has an invite, or nobody. And what strangers may take.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use common::{Asker, Person, UNBOUND, fetch, keyserver, operated, reason};
use hushwire_keyserver::invites::Invites;
use hushwire_keyserver::{Operation, Rates, Registration};
use hushwire_proto::address::Fingerprint;
use hushwire_proto::admission::{Invite, NewAccounts, Pass, Task, Work};
use hushwire_proto::ids::{AccountId, DeviceId, UnixMillis};
use hushwire_proto::keyserver::{Answer, RefusedReason, Request, Welcome, Who};
use hushwire_proto::limits::{CALL_DEADLINE, LOOKUP_ANSWER_STEP, WORK_LIFETIME};
use hushwire_server::disk::{Disk, Space};
use rand::SeedableRng;
use rand::rngs::StdRng;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

async fn greeted(asker: &Asker) -> Welcome {
    match asker.ask(Request::Hello).await {
        Answer::Welcome(welcome) => welcome,
        other => panic!("{other:?}"),
    }
}

async fn with_pass(asker: &Asker, person: &Person, handle: &str, given: Pass) -> Answer {
    match asker.registration(person, handle) {
        Request::Register { link, handle_name, proof, .. } => {
            asker.ask(Request::Register { link, handle_name, proof, pass: given }).await
        }
        other => panic!("{other:?}"),
    }
}

fn worked(server: Fingerprint, account: AccountId, at: UnixMillis, bits: u8) -> Pass {
    Pass { work: Task::new(server, account, at).search(bits, 0, u64::MAX), invite: None }
}

fn invited(invite: &Invite) -> Pass {
    Pass { work: None, invite: Some(invite.clone()) }
}

#[tokio::test]
async fn a_new_account_costs_work_that_is_its_own_and_fresh() {
    let dir = tempfile::tempdir().unwrap();
    let operation = Operation { work_bits: 10, ..Operation::default() };
    let running = operated(dir.path(), Registration::Open, operation).await;
    let server = running.address().fingerprint().unwrap();
    let (alice, bob, asker) = (Person::seeded(1), Person::seeded(2), Asker::connect(running.address()).await);
    let Welcome { now, new_accounts, .. } = greeted(&asker).await;
    assert_eq!(new_accounts, NewAccounts::Open { work_bits: 10 });

    let good = worked(server, alice.account, now, 10);
    let stale = UnixMillis(now.0 - 2 * u64::try_from(WORK_LIFETIME.as_millis()).unwrap());
    let Work { at, nonce } = good.work.unwrap();
    let little = (0..).find(|nonce| !Work { at, nonce: *nonce }.is_enough(server, alice.account, 10, now)).unwrap();
    for bad in [
        Pass::default(),
        Pass { work: Some(Work { at, nonce: little }), invite: None },
        Pass { work: Some(Work { at: at.plus(1), nonce }), invite: None },
        worked(server, alice.account, stale, 10),
        worked(server, bob.account, now, 10),
        worked(Fingerprint([7; 32]), alice.account, now, 10),
    ] {
        // The odds that other work fits by chance are one in a thousand, and the seeds say that it does not.
        assert_eq!(reason(with_pass(&asker, &alice, "alice", bad).await), RefusedReason::WorkNeeded);
    }
    assert_eq!(with_pass(&asker, &alice, "alice", good.clone()).await, Answer::Registered);
    // It is for nobody else, and whoever is here does none any more.
    assert_eq!(reason(with_pass(&asker, &bob, "bob", good).await), RefusedReason::WorkNeeded);
    assert_eq!(with_pass(&asker, &alice, "alice", Pass::default()).await, Answer::Registered);
    running.shutdown().await;
}

#[tokio::test]
async fn an_invite_makes_one_account_also_across_a_restart_and_expires() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Invites).await;
    let asker = Asker::connect(running.address()).await;
    assert_eq!(greeted(&asker).await.new_accounts, NewAccounts::Invites);
    let (alice, bob, carol) = (Person::seeded(1), Person::seeded(2), Person::seeded(3));
    assert_eq!(reason(asker.register(&alice, "alice").await), RefusedReason::InviteNeeded);

    // Made while it runs.
    let (invites, mut rng) = (Invites::beside(&dir.path().join("data")), StdRng::seed_from_u64(1));
    let made = invites.make(2, WEEK, SystemTime::now(), &mut rng).unwrap();
    let expired = invites.make(1, Duration::ZERO, SystemTime::now(), &mut rng).unwrap();
    let files: Vec<_> =
        std::fs::read_dir(dir.path().join("data.invites")).unwrap().map(|f| f.unwrap().path()).collect();
    let kept: Vec<_> = files.iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    for bad in [&expired[0], &Invite::from_bytes([9; Invite::LEN])] {
        assert_eq!(reason(with_pass(&asker, &alice, "alice", invited(bad)).await), RefusedReason::BadInvite);
    }
    assert_eq!(with_pass(&asker, &alice, "alice", invited(&made[0])).await, Answer::Registered);
    assert_eq!(reason(with_pass(&asker, &bob, "bob", invited(&made[0])).await), RefusedReason::BadInvite);
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered); // an answer that was lost
    // A handle that is taken uses nothing up.
    assert_eq!(reason(with_pass(&asker, &bob, "alice", invited(&made[1])).await), RefusedReason::HandleTaken);
    running.shutdown().await;

    for (path, text) in kept {
        std::fs::write(path, text).unwrap(); // as if it had crashed before it removed the file
    }
    let running = keyserver(dir.path(), Registration::Invites).await;
    let asker = Asker::connect(running.address()).await;
    assert_eq!(reason(with_pass(&asker, &bob, "bob", invited(&made[0])).await), RefusedReason::BadInvite);
    assert_eq!(with_pass(&asker, &bob, "bob", invited(&made[1])).await, Answer::Registered);
    running.shutdown().await;

    // Where it is open, one stands for the work; where it is closed, for nothing.
    let operation = || Operation { work_bits: 30, ..Operation::default() };
    let made = invites.make(2, WEEK, SystemTime::now(), &mut rng).unwrap();
    let running = operated(dir.path(), Registration::Closed, operation()).await;
    let asker = Asker::connect(running.address()).await;
    assert_eq!(reason(with_pass(&asker, &carol, "", invited(&made[0])).await), RefusedReason::Closed);
    running.shutdown().await;
    let running = operated(dir.path(), Registration::Open, operation()).await;
    let asker = Asker::connect(running.address()).await;
    assert_eq!(reason(asker.register(&carol, "").await), RefusedReason::WorkNeeded);
    assert_eq!(with_pass(&asker, &carol, "", invited(&made[0])).await, Answer::Registered);
    running.shutdown().await;
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_sends_newcomers_away_and_serves_who_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(1 << 30));
    let told = free.clone();
    let disk = Disk::from_fn(move || Some(Space { total: 1 << 40, free: told.load(Relaxed) }), Some(1 << 20));
    let operation = Operation { disk, ..Operation::default() };
    let running = operated(dir.path(), Registration::Open, operation).await;
    let (mut alice, bob, asker) = (Person::seeded(1), Person::seeded(2), Asker::connect(running.address()).await);
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered);
    asker.publish(alice.prekeys(10..12)).await;
    free.store(1000, Relaxed);
    let refused = loop {
        match Asker::connect(running.address()).await.register(&bob, "bob").await {
            Answer::Refused(refused) => break refused,
            Answer::Registered => tokio::time::sleep(Duration::from_millis(10)).await,
            other => panic!("{other:?}"),
        }
    };
    let newcomer = Person::seeded(3);
    assert_eq!(reason(asker.register(&newcomer, "").await), RefusedReason::Overloaded);
    assert!(refused.reason == RefusedReason::Overloaded && refused.retry_after_ms > 0, "{refused:?}");
    let more = Request::Publish(alice.prekeys(20..21));
    assert_eq!(asker.refused(more.clone()).await, RefusedReason::Overloaded);
    assert!(asker.bundle(alice.account).await.one_time.is_some());
    free.store(1 << 30, Relaxed);
    while !matches!(asker.ask(more.clone()).await, Answer::Stock(_)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.shutdown().await;
}

#[tokio::test]
async fn one_asker_cannot_use_up_the_keys_of_an_account_nor_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let rates = Rates { requests_per_second: 1_000_000, fetches_per_hour: 60, ..Rates::default() };
    let running = operated(dir.path(), Registration::Open, Operation { rates, ..Operation::default() }).await;
    let mut owners = Vec::new();
    for seed in 1..=5 {
        let (mut person, asker) = (Person::seeded(seed), Asker::connect(running.address()).await);
        asker.register(&person, "").await;
        asker.publish(person.prekeys(100..150)).await;
        owners.push((person, asker));
    }
    let greedy = Asker::connect(running.address()).await;
    let mut with_one_time = [0; 5];
    for _ in 0..60 {
        for (i, (person, _)) in owners.iter().enumerate() {
            let bundle = greedy.bundle(person.account).await;
            assert_eq!(bundle.one_time.is_some(), bundle.kyber.id != 2);
            with_one_time[i] += u32::from(bundle.one_time.is_some());
        }
    }
    // A third of an hour's measure at once, and of each account no more than its own.
    assert!((20..=21).contains(&with_one_time.iter().sum::<u32>()), "{with_one_time:?}");
    assert!(with_one_time.iter().all(|count| *count <= 6), "{with_one_time:?}");
    let Answer::Stock(stock) = owners[0].1.ask(Request::GetStock).await else { panic!() };
    assert!(stock.one_time >= 44);
    running.shutdown().await;
}

#[tokio::test]
async fn handles_cannot_be_guessed_faster_than_the_operator_says_on_however_many_connections() {
    let dir = tempfile::tempdir().unwrap();
    let rates = Rates { lookups_per_hour: 30, ..UNBOUND };
    let running = operated(dir.path(), Registration::Open, Operation { rates, ..Operation::default() }).await;
    let mut answered = 0;
    for number in 0..30 {
        let asker = Asker::connect(running.address()).await;
        match asker.ask(Request::Lookup(Who::Handle(format!("guess{number}")))).await {
            Answer::Absent(_) => answered += 1,
            Answer::Refused(refused) => {
                assert_eq!(refused.reason, RefusedReason::Overloaded);
                assert!((1..=120_001).contains(&refused.retry_after_ms), "{refused:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answered, 10);
    running.shutdown().await;
}

/// What somebody on the line sees: lengths and times.
#[tokio::test(flavor = "multi_thread")]
async fn whether_somebody_is_here_shows_in_no_length_and_in_no_class_of_time() {
    let dir = tempfile::tempdir().unwrap();
    let running = operated(dir.path(), Registration::Open, Operation { rates: UNBOUND, ..Operation::default() }).await;
    let (mut alice, asker) = (Person::seeded(1), Asker::connect(running.address()).await);
    asker.register(&alice, "alice").await;
    asker.publish(alice.prekeys(100..150)).await;
    let account = |byte| Request::Fetch { account: AccountId([byte; 32]), devices: vec![DeviceId::FIRST] };
    let pairs = [
        (Request::Lookup(Who::Handle("alice".to_owned())), Request::Lookup(Who::Handle("nobody".to_owned()))),
        (Request::Lookup(Who::Account(alice.account)), Request::Lookup(Who::Account(AccountId([9; 32])))),
        (fetch(alice.account), account(9)),
    ];
    for (here, not_here) in pairs {
        for request in [here, not_here] {
            let began = std::time::Instant::now();
            let answer = asker.0.call(request.encode(), CALL_DEADLINE).await.unwrap();
            assert_eq!(answer.len(), LOOKUP_ANSWER_STEP, "{request:?}");
            assert!(began.elapsed() >= Duration::from_millis(20), "{request:?}");
        }
    }
    running.shutdown().await;
}
