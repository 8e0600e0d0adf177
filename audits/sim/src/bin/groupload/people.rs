//! Many clients in one process, of whom the first is the founder.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hushwire_client::group::Op;
use hushwire_client::ids::{AccountId, UnixMillis};
use hushwire_client::{Answer, Client, Command, ContactId, ConversationId, DataDir, Event, NewContact, Talk, Unlock};
use hushwire_engine::{DatabaseKey, Engine, Input, Store};
use hushwire_sim::Failure;
use hushwire_sim::person::{PATIENCE, Person, said, setup};
use hushwire_sim::server::Server;
use tokio::time::{Instant, timeout_at};

use crate::programs::GROUP;

/// Accounts that are made at the same time.
const AT_ONCE: usize = 16;

/// A keyserver makes a thousand accounts at once for one address, and then one every ten seconds, until it begins anew.
const ACCOUNTS_MAX: usize = 50 * AT_ONCE;

/// Members who lack something that are named.
const NAMED_MAX: usize = 10;

/// How old a key gets.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// One of them.
pub(crate) struct Member {
    /// Which, the founder being 0.
    place: usize,
    person: Person,
    /// The founder's contact, for the others; for the founder nobody.
    contact: Option<ContactId>,
    talk: Option<ConversationId>,
    /// Bytes of requests before the client was opened last.
    sent_before: u64,
}

impl Member {
    /// What is known of why something did not come.
    fn lacks(&self, why: &str) -> String {
        let connectivity = self.person.client.connectivity();
        let now = connectivity.borrow();
        let error = now.last_error.as_deref().unwrap_or("no error");
        format!("member {}: {why} ({:?}, {error})", self.place, now.relay)
    }

    /// Bytes of all requests so far.
    fn uploaded(&self) -> u64 {
        self.sent_before + self.person.client.connectivity().borrow().uploaded
    }

    /// The client, opened again after it was closed.
    fn is_back(&mut self, client: Client) {
        self.sent_before = self.uploaded();
        self.person.client = client;
        self.person.events = self.person.client.events();
    }
}

