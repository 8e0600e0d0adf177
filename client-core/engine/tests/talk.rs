//! What people do with messages that were said, and how both sides see the same in the end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{
    Answer, Change, Command, CommandError, ContactId, Event, Input, LocalId, Message, NewText, PINS_MAX, State,
    TIMER_S_MAX,
};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::limits::TEXT_BYTES_MAX;
use world::{Person, World};

const DAY: u64 = 24 * 3600 * 1000;

/// Says it and has it answered by [`Answer::Done`].
fn done(world: &mut World, person: &mut Person, command: Command) {
    assert_eq!(world.command(person, command), Answer::Done);
}

fn refused(world: &mut World, person: &mut Person, command: Command) -> CommandError {
    match world.command(person, command) {
        Answer::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

fn last(person: &Person) -> Message {
    person.messages().pop().unwrap()
}

/// Sends, lets it arrive; its row there and here.
fn said(world: &mut World, from: &mut Person, to: &mut Person, name: &str, text: &str) -> (LocalId, LocalId) {
    let id = world.send(from, name, text).id;
    world.settle(&mut [from, to]);
    (id, last(to).id)
}

/// The relay takes back what it has not delivered yet.
fn withheld(world: &mut World, of: &Person) -> Envelope {
    world.mailboxes.get_mut(&of.mailbox()).unwrap().envelopes.pop().unwrap().envelope
}

#[test]
fn a_changed_message_says_the_new_text_on_both_sides_and_keeps_the_old_ones() {
    let mut world = World::seeded(1);
    let (mut alice, mut bob) = world.friends();
    let (mine, theirs) = said(&mut world, &mut alice, &mut bob, "bob", "meet at nien");
    for text in ["meet at nine", "meet at ten"] {
        world.wait(1000);
        done(&mut world, &mut alice, Command::Edit { message: mine, text: text.into() });
    }
    world.settle(&mut [&mut alice, &mut bob]);
    for (person, id) in [(&alice, mine), (&bob, theirs)] {
        assert_eq!(person.history(), ["meet at ten"]);
        assert_eq!(last(person).edits, 2);
        let texts = person.engine().edits_of(id).unwrap();
        assert!(texts.is_sorted());
        let texts: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["meet at nien", "meet at nine", "meet at ten"]);
    }
    let changes =
        bob.events.iter().filter(|event| matches!(event, Event::MessageChanged { change: Change::Edited, .. })).count();
    assert_eq!(changes, 2);
    assert_eq!(bob.contact("alice").unread, 1, "an edit is no message");
}

#[test]
fn nobody_changes_or_takes_back_what_somebody_else_said() {
    let mut world = World::seeded(2);
    let (mut alice, mut bob) = world.friends();
    let (_, theirs) = said(&mut world, &mut alice, &mut bob, "bob", "mine");
    let edit = Command::Edit { message: theirs, text: "yours".into() };
    assert_eq!(refused(&mut world, &mut bob, edit), CommandError::NotYours);
    assert_eq!(refused(&mut world, &mut bob, Command::TakeBack(theirs)), CommandError::NotYours);
    let nobody = Command::TakeBack(LocalId(99));
    assert_eq!(refused(&mut world, &mut bob, nobody), CommandError::NoSuchMessage);
    assert_eq!(alice.history(), ["mine"]);
}

#[test]
fn what_is_taken_back_is_gone_on_both_sides_and_stays_so() {
    let mut world = World::seeded(3);
    let (mut alice, mut bob) = world.friends();
    let (mine, theirs) = said(&mut world, &mut alice, &mut bob, "bob", "a secret");
    done(&mut world, &mut alice, Command::Edit { message: mine, text: "another secret".into() });
    done(&mut world, &mut bob, Command::React { message: theirs, emoji: Some("👍".into()) });
    done(&mut world, &mut bob, Command::Pin { message: theirs, pinned: true });
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(last(&alice).reactions, [("👍".to_owned(), 1)]);
    assert_eq!(alice.engine().pinned(last(&alice).conversation).unwrap().len(), 1);
    done(&mut world, &mut alice, Command::TakeBack(mine));
    // Bob does not know yet.
    done(&mut world, &mut bob, Command::React { message: theirs, emoji: Some("👎".into()) });
    world.settle(&mut [&mut alice, &mut bob]);
    for (person, id) in [(&alice, mine), (&bob, theirs)] {
        let message = last(person);
        assert!(message.deleted && !message.pinned && message.text.is_empty());
        assert_eq!((message.edits, message.reactions.len()), (0, 0));
        assert!(person.engine().edits_of(id).unwrap().is_empty());
        assert!(person.engine().search("secret", None, None, 10).unwrap().is_empty());
    }
    assert_eq!(refused(&mut world, &mut alice, Command::TakeBack(mine)), CommandError::TakenBack);
    let react = Command::React { message: theirs, emoji: Some("👍".into()) };
    assert_eq!(refused(&mut world, &mut bob, react), CommandError::TakenBack);
}

#[test]
fn what_is_said_about_a_message_before_it_comes_is_true_of_it_once_it_comes() {
    let mut world = World::seeded(4);
    let (mut alice, mut bob) = world.friends();
    said(&mut world, &mut alice, &mut bob, "bob", "before");
    let mut late = Vec::new();
    for text in ["wrogn", "regretted"] {
        let message = world.send(&mut alice, "bob", text).id;
        world.settle(&mut [&mut alice]);
        late.push((message, withheld(&mut world, &bob)));
    }
    done(&mut world, &mut alice, Command::Edit { message: late[0].0, text: "right".into() });
    done(&mut world, &mut alice, Command::TakeBack(late[1].0));
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.history(), ["before"]);
    for (_, envelope) in late {
        world.inject(bob.mailbox(), envelope);
    }
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.history(), ["before", "right", ""]);
    assert_eq!(bob.history(), alice.history());
    assert_eq!(bob.shown(), ["before", "right", ""]);
}

