//! A person with one device, and a connection to a keyserver, for the tests in this folder.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hushwire_crypto::curve::{IdentityKeyPair, PublicKey};
use hushwire_crypto::kem::KemPublicKey;
use hushwire_crypto::prekey::{
    KyberPreKey, KyberPreKeyPublic, OneTimePreKey, OneTimePreKeyPublic, PreKeyBundle, SignedPreKey, SignedPreKeyPublic,
    VerifiedBundle,
};
use hushwire_keyserver::{Operation, Parts, Rates, Registration, Running, start};
use hushwire_proto::account::{Device, Link, Signatory, SignedLink, identity_transcript};
use hushwire_proto::address::{KEYSERVER_PORT, ServerAddress};
use hushwire_proto::admission::Pass;
use hushwire_proto::auth::{EXPORTER_LABEL, SessionBinding, SignatureBytes, prove_device, prove_registration};
use hushwire_proto::ids::{AccountId, DeviceId, MailboxId, Token};
use hushwire_proto::keyserver::{
    Answer, Bundle, CurveKey, Publish, RefusedReason, Request, SignedCurveKey, SignedKyberKey, Stock,
};
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::KEYS_ALPN;
use hushwire_proto::net::call::Connection;
use hushwire_proto::net::serve::ServeLimits;
use hushwire_proto::net::tls::ServerIdentity;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// One account with one device.
pub struct Person {
    pub rng: StdRng,
    pub identity: IdentityKeyPair,
    pub signing: SigningKey,
    pub recovery: SigningKey,
    pub link: SignedLink,
    pub account: AccountId,
}

impl Person {
    pub fn seeded(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let identity = IdentityKeyPair::generate(&mut rng);
        let (signing, recovery) = (SigningKey::generate(&mut rng), SigningKey::generate(&mut rng));
        let (id, registration_id, signing_key) = (DeviceId::FIRST, 4711, signing.verifying_key().to_bytes());
        let vouched = identity_transcript(id, registration_id, &signing_key);
        let device = Device {
            id,
            registration_id,
            identity_key: identity.public().to_pub33(),
            signing_key,
            identity_proof: identity.sign(&[vouched.bytes()], &mut rng),
            relay: "hush://relay.example.org:4431".to_owned(),
            mailbox: MailboxId([7; 32]),
            request_token: Token::generate(&mut rng),
            name: String::new(),
        };
        let recovery_key = recovery.verifying_key().to_bytes();
        let link = Link { version: 0, previous: None, devices: vec![device], recovery_key };
        let link = link.sign(Signatory::Device(id), &signing);
        let account = AccountId(link.hash().0);
        Self { rng, identity, signing, recovery, link, account }
    }

    /// A further device of this account: its entry in a device list, and its keys.
    pub fn device(&self, number: u8) -> (Device, SigningKey) {
        let other = Self::seeded(1_000 + u64::from(number));
        let id = DeviceId::new(number.into()).unwrap();
        let listed = other.link.link().device(DeviceId::FIRST).unwrap().clone();
        let vouched = identity_transcript(id, listed.registration_id, &listed.signing_key);
        let identity_proof = other.identity.sign(&[vouched.bytes()], &mut StdRng::seed_from_u64(1));
        (Device { id, identity_proof, ..listed }, other.signing)
    }

    /// A list of these devices after `before`, signed by that device or, for 0, by the recovery key.
    pub fn next(&self, before: &SignedLink, devices: Vec<Device>, by: u8, key: &SigningKey) -> SignedLink {
        let link = Link {
            version: before.link().version + 1,
            previous: Some(before.hash()),
            devices,
            ..before.link().clone()
        };
        link.sign(DeviceId::new(by.into()).map_or(Signatory::Recovery, Signatory::Device), key)
    }

    pub fn signed(&mut self, id: u32) -> SignedCurveKey {
        let key = SignedPreKey::generate(id, &self.identity, &mut self.rng).public();
        SignedCurveKey { id, key: key.key.to_pub33(), signature: key.signature }
    }

    pub fn kyber(&mut self, id: u32) -> SignedKyberKey {
        let key = KyberPreKey::generate(id, &self.identity, &mut self.rng).public();
        SignedKyberKey { id, key: key.key.to_bytes().into(), signature: key.signature }
    }

    pub fn one_time(&mut self, id: u32) -> CurveKey {
        CurveKey { id, key: OneTimePreKey::generate(id, &mut self.rng).public().key.to_pub33() }
    }

    /// A signed prekey 1, a last-resort key 2, and one-time keys of each kind with these ids.
    pub fn prekeys(&mut self, ids: std::ops::Range<u32>) -> Publish {
        Publish {
            signed_prekey: Some(self.signed(1)),
            last_resort_kyber: Some(self.kyber(2)),
            one_time: ids.clone().map(|id| self.one_time(id)).collect(),
            one_time_kyber: ids.map(|id| self.kyber(id)).collect(),
        }
    }

    /// Begins a session with the bundle as a client would: every signature is checked.
    pub fn verify(&self, bundle: &Bundle) -> VerifiedBundle {
        let curve = |key: &[u8; 33]| PublicKey::from_pub33(key).unwrap();
        PreKeyBundle {
            registration_id: 4711,
            device_id: bundle.device.get(),
            identity: self.identity.public(),
            signed: SignedPreKeyPublic {
                id: bundle.signed_prekey.id,
                key: curve(&bundle.signed_prekey.key),
                signature: bundle.signed_prekey.signature,
            },
            kyber: KyberPreKeyPublic {
                id: bundle.kyber.id,
                key: KemPublicKey::from_bytes(&bundle.kyber.key).unwrap(),
                signature: bundle.kyber.signature,
            },
            one_time: bundle.one_time.as_ref().map(|key| OneTimePreKeyPublic { id: key.id, key: curve(&key.key) }),
        }
        .verify()
        .unwrap()
    }
}

