//! Devices of an account: they come and go, whatever is killed in between, and whoever has the 24 words has the last word.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{
    Answer, Call, CannotJoin, Command, CommandError, Event, ListChange, Membership, RecoveryKey, Standing, State,
};
use hushwire_proto::account::{CannotChange, SignedLink};
use hushwire_proto::address::Handle;
use hushwire_proto::ids::DeviceId;
use hushwire_proto::limits::TEXT_BYTES_MAX;
use world::{Person, World, server};

const DAY: u64 = 24 * 3600 * 1000;

fn id(number: u8) -> DeviceId {
    DeviceId::new(number.into()).unwrap()
}

/// Alice's account with a second device.
fn second(world: &mut World, alice: &mut Person, name: &'static str) -> Person {
    let (mut laptop, request) = world.joins("alice", name);
    assert_eq!(world.command(alice, Command::AddDevice(Box::new(request))), Answer::Done);
    world.settle(&mut [alice]);
    world.wait(4_000);
    world.settle(&mut [&mut laptop]);
    assert_eq!(laptop.membership(), Membership::Listed);
    laptop
}

/// The links that this device has asked the keyserver to take.
fn sent(person: &Person) -> Vec<SignedLink> {
    let links = person.calls.iter().filter_map(|(_, call)| match call {
        Call::AppendLink { link, .. } => Some(link.clone()),
        _ => None,
    });
    links.collect()
}

fn changes_of_alice(person: &Person) -> Vec<ListChange> {
    let changes = person.events.iter().filter_map(|event| match event {
        Event::DevicesChanged { change, .. } => Some(change.clone()),
        _ => None,
    });
    changes.collect()
}

fn lies(person: &Person) -> usize {
    person.events.iter().filter(|event| matches!(event, Event::KeyserverLies { .. })).count()
}

#[test]
fn a_new_device_asks_is_added_by_another_one_and_sees_itself() {
    let mut world = World::seeded(1);
    let mut alice = world.person("alice");
    let (mut laptop, request) = world.joins("alice", "laptop");
    world.settle(&mut [&mut laptop]);
    assert_eq!((laptop.membership(), laptop.devices()), (Membership::Waiting, vec![1]));
    assert_eq!(laptop.engine().device_request().unwrap(), Some(request.clone()));
    let text = request.to_string();
    assert_eq!(text.parse(), Ok(request));

    assert_eq!(world.command(&mut alice, Command::AddDevice(Box::new(text.parse().unwrap()))), Answer::Done);
    world.settle(&mut [&mut alice]);
    world.wait(4_000);
    world.settle(&mut [&mut laptop]);
    for person in [&alice, &laptop] {
        assert_eq!((person.membership(), person.devices()), (Membership::Listed, vec![1, 2]));
        assert_eq!(person.engine().devices()[1].name, "laptop");
    }
    assert!(laptop.events.contains(&Event::Registered), "it has prekeys at the keyserver");
    assert_eq!(laptop.engine().device_request().unwrap(), None);
    world.wait(DAY + 1);
    world.settle(&mut [&mut alice, &mut laptop]);
    assert_eq!((lies(&alice), lies(&laptop)), (0, 0));
}

#[test]
fn what_is_written_to_an_account_reaches_each_of_its_devices_and_one_that_never_finished_holds_nothing_up() {
    let mut world = World::seeded(2);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut bob, "alice", "before");
    world.settle(&mut [&mut alice, &mut bob]);
    // A device that is listed and has published nothing, and one that has.
    let (_, request) = world.joins("alice", "never started");
    world.command(&mut alice, Command::AddDevice(Box::new(request)));
    world.settle(&mut [&mut alice]);
    let mut laptop = second(&mut world, &mut alice, "laptop");
    assert_eq!(laptop.device(), id(3));
    // Bob hears of it with the next thing that alice writes.
    world.send(&mut alice, "bob", "I have a laptop");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(changes_of_alice(&bob)[0].added, ["never started (device 2)", "laptop (device 3)"]);
    world.send(&mut bob, "alice", "for both");
    world.settle(&mut [&mut bob]);
    world.settle(&mut [&mut alice, &mut laptop, &mut bob]);
    assert!(alice.history().contains(&"for both".to_owned()));
    assert_eq!(laptop.history(), ["for both"]);
    assert!(bob.states().iter().all(|state| *state >= State::Delivered), "{:?}", bob.states());
    // The laptop knows no contacts yet; who writes is a request, and can be answered.
    let contact = laptop.only_contact();
    assert_eq!(contact.standing, Standing::Request);
    let answer = Command::Send { to: contact.conversation, text: "from the laptop".into() };
    assert!(matches!(world.command(&mut laptop, answer), Answer::Queued(_)));
    world.settle(&mut [&mut laptop, &mut bob, &mut alice]);
    assert!(bob.history().contains(&"from the laptop".to_owned()));
    assert_eq!(bob.engine().contacts().unwrap().len(), 1, "it is alice, whichever device");
    // Each goes on in its own order.
    for round in 0..3 {
        world.send(&mut bob, "alice", &format!("again {round}"));
        world.settle(&mut [&mut bob, &mut alice, &mut laptop]);
    }
    assert!(laptop.history().contains(&"again 2".to_owned()) && alice.history().contains(&"again 2".to_owned()));
    assert!(!bob.events.iter().any(|event| matches!(event, Event::Gap { .. } | Event::Undecryptable { .. })));
}

