//! One person's app: the engine, and nothing else of it known to the rest of the simulation than what stands here.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_engine::group::Op;
pub(crate) use hushwire_engine::group::{GroupLink, Role as Rank};
use hushwire_engine::{
    Answer, Command, ContactId, ContactLink, ConversationId, Engine, Event, Group, GroupEntry, GroupStanding, Message,
    NewContact, Output, Page, Reason, Store, Talk,
};
pub(crate) use hushwire_engine::{Call, CallFailed, CallId, Input, LocalId, Reply, Standing, State};
use hushwire_proto::ids::{AccountId, ChangeHash, Seq, UnixMillis};
pub(crate) use hushwire_proto::ids::{GroupId, MessageId};
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
    Found(String, Vec<Who>),
    SayIn(GroupId, String),
    Do(GroupId, Deed),
    Invite(GroupId),
    Join(Box<GroupLink>),
    /// Everything in the group up to this message was seen.
    ReadIn(GroupId, LocalId),
    /// Says something about a message.
    Tell(LocalId, Remark),
    /// What is said there from now on disappears after so many seconds.
    Timer(Spot, Option<u32>),
}

/// What a person says about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    Edit(String),
    TakeBack,
    React(Option<String>),
    Pin(bool),
}

/// Where something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spot {
    /// Between two; the first is the smaller number.
    With(Who, Who),
    In(GroupId),
}

impl Spot {
    pub(crate) fn of(one: Who, other: Who) -> Self {
        Self::With(one.min(other), one.max(other))
    }

    pub(crate) fn is_open_to(self, who: Who) -> bool {
        !matches!(self, Self::With(one, other) if one != who && other != who)
    }
}

/// What a person said, as it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) id: LocalId,
    pub(crate) name: MessageId,
    /// When it disappears, if it does.
    pub(crate) until: Option<UnixMillis>,
}

/// What a person changes in a group.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Add(Who),
    Remove(Who),
    Leave,
    Rank(Who, Rank),
    Rename(u64),
}

/// A group, as one person sees it: empty for whoever is not in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) members: BTreeMap<Who, Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) since: ChangeHash,
    pub(crate) writes: bool,
}

/// What an app hears from its engine.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Received {
        from: Who,
        id: LocalId,
        name: MessageId,
        text: String,
    },
    State {
        id: LocalId,
        state: State,
    },
    /// Said to a group.
    ReceivedIn {
        group: GroupId,
        from: Who,
        id: LocalId,
        name: MessageId,
        text: String,
    },
    /// A message has disappeared.
    Gone(LocalId),
    /// A group is another one now.
    Group(GroupId),
    Gap {
        from: Who,
        missing: u64,
    },
    GapIn {
        group: GroupId,
        from: Who,
        missing: u64,
    },
    Undecryptable {
        reason: String,
        /// It opened, and its sender may not say that; or it was asked for again.
        is_harmless: bool,
    },
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
    pub(crate) queued: Option<Kept>,
    /// What was wanted is done.
    pub(crate) done: bool,
    pub(crate) group: Option<GroupId>,
    pub(crate) link: Option<Box<GroupLink>>,
    /// Why it was not done, for whoever reads what happened.
    pub(crate) refused: Option<String>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) mine: bool,
    pub(crate) name: MessageId,
    pub(crate) text: String,
    pub(crate) state: State,
    pub(crate) id: LocalId,
    pub(crate) deleted: bool,
    pub(crate) pinned: bool,
    /// How many feel so about it.
    pub(crate) reactions: BTreeMap<String, usize>,
    /// All that it ever said, if it was changed.
    pub(crate) edits: Vec<String>,
}

pub(crate) struct App {
    engine: Engine,
    accounts: Vec<AccountId>,
    contacts: BTreeMap<Who, ContactId>,
    groups: BTreeMap<GroupId, ConversationId>,
}

impl App {
    /// Opens what lies in the database; `accounts` are everybody's.
    pub(crate) fn open(store: Store, accounts: &[AccountId]) -> Self {
        let engine = Engine::open(store).unwrap().expect("an account");
        Self { engine, accounts: accounts.to_vec(), contacts: BTreeMap::new(), groups: BTreeMap::new() }
    }

    /// The program is gone, the database stays.
    pub(crate) fn close(self) -> Store {
        self.engine.into_store()
    }

