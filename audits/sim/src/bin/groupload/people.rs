//! Many clients in one process, of whom the first is the founder.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use hushwire_client::group::Op;
use hushwire_client::ids::AccountId;
use hushwire_client::{Answer, Client, Command, ContactId, ConversationId, DataDir, Event, NewContact, Unlock};
use hushwire_sim::Failure;
use hushwire_sim::person::{PATIENCE, Person, said, setup};
use hushwire_sim::server::Server;
use serde_json::json;

/// Accounts that are made at the same time.
const AT_ONCE: usize = 16;

/// A keyserver makes a thousand accounts at once for one address, and then one every ten seconds, until it begins anew.
const ACCOUNTS_MAX: usize = 50 * AT_ONCE;

/// Receipts have come by then.
const REST: Duration = Duration::from_secs(3);

/// One thing that was measured.
pub(crate) struct Row {
    what: String,
    took: Duration,
    bytes: u64,
}

impl Row {
    pub(crate) fn new(what: &str, took: Duration, bytes: u64) -> Self {
        Self { what: what.to_owned(), took, bytes }
    }

    pub(crate) fn json(&self, members: usize) -> String {
        let ms = self.took.as_secs_f64() * 1000.0;
        json!({"members": members, "what": self.what, "ms": ms, "bytes": self.bytes}).to_string()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<64} {:>10.1} ms {:>12} bytes", self.what, self.took.as_secs_f64() * 1000.0, self.bytes)
    }
}

/// One of them.
pub(crate) struct Member {
    person: Person,
    /// The founder's contact, for the others; for the founder nobody.
    contact: Option<ContactId>,
    talk: Option<ConversationId>,
}

/// All of them.
pub(crate) struct Crowd {
    people: Vec<Member>,
}

impl Crowd {
    /// Makes their accounts. Each knows the founder, who knows each.
    pub(crate) async fn gather(
        dir: &Path,
        relay: &Server,
        mut keyserver: Server,
        number: usize,
    ) -> Result<(Self, Server), Failure> {
        let mut people = Vec::with_capacity(number);
        for first in (0..number).step_by(AT_ONCE) {
            if first > 0 && first % ACCOUNTS_MAX == 0 {
                keyserver = keyserver.kill_and_restart(Duration::ZERO)?;
            }
            let some = (first..number.min(first + AT_ONCE)).map(|place| {
                let dir = DataDir::at(dir.join("people").join(place.to_string()));
                tokio::spawn(Person::register(dir, setup(relay, &keyserver)))
            });
            for made in some.collect::<Vec<_>>() {
                let person = made.await.map_err(said)??;
                people.push(Member { person, contact: None, talk: None });
                eprint!("\r{} accounts", people.len());
            }
        }
        let mut others = people.split_off(1);
        let Some(founder) = people.first_mut() else { return Err("nobody came".to_owned()) };
        let founders_link = founder.person.link().await?;
        let mut known = Vec::with_capacity(others.len());
        while !others.is_empty() {
            let some = others.drain(..AT_ONCE.min(others.len()));
            let added = some.map(|other| tokio::spawn(knows(other, founders_link.clone())));
            for other in added.collect::<Vec<_>>() {
                let mut other: Member = other.await.map_err(said)??;
                let (contact, talk) = founder.person.add(other.person.link().await?).await?;
                (other.contact, other.talk) = (Some(contact), Some(talk));
                known.push(other);
                eprint!("\r{} know each other", known.len());
            }
        }
        let mut others = known;
        people.append(&mut others);
        Ok((Self { people }, keyserver))
    }

    pub(crate) async fn found(&mut self, members: usize) -> Result<ConversationId, Failure> {
        let ids = self.people.iter().take(members).filter_map(|person| person.contact).collect();
        let answer = self.command(0, Command::FoundGroup { name: "crowd".to_owned(), members: ids }).await?;
        let Answer::Group(group) = answer else { return Err(format!("{answer:?} instead of a group")) };
        for (place, person) in self.members(1..members).iter_mut().enumerate() {
            person.person.until(|event| matches!(event, Event::GroupJoined { .. })).await?;
            eprint!("\r{} are in it    ", place + 1);
        }
        Ok(group)
    }

