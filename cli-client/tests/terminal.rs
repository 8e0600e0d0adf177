//! A chat in a real terminal: what it does when a shell's Ctrl-Z stops it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Person, Servers, introduce, only};

/// A terminal with a shell that carries this out, as `script` of util-linux makes it.
struct Terminal {
    program: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn of(person: &Person, script: &str) -> Self {
        let whole = format!("stty cols 60 rows 24; set -m; {script}");
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &format!("sh -c '{whole}'"), "/dev/null"]);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.env("HUSHWIRE_DATA_DIR", person.path().join("data")).env("HUSH", env!("CARGO_BIN_EXE_hush"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = command.spawn().unwrap();
        let (keys, mut out) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(String::new()));
        let screen = shown.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut bytes) {
                screen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Self { program, keys, shown }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until this is shown, and forgets what was shown up to there.
    #[track_caller]
    fn shows(&self, words: &str) {
        for _ in 0..1200 {
            let mut shown = self.shown.lock().unwrap();
            if let Some(place) = shown.find(words) {
                shown.drain(..place + words.len());
                return;
            }
            drop(shown);
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("`{words}` is not shown: {}", self.shown.lock().unwrap());
    }
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_goes_on_with_the_line_that_was_begun() {
    let servers = Servers::start();
    let (alice, bob) = (Person::new(), Person::new());
    alice.register(&servers, "alice");
    bob.register(&servers, "bob");
    introduce(&alice, "bob", &bob, "alice");
    let modes = "stty -a | tr -s \" ;\" \"\\n\" | grep -e icanon -e \"^-*echo$\" | sed s/^/is:/";
    let chat = format!("\"$HUSH\" chat bob; {modes}; read word; echo got $word; fg");
    let mut terminal = Terminal::of(&alice, &format!("{chat}; echo code $?"));
    terminal.shows("Ctrl-D ends");
    terminal.types("half ");
    terminal.shows("half ");
    terminal.types("\u{1a}");
    terminal.shows("is:icanon");
    terminal.shows("is:echo");
    terminal.types("this\n");
    terminal.shows("got this");
    terminal.shows("half ");
    terminal.types("a line\r");
    terminal.shows("half a line");
    terminal.types("\u{4}");
    terminal.shows("code 0");
    assert!(terminal.program.wait().unwrap().success());
    assert_eq!(only(alice.json(["history", "bob"]))["text"], "half a line");
}
