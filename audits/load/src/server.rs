//! A relay or the yardstick as a process in a directory of its own, on a port of the loopback.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rand::RngExt;

use crate::cores::{Cores, Group};
use crate::target::Kind;
use crate::{Failure, said};

/// How long a server may take to say where it is: one with ten million envelopes, killed, on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(300);

/// Ports that are tried. Below those that the system gives to clients, so that no client has taken one.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// What a relay is allowed that is to take any load: every connection comes from one address here.
const UNBOUNDED: &str = "\nconnections_max = 50000\nconnections_per_address_max = 50000\nmailboxes_max = 2000000\n\
    requests_per_second_per_address = 1000000\nin_flight_mib_per_address = 32\n";

/// A server that runs. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    dir: PathBuf,
    child: Child,
    address: String,
    /// Goes after the process.
    group: Option<Group>,
}

impl Server {
    /// Starts one in `dir`: with new files, or with those that it left there, at the address it had.
    ///
    /// # Errors
    /// Why it does not run, with the end of its log.
    pub fn start(kind: Kind, dir: &Path) -> Result<Self, Failure> {
        Self::start_on(&Cores::default(), kind, dir)
    }

    /// The same, with these cores.
    ///
    /// # Errors
    /// As above, or it cannot be bound to them.
    pub fn start_on(cores: &Cores, kind: Kind, dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(said)?;
        let mut command = match kind {
            Kind::Relay => {
                let binary = beside_us("hushwire-relay")?;
                let config = dir.join("relay.toml");
                if !config.exists() {
                    configure(&binary, dir, &config)?;
                }
                let mut command = cores.command(&binary);
                command.args(["run", "--config"]).arg(config);
                command
            }
            Kind::Floor => {
                let mut command = cores.command(&beside_us("floor-sync")?);
                command.arg(dir);
                command
            }
        };
        let log = log_of(dir);
        let errors = File::options().create(true).append(true).open(&log).map_err(said)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn().map_err(said)?;
        let bound = cores.bound(child.id());
        let (heard, hears) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            // Read to its end, so that it can go on talking.
            thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).for_each(|line| _ = heard.send(line))
            });
        }
        let line = hears.recv_timeout(START_PATIENCE);
        let mut server = Self { kind, dir: dir.to_owned(), child, address: String::new(), group: None };
        server.group = bound?;
        server.address = line.map_err(|_| server.failure("did not say where it is"))?.trim().to_owned();
        Ok(server)
    }

    /// SIGKILL. Gone when this returns; its files stay.
    pub fn kill(mut self) {
        self.end();
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// With its fingerprint.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where its files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A sentence about it, with the end of its log.
    #[must_use]
    pub fn failure(&self, what: &str) -> Failure {
        let log = fs::read_to_string(log_of(&self.dir)).unwrap_or_default();
        let mut end: Vec<_> = log.lines().rev().take(10).collect();
        end.reverse();
        format!("{} {what}. Its log ends:\n    {}", self.kind.name(), end.join("\n    "))
    }

    fn end(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
        self.group = None;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn configure(binary: &Path, dir: &Path, config: &Path) -> Result<(), Failure> {
    let made = Command::new(binary).args(["init", "--host", "127.0.0.1", "--dir"]).arg(dir).output().map_err(said)?;
    if !made.status.success() {
        return Err(format!("relay init failed: {}", String::from_utf8_lossy(&made.stderr)));
    }
    let text = fs::read_to_string(config).map_err(said)?;
    let listen = format!("listen = \"127.0.0.1:{}\"", free_port()?);
    let lines = text.lines().map(|line| if line.starts_with("listen = ") { listen.as_str() } else { line });
    let text = lines.collect::<Vec<_>>().join("\n") + UNBOUNDED;
    fs::write(config, text).map_err(said)
}

/// A port that is free now.
///
/// # Errors
/// None of many tried is.
pub fn free_port() -> Result<u16, Failure> {
    let ports = std::iter::repeat_with(|| rand::rng().random_range(PORTS));
    let free = ports.take(100).find(|port| UdpSocket::bind(("127.0.0.1", *port)).is_ok());
    free.ok_or_else(|| "no free port was found".to_owned())
}

fn log_of(dir: &Path) -> PathBuf {
    dir.join("server.log")
}

/// The program of that name as Cargo built it, beside the program or test that runs.
fn beside_us(name: &str) -> Result<PathBuf, Failure> {
    let us = std::env::current_exe().map_err(said)?;
    let dir = us.parent().map(|dir| if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir });
    let found = dir.map(|dir| dir.join(name)).unwrap_or_default();
    if found.is_file() {
        Ok(found)
    } else {
        Err(format!("{} is not there; build every program first: cargo build --workspace", found.display()))
    }
}
