//! What the keyserver says of handles is proven, to a client and to an auditor, and stays so across kills.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{Asker, Person, Program, UNBOUND_LINES, configure, fetch, init, keyserver, reason};
use hushwire_keyserver::Registration;
use hushwire_log::{Seen, absent, follows, history, present, watch};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::AccountId;
use hushwire_proto::keyserver::{Answer, Bundle, Found, Proven, RefusedReason, Request, Who};
use hushwire_proto::log::{Entry, SignedRoot};

/// SIGKILLs of a keyserver that is registering, in a short run; `HUSHWIRE_KILLS` asks for more.
const KILLS: usize = 5;

async fn found(asker: &Asker, who: Who) -> Found {
    match asker.ask(Request::Lookup(who)).await {
        Answer::Found(found) => found,
        other => panic!("{other:?}"),
    }
}

/// What the log says of a handle, checked as a client would.
async fn proven(asker: &Asker, address: &ServerAddress, name: &str) -> (Entry, SignedRoot) {
    let found = found(asker, Who::Handle(name.to_owned())).await;
    let Proven { root, proof } = found.proven.unwrap();
    root.verify(address.fingerprint().unwrap()).unwrap();
    let entry = present(&root, name, &proof).unwrap();
    let head = found.links.last().unwrap();
    assert_eq!(entry, Entry { account: found.account, head: head.hash(), version: head.link().version });
    (entry, root)
}

async fn root(asker: &Asker, epoch: Option<u64>) -> SignedRoot {
    match asker.ask(Request::GetRoot { epoch }).await {
        Answer::Root(root) => root,
        other => panic!("{other:?}"),
    }
}

/// The step to an epoch, from its parts.
async fn step(asker: &Asker, epoch: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match asker.ask(Request::GetStep { epoch, offset: bytes.len() as u64 }).await {
            Answer::Step(step) if bytes.len() as u64 == step.bytes_total => break bytes,
            Answer::Step(step) => bytes.extend_from_slice(&step.part),
            other => panic!("{other:?}"),
        }
    }
}

/// Checks the log from its first epoch to its newest, as an auditor would; how many epochs.
async fn audit(asker: &Asker, address: &ServerAddress) -> u64 {
    let newest = root(asker, None).await;
    let mut before: Option<SignedRoot> = None;
    for epoch in 1..=newest.epoch {
        let after = root(asker, Some(epoch)).await;
        assert_eq!(watch(address.fingerprint().unwrap(), before.as_ref(), &after), Ok(Seen::Newer));
        let step = step(asker, epoch).await;
        follows(before.as_ref(), &after, &step).await.unwrap();
        assert!(follows(before.as_ref(), &SignedRoot { root: [7; 32], ..after.clone() }, &step).await.is_err());
        before = Some(after);
    }
    assert_eq!(before, Some(newest.clone()));
    newest.epoch
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_handle_is_proven_at_the_moment_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let running = keyserver(dir.path(), Registration::Open).await;
    let address = running.address().clone();
    let (alice, bob, asker) = (Person::seeded(1), Person::seeded(2), Asker::connect(&address).await);
    let Answer::Absent(Proven { root: before, proof }) =
        asker.ask(Request::Lookup(Who::Handle("alice".to_owned()))).await
    else {
        panic!()
    };
    before.verify(address.fingerprint().unwrap()).unwrap();
    absent(&before, "alice", &proof).unwrap();
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered);
    let (entry, first) = proven(&asker, &address, "alice").await;
    assert_eq!((entry.account, first.epoch), (alice.account, before.epoch + 1));

    asker.register(&bob, "").await; // no handle, nothing in the log
    assert_eq!(found(&asker, Who::Account(bob.account)).await.proven, None);

    // Each link is in the next answer, by whatever name, and in the history of the handle.
    let mut head = alice.link.clone();
    for version in 1..4 {
        head = alice.next(&head, head.link().devices.clone(), 1, &alice.signing);
        assert_eq!(asker.append(alice.account, &head).await, Answer::Appended);
        let (entry, root) = proven(&asker, &address, "alice").await;
        assert_eq!((entry.head, entry.version), (head.hash(), version));
        assert_eq!(watch(address.fingerprint().unwrap(), Some(&first), &root), Ok(Seen::Newer));
    }
    let Answer::History(Proven { root, proof }) =
        asker.ask(Request::GetHistory { handle_name: "alice".to_owned() }).await
    else {
        panic!()
    };
    let said = history(&root, "alice", &proof).unwrap();
    assert_eq!(said.iter().map(|said| said.entry.version).collect::<Vec<_>>(), [3, 2, 1, 0]);
    let nobody = Request::GetHistory { handle_name: "nobody".to_owned() };
    assert_eq!(reason(asker.ask(nobody).await), RefusedReason::Unknown);
    assert_eq!(reason(asker.ask(Request::GetRoot { epoch: Some(99) }).await), RefusedReason::Unknown);
    assert_eq!(reason(asker.ask(Request::GetStep { epoch: 99, offset: 0 }).await), RefusedReason::Unknown);
    assert!(audit(&asker, &address).await >= 5);
    running.shutdown().await;

    // The log does not go on under another key.
    for file in ["keyserver.crt", "keyserver.key"] {
        std::fs::remove_file(dir.path().join(file)).unwrap();
    }
    let path = dir.path().to_owned();
    assert!(tokio::spawn(async move { drop(keyserver(&path, Registration::Open).await) }).await.is_err());
}

/// One-time keys of each kind that a person publishes while the keyserver is about to be killed.
const STOCK: u32 = 3;