#[test]
fn of_each_device_that_a_message_is_for_it_is_told_whether_it_has_it() {
    let mut world = World::seeded(40);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut bob, "alice", "hello");
    world.settle(&mut [&mut alice, &mut bob]);
    let mut laptop = second(&mut world, &mut alice, "laptop");
    world.send(&mut alice, "bob", "I have a laptop");
    world.settle(&mut [&mut alice, &mut bob]);
    let message = world.send(&mut bob, "alice", "for both").id;
    let devices = |bob: &Person| -> Vec<Option<State>> {
        let journey = bob.engine().explain(message).unwrap().unwrap();
        assert_eq!(journey.devices.iter().map(|one| one.device).collect::<Vec<_>>(), [id(1), id(2)]);
        journey.devices.into_iter().map(|one| one.state).collect()
    };
    world.settle(&mut [&mut bob]);
    assert_eq!(devices(&bob), [None, None]);
    world.settle(&mut [&mut bob, &mut alice]);
    assert_eq!(devices(&bob), [Some(State::Delivered), None]);
    let read = alice.mark_all_read(alice.contact("bob").id).unwrap();
    world.command(&mut alice, read);
    world.settle(&mut [&mut bob, &mut alice]);
    assert_eq!(devices(&bob), [Some(State::Read), None]);
    // The laptop tells of what it has once its owner has accepted who writes.
    world.settle(&mut [&mut laptop]);
    let contact = laptop.only_contact().id;
    world.command(&mut laptop, Command::Accept(contact));
    world.settle(&mut [&mut laptop, &mut bob]);
    world.wait(10_000);
    world.settle(&mut [&mut laptop, &mut bob]);
    assert_eq!(devices(&bob), [Some(State::Read), Some(State::Delivered)]);
    assert_eq!(bob.engine().heard(message).unwrap(), [(bob.contact("alice").id, State::Read)]);
}

#[test]
fn a_revoked_device_is_refused_and_told_and_nobody_listens_to_it() {
    let mut world = World::seeded(3);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut bob, "alice", "hello");
    world.settle(&mut [&mut alice, &mut bob]);
    let mut laptop = second(&mut world, &mut alice, "laptop");
    world.send(&mut alice, "bob", "laptop");
    world.settle(&mut [&mut alice, &mut bob]);
    world.send(&mut bob, "alice", "to both");
    world.settle(&mut [&mut bob, &mut alice, &mut laptop]);

    assert_eq!(world.command(&mut laptop, Command::RevokeDevice(id(2))), Answer::Refused(CommandError::ThisDevice));
    assert_eq!(world.command(&mut alice, Command::RevokeDevice(id(2))), Answer::Done);
    world.settle(&mut [&mut alice]);
    assert_eq!(alice.devices(), [1]);

    // It signs nothing further, whatever it knows.
    assert_eq!(world.command(&mut laptop, Command::RevokeDevice(id(1))), Answer::Done);
    world.settle(&mut [&mut laptop]);
    assert!(laptop.events.iter().any(|event| matches!(event, Event::OwnDevicesNotChanged { .. })));
    assert!(laptop.events.contains(&Event::Revoked));
    assert_eq!(laptop.membership(), Membership::Revoked);
    let contact = laptop.only_contact().conversation;
    let send = Command::Send { to: contact, text: "still me".into() };
    assert_eq!(world.command(&mut laptop, send), Answer::Refused(CommandError::NotADevice));
    assert_eq!(world.accounts[&alice.account()].links.len(), 3);

    // Bob hears of it within a day, also if alice writes nothing.
    world.wait(DAY + 1);
    world.send(&mut bob, "alice", "perhaps to both");
    world.settle(&mut [&mut bob, &mut alice]);
    assert_eq!(changes_of_alice(&bob).last().unwrap().removed, ["laptop (device 2)"]);
    let before = world.mailboxes[&laptop.mailbox()].last;
    world.send(&mut bob, "alice", "to one");
    world.settle(&mut [&mut bob, &mut alice]);
    assert_eq!(world.mailboxes[&laptop.mailbox()].last, before, "nothing is written to it any more");
    assert_eq!((lies(&alice), lies(&bob)), (0, 0));
}

