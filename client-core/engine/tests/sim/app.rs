//! One person's app: the engine, and nothing else of it known to the rest of the simulation than what stands here.

use std::collections::BTreeMap;

use hushwire_engine::{
    Answer, Command, ContactId, ContactLink, ConversationId, Engine, Event, NewContact, Output, Page, Store,
};
pub(crate) use hushwire_engine::{Call, CallFailed, CallId, Input, LocalId, Reply, Standing, State};
use hushwire_proto::ids::{AccountId, Seq, UnixMillis};
use rand::rngs::StdRng;

use crate::world::server;

/// A person of the simulation: a place in its list of people.
pub(crate) type Who = usize;

/// What a person does with an app.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Add(Who),
    Say(Who, String),
    /// Everything from them up to this message was seen.
    MarkRead(Who, LocalId),
    Accept(Who),
    Block(Who),
    Rename(Who, String),
}

/// What an app hears from its engine.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Received {
        from: Who,
        id: LocalId,
        text: String,
    },
    State {
        id: LocalId,
        state: State,
    },
    Gap {
        from: Who,
        missing: u64,
    },
    Undecryptable(String),
    /// Something that only a server or a peer that lies should bring about.
    Alarm(String),
}

/// What came of one input.
#[derive(Default)]
pub(crate) struct Handled {
    pub(crate) calls: Vec<(CallId, Call)>,
    pub(crate) told: Vec<Told>,
    pub(crate) wake: Option<UnixMillis>,
    /// The text that was to be sent is kept as this message.
    pub(crate) queued: Option<LocalId>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) mine: bool,
    pub(crate) text: String,
    pub(crate) state: State,
    pub(crate) id: LocalId,
}

pub(crate) struct App {
    engine: Engine,
    accounts: Vec<AccountId>,
    contacts: BTreeMap<Who, ContactId>,
}

impl App {
    /// Opens what lies in the database; `accounts` are everybody's.
    pub(crate) fn open(store: Store, accounts: &[AccountId]) -> Self {
        let engine = Engine::open(store).unwrap().expect("an account");
        Self { engine, accounts: accounts.to_vec(), contacts: BTreeMap::new() }
    }

    /// The program is gone, the database stays.
    pub(crate) fn close(self) -> Store {
        self.engine.into_store()
    }

    pub(crate) fn handle(&mut self, input: Input, now: UnixMillis, rng: &mut StdRng) -> Handled {
        let mut handled = Handled::default();
        for output in self.engine.handle(input, now, rng).unwrap() {
            match output {
                Output::Answer(Answer::Queued(message)) => handled.queued = Some(message.id),
                Output::Answer(_) => {}
                Output::Call { id, call } => handled.calls.push((id, call)),
                Output::WakeAt(at) => handled.wake = Some(at),
                Output::Event(event) => handled.told.extend(self.told(event)),
            }
        }
        handled
    }

    /// What to tell the engine; `None` for what cannot be done with somebody who is no contact, or is blocked.
    pub(crate) fn command(&mut self, wish: Wish) -> Option<Input> {
        Some(Input::Command(match wish {
            Wish::Add(whom) => {
                let link = ContactLink { account: self.accounts[whom], keyserver: server(4432) };
                Command::AddContact { who: NewContact::Link(link), name: None }
            }
            Wish::Say(to, text) => match self.standing(to)? {
                Standing::Blocked => return None,
                Standing::Accepted | Standing::Request => Command::Send { to: self.talk(to)?, text: text.into() },
                Standing::Known => return None,
            },
            Wish::MarkRead(of, through) => Command::MarkRead { conversation: self.talk(of)?, through },
            Wish::Accept(whom) => Command::Accept(self.contact(whom)?),
            Wish::Block(whom) => Command::Block(self.contact(whom)?),
            Wish::Rename(whom, name) => Command::Rename(self.contact(whom)?, name),
        }))
    }

    pub(crate) fn standing(&mut self, whom: Who) -> Option<Standing> {
        let id = self.contact(whom)?;
        self.engine.contact(id).unwrap().map(|contact| contact.standing)
    }

    /// The conversation in its order.
    pub(crate) fn history(&mut self, with: Who) -> Vec<Line> {
        let Some(talk) = self.talk(with) else { return Vec::new() };
        let messages = self.engine.history(Some(talk), Page { limit: 100_000, ..Page::default() }).unwrap();
        let line = |m: hushwire_engine::Message| Line { mine: m.outgoing, text: m.text, state: m.state, id: m.id };
        messages.into_iter().map(line).collect()
    }

    pub(crate) fn has_work(&self) -> bool {
        self.engine.has_work().unwrap()
    }

    pub(crate) fn drained_to(&self) -> Seq {
        self.engine.drained_to().unwrap()
    }

    fn contact(&mut self, whom: Who) -> Option<ContactId> {
        if !self.contacts.contains_key(&whom) {
            let all = self.engine.contacts().unwrap();
            let found = all.iter().find(|contact| contact.account == self.accounts[whom])?;
            self.contacts.insert(whom, found.id);
        }
        self.contacts.get(&whom).copied()
    }

    fn talk(&mut self, with: Who) -> Option<ConversationId> {
        let id = self.contact(with)?;
        self.engine.contact(id).unwrap().map(|contact| contact.conversation)
    }

    fn who(&mut self, contact: ContactId) -> Who {
        if let Some((who, _)) = self.contacts.iter().find(|(_, id)| **id == contact) {
            return *who;
        }
        let account = self.engine.contact(contact).unwrap().expect("a contact").account;
        let who = self.accounts.iter().position(|known| *known == account).expect("nobody else is there");
        self.contacts.insert(who, contact);
        who
    }

    fn told(&mut self, event: Event) -> Option<Told> {
        Some(match event {
            Event::Received(message) => Told::Received {
                from: self.who(message.author.expect("somebody else's")),
                id: message.id,
                text: message.text,
            },
            Event::StateChanged { id, state, .. } => Told::State { id, state },
            Event::Gap { contact, missing, .. } => Told::Gap { from: self.who(contact), missing },
            Event::Undecryptable { reason, .. } => Told::Undecryptable(reason),
            Event::Registered
            | Event::ContactAdded(_)
            | Event::ContactNotFound { .. }
            | Event::ContactRequest(_)
            | Event::Retrying { .. } => return None,
            other => Told::Alarm(format!("{other:?}")),
        })
    }
}