/// Who felt what about messages, as it was told; empty: we.
fn changes(person: &Person) -> Vec<(String, Change)> {
    let name =
        |by: Option<ContactId>| by.map_or_else(String::new, |by| person.engine().contact(by).unwrap().unwrap().name);
    let all = person.events.iter().filter_map(|event| match event {
        Event::MessageChanged { by, change, .. } => Some((name(*by), change.clone())),
        _ => None,
    });
    all.collect()
}

fn by(name: &str, emoji: &str) -> (String, Change) {
    (name.to_owned(), Change::Reacted(emoji.to_owned()))
}

#[test]
fn the_last_reaction_of_each_person_counts_and_can_be_taken_away() {
    let mut world = World::seeded(5);
    let (mut alice, mut bob) = world.friends();
    let (mine, theirs) = said(&mut world, &mut alice, &mut bob, "bob", "look");
    done(&mut world, &mut alice, Command::React { message: mine, emoji: Some("❤️".into()) });
    for emoji in ["👍", "❤️"] {
        done(&mut world, &mut bob, Command::React { message: theirs, emoji: Some(emoji.into()) });
    }
    world.settle(&mut [&mut alice, &mut bob]);
    for person in [&alice, &bob] {
        assert_eq!(last(person).reactions, [("❤️".to_owned(), 2)]);
    }
    let who = |person: &Person, id| -> Vec<(String, String)> {
        let all = person.engine().reactions_of(id).unwrap();
        all.into_iter().map(|reaction| (reaction.name, reaction.emoji)).collect()
    };
    let heart = |name: &str| (name.to_owned(), "❤️".to_owned());
    assert_eq!(
        (who(&alice, mine), who(&bob, theirs)),
        (vec![heart(""), heart("bob")], vec![heart("alice"), heart("")])
    );
    assert_eq!(changes(&alice)[1..], [by("bob", "👍"), by("bob", "❤️")], "and what we did ourselves comes first");
    done(&mut world, &mut bob, Command::React { message: theirs, emoji: None });
    world.settle(&mut [&mut alice, &mut bob]);
    for person in [&alice, &bob] {
        assert_eq!(last(person).reactions, [("❤️".to_owned(), 1)]);
    }
    assert_eq!(who(&alice, mine), [heart("")]);
    assert_eq!(changes(&alice).last(), Some(&("bob".to_owned(), Change::ReactionRemoved)));
}

#[test]
fn what_cannot_be_said_about_a_message_is_refused_and_nothing_leaves() {
    let mut world = World::seeded(6);
    let (mut alice, mut bob) = world.friends();
    let (message, _) = said(&mut world, &mut alice, &mut bob, "bob", "look");
    let conversation = last(&alice).conversation;
    let seen = world.seen.len();
    for emoji in [String::new(), "\u{1b}[2J".into(), "x".repeat(65)] {
        let why = refused(&mut world, &mut alice, Command::React { message, emoji: Some(emoji) });
        assert_eq!(why, CommandError::BadReaction(64));
    }
    for text in [String::new(), "x".repeat(TEXT_BYTES_MAX + 1)] {
        let why = refused(&mut world, &mut alice, Command::Edit { message, text });
        assert!(matches!(why, CommandError::TextLength { .. }));
    }
    for seconds in [0, TIMER_S_MAX + 1] {
        let why = refused(&mut world, &mut alice, Command::SetTimer { conversation, seconds: Some(seconds) });
        assert_eq!(why, CommandError::BadTimer(TIMER_S_MAX));
    }
    let draft = Some("x".repeat(TEXT_BYTES_MAX + 1));
    let why = refused(&mut world, &mut alice, Command::SetDraft { conversation, draft });
    assert!(matches!(why, CommandError::TextLength { .. }));
    let bobs = alice.contact("bob").id;
    world.command(&mut alice, Command::Block(bobs));
    assert_eq!(refused(&mut world, &mut alice, Command::TakeBack(message)), CommandError::Blocked);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(world.seen.len(), seen);
}