    pub(crate) fn handle(&mut self, input: Input, now: UnixMillis, rng: &mut StdRng) -> Handled {
        let (mut handled, mut asked) = (Handled::default(), Vec::new());
        for output in self.engine.handle(input, now, rng).unwrap() {
            match output {
                Output::Answer(Answer::Queued(message)) => {
                    let Message { id, message_id: name, expires_at: until, .. } = message;
                    handled.queued = Some(Kept { id, name, until });
                }
                Output::Answer(Answer::Group(conversation)) => handled.group = self.id_of(conversation),
                Output::Answer(Answer::GroupLink(link)) => handled.link = Some(link),
                Output::Answer(Answer::Refused(why)) => handled.refused = Some(why.to_string()),
                Output::Answer(Answer::Done) => handled.done = true,
                Output::Call { id, call } => handled.calls.push((id, call)),
                Output::WakeAt(at) => handled.wake = Some(at),
                Output::Event(Event::GroupRequest(request)) => asked.push(request.id),
                Output::Event(event) => handled.told.extend(self.told(event)),
            }
        }
        // Whoever is asked into a group says yes.
        for request in asked {
            let more = self.handle(Input::Command(Command::AcceptGroup(request)), now, rng);
            handled.calls.extend(more.calls);
            handled.told.extend(more.told);
            handled.wake = more.wake.or(handled.wake);
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
            Wish::Found(name, with) => {
                let members = with.into_iter().map(|whom| self.contact(whom)).collect::<Option<_>>()?;
                Command::FoundGroup { name, members }
            }
            Wish::SayIn(group, text) => Command::Send { to: self.place(group)?, text: text.into() },
            Wish::Do(group, deed) => {
                let op = self.op(deed)?;
                Command::ChangeGroup { group: self.place(group)?, ops: vec![op] }
            }
            Wish::Invite(group) => {
                let group = self.place(group)?;
                Command::OpenInvite { group, approval: false, expires_at: None, uses: None }
            }
            Wish::Join(link) => Command::JoinGroup(link),
            Wish::ReadIn(group, through) => Command::MarkRead { conversation: self.place(group)?, through },
            Wish::Tell(message, Remark::Edit(text)) => Command::Edit { message, text },
            Wish::Tell(message, Remark::TakeBack) => Command::TakeBack(message),
            Wish::Tell(message, Remark::React(emoji)) => Command::React { message, emoji },
            Wish::Tell(message, Remark::Pin(pinned)) => Command::Pin { message, pinned },
            Wish::Timer(spot, seconds) => Command::SetTimer { conversation: self.spot(spot)?, seconds },
        }))
    }

    fn op(&mut self, deed: Deed) -> Option<Op> {
        Some(match deed {
            Deed::Add(whom) => {
                let contact = self.contact(whom)?;
                Op::Add(self.engine.new_members(&[contact]).unwrap())
            }
            Deed::Remove(whom) => Op::Remove(self.accounts[whom]),
            Deed::Leave => Op::Leave,
            Deed::Rank(whom, role) => Op::SetRole(self.accounts[whom], role),
            Deed::Rename(number) => Op::Rename(format!("group called {number}")),
        })
    }

    /// Who is in a group and writes there, as this person sees it.
    pub(crate) fn sees(&mut self, group: GroupId) -> Seen {
        let Some(Group { standing: GroupStanding::Member, state, .. }) = self.group(group) else {
            return Seen::default();
        };
        let member = |account: &AccountId, since| Member { since, writes: state.may_write(account) };
        let who = |account: &AccountId| self.accounts.iter().position(|known| known == account);
        let members = state.members.iter();
        Seen { members: members.map(|(account, is)| (who(account).unwrap(), member(account, is.since))).collect() }
    }

    /// Whether this person is in a group, and all that there is to be seen of it.
    pub(crate) fn whole(&mut self, group: GroupId) -> (bool, String, Vec<GroupEntry>) {
        let Some(found) = self.group(group).filter(|found| found.standing == GroupStanding::Member) else {
            return (false, String::new(), Vec::new());
        };
        let entries = self.engine.group_entries(found.conversation).unwrap();
        (true, format!("{:?}", found.state), entries)
    }

    /// The changes of the group that this person has, and what has come of them.
    pub(crate) fn changes(&mut self, group: GroupId) -> Option<(BTreeSet<ChangeHash>, String)> {
        let found = self.group(group)?;
        let entries = self.engine.group_entries(found.conversation).unwrap();
        Some((entries.iter().map(|entry| entry.hash).collect(), format!("{:?} {entries:?}", found.state)))
    }

    /// What the history of a group has of one author, in its order.
    pub(crate) fn said_in(&mut self, group: GroupId, author: Who) -> Vec<MessageId> {
        let Some(place) = self.place(group) else { return Vec::new() };
        let messages = self.engine.history(Some(place), Page { limit: 100_000, ..Page::default() }).unwrap();
        let theirs = messages.into_iter().filter(|m| m.author.is_some_and(|contact| self.who(contact) == author));
        theirs.map(|m| m.message_id).collect()
    }

    /// What is to be seen there.
    pub(crate) fn lines(&mut self, who: Who, spot: Spot) -> Vec<Line> {
        match spot {
            Spot::With(one, other) => self.history(if one == who { other } else { one }),
            Spot::In(group) => self.place(group).map_or_else(Vec::new, |place| self.lines_of(place)),
        }
    }

    /// How long what is said there is to be seen.
    pub(crate) fn timer(&mut self, spot: Spot) -> Option<u32> {
        let place = self.spot(spot)?;
        self.engine.conversation(place).unwrap()?.timer_s
    }

    /// Whether that message is found by these words.
    pub(crate) fn finds(&self, words: &str, name: MessageId) -> bool {
        let found = self.engine.search(words, None, None, 100_000).unwrap();
        found.iter().any(|message| message.message_id == name)
    }

    /// The conversation of a place.
    fn spot(&mut self, spot: Spot) -> Option<ConversationId> {
        match spot {
            Spot::With(one, other) => {
                let me = self.engine.profile().unwrap().account;
                self.talk(if self.accounts[one] == me { other } else { one })
            }
            Spot::In(group) => self.place(group),
        }
    }

    fn group(&mut self, group: GroupId) -> Option<Group> {
        let place = self.place(group)?;
        self.engine.group(place).unwrap()
    }

    fn id_of(&self, conversation: ConversationId) -> Option<GroupId> {
        Some(self.engine.group(conversation).unwrap()?.state.id)
    }

    /// The conversation of a group.
    fn place(&mut self, group: GroupId) -> Option<ConversationId> {
        if !self.groups.contains_key(&group) {
            let all = self.engine.conversations().unwrap();
            let found = all.into_iter().find(|conversation| self.id_of(conversation.id) == Some(group))?;
            self.groups.insert(group, found.id);
        }
        self.groups.get(&group).copied()
    }

    pub(crate) fn standing(&mut self, whom: Who) -> Option<Standing> {
        let id = self.contact(whom)?;
        self.engine.contact(id).unwrap().map(|contact| contact.standing)
    }

    /// The conversation in its order.
    pub(crate) fn history(&mut self, with: Who) -> Vec<Line> {
        let Some(talk) = self.talk(with) else { return Vec::new() };
        self.lines_of(talk)
    }

    /// How much each gap says is missing of what this person said to us, in the order of the conversation.
    pub(crate) fn gaps(&mut self, of: Who) -> Vec<u64> {
        let Some(talk) = self.talk(of) else { return Vec::new() };
        self.engine.gaps(talk).unwrap().into_iter().map(|gap| gap.missing).collect()
    }

    /// How much is missing of what this person said to the group.
    pub(crate) fn missing_in(&mut self, group: GroupId, of: Who) -> u64 {
        let (Some(contact), Some(place)) = (self.contact(of), self.place(group)) else { return 0 };
        let gaps = self.engine.gaps(place).unwrap();
        gaps.into_iter().filter(|gap| gap.contact == contact).map(|gap| gap.missing).sum()
    }

    fn lines_of(&self, place: ConversationId) -> Vec<Line> {
        let messages = self.engine.history(Some(place), Page { limit: 100_000, ..Page::default() }).unwrap();
        let line = |m: Message| Line {
            mine: m.outgoing,
            name: m.message_id,
            text: m.text,
            state: m.state,
            id: m.id,
            deleted: m.deleted,
            pinned: m.pinned,
            reactions: m.reactions.into_iter().map(|(emoji, times)| (emoji, times as usize)).collect(),
            edits: self.engine.edits_of(m.id).unwrap().into_iter().map(|(_, text)| text).collect(),
        };
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
            Event::Received(message) if matches!(message.with, Talk::Group(_)) => Told::ReceivedIn {
                group: self.id_of(message.conversation).expect("a group"),
                from: self.who(message.author.expect("somebody else's")),
                id: message.id,
                name: message.message_id,
                text: message.text,
            },
            Event::GroupJoined { conversation }
            | Event::GroupLeft { conversation }
            | Event::GroupChanged { conversation, .. } => Told::Group(self.id_of(conversation).expect("a group")),
            Event::Received(message) => Told::Received {
                from: self.who(message.author.expect("somebody else's")),
                id: message.id,
                name: message.message_id,
                text: message.text,
            },
            Event::StateChanged { id, state, .. } => Told::State { id, state },
            Event::Gap { contact, missing, conversation, .. } => {
                let from = self.who(contact);
                match self.talk(from) == Some(conversation) {
                    true => Told::Gap { from, missing },
                    false => Told::GapIn { group: self.id_of(conversation).expect("a group"), from, missing },
                }
            }
            Event::Undecryptable { code, reason, asked_again } => {
                Told::Undecryptable { reason, is_harmless: asked_again || code == Reason::NotAllowed }
            }
            Event::Registered
            | Event::ContactAdded(_)
            | Event::ContactNotFound { .. }
            | Event::ContactRequest(_)
            | Event::GroupNotJoined { .. }
            | Event::MessageChanged { .. }
            | Event::TimerChanged { .. }
            | Event::Retrying { .. } => return None,
            Event::Disappeared { message, .. } => Told::Gone(message),
            other => Told::Alarm(format!("{other:?}")),
        })
    }
}
