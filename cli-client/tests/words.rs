//! What the program says, and how it ends, when nothing needs a server: help, slips, locks, damage, no network.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::process::Stdio;

use support::{Ended, Person, Servers, ended};

/// An account that no keyserver has heard of.
fn begun(person: &Person, protect: &[&str]) -> Ended {
    let (relay, keyserver) = Servers::nowhere();
    let mut command = person.command();
    command.args(["register", "--relay", &relay, "--keyserver", &keyserver, "--timeout", "0.2"]).args(protect);
    ended(command.output().unwrap())
}

/// The account of somebody with a passphrase; the file that has it.
fn begun_with_passphrase(person: &Person) -> String {
    let right = person.path().join("right").to_str().unwrap().to_owned();
    let made = begun(person, &["--passphrase-file", &right]);
    assert_eq!(made.code, 3, "{made:?}");
    right
}

#[track_caller]
fn refused(ended: &Ended, code: i32, says: &[&str]) {
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.out, "", "stdout is empty on an error");
    for words in says {
        assert!(ended.err.contains(words), "`{words}` is missing: {}", ended.err);
    }
}

#[test]
fn help_begins_with_the_first_steps_and_every_command_has_an_example() {
    let person = Person::new();
    let help = person.hush(["--help"]);
    assert_eq!(help.code, 0);
    let mut lines = help.out.lines();
    assert_eq!(lines.next(), Some("First steps:"));
    for (number, words) in ["register", "link", "contact add", "send", "receive", "chat"].into_iter().enumerate() {
        let line = lines.next().unwrap();
        assert!(line.starts_with(&format!("  {}. hush {words}", number + 1)), "{line}");
    }
    for title in ["Talk:", "Groups:", "People:", "This account:", "Devices:", "The machine:"] {
        assert!(help.out.lines().any(|line| line == title), "{title}: {}", help.out);
    }
    let commands = help.out.split("Talk:\n").nth(1).unwrap().split("Options for every command:").next().unwrap();
    let listed = commands.lines().filter(|line| line.starts_with("  "));
    let names: Vec<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 25, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let help = person.hush(["help", name]);
        assert!(help.code == 0 && help.out.contains("Example"), "{name}: {}", help.out);
    }
}

#[test]
fn a_slip_is_the_persons_and_says_what_to_type() {
    let person = Person::new();
    refused(&person.hush(["sned", "bob", "hi"]), 1, &["sned", "send"]);
    refused(&person.hush(["send"]), 1, &["Usage", "`hush help send`"]);
    refused(&person.hush(["group", "role", "team"]), 1, &["Usage", "`hush help group role`"]);
    refused(&person.hush(["-a", "../x", "whoami"]), 1, &["letters, digits"]);
    refused(&person.hush(["register", "--relay", "hush://r.example.org", "--keyserver", "x"]), 1, &["fingerprint"]);
}

#[test]
fn a_slip_is_told_to_a_program_as_one_object() {
    let person = Person::new();
    for args in [["--json", "send"], ["--json", "sned"], ["whoami", "--jason"]] {
        let slip = person.hush(args);
        refused(&slip, 1, &["hush help"]);
        let object: Result<serde_json::Value, _> = serde_json::from_str(&slip.err);
        assert_eq!(object.is_ok(), args.contains(&"--json"), "{}", slip.err);
        if let Ok(object) = object {
            assert_eq!((&object["type"], &object["error"]), (&"error".into(), &"usage".into()));
        }
    }
}

#[test]
fn a_keyserver_that_is_none_and_a_relay_that_does_not_answer_are_named_at_once() {
    let (servers, person) = (Servers::start(), Person::new());
    let args = ["register", "--relay", &servers.relay, "--keyserver", &servers.relay, "--timeout", "2"];
    let wrong = person.hush([args[0], args[1], args[2], args[3], args[4], args[5], args[6], "--protect", "key-file"]);
    refused(&wrong, 3, &["The keyserver cannot be reached: what answers there", "Trying again for 2 s"]);
    let nobody = Person::new();
    begun(&nobody, &["--protect", "key-file"]);
    refused(&nobody.hush(["receive", "--timeout", "15"]), 3, &["The relay cannot be reached", "Trying again for 15 s"]);
}

#[test]
fn without_an_account_the_way_to_one_is_named() {
    let person = Person::new();
    refused(&person.hush(["whoami"]), 1, &["no account", "hush register"]);
    assert!(!person.path().join("data").exists(), "looking makes nothing");
}