#[test]
fn a_forwarded_message_says_the_same_and_not_whose_it_was() {
    let mut world = World::seeded(7);
    let (mut alice, mut bob) = world.friends();
    let (_, theirs) = said(&mut world, &mut alice, &mut bob, "bob", "worth repeating");
    let to = last(&bob).conversation;
    let Answer::Queued(sent) = world.command(&mut bob, Command::Forward { message: theirs, to }) else { panic!() };
    assert!(sent.forwarded && sent.reply_to.is_none());
    world.settle(&mut [&mut alice, &mut bob]);
    let message = last(&alice);
    assert_eq!((message.text.as_str(), message.forwarded), ("worth repeating", true));
}

#[test]
fn an_answer_names_the_message_that_it_answers_and_whom_it_means() {
    let mut world = World::seeded(8);
    let (mut alice, mut bob) = world.friends();
    let (_, asked) = said(&mut world, &mut alice, &mut bob, "bob", "who brings the cake");
    let alices = bob.contact("alice");
    let text = NewText { reply_to: Some(asked), mentions: vec![alices.id], ..NewText::from("you do") };
    world.command(&mut bob, Command::Send { to: alices.conversation, text });
    world.settle(&mut [&mut alice, &mut bob]);
    let [question, answer] = alice.messages().try_into().unwrap();
    assert_eq!(answer.reply_to, Some(question.id));
    assert_eq!(answer.mentions, [alice.account()]);
}

#[test]
fn a_conversation_is_muted_put_away_and_comes_back_when_something_is_said() {
    let mut world = World::seeded(9);
    let (mut alice, mut bob) = world.friends();
    said(&mut world, &mut alice, &mut bob, "bob", "hello");
    let conversation = bob.contact("alice").conversation;
    let shown = |bob: &Person| bob.engine().conversation(conversation).unwrap().unwrap();
    let until = Some(world.now.plus(DAY));
    done(&mut world, &mut bob, Command::Mute { conversation, until });
    done(&mut world, &mut bob, Command::Archive { conversation, archived: true });
    said(&mut world, &mut alice, &mut bob, "bob", "quietly");
    assert!(shown(&bob).archived, "muted");
    assert_eq!(shown(&bob).muted_until, until);
    done(&mut world, &mut bob, Command::Mute { conversation, until: None });
    said(&mut world, &mut alice, &mut bob, "bob", "loudly");
    assert!(!shown(&bob).archived);
}

#[test]
fn a_draft_stays_until_it_is_sent_whatever_is_forwarded_there() {
    let mut world = World::seeded(10);
    let (mut alice, mut bob) = world.friends();
    let (older, _) = said(&mut world, &mut alice, &mut bob, "bob", "an older one");
    let conversation = alice.contact("bob").conversation;
    done(&mut world, &mut alice, Command::SetDraft { conversation, draft: Some("dear b".into()) });
    alice.crash();
    let draft = |alice: &Person| alice.engine().conversation(conversation).unwrap().unwrap().draft;
    assert_eq!(draft(&alice).as_deref(), Some("dear b"));
    let passed_on = world.command(&mut alice, Command::Forward { message: older, to: conversation });
    assert!(matches!(passed_on, Answer::Queued(_)), "{passed_on:?}");
    assert_eq!(draft(&alice).as_deref(), Some("dear b"));
    world.send(&mut alice, "bob", "dear bob");
    assert_eq!(draft(&alice), None);
}

