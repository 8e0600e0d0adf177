//! A relay or the yardstick as a process in a directory of its own, on a port of the loopback.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::cores::{Cores, Group};
use crate::port::free_port;
use crate::target::Kind;
use crate::{Failure, said};

/// How long a server may take to say where it is: one with ten million envelopes, killed, on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(300);

/// Where a server logs to, unless it is told otherwise.
const LOG: &str = "server.log";

/// What a relay is allowed that is to take any load: every connection comes from one address here.
const UNBOUNDED: &str = "\nconnections_max = 50000\nconnections_per_address_max = 50000\nmailboxes_max = 2000000\n\
    requests_per_second_per_address = 1000000\nin_flight_mib_per_address = 32\n\
    deposits_per_second_per_token = 1000000\ndeposits_per_second_per_mailbox = 1000000\n";

/// A server that runs. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    dir: PathBuf,
    child: Child,
    address: String,
    /// Goes after the process.
    group: Option<Group>,
    log: PathBuf,
    /// Where in the log it began.
    log_from: u64,
}

/// What a relay is started with beside its files.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Where it may run.
    pub cores: Cores,
    /// Another program than `hushwire-relay`.
    pub program: Option<&'static str>,
    /// For its environment.
    pub env: Vec<(&'static str, OsString)>,
    /// Lines for its configuration, where it is made.
    pub settings: String,
    /// How many files it may have open.
    pub open_files: Option<u32>,
    /// Where it logs to, if not among its files.
    pub log: Option<PathBuf>,
}

/// What became of a start.
#[derive(Debug)]
pub enum Started {
    /// It serves.
    Serves(Server),
    /// It ended without having served.
    Ended {
        /// How.
        status: ExitStatus,
        /// What it said.
        log: String,
        /// The same as one sentence.
        failure: Failure,
    },
}

impl Started {
    /// The server.
    ///
    /// # Errors
    /// There is none.
    pub fn serving(self) -> Result<Server, Failure> {
        match self {
            Self::Serves(server) => Ok(server),
            Self::Ended { failure, .. } => Err(failure),
        }
    }
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
        match kind {
            Kind::Relay => Self::start_relay(dir, &Around { cores: cores.clone(), ..Around::default() })?.serving(),
            Kind::Floor => {
                let mut command = cores.command(&beside_us("floor-sync")?);
                command.arg(dir);
                Self::run(cores, kind, dir, command, &dir.join(LOG))?.serving()
            }
        }
    }

    /// Starts a relay in these surroundings, which may be such that it ends at once.
    ///
    /// # Errors
    /// It cannot be started at all, or neither serves nor ends.
    pub fn start_relay(dir: &Path, around: &Around) -> Result<Started, Failure> {
        fs::create_dir_all(dir).map_err(said)?;
        let binary = beside_us(around.program.unwrap_or("hushwire-relay"))?;
        let config = dir.join("relay.toml");
        if !config.exists() {
            configure(&beside_us("hushwire-relay")?, dir, &config, &around.settings)?;
        }
        let mut command = around.cores.command(&binary);
        if let Some(files) = around.open_files {
            command = Command::new("sh");
            command.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]).arg(&binary);
        }
        command.args(["run", "--config"]).arg(config).envs(around.env.iter().cloned());
        Self::run(&around.cores, Kind::Relay, dir, command, around.log.as_deref().unwrap_or(&dir.join(LOG)))
    }

    fn run(cores: &Cores, kind: Kind, dir: &Path, mut command: Command, log: &Path) -> Result<Started, Failure> {
        fs::create_dir_all(dir).map_err(said)?;
        let errors = File::options().create(true).append(true).open(log).map_err(said)?;
        let log_from = errors.metadata().map_err(said)?.len();
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
        let (address, log) = (String::new(), log.to_owned());
        let mut server = Self { kind, dir: dir.to_owned(), child, address, group: None, log, log_from };
        server.group = bound?;
        match line {
            Ok(line) => {
                line.trim().clone_into(&mut server.address);
                Ok(Started::Serves(server))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = server.child.wait().map_err(said)?;
                Ok(Started::Ended { status, log: server.log(), failure: server.failure("ended as it started") })
            }
            Err(mpsc::RecvTimeoutError::Timeout) => Err(server.failure("did not say where it is")),
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.try_wait().map_err(said)
    }

    /// What it said since it was started.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.log_from).unwrap_or(usize::MAX);
        String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
    }

    /// SIGKILL. Gone when this returns; its files stay.
    pub fn kill(mut self) {
        self.end();
    }

    /// SIGTERM. It goes on for a moment.
    ///
    /// # Errors
    /// The system does not know the process.
    pub fn terminate(&self) -> Result<(), Failure> {
        let status = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().map_err(said)?;
        if status.success() { Ok(()) } else { Err(format!("kill -TERM ended with {status}")) }
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
        let log = self.log();
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

fn configure(binary: &Path, dir: &Path, config: &Path, settings: &str) -> Result<(), Failure> {
    let made = Command::new(binary).args(["init", "--host", "127.0.0.1", "--dir"]).arg(dir).output().map_err(said)?;
    if !made.status.success() {
        return Err(format!("relay init failed: {}", String::from_utf8_lossy(&made.stderr)));
    }
    let text = fs::read_to_string(config).map_err(said)?;
    let listen = format!("listen = \"127.0.0.1:{}\"", free_port());
    let lines = text.lines().map(|line| if line.starts_with("listen = ") { listen.as_str() } else { line });
    let text = lines.collect::<Vec<_>>().join("\n") + UNBOUNDED + settings;
    fs::write(config, text).map_err(said)?;
    // As what `init` writes is: a power cut takes neither.
    [config, dir].into_iter().try_for_each(|path| File::open(path)?.sync_all()).map_err(said)
}

/// The program of that name as Cargo built it, beside the program or test that runs.
///
/// # Errors
/// It is not there.
pub fn beside_us(name: &str) -> Result<PathBuf, Failure> {
    let us = std::env::current_exe().map_err(said)?;
    let dir = us.parent().map(|dir| if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir });
    let found = dir.map(|dir| dir.join(name)).unwrap_or_default();
    if found.is_file() {
        Ok(found)
    } else {
        Err(format!(
            "{} is not there; build every program first: cargo build --workspace{}",
            found.display(),
            if name.ends_with("fail-points") { " --features hushwire-relay/fail-points" } else { "" }
        ))
    }
}
