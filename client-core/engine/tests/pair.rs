//! Two people, two engines, no network: what they say arrives once, in order, whatever is lost, repeated or killed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{Answer, Call, Command, CommandError, Event, Input, NewContact, State};
use hushwire_proto::limits::TEXT_BYTES_MAX;
use proptest::prelude::*;
use world::World;

#[test]
fn a_text_goes_from_queued_to_sent_to_delivered_to_read() {
    let mut world = World::seeded(1);
    let (mut alice, mut bob) = world.friends();
    let message = world.send(&mut alice, "bob", "hello");
    assert_eq!(message.state, State::Queued);
    world.relay_down = true;
    world.settle(&mut [&mut alice]);
    assert_eq!(alice.states(), [State::Queued]);
    world.relay_down = false;
    world.input(&mut alice, Input::Online);
    world.settle(&mut [&mut alice]);
    assert_eq!(alice.states(), [State::Sent]);
    world.settle(&mut [&mut bob, &mut alice]);
    assert_eq!(alice.states(), [State::Delivered]);
    assert_eq!(bob.shown(), ["hello"]);
    let read = bob.mark_all_read(bob.contact("alice").id).unwrap();
    world.command(&mut bob, read);
    world.settle(&mut [&mut bob, &mut alice]);
    assert_eq!(alice.states(), [State::Read]);
    let changes: Vec<State> = alice
        .events
        .iter()
        .filter_map(|event| match event {
            Event::StateChanged { state, .. } => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [State::Sent, State::Delivered, State::Read]);
}

#[test]
fn reading_the_last_reads_all_before_it() {
    let mut world = World::seeded(2);
    let (mut alice, mut bob) = world.friends();
    for text in ["one", "two", "three"] {
        world.send(&mut alice, "bob", text);
    }
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.contact("alice").unread, 3);
    let read = bob.mark_all_read(bob.contact("alice").id).unwrap();
    world.command(&mut bob, read);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.contact("alice").unread, 0);
    assert_eq!(alice.states(), [State::Read; 3]);
}

#[test]
fn a_conversation_goes_both_ways_and_both_see_one_order() {
    let mut world = World::seeded(3);
    let (mut alice, mut bob) = world.friends();
    for round in 0..20 {
        world.send(&mut alice, "bob", &format!("a{round}"));
        world.settle(&mut [&mut alice, &mut bob]);
        world.send(&mut bob, "alice", &format!("b{round}"));
        world.settle(&mut [&mut alice, &mut bob]);
    }
    let expected: Vec<String> = (0..20).flat_map(|round| [format!("a{round}"), format!("b{round}")]).collect();
    assert_eq!(alice.history(), expected);
    assert_eq!(bob.history(), expected);
}

#[test]
fn when_both_write_first_at_once_both_texts_arrive_and_they_go_on() {
    let mut world = World::seeded(4);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "from alice");
    world.send(&mut bob, "alice", "from bob");
    world.settle(&mut [&mut alice, &mut bob]);
    for round in 0..4 {
        world.send(&mut alice, "bob", &format!("a{round}"));
        world.send(&mut bob, "alice", &format!("b{round}"));
        world.settle(&mut [&mut alice, &mut bob]);
    }
    assert_eq!(bob.shown(), ["from alice", "a0", "a1", "a2", "a3"]);
    assert_eq!(alice.shown(), ["from bob", "b0", "b1", "b2", "b3"]);
}

#[test]
fn a_message_that_arrives_twice_is_shown_once() {
    let mut world = World::seeded(5);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "once");
    world.settle(&mut [&mut alice]);
    let envelope = world.seen.last().unwrap().clone();
    for _ in 0..3 {
        world.inject(bob.mailbox(), envelope.clone());
    }
    world.settle(&mut [&mut bob, &mut alice]);
    world.send(&mut alice, "bob", "twice");
    world.inject(bob.mailbox(), envelope);
    world.settle(&mut [&mut bob, &mut alice]);
    assert_eq!(bob.shown(), ["once", "twice"]);
    assert_eq!(bob.history(), ["once", "twice"]);
}