#[test]
fn a_device_that_was_revoked_while_it_was_away_learns_it_when_it_comes_back() {
    let mut world = World::seeded(4);
    let mut alice = world.person("alice");
    let mut laptop = second(&mut world, &mut alice, "laptop");
    world.command(&mut alice, Command::RevokeDevice(id(2)));
    world.settle(&mut [&mut alice]);
    laptop.crash();
    world.settle(&mut [&mut laptop]);
    assert_eq!((laptop.membership(), lies(&laptop)), (Membership::Revoked, 0));
    assert!(laptop.events.contains(&Event::Revoked));
}

#[test]
fn a_device_may_be_renamed_and_no_two_have_one_name() {
    let mut world = World::seeded(5);
    let mut alice = world.person("alice");
    let mut laptop = second(&mut world, &mut alice, "laptop");
    assert_eq!(world.command(&mut alice, Command::RenameDevice(id(1), "phone".into())), Answer::Done);
    world.settle(&mut [&mut alice]);
    let refused = |error: CannotChange| Answer::Refused(CommandError::Devices(error));
    let rename = |number, name: &str| Command::RenameDevice(id(number), name.to_owned());
    assert_eq!(world.command(&mut alice, rename(1, "laptop")), refused(CannotChange::NameTaken));
    assert_eq!(world.command(&mut alice, rename(1, " phone")), refused(CannotChange::BadName));
    assert_eq!(world.command(&mut alice, rename(7, "x")), refused(CannotChange::NoSuchDevice(id(7))));
    laptop.crash();
    world.settle(&mut [&mut laptop]);
    assert_eq!(laptop.engine().devices()[0].name, "phone", "the other device hears of it at its next start");
    assert_eq!(lies(&laptop), 0);
}

#[test]
fn a_crash_between_signing_and_the_answer_never_signs_a_second_link_for_the_same_place() {
    for answered in [false, true] {
        let mut world = World::seeded(6);
        let mut alice = world.person("alice");
        let (_, request) = world.joins("alice", "laptop");
        world.command(&mut alice, Command::AddDevice(Box::new(request.clone())));
        let first = sent(&alice).pop().expect("it is called at once");
        if answered {
            let (_, call) =
                alice.calls.iter().find(|(_, call)| matches!(call, Call::AppendLink { .. })).cloned().unwrap();
            world.answer(&alice, call).unwrap(); // the keyserver has it, and its answer is lost
        }
        alice.crash();
        let other = world.joins("alice", "tablet").1;
        let busy = world.command(&mut alice, Command::AddDevice(Box::new(other)));
        assert_eq!(busy, Answer::Refused(CommandError::ChangeUnderWay));
        assert_eq!(sent(&alice), std::slice::from_ref(&first), "the same bytes again");
        world.settle(&mut [&mut alice]);
        assert_eq!(world.accounts[&alice.account()].links[1..], [first]);
        assert_eq!(alice.devices(), [1, 2]);
        assert!(!alice.engine().is_changing_devices().unwrap());
    }
}

#[test]
fn of_two_devices_that_change_the_list_at_once_one_is_told_and_looks() {
    let mut world = World::seeded(7);
    let mut alice = world.person("alice");
    let mut laptop = second(&mut world, &mut alice, "laptop");
    world.command(&mut alice, Command::RenameDevice(id(1), "phone".into()));
    world.command(&mut laptop, Command::RenameDevice(id(2), "notebook".into()));
    world.settle(&mut [&mut alice, &mut laptop]);
    assert!(laptop.events.iter().any(|event| matches!(event, Event::OwnDevicesNotChanged { .. })));
    let names: Vec<String> = laptop.engine().devices().into_iter().map(|device| device.name).collect();
    assert_eq!(names, ["phone", "laptop"]);
    // And then it goes.
    assert_eq!(world.command(&mut laptop, Command::RenameDevice(id(2), "notebook".into())), Answer::Done);
    world.settle(&mut [&mut laptop]);
    assert_eq!(world.accounts[&alice.account()].links.len(), 4);
    assert_eq!((lies(&alice), lies(&laptop)), (0, 0));
}

