//! `hushload` in little: the relay as a program, a few hundred messages, a few kills.

use std::time::Duration;

use hushwire_load::mode::faults::kill;
use hushwire_load::mode::faults::storm::Size;
use hushwire_load::mode::pairs::{Pace, Plan};
use hushwire_load::mode::{fanout, idle, mailboxes, offline, pairs, soak};
use hushwire_load::server::Server;
use hushwire_load::target::{Kind, Target};

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_keeps_every_invariant_and_the_checker_would_have_told() {
    let dir = tempfile::tempdir().unwrap();
    let size = Size { to_all: true, ..Size::of(52, 512) };
    let plan = kill::Plan { size, stored: 3000, kills: 3 };
    let outcome = kill::run(dir.path(), plan).await.unwrap();
    let verdict = outcome.verdict;
    assert!(verdict.broken.is_empty(), "{:?}", verdict.broken);
    assert!(verdict.stored >= 3000 && verdict.kills >= 3, "{verdict:?}");
    assert_eq!((verdict.intents, verdict.stored), (verdict.shown, verdict.shown));
    assert_eq!(outcome.missed, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_load_is_through_at_the_relay_and_at_the_yardstick() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [Kind::Relay, Kind::Floor] {
        let server = Server::start(kind, &dir.path().join(kind.name())).unwrap();
        let target = Target::of(&server).unwrap();
        for pace in [Pace::Closed(4), Pace::Open(100)] {
            let (warm_up, measured) = (Duration::from_millis(200), Duration::from_millis(800));
            let case = pairs::run(&target, Plan { pairs: 4, pace, bytes: 1024, warm_up, measured }).await.unwrap();
            assert!(case.figure("messages/s").unwrap() > 10.0, "{case:?}");
            assert!(case.figure("never arrived").unwrap() < 1.0, "{case:?}");
        }
        let case = offline::run(&target, 10, 200, 1024).await.unwrap();
        assert!(case.figure("drained/s").unwrap() > 0.0, "{case:?}");
        let case = idle::run(&target, 20, Duration::from_millis(100)).await.unwrap();
        assert!(case.figure("connects/s").unwrap() > 0.0, "{case:?}");
        for are_there in [true, false] {
            let plan = fanout::Plan { members: 100, messages: 2, bytes: 1024, are_there, pairwise: false };
            for case in fanout::both(&target, plan).await.unwrap().iter().take(2) {
                assert!(case.figure("stored for all p50 ms").unwrap() > 0.0, "{case:?}");
                assert_eq!(case.figure("last member has it p50 ms").is_some(), are_there);
                assert_eq!(case.figure("refused"), Some(0.0), "{case:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_request_put_into_many_mailboxes_is_drained_from_each_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Kind::Relay, dir.path()).unwrap();
    let target = Target::of(&server).unwrap();
    let made = mailboxes::make(&target, 0, 20).await.unwrap();
    mailboxes::fill(&target, &made, 60, 512).await.unwrap();
    server.kill();
    let server = Server::start(Kind::Relay, dir.path()).unwrap();
    let target = Target::of(&server).unwrap();
    for mailbox in &made {
        assert_eq!(offline::drain(&target, mailbox, 60).await, Ok(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soak_in_little_loses_nothing_and_leaves_a_table_and_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Kind::Relay, &dir.path().join("relay")).unwrap();
    let out = dir.path().join("out");
    let lasts = Duration::from_secs(6);
    let plan = soak::Plan { lasts, pairs: 8, rate: Some(100.0), bytes: 1024, out: &out };
    let (case, judged) = soak::run(&server, plan).await.unwrap();
    assert_eq!(case.figure("stored"), case.figure("shown"));
    assert!(case.figure("stored").unwrap() > 100.0, "{case:?}");
    assert!(judged.iter().any(|one| one.what() == "stored and never given" && one.holds()), "{judged:?}");
    assert!(std::fs::read_to_string(out.join("soak.csv")).unwrap().lines().count() > 1);
    assert!(out.join("memory.svg").exists() && out.join("latency.svg").exists());
}
