//! New devices of contacts: what a person chose is done about them, and nothing that waits is lost.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::group::{Op, Role};
use hushwire_engine::{
    Answer, Command, ContactId, ConversationId, Event, Identity, Input, Message, Page, Policy, State, Talk,
};
use hushwire_proto::ids::DeviceId;
use world::{Person, World};

/// Alice's account with a second device, of which bob hears with what it writes.
fn laptop(world: &mut World, alice: &mut Person) -> Person {
    let (mut laptop, request) = world.joins("alice", "laptop");
    assert_eq!(world.command(alice, Command::AddDevice(Box::new(request))), Answer::Done);
    world.settle(&mut [alice]);
    world.wait(4_000);
    world.settle(&mut [&mut laptop]);
    world.add(&mut laptop, "bob");
    laptop
}

/// Friends who have written to each other; bob does that about new devices of alice.
fn friends(world: &mut World, policy: Policy) -> (Person, Person, ContactId) {
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "hello");
    world.send(&mut bob, "alice", "hello back");
    world.settle(&mut [&mut alice, &mut bob]);
    let contact = bob.contact("alice").id;
    assert_eq!(world.command(&mut bob, Command::SetPolicy(contact, Some(policy))), Answer::Done);
    (alice, bob, contact)
}

fn identity(person: &Person, contact: ContactId) -> Identity {
    person.engine().identity(contact).unwrap().unwrap()
}

fn told(person: &Person) -> Vec<Policy> {
    let told = person.events.iter().filter_map(|event| match event {
        Event::DevicesChanged { policy, .. } => Some(*policy),
        _ => None,
    });
    told.collect()
}

fn find(person: &Person, text: &str) -> Option<Message> {
    person.messages().into_iter().find(|message| message.text == text)
}

fn nothing_went_wrong(people: &[&Person]) {
    for person in people {
        let bad = |event: &&Event| matches!(event, Event::Undecryptable { .. } | Event::Gap { .. });
        assert_eq!(person.events.iter().find(bad), None, "{}", person.name);
    }
}

#[test]
fn accepted_devices_are_used_at_once_and_told_once() {
    let mut world = World::seeded(1);
    let (mut alice, mut bob, contact) = friends(&mut world, Policy::Accept);
    let mut laptop = laptop(&mut world, &mut alice);
    world.send(&mut laptop, "bob", "from the laptop");
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    assert_eq!(told(&bob), [Policy::Accept]);
    assert!(identity(&bob, contact).new.is_empty());
    assert!(!find(&bob, "from the laptop").unwrap().from_new_device);
    world.send(&mut bob, "alice", "to both");
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    assert!(find(&laptop, "to both").is_some() && find(&alice, "to both").is_some());
}

#[test]
fn what_is_held_waits_is_marked_changes_nothing_and_comes_once_a_person_agrees() {
    let mut world = World::seeded(2);
    let (mut alice, mut bob, contact) = friends(&mut world, Policy::Hold);
    let mut laptop = laptop(&mut world, &mut alice);
    let first = world.send(&mut laptop, "bob", "before");
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    world.command(&mut laptop, Command::Edit { message: first.id, text: "after".into() });
    let in_bobs = laptop.contact("bob").conversation;
    world.command(&mut laptop, Command::SetTimer { conversation: in_bobs, seconds: Some(60) });
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    assert_eq!(told(&bob), [Policy::Hold]);
    assert!(find(&bob, "before").unwrap().from_new_device);
    assert!(find(&bob, "after").is_none(), "an unknown device changes nothing");
    assert_eq!(bob.engine().conversation(bob.contact("alice").conversation).unwrap().unwrap().timer_s, None);
    assert_eq!(laptop.states(), [State::Sent], "and is told nothing");

    let seen = world.seen.len();
    let waiting = world.send(&mut bob, "alice", "is that you?");
    let read = bob.mark_all_read(contact).unwrap();
    world.command(&mut bob, read);
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    for _ in 0..2 {
        assert_eq!(world.seen.len(), seen, "nothing leaves");
        assert_eq!(find(&bob, "is that you?").unwrap().state, State::Queued);
        let journey = bob.engine().explain(waiting.id).unwrap().unwrap();
        assert_eq!(journey.held, [contact]);
        let why = bob.engine().waiting().unwrap().pop().unwrap().reason;
        assert!(why.unwrap().contains("new devices to which you have not agreed"));
        assert!(identity(&bob, contact).held);
        assert!(!bob.engine().has_work().unwrap(), "nobody need stay online for it");
        bob.crash();
        world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    }
    // What the phone says is as it always was.
    world.send(&mut alice, "bob", "it is me");
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    assert!(!find(&bob, "it is me").unwrap().from_new_device);

    assert_eq!(world.command(&mut bob, Command::AgreeToDevices(contact)), Answer::Done);
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    assert!(find(&alice, "is that you?").is_some() && find(&laptop, "is that you?").is_some());
    assert!(!find(&bob, "after").unwrap().from_new_device, "what it had said since came anew");
    assert_eq!(bob.shown().iter().filter(|text| *text == "before").count(), 1);
    assert!(laptop.states().iter().all(|state| *state >= State::Delivered), "{:?}", laptop.states());
    assert!(identity(&bob, contact).new.is_empty() && !identity(&bob, contact).held);
    assert_eq!(bob.engine().conversation(bob.contact("alice").conversation).unwrap().unwrap().timer_s, Some(60));
    nothing_went_wrong(&[&alice, &bob]);
}

