//! What an app sees of the engine: contacts, messages, states, events. Values only.

use std::collections::BTreeMap;

use hushwire_proto::account::{Device, Signatory, SignedLink};

use crate::auditors::Auditor;
pub use crate::event::Event;
use crate::group::{GroupState, Op, Void};
use hushwire_proto::address::{Handle, ServerAddress};
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, MessageId, UnixMillis};

/// A contact's row. Stays the same for the life of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactId(pub i64);

/// A conversation's row. Stays the same for the life of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationId(pub i64);

/// A group's row. Stays the same for the life of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalGroup(pub i64);

/// A request to come into a group. Stays the same for the life of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalRequest(pub i64);

/// Whom a conversation is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Talk {
    /// One person.
    Contact(ContactId),
    /// A group.
    Group(LocalGroup),
}

/// A conversation as a person wants it shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its row.
    pub id: ConversationId,
    /// With whom.
    pub with: Talk,
    /// What that contact or group is called here.
    pub name: String,
    /// When something was last said in it, by our clock.
    pub active_at: UnixMillis,
    /// Until when it makes no noise.
    pub muted_until: Option<UnixMillis>,
    /// Whether it was put away. It comes back when something is said; muted, when somebody names us.
    pub archived: bool,
    /// What was begun and not sent.
    pub draft: Option<String>,
    /// Whether the others are told what was read.
    pub receipts: bool,
    /// Seconds after which what is said from now on disappears.
    pub timer_s: Option<u32>,
    /// Messages of others that were not marked read.
    pub unread: u32,
    /// The first of them, in the order of the conversation.
    pub first_unread: Option<LocalId>,
    /// How many of them name us. An app tells of them whether the conversation is muted or not.
    pub mentions: u32,
}

/// A message's row: its place in the local history. Grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub i64);

/// Who this database belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The account.
    pub account: AccountId,
    /// This device of it.
    pub device: DeviceId,
    /// `name@server`, if one was asked for.
    pub handle: Option<Handle>,
    /// Where its prekeys are published.
    pub keyserver: ServerAddress,
    /// Where its mailbox is.
    pub relay: ServerAddress,
    /// Whether the keyserver has the account.
    pub registered: bool,
    /// One-time prekeys that the keyserver had when last asked.
    pub prekeys_left: Option<u32>,
    /// Whether this device is one of the account.
    pub membership: Membership,
}

/// Whether this device stands in its account's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It does.
    Listed,
    /// Not yet: another device has to add it, or the keyserver has not taken the list that the recovery key signed.
    Waiting,
    /// Not any more. It can read what it has, and nothing else.
    Revoked,
}

/// A device of our account, as the list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDevice {
    /// Its number.
    pub id: DeviceId,
    /// What its owner calls it; may be empty. Everyone can read it.
    pub name: String,
    /// Whether it is this one.
    pub is_this: bool,
    /// Where its mailbox is, as text.
    pub relay: String,
    /// Since which version of the list it stands there.
    pub since_version: u64,
}

/// What is different in an account's list of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListChange {
    /// Its version now.
    pub version: u64,
    /// Devices that are there now and were not: what their owner calls them, with their numbers.
    pub added: Vec<String>,
    /// Devices that are there no more.
    pub removed: Vec<String>,
    /// Whether the 24 words were used for it.
    pub by_recovery: bool,
}

impl ListChange {
    /// `None` when the devices are the same and the recovery key did nothing.
    pub(crate) fn between(before: &[SignedLink], after: &[SignedLink]) -> Option<Self> {
        let devices = |links: &[SignedLink]| links.last().map(|link| link.link().devices.clone()).unwrap_or_default();
        let (old, new) = (devices(before), devices(after));
        let is_in = |list: &[Device], device: &Device| {
            list.iter().any(|other| (other.id, other.identity_key) == (device.id, device.identity_key))
        };
        let names = |of: &[Device], not_in: &[Device]| -> Vec<String> {
            of.iter().filter(|device| !is_in(not_in, device)).map(device_label).collect()
        };
        let change = Self {
            version: after.last().map_or(0, |link| link.link().version),
            added: names(&new, &old),
            removed: names(&old, &new),
            by_recovery: after
                .iter()
                .filter(|link| !before.contains(link))
                .any(|link| link.signatory() == Signatory::Recovery),
        };
        (change.by_recovery || !change.added.is_empty() || !change.removed.is_empty()).then_some(change)
    }
}

