//! Each one-time key is given out exactly once: to many who ask at the same time, and across a SIGKILL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use common::{Asker, Person, Program, UNBOUND, UNBOUND_LINES, configure, fetch, init, operated};
use hushwire_keyserver::{Operation, Registration};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::AccountId;
use hushwire_proto::keyserver::{Answer, Bundle};
use tokio::task::JoinSet;

/// One-time keys of each kind that a person publishes: one publication.
const KEYS: u32 = 6;
/// What one account gives out at once.
const FETCHES: u32 = 6;
/// With these, over a thousand keys of each kind.
const PEOPLE: u64 = 168;
const ASKERS: usize = 64;
const CONNECTIONS: usize = 8;

/// How long an answer may take that will never come, because its keyserver was killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Account, whether Kyber, id.
type Given = (AccountId, bool, u32);

/// The one-time keys of a bundle; every signature in it is checked.
fn given(person: &Person, bundle: &Bundle) -> Vec<Given> {
    person.verify(bundle);
    let kyber = (bundle.kyber.id != 2).then_some((person.account, true, bundle.kyber.id));
    bundle.one_time.iter().map(|key| (person.account, false, key.id)).chain(kyber).collect()
}

async fn people(address: &ServerAddress, count: u64, keys: u32) -> Vec<Person> {
    let mut people = Vec::new();
    for seed in 1..=count {
        let (mut person, asker) = (Person::seeded(seed), Asker::connect(address).await);
        assert_eq!(asker.register(&person, "").await, Answer::Registered);
        asker.publish(person.prekeys(100..100 + keys)).await;
        people.push(person);
    }
    people
}

/// Many fetches at the same time, `per_person` of each person; what came back. Counts answers in `answered` as they come.
async fn ask_all(
    address: &ServerAddress,
    people: &[Person],
    per_person: u32,
    answered: Arc<AtomicUsize>,
) -> Vec<(AccountId, Bundle)> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Asker::connect(address).await);
    }
    let todo: Vec<AccountId> = (0..per_person).flat_map(|_| people.iter().map(|person| person.account)).collect();
    let mut askers = JoinSet::new();
    for i in 0..ASKERS {
        let (asker, answered) = (connections[i % CONNECTIONS].clone(), answered.clone());
        let mine: Vec<AccountId> = todo.iter().copied().skip(i).step_by(ASKERS).collect();
        askers.spawn(async move {
            let mut got = Vec::new();
            for account in mine {
                let Ok(answer) = asker.0.call(fetch(account).encode(), PATIENCE).await else { break };
                answered.fetch_add(1, Relaxed);
                match Answer::parse(&answer).unwrap() {
                    Answer::Bundles(bundles) => got.extend(bundles.into_iter().map(|bundle| (account, bundle))),
                    other => panic!("{other:?}"),
                }
            }
            got
        });
    }
    askers.join_all().await.into_iter().flatten().collect()
}

fn keys_in(people: &[Person], bundles: &[(AccountId, Bundle)]) -> Vec<Given> {
    let person = |account| people.iter().find(|person| person.account == account).unwrap();
    bundles.iter().flat_map(|(account, bundle)| given(person(*account), bundle)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_one_time_key_is_given_out_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    let operation = Operation { rates: UNBOUND, ..Operation::default() };
    let running = operated(dir.path(), Registration::Open, operation).await;
    let people = people(running.address(), PEOPLE, KEYS).await;
    let asked = usize::try_from(PEOPLE).unwrap() * FETCHES as usize;
    let bundles = ask_all(running.address(), &people, FETCHES, Arc::default()).await;
    assert_eq!(bundles.len(), asked);
    let given = keys_in(&people, &bundles);
    let distinct: BTreeSet<Given> = given.iter().copied().collect();
    assert_eq!(given.len(), distinct.len(), "a key was given out twice");
    assert_eq!(distinct.len(), 2 * asked, "there were keys left that were not given out");
    assert!(distinct.len() >= 2_000 && ASKERS == 64);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_one_time_key_is_given_out_exactly_once_even_if_the_keyserver_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    configure(&config, UNBOUND_LINES);

    let program = Program::start(&config);
    let people = people(&program.address, 24, 48).await;
    let (mut given, mut cut_short) = (Vec::new(), 0);
    let (mut program, per_person) = (program, FETCHES);
    for kill_after in [3, 9, 15, 21] {
        let (address, answered) = (program.address.clone(), Arc::new(AtomicUsize::new(0)));
        let asking = ask_all(&address, &people, per_person, answered.clone());
        let killing = async {
            while answered.load(Relaxed) < kill_after {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            program.kill();
        };
        let (bundles, ()) = tokio::join!(asking, killing);
        assert!(bundles.len() >= kill_after);
        cut_short += usize::from(bundles.len() < people.len() * per_person as usize);
        given.extend(keys_in(&people, &bundles));
        program = Program::start(&config);
    }
    assert!(cut_short > 0, "the keyserver was never killed in the middle");
    given.extend(keys_in(&people, &ask_all(&program.address, &people, FETCHES, Arc::default()).await));
    let distinct: BTreeSet<Given> = given.iter().copied().collect();
    assert_eq!(given.len(), distinct.len(), "a key was given out twice");
}