/// A connection that speaks the protocol of the keyserver.
#[derive(Clone)]
pub struct Asker(pub Connection);

impl Asker {
    pub async fn connect(address: &ServerAddress) -> Self {
        Self(Connection::connect(address, KEYS_ALPN, CONNECT_DEADLINE).await.unwrap())
    }

    pub fn binding(&self) -> SessionBinding {
        SessionBinding(self.0.exporter(EXPORTER_LABEL, b"").unwrap())
    }

    pub async fn ask(&self, request: Request) -> Answer {
        self.say(request.encode()).await
    }

    pub async fn say(&self, payload: Bytes) -> Answer {
        Answer::parse(&self.0.call(payload, CALL_DEADLINE).await.unwrap()).unwrap()
    }

    pub async fn refused(&self, request: Request) -> RefusedReason {
        reason(self.ask(request).await)
    }

    pub fn registration(&self, person: &Person, handle: &str) -> Request {
        let proof = prove_registration(self.binding(), person.account, DeviceId::FIRST, handle, &person.signing);
        register(person, handle, proof)
    }

    pub async fn register(&self, person: &Person, handle: &str) -> Answer {
        self.ask(self.registration(person, handle)).await
    }

    pub async fn sign_in(&self, person: &Person) -> Answer {
        let (account, device) = (person.account, DeviceId::FIRST);
        let proof = prove_device(self.binding(), account, device, &person.signing);
        self.ask(Request::SignIn { account, device, proof }).await
    }

    pub async fn append(&self, account: AccountId, link: &SignedLink) -> Answer {
        self.ask(Request::AppendLink { account, link: link.clone() }).await
    }

    pub async fn publish(&self, publish: Publish) -> Stock {
        match self.ask(Request::Publish(publish)).await {
            Answer::Stock(stock) => stock,
            other => panic!("{other:?}"),
        }
    }

    /// The bundle of the first device.
    pub async fn bundle(&self, account: AccountId) -> Bundle {
        match self.ask(fetch(account)).await {
            Answer::Bundles(mut bundles) if bundles.len() == 1 => bundles.remove(0),
            other => panic!("{other:?}"),
        }
    }
}

pub fn register(person: &Person, handle: &str, proof: SignatureBytes) -> Request {
    let handle_name = Some(handle.to_owned()).filter(|name| !name.is_empty());
    Request::Register { link: person.link.clone(), handle_name, proof, pass: Pass::default() }
}

pub fn fetch(account: AccountId) -> Request {
    Request::Fetch { account, devices: vec![DeviceId::FIRST] }
}

pub fn reason(answer: Answer) -> RefusedReason {
    match answer {
        Answer::Refused(refused) => refused.reason,
        other => panic!("{other:?}"),
    }
}

/// A keyserver in this process, on loopback, its data and its identity in `dir`.
pub async fn keyserver(dir: &Path, registration: Registration) -> Running {
    operated(dir, registration, Operation::default()).await
}

/// The same, as its operator wants it.
pub async fn operated(dir: &Path, registration: Registration, operation: Operation) -> Running {
    let (certificate, key) = (dir.join("keyserver.crt"), dir.join("keyserver.key"));
    if !key.exists() {
        ServerIdentity::self_signed(&["localhost".to_owned()]).unwrap().write(&certificate, &key).unwrap();
    }
    let identity = ServerIdentity::load(&certificate, &key).unwrap();
    start(Parts {
        data_dir: dir.join("data"),
        listen: "127.0.0.1:0".parse().unwrap(),
        host: "127.0.0.1".to_owned(),
        identity,
        registration,
        connections: ServeLimits::default(),
        operation,
    })
    .await
    .unwrap()
}

/// A configuration with more lines.
pub fn configure(config: &Path, lines: &str) {
    let text = std::fs::read_to_string(config).unwrap() + lines;
    std::fs::write(config, text).unwrap();
}

/// Rates that a test alone does not reach.
pub const UNBOUND: Rates =
    Rates { requests_per_second: 1_000_000, fetches_per_hour: 1_000_000_000, lookups_per_hour: 1_000_000_000 };

/// The same in a configuration.
pub const UNBOUND_LINES: &str = "requests_per_second_per_connection = 1000000\n\
    fetches_per_hour_per_address = 1000000000\nlookups_per_hour_per_address = 1000000000\n";

/// What `hushwire-keyserver init` writes, for a free port on loopback and accounts that cost no work; the path of the
/// configuration.
pub fn init(dir: &Path) -> PathBuf {
    let init = Command::new(PROGRAM).args(["init", "--host", "127.0.0.1", "--dir"]).arg(dir).output().unwrap();
    assert!(init.status.success(), "{init:?}");
    let config = dir.join("keyserver.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[::]:4432", "127.0.0.1:0") + "work_bits = 0\n").unwrap();
    config
}

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_hushwire-keyserver");

/// The keyserver as a process of its own, killed at the latest when this is dropped.
pub struct Program {
    child: Child,
    pub address: ServerAddress,
}

impl Program {
    pub fn start(config: &Path) -> Self {
        Self::run(Command::new(PROGRAM).arg("--config").arg(config))
    }

    /// Runs what becomes the keyserver, until it says where it is.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = ServerAddress::parse(line.trim(), KEYSERVER_PORT).unwrap();
        Self { child, address }
    }

    /// SIGKILL: nothing is flushed and nobody is told.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal to this one process.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