#[test]
fn with_receipts_off_it_is_told_that_a_message_came_and_not_that_it_was_read() {
    let mut world = World::seeded(11);
    let (mut alice, mut bob) = world.friends();
    let conversation = bob.contact("alice").conversation;
    let read = |world: &mut World, alice: &mut Person, bob: &mut Person, text: &str| {
        said(world, alice, bob, "bob", text);
        let read = bob.mark_all_read(bob.contact("alice").id).unwrap();
        world.command(bob, read);
    };
    done(&mut world, &mut bob, Command::SetReceipts { conversation, told: false });
    read(&mut world, &mut alice, &mut bob, "one");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(alice.states(), [State::Delivered]);
    // What was to be told, and was not when they were switched off, is not told either.
    done(&mut world, &mut bob, Command::SetReceipts { conversation, told: true });
    read(&mut world, &mut alice, &mut bob, "two");
    done(&mut world, &mut bob, Command::SetReceipts { conversation, told: false });
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(alice.states(), [State::Delivered; 2]);
    done(&mut world, &mut bob, Command::SetReceipts { conversation, told: true });
    read(&mut world, &mut alice, &mut bob, "three");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(alice.states(), [State::Read; 3]);
}

#[test]
fn words_are_found_whatever_else_is_typed() {
    let mut world = World::seeded(12);
    let (mut alice, mut bob) = world.friends();
    for text in ["the Café at noon", "cafeteria \"closed\"", "nothing here"] {
        world.send(&mut alice, "bob", text);
    }
    world.settle(&mut [&mut alice, &mut bob]);
    let found = |question: &str| -> Vec<String> {
        let found = bob.engine().search(question, None, None, 10).unwrap();
        found.into_iter().map(|message| message.text).collect()
    };
    assert_eq!(found("cafe"), ["cafeteria \"closed\"", "the Café at noon"]);
    assert_eq!(found("noon caf"), ["the Café at noon"]);
    assert_eq!(found("cafe AT"), ["the Café at noon"]);
    assert_eq!(found("\"closed"), ["cafeteria \"closed\""]);
    for typed in ["", "\"", "*", "NEAR(", "text:", "a OR", "(", "--", "\0", "cafe NOT", "^", "{a b}: c"] {
        found(typed);
    }
    let conversation = bob.contact("alice").conversation;
    let newest = bob.engine().search("cafe", Some(conversation), None, 1).unwrap().pop().unwrap();
    let older = bob.engine().search("cafe", Some(conversation), Some(newest.id), 10).unwrap();
    assert_eq!(older.len(), 1);
    assert_eq!(older[0].text, "the Café at noon");
}

#[test]
fn what_was_said_before_an_edit_is_not_found_any_more_and_what_it_says_now_is() {
    let mut world = World::seeded(13);
    let (mut alice, mut bob) = world.friends();
    let (mine, _) = said(&mut world, &mut alice, &mut bob, "bob", "tuesday");
    done(&mut world, &mut alice, Command::Edit { message: mine, text: "wednesday".into() });
    world.settle(&mut [&mut alice, &mut bob]);
    for person in [&alice, &bob] {
        assert!(person.engine().search("tuesday", None, None, 10).unwrap().is_empty());
        assert_eq!(person.engine().search("wednesday", None, None, 10).unwrap().len(), 1);
    }
}

#[test]
fn edits_that_come_twice_or_in_another_order_leave_the_newest() {
    let mut world = World::seeded(14);
    let (mut alice, mut bob) = world.friends();
    let (mine, _) = said(&mut world, &mut alice, &mut bob, "bob", "one");
    let mut envelopes = Vec::new();
    for text in ["two", "three"] {
        done(&mut world, &mut alice, Command::Edit { message: mine, text: text.into() });
        world.settle(&mut [&mut alice]);
        envelopes.push(withheld(&mut world, &bob));
    }
    for envelope in envelopes.iter().rev().chain(&envelopes) {
        world.inject(bob.mailbox(), envelope.clone());
        world.settle(&mut [&mut bob, &mut alice]);
    }
    assert_eq!(bob.history(), ["three"]);
    assert_eq!(last(&bob).edits, 2);
}

