//! Evil members, and people who are none: what they do with keys, secrets and envelopes of a group.

use hushwire_engine::group::{Op, Role};
use hushwire_engine::{Command, ContactId, Event, Reason, State};
use hushwire_proto::envelope::Envelope;
use rand::RngExt as _;

use crate::group::{change, codes, heard, messages, say, settle, state, three};
use crate::world::World;
use crate::world::member::{said, saying, words};
use crate::world::wire::{
    About, Again, Content, GroupInside, GroupKey, GroupPlain, Receipt, Reference, Rewords, Said, Timer, Words,
};

#[test]
fn who_was_put_out_chooses_no_secret_and_what_they_say_is_dropped_and_told() {
    let mut world = World::seeded(220);
    let mut three = three(&mut world);
    three.mallory.speak(&mut world, &mut three.alice, &words(1, "still in"));
    assert_eq!(heard(&three.alice), ["still in"]);
    let old = three.mallory.secret.clone();
    change(&mut world, &mut three.alice, vec![Op::Remove(three.mallory.peer.account())]);
    settle(&mut world, &mut three.alice, &mut three.bob);
    three.alice.events.clear();
    three.mallory.speak(&mut world, &mut three.alice, &words(2, "I am out"));
    assert_eq!(heard(&three.alice), ["still in"]);
    assert_eq!(codes(&three.alice), [Reason::NotAllowed]);
    // She is alice's contact all the same, and tells her a key and a secret of that group.
    three.mallory.secret = vec![9; 32];
    three.mallory.give_key(&mut world, &mut three.alice);
    world.wait(1);
    let seen = world.seen.len();
    say(&mut world, &mut three.alice, "without mallory");
    settle(&mut world, &mut three.alice, &mut three.bob);
    assert_eq!(heard(&three.bob), ["without mallory"]);
    for envelope in &world.seen[seen..] {
        assert!(!three.mallory.can_open(envelope, &[9; 32]) && !three.mallory.can_open(envelope, &old));
    }
    // What she says when she pretends that there are changes to come waits, so much of it, and is not shown.
    for number in 3..100 {
        let plain = GroupPlain { heads: vec![vec![1; 32]], ..three.mallory.plain(&words(number, "hear me")) };
        three.mallory.speak_plain(&mut world, &mut three.alice, &plain);
    }
    assert_eq!(heard(&three.alice), ["still in", "without mallory"]);
    assert_eq!(codes(&three.alice).len(), 1 + 97 - 64);
}

#[test]
fn a_member_who_tells_secrets_without_end_drives_out_nobody_elses() {
    let mut world = World::seeded(221);
    let mut three = three(&mut world);
    say(&mut world, &mut three.alice, "before");
    settle(&mut world, &mut three.alice, &mut three.bob);
    let secret = three.mallory.secret.clone();
    for _ in 0..100 {
        world.wait(1);
        three.mallory.secret = world.rng.random::<[u8; 32]>().to_vec();
        three.mallory.renew(&mut world);
        three.mallory.give_key(&mut world, &mut three.bob);
    }
    settle(&mut world, &mut three.alice, &mut three.bob);
    let held = &world.mailboxes[&three.bob.mailbox()];
    assert!(held.tokens.len() <= 12, "{} doors", held.tokens.len());
    assert!(held.tokens.contains(&three.mallory.door(&secret, &three.bob).hash()));
    say(&mut world, &mut three.alice, "after");
    settle(&mut world, &mut three.alice, &mut three.bob);
    assert_eq!(heard(&three.bob), ["before", "after"]);
    say(&mut world, &mut three.bob, "and I");
    settle(&mut world, &mut three.alice, &mut three.bob);
    assert_eq!(heard(&three.alice), ["before", "after", "and I"]);
}

