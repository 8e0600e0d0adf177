//! A relay or a keyserver as a process on the loopback, with the limits that its own `init` writes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hushwire_proto::net::{KEYS_ALPN, RELAY_ALPN};

use crate::port::free_port;
use crate::{Failure, said};

/// Everybody who asks a keyserver here has one address: what is measured for each would send the honest away.
const NEIGHBOURS: &str = "fetches_per_hour_per_address = 1000000000\nlookups_per_hour_per_address = 1000000000\n";

/// Which of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The relay.
    Relay,
    /// The keyserver.
    Keyserver,
}

impl Kind {
    /// Its application protocol.
    #[must_use]
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Self::Relay => RELAY_ALPN,
            Self::Keyserver => KEYS_ALPN,
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Relay => "hushwire-relay",
            Self::Keyserver => "hushwire-keyserver",
        }
    }
}

/// A server that runs. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    child: Child,
    address: String,
    log: PathBuf,
}

/// What the kernel says of its process.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// Resident memory, in KiB.
    pub memory_kib: u64,
    /// Open files.
    pub files: usize,
    /// Ticks of a core.
    pub ticks: u64,
}

impl Server {
    /// Starts one in `dir`, which is empty.
    ///
    /// # Errors
    /// Why it does not run.
    pub fn start(kind: Kind, dir: &Path) -> Result<Self, Failure> {
        let binary = beside_us(kind.program())?;
        let init = Command::new(&binary).args(["init", "--host", "127.0.0.1", "--dir"]).arg(dir).output();
        let init = init.map_err(said)?;
        if !init.status.success() {
            return Err(format!("init failed: {}", String::from_utf8_lossy(&init.stderr)));
        }
        let config = dir.join(kind.program().trim_start_matches("hushwire-")).with_extension("toml");
        let text = fs::read_to_string(&config).map_err(said)?;
        let listen = format!("listen = \"127.0.0.1:{}\"", free_port());
        let lines = text.lines().map(|line| if line.starts_with("listen = ") { listen.as_str() } else { line });
        let mut text = lines.collect::<Vec<_>>().join("\n") + "\n";
        if kind == Kind::Keyserver {
            text += NEIGHBOURS;
        }
        fs::write(&config, text).map_err(said)?;
        let log = dir.join("server.log");
        let errors = File::create(&log).map_err(said)?;
        let mut command = Command::new(binary);
        if kind == Kind::Relay {
            command.arg("run");
        }
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().map_err(said)?;
        let mut address = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut address).map_err(said)?;
        }
        let server = Self { kind, child, address: address.trim().to_owned(), log };
        if server.address.is_empty() { Err(format!("it does not run:\n{}", server.log())) } else { Ok(server) }
    }

    /// Which.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// With its fingerprint.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All that it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it uses now.
    ///
    /// # Errors
    /// It is gone.
    pub fn usage(&self) -> Result<Use, Failure> {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(proc.join("status")).map_err(said)?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let memory_kib = memory.trim().trim_end_matches(" kB").parse().map_err(said)?;
        let files = fs::read_dir(proc.join("fd")).map_err(said)?.count();
        let stat = fs::read_to_string(proc.join("stat")).map_err(said)?;
        let times = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
        Ok(Use { memory_kib, files, ticks: times.filter_map(|time| time.parse::<u64>().ok()).sum() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
    }
}

/// The program of that name as Cargo built it, beside the program or test that runs.
fn beside_us(name: &str) -> Result<PathBuf, Failure> {
    let us = std::env::current_exe().map_err(said)?;
    let found = us.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("{name} is not built: cargo build --workspace"))
}