/// Somebody whose publication was acknowledged.
struct Stocked {
    person: Person,
    /// Fetches that were begun, and that were answered.
    asked: u32,
    answered: u32,
}

/// Registers, publishes, and fetches twice; `None` once the keyserver does not answer any more.
async fn give(
    asker: &Asker,
    mut person: Person,
    stocked: &mut Vec<Stocked>,
    given: &mut BTreeSet<(AccountId, bool, u32)>,
) -> Option<()> {
    let ask = async |request: Request| {
        let answer = asker.0.call(request.encode(), Duration::from_secs(2)).await.ok()?;
        Some(Answer::parse(&answer).unwrap())
    };
    match ask(asker.registration(&person, "")).await? {
        Answer::Registered => {}
        Answer::Refused(later) if later.reason == RefusedReason::Overloaded => {
            tokio::time::sleep(Duration::from_millis(later.retry_after_ms)).await;
            return Some(());
        }
        other => panic!("{other:?}"),
    }
    let Answer::Stock(stock) = ask(Request::Publish(person.prekeys(100..100 + STOCK))).await? else { panic!() };
    assert_eq!(stock.one_time, STOCK);
    stocked.push(Stocked { person, asked: 0, answered: 0 });
    let Stocked { person, asked, answered } = stocked.last_mut()?;
    for _ in 0..2 {
        *asked += 1;
        let Answer::Bundles(bundles) = ask(fetch(person.account)).await? else { panic!() };
        *answered += 1;
        keep(person, &bundles[0], given);
    }
    Some(())
}

fn keep(person: &Person, bundle: &Bundle, given: &mut BTreeSet<(AccountId, bool, u32)>) {
    let kyber = (bundle.kyber.id != 2).then_some((person.account, true, bundle.kyber.id));
    for key in bundle.one_time.iter().map(|key| (person.account, false, key.id)).chain(kyber) {
        assert!(given.insert(key), "given out twice: {key:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_epoch_has_two_roots_no_key_is_given_twice_and_nothing_acknowledged_is_gone_whenever_it_is_killed() {
    let kills = std::env::var("HUSHWIRE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    configure(&config, UNBOUND_LINES);
    let mut given: BTreeSet<(AccountId, bool, u32)> = BTreeSet::new();
    let mut stocked: Vec<Stocked> = Vec::new();
    let mut roots: BTreeMap<u64, [u8; 32]> = BTreeMap::new();
    let mut registered: Vec<(String, AccountId)> = Vec::new();
    for kill in 0..kills {
        let program = Program::start(&config);
        let asker = Asker::connect(&program.address).await;
        let registering = async {
            for number in 0.. {
                let person = Person::seeded(100 * kill as u64 + number);
                let name = format!("person-{kill}-{number}");
                let request = asker.registration(&person, &name);
                let Ok(answer) = asker.0.call(request.encode(), Duration::from_secs(2)).await else { break };
                match Answer::parse(&answer).unwrap() {
                    Answer::Registered => registered.push((name, person.account)),
                    Answer::Refused(later) => {
                        tokio::time::sleep(Duration::from_millis(later.retry_after_ms)).await;
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        let giving = async {
            let asker = Asker::connect(&program.address).await;
            for number in 0..100 {
                let person = Person::seeded(1_000_000 + 100 * kill as u64 + number);
                if give(&asker, person, &mut stocked, &mut given).await.is_none() {
                    break;
                }
            }
        };
        let watching = async {
            let watcher = Asker::connect(&program.address).await;
            for _ in 0..20 + 37 * kill % 100 {
                let Ok(answer) =
                    watcher.0.call(Request::GetRoot { epoch: None }.encode(), Duration::from_secs(2)).await
                else {
                    break;
                };
                if let Answer::Root(root) = Answer::parse(&answer).unwrap() {
                    assert_eq!(*roots.entry(root.epoch).or_insert(root.root), root.root, "two roots for one epoch");
                }
                tokio::time::sleep(Duration::from_millis(16)).await;
            }
            program.signal("KILL");
        };
        tokio::join!(registering, giving, watching);
        program.wait();
    }
    let program = Program::start(&config);
    let asker = Asker::connect(&program.address).await;
    for (epoch, seen) in &roots {
        assert_eq!(root(&asker, Some(*epoch)).await.root, *seen, "another root for epoch {epoch}");
    }
    for (name, account) in registered.iter().rev().take(100) {
        let other = Asker::connect(&program.address).await;
        assert_eq!(proven(&other, &program.address, name).await.0.account, *account);
    }
    for Stocked { person, asked, answered } in stocked.iter().rev().take(100) {
        let owner = Asker::connect(&program.address).await;
        assert_eq!(owner.sign_in(person).await, Answer::SignedIn);
        let Answer::Stock(stock) = owner.ask(Request::GetStock).await else { panic!() };
        assert!(
            (STOCK - asked..=STOCK - answered).contains(&stock.one_time),
            "{stock:?}: {asked} asked, {answered} came"
        );
        keep(person, &owner.bundle(person.account).await, &mut given);
    }
    println!(
        "{kills} kills: {} registered, {} epochs seen, {} one-time keys given out of {} people",
        registered.len(),
        roots.len(),
        given.len(),
        stocked.len()
    );
    assert!(given.len() >= kills, "{} one-time keys were given out", given.len());
    assert!(
        registered.len() >= kills && roots.len() > 1,
        "{} registered, {} epochs seen",
        registered.len(),
        roots.len()
    );
    let other = Asker::connect(&program.address).await;
    if roots.len() < 60 {
        assert!(audit(&other, &program.address).await >= *roots.keys().next_back().unwrap());
    }
}