#[test]
fn a_request_for_another_account_or_with_a_forged_proof_is_refused() {
    let mut world = World::seeded(8);
    let (mut alice, _bob) = world.friends();
    let (_, request) = world.joins("bob", "bobs");
    assert_eq!(
        world.command(&mut alice, Command::AddDevice(Box::new(request))),
        Answer::Refused(CommandError::OtherAccount)
    );
    let (_, mut request) = world.joins("alice", "laptop");
    request.device.signing_key = [7; 32];
    assert_eq!(
        world.command(&mut alice, Command::AddDevice(Box::new(request))),
        Answer::Refused(CommandError::BadRequest)
    );
    let (_, mut request) = world.joins("alice", "tablet");
    request.device.relay = "not an address".into();
    assert_eq!(
        world.command(&mut alice, Command::AddDevice(Box::new(request))),
        Answer::Refused(CommandError::BadRequest)
    );
    assert_eq!(world.accounts[&alice.account()].links.len(), 1);
}

#[test]
fn the_words_take_the_account_back_when_every_device_is_lost() {
    let mut world = World::seeded(9);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "hello");
    world.settle(&mut [&mut alice, &mut bob]);
    let number = bob.engine().safety_number(bob.contact("alice").id).unwrap();
    let (account, words) = (alice.account(), alice.words.clone());
    drop(alice);

    let wrong = RecoveryKey::generate(&mut world.rng).words().to_string();
    assert_eq!(world.recovers("alice", "wrong", &wrong).err(), Some(CannotJoin::WrongWords));
    let mut again = world.recovers("alice", "again", &words).unwrap();
    // Killed before the keyserver was asked: the link is kept, and goes out at the next start.
    again.crash();
    world.settle(&mut [&mut again]);
    assert_eq!((again.account(), again.devices(), again.membership()), (account, vec![2], Membership::Listed));
    world.add(&mut again, "bob");
    world.send(&mut again, "bob", "I lost everything");
    world.settle(&mut [&mut again, &mut bob]);
    assert_eq!(bob.shown(), ["hello", "I lost everything"]);
    let change = changes_of_alice(&bob).pop().unwrap();
    assert_eq!((change.by_recovery, change.added.len(), change.removed.len()), (true, 1, 1));
    assert_eq!(bob.engine().safety_number(bob.contact("alice").id).unwrap(), number, "the number is the same");
    world.send(&mut bob, "alice", "there you are");
    world.settle(&mut [&mut again, &mut bob]);
    assert_eq!(again.history().last().unwrap(), "there you are");
    world.wait(DAY + 1);
    world.settle(&mut [&mut again, &mut bob]);
    assert_eq!((lies(&again), lies(&bob)), (0, 0));
}

#[test]
fn a_thief_with_a_device_loses_the_account_to_the_words_wherever_they_went_on() {
    for thief_is_first in [true, false] {
        let mut world = World::seeded(10);
        let (mut alice, mut bob) = world.friends();
        world.send(&mut alice, "bob", "hello");
        world.settle(&mut [&mut alice, &mut bob]);
        let mut laptop = second(&mut world, &mut alice, "laptop");
        let words = alice.words.clone();
        let mut thief = world.stolen(&laptop, "thief");
        let mut recovered = None;
        if !thief_is_first {
            // The owner signs for the place that the thief takes a moment before.
            recovered = Some(world.recovers("alice", "recovered", &words).unwrap());
        }
        world.command(&mut thief, Command::RevokeDevice(id(1)));
        world.settle(&mut [&mut thief]);
        assert_eq!(thief.devices(), [2], "the thief has it for now");
        world.wait(DAY + 1);
        world.send(&mut bob, "alice", "are you there");
        world.settle(&mut [&mut bob]);
        let mut recovered = recovered.unwrap_or_else(|| world.recovers("alice", "recovered", &words).unwrap());
        world.settle(&mut [&mut recovered]);
        assert_eq!((recovered.devices(), recovered.membership()), (vec![3], Membership::Listed));
        // Nothing that the thief does counts any more.
        let (_, request) = world.joins("alice", "accomplice");
        for command in [
            Command::AddDevice(Box::new(request)),
            Command::RevokeDevice(id(3)),
            Command::RenameDevice(id(2), "x".into()),
        ] {
            let _ = world.command(&mut thief, command);
            thief.calls.retain(|(_, call)| matches!(call, Call::AppendLink { .. }));
            world.settle(&mut [&mut thief]);
        }
        assert_eq!(thief.membership(), Membership::Revoked);
        world.wait(DAY + 1);
        world.send(&mut bob, "alice", "and now");
        world.settle(&mut [&mut bob, &mut recovered]);
        assert!(changes_of_alice(&bob).last().unwrap().by_recovery);
        world.send(&mut bob, "alice", "only to you");
        world.settle(&mut [&mut bob, &mut recovered]);
        assert_eq!(recovered.history().last().unwrap(), "only to you");
        assert!(!thief.history().contains(&"only to you".to_owned()));
        // The owner's device, which the thief took out, and the laptop learn where they stand; no keyserver has lied.
        for person in [&mut alice, &mut laptop] {
            person.crash();
            world.settle(&mut [person]);
            assert_eq!((person.membership(), lies(person)), (Membership::Revoked, 0));
        }
        recovered.crash();
        world.settle(&mut [&mut recovered]);
        assert_eq!((lies(&recovered), lies(&bob)), (0, 0));
    }
}

