//! Clients against real servers in one process: what an app relies on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[path = "world/twice.rs"]
mod twice;
mod world;

use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hushwire_client::address::Fingerprint;
use hushwire_client::{
    Client, Command, DataDir, Error, Event, NewContact, Protection, Reach, Settled, Setup, Standing, State, Unlock,
    Verdict,
};
use hushwire_relay::queue::memory::MemoryQueue;
use hushwire_relay::quota::Rules;
use twice::Twice;
use world::{PATIENCE, World, phrase};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_write_to_each_other_and_see_how_far_their_messages_came() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    let to_bob = alice.add(world.handle("bob")).await;
    assert!(!to_bob.verified, "a handle is only the keyserver's word");

    let hello = alice.send(to_bob.conversation, "hello").await;
    let received = bob.receive().await;
    assert_eq!((received.text.as_str(), received.outgoing), ("hello", false));
    alice.reached(hello, State::Sent).await;

    let from_alice = bob.client.query(|engine| engine.contacts()).await.unwrap().remove(0);
    assert_eq!(from_alice.standing, Standing::Request, "strangers get no receipts");
    bob.client.command(Command::Accept(from_alice.id)).await.unwrap();
    let hi = bob.send(from_alice.conversation, "hi").await;
    assert_eq!(alice.receive().await.text, "hi");
    bob.reached(hi, State::Delivered).await;

    let again = alice.send(to_bob.conversation, "how are you?").await;
    let received = bob.receive().await;
    alice.reached(again, State::Delivered).await;
    bob.client
        .command(Command::MarkRead { conversation: from_alice.conversation, through: received.id })
        .await
        .unwrap();
    alice.reached(again, State::Read).await;
    assert_eq!(alice.texts().await, ["hello", "hi", "how are you?"]);
    assert_eq!(bob.texts().await, ["hello", "hi", "how are you?"]);

    for person in [&alice, &bob] {
        assert_eq!(person.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    }
    let digits = |number: Option<hushwire_client::SafetyNumber>| number.unwrap().digits;
    let alices = alice.client.query(move |engine| engine.safety_number(to_bob.id)).await.unwrap();
    let bobs = bob.client.query(move |engine| engine.safety_number(from_alice.id)).await.unwrap();
    assert_eq!(digits(alices), digits(bobs));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_added_by_link_is_verified() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    let link = bob.client.query(|engine| Ok(engine.contact_link())).await.unwrap();
    let contact = alice.add(NewContact::Link(link.to_string().parse().unwrap())).await;
    assert!(contact.verified);
    alice.send(contact.conversation, "by link").await;
    assert_eq!(bob.receive().await.text, "by link");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_the_relay_is_down_arrives_once_it_is_back() {
    let mut world = World::new().await;
    let (mut alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    let to_bob = alice.add(world.handle("bob")).await;
    alice.send(to_bob.conversation, "before").await;
    assert_eq!(bob.receive().await.text, "before");

    world.stop_relay().await;
    let mut reach = alice.client.connectivity();
    reach.wait_for(|now| now.relay != Reach::Online).await.unwrap();
    let during = alice.send(to_bob.conversation, "during").await;
    assert_eq!(alice.client.settle(Duration::from_millis(300)).await.unwrap(), Settled { done: false });
    let waiting = alice.client.query(|engine| engine.waiting()).await.unwrap();
    assert_eq!(waiting.first().map(|message| message.id), Some(during));

    world.start_relay();
    assert_eq!(bob.receive().await.text, "during");
    alice.reached(during, State::Sent).await;
    assert_eq!(alice.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    assert_eq!(bob.texts().await, ["before", "during"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_lost_its_disk_is_used_again() {
    let mut world = World::new().await;
    let (mut alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    let to_bob = alice.add(world.handle("bob")).await;
    alice.send(to_bob.conversation, "before").await;
    assert_eq!(bob.receive().await.text, "before");
    assert_eq!(bob.client.settle(PATIENCE).await.unwrap(), Settled { done: true });

    world.stop_relay().await;
    world.start_relay_with(MemoryQueue::new(Rules::default()));
    let mut reach = bob.client.connectivity();
    bob.client.connect().await.unwrap();
    reach.wait_for(|now| now.relay == Reach::Online && now.caught_up).await.unwrap();
    assert_eq!(bob.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    alice.send(to_bob.conversation, "after").await;
    assert_eq!(bob.receive().await.text, "after");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_never_written_to_is_reached_by_a_relay_that_lost_its_disk() {
    let mut world = World::new().await;
    let (mut alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    assert_eq!(bob.client.settle(PATIENCE).await.unwrap(), Settled { done: true });

    world.stop_relay().await;
    world.start_relay_with(MemoryQueue::new(Rules::default()));
    let mut reach = bob.client.connectivity();
    bob.client.connect().await.unwrap();
    reach.wait_for(|now| now.relay == Reach::Online && now.caught_up).await.unwrap();
    assert_eq!(bob.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    let to_bob = alice.add(world.handle("bob")).await;
    alice.send(to_bob.conversation, "the first").await;
    assert_eq!(bob.receive().await.text, "the first");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_nobody_was_there_is_all_kept_once_drained_says_so() {
    let world = World::new().await;
    let (mut alice, bob) = (world.person("alice").await, world.person("bob").await);
    bob.client.close().await.unwrap();
    let to_bob = alice.add(world.handle("bob")).await;
    let texts: Vec<_> = (0..40).map(|number| format!("message {number}")).collect();
    for text in &texts {
        alice.send(to_bob.conversation, text).await;
    }
    assert_eq!(alice.client.settle(PATIENCE).await.unwrap(), Settled { done: true });

    let bob = world.reopened("bob").await;
    assert_eq!(bob.client.drained(Duration::from_millis(50)).await.unwrap(), Settled { done: false }, "not online");
    bob.client.connect().await.unwrap();
    assert_eq!(bob.client.drained(PATIENCE).await.unwrap(), Settled { done: true });
    assert_eq!(bob.texts().await, texts);
    assert_eq!(bob.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    bob.client.close().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_arrives_twice_is_shown_once() {
    let world = World::with_queue(Twice(MemoryQueue::new(Rules::default()))).await;
    let (mut alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    let to_bob = alice.add(world.handle("bob")).await;
    for text in ["one", "two", "three"] {
        alice.send(to_bob.conversation, text).await;
        assert_eq!(bob.receive().await.text, text);
    }
    assert_eq!(alice.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    bob.client.close().await.unwrap();
    let bob = world.reopened("bob").await;
    bob.client.connect().await.unwrap();
    assert_eq!(bob.client.drained(PATIENCE).await.unwrap(), Settled { done: true });
    assert_eq!(bob.texts().await, ["one", "two", "three"]);
    world.end().await;
}

#[test]
fn who_is_cut_off_in_the_middle_again_and_again_loses_and_repeats_nothing() {
    let rest_of_the_world = tokio::runtime::Runtime::new().unwrap();
    let (world, alice, to_bob) = rest_of_the_world.block_on(async {
        let world = World::new().await;
        let (mut alice, bob) = (world.person("alice").await, world.person("bob").await);
        let to_bob = alice.add(world.handle("bob")).await.conversation;
        bob.client.close().await.unwrap();
        (world, alice, to_bob)
    });
    let texts: Vec<_> = (0..60).map(|number| format!("message {number}")).collect();
    for (round, some) in texts.chunks(10).enumerate() {
        rest_of_the_world.block_on(async {
            for text in some {
                alice.send(to_bob, text).await;
            }
        });
        let bobs_machine = tokio::runtime::Runtime::new().unwrap();
        let bob = bobs_machine.block_on(async {
            let bob = opened_when_free(&world.dir("bob")).await;
            bob.connect().await.unwrap();
            tokio::time::sleep(Duration::from_millis(7 * u64::try_from(round).unwrap())).await;
            bob
        });
        drop(bobs_machine); // no task of his takes another step
        drop(bob);
    }
    rest_of_the_world.block_on(async {
        assert_eq!(alice.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
        let bob = world.reopened("bob").await;
        bob.client.connect().await.unwrap();
        assert_eq!(bob.client.drained(PATIENCE).await.unwrap(), Settled { done: true });
        assert_eq!(bob.texts().await, texts);
        world.end().await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_stops_the_client_and_everyone_is_told() {
    let world = World::new().await;
    let alice = world.offline("alice").await;
    alice.client.close().await.unwrap();
    let mut alice = world.reopened("alice").await;
    let file = world.dir("alice").path().join("hushwire.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.iter_mut().skip(4096).for_each(|byte| *byte ^= 0x55);
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().write_all(&bytes).unwrap(); // in place
    let failed = alice.client.connect().await.unwrap_err();
    assert!(matches!(failed, Error::Store(_)), "{failed:?}");
    assert_eq!(alice.events.next().await, None);
    let command = Command::Rename(hushwire_client::ContactId(1), "x".to_owned());
    for told in [
        alice.client.command(command).await.unwrap_err(),
        alice.client.query(|engine| engine.contacts()).await.unwrap_err(),
        alice.client.settle(PATIENCE).await.unwrap_err(),
        alice.client.close().await.unwrap_err(),
    ] {
        assert_eq!(told.code(), "store", "{told:?}");
    }
    world.end().await;
}

/// Programs on small machines have one thread.
#[tokio::test]
async fn it_works_on_a_runtime_with_one_thread() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    let to_bob = alice.add(world.handle("bob")).await;
    alice.send(to_bob.conversation, "hello").await;
    assert_eq!(bob.receive().await.text, "hello");
    alice.client.close().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_and_good_bye_takes_no_longer_than_a_person_notices() {
    let world = World::new().await;
    let (mut alice, _bob) = (world.person("alice").await, world.person("bob").await);
    let to_bob = alice.add(world.handle("bob")).await;
    alice.client.close().await.unwrap();
    let began = std::time::Instant::now();
    let mut steps = Vec::new();
    let alice = world.reopened("alice").await;
    steps.push(began.elapsed());
    alice.client.connect().await.unwrap();
    alice.send(to_bob.conversation, "hello").await;
    assert_eq!(alice.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    steps.push(began.elapsed());
    assert_eq!(alice.client.drained(PATIENCE).await.unwrap(), Settled { done: true });
    steps.push(began.elapsed());
    alice.client.close().await.unwrap();
    steps.push(began.elapsed());
    println!("opened, sent, drained, closed after {steps:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{steps:?}"); // ten times what it takes on a busy machine
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_touches_the_network_before_connect_and_nothing_said_before_is_lost() {
    let world = World::new().await;
    let mut bob = world.person("bob").await;
    let before = world.relay.as_ref().unwrap().counts().accepted.load(Relaxed);
    let alice = world.offline("alice").await;
    let link = bob.client.query(|engine| Ok(engine.contact_link())).await.unwrap();
    alice.client.command(Command::AddContact { who: NewContact::Link(link), name: None }).await.unwrap();
    assert_eq!(alice.client.settle(PATIENCE).await.unwrap(), Settled { done: false });
    assert_eq!(alice.client.connectivity().borrow().relay, Reach::Offline);
    assert_eq!(world.relay.as_ref().unwrap().counts().accepted.load(Relaxed), before);

    let mut alice = alice;
    alice.client.connect().await.unwrap();
    let contact = alice.hear(|event| match event {
        Event::ContactAdded(contact) => Some(contact.conversation),
        _ => None,
    });
    let contact = contact.await;
    assert_eq!(alice.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    alice.client.close().await.unwrap();

    let alice = world.reopened("alice").await;
    alice.send(contact, "written offline").await;
    alice.client.close().await.unwrap();
    let alice = world.reopened("alice").await;
    alice.client.connect().await.unwrap();
    assert_eq!(bob.receive().await.text, "written offline");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_key_is_told_nothing() {
    let world = World::new().await;
    let other = world.relay_address.clone().with_fingerprint(Fingerprint([7; 32]));
    let setup = Setup { relay: other, ..world.setup("alice") };
    let (client, _words) = Client::create(&world.dir("alice"), Protection::KeyFile, setup).await.unwrap();
    client.connect().await.unwrap();
    let mut reach = client.connectivity();
    let said = tokio::time::timeout(PATIENCE, reach.wait_for(|now| now.last_error.is_some())).await.unwrap();
    let said = said.unwrap().last_error.clone().unwrap();
    assert!(said.contains("has another key than expected") && said.contains("ask its operator"), "{said}");
    assert_eq!(world.relay.as_ref().unwrap().counts().requests.load(Relaxed), 0);
    let findings = client.diagnose().await;
    let relay = findings.iter().find(|finding| finding.name == "relay").unwrap();
    assert_eq!(relay.verdict, Verdict::Fail);
    assert!(relay.advice.as_deref().unwrap().contains("do not go on"), "{relay:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_nobody_has_is_said_and_not_tried_again() {
    let world = World::new().await;
    let mut alice = world.person("alice").await;
    let command = Command::AddContact { who: world.handle("nobody"), name: None };
    alice.client.command(command).await.unwrap();
    let (asked, retryable) = alice
        .hear(|event| match event {
            Event::ContactNotFound { asked, retryable, .. } => Some((asked.clone(), *retryable)),
            _ => None,
        })
        .await;
    assert!(asked.starts_with("nobody@") && !retryable, "{asked}");
    assert_eq!(alice.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_open_in_one_place_at_a_time() {
    let world = World::new().await;
    let alice = world.offline("alice").await;
    let clone = alice.client.clone();
    let refused = Client::open(&world.dir("alice"), Unlock::Stored).await.unwrap_err();
    assert!(matches!(refused, Error::InUse { pid: Some(pid) } if pid == std::process::id()), "{refused:?}");
    assert!(refused.is_retryable());
    alice.client.close().await.unwrap();
    assert!(matches!(clone.query(|engine| engine.contacts()).await, Err(Error::Closed)));
    assert!(matches!(clone.connect().await, Err(Error::Closed)));
    let again = Client::create(&world.dir("alice"), Protection::KeyFile, world.setup("alice")).await;
    assert!(matches!(again, Err(Error::AccountExists { .. })));
    world.reopened("alice").await.client.close().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_dropped_frees_its_directory() {
    let world = World::new().await;
    drop(world.person("alice").await);
    let _alice = opened_when_free(&world.dir("alice")).await;
    world.end().await;
}

async fn opened_when_free(dir: &DataDir) -> Client {
    let opened = tokio::time::timeout(PATIENCE, async {
        loop {
            match Client::open(dir, Unlock::Stored).await {
                Err(Error::InUse { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                other => return other.unwrap(),
            }
        }
    });
    opened.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_passphrase_opens_nothing_and_a_changed_one_opens_the_same_account() {
    let world = World::new().await;
    let dir = world.dir("alice");
    let protection = Protection::Passphrase(phrase("old"));
    let (client, _words) = Client::create(&dir, protection, world.setup("alice")).await.unwrap();
    let account = client.query(|engine| engine.profile()).await.unwrap().account;
    let wrong = client.protect(Unlock::Passphrase(phrase("wrong")), Protection::KeyFile).await;
    assert!(matches!(wrong, Err(Error::WrongPassphrase)));
    client.protect(Unlock::Passphrase(phrase("old")), Protection::Passphrase(phrase("new"))).await.unwrap();
    client.close().await.unwrap();
    for (unlock, needs_unlock) in [(Unlock::Passphrase(phrase("old")), true), (Unlock::Stored, true)] {
        let refused = Client::open(&dir, unlock).await.unwrap_err();
        assert_eq!(refused.needs_unlock(), needs_unlock, "{refused:?}");
    }
    let client = Client::open(&dir, Unlock::Passphrase(phrase("new"))).await.unwrap();
    assert_eq!(client.query(|engine| engine.profile()).await.unwrap().account, account);
    world.end().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_can_read_what_an_account_writes() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    let alice = world.person("alice").await;
    let dir = world.dir("alice");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.path()), 0o700);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    alice.client.close().await.unwrap();
    std::fs::set_permissions(dir.path().join("hushwire.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = Client::open(&dir, Unlock::Stored).await.unwrap_err();
    assert!(matches!(refused, Error::TooOpen { mode: 0o644, .. }), "{refused:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_client_is_found_to_be_one() {
    let world = World::new().await;
    let alice = world.person("alice").await;
    assert_eq!(alice.client.settle(PATIENCE).await.unwrap(), Settled { done: true });
    let findings = alice.client.diagnose().await;
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["database", "account", "prekeys", "outbox", "relay", "keyserver", "clock"]);
    for finding in findings {
        assert_eq!((finding.verdict, finding.advice.as_deref()), (Verdict::Ok, None), "{}", finding.detail);
    }
    world.end().await;
}
