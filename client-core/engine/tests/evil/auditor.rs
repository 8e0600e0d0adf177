//! Keyservers that show us something else than everybody else, or nothing new: what an auditor and the clock make of it.

use hushwire_engine::{Answer, Call, CallFailed, Command, CommandError, Event, Input, Reply};
use hushwire_log::{Followed, Report, Standing};
use hushwire_proto::address::{Fingerprint, Handle, Host, ServerAddress};
use hushwire_proto::ids::LinkHash;
use hushwire_proto::keyserver::{Proven, Who};
use hushwire_proto::log::{Entry, SignedRoot, fingerprint_of};
use hushwire_proto::witness::Witnessed;

use crate::log::{added, answer, found, told};
use crate::world::{Person, World, log, peer::Peer, server};

const HOUR_MS: u64 = 3600 * 1000;

fn key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[55; 32])
}

fn auditor() -> ServerAddress {
    let fingerprint = fingerprint_of(&key().verifying_key().to_bytes());
    ServerAddress::new(Host::Domain("audit.example.org".into()), 4433).with_fingerprint(fingerprint)
}

/// The auditor's report of these roots, newest first.
fn report(world: &World, roots: &[SignedRoot]) -> Report {
    let roots: Vec<_> = roots.iter().map(|root| Witnessed::sign(root.clone(), world.now, &key())).collect();
    let followed = Followed {
        address: server(4432).to_string(),
        keyserver: log::fingerprint(),
        standing: Standing::Follows,
        epoch: roots.first().map_or(0, |root| root.root.epoch),
        roots,
        evidence: Vec::new(),
    };
    Report { auditor: key().verifying_key().to_bytes(), followed: vec![followed] }
}

/// Which question waits for the auditor.
fn question(person: &Person) -> Option<(Fingerprint, u64)> {
    person.calls.iter().find_map(|(_, call)| match call {
        Call::GetReport { keyserver, through, .. } => Some((*keyserver, *through)),
        _ => None,
    })
}

/// The auditor answers the question that waits.
fn reports(world: &mut World, person: &mut Person, reply: Result<Reply, CallFailed>) {
    let place = person.calls.iter().position(|(_, call)| matches!(call, Call::GetReport { .. })).unwrap();
    let (call, _) = person.calls.remove(place).unwrap();
    world.input(person, Input::Replied { call, reply });
}

fn says(report: &Report) -> Result<Reply, CallFailed> {
    Ok(Reply::Report(report.to_json().into()))
}

/// Alice, who has seen the newest root of the log and chose the auditor; and that root. The question waits.
fn alice(world: &mut World) -> (Person, SignedRoot) {
    let mut alice = world.person("alice");
    let absence = world.log.absence("bob");
    let root = absence.root.clone();
    answer(world, &mut alice, |_| Ok(Reply::Absent(absence)));
    assert_eq!(world.command(&mut alice, Command::AddAuditor(auditor())), Answer::Done);
    assert_eq!(question(&alice), Some((log::fingerprint(), root.epoch + 1)));
    (alice, root)
}

#[test]
fn an_auditor_that_has_seen_the_same_log_is_asked_again_after_a_day() {
    let mut world = World::seeded(80);
    let (mut alice, root) = alice(&mut world);
    let same = report(&world, std::slice::from_ref(&root));
    reports(&mut world, &mut alice, says(&same));
    let said = alice.engine().auditors().unwrap().pop().unwrap();
    assert_eq!(said.address, auditor());
    assert_eq!(said.keyservers[0].agreed, Some((world.now, root.epoch)));
    assert_eq!((told(&alice), question(&alice)), (vec![], None));
    world.wait(23 * HOUR_MS);
    world.input(&mut alice, Input::Tick);
    assert_eq!(question(&alice), None);
    world.wait(2 * HOUR_MS);
    world.input(&mut alice, Input::Tick);
    assert!(question(&alice).is_some());
}