#[test]
fn at_each_hop_it_is_told_what_a_message_waits_for() {
    let mut world = World::seeded(15);
    let (mut alice, mut bob) = world.friends();
    world.keyserver_down = true;
    let message = world.send(&mut alice, "bob", "on its way").id;
    world.settle(&mut [&mut alice]);
    let at = |alice: &Person| alice.engine().explain(message).unwrap().unwrap();
    let sealing = at(&alice).sealing.unwrap();
    assert_eq!(sealing.without_session, [bob.device()]);
    assert!(sealing.attempts > 0 && sealing.reason.is_some() && sealing.next_try.is_some());
    assert!(at(&alice).envelopes.is_empty());
    (world.keyserver_down, world.relay_down) = (false, true);
    world.input(&mut alice, Input::Online);
    world.settle(&mut [&mut alice]);
    let second = world.send(&mut alice, "bob", "behind it").id;
    world.settle(&mut [&mut alice]);
    let journey = at(&alice);
    assert_eq!((journey.state, journey.sealing), (State::Queued, None));
    let [envelope] = journey.envelopes.try_into().unwrap();
    assert_eq!((envelope.device, envelope.behind), (Some(bob.device()), 0));
    assert!(envelope.attempts > 0 && envelope.reason.is_some() && envelope.next_try.is_some());
    assert_eq!(alice.engine().explain(second).unwrap().unwrap().envelopes[0].behind, 1);
    world.relay_down = false;
    world.input(&mut alice, Input::Online);
    world.settle(&mut [&mut alice]);
    assert_eq!((at(&alice).state, at(&alice).envelopes.len()), (State::Sent, 0));
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(at(&alice).state, State::Delivered);
    let theirs = bob.engine().explain(last(&bob).id).unwrap().unwrap();
    assert!(!theirs.outgoing && theirs.sealing.is_none());
    assert_eq!(bob.engine().explain(LocalId(99)).unwrap(), None);
}

#[test]
fn a_few_messages_are_pinned_at_a_time_and_it_is_shown_who_pinned_each() {
    let mut world = World::seeded(16);
    let (mut alice, mut bob) = world.friends();
    let all: Vec<_> =
        (0..8).map(|number| said(&mut world, &mut alice, &mut bob, "bob", &format!("message {number}"))).collect();
    for (mine, _) in &all[..PINS_MAX] {
        done(&mut world, &mut alice, Command::Pin { message: *mine, pinned: true });
    }
    let more = Command::Pin { message: all[PINS_MAX].0, pinned: true };
    assert_eq!(refused(&mut world, &mut alice, more.clone()), CommandError::TooManyPins(PINS_MAX));
    done(&mut world, &mut alice, Command::Pin { message: all[0].0, pinned: true });
    // Bob has not heard of them, and pins others.
    for (_, theirs) in &all[PINS_MAX..] {
        done(&mut world, &mut bob, Command::Pin { message: *theirs, pinned: true });
    }
    world.settle(&mut [&mut alice, &mut bob]);
    let pinned = |person: &Person| -> Vec<(String, String)> {
        let of = last(person).conversation;
        let all = person.engine().pinned(of).unwrap().into_iter();
        all.map(|message| (message.text, message.pinned_by.unwrap())).collect()
    };
    let (ours, theirs) = (pinned(&alice), pinned(&bob));
    assert_eq!(ours.len(), PINS_MAX, "the newest of them");
    let texts = |of: &[(String, String)]| of.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&ours), texts(&theirs), "the same on both sides");
    assert!(ours.contains(&("message 7".to_owned(), "bob".to_owned())), "{ours:?}");
    assert!(theirs.contains(&("message 7".to_owned(), String::new())), "{theirs:?}");
    let shown = alice.messages().into_iter().filter(|message| message.pinned).count();
    assert_eq!(shown, PINS_MAX);
    done(&mut world, &mut alice, Command::Pin { message: all[7].0, pinned: false });
    world.settle(&mut [&mut alice, &mut bob]);
    assert!(!texts(&pinned(&bob)).contains(&"message 7".to_owned()));
    assert_eq!(bob.engine().message(all[7].1).unwrap().unwrap().pinned_by, None);
}

#[test]
fn who_is_named_hears_of_it_in_a_conversation_that_is_muted_and_put_away() {
    let mut world = World::seeded(17);
    let (mut alice, mut bob) = world.friends();
    let of = alice.contact("bob").conversation;
    let until = Some(world.now.plus(DAY));
    done(&mut world, &mut alice, Command::Mute { conversation: of, until });
    done(&mut world, &mut alice, Command::Archive { conversation: of, archived: true });
    let shown = |alice: &Person| alice.engine().conversation(of).unwrap().unwrap();
    let to = bob.contact("alice");
    said(&mut world, &mut bob, &mut alice, "alice", "not about you");
    assert_eq!((shown(&alice).archived, shown(&alice).mentions), (true, 0));
    let text = NewText { mentions: vec![to.id], ..NewText::from("about you") };
    assert!(matches!(world.command(&mut bob, Command::Send { to: to.conversation, text }), Answer::Queued(_)));
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!((shown(&alice).archived, shown(&alice).mentions, shown(&alice).unread), (false, 1, 2));
    let read = alice.mark_all_read(alice.contact("bob").id).unwrap();
    done(&mut world, &mut alice, read);
    assert_eq!(shown(&alice).mentions, 0);
}