/// All of them.
pub(crate) struct Crowd {
    people: Vec<Member>,
    /// The relay's process.
    pub(crate) relay: u32,
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
                people.push(Member { place: people.len(), person, contact: None, talk: None, sent_before: 0 });
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
        Ok((Self { people, relay: relay.pid() }, keyserver))
    }

    pub(crate) async fn found(&mut self, members: usize) -> Result<ConversationId, Failure> {
        let ids = self.people.iter().take(members).filter_map(|person| person.contact).collect();
        let answer = self.command(0, Command::FoundGroup { name: GROUP.to_owned(), members: ids }).await?;
        let Answer::Group(group) = answer else { return Err(format!("{answer:?} instead of a group")) };
        all_hear(self.members(1..members), "is in it", |event| matches!(event, Event::GroupJoined { .. })).await?;
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

    /// The group, as one of them has it.
    async fn group_of(&self, who: usize) -> Result<ConversationId, Failure> {
        let person = self.people.get(who).ok_or("nobody")?;
        let talks = person.person.client.query(|engine| engine.conversations()).await.map_err(said)?;
        let group = talks.iter().find(|talk| matches!(talk.with, Talk::Group(_))).ok_or("is in no group")?;
        Ok(group.id)
    }

    pub(crate) async fn leave(&self, who: usize) -> Result<(), Failure> {
        let group = self.group_of(who).await?;
        self.command(who, Command::ChangeGroup { group, ops: vec![Op::Leave] }).await.map(drop)
    }

    /// The founder says something a week after what was said last: the engine is told so, and everything after it is of
    /// today, so that nobody else renews anything.
    pub(crate) async fn say_a_week_later(&mut self, to: ConversationId, what: &str) -> Result<(), Failure> {
        let founder = self.people.first_mut().ok_or("nobody")?;
        founder.person.client.clone().close().await.map_err(said)?;
        let dir = founder.person.dir.clone();
        let say = Input::Command(Command::Send { to, text: what.into() });
        tokio::task::spawn_blocking(move || a_week_later(&dir, say)).await.map_err(said)??;
        founder.is_back(Client::open(&founder.person.dir, Unlock::Stored).await.map_err(said)?);
        founder.person.client.connect().await.map_err(said)
    }

    /// Bytes of the requests of one of them so far, and of all others together.
    pub(crate) fn uploaded(&self, who: usize) -> (u64, u64) {
        let one = self.people.get(who).map_or(0, Member::uploaded);
        (one, self.people.iter().map(Member::uploaded).sum::<u64>() - one)
    }

    pub(crate) fn members(&mut self, which: Range<usize>) -> &mut [Member] {
        self.people.get_mut(which).unwrap_or_default()
    }

    /// All that the founder has to send is sent.
    pub(crate) async fn sent(&self) -> Result<(), Failure> {
        let founder = self.people.first().ok_or("nobody")?;
        founder.person.client.settle(PATIENCE).await.map(drop).map_err(said)
    }

    pub(crate) async fn leave_for_a_while(&mut self, which: Range<usize>) -> Result<(), Failure> {
        let close = |member: &mut Member| tokio::spawn(member.person.client.clone().close());
        let gone: Vec<_> = self.members(which).iter_mut().map(close).collect();
        for gone in gone {
            gone.await.map_err(said)?.map_err(said)?;
        }
        Ok(())
    }

    /// A few at a time, as they would on machines of their own: a thousand handshakes at once on this one would only time out.
    pub(crate) async fn come_back(&mut self, which: Range<usize>) -> Result<(), Failure> {
        for some in self.members(which).chunks_mut(AT_ONCE) {
            let open = |member: &Member| {
                let dir = member.person.dir.clone();
                tokio::spawn(async move { Client::open(&dir, Unlock::Stored).await })
            };
            let coming: Vec<_> = some.iter().map(open).collect();
            for (member, back) in some.iter_mut().zip(coming) {
                member.is_back(back.await.map_err(said)?.map_err(said)?);
                member.person.client.connect().await.map_err(said)?;
            }
            for Member { person, place, .. } in some {
                if !person.client.drained(PATIENCE).await.map_err(said)?.done {
                    return Err(format!("member {place} does not come back"));
                }
            }
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
    all_hear(who, what, |event| matches!(event, Event::Received(message) if message.text == what)).await
}

/// Waits until this has happened to each, and not longer than [`PATIENCE`] for all together; else names those to whom it
/// has not.
pub(crate) async fn all_hear(who: &mut [Member], what: &str, is: impl Fn(&Event) -> bool) -> Result<(), Failure> {
    let (end, number) = (Instant::now() + PATIENCE, who.len());
    let mut lack = Vec::new();
    // What comes to those who are asked later waits for them.
    for (done, member) in who.iter_mut().enumerate() {
        eprint!("\r{done} of {number}: {what}    ");
        match timeout_at(end, member.person.until(&is)).await {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => lack.push(member.lacks(&why)),
            Err(_) => lack.push(member.lacks("nothing came")),
        }
    }
    eprintln!("\r{} of {number}: {what}    ", number - lack.len());
    if lack.is_empty() {
        return Ok(());
    }
    let named = lack.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join("\n  ");
    Err(format!("after {} s {} of {number} lack \"{what}\":\n  {named}", PATIENCE.as_secs(), lack.len()))
}

/// Has an engine handle this, alone with its database, by a clock that is a week ahead. What it asks of servers is asked again
/// once the client is back.
fn a_week_later(dir: &DataDir, input: Input) -> Result<(), Failure> {
    let key = std::fs::read(dir.path().join("database.key")).map_err(said)?;
    let key = DatabaseKey::new(key.try_into().map_err(|_| "not a key")?);
    let store = Store::open(&dir.path().join("hushwire.db"), &key).map_err(said)?;
    let mut engine = Engine::open(store).map_err(said)?.ok_or("there is no account")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(said)? + WEEK;
    let now = UnixMillis(u64::try_from(now.as_millis()).map_err(said)?);
    engine.handle(input, now, &mut rand::rng()).map(drop).map_err(said)
}

/// They know the founder.
async fn knows(mut member: Member, founder: NewContact) -> Result<Member, Failure> {
    member.person.add(founder).await?;
    Ok(member)
}