#[test]
fn who_asks_what_a_log_says_is_told_how_far_the_auditors_have_seen_the_same() {
    let mut world = World::seeded(94);
    let (mut alice, root) = alice(&mut world);
    for asked in [false, true] {
        if asked {
            let same = report(&world, std::slice::from_ref(&root));
            reports(&mut world, &mut alice, says(&same));
        }
        let handle = Handle::parse("nobody@127.0.0.1").unwrap();
        world.command(&mut alice, Command::CheckLog { handle, keyserver: server(4432) });
        let is_asked = |call: &Call| matches!(call, Call::Lookup { who: Who::Handle(name), .. } if name == "nobody");
        let place = alice.calls.iter().position(|(_, call)| is_asked(call)).unwrap();
        let (call, _) = alice.calls.remove(place).unwrap();
        let reply = Ok(Reply::Absent(world.log.absence("nobody")));
        world.input(&mut alice, Input::Replied { call, reply });
        let checked = alice.events.iter().rev().find_map(|event| match event {
            Event::LogChecked(report) => Some(report.auditors.clone()),
            _ => None,
        });
        let [said] = checked.unwrap().try_into().unwrap();
        let agreed = said.keyservers.first().and_then(|said| said.agreed);
        assert_eq!((said.address, agreed), (auditor(), asked.then_some((world.now, root.epoch))));
    }
}

#[test]
fn a_program_that_is_started_again_and_again_asks_an_auditor_once_an_hour() {
    let mut world = World::seeded(81);
    let (mut alice, root) = alice(&mut world);
    let same = report(&world, &[root]);
    reports(&mut world, &mut alice, says(&same));
    for asked in [false, true] {
        alice.crash();
        world.input(&mut alice, Input::Tick);
        assert_eq!(question(&alice).is_some(), asked);
        world.wait(HOUR_MS + 1);
    }
}

#[test]
fn a_log_that_was_forked_between_us_and_an_auditor_is_told() {
    let mut world = World::seeded(82);
    let (mut alice, root) = alice(&mut world);
    let other = world.log.signed(root.epoch, [3; 32]); // the keyserver signs that too
    let split = report(&world, &[other]);
    reports(&mut world, &mut alice, says(&split));
    assert_eq!(told(&alice), ["split_view"]);
    let said = alice.engine().auditors().unwrap().pop().unwrap();
    assert_eq!(said.keyservers[0].agreed, None);
    assert!(said.keyservers[0].trouble.as_ref().unwrap().contains("different things to different people"));
}

#[test]
fn two_roots_of_one_epoch_that_an_auditor_has_are_told_whatever_we_have_seen() {
    let mut world = World::seeded(83);
    let (mut alice, root) = alice(&mut world);
    let mut stopped = report(&world, std::slice::from_ref(&root));
    stopped.followed[0].standing = Standing::Stopped("it has signed two different logs".into());
    stopped.followed[0].evidence = vec![world.log.signed(2, [1; 32]), world.log.signed(2, [2; 32])];
    reports(&mut world, &mut alice, says(&stopped));
    assert_eq!(told(&alice), ["split_view"]);
}

/// The keyserver goes on for everybody else, and signs for alice, again and again, that there is nothing new.
#[test]
fn whoever_is_shown_the_end_of_a_log_that_has_gone_on_is_told_by_an_auditor() {
    let mut world = World::seeded(84);
    let (mut alice, root) = alice(&mut world);
    let same = report(&world, std::slice::from_ref(&root));
    reports(&mut world, &mut alice, says(&same));
    world.wait(20 * HOUR_MS);
    let next = world.log.signed(root.epoch + 1, [4; 32]); // for the others, at this hour
    world.wait(6 * HOUR_MS);
    let frozen = world.log.signed(root.epoch, root.root); // for alice: the newest still, at this one
    let absence = Proven { root: frozen, ..world.log.absence("bob") };
    answer(&mut world, &mut alice, |_| Ok(Reply::Absent(absence)));
    assert_eq!(told(&alice), [""; 0], "alone she cannot know");
    let more = report(&world, &[next, root]);
    if question(&alice).is_none() {
        world.input(&mut alice, Input::Tick);
    }
    reports(&mut world, &mut alice, says(&more));
    // The question left before she was shown that; the next one shows it.
    world.wait(25 * HOUR_MS);
    world.input(&mut alice, Input::Tick);
    reports(&mut world, &mut alice, says(&more));
    assert_eq!(told(&alice), ["split_view"]);
}