#[test]
fn a_first_message_is_opened_once_even_after_the_keyserver_ran_out_of_one_time_keys() {
    let mut world = World::seeded(6);
    let (mut alice, mut bob) = world.friends();
    for keys in world.accounts.values_mut() {
        keys.publish.one_time.clear();
        keys.publish.one_time_kyber.clear();
    }
    world.send(&mut alice, "bob", "last resort");
    world.settle(&mut [&mut alice]);
    let envelope = world.seen.last().unwrap().clone();
    world.inject(bob.mailbox(), envelope.clone());
    world.settle(&mut [&mut alice, &mut bob]);
    world.inject(bob.mailbox(), envelope);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["last resort"]);
}

#[test]
fn an_altered_or_truncated_envelope_changes_nothing_and_stops_nothing() {
    let mut world = World::seeded(7);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "before");
    world.settle(&mut [&mut alice, &mut bob]);
    world.send(&mut alice, "bob", "real");
    let (_, call) = alice.calls.iter().find(|(_, call)| matches!(call, Call::Deposit { .. })).unwrap();
    let Call::Deposit { deposit, .. } = call else { panic!() };
    for place in [0, 1, 40, 100, 300, 511] {
        let mut bytes = deposit.envelope.bytes().to_vec();
        bytes[place] ^= 0x40;
        world.inject(bob.mailbox(), hushwire_proto::envelope::Envelope::new(bytes.into()).unwrap());
    }
    world.inject(bob.mailbox(), hushwire_proto::envelope::Envelope::new(vec![0; 512].into()).unwrap());
    world.deliver(&mut bob);
    assert_eq!(bob.shown(), ["before"]);
    let dropped = bob.events.iter().filter(|event| matches!(event, Event::Undecryptable { .. })).count();
    assert_eq!(dropped, 7);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["before", "real"]);
}

#[test]
fn a_crash_after_any_step_loses_nothing_and_repeats_nothing() {
    let mut world = World::seeded(9);
    let (mut alice, mut bob) = world.friends();
    for number in 0..30 {
        world.send(&mut alice, "bob", &format!("m{number}"));
        // The deposit reached the relay, but its answer was lost with the program.
        if number % 3 == 0 {
            while let Some((_, call)) = alice.calls.pop_front() {
                let _ = world.answer(&alice, call);
            }
        }
        alice.crash();
        if number % 2 == 0 {
            world.deliver(&mut bob);
            bob.crash();
        }
    }
    world.settle(&mut [&mut alice, &mut bob]);
    let expected: Vec<String> = (0..30).map(|number| format!("m{number}")).collect();
    assert_eq!(bob.shown(), expected);
    assert_eq!(bob.history(), expected);
    assert_eq!(alice.states(), [State::Delivered; 30]);
}

#[test]
fn a_retry_goes_under_the_same_deposit_id() {
    let mut world = World::seeded(10);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "hello");
    world.settle(&mut [&mut alice, &mut bob]);
    world.send(&mut alice, "bob", "again");
    let first = deposit_ids(&alice.calls);
    alice.crash();
    world.input(&mut alice, Input::Tick);
    assert!(!first.is_empty());
    assert_eq!(deposit_ids(&alice.calls), first);
}

#[test]
fn what_was_written_while_the_relay_was_away_arrives_in_order() {
    let mut world = World::seeded(11);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "first");
    world.settle(&mut [&mut alice, &mut bob]);
    world.relay_down = true;
    for number in 0..100 {
        world.send(&mut alice, "bob", &format!("m{number}"));
    }
    world.settle(&mut [&mut alice, &mut bob]);
    assert!(alice.events.iter().any(|event| matches!(event, Event::Retrying { .. })));
    assert_eq!(alice.engine().waiting().unwrap().len(), 100);
    world.relay_down = false;
    world.wait(120_000);
    world.settle(&mut [&mut alice, &mut bob]);
    let expected: Vec<String> = std::iter::once("first".into()).chain((0..100).map(|n| format!("m{n}"))).collect();
    assert_eq!(bob.shown(), expected);
    assert!(alice.engine().waiting().unwrap().is_empty());
}

