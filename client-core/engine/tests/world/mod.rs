//! A world without a network: a clock, a keyserver and a relay as plain values, and people with their engines. What
//! they ask of servers is answered when [`World::settle`] says so; what a relay holds can be looked at and altered.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub mod friends;
pub mod log;
pub mod member;
pub mod pages;
pub mod peer;
pub mod servers;
pub mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use hushwire_crypto::PublicKey;
use hushwire_engine::{
    Answer, Call, CallId, CannotJoin, Command, Contact, ContactId, DatabaseKey, DeviceRequest, Engine, Event, Input,
    Joining, KnownAccount, Membership, Message, NewContact, Output, Page, Setup, State, Store,
};
use hushwire_proto::address::{Handle, Host, ServerAddress};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{AccountId, DeviceId, MailboxId, Seq, UnixMillis};
use hushwire_proto::keyserver::{Bundle, Found};
use hushwire_proto::relay::{Deliveries, Delivery};
use rand::SeedableRng;
use rand::rngs::StdRng;
pub use servers::{Keys, Mailbox};

/// Of every database.
const KEY: [u8; 32] = [9; 32];

/// One person: an engine on a database file, and what it waits for.
pub struct Person {
    pub name: &'static str,
    pub engine: Option<Engine>,
    pub calls: VecDeque<(CallId, Call)>,
    pub events: Vec<Event>,
    pub wake: Option<UnixMillis>,
    /// Of the recovery key, on paper.
    pub words: String,
    identity: Option<PublicKey>,
    path: PathBuf,
}

pub struct World {
    pub now: UnixMillis,
    pub rng: StdRng,
    pub mailboxes: BTreeMap<MailboxId, Mailbox>,
    pub accounts: BTreeMap<AccountId, Keys>,
    pub log: log::Log,
    pub relay_down: bool,
    pub keyserver_down: bool,
    /// Alters bundles on their way, as an evil keyserver would.
    pub twist: Option<fn(&mut Bundle)>,
    /// What was whispered to whom and nobody has heard yet.
    pub whispered: Vec<(MailboxId, Envelope)>,
    /// Every envelope that any relay ever saw.
    pub seen: Vec<Envelope>,
    dir: tempfile::TempDir,
}

pub fn server(port: u16) -> ServerAddress {
    ServerAddress::new(Host::Domain("example.org".into()), port).with_fingerprint(log::fingerprint())
}

