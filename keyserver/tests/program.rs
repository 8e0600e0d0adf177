//! The keyserver as a program: what an operator types, and how it ends.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::process::{Command, Output};

use common::{Asker, PROGRAM, Person, Program, init};
use hushwire_proto::keyserver::{Answer, Publish, Request};
use hushwire_proto::limits::CALL_DEADLINE;

fn program(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn init_makes_a_keyserver_that_check_and_address_agree_about() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    let made = program(&["init", "--host", "keys.example.org", "--dir", path.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    let config = path.join("keyserver.toml");
    let address = stdout(&program(&["address", "--config", config.to_str().unwrap()]));
    assert!(address.starts_with("hush://") && address.trim().ends_with("@keys.example.org:4432"), "{address}");
    assert!(stdout(&made).ends_with(&address));
    let checked = program(&["check", "--config", config.to_str().unwrap()]);
    assert!(checked.status.success() && stdout(&checked).ends_with(&address), "{checked:?}");
    let again = program(&["init", "--dir", path.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    std::fs::write(&config, "data_dir = 3").unwrap();
    assert_eq!(program(&["check", "--config", config.to_str().unwrap()]).status.code(), Some(1));
}

#[tokio::test]
async fn told_to_stop_it_says_goodbye_and_ends_well() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    for name in ["TERM", "INT"] {
        let program = Program::start(&config);
        let asker = Asker::connect(&program.address).await;
        assert!(matches!(asker.ask(Request::Hello).await, Answer::Welcome(_)));
        program.signal(name);
        let goodbye = asker.0.closed().await;
        assert_eq!(goodbye.to_string(), "the server closed the connection: the server is going away");
        assert_eq!(program.wait().code(), Some(0));
    }
}

#[tokio::test]
async fn one_database_has_one_keyserver() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let _running = Program::start(&config);
    let second = program(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!((second.status.code(), stdout(&second)), (Some(1), String::new()));
}

/// The disk takes no more: here, a limit on the size of a file.
#[tokio::test]
async fn a_disk_that_fails_ends_the_keyserver_and_nothing_unkept_was_promised() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$0\" --config \"$1\"", PROGRAM]).arg(&config);
    let program = Program::run(&mut shell);
    let (mut alice, asker) = (Person::seeded(1), Asker::connect(&program.address).await);
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered);
    let mut promised = 0;
    for start in (0..200).step_by(25) {
        let one_time_kyber = (start..start + 25).map(|id| alice.kyber(id)).collect();
        let publish = Request::Publish(Publish { one_time_kyber, ..Publish::default() });
        let Ok(answer) = asker.0.call(publish.encode(), CALL_DEADLINE).await else { break };
        let Answer::Stock(stock) = Answer::parse(&answer).unwrap() else { break };
        promised = stock.one_time_kyber;
    }
    assert!((1..200).contains(&promised), "{promised} keys were kept");
    assert_eq!(program.wait().code(), Some(2));

    let program = Program::start(&config);
    let asker = Asker::connect(&program.address).await;
    assert_eq!(asker.sign_in(&alice).await, Answer::SignedIn);
    let Answer::Stock(stock) = asker.ask(Request::GetStock).await else { panic!() };
    assert!(stock.one_time_kyber >= promised);
}