#[test]
fn a_keyserver_that_keeps_its_log_from_an_auditor_is_told_after_a_day() {
    let mut world = World::seeded(85);
    let (mut alice, root) = alice(&mut world);
    let behind = report(&world, &[world.log.signed(root.epoch - 1, [8; 32])]);
    for hour in 0..25 {
        assert_eq!(told(&alice), [""; 0], "after {hour} hours");
        reports(&mut world, &mut alice, says(&behind));
        world.wait(HOUR_MS + 1);
        world.input(&mut alice, Input::Tick);
    }
    assert_eq!(told(&alice), [""; 0]);
    reports(&mut world, &mut alice, says(&behind));
    assert_eq!(told(&alice), ["unwitnessed"]);
}

#[test]
fn an_auditor_that_is_away_or_lies_accuses_nobody() {
    let mut world = World::seeded(86);
    let (mut alice, root) = alice(&mut world);
    let honest = report(&world, std::slice::from_ref(&root));
    let forged = {
        let keyserver = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
        let root = SignedRoot::sign(root.epoch, [3; 32], root.at, root.vrf_key, &keyserver);
        report(&world, &[root]) // no root of the keyserver's
    };
    let mut unsigned = honest.clone();
    unsigned.followed[0].roots[0].checked_at = world.now.plus(1);
    let mut other = honest.clone();
    other.auditor = [1; 32];
    let many = report(&world, &vec![root.clone(); 21]);
    let gap = report(&world, &[world.log.signed(root.epoch + 2, [1; 32]), root.clone()]);
    let mut nothing = honest.clone();
    nothing.followed.clear();
    let bad = [
        Err(CallFailed::Unreachable("no route".into())),
        Ok(Reply::Stored),
        Ok(Reply::Report("{".into())),
        Ok(Reply::Report(honest.to_json().replace("\"version\": 1", "\"version\": 2").into())),
        says(&forged),
        says(&unsigned),
        says(&other),
        says(&many),
        says(&gap),
        says(&nothing),
    ];
    for (tried, reply) in bad.into_iter().enumerate() {
        reports(&mut world, &mut alice, reply);
        let said = alice.engine().auditors().unwrap().pop().unwrap();
        assert!(said.keyservers[0].trouble.is_some() && said.keyservers[0].agreed.is_none(), "{tried}: {said:?}");
        world.wait(HOUR_MS + 1);
        world.input(&mut alice, Input::Tick);
    }
    assert_eq!(told(&alice), [""; 0]);
    reports(&mut world, &mut alice, says(&honest));
    assert_eq!(alice.engine().auditors().unwrap()[0].keyservers[0].trouble, None);
}

#[test]
fn an_auditor_is_chosen_with_its_fingerprint_a_few_at_most_and_can_be_removed() {
    let mut world = World::seeded(87);
    let (mut alice, root) = alice(&mut world);
    let bare = ServerAddress::new(Host::Domain("audit.example.org".into()), 4433);
    let refused = world.command(&mut alice, Command::AddAuditor(bare));
    assert_eq!(refused, Answer::Refused(CommandError::NoFingerprint));
    for number in 1..8 {
        let one = auditor().with_fingerprint(Fingerprint([number; 32]));
        assert_eq!(world.command(&mut alice, Command::AddAuditor(one)), Answer::Done);
    }
    let one_more = Command::AddAuditor(auditor().with_fingerprint(Fingerprint([9; 32])));
    assert_eq!(world.command(&mut alice, one_more), Answer::Refused(CommandError::TooManyAuditors(8)));
    assert_eq!(world.command(&mut alice, Command::AddAuditor(auditor())), Answer::Done, "again, nothing new");
    assert!(
        alice.calls.iter().filter(|(_, call)| matches!(call, Call::GetReport { .. })).count() <= 4,
        "a few at once"
    );
    assert_eq!(world.command(&mut alice, Command::RemoveAuditor(auditor())), Answer::Done);
    let again = world.command(&mut alice, Command::RemoveAuditor(auditor()));
    assert_eq!(again, Answer::Refused(CommandError::NoSuchAuditor));
    let split = report(&world, &[world.log.signed(root.epoch, [3; 32])]);
    reports(&mut world, &mut alice, says(&split)); // of one that is not asked any more
    assert_eq!(told(&alice), [""; 0]);
}

