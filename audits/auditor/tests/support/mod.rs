//! An auditor in this process, what it says over HTTP, and a keyserver that answers what a test tells it to.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../../../../client-core/engine/tests/world/log.rs"]
pub mod log;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hushwire_auditor::{Parts, Running, start};
use hushwire_log::{Report, Standing};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{AccountId, LinkHash, UnixMillis};
use hushwire_proto::keyserver::{Answer, Refused, RefusedReason, Request, Step};
use hushwire_proto::limits::STEP_PART_BYTES_MAX;
use hushwire_proto::log::{Entry, SignedRoot, fingerprint_of};
use hushwire_proto::net::KEYS_ALPN;
use hushwire_proto::net::serve::{Listener, Peer, Reply, ServeLimits, Service, serve};
use hushwire_proto::net::tls::ServerIdentity;
use tokio::task::JoinHandle;

/// Far more than anything here takes on a busy machine; a test that fails waits this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

pub fn now() -> UnixMillis {
    UnixMillis(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64)
}

pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[33; 32])
}

/// An auditor of this keyserver, which asks ten times a second.
pub async fn auditor(dir: &Path, keyserver: &ServerAddress) -> Running {
    let keyservers = vec![(keyserver.clone(), keyserver.fingerprint().unwrap())];
    let (data_dir, host) = (dir.join("auditor"), "127.0.0.1".to_owned());
    start(Parts { data_dir, listen: loopback(0), host, key: key(), keyservers, every: Duration::from_millis(100) })
        .await
        .unwrap()
}

/// Status and body of an answer.
pub fn get(at: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The auditor's report, every signature checked.
pub async fn report(at: SocketAddr, query: &str) -> Report {
    let path = format!("/roots.json{query}");
    let (status, body) = tokio::task::spawn_blocking(move || get(at, &path)).await.unwrap();
    assert_eq!(status, 200, "{body}");
    Report::parse(body.as_bytes(), fingerprint_of(&key().verifying_key().to_bytes())).unwrap()
}

/// The report once it is as wanted.
pub async fn until(auditor: &Running, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
    let end = Instant::now() + PATIENCE;
    loop {
        let report = report(auditor.local_addr(), "").await;
        if wanted(&report) {
            return report;
        }
        assert!(Instant::now() < end, "waited for {what}: {:?}", report.followed[0].standing);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Why the keyserver is not followed any more, once it is not.
pub async fn stopped(auditor: &Running) -> (String, Report) {
    let report =
        until(auditor, "a verdict", |report| matches!(report.followed[0].standing, Standing::Stopped(_))).await;
    let Standing::Stopped(why) = report.followed[0].standing.clone() else { panic!() };
    (why, report)
}

/// What an evil keyserver answers.
#[derive(Default)]
pub struct Script {
    pub newest: Option<SignedRoot>,
    pub roots: BTreeMap<u64, SignedRoot>,
    pub steps: BTreeMap<u64, Vec<u8>>,
}

/// A keyserver that answers by the script. It has its key and a log in memory, and signs what it likes.
pub struct Evil {
    pub address: ServerAddress,
    pub key: SigningKey,
    pub script: Arc<Mutex<Script>>,
    _serving: JoinHandle<()>,
}

struct Answering(Arc<Mutex<Script>>);

impl Evil {
    pub fn start() -> Self {
        let identity = ServerIdentity::self_signed(&["localhost".to_owned()]).unwrap();
        let listener = Listener::bind(loopback(0), &identity, KEYS_ALPN).unwrap();
        let address = ServerAddress::parse("hush://127.0.0.1", listener.local_addr().port()).unwrap();
        let address = address.with_fingerprint(identity.fingerprint());
        let script = Arc::new(Mutex::new(Script::default()));
        let service = Arc::new(Answering(script.clone()));
        let serving = serve(listener, service, ServeLimits::default(), std::future::pending::<()>());
        let _serving = tokio::spawn(async move { _ = serving.await });
        Self { address, key: identity.signing_key().unwrap(), script, _serving }
    }

    /// A log of this keyserver's: one epoch with each name, after the first.
    pub fn log(&self, names: &[&str]) -> log::Log {
        let mut log = log::Log::signed_with(self.key.clone());
        log.now = now();
        for name in names {
            add(&log, name);
        }
        log
    }

    /// Shows the epochs of this log from `from` to `to`, instead of what it showed of them.
    pub fn shows(&self, log: &[(SignedRoot, Vec<u8>)], from: u64) {
        let mut script = self.script.lock().unwrap();
        for (root, step) in log.iter().filter(|(root, _)| root.epoch >= from) {
            script.roots.insert(root.epoch, root.clone());
            script.steps.insert(root.epoch, step.clone());
            script.newest = Some(root.clone());
        }
    }
}

/// One more epoch.
pub fn add(log: &log::Log, name: &str) {
    let (account, head) = (AccountId([1; 32]), LinkHash([2; 32]));
    log.publish(name, Entry { account, head, version: name.len() as u64 });
}

/// Every epoch of a log that begins with the first and goes on with these names.
pub fn epochs(evil: &Evil, names: &[&str]) -> Vec<(SignedRoot, Vec<u8>)> {
    let log = evil.log(&[]);
    let mut epochs = vec![(log.root(), log.step(1))];
    for name in names {
        add(&log, name);
        let root = log.root();
        epochs.push((root.clone(), log.step(root.epoch)));
    }
    epochs
}

impl Service for Answering {
    type Connection = ();

    fn connected(&self, _: Peer) {}

    fn request(self: &Arc<Self>, _: &Arc<()>, payload: Bytes, reply: Reply) {
        let answer = self.answer(Request::parse(&payload).unwrap());
        tokio::spawn(reply.send(answer.encode()));
    }

    fn disconnected(&self, _: &()) {}
}

impl Answering {
    fn answer(&self, request: Request) -> Answer {
        let script = self.0.lock().unwrap();
        let unknown = Refused { reason: RefusedReason::Unknown, detail: String::new(), retry_after_ms: 0 };
        let root = |root: Option<&SignedRoot>| root.cloned().map(Answer::Root);
        let answer = match request {
            Request::GetRoot { epoch: None } => root(script.newest.as_ref()),
            Request::GetRoot { epoch: Some(epoch) } => root(script.roots.get(&epoch)),
            Request::GetStep { epoch, offset } => script.steps.get(&epoch).map(|step| {
                let rest = &step[(offset as usize).min(step.len())..];
                let part = rest[..rest.len().min(STEP_PART_BYTES_MAX)].to_vec().into();
                Answer::Step(Step { bytes_total: step.len() as u64, part })
            }),
            _ => None,
        };
        answer.unwrap_or(Answer::Refused(unknown))
    }
}
