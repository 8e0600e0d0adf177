//! Somebody who was away fetches what waits, and is killed while doing so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use hushwire_sim::backlog::{Backlog, text};

const TALKS: usize = 8;
const GROUPS: usize = 2;
const EACH: usize = 200;

/// Reads up to `limit` messages of a `hush receive --json`; the program still runs afterwards, or has ended.
fn read(child: &mut Child, limit: usize, shown: &mut BTreeSet<String>) -> usize {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut texts = lines.filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        (line.get("type")?.as_str()? == "message").then(|| line.get("text").unwrap().as_str().unwrap().to_owned())
    });
    let mut read = 0;
    for text in texts.by_ref().take(limit) {
        shown.insert(text);
        read += 1;
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_kept_once_and_in_order_however_often_the_client_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut backlog = Backlog::prepare(dir.path(), TALKS, GROUPS).await.unwrap();
    backlog.write(EACH).await.unwrap();

    let mut shown = BTreeSet::new();
    for limit in [300, 700] {
        let mut child = backlog.receive().unwrap().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(read(&mut child, limit, &mut shown), limit);
        assert!(child.try_wait().unwrap().is_none(), "it had everything before it was killed");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = backlog.receive().unwrap().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let last = read(&mut child, usize::MAX, &mut shown);
    assert!(child.wait().unwrap().success());
    assert!(last > 0, "nothing was left for the last run");

    let texts = |writer| (0..EACH).map(move |number| text(writer, number));
    let mut expected: Vec<Vec<String>> = (0..TALKS + GROUPS).map(|writer| texts(writer).collect()).collect();
    let mut kept = backlog.kept().await.unwrap();
    kept.retain(|texts| !texts.is_empty()); // those who founded a group wrote nothing to the one alone
    kept.sort();
    expected.sort();
    assert_eq!(kept, expected);
    assert!(expected.iter().flatten().all(|text| shown.contains(text)), "something was never shown");
    assert_eq!(backlog.waiting().await.unwrap(), 0);
}