    pub(crate) async fn command(&self, who: usize, command: Command) -> Result<Answer, Failure> {
        let person = self.people.get(who).ok_or("nobody")?;
        person.person.command(command).await
    }

    pub(crate) async fn say(&self, to: ConversationId, what: &str) -> Result<(), Failure> {
        self.command(0, Command::Send { to, text: what.into() }).await.map(drop)
    }

    pub(crate) async fn say_to_each(&self, members: usize, what: &str) -> Result<(), Failure> {
        for talk in self.people.iter().take(members).filter_map(|person| person.talk) {
            self.say(talk, what).await?;
        }
        Ok(())
    }

    pub(crate) async fn add(&self, group: ConversationId, who: usize) -> Result<(), Failure> {
        let founder = self.people.first().ok_or("nobody")?;
        let id = self.people.get(who).and_then(|person| person.contact).ok_or("nobody")?;
        let new = founder.person.client.query(move |engine| engine.new_members(&[id])).await.map_err(said)?;
        self.command(0, Command::ChangeGroup { group, ops: vec![Op::Add(new)] }).await.map(drop)
    }

    pub(crate) async fn account(&self, who: usize) -> Result<AccountId, Failure> {
        let person = self.people.get(who).ok_or("nobody")?;
        let profile = person.person.client.query(|engine| engine.profile()).await.map_err(said)?;
        Ok(profile.account)
    }

    pub(crate) async fn wait_for_change(&mut self, who: usize, is: impl Fn(&Event) -> bool) -> Result<(), Failure> {
        self.people.get_mut(who).ok_or("nobody")?.person.until(is).await.map(drop)
    }

    /// Bytes of the founder's requests so far.
    pub(crate) fn uploaded(&self) -> u64 {
        self.people.first().map_or(0, |founder| founder.person.client.connectivity().borrow().uploaded)
    }

    pub(crate) fn members(&mut self, which: Range<usize>) -> &mut [Member] {
        self.people.get_mut(which).unwrap_or_default()
    }

    /// All that the founder has to send is sent.
    pub(crate) async fn sent(&self) -> Result<(), Failure> {
        let founder = self.people.first().ok_or("nobody")?;
        founder.person.client.settle(PATIENCE).await.map(drop).map_err(said)
    }

    pub(crate) async fn rest(&self) {
        tokio::time::sleep(REST).await;
    }

    pub(crate) async fn leave_for_a_while(&mut self, which: Range<usize>) -> Result<(), Failure> {
        let close = |member: &mut Member| tokio::spawn(member.person.client.clone().close());
        let gone: Vec<_> = self.members(which).iter_mut().map(close).collect();
        for gone in gone {
            gone.await.map_err(said)?.map_err(said)?;
        }
        Ok(())
    }

    pub(crate) async fn come_back(&mut self, which: Range<usize>) -> Result<(), Failure> {
        for Member { person, .. } in self.members(which) {
            person.client = Client::open(&person.dir, Unlock::Stored).await.map_err(said)?;
            person.events = person.client.events();
            person.client.connect().await.map_err(said)?;
        }
        Ok(())
    }

    pub(crate) async fn disperse(self) {
        let closing: Vec<_> =
            self.people.into_iter().map(|member| tokio::spawn(member.person.client.close())).collect();
        for closed in closing {
            let _ = closed.await; // it is over
        }
    }
}

/// Waits until each has this message.
pub(crate) async fn heard_by_all(who: &mut [Member], what: &str) -> Result<(), Failure> {
    let heard = |event: &Event| matches!(event, Event::Received(message) if message.text == what);
    // What comes to those who are asked later waits for them.
    for person in who {
        person.person.until(heard).await?;
    }
    Ok(())
}

/// They know the founder.
async fn knows(mut member: Member, founder: NewContact) -> Result<Member, Failure> {
    member.person.add(founder).await?;
    Ok(member)
}
/// What files in a directory take.
pub(crate) fn disk_bytes(dir: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).map_err(said)? {
        let entry = entry.map_err(said)?;
        let kind = entry.metadata().map_err(said)?;
        bytes += if kind.is_dir() { disk_bytes(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}