#[test]
fn the_secret_of_one_group_told_as_that_of_another_makes_neither_unreadable() {
    let mut world = World::seeded(222);
    let mut three = three(&mut world);
    let (first, secret) = (three.mallory.group.clone(), three.mallory.secret.clone());
    // Of the second group mallory knows before bob does.
    let members = vec![three.contact];
    world.command(&mut three.alice, Command::FoundGroup { name: "second".into(), members });
    settle(&mut world, &mut three.alice, &mut three.bob);
    three.mallory.listen(&mut world, &three.alice);
    assert_ne!(three.mallory.group, first);
    let second = three.mallory.secret.clone();
    assert_ne!(second, secret);
    three.mallory.group = first;
    three.mallory.give_key(&mut world, &mut three.bob);
    let group = three.alice.engine().conversations().unwrap().into_iter().find(|one| one.name == "second").unwrap().id;
    let ops = vec![Op::Add(three.alice.engine().new_members(&[three.alice.contact("bob").id]).unwrap())];
    world.command(&mut three.alice, Command::ChangeGroup { group, ops });
    settle(&mut world, &mut three.alice, &mut three.bob);
    world.command(&mut three.alice, Command::Send { to: group, text: "in the second".into() });
    say(&mut world, &mut three.alice, "in the first");
    settle(&mut world, &mut three.alice, &mut three.bob);
    assert_eq!(heard(&three.bob), ["in the first"]);
    let shown = three.bob.shown();
    assert!(shown.contains(&"in the second".to_owned()), "{shown:?} {:?}", codes(&three.bob));
}

#[test]
fn nobody_speaks_to_a_group_as_another_member_or_device_or_from_another_group() {
    let mut world = World::seeded(223);
    let mut three = three(&mut world);
    let mallory = &mut three.mallory;
    let plain = mallory.plain(&words(1, "it is me"));
    let honest = mallory.inside(&mut world, &plain);
    let alices = three.alice.account().0.to_vec();
    let secret = mallory.secret.clone();
    for inside in [
        GroupInside { account: alices.clone(), ..honest.clone() },
        GroupInside { device: 2, ..honest.clone() },
        GroupInside { account: vec![5; 31], ..honest.clone() },
        GroupInside { account: vec![5; 32], ..honest.clone() },
        GroupInside { account: three.bob.account().0.to_vec(), ..honest.clone() },
    ] {
        let envelope = mallory.seal(&mut world, &inside, &secret);
        world.inject(three.bob.mailbox(), envelope);
        world.settle(&mut [&mut three.bob]);
    }
    assert_eq!(codes(&three.bob).len(), 5);
    let elsewhere = GroupPlain { group: vec![8; 32], ..plain };
    mallory.speak_plain(&mut world, &mut three.bob, &elsewhere);
    assert_eq!(codes(&three.bob).len(), 6);
    assert_eq!(heard(&three.bob), [""; 0]);
    // What was sealed for another is hers when it comes as hers.
    let envelope = mallory.seal(&mut world, &honest, &secret);
    world.inject(three.bob.mailbox(), envelope);
    world.settle(&mut [&mut three.bob]);
    assert_eq!(heard(&three.bob), ["it is me"]);
}

#[test]
fn group_envelopes_that_are_repeated_cut_or_put_together_show_nothing_twice_and_stop_nothing() {
    let mut world = World::seeded(224);
    let mut three = three(&mut world);
    let one = three.mallory.speak(&mut world, &mut three.bob, &words(1, "one"));
    let two = three.mallory.speak(&mut world, &mut three.bob, &words(2, "two"));
    assert_eq!(heard(&three.bob), ["one", "two"]);
    three.bob.events.clear();
    for envelope in [&one, &two, &one] {
        world.inject(three.bob.mailbox(), envelope.clone());
    }
    world.settle(&mut [&mut three.bob]);
    assert_eq!(codes(&three.bob), []);
    let half = one.bytes().len() / 2;
    for bytes in [
        [&one.bytes()[..half], &two.bytes()[half..]].concat(),
        [&one.bytes()[..21], &two.bytes()[21..]].concat(),
        [&one.bytes()[..], &one.bytes()[..]].concat(),
        [&[0x11], &one.bytes()[1..]].concat(),
        vec![0x21; 512],
    ] {
        world.inject(three.bob.mailbox(), Envelope::new(bytes.into()).unwrap());
    }
    world.settle(&mut [&mut three.bob]);
    assert_eq!(codes(&three.bob), vec![Reason::NotForUs; 5]);
    three.mallory.speak(&mut world, &mut three.bob, &words(3, "three"));
    assert_eq!(heard(&three.bob), ["one", "two", "three"]);
}