#[test]
fn what_was_sealed_before_somebody_is_held_waits_for_the_relay_and_not_for_a_person() {
    let mut world = World::seeded(8);
    let (mut alice, mut bob, contact) = friends(&mut world, Policy::Hold);
    let _laptop = laptop(&mut world, &mut alice);
    world.relay_down = true;
    world.send(&mut bob, "alice", "sealed");
    world.settle(&mut [&mut bob]);
    world.relay_down = false;
    world.send(&mut alice, "bob", "I have a laptop");
    world.settle(&mut [&mut alice]);
    world.deliver(&mut bob);
    world.relay_down = true;
    world.settle(&mut [&mut bob]);
    assert!(identity(&bob, contact).held);
    world.send(&mut bob, "alice", "not sealed");
    let waiting = bob.engine().waiting().unwrap();
    let why: Vec<&str> = waiting.iter().map(|message| message.reason.as_deref().unwrap_or_default()).collect();
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(why[0].contains("no answer") && why[1].contains("have not agreed"), "{why:?}");
}

#[test]
fn what_is_blocked_is_not_shown_and_gets_nothing_while_the_other_devices_go_on() {
    let mut world = World::seeded(3);
    let (mut alice, mut bob, contact) = friends(&mut world, Policy::Block);
    let mut laptop = laptop(&mut world, &mut alice);
    world.send(&mut laptop, "bob", "from the laptop");
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    assert_eq!(told(&bob), [Policy::Block]);
    assert!(find(&bob, "from the laptop").is_none());
    let before = world.mailboxes[&laptop.mailbox()].last;
    world.send(&mut bob, "alice", "to the phone");
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    assert!(find(&alice, "to the phone").is_some());
    assert_eq!(world.mailboxes[&laptop.mailbox()].last, before);
    assert_eq!(find(&bob, "to the phone").unwrap().state, State::Delivered);
    assert_eq!(laptop.states(), [State::Sent]);
    bob.crash();
    world.command(&mut bob, Command::SetPolicy(contact, Some(Policy::Accept)));
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    assert_eq!(bob.shown().iter().filter(|text| *text == "from the laptop").count(), 1);
    world.send(&mut bob, "alice", "to both");
    world.settle(&mut [&mut alice, &mut bob, &mut laptop]);
    assert!(find(&laptop, "to both").is_some());
    nothing_went_wrong(&[&alice, &bob]);
}

