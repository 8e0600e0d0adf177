//! The auditor as a program: what an operator types, and what is left after SIGKILL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation, missing_docs)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use support::{Evil, epochs, get};

fn hushwire_auditor(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_hushwire-auditor"));
    program.args(args).stdin(Stdio::null()).stderr(Stdio::null());
    program
}

fn said(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The program, and the address it prints.
fn run(config: &Path) -> (Child, String) {
    let mut child =
        hushwire_auditor(&["run", "--config", config.to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim_end().to_owned())
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_checked_survives_kills_and_sigterm_ends_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let evil = Evil::start();
    let log = epochs(&evil, &["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"]);
    let (home, keyserver) = (dir.path().join("auditor"), evil.address.to_string());
    let made =
        hushwire_auditor(&["init", "--dir", home.to_str().unwrap(), "--host", "127.0.0.1", "--keyserver", &keyserver])
            .output();
    let made = made.unwrap();
    assert!(made.status.success());
    let config = home.join("auditor.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("0.0.0.0:4433", "127.0.0.1:0");
    std::fs::write(&config, text).unwrap();
    let path = config.to_str().unwrap();
    let checked = hushwire_auditor(&["check", "--config", path]).output().unwrap();
    assert!(checked.status.success() && said(&checked).contains("1 keyservers"), "{}", said(&checked));

    let mut address = String::new();
    for kill in 1..=4 {
        evil.shows(&log[..2 * kill], 1);
        let (mut child, printed) = run(&config);
        let at = printed.rsplit_once('@').unwrap().1.parse().unwrap();
        address = printed.split('@').next().unwrap().to_owned();
        let wanted = format!("}} {}\n", 2 * kill);
        let checked = async {
            while !tokio::task::spawn_blocking(move || get(at, "/metrics")).await.unwrap().1.contains(&wanted) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(support::PATIENCE, checked).await.unwrap();
        let other = hushwire_auditor(&["run", "--config", path]).output().unwrap();
        assert!(!other.status.success(), "a second one over the same data");
        // What was checked need not be there a second time.
        evil.script.lock().unwrap().steps.clear();
        signal(&child, if kill == 4 { "TERM" } else { "KILL" });
        assert_eq!(child.wait().unwrap().code(), (kill == 4).then_some(0));
    }
    let printed = hushwire_auditor(&["address", "--config", path]).output().unwrap();
    assert_eq!(said(&printed).split('@').next(), Some(address.as_str()));
}