#[test]
fn a_member_changes_nothing_of_what_others_said_in_the_group_or_elsewhere() {
    let mut world = World::seeded(225);
    let mut three = three(&mut world);
    say(&mut world, &mut three.alice, "alice's own");
    world.send(&mut three.alice, "bob", "between us");
    settle(&mut world, &mut three.alice, &mut three.bob);
    let before = messages(&three.bob);
    let of = before[0].message_id.0.to_vec();
    let private = three.bob.messages().into_iter().find(|message| message.text == "between us").unwrap();
    let to = |id: &[u8]| Some(Reference { author: three.alice.account().0.to_vec(), message_id: id.to_vec() });
    let edit = |of: &[u8]| Rewords { of: of.to_vec(), text: "what mallory wants".into() };
    for (counter, about) in (1..).zip([
        Said { edit: Some(edit(&of)), ..Said::default() },
        Said { take_back: Some(Rewords { of: of.clone(), text: String::new() }), ..Said::default() },
        Said { edit: Some(edit(&private.message_id.0)), ..Said::default() },
        Said { react: Some(About { to: to(&private.message_id.0), emoji: "x".into() }), ..Said::default() },
        Said { pin: Some(About { to: to(&private.message_id.0), emoji: String::new() }), ..Said::default() },
    ]) {
        let base = said(counter);
        let said = Said { edit: about.edit, take_back: about.take_back, react: about.react, pin: about.pin, ..base };
        three.mallory.speak(&mut world, &mut three.bob, &saying(said));
    }
    assert_eq!(messages(&three.bob), before);
    assert_eq!(three.bob.engine().message(private.id).unwrap().unwrap(), private);
    // A timer of the group is one of its changes, and no reaction is a terminal's.
    let base = said(6);
    three.mallory.speak(&mut world, &mut three.bob, &saying(Said { timer: Some(Timer { seconds: 1 }), ..base }));
    let about = About { to: to(&of), emoji: "\u{1b}[2J".into() };
    three.mallory.speak(&mut world, &mut three.bob, &saying(Said { react: Some(about), ..said(7) }));
    assert_eq!(codes(&three.bob), [Reason::NotAllowed, Reason::Unknown]);
    assert_eq!(messages(&three.bob), before);
}

#[test]
fn who_may_only_read_says_nothing_and_neither_does_a_member_where_admins_announce() {
    let mut world = World::seeded(226);
    let mut three = three(&mut world);
    let mallorys = three.mallory.peer.account();
    let announce = vec![Op::SetRole(mallorys, Role::Admin), Op::SetRole(mallorys, Role::Member), Op::Announce(true)];
    for (counter, ops) in (1..).zip([vec![Op::SetRole(mallorys, Role::ReadOnly)], announce]) {
        change(&mut world, &mut three.alice, ops);
        settle(&mut world, &mut three.alice, &mut three.bob);
        three.bob.events.clear();
        three.mallory.speak(&mut world, &mut three.bob, &words(counter, "and yet I speak"));
        assert_eq!(codes(&three.bob), [Reason::NotAllowed]);
    }
    assert_eq!(heard(&three.bob), [""; 0]);
}