/// What a person calls a device by.
pub(crate) fn device_label(device: &Device) -> String {
    match device.name.as_str() {
        "" => format!("device {}", device.id),
        name => format!("{name} (device {})", device.id),
    }
}

/// What the log of a keyserver was found to say of a handle, every step of which was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// The handle that was asked for.
    pub handle: String,
    /// The keyserver, with the fingerprint that its root was checked against.
    pub keyserver: ServerAddress,
    /// Of the root that the proof leads to.
    pub epoch: u64,
    /// When the keyserver made that root, by its clock.
    pub at: UnixMillis,
    /// The root.
    pub root: [u8; 32],
    /// Whose the handle is; `None`: the log proves that nobody ever had it.
    pub found: Option<FoundInLog>,
    /// When the log was last asked what it says of our own handle, and said nothing else than we did.
    pub own_agreed_at: Option<UnixMillis>,
    /// The auditors that were chosen, and what came of asking each about this keyserver.
    pub auditors: Vec<Auditor>,
}

/// An account that a log names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundInLog {
    /// Which.
    pub account: AccountId,
    /// Version of its list of devices.
    pub version: u64,
    /// What its devices are called.
    pub devices: Vec<String>,
    /// Who that is to us.
    pub who: WhoInLog,
}

/// Who an account of the log is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhoInLog {
    /// Ourselves; the list is the one that we have.
    Myself,
    /// A contact of that name here; the list follows from the one that we knew.
    Contact(String),
    /// Nobody we know.
    Stranger,
}

/// Where a contact stands with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A stranger who wrote. Gets no receipts until accepted.
    Request,
    /// We added, accepted or answered them.
    Accepted,
    /// Their messages are dropped.
    Blocked,
    /// A member of a group that we are in, and a stranger otherwise. Not among the contacts.
    Known,
}

/// Where we stand in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupStanding {
    /// Somebody has given us a key to it; what it is comes with the next message.
    HeardOf,
    /// We asked to be let in.
    Asked,
    /// We are in it.
    Member,
    /// We left, or were put out.
    Gone,
}

/// A group as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Where we stand.
    pub standing: GroupStanding,
    /// Who is in it, what it is called, what is open.
    pub state: GroupState,
    /// What members and others it names are called here, as far as they are known.
    pub names: BTreeMap<AccountId, String>,
    /// Members whom we put in and who have not accepted it yet, or have not been online since.
    pub invited: Vec<AccountId>,
}

/// Somebody whom we have not accepted asks us into a group. What it says of the group is their word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRequest {
    /// Its row.
    pub id: LocalRequest,
    /// Which group.
    pub group: GroupId,
    /// What it is called: a program that shows it strips control characters.
    pub name: String,
    /// Who asks.
    pub from: Contact,
    /// How many are in it, with us.
    pub members: u32,
    /// What those of our contacts are called here who are in it too; some of them, if there are many.
    pub known: Vec<String>,
    /// When it came.
    pub at: UnixMillis,
}

/// A change of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    /// Which.
    pub hash: ChangeHash,
    /// Its place: one more than that of the highest change it has seen.
    pub height: u64,
    /// Who made it.
    pub author: AccountId,
    /// When, by the author's clock.
    pub at: UnixMillis,
    /// What it does, each with why it has no effect if it has none.
    pub what: Vec<(Op, Option<Void>)>,
}

/// Somebody we write with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its row.
    pub id: ContactId,
    /// The account.
    pub account: AccountId,
    /// What they are called here; unique.
    pub name: String,
    /// The handle under which a keyserver named them to us.
    pub handle: Option<String>,
    /// The handle that a stranger claims in their first message. Nobody has checked it.
    pub claimed_handle: Option<String>,
    /// Where they stand.
    pub standing: Standing,
    /// Added by link or compared in person: the account is surely theirs.
    pub verified: bool,
    /// The conversation with them.
    pub conversation: ConversationId,
    /// Messages from them that were not marked read.
    pub unread: u32,
}

/// What is done when a contact has devices that a person has not agreed to. Each is stricter than those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// They are used at once, and it is told.
    Accept,
    /// What we send waits until a person agrees; what they say is shown with a mark.
    Hold,
    /// Nothing is sent to them, and nothing of theirs is shown.
    Block,
}