#[test]
fn a_log_that_does_not_go_on_for_a_day_or_is_dated_ahead_is_told() {
    let mut world = World::seeded(88);
    let mut alice = world.person("alice");
    let at = world.now;
    let absence = world.log.absence("bob");
    world.now = at.plus(24 * HOUR_MS);
    answer(&mut world, &mut alice, |_| Ok(Reply::Absent(absence.clone())));
    assert_eq!(told(&alice), [""; 0]);
    for (now, word) in
        [(at.plus(26 * HOUR_MS), "stale_root"), (hushwire_proto::ids::UnixMillis(at.0 - 26 * HOUR_MS), "future_root")]
    {
        world.now = now;
        answer(&mut world, &mut alice, |_| Ok(Reply::Absent(absence.clone())));
        assert_eq!(told(&alice), [word]);
        alice.events.clear();
    }
    // Signed anew, it is the newest still.
    world.now = at.plus(26 * HOUR_MS);
    world.log.now = world.now;
    let again = Proven { root: world.log.signed(absence.root.epoch, absence.root.root), ..absence };
    answer(&mut world, &mut alice, |_| Ok(Reply::Absent(again)));
    assert_eq!(told(&alice), [""; 0]);
}

#[test]
fn a_revocation_that_is_hidden_is_found_out_by_the_log_or_as_a_log_that_was_set_back() {
    let mut world = World::seeded(89);
    let (mut alice, bob) = (world.person("alice"), world.person("bob"));
    let mut peer = Peer::new(&mut world);
    let second = peer.as_device(&mut world, hushwire_proto::ids::DeviceId::new(2).unwrap());
    let one = peer.links[0].link().devices[0].clone();
    peer.add_link(vec![one.clone(), second]);
    let stolen = peer.links.clone(); // still lists the device that is revoked next
    let before = world.log.says("bob", &stolen);
    peer.add_link(vec![one]);
    let after = world.log.says("bob", &peer.links);
    let mut answered = |links: &[_], proven: &Proven| {
        let found = found(&world, &bob, Some(proven.clone()));
        let found = hushwire_proto::keyserver::Found { account: peer.account(), links: links.to_vec(), ..found };
        answer(&mut world, &mut alice, |_| Ok(Reply::Found(found)));
        (added(&alice), told(&alice).last().copied())
    };
    assert_eq!(answered(&stolen, &after), (0, Some("not_its_log")));
    assert_eq!(answered(&stolen, &before), (0, Some("set_back")));
    assert_eq!(answered(&peer.links, &after), (1, Some("set_back")), "the truth is taken");
}

#[test]
fn a_root_that_is_older_than_the_one_before_it_shows_what_was_held_back() {
    let mut world = World::seeded(90);
    let mut alice = world.person("alice");
    let absence = world.log.absence("bob");
    world.log.publish("somebody", Entry { account: alice.account(), head: LinkHash([5; 32]), version: 0 });
    let next = world.log.absence("bob"); // made now
    world.wait(2 * HOUR_MS);
    let frozen = Proven { root: world.log.signed(absence.root.epoch, absence.root.root), ..absence };
    answer(&mut world, &mut alice, |_| Ok(Reply::Absent(frozen)));
    answer(&mut world, &mut alice, |_| Ok(Reply::Absent(next)));
    assert_eq!(told(&alice), ["held_back"]);
}