#[test]
fn receipts_to_a_group_count_for_what_was_said_there_and_of_members_only() {
    let mut world = World::seeded(227);
    let mut three = three(&mut world);
    let id = say(&mut world, &mut three.alice, "one");
    settle(&mut world, &mut three.alice, &mut three.bob);
    let receipt = |group: &[u8], delivered: Vec<u64>, read_through| Content {
        receipt: Some(Receipt { author: 1, delivered, read_through, group: group.to_vec() }),
        ..Content::default()
    };
    let group = three.mallory.group.clone();
    let before = three.alice.engine().heard(id).unwrap();
    for content in [
        receipt(&group, vec![2, 77, u64::MAX], u64::MAX),
        receipt(&[4; 32], vec![1], 1),
        Content {
            receipt: Some(Receipt { author: 9, delivered: vec![1], read_through: 1, group: group.clone() }),
            ..Content::default()
        },
    ] {
        three.mallory.tell(&mut world, &mut three.alice, &content);
    }
    assert_eq!(three.alice.engine().heard(id).unwrap(), before);
    change(&mut world, &mut three.alice, vec![Op::Remove(three.mallory.peer.account())]);
    settle(&mut world, &mut three.alice, &mut three.bob);
    three.mallory.tell(&mut world, &mut three.alice, &receipt(&group, vec![1], 1));
    assert_eq!(three.alice.engine().heard(id).unwrap(), before);
    assert!(before.iter().all(|(who, _)| *who != three.contact));
    assert_eq!(before, [(three.alice.contact("bob").id, State::Delivered)]);
}

#[test]
fn numbers_of_a_member_as_large_as_they_get_wear_nothing_out_in_a_group() {
    let mut world = World::seeded(228);
    let mut three = three(&mut world);
    let largest = i64::MAX as u64;
    for lamport in [largest, largest, u64::MAX] {
        let key = GroupKey { lamport, said_counter: largest, said_hash: vec![1; 32], ..three.mallory.key() };
        three.mallory.tell(&mut world, &mut three.bob, &Content { group_key: Some(key), ..Content::default() });
    }
    assert_eq!(codes(&three.bob), [Reason::Unknown]);
    for (counter, lamport) in [(largest, largest), (5, largest), (largest, 0)] {
        let last =
            Said { lamport, message_id: [lamport.to_be_bytes(), counter.to_be_bytes()].concat(), ..said(counter) };
        let last = Said { text: Some(Words { text: "large".into() }), ..last };
        three.mallory.speak(&mut world, &mut three.bob, &saying(last));
    }
    for text in ["one", "two"] {
        say(&mut world, &mut three.bob, text);
        settle(&mut world, &mut three.alice, &mut three.bob);
        say(&mut world, &mut three.alice, text);
        settle(&mut world, &mut three.alice, &mut three.bob);
    }
    assert_eq!(heard(&three.alice), ["one", "one", "two", "two"]);
}