impl World {
    pub fn seeded(seed: u64) -> Self {
        Self {
            now: log::BEGIN,
            rng: StdRng::seed_from_u64(seed),
            mailboxes: BTreeMap::new(),
            accounts: BTreeMap::new(),
            log: log::Log::new(),
            relay_down: false,
            keyserver_down: false,
            twist: None,
            whispered: Vec::new(),
            seen: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A registered person.
    pub fn person(&mut self, name: &'static str) -> Person {
        let path = self.dir.path().join(name);
        let setup = Setup { relay: server(4431), keyserver: server(4432), handle_name: Some(name.into()) };
        let (engine, recovery) = Engine::create(store(&path), &setup, self.now, &mut self.rng).unwrap();
        assert_eq!(recovery.words().split(' ').count(), 24);
        let mut person = Person { words: recovery.words().to_string(), ..Person::of(name, engine, path) };
        self.settle(&mut [&mut person]);
        let device = &self.accounts[&person.account()].links[0].link().devices[0];
        person.identity = Some(PublicKey::from_pub33(&device.identity_key).unwrap());
        assert!(person.events.contains(&Event::Registered));
        person
    }

    /// What the keyserver shows of somebody's account.
    pub fn known(&mut self, name: &str) -> KnownAccount {
        let whose = NewContact::Handle(Handle::new(name, server(4432)).unwrap(), server(4432));
        let (account, keys) = self.accounts.iter().find(|(_, keys)| keys.handle.as_deref() == Some(name)).unwrap();
        let found = Found {
            account: *account,
            links: keys.links.clone(),
            handle_name: keys.handle.clone(),
            proven: Some(self.log.says(name, &keys.links)),
        };
        KnownAccount::verify(&whose, found).unwrap()
    }

    /// A device that waits to be added to the account of that handle.
    pub fn joins(&mut self, of: &str, name: &'static str) -> (Person, DeviceRequest) {
        let path = self.dir.path().join(name);
        let joining = Joining { account: self.known(of), relay: server(4431), name: name.into() };
        let (engine, request) = Engine::join(store(&path), &joining, self.now, &mut self.rng).unwrap().unwrap();
        (Person::of(name, engine, path), request)
    }

    /// A new device, made with the words.
    pub fn recovers(&mut self, of: &str, name: &'static str, words: &str) -> Result<Person, CannotJoin> {
        let path = self.dir.path().join(name);
        let joining = Joining { account: self.known(of), relay: server(4431), name: name.into() };
        let words = words.parse().unwrap();
        let engine = Engine::recover(store(&path), &joining, &words, self.now, &mut self.rng).unwrap()?;
        Ok(Person::of(name, engine, path))
    }

    /// A copy of somebody's database in other hands.
    pub fn stolen(&mut self, from: &Person, name: &'static str) -> Person {
        let path = self.dir.path().join(name);
        for suffix in ["", "-wal"] {
            let with = |path: &PathBuf| PathBuf::from(format!("{}{suffix}", path.display()));
            if with(&from.path).exists() {
                std::fs::copy(with(&from.path), with(&path)).unwrap();
            }
        }
        let engine = Engine::open(store(&path)).unwrap().unwrap();
        Person { identity: from.identity, ..Person::of(name, engine, path) }
    }

    /// Two people who have added each other by handle.
    pub fn friends(&mut self) -> (Person, Person) {
        let (mut alice, mut bob) = (self.person("alice"), self.person("bob"));
        self.add(&mut alice, "bob");
        self.add(&mut bob, "alice");
        self.settle(&mut [&mut alice, &mut bob]);
        (alice, bob)
    }

    pub fn add(&mut self, person: &mut Person, handle: &str) -> Contact {
        let who = NewContact::Handle(Handle::new(handle, server(4432)).unwrap(), server(4432));
        self.command(person, Command::AddContact { who, name: None });
        self.settle(&mut [person]);
        person.contact(handle)
    }

    pub fn command(&mut self, person: &mut Person, command: Command) -> Answer {
        self.input(person, Input::Command(command)).expect("each command has an answer")
    }

    pub fn send(&mut self, from: &mut Person, to: &str, text: &str) -> Message {
        let to = from.contact(to).conversation;
        match self.command(from, Command::Send { to, text: text.into() }) {
            Answer::Queued(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// One input; calls are put aside, events kept.
    pub fn input(&mut self, person: &mut Person, input: Input) -> Option<Answer> {
        let outputs = person.engine.as_mut().unwrap().handle(input, self.now, &mut self.rng).unwrap();
        let mut answer = None;
        person.wake = None;
        for output in outputs {
            match output {
                Output::Answer(one) => answer = Some(one),
                Output::Call { id, call } => person.calls.push_back((id, call)),
                Output::Event(event) => person.events.push(event),
                Output::WakeAt(at) => person.wake = Some(at),
            }
        }
        answer
    }

    /// Answers everything, delivers everything, lets waiting times pass, until nothing happens any more.
    pub fn settle(&mut self, people: &mut [&mut Person]) {
        for _ in 0..10_000 {
            let mut quiet = true;
            for person in people.iter_mut() {
                self.input(person, Input::Tick);
                if !person.calls.is_empty() {
                    self.answer_calls(person);
                    quiet = false;
                }
                if self.deliver(person) {
                    quiet = false;
                }
            }
            if quiet {
                let soon = self.now.plus(2_000);
                match people.iter().filter_map(|person| person.wake).filter(|wake| *wake <= soon).min() {
                    Some(wake) => self.now = self.now.max(wake),
                    None => return,
                }
            }
        }
        panic!("the world does not come to rest");
    }

    /// Lets a time pass.
    pub fn wait(&mut self, millis: u64) {
        self.now = self.now.plus(millis);
        self.log.now = self.now;
    }

    /// Delivers what the person's mailbox holds behind what they have; whether there was anything.
    pub fn deliver(&mut self, person: &mut Person) -> bool {
        if self.relay_down {
            return false;
        }
        let mailbox = person.mailbox();
        let after = person.engine().drained_to().unwrap();
        let deliveries: Vec<Delivery> = self
            .mailboxes
            .get(&mailbox)
            .map(|held| held.envelopes.iter().filter(|delivery| delivery.seq > after).cloned().collect())
            .unwrap_or_default();
        if deliveries.is_empty() {
            return false;
        }
        self.input(person, Input::Delivered(Deliveries { mailbox, expired_through: Seq(0), deliveries }));
        true
    }

    /// Asks the servers what the person waits for, and nothing more.
    pub fn answer_calls(&mut self, person: &mut Person) {
        while let Some((id, call)) = person.calls.pop_front() {
            let whispers = matches!(call, Call::Whisper { .. });
            let reply = self.answer(person, call);
            if !whispers {
                self.input(person, Input::Replied { call: id, reply });
            }
        }
    }

    /// The person hears what was whispered to them; how much that was. What is whispered to others is lost.
    pub fn whispers_to(&mut self, person: &mut Person) -> usize {
        let mine: Vec<_> = std::mem::take(&mut self.whispered);
        let mine = mine.into_iter().filter(|(mailbox, _)| *mailbox == person.mailbox());
        let mine: Vec<_> = mine.map(|(_, envelope)| envelope).collect();
        let count = mine.len();
        for envelope in mine {
            self.input(person, Input::Whispered(envelope));
        }
        self.answer_calls(person);
        count
    }

    /// All that the person's database is on the disk, byte by byte.
    pub fn disk(&self, person: &Person) -> Vec<u8> {
        let with = |suffix: &str| PathBuf::from(format!("{}{suffix}", person.path.display()));
        ["", "-wal"].iter().flat_map(|suffix| std::fs::read(with(suffix)).unwrap_or_default()).collect()
    }

    /// Puts an envelope into a mailbox as a relay that does what it likes.
    pub fn inject(&mut self, mailbox: MailboxId, envelope: Envelope) {
        let held = self.mailboxes.entry(mailbox).or_default();
        held.last += 1;
        held.envelopes.push(Delivery { seq: Seq(held.last), stored_at: self.now, envelope });
    }
}

impl Person {
    fn of(name: &'static str, engine: Engine, path: PathBuf) -> Self {
        let (calls, events, words) = (VecDeque::new(), Vec::new(), String::new());
        Self { name, engine: Some(engine), calls, events, wake: None, words, identity: None, path }
    }

    pub fn device(&self) -> DeviceId {
        self.engine().credentials().device
    }

    /// Numbers of the devices that it knows of its account.
    pub fn devices(&self) -> Vec<u8> {
        self.engine().devices().iter().map(|device| device.id.get()).collect()
    }

    pub fn membership(&self) -> Membership {
        self.engine().profile().unwrap().membership
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub fn mailbox(&self) -> MailboxId {
        MailboxId(self.engine().credentials().mailbox_key.verifying_key().to_bytes())
    }

    pub fn account(&self) -> AccountId {
        self.engine().profile().unwrap().account
    }

    /// Its identity key, as its device list shows it.
    pub fn identity(&self) -> PublicKey {
        self.identity.expect("registered")
    }

    pub fn contact(&self, name: &str) -> Contact {
        self.engine().find_contact(name).unwrap().unwrap_or_else(|| panic!("{} knows no {name}", self.name))
    }

    pub fn only_contact(&self) -> Contact {
        let [contact] = self.engine().contacts().unwrap().try_into().unwrap();
        contact
    }

    /// The conversation with the only contact in its order, or with more contacts everything as it came.
    pub fn messages(&self) -> Vec<Message> {
        let contacts = self.engine().contacts().unwrap();
        let only = match contacts.as_slice() {
            [contact] => Some(contact.conversation),
            _ => None,
        };
        self.engine().history(only, Page { limit: 100_000, ..Page::default() }).unwrap()
    }

    /// What the history says, in its order.
    pub fn history(&self) -> Vec<String> {
        self.messages().into_iter().map(|message| message.text).collect()
    }

    /// What was shown as it came.
    pub fn shown(&self) -> Vec<String> {
        let texts = self.events.iter().filter_map(|event| match event {
            Event::Received(message) => Some(message.text.clone()),
            _ => None,
        });
        texts.collect()
    }

    pub fn states(&self) -> Vec<State> {
        self.messages().into_iter().filter(|message| message.outgoing).map(|message| message.state).collect()
    }

    pub fn mark_all_read(&self, contact: ContactId) -> Option<Command> {
        let last = self.messages().into_iter().rfind(|message| message.author == Some(contact))?;
        Some(Command::MarkRead { conversation: last.conversation, through: last.id })
    }

    /// What its files hold, decrypted.
    pub fn pages(&self) -> Vec<u8> {
        pages::of(&self.path, &KEY)
    }

    /// A copy of the database as it is now.
    pub fn copy(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = ["", "-wal"].map(|suffix| PathBuf::from(format!("{}{suffix}", self.path.display())));
        files.into_iter().filter_map(|file| Some((file.clone(), std::fs::read(file).ok()?))).collect()
    }

    /// The database is as it was when that copy was made.
    pub fn set_back(&mut self, copy: &[(PathBuf, Vec<u8>)]) {
        self.engine = None;
        self.calls.clear();
        self.wake = None;
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.path.display()));
        }
        for (file, bytes) in copy {
            std::fs::write(file, bytes).unwrap();
        }
        self.engine = Some(Engine::open(store(&self.path)).unwrap().expect("an account"));
    }

    /// The program dies here: what was under way is lost, the database stays.
    pub fn crash(&mut self) {
        self.engine = None;
        self.calls.clear();
        self.wake = None;
        self.engine = Some(Engine::open(store(&self.path)).unwrap().expect("an account"));
    }
}

fn store(path: &std::path::Path) -> Store {
    Store::open(path, &DatabaseKey::new(KEY)).unwrap()
}
