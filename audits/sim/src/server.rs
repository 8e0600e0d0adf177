//! A relay or a keyserver as a process, in a directory that outlives it, on a port of the loopback that it keeps.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use hushwire_proto::address::{KEYSERVER_PORT, RELAY_PORT, ServerAddress};

use crate::Failure;
use crate::port::free_port;
use crate::program::{Program, beside_us};

/// How long a server may take to say where it is. A busy machine and a slow disk, not more.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `hushwire-relay`.
    Relay,
    /// `hushwire-keyserver`.
    Keyserver,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Keyserver => "keyserver",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Relay => RELAY_PORT,
            Self::Keyserver => KEYSERVER_PORT,
        }
    }
}

/// A server that runs. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    dir: PathBuf,
    program: Program,
    address: ServerAddress,
}

impl Server {
    /// Starts one in a directory of its own within `dir`, on a free port; or, if there was one before, with its files
    /// and on its port. Serves when this returns.
    ///
    /// # Errors
    /// Why it does not run, with the end of its log.
    pub fn start(kind: Kind, dir: &Path) -> Result<Self, Failure> {
        Self::start_with(kind, dir, "")
    }

    /// The same, with these lines in its first configuration.
    ///
    /// # Errors
    /// Why it does not run, with the end of its log.
    pub fn start_with(kind: Kind, dir: &Path, lines: &str) -> Result<Self, Failure> {
        let name = kind.name();
        let binary = beside_us(&format!("hushwire-{name}"))?;
        let dir = dir.join(name);
        let config = dir.join(format!("{name}.toml"));
        if !config.exists() {
            let made = Command::new(&binary).args(["init", "--host", "127.0.0.1", "--dir"]).arg(&dir).output();
            let made = made.map_err(|error| format!("{} cannot be started: {error}", binary.display()))?;
            if !made.status.success() {
                return Err(format!("{name} init failed: {}", String::from_utf8_lossy(&made.stderr)));
            }
            listen_at(&config, free_port())?;
            let text = fs::read_to_string(&config).map_err(|error| error.to_string())? + lines;
            fs::write(&config, text).map_err(|error| error.to_string())?;
        }
        let (heard, hears) = mpsc::channel();
        let mut command = Command::new(&binary);
        command.arg("run").arg("--config").arg(&config);
        let log = log_of(&dir);
        let program = Program::start(name, &mut command, &log, move |line| _ = heard.send(line))?;
        let Ok(line) = hears.recv_timeout(START_PATIENCE) else {
            return Err(program.failure("did not say where it is"));
        };
        let address = ServerAddress::parse(line.trim(), kind.default_port())
            .map_err(|error| program.failure(&error.to_string()))?;
        Ok(Self { kind, dir, program, address })
    }

    /// SIGKILL, then a new process over the same files at the same address.
    ///
    /// # Errors
    /// It does not come back.
    pub fn kill_and_restart(self, pause: Duration) -> Result<Self, Failure> {
        let Self { kind, dir, program, address } = self;
        program.kill();
        std::thread::sleep(pause);
        let again = Self::start(kind, dir.parent().unwrap_or(&dir))?;
        if again.address == address { Ok(again) } else { Err(format!("the {} came back elsewhere", kind.name())) }
    }

    /// SIGKILL.
    pub fn kill(self) {
        self.program.kill();
    }

    /// With its fingerprint.
    #[must_use]
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Everything that it writes, its log excepted.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it has said on standard error.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        log_of(&self.dir)
    }

    /// Whether it runs no more.
    pub fn has_ended(&mut self) -> bool {
        self.program.has_ended()
    }

    /// A sentence about it, with the end of its log.
    #[must_use]
    pub fn failure(&self, what: &str) -> Failure {
        self.program.failure(what)
    }
}

fn log_of(dir: &Path) -> PathBuf {
    dir.with_extension("log")
}

/// Changes the port in a configuration.
fn listen_at(config: &Path, port: u16) -> Result<(), Failure> {
    let failed = |error| format!("{}: {error}", config.display());
    let text = fs::read_to_string(config).map_err(failed)?;
    let listen = format!("listen = \"127.0.0.1:{port}\"");
    let lines: Vec<_> =
        text.lines().map(|line| if line.starts_with("listen =") { listen.as_str() } else { line }).collect();
    fs::write(config, lines.join("\n") + "\n").map_err(failed)
}