#[test]
fn a_withheld_message_shows_as_a_gap_and_late_ones_still_come() {
    let mut world = World::seeded(12);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "one");
    world.settle(&mut [&mut alice, &mut bob]);
    world.send(&mut alice, "bob", "two");
    world.settle(&mut [&mut alice]);
    let withheld = world.mailboxes.get_mut(&bob.mailbox()).unwrap().envelopes.pop().unwrap();
    world.send(&mut alice, "bob", "three");
    world.settle(&mut [&mut alice, &mut bob]);
    let author = bob.contact("alice");
    let gap = Event::Gap { conversation: author.conversation, contact: author.id, missing: 1, first: false };
    assert!(bob.events.contains(&gap));
    world.inject(bob.mailbox(), withheld.envelope);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.history(), ["one", "two", "three"]);
}

#[test]
fn reading_the_last_reads_what_came_late_and_stands_before_it() {
    let mut world = World::seeded(13);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "one");
    world.settle(&mut [&mut alice, &mut bob]);
    world.send(&mut alice, "bob", "two");
    world.settle(&mut [&mut alice]);
    let late = world.mailboxes.get_mut(&bob.mailbox()).unwrap().envelopes.pop().unwrap();
    world.send(&mut alice, "bob", "three");
    world.settle(&mut [&mut alice, &mut bob]);
    world.inject(bob.mailbox(), late.envelope);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["one", "three", "two"]);
    let read = bob.mark_all_read(bob.contact("alice").id).unwrap();
    world.command(&mut bob, read);
    assert_eq!(bob.contact("alice").unread, 0);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(alice.states(), [State::Read; 3]);
}

#[test]
fn prekeys_that_do_not_verify_carry_no_message() {
    let twists: [fn(&mut hushwire_proto::keyserver::Bundle); 6] = [
        |bundle| bundle.signed_prekey.signature[5] ^= 1,
        |bundle| bundle.kyber.signature[5] ^= 1,
        |bundle| bundle.signed_prekey.key[7] ^= 1,
        |bundle| bundle.signed_prekey.key = [0; 33],
        |bundle| {
            bundle.one_time.as_mut().unwrap().key = [0; 33];
        },
        |bundle| {
            let zero = &mut bundle.one_time.as_mut().unwrap().key;
            *zero = [0; 33];
            zero[0] = 5;
        },
    ];
    for (twist, seed) in twists.into_iter().zip(20..) {
        let mut world = World::seeded(seed);
        let (mut alice, bob) = world.friends();
        world.twist = Some(twist);
        world.send(&mut alice, "bob", "secret");
        world.settle(&mut [&mut alice]);
        assert!(world.seen.is_empty(), "an envelope was made for unverified keys");
        assert!(alice.events.iter().any(|event| matches!(event, Event::Retrying { .. })));
        assert!(alice.engine().waiting().unwrap()[0].reason.is_some());
        // Once the keyserver is honest again, what waited goes out.
        world.twist = None;
        world.wait(60_000);
        let mut bob = bob;
        world.settle(&mut [&mut alice, &mut bob]);
        assert_eq!(bob.shown(), ["secret"]);
    }
}

#[test]
fn a_keyserver_that_answers_with_somebody_else_is_not_believed() {
    let mut world = World::seeded(15);
    let (mut alice, bob, mallory) = (world.person("alice"), world.person("bob"), world.person("mallory"));
    let mallory_id = mallory.engine().profile().unwrap().account;
    let bob_link = bob.engine().contact_link();
    // Under Bob's account id, the keyserver shows Mallory's device list.
    let mallorys = world.accounts[&mallory_id].links.clone();
    world.accounts.get_mut(&bob_link.account).unwrap().links = mallorys;
    world.command(&mut alice, Command::AddContact { who: NewContact::Link(bob_link), name: None });
    world.settle(&mut [&mut alice]);
    assert!(alice.engine().contacts().unwrap().is_empty());
    assert!(alice.events.iter().any(|event| matches!(event, Event::ContactNotFound { retryable: false, .. })));
}