#[test]
fn a_device_that_goes_before_anybody_agreed_holds_nothing_up_and_what_it_said_stays_marked() {
    let mut world = World::seeded(4);
    let (mut alice, mut bob, contact) = friends(&mut world, Policy::Hold);
    let mut thief = laptop(&mut world, &mut alice);
    world.send(&mut thief, "bob", "send me money");
    world.settle(&mut [&mut alice, &mut bob, &mut thief]);
    world.send(&mut bob, "alice", "only for you");
    world.settle(&mut [&mut alice, &mut bob]);
    assert!(find(&alice, "only for you").is_none());
    let revoke = Command::RevokeDevice(DeviceId::new(2).unwrap());
    assert_eq!(world.command(&mut alice, revoke), Answer::Done);
    world.settle(&mut [&mut alice]);
    world.send(&mut alice, "bob", "that was not me");
    world.settle(&mut [&mut alice, &mut bob]);
    world.settle(&mut [&mut alice, &mut bob, &mut thief]);
    assert!(find(&alice, "only for you").is_some());
    assert!(find(&thief, "only for you").is_none());
    assert!(find(&bob, "send me money").unwrap().from_new_device);
    let [gone] = identity(&bob, contact).new.try_into().unwrap();
    assert_eq!((gone.label.as_str(), gone.listed), ("laptop (device 2)", false));
}

#[test]
fn an_account_that_was_taken_back_waits_under_both_until_somebody_agrees() {
    for policy in [Policy::Hold, Policy::Block] {
        let mut world = World::seeded(5);
        let (alice, mut bob, contact) = friends(&mut world, policy);
        let mut new = world.recovers("alice", "new", &alice.words).unwrap();
        world.settle(&mut [&mut new]);
        world.add(&mut new, "bob");
        world.send(&mut new, "bob", "I lost my phone");
        world.settle(&mut [&mut bob, &mut new]);
        let shown = find(&bob, "I lost my phone");
        assert_eq!(shown.map(|message| message.from_new_device), (policy == Policy::Hold).then_some(true));
        let sent = world.send(&mut bob, "alice", "really?");
        world.settle(&mut [&mut bob, &mut new]);
        assert_eq!(find(&bob, "really?").unwrap().state, State::Queued, "{policy:?}");
        assert_eq!(bob.engine().explain(sent.id).unwrap().unwrap().held, [contact]);
        world.command(&mut bob, Command::AgreeToDevices(contact));
        world.settle(&mut [&mut bob, &mut new]);
        assert!(find(&new, "really?").is_some());
        assert!(!find(&bob, "I lost my phone").unwrap().from_new_device);
    }
}

#[test]
fn whom_a_person_has_verified_is_held_unless_they_say_otherwise() {
    let mut world = World::seeded(6);
    let (alice, mut bob) = world.friends();
    let contact = bob.contact("alice").id;
    let holds = |bob: &Person| identity(bob, contact).policy;
    assert_eq!((bob.engine().default_policy().unwrap(), holds(&bob)), (Policy::Accept, Policy::Accept));
    world.command(&mut bob, Command::SetVerified(contact, true));
    assert_eq!(holds(&bob), Policy::Hold);
    for (chosen, default, policy) in [
        (Some(Policy::Accept), Policy::Accept, Policy::Accept),
        (Some(Policy::Accept), Policy::Block, Policy::Accept),
        (None, Policy::Block, Policy::Block),
        (None, Policy::Accept, Policy::Hold),
        (Some(Policy::Block), Policy::Accept, Policy::Block),
    ] {
        world.command(&mut bob, Command::SetPolicy(contact, chosen));
        world.command(&mut bob, Command::SetDefaultPolicy(default));
        bob.crash();
        assert_eq!(holds(&bob), policy, "{chosen:?} {default:?}");
    }
    drop(alice);
}

/// What each says to the group is heard by each, at last.
struct Group {
    world: World,
    alice: Person,
    laptop: Person,
    bob: Person,
    carol: Person,
    of_bob: ConversationId,
    alices: ContactId,
}