#[test]
fn renewed_words_count_and_the_old_ones_do_not() {
    let mut world = World::seeded(11);
    let mut alice = world.person("alice");
    let (old, new) = (alice.words.clone(), RecoveryKey::generate(&mut world.rng));
    let wrong = Command::RenewRecovery { old: new.clone(), new: new.clone() };
    assert_eq!(world.command(&mut alice, wrong), Answer::Refused(CommandError::WrongRecoveryWords));
    let renew = Command::RenewRecovery { old: old.parse().unwrap(), new: new.clone() };
    assert_eq!(world.command(&mut alice, renew), Answer::Done);
    world.settle(&mut [&mut alice]);
    assert!(alice.engine().is_recovered_by(&new));
    assert_eq!(world.recovers("alice", "thief", &old).err(), Some(CannotJoin::WrongWords));
    let mut again = world.recovers("alice", "again", &new.words()).unwrap();
    world.settle(&mut [&mut again]);
    assert_eq!(again.membership(), Membership::Listed);
}

#[test]
fn a_keyserver_that_shows_an_older_list_of_ours_is_caught() {
    let mut world = World::seeded(12);
    let mut alice = world.person("alice");
    let before = world.accounts[&alice.account()].links.clone();
    let laptop = second(&mut world, &mut alice, "laptop");
    let account = alice.account();
    world.accounts.get_mut(&account).unwrap().links = before;
    alice.crash();
    world.settle(&mut [&mut alice]);
    assert!(lies(&alice) > 0);
    assert_eq!(alice.devices(), [1, 2]);
    drop(laptop);
}

#[test]
fn a_log_is_asked_about_anybody_and_what_was_checked_is_told() {
    let mut world = World::seeded(13);
    let (mut alice, _bob) = world.friends();
    let mut check = |name: &str| {
        let handle = Handle::new(name, server(4432)).unwrap();
        world.command(&mut alice, Command::CheckLog { handle, keyserver: server(4432) });
        world.settle(&mut [&mut alice]);
        match alice.events.pop().unwrap() {
            Event::LogChecked(report) => report,
            other => panic!("{other:?}"),
        }
    };
    use hushwire_engine::WhoInLog;
    let bob = check("bob").found.unwrap();
    assert_eq!((bob.who, bob.version, bob.devices), (WhoInLog::Contact("bob".into()), 0, vec!["device 1".to_owned()]));
    let report = check("alice");
    assert_eq!(report.found.unwrap().who, WhoInLog::Myself);
    assert!(report.own_agreed_at.is_some());
    assert!(check("nobody").found.is_none());
}

#[test]
fn a_text_that_leaves_no_room_for_the_list_of_devices_goes_without_it() {
    let mut world = World::seeded(14);
    let (mut alice, mut bob) = world.friends();
    for _ in 0..2 {
        world.send(&mut alice, "bob", "hello");
        world.send(&mut bob, "alice", "hello");
        world.settle(&mut [&mut alice, &mut bob]);
    }
    let _laptop = second(&mut world, &mut alice, "laptop");
    for number in 0..40 {
        world.command(&mut alice, Command::RenameDevice(id(1), format!("phone {number}")));
        world.settle(&mut [&mut alice]);
    }
    world.send(&mut alice, "bob", &"x".repeat(TEXT_BYTES_MAX));
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown().last().unwrap().len(), TEXT_BYTES_MAX);
    assert!(changes_of_alice(&bob).is_empty());
    world.send(&mut alice, "bob", "short");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown().last().unwrap(), "short");
}