#[test]
fn a_handle_that_moves_to_another_account_is_told_and_held_back() {
    let mut world = World::seeded(16);
    let (mut alice, bob) = world.friends();
    let mallory = world.person("mallory");
    let (bobs, mallorys) = (bob.engine().profile().unwrap().account, mallory.engine().profile().unwrap().account);
    world.accounts.get_mut(&bobs).unwrap().handle = None;
    world.accounts.get_mut(&mallorys).unwrap().handle = Some("bob".into());
    world.add(&mut alice, "bob");
    assert_eq!(alice.contact("bob").account, bobs);
    assert!(alice.events.iter().any(|event| matches!(event, Event::IdentityChanged { .. })));
}

#[test]
fn a_contact_added_by_link_is_verified_and_by_handle_is_not() {
    let mut world = World::seeded(17);
    let (mut alice, bob) = world.friends();
    assert!(!alice.contact("bob").verified);
    let link = bob.engine().contact_link();
    world.command(&mut alice, Command::AddContact { who: NewContact::Link(link), name: None });
    world.settle(&mut [&mut alice]);
    assert!(alice.contact("bob").verified);
    let (ours, theirs) = (
        alice.engine().safety_number(alice.contact("bob").id).unwrap().unwrap(),
        bob.engine().safety_number(bob.contact("alice").id).unwrap().unwrap(),
    );
    assert_eq!(ours.digits, theirs.digits);
    assert_eq!(ours.digits.len(), 60);
}

#[test]
fn a_handle_that_nobody_has_is_told() {
    let mut world = World::seeded(18);
    let mut alice = world.person("alice");
    let who = NewContact::Handle(
        hushwire_proto::address::Handle::new("nobody", world::server(4432)).unwrap(),
        world::server(4432),
    );
    world.command(&mut alice, Command::AddContact { who, name: None });
    world.settle(&mut [&mut alice]);
    assert!(alice.events.iter().any(|event| matches!(event, Event::ContactNotFound { retryable: false, .. })));
}

#[test]
fn the_relay_sees_sizes_of_classes_and_no_names_and_no_text() {
    let mut world = World::seeded(19);
    let (mut alice, mut bob) = world.friends();
    for length in [1, 10, 100, 1_000, 10_000, TEXT_BYTES_MAX] {
        world.send(&mut alice, "bob", &"secret!".repeat(length)[..length]);
        world.settle(&mut [&mut alice, &mut bob]);
    }
    let (a, b) = (alice.engine().profile().unwrap(), bob.engine().profile().unwrap());
    let needles: [&[u8]; 6] =
        [b"secret!", b"alice", b"bob", a.account.as_bytes(), b.account.as_bytes(), &alice.mailbox().0];
    for envelope in &world.seen {
        for needle in needles {
            assert!(!envelope.bytes().windows(needle.len()).any(|window| window == needle));
        }
    }
    assert_eq!(bob.history().len(), 6);
    let short: Vec<usize> = world.seen.iter().map(hushwire_proto::envelope::Envelope::len).collect();
    assert!(short.iter().filter(|size| **size == 512).count() > 4, "{short:?}");
}

#[test]
fn a_text_too_long_or_empty_is_refused_and_nothing_is_kept() {
    let mut world = World::seeded(30);
    let (mut alice, _bob) = world.friends();
    let to = alice.contact("bob").conversation;
    for text in [String::new(), "x".repeat(TEXT_BYTES_MAX + 1)] {
        let answer = world.command(&mut alice, Command::Send { to, text: text.into() });
        assert!(matches!(answer, Answer::Refused(CommandError::TextLength { .. })));
    }
    assert!(alice.history().is_empty());
}

#[test]
fn used_prekeys_are_replaced_before_they_run_out() {
    let mut world = World::seeded(31);
    let mut bob = world.person("bob");
    let bobs = bob.engine().profile().unwrap().account;
    world.accounts.get_mut(&bobs).unwrap().publish.one_time.truncate(5);
    bob.crash();
    world.settle(&mut [&mut bob]);
    assert_eq!(world.accounts[&bobs].publish.one_time.len(), 55);
    assert_eq!(bob.engine().profile().unwrap().prekeys_left, Some(55));
}