#[test]
fn without_a_terminal_nobody_is_asked_for_a_passphrase() {
    let person = Person::new();
    refused(&begun(&person, &[]), 1, &["--protect key-file", "--passphrase-file"]);
    assert!(!person.account().join("vault.json").exists());
    let right = begun_with_passphrase(&person);
    refused(&person.hush(["whoami"]), 8, &["passphrase", "--passphrase-file"]);
    let opened = person.hush(["whoami", "--passphrase-file", &right]);
    assert_eq!(opened.code, 0, "{opened:?}");
    assert!(opened.out.contains("account") && opened.out.contains("hushwire:c#"), "{}", opened.out);
}

#[test]
fn the_recovery_words_are_shown_even_if_no_server_answers() {
    let person = Person::new();
    let made = begun(&person, &["--protect", "key-file"]);
    refused(&made, 3, &["24 recovery words", "not registered yet", "hush doctor"]);
    assert!(made.err.contains("  1 ") && made.err.contains(" 24 "), "{}", made.err);
    let again = begun(&person, &["--protect", "key-file"]);
    refused(&again, 3, &["shown then"]);
    assert!(!again.err.contains("24 recovery words"), "{}", again.err);
}

#[test]
fn an_auditor_is_added_listed_and_removed() {
    let person = Person::new();
    begun(&person, &["--protect", "key-file"]);
    let listed = person.hush(["auditor", "list"]);
    assert!(listed.code == 0 && listed.err.contains("hush auditor add"), "{listed:?}");
    refused(&person.hush(["auditor", "add", "hush://audit.example.org"]), 1, &["fingerprint", "operator"]);
    let address = format!("hush://{}@127.0.0.1:9", "a".repeat(52));
    refused(&person.hush(["auditor", "remove", &address]), 1, &["no such auditor", "hush auditor list"]);
    let added = person.hush(["auditor", "add", &address, "--timeout", "1"]);
    assert!(added.code == 0 && added.out.contains(&address) && added.out.contains("not asked yet"), "{added:?}");
    assert!(person.hush(["auditor", "list", "--json"]).out.contains(&format!("\"auditor\":\"{address}\"")));
    assert_eq!(person.hush(["auditor", "remove", &address]).code, 0);
    assert_eq!(person.hush(["auditor", "list"]).out, "");
}

#[test]
fn a_wrong_passphrase_and_a_file_that_others_can_read_are_refused() {
    let person = Person::new();
    let right = begun_with_passphrase(&person);
    let wrong = person.passphrase_file("wrong", "battery staple");
    let wrong = wrong.to_str().unwrap();
    refused(&person.hush(["whoami", "--passphrase-file", wrong]), 8, &["passphrase is wrong"]);
    refused(&person.hush(["whoami", "--passphrase-file", "/nowhere"]), 1, &["/nowhere"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&right, std::fs::Permissions::from_mode(0o644)).unwrap();
        refused(&person.hush(["whoami", "--passphrase-file", &right]), 1, &["chmod 600"]);
    }
}

#[test]
fn the_passphrase_can_be_changed() {
    let person = Person::new();
    let right = begun_with_passphrase(&person);
    let new = person.passphrase_file("new", "battery staple");
    let new = new.to_str().unwrap();
    refused(&person.hush(["passphrase", "--passphrase-file", &right]), 1, &["--new-passphrase-file"]);
    let changed = person.hush(["passphrase", "--passphrase-file", &right, "--new-passphrase-file", new]);
    assert_eq!(changed.code, 0, "{changed:?}");
    refused(&person.hush(["whoami", "--passphrase-file", &right]), 8, &["passphrase is wrong"]);
    let unlocked = person.hush(["passphrase", "--passphrase-file", new, "--protect", "key-file"]);
    assert_eq!(unlocked.code, 0, "{unlocked:?}");
    assert_eq!(person.hush(["whoami"]).code, 0);
}

