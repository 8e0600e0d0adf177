//! A relay and a keyserver on this machine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Failure;
use crate::cargo;
use crate::program::Program;
use crate::workshop::Workshop;

/// How long a server may take to say where it is. A busy machine and a slow disk, not more.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs.
pub(crate) struct Server {
    name: &'static str,
    program: Program,
    /// What clients are given: `hush://FINGERPRINT@127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Server {
    /// Starts the relay, on any free port of the loopback interface if it was not here before.
    pub(crate) fn relay(workshop: &Workshop) -> Result<Self, Failure> {
        Self::start("relay", workshop)
    }

    /// Starts the keyserver, likewise.
    pub(crate) fn keyserver(workshop: &Workshop) -> Result<Self, Failure> {
        Self::start("keyserver", workshop)
    }

    /// Where the server of that name keeps everything, and what it has said.
    pub(crate) fn traces(name: &str, workshop: &Workshop) -> [PathBuf; 2] {
        [workshop.dir().join(name), workshop.log(&format!("{name}.log"))]
    }

    fn start(name: &'static str, workshop: &Workshop) -> Result<Self, Failure> {
        let dir = workshop.dir().join(name);
        let config = dir.join(format!("{name}.toml"));
        let binary = cargo::program(&format!("hushwire-{name}"));
        if !config.exists() {
            let mut init = Command::new(&binary);
            let output = init.args(["init", "--host", "127.0.0.1", "--dir"]).arg(&dir).output();
            let output = output.map_err(|error| format!("{} cannot be started: {error}", binary.display()))?;
            if !output.status.success() {
                return Err(format!("{name} init failed: {}", String::from_utf8_lossy(&output.stderr)));
            }
            listen_at(&config, &format!("127.0.0.1:{}", free_port()?))?;
        }
        let mut program = Program::start(name, Command::new(&binary).args(["run", "--config"]).arg(&config), workshop)?;
        let address = program.wait_for("its hush:// address", START_PATIENCE, |line| {
            line.text.split_whitespace().find(|word| word.starts_with("hush://")).map(str::to_owned)
        })?;
        Ok(Self { name, program, address })
    }

    /// SIGKILL: it cannot finish anything.
    pub(crate) fn kill(self) -> Killed {
        self.program.kill();
        Killed { name: self.name, address: self.address }
    }

    /// Asks it to end.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        self.program.stop()
    }

    /// Whether it runs no more.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.program.ended().is_some()
    }
}

/// A server that was killed: its files and its address are left.
pub(crate) struct Killed {
    name: &'static str,
    address: String,
}

impl Killed {
    /// A new process over the same files, at the same address.
    pub(crate) fn restart(self, workshop: &Workshop) -> Result<Server, Failure> {
        let again = Server::start(self.name, workshop)?;
        if again.address == self.address {
            Ok(again)
        } else {
            Err(format!("the {} came back at another address", self.name))
        }
    }
}

/// A free port outside the range that the system draws from: while a server that was killed is away, no client's socket
/// takes its port.
fn free_port() -> Result<u16, Failure> {
    let seed = u64::from(std::process::id()).wrapping_add(now_nanos());
    (0..1000u64)
        .filter_map(|step| u16::try_from(20_000 + (seed.wrapping_add(step * 7)) % 10_000).ok())
        .find(|port| std::net::UdpSocket::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| "no port between 20000 and 30000 is free".to_owned())
}

fn now_nanos() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::from(now.subsec_nanos()))
}

/// Changes where a configuration lets its server listen.
fn listen_at(config: &PathBuf, address: &str) -> Result<(), Failure> {
    let failed = |error| format!("{}: {error}", config.display());
    let text = fs::read_to_string(config).map_err(failed)?;
    let is_listen = |line: &str| line.split('=').next().is_some_and(|name| name.trim() == "listen");
    if !text.lines().any(is_listen) {
        return Err(format!("{} does not say where to listen", config.display()));
    }
    let listen = format!("listen = \"{address}\"");
    let lines: Vec<_> = text.lines().map(|line| if is_listen(line) { listen.as_str() } else { line }).collect();
    fs::write(config, lines.join("\n") + "\n").map_err(failed)
}