#[test]
fn a_taken_handle_is_told_and_another_one_can_be_chosen() {
    let mut world = World::seeded(32);
    let first = world.person("alice");
    for keys in world.accounts.values_mut() {
        keys.handle = Some("bob".into());
    }
    drop(first);
    let setup = hushwire_engine::Setup {
        relay: world::server(4431),
        keyserver: world::server(4432),
        handle_name: Some("bob".into()),
    };
    let store = hushwire_engine::Store::memory().unwrap();
    let (mut engine, _) = hushwire_engine::Engine::create(store, &setup, world.now, &mut world.rng).unwrap();
    let outputs = engine.handle(Input::Tick, world.now, &mut world.rng).unwrap();
    let Some(hushwire_engine::Output::Call { id, .. }) = outputs.first() else { panic!() };
    let refused = hushwire_proto::keyserver::Refused {
        reason: hushwire_proto::keyserver::RefusedReason::HandleTaken,
        detail: "taken".into(),
        retry_after_ms: 0,
    };
    let reply = Err(hushwire_engine::CallFailed::Keyserver(refused));
    let outputs = engine.handle(Input::Replied { call: *id, reply }, world.now, &mut world.rng).unwrap();
    assert!(
        outputs.iter().any(|output| matches!(output, hushwire_engine::Output::Event(Event::RegistrationFailed(_))))
    );
    let choose = Input::Command(Command::SetHandleName(Some("bobby".into())));
    let outputs = engine.handle(choose, world.now, &mut world.rng).unwrap();
    assert!(outputs.iter().any(|output| matches!(
        output,
        hushwire_engine::Output::Call { call: Call::Register { handle_name: Some(name), .. }, .. } if name == "bobby"
    )));
}

fn deposit_ids(
    calls: &std::collections::VecDeque<(hushwire_engine::CallId, Call)>,
) -> Vec<hushwire_proto::ids::DepositId> {
    calls
        .iter()
        .filter_map(|(_, call)| match call {
            Call::Deposit { deposit, .. } => Some(deposit.id),
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Each step: 0 and 1 send, 2 and 3 crash, 4 repeats an old envelope, 5 and 6 let one side work, 7 turns the relay
    /// on or off.
    #[test]
    fn whatever_happens_each_text_is_shown_once_and_in_order(
        seed in any::<u64>(),
        steps in proptest::collection::vec(0u8..8, 1..60),
    ) {
        let mut world = World::seeded(seed);
        let (mut alice, mut bob) = world.friends();
        let (mut from_alice, mut from_bob) = (Vec::new(), Vec::new());
        for (step, number) in steps.into_iter().zip(0..) {
            let text = format!("{number}");
            match step {
                0 => { world.send(&mut alice, "bob", &text); from_alice.push(text); }
                1 => { world.send(&mut bob, "alice", &text); from_bob.push(text); }
                2 => alice.crash(),
                3 => bob.crash(),
                4 => if let Some(envelope) = world.seen.first().cloned() {
                    world.inject(bob.mailbox(), envelope.clone());
                    world.inject(alice.mailbox(), envelope);
                },
                5 => world.settle(&mut [&mut alice]),
                6 => world.settle(&mut [&mut bob]),
                _ => world.relay_down = !world.relay_down,
            }
        }
        world.relay_down = false;
        world.wait(120_000);
        world.settle(&mut [&mut alice, &mut bob]);
        world.wait(120_000);
        world.settle(&mut [&mut alice, &mut bob]);
        prop_assert_eq!(bob.shown(), from_alice.clone());
        prop_assert_eq!(alice.shown(), from_bob.clone());
        prop_assert_eq!(alice.states(), vec![State::Delivered; from_alice.len()]);
        prop_assert_eq!(bob.states(), vec![State::Delivered; from_bob.len()]);
    }
}
