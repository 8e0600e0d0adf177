//! The real program with a home of its own, and real servers in this process.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use hushwire_keyserver::Registration;
use hushwire_keyserver::invites::Invites;
use hushwire_proto::net::serve::ServeLimits;
use hushwire_proto::net::tls::ServerIdentity;
use hushwire_relay::clock::Clock;
use hushwire_relay::queue::memory::MemoryQueue;
use hushwire_relay::quota::Rules;
use serde_json::Value;
use tempfile::TempDir;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One person: a data directory, and a passphrase in a file.
pub(crate) struct Person {
    home: TempDir,
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Person {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let person = Self { home };
        person.passphrase_file("right", "correct horse");
        std::fs::create_dir(person.temporary()).unwrap();
        person
    }

    /// Where the program has temporary files, if any.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.home.path().join("tmp")
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    /// The folder of the account.
    pub(crate) fn account(&self) -> PathBuf {
        self.home.path().join("data").join("default")
    }

    pub(crate) fn passphrase_file(&self, name: &str, passphrase: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, format!("{passphrase}\n")).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        path
    }

    /// The program, to be given arguments. Nothing of the environment reaches it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hush"));
        command.env_clear().env("HOME", self.home.path()).env("HUSHWIRE_DATA_DIR", self.home.path().join("data"));
        command.env("TZ", "UTC").env("TMPDIR", self.temporary()).stdin(Stdio::null());
        command
    }

    pub(crate) fn hush<const N: usize>(&self, args: [&str; N]) -> Ended {
        ended(self.command().args(args).output().unwrap())
    }

    pub(crate) fn hush_with_stdin<const N: usize>(&self, args: [&str; N], stdin: &str) -> Ended {
        let mut child = self.spawn(args, Stdio::piped());
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        ended(child.wait_with_output().unwrap())
    }

    pub(crate) fn spawn<const N: usize>(&self, args: [&str; N], stdin: Stdio) -> Child {
        self.command().args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the account is open in this program.
    pub(crate) fn is_open_in(&self, program: &Child) {
        let (lock, id) = (self.account().join("lock"), program.id().to_string());
        let open = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            std::fs::read_to_string(&lock).is_ok_and(|holder| holder == id)
        });
        assert!(open, "the account was not opened within 30 s");
    }

    /// With `--json`, ended well: the objects.
    pub(crate) fn json<const N: usize>(&self, args: [&str; N]) -> Vec<Value> {
        let ended = ended(self.command().arg("--json").args(args).output().unwrap());
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended.objects()
    }

    /// Makes an account with a key file.
    pub(crate) fn register(&self, servers: &Servers, name: &str) -> Value {
        let args = ["register", "--relay", &servers.relay, "--keyserver", &servers.keyserver];
        let ended = ended(
            self.command().arg("--json").args(args).args(["--handle", name, "--protect", "key-file"]).output().unwrap(),
        );
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.objects().pop().unwrap()
    }
}

impl Ended {
    /// Every line of stdout is one JSON object of the schema's envelope.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let object = |line: &str| -> Value {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!(value["v"], 1, "{line}");
            assert!(value["type"].is_string(), "{line}");
            value
        };
        self.out.lines().map(object).collect()
    }
}

pub(crate) fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The one object there is.
#[track_caller]
pub(crate) fn only(mut objects: Vec<Value>) -> Value {
    assert_eq!(objects.len(), 1, "{objects:?}");
    objects.pop().unwrap()
}

#[track_caller]
pub(crate) fn of_type<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["type"] == kind).collect()
}

pub(crate) fn link_of(person: &Person) -> String {
    only(person.json(["link"]))["link"].as_str().unwrap().to_owned()
}

/// Both know each other: the first by handle, the second by link.
pub(crate) fn introduce(first: &Person, second_name: &str, second: &Person, first_name: &str) {
    only(first.json(["contact", "add", second_name]));
    only(second.json(["contact", "add", &link_of(first), "--name", first_name]));
}

/// A relay and a keyserver.
pub(crate) struct Servers {
    pub(crate) relay: String,
    pub(crate) keyserver: String,
    runtime: tokio::runtime::Runtime,
    running: Option<(hushwire_relay::Running, hushwire_keyserver::Running)>,
    data: TempDir,
}

impl Servers {
    pub(crate) fn start() -> Self {
        Self::admitting(Registration::Open, 0)
    }

    /// A keyserver that takes such new accounts, for so much work.
    pub(crate) fn admitting(registration: Registration, work_bits: u8) -> Self {
        let data = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let identity = || ServerIdentity::self_signed(&["127.0.0.1".to_owned()]).unwrap();
        let relay = hushwire_relay::Parts {
            queue: MemoryQueue::new(Rules::default()),
            identity: identity(),
            listen: (LOCALHOST, 0).into(),
            host: "127.0.0.1".to_owned(),
            connections: ServeLimits::default(),
            clock: Clock::system(),
            sweep_every: Duration::from_secs(3600),
            operation: hushwire_relay::Operation::default(),
        };
        let keyserver = hushwire_keyserver::Parts {
            data_dir: data.path().join("keys"),
            listen: (LOCALHOST, 0).into(),
            host: "127.0.0.1".to_owned(),
            identity: identity(),
            registration,
            connections: ServeLimits::default(),
            operation: hushwire_keyserver::Operation { work_bits, ..Default::default() },
        };
        let (relay, keyserver) = runtime.block_on(async {
            (hushwire_relay::start(relay).unwrap(), hushwire_keyserver::start(keyserver).await.unwrap())
        });
        Self {
            relay: relay.address().to_string(),
            keyserver: keyserver.address().to_string(),
            runtime,
            running: Some((relay, keyserver)),
            data,
        }
    }

    /// A code that lets in one person.
    pub(crate) fn invite(&self) -> String {
        let invites = Invites::beside(&self.data.path().join("keys"));
        let made = invites.make(1, Duration::from_secs(3600), std::time::SystemTime::now(), &mut rand::rng());
        made.unwrap().first().unwrap().to_code().to_string()
    }

    /// Addresses where nobody listens.
    pub(crate) fn nowhere() -> (String, String) {
        let print = "a".repeat(52);
        (format!("hush://{print}@127.0.0.1:9"), format!("hush://{print}@127.0.0.1:10"))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some((relay, keyserver)) = self.running.take() {
            self.runtime.block_on(async {
                relay.shutdown().await;
                keyserver.shutdown().await;
            });
        }
    }
}