/// Bob's group of him, alice, whose new devices he treats so, and carol. Alice has a new device.
fn group(seed: u64, policy: Policy) -> Group {
    let mut world = World::seeded(seed);
    let (mut alice, mut bob, alices) = friends(&mut world, policy);
    let mut carol = world.person("carol");
    world.add(&mut carol, "bob");
    world.add(&mut carol, "alice");
    world.add(&mut bob, "carol");
    world.add(&mut alice, "carol");
    let members = vec![alices, bob.contact("carol").id];
    let Answer::Group(of_bob) = world.command(&mut bob, Command::FoundGroup { name: "friends".into(), members }) else {
        panic!()
    };
    for _ in 0..3 {
        world.settle(&mut [&mut alice, &mut bob, &mut carol]);
        world.wait(60_000);
    }
    let account = alice.account();
    let promote = Command::ChangeGroup { group: of_bob, ops: vec![Op::SetRole(account, Role::Admin)] };
    assert_eq!(world.command(&mut bob, promote), Answer::Done);
    let mut laptop = laptop(&mut world, &mut alice);
    world.send(&mut laptop, "bob", "hello from the laptop");
    let mut group = Group { world, alice, laptop, bob, carol, of_bob, alices };
    group.settle();
    group
}

impl Group {
    fn settle(&mut self) {
        for _ in 0..4 {
            let Self { world, alice, laptop, bob, carol, .. } = self;
            world.settle(&mut [alice, laptop, bob, carol]);
            world.wait(60_000);
        }
    }

    fn bob_says(&mut self, text: &str) -> Message {
        let send = Command::Send { to: self.of_bob, text: text.into() };
        let Answer::Queued(message) = self.world.command(&mut self.bob, send) else { panic!() };
        self.settle();
        message
    }
}

fn heard(person: &Person) -> Vec<String> {
    let all = person.engine().history(None, Page { limit: 1000, ..Page::default() }).unwrap();
    all.into_iter().filter(|message| matches!(message.with, Talk::Group(_))).map(|message| message.text).collect()
}

#[test]
fn a_member_who_is_held_holds_up_nobody_else_and_hears_it_once_a_person_agrees() {
    let mut group = group(7, Policy::Hold);
    let said = group.bob_says("for all");
    assert_eq!(heard(&group.carol), ["for all"]);
    assert_eq!(heard(&group.alice), Vec::<String>::new());
    assert_eq!(group.bob.engine().explain(said.id).unwrap().unwrap().held, [group.alices]);
    assert!(!group.bob.engine().has_work().unwrap());
    group.world.command(&mut group.bob, Command::AgreeToDevices(group.alices));
    group.settle();
    assert_eq!(heard(&group.alice), ["for all"]);
    group.bob_says("again");
    assert_eq!(heard(&group.alice), ["for all", "again"]);
    nothing_went_wrong(&[&group.alice, &group.bob, &group.carol]);
}

#[test]
fn a_blocked_device_of_a_member_gets_no_key_and_the_group_is_what_its_changes_say() {
    let mut group = group(8, Policy::Block);
    group.bob_says("for all");
    assert_eq!((heard(&group.carol), heard(&group.alice)), (vec!["for all".to_owned()], vec!["for all".to_owned()]));
    // The laptop hears of the group from its own account's phone no more than from bob: it has no key of his.
    let at_laptop = group.laptop.engine().conversations().unwrap();
    assert!(at_laptop.iter().all(|conversation| matches!(conversation.with, Talk::Contact(_))));
    // Carol agrees to every device; what alice changes in the group counts for bob as for her.
    let at_alice = group.alice.engine().conversations().unwrap();
    let at_alice = at_alice.into_iter().find(|conversation| conversation.name == "friends").unwrap().id;
    let rename = Command::ChangeGroup { group: at_alice, ops: vec![Op::Rename("enemies".into())] };
    assert_eq!(group.world.command(&mut group.alice, rename), Answer::Done);
    group.settle();
    for person in [&group.bob, &group.carol] {
        let groups = person.engine().conversations().unwrap();
        assert!(groups.iter().any(|conversation| conversation.name == "enemies"), "{}", person.name);
    }
}

#[test]
fn a_choice_for_nobody_is_refused() {
    let mut world = World::seeded(9);
    let mut bob = world.person("bob");
    for command in [Command::SetPolicy(ContactId(77), None), Command::AgreeToDevices(ContactId(77))] {
        let answer = world.input(&mut bob, Input::Command(command));
        assert!(matches!(answer, Some(Answer::Refused(_))), "{answer:?}");
    }
}
