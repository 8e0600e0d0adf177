//! The program `hushwire-relay` as a process.
#![allow(clippy::unwrap_used, dead_code)]

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use hushwire_proto::address::{RELAY_PORT, ServerAddress};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_hushwire-relay");

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_remove("HUSHWIRE_RELAY_CONFIG").output().unwrap()
}

/// A fresh directory whose relay listens on a free port of this machine.
pub(crate) fn init(dir: &Path) -> PathBuf {
    let dir = dir.join("relay");
    let made = run(&["init", "--dir", dir.to_str().unwrap(), "--host", "127.0.0.1"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = dir.join("relay.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[::]:4431", "127.0.0.1:0")).unwrap();
    config
}

pub(crate) struct Process {
    child: Child,
    pub(crate) address: ServerAddress,
}

impl Process {
    /// Returns once it serves.
    pub(crate) fn start(config: &Path) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["run", "--config", config.to_str().unwrap()]);
        Self::spawn(command)
    }

    /// On a disk that refuses whatever makes a file larger than 2 MiB.
    pub(crate) fn start_on_a_small_disk(config: &Path) -> Self {
        let mut command = Command::new("sh");
        let script = r#"trap "" XFSZ; ulimit -f 4096; exec "$0" run --config "$1""#;
        command.args(["-c", script, BINARY, config.to_str().unwrap()]);
        Self::spawn(command)
    }

    /// With whatever else its environment says.
    pub(crate) fn start_talkative(config: &Path) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["run", "--config", config.to_str().unwrap()]).env("RUST_LOG", "trace");
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = ServerAddress::parse(line.trim(), RELAY_PORT).unwrap();
        Self { child, address }
    }

    /// SIGKILL, to this process only.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The exit code, and what was logged.
    pub(crate) fn terminate(self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.ended()
    }

    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (code, log)
    }
}
