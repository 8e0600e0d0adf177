//! The things that are shown.

use hushwire_client::ids::{AccountId, UnixMillis};
use hushwire_client::{
    Auditor, Change, Contact, ContactId, Conversation, ConversationId, Finding, Group, GroupRequest, Identity, Journey,
    Lacking, Lie, ListChange, ListedDevice, LocalId, LogReport, Message, Policy, Profile, Reaction, Reason, Seen,
    Shares, State, Talk, Waiting,
};

/// One thing for stdout.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    /// The account was just made. The words are shown this once, when it was made.
    Registered { profile: &'a Profile, recovery_words: Option<&'a str> },
    /// Who this is.
    Account { profile: &'a Profile, link: &'a str },
    /// The contact link.
    Link { link: &'a str },
    /// A row of the list of contacts.
    Contact(&'a Contact),
    /// A stranger wrote.
    Request(&'a Contact),
    /// A message, of either side.
    Message(&'a Shown),
    /// A message among those of other conversations.
    Found(&'a Shown),
    /// A message is another now. `by`: who did that, unless we did.
    MessageChanged { shown: &'a Shown, by: Option<&'a Named>, change: &'a Change },
    /// What somebody feels about a message.
    Reaction { id: LocalId, reaction: &'a Reaction },
    /// What a message said before, or says now.
    Edit { id: LocalId, text: &'a str, at: UnixMillis },
    /// A member who has a message of ours.
    HeardBy { id: LocalId, contact: &'a Named, state: State },
    /// Where a message is on its way.
    Journey { journey: &'a Journey, place: &'a Where, heard: Option<Heard>, people: &'a [Named], whole: bool },
    /// A member who is not known to have a message of ours.
    LackedBy { id: LocalId, lacking: &'a Lacking },
    /// A message is gone.
    Disappeared { id: LocalId, conversation: &'a Where },
    /// Nothing of what was written there is here any more.
    ConversationDeleted(&'a Where),
    /// What is written from now on disappears after another time.
    Timer { conversation: &'a Where, by: Option<&'a Named>, seconds: Option<u32> },
    /// What was begun and not sent.
    Draft { conversation: &'a Where, draft: Option<&'a str> },
    /// Somebody types, or has stopped.
    Typing { conversation: &'a Where, contact: &'a Named, on: bool },
    /// What the others of a conversation are told of us.
    Shares { conversation: &'a Where, shares: Shares },
    /// When a contact was there.
    Presence { contact: &'a Named, seen: Seen },
    /// A message of ours has come further.
    State { id: LocalId, conversation: &'a Where, state: State, heard: Option<Heard> },
    /// A row of the list of conversations, with what stands last there.
    Conversation { conversation: &'a Conversation, last: Option<&'a Message> },
    /// A group, on one line or whole. `us`: our account.
    Group { place: &'a Where, group: Option<&'a Group>, us: AccountId, whole: bool },
    /// A link by which others come in.
    GroupLink { conversation: &'a Where, link: &'a str },
    /// A group was changed. `dated`: with when, as in a list of changes.
    GroupChange { change: &'a GroupChange, dated: bool },
    /// Somebody who is no contact asks us into a group.
    GroupRequest(&'a GroupRequest),
    /// We are in a group.
    GroupJoined(&'a Where),
    /// We are in it no longer.
    GroupLeft(&'a Where),
    /// We were not let in.
    GroupNotJoined { name: &'a str, reason: &'a str },
    /// Something of a contact is missing, before a message if there is one behind it. `came`: just now; else as it stands in a
    /// history.
    Gap { conversation: &'a Where, contact: &'a Named, missing: u64, first: bool, before: Option<LocalId>, came: bool },
    /// Envelopes expired before they were fetched.
    Expired,
    /// An envelope was thrown away.
    Undecryptable { code: Reason, reason: &'a str, asked_again: bool },
    /// A keyserver's log contradicts itself or us.
    KeyserverLies { keyserver: &'a str, lie: &'a Lie },
    /// A contact's device list is held back.
    IdentityChanged { contact: &'a Named },
    /// A device of ours.
    Device(&'a ListedDevice),
    /// What a new device asks for.
    DeviceRequest { request: &'a str },
    /// The devices of a contact changed, or with no contact our own.
    /// `policy`: what is done about what is new with a contact.
    Devices { contact: Option<&'a Named>, change: &'a ListChange, policy: Option<Policy> },
    /// What is done about new devices of a contact.
    Identity(&'a Identity),
    /// The same of all of whom nothing else was chosen.
    DefaultPolicy(Policy),
    /// A change of our devices was refused.
    DevicesNotChanged { reason: &'a str },
    /// Somebody has one of our devices.
    DevicesForked,
    /// This device is out.
    Revoked,
    /// New recovery words, shown this once.
    RecoveryWords { words: &'a str },
    /// What a log says of a handle.
    Log(&'a LogReport),
    /// A try to send failed.
    Retrying { contact: &'a Named, reason: &'a str, next_try: UnixMillis },
    /// A message that has not left.
    Waiting(&'a Waiting),
    /// The safety number with a contact.
    SafetyNumber { contact: &'a Contact, digits: &'a str },
    /// An auditor, and what came of asking it.
    Auditor(&'a Auditor),
    /// One finding of `hush doctor`.
    Finding(&'a Finding),
}

/// A conversation by row and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Where {
    /// The row.
    pub(crate) id: ConversationId,
    /// The name now.
    pub(crate) name: String,
    /// With whom.
    pub(crate) with: Talk,
}

/// A contact by row and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The row.
    pub(crate) id: ContactId,
    /// The name now.
    pub(crate) name: String,
}

impl From<&Contact> for Named {
    fn from(contact: &Contact) -> Self {
        Self { id: contact.id, name: contact.name.clone() }
    }
}

impl From<&Conversation> for Where {
    fn from(conversation: &Conversation) -> Self {
        Self { id: conversation.id, name: conversation.name.clone(), with: conversation.with }
    }
}

/// A message with what is known around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// It.
    pub(crate) message: Message,
    /// If it is ours, to a group.
    pub(crate) heard: Option<Heard>,
    /// What it answers, if that is here.
    pub(crate) answers: Option<Message>,
    /// What those whom it names are called here.
    pub(crate) mentions: Vec<String>,
}

/// How many members have a message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// So many have it.
    pub(crate) delivered: usize,
    /// So many of them have read it.
    pub(crate) read: usize,
    /// Of so many beside us.
    pub(crate) of: usize,
}

/// A change of a group, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupChange {
    /// Of which.
    pub(crate) place: Where,
    /// Its hash.
    pub(crate) change: String,
    /// One more than that of the highest change that it has seen.
    pub(crate) height: u64,
    /// What its author is called here.
    pub(crate) author: String,
    /// Its author's account.
    pub(crate) account: AccountId,
    /// By the author's clock.
    pub(crate) at: UnixMillis,
    /// What it does.
    pub(crate) what: Vec<Done>,
}

/// One thing that a change of a group does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// For programs.
    pub(crate) kind: &'static str,
    /// What stands behind the author's name.
    pub(crate) words: String,
    /// Whom it is done to.
    pub(crate) to: Vec<String>,
    /// Why it has no effect, if it has none.
    pub(crate) void: Option<String>,
}
