//! Keyservers that take back, change or withhold what their log said: the auditor finds it, says it, and stops.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation, missing_docs)]

mod support;

use hushwire_auditor::Running;
use hushwire_log::{Standing, contradict};
use hushwire_proto::log::SignedRoot;
use support::{Evil, auditor, epochs, get, report, stopped, until};

/// What becomes of a step.
type Twist = fn(&[u8]) -> Vec<u8>;

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// An evil keyserver with a log of five epochs, and an auditor that has checked all of them.
async fn followed(dir: &std::path::Path) -> (Evil, Vec<(SignedRoot, Vec<u8>)>, Running) {
    let evil = Evil::start();
    let honest = epochs(&evil, &NAMES);
    evil.shows(&honest, 1);
    let auditor = auditor(dir, &evil.address).await;
    let checked = until(&auditor, "five epochs", |report| report.followed[0].epoch == 5).await;
    assert_eq!(checked.followed[0].standing, Standing::Follows);
    let roots: Vec<_> = checked.followed[0].roots.iter().rev().map(|seen| seen.root.clone()).collect();
    assert_eq!(roots, honest.iter().map(|(root, _)| root.clone()).collect::<Vec<_>>());
    (evil, honest, auditor)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_log_is_followed_and_what_was_checked_outlives_the_auditor() {
    let dir = tempfile::tempdir().unwrap();
    let (evil, _, first) = followed(dir.path()).await;
    assert_eq!(get(first.local_addr(), "/healthz").0, 200);
    let metrics = get(first.local_addr(), "/metrics").1;
    assert!(metrics.contains(&format!("hushwire_auditor_epoch{{keyserver=\"{}\"}} 5\n", evil.address)), "{metrics}");
    let older =
        report(first.local_addr(), &format!("?keyserver={}&through=2", evil.address.fingerprint().unwrap())).await;
    assert_eq!(older.followed[0].roots.iter().map(|seen| seen.root.epoch).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(report(first.local_addr(), &format!("?keyserver={}", "a".repeat(52))).await.followed, []);
    for wrong in ["?keyserver=x", "?through=x", "?more"] {
        assert_eq!(get(first.local_addr(), &format!("/roots.json{wrong}")).0, 400);
    }
    drop(first);
    // The keyserver is asked for nothing that was checked before.
    evil.script.lock().unwrap().steps.clear();
    let more = epochs(&evil, &["alice", "bob", "carol", "dave", "erin"]);
    evil.shows(&more, 6);
    let second = auditor(dir.path(), &evil.address).await;
    until(&second, "the sixth epoch", |report| report.followed[0].epoch == 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_rewritten_is_found_and_the_auditor_never_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (evil, honest, first) = followed(dir.path()).await;
    // The same log, but that bob never was, and somebody else is there: each step of it holds by itself.
    evil.shows(&epochs(&evil, &["alice", "mallory", "carol", "dave", "erin"]), 1);
    let (why, report) = stopped(&first).await;
    assert!(why.contains("does not follow from the one before") || why.contains("two different logs"), "{why}");
    let [kept, told] = report.followed[0].evidence.as_slice() else { panic!("{report:?}") };
    assert_eq!((kept, contradict(kept, told)), (&honest[4].0, Some(5)), "both are signed, and both of epoch 5");
    let (status, complaint) = get(first.local_addr(), "/healthz");
    assert!(status == 503 && complaint.contains(&why), "{complaint}");
    assert!(get(first.local_addr(), "/").1.contains("Do not trust this keyserver"));
    drop(first);
    // The truth again, and a new start: what was signed stays signed.
    evil.shows(&honest, 1);
    let second = auditor(dir.path(), &evil.address).await;
    assert_eq!(stopped(&second).await.0, why);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_set_back_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (evil, honest, auditor) = followed(dir.path()).await;
    evil.script.lock().unwrap().newest = Some(honest[2].0.clone());
    let (why, report) = stopped(&auditor).await;
    assert!(why.contains("was at epoch 5 and is now said to be at 3"), "{why}");
    assert_eq!(report.followed[0].evidence, [honest[4].0.clone(), honest[2].0.clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_roots_for_one_epoch_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (evil, honest, auditor) = followed(dir.path()).await;
    let other = SignedRoot::sign(5, [7; 32], honest[4].0.at, honest[4].0.vrf_key, &evil.key);
    evil.script.lock().unwrap().newest = Some(other.clone());
    let (why, report) = stopped(&auditor).await;
    assert!(why.contains("two different logs for epoch 5"), "{why}");
    assert_eq!(report.followed[0].evidence, [honest[4].0.clone(), other]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_of_another_key_or_of_another_log_is_told() {
    for other_key in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (evil, honest, auditor) = followed(dir.path()).await;
        let newest = honest[4].0.clone();
        let stranger = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
        let root = match other_key {
            true => SignedRoot::sign(6, [7; 32], newest.at, newest.vrf_key, &stranger),
            false => SignedRoot::sign(6, [7; 32], newest.at, [1; 32], &evil.key),
        };
        evil.script.lock().unwrap().newest = Some(root);
        let (why, _) = stopped(&auditor).await;
        let wanted = if other_key { "signed by another key" } else { "began another log" };
        assert!(why.contains(wanted), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_does_not_hold_is_told_whatever_bytes_it_is() {
    let garbage: [Twist; 4] = [
        |_| Vec::new(),
        |step| step[..step.len() / 2].to_vec(),
        |step| step.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 40)).collect(),
        |_| vec![0xFF; 300_000], // comes in parts
    ];
    for twist in garbage {
        let dir = tempfile::tempdir().unwrap();
        let (evil, _, auditor) = followed(dir.path()).await;
        let more = epochs(&evil, &["alice", "bob", "carol", "dave", "erin"]);
        evil.script.lock().unwrap().steps.insert(6, twist(&more[5].1));
        evil.script.lock().unwrap().roots.insert(6, more[5].0.clone());
        evil.script.lock().unwrap().newest = Some(more[5].0.clone());
        let (why, report) = stopped(&auditor).await;
        assert!(why.contains("epoch 6 of the log does not follow"), "{why}");
        assert_eq!((report.followed[0].epoch, report.followed[0].evidence.len()), (5, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_is_withheld_is_waited_for_and_never_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let (evil, _, auditor) = followed(dir.path()).await;
    let more = epochs(&evil, &["alice", "bob", "carol", "dave", "erin", "frank"]);
    evil.shows(&more, 6);
    let withheld = evil.script.lock().unwrap().steps.remove(&6).unwrap();
    let waits = |report: &hushwire_log::Report| matches!(report.followed[0].standing, Standing::Waits(_));
    let report = until(&auditor, "trouble", waits).await;
    assert_eq!(report.followed[0].epoch, 5);
    evil.script.lock().unwrap().steps.insert(6, withheld);
    until(&auditor, "the seventh epoch", |report| report.followed[0].epoch == 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_not_gone_on_for_a_day_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (evil, honest, auditor) = followed(dir.path()).await;
    let newest = &honest[4].0;
    let day = 26 * 3600 * 1000;
    let old = hushwire_proto::ids::UnixMillis(newest.at.0 - day);
    let old = SignedRoot::sign(5, newest.root, old, newest.vrf_key, &evil.key);
    evil.script.lock().unwrap().newest = Some(old);
    let stale = |report: &hushwire_log::Report| matches!(&report.followed[0].standing, Standing::Waits(why) if why.contains("26 hours old"));
    until(&auditor, "the day", stale).await;
}