#[test]
fn a_damaged_database_is_told_as_such() {
    let person = Person::new();
    begun(&person, &["--protect", "key-file"]);
    let database = person.account().join("hushwire.db");
    let bytes = vec![7; std::fs::metadata(&database).unwrap().len().try_into().unwrap()];
    std::fs::write(&database, bytes).unwrap();
    for left in ["hushwire.db-wal", "hushwire.db-shm"] {
        let _ = std::fs::remove_file(person.account().join(left));
    }
    refused(&person.hush(["whoami"]), 2, &["database"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_what_to_look_at() {
    let person = Person::new();
    let file = person.passphrase_file("a file", "no folder");
    let (relay, keyserver) = Servers::nowhere();
    let mut command = person.command();
    command.args(["register", "--relay", &relay, "--keyserver", &keyserver, "--protect", "key-file", "--data-dir"]);
    refused(&ended(command.arg(file.join("below")).output().unwrap()), 2, &["below", "disk is full", "--data-dir"]);
}

#[test]
fn an_unknown_contact_is_told_with_what_to_do() {
    let person = Person::new();
    begun(&person, &["--protect", "key-file"]);
    refused(&person.hush(["send", "bob", "hi"]), 1, &["no contact `bob` and no group `bob`", "hush contact add"]);
    refused(&person.hush(["history", "b\u{1b}[31mob"]), 1, &["no contact `b[31mob`"]);
    refused(&person.hush(["contact", "add", "hushwire:c#"]), 1, &["damaged", "quotes"]);
    refused(&person.hush(["contact", "add", "b ob"]), 1, &["neither a contact link nor a handle"]);
    refused(&person.hush(["contact", "add", "bob@elsewhere.example.org"]), 1, &["fingerprint", "--keyserver"]);
}

#[test]
fn a_relay_that_cannot_be_reached_is_a_network_error_and_only_that() {
    let person = Person::new();
    begun(&person, &["--protect", "key-file"]);
    refused(&person.hush(["receive", "--timeout", "0.5"]), 3, &["relay cannot be reached", "hush doctor"]);
    let doctor = person.hush(["doctor"]);
    assert_eq!(doctor.code, 3, "{doctor:?}");
    assert!(doctor.out.contains("FAIL") && doctor.out.contains("database"), "{}", doctor.out);
    let listed = person.hush(["contact", "list"]);
    assert_eq!((listed.code, listed.out.as_str()), (0, ""));
    assert!(listed.err.contains("No contacts yet"), "{}", listed.err);
}

#[test]
fn errors_are_one_json_object_on_stderr_when_json_is_asked_for() {
    let person = Person::new();
    let failed = person.hush(["--json", "whoami"]);
    refused(&failed, 1, &[]);
    let error: serde_json::Value = serde_json::from_str(failed.err.lines().last().unwrap()).unwrap();
    assert_eq!((&error["type"], &error["code"], &error["error"]), (&"error".into(), &1.into(), &"usage".into()));
    assert!(error["hint"].as_str().unwrap().contains("hush register"));
}

#[test]
fn a_second_program_is_told_that_the_account_is_in_use() {
    let person = Person::new();
    begun(&person, &["--protect", "key-file"]);
    let mut first = person.spawn(["chat", "nobody"], Stdio::null());
    first.wait().unwrap();
    let mut following = person.spawn(["receive", "--follow"], Stdio::null());
    person.is_open_in(&following);
    let busy = person.hush(["whoami"]);
    following.kill().unwrap();
    following.wait().unwrap();
    refused(&busy, 8, &["in use by process"]);
}

#[test]
fn scripts_and_manuals_are_made_from_the_same_definition() {
    let person = Person::new();
    assert!(person.hush(["completions", "bash"]).out.contains("_hush"));
    assert!(person.hush(["man"]).out.contains("hush"));
    assert!(person.hush(["version"]).out.starts_with("hush "));
    assert_eq!(person.json(["version"]).len(), 1);
}

#[test]
fn the_data_directory_is_where_the_desktop_puts_data_unless_one_is_named() {
    let person = Person::new();
    let (relay, keyserver) = Servers::nowhere();
    let mut command = person.command();
    command.env_remove("HUSHWIRE_DATA_DIR").env("XDG_DATA_HOME", person.path().join("xdg"));
    command.args(["-a", "work", "register", "--timeout", "0.1", "--protect", "key-file"]);
    command.args(["--relay", &relay, "--keyserver", &keyserver]);
    assert_eq!(ended(command.output().unwrap()).code, 3);
    assert!(person.path().join("xdg/hushwire/work/vault.json").exists());
}

#[test]
fn colours_are_for_terminals_unless_they_are_forced_and_no_color_wins() {
    let person = Person::new();
    begun(&person, &["--protect", "key-file"]);
    let shown = |variables: &[(&str, &str)]| {
        let mut command = person.command();
        command.envs(variables.iter().copied()).args(["-vv", "whoami"]);
        let ended = ended(command.output().unwrap());
        (ended.out + &ended.err).contains('\u{1b}')
    };
    assert!(!shown(&[("TERM", "xterm")]), "a pipe is no terminal");
    assert!(shown(&[("CLICOLOR_FORCE", "1")]));
    assert!(!shown(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let person = Person::new();
    let mut child = person.spawn(["man"], Stdio::null());
    drop(child.stdout.take());
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}
