//! The keyserver as a program: what an operator types, and how it ends.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "../../audits/sim/src/port.rs"]
mod port;

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};

use common::{Asker, PROGRAM, Person, Program, configure, fetch, init};
use hushwire_log::{Alarm, watch};
use hushwire_proto::admission::{Invite, Pass};
use hushwire_proto::keyserver::{Answer, Publish, Request, Who};
use hushwire_proto::limits::CALL_DEADLINE;
use port::free_port;

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
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[::]:4432", "127.0.0.1:0")).unwrap(); // others may have the usual port
    let checked = program(&["check", "--config", config.to_str().unwrap()]);
    let key = stdout(&program(&["address", "--config", config.to_str().unwrap()]));
    assert!(checked.status.success() && stdout(&checked).contains(key.trim()), "{checked:?}");
    assert!(stdout(&checked).lines().all(|line| line.starts_with("ok     ")), "{checked:?}");
    let again = program(&["init", "--dir", path.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    std::fs::write(&config, "data_dir = 3").unwrap();
    assert_eq!(program(&["check", "--config", config.to_str().unwrap()]).status.code(), Some(1));
}

#[test]
fn check_says_what_is_not_fine_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let text = std::fs::read_to_string(&config).unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    std::fs::write(&config, text.replace("127.0.0.1:0", &listen) + "disk_reserve_mib = 1000000\n").unwrap();
    let checked = program(&["check", "--json", "--config", config.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&checked.stdout).unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| finding["ok"] == false).map(|f| &f["what"]).collect();
    assert_eq!(wrong, ["disk space", "udp port"], "{findings:?}");
    assert!(findings.iter().any(|finding| finding["what"] == "clock"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyserver_that_runs_tells_its_numbers_and_whether_it_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let port = SocketAddr::from(([127, 0, 0, 1], free_port()));
    configure(&config, &format!("admin = \"{port}\"\n"));
    let started = Program::start(&config);
    let page = move |path: &'static str| {
        let page = tokio::task::spawn_blocking(move || hushwire_server::admin::get(port, path));
        async move { String::from_utf8(page.await.unwrap().unwrap()).unwrap() }
    };
    assert_eq!((page("/healthz").await, page("/readyz").await), ("alive\n".to_owned(), "ready\n".to_owned()));
    let (mut alice, asker) = (Person::seeded(1), Asker::connect(&started.address).await);
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered);
    asker.publish(alice.prekeys(10..12)).await;
    asker.bundle(alice.account).await;
    assert!(matches!(asker.ask(Request::Lookup(Who::Handle("alice".to_owned()))).await, Answer::Found(_)));
    let metrics = page("/metrics").await;
    for line in [
        "accounts_made_total 1",
        "publications_total 1",
        "bundles_total 1",
        "lookups_total 1",
        "epoch 2",
        "epoch_seconds_count 1",
        "work_bits 0",
        "disk_low 0",
    ] {
        assert!(metrics.lines().any(|found| found == format!("hushwire_keyserver_{line}")), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("alice"));

    // While it runs, check finds that it does; and codes are made that it takes.
    let checked = program(&["check", "--config", config.to_str().unwrap()]);
    assert!(checked.status.success() && stdout(&checked).contains("open in the keyserver that runs"), "{checked:?}");
    started.signal("TERM");
    assert_eq!(started.wait().code(), Some(0));
    configure(&config, "registration = \"invites\"\n");
    let started = Program::start(&config);
    let made = program(&["invite", "--count", "2", "--expires", "12h", "--config", config.to_str().unwrap()]);
    let codes: Vec<Invite> = stdout(&made).lines().map(|code| code.parse().unwrap()).collect();
    assert_eq!(codes.len(), 2);
    let (bob, asker) = (Person::seeded(2), Asker::connect(&started.address).await);
    let Request::Register { link, handle_name, proof, .. } = asker.registration(&bob, "bob") else { panic!() };
    let given = Pass { work: None, invite: codes.first().cloned() };
    assert_eq!(asker.ask(Request::Register { link, handle_name, proof, pass: given }).await, Answer::Registered);
    for wrong in ["7", "d", "-1d", "7w", ""] {
        let refused = program(&["invite", &format!("--expires={wrong}"), "--config", config.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
    }
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

#[tokio::test]
async fn a_backup_that_is_put_back_is_all_of_it_and_shows_that_it_is_older() {
    let dir = tempfile::tempdir().unwrap();
    let (config, copy) = (init(dir.path()), dir.path().join("copy"));
    let (config_arg, copy_arg) = (config.to_str().unwrap(), copy.to_str().unwrap());
    let (mut alice, bob) = (Person::seeded(1), Person::seeded(2));
    let newest = async |program: &Program, name: &str| {
        let asker = Asker::connect(&program.address).await;
        match asker.ask(Request::Lookup(Who::Handle(name.to_owned()))).await {
            Answer::Found(found) => found.proven.unwrap().root,
            Answer::Absent(proven) => proven.root,
            other => panic!("{other:?}"),
        }
    };
    let started = Program::start(&config);
    let asker = Asker::connect(&started.address).await;
    assert_eq!(asker.register(&alice, "alice").await, Answer::Registered);
    asker.publish(alice.prekeys(10..12)).await;
    newest(&started, "alice").await;
    let running = program(&["backup", "--config", config_arg, copy_arg]);
    assert_eq!(running.status.code(), Some(1), "{running:?}");
    started.kill();
    let copied = program(&["backup", "--config", config_arg, copy_arg]);
    assert!(copied.status.success(), "{copied:?}");
    let started = Program::start(&config);
    assert_eq!(Asker::connect(&started.address).await.register(&bob, "bob").await, Answer::Registered);
    let seen = newest(&started, "bob").await;
    let server = started.address.fingerprint().unwrap();
    started.kill();

    let over = program(&["restore", "--config", config_arg, copy_arg]);
    assert_eq!(over.status.code(), Some(1), "{over:?}");
    std::fs::remove_dir_all(dir.path().join("data")).unwrap();
    let restored = program(&["restore", "--config", config_arg, copy_arg]);
    assert!(restored.status.success(), "{restored:?}");
    let started = Program::start(&config);
    let told = newest(&started, "alice").await;
    assert_eq!(newest(&started, "bob").await, told); // nobody, says the log
    let Answer::Bundles(bundles) = Asker::connect(&started.address).await.ask(fetch(alice.account)).await else {
        panic!("alice has prekeys")
    };
    assert_eq!(bundles[0].one_time, None, "it may have been given out since the copy was made");
    let alarm = Alarm::SetBack { seen: seen.epoch, told: told.epoch };
    assert_eq!(watch(server, Some(&seen), &told), Err(alarm));
}
