//! `hushload` in little: the relay as a program, a few hundred messages, a few kills.

use std::time::Duration;

use hushwire_load::mode::faults::kill;
use hushwire_load::mode::faults::storm::Size;
use hushwire_load::mode::pairs::{Pace, Plan};
use hushwire_load::mode::{fanout, idle, offline, pairs};
use hushwire_load::server::Server;
use hushwire_load::target::{Kind, Target};

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_keeps_every_invariant_and_the_checker_would_have_told() {
    let dir = tempfile::tempdir().unwrap();
    let plan = kill::Plan { size: Size::of(8, 512), stored: 300, kills: 3 };
    let outcome = kill::run(dir.path(), plan).await.unwrap();
    let verdict = outcome.verdict;
    assert!(verdict.broken.is_empty(), "{:?}", verdict.broken);
    assert!(verdict.stored >= 300 && verdict.kills >= 3, "{verdict:?}");
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
        let case = fanout::run(&target, 10, 2, 1024, true).await.unwrap();
        assert!(case.figure("last member has it p50 ms").unwrap() > 0.0, "{case:?}");
    }
}