#[test]
fn a_member_who_asks_again_and_again_is_answered_three_times_and_with_nothing_from_before() {
    let mut world = World::seeded(229);
    let mut three = three(&mut world);
    let (peer, contact) = crate::accepted(&mut world, &mut three.alice);
    let mut late = crate::world::member::Member::new(&mut world, peer, &three.alice);
    // Bob is away, so that it is kept to be said to him once more.
    say(&mut world, &mut three.alice, "before late came");
    world.settle(&mut [&mut three.alice]);
    let ops = vec![Op::Add(three.alice.engine().new_members(&[contact.id]).unwrap())];
    change(&mut world, &mut three.alice, ops);
    world.settle(&mut [&mut three.alice]);
    late.listen(&mut world, &three.alice);
    let again = Again { group: late.group.clone(), device: 1, asks: true };
    let content = Content { again: Some(again), ..Content::default() };
    let count = |world: &World, late: &crate::world::member::Member| {
        world.mailboxes[&late.peer.links[0].link().devices[0].mailbox].envelopes.len()
    };
    let none = count(&world, &late);
    late.tell(&mut world, &mut three.alice, &content);
    world.settle(&mut [&mut three.alice]);
    let before = count(&world, &late);
    assert_eq!(before, none, "what was said before late came is not said to late");
    say(&mut world, &mut three.alice, "after");
    world.settle(&mut [&mut three.alice]);
    let said = count(&world, &late);
    for _ in 0..20 {
        world.wait(2 * 60_000);
        // What was answered is known to the next process too.
        three.alice.crash();
        late.tell(&mut world, &mut three.alice, &content);
        world.settle(&mut [&mut three.alice]);
    }
    // Twice more a key and the one text.
    assert!(count(&world, &late) - said <= 4, "{} {said} {}", before, count(&world, &late));
    // Who is out gets nothing.
    change(&mut world, &mut three.alice, vec![Op::Remove(late.peer.account())]);
    world.wait(2 * 24 * 3600 * 1000);
    world.settle(&mut [&mut three.alice]);
    let out = count(&world, &late);
    late.tell(&mut world, &mut three.alice, &content);
    world.settle(&mut [&mut three.alice]);
    assert_eq!(count(&world, &late), out);
}

#[test]
fn who_is_blocked_is_heard_in_a_common_group_and_nowhere_else() {
    let mut world = World::seeded(230);
    let mut three = three(&mut world);
    world.command(&mut three.alice, Command::Block(three.contact));
    three.mallory.tell(&mut world, &mut three.alice, &words(2, "to you alone"));
    three.mallory.renew(&mut world);
    three.mallory.give_key(&mut world, &mut three.alice);
    three.mallory.speak(&mut world, &mut three.alice, &words(1, "to all"));
    assert_eq!(heard(&three.alice), ["to all"]);
    assert!(!three.alice.shown().contains(&"to you alone".to_owned()));
    change(&mut world, &mut three.alice, vec![Op::Remove(three.mallory.peer.account())]);
    settle(&mut world, &mut three.alice, &mut three.bob);
    three.alice.events.clear();
    three.mallory.give_key(&mut world, &mut three.alice);
    three.mallory.tell(&mut world, &mut three.alice, &words(3, "to you alone"));
    assert_eq!(three.alice.events, []);
}

#[test]
fn who_is_known_of_a_group_alone_is_a_stranger_everywhere_else() {
    let mut world = World::seeded(231);
    let mut three = three(&mut world);
    let known = |person: &crate::world::Person| {
        let all = (1..50).filter_map(|id| person.engine().contact(ContactId(id)).unwrap());
        all.filter(|contact| contact.account == three.mallory.peer.account()).map(|contact| contact.standing).next()
    };
    assert_eq!(known(&three.bob), Some(hushwire_engine::Standing::Known));
    assert_eq!(three.bob.engine().contacts().unwrap().len(), 1);
    let group = three.mallory.group.clone();
    // A key, a receipt and a question of a group in which they do not meet, and one of the two alone.
    three.mallory.group = vec![8; 32];
    let key = three.mallory.key();
    let receipt = |group: Vec<u8>| Some(Receipt { author: 1, delivered: vec![1], read_through: 1, group });
    for content in [
        Content { group_key: Some(key), ..Content::default() },
        Content { receipt: receipt(vec![8; 32]), ..Content::default() },
        Content { receipt: receipt(Vec::new()), ..Content::default() },
    ] {
        three.mallory.tell(&mut world, &mut three.bob, &content);
    }
    assert_eq!(codes(&three.bob), vec![Reason::NotAllowed; 3]);
    three.mallory.group = group;
    assert_eq!(state(&three.bob).state.members.len(), 3);
    three.mallory.tell(&mut world, &mut three.bob, &words(1, "hello"));
    assert!(three.bob.events.iter().any(|event| matches!(event, Event::ContactRequest(_))));
    assert_eq!(messages(&three.bob), []);
}