/// A device of a contact that a person has not agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevice {
    /// What its owner calls it, with its number.
    pub label: String,
    /// Its number.
    pub id: DeviceId,
    /// When we first heard of it.
    pub since: UnixMillis,
    /// Whether it is still one of theirs.
    pub listed: bool,
}

/// What is done about new devices of a contact, and which there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub contact: Contact,
    /// What a person chose for them; `None`: nothing.
    pub chosen: Option<Policy>,
    /// What holds.
    pub policy: Policy,
    /// Whether what we send to them waits.
    pub held: bool,
    /// Devices that nobody has agreed to.
    pub new: Vec<NewDevice>,
}

/// What somebody did with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its author gave it another text.
    Edited,
    /// Its author took it back.
    TakenBack,
    /// They feel this about it.
    Reacted(String),
    /// They feel nothing about it any more.
    ReactionRemoved,
    /// They pinned it.
    Pinned,
    /// They pinned it no longer.
    Unpinned,
}

/// What somebody feels about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Who; `None`: we.
    pub by: Option<ContactId>,
    /// What they are called here; empty: we.
    pub name: String,
    /// What.
    pub emoji: String,
}

/// How far a message of ours has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Kept here; no relay has it for every device yet.
    Queued,
    /// The relay has it, durably.
    Sent,
    /// A device of the recipient has it.
    Delivered,
    /// The recipient has seen it.
    Read,
}

/// One message of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its row.
    pub id: LocalId,
    /// Where it was said.
    pub conversation: ConversationId,
    /// Whom that conversation is with.
    pub with: Talk,
    /// What that contact or group is called here.
    pub conversation_name: String,
    /// Who wrote it; `None`: we.
    pub author: Option<ContactId>,
    /// What the author is called here; empty: we.
    pub author_name: String,
    /// Names it, with its author, to all sides.
    pub message_id: MessageId,
    /// Whether we wrote it.
    pub outgoing: bool,
    /// When its author sent it, by the author's clock.
    pub sent_at: UnixMillis,
    /// When we kept it, by our clock.
    pub kept_at: UnixMillis,
    /// What it says now, as sent: a program that shows it strips control characters. Empty: taken back.
    pub text: String,
    /// The message that it answers, if that is here.
    pub reply_to: Option<LocalId>,
    /// Accounts that it names.
    pub mentions: Vec<AccountId>,
    /// Whether it was somebody else's before.
    pub forwarded: bool,
    /// How often its author has changed it.
    pub edits: u32,
    /// Whether it came from a device of its author to which no person has agreed.
    pub from_new_device: bool,
    /// Whether something that its author said later was here before.
    pub late: bool,
    /// Whether its author has taken it back.
    pub deleted: bool,
    /// Whether it is pinned.
    pub pinned: bool,
    /// What whoever pinned it is called here: empty, if we did; `?`, if that is not known.
    pub pinned_by: Option<String>,
    /// What others and we feel about it, each emoji with how many.
    pub reactions: Vec<(String, u32)>,
    /// When it disappears, if that has begun to count.
    pub expires_at: Option<UnixMillis>,
    /// For our own messages how far they have come; for theirs [`State::Delivered`] or [`State::Read`].
    /// In a group the least that holds of all members; [`crate::Engine::heard`] says more.
    pub state: State,
}

/// A message that has not reached the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub id: LocalId,
    /// For whom: a contact or a group.
    pub conversation_name: String,
    /// Since when.
    pub since: UnixMillis,
    /// Tries so far.
    pub attempts: u32,
    /// What the last try met.
    pub reason: Option<String>,
    /// When the next try is due; `None`: it waits for something else than time.
    pub next_try: Option<UnixMillis>,
}

/// 60 digits that are equal on both sides when nobody is in between, and the same as bytes for a QR code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyNumber {
    /// 60 digits.
    pub digits: String,
    /// For a QR code. Spec: signal-wire §7.
    pub scannable: Vec<u8>,
}

/// What the others of a conversation are told of us while we look at it, and we of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// When we are there. In groups never.
    pub presence: bool,
    /// When we type.
    pub typing: bool,
}

/// When somebody last did something on the device that answers, in coarse steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Within two minutes.
    Now,
    /// Within a day.
    Today,
    /// Within a week.
    ThisWeek,
    /// Longer ago, or it is not known: the device is there all the same.
    Hidden,
}
