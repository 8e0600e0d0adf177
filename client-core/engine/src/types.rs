//! What an app sees of the engine: contacts, messages, states, events. Values only.

use crate::lie::Lie;
use hushwire_proto::address::{Handle, ServerAddress};
use hushwire_proto::ids::{AccountId, DeviceId, MessageId, UnixMillis};

/// A contact's row. Stays the same for the life of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactId(pub i64);

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
    /// Messages from them that were not marked read.
    pub unread: u32,
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
    /// With whom.
    pub contact: ContactId,
    /// The contact's name here.
    pub contact_name: String,
    /// Names it to both sides.
    pub message_id: MessageId,
    /// Whether we wrote it.
    pub outgoing: bool,
    /// When its author sent it, by the author's clock.
    pub sent_at: UnixMillis,
    /// When we kept it, by our clock.
    pub kept_at: UnixMillis,
    /// What it says, as sent: a program that shows it strips control characters.
    pub text: String,
    /// For our own messages how far they have come; for theirs [`State::Delivered`] or [`State::Read`].
    pub state: State,
}

/// A message that has not reached the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub id: LocalId,
    /// For whom.
    pub contact_name: String,
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

/// What happened, for whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The keyserver has the account and its prekeys: others can write now.
    Registered,
    /// Registration cannot go on; a person must choose.
    RegistrationFailed(String),
    /// A contact was added (the answer to [`crate::Command::AddContact`]).
    ContactAdded(Contact),
    /// A contact could not be added.
    ContactNotFound {
        /// What was asked for, as given.
        asked: String,
        /// Why, as a sentence with what to do.
        reason: String,
        /// Whether waiting and trying again may help.
        retryable: bool,
    },
    /// A stranger wrote for the first time.
    ContactRequest(Contact),
    /// A message came.
    Received(Message),
    /// A message of ours has come further.
    StateChanged {
        /// Which.
        id: LocalId,
        /// With whom.
        contact: ContactId,
        /// How far.
        state: State,
    },
    /// A try to send failed; it will be made again.
    Retrying {
        /// With whom.
        contact: ContactId,
        /// What it met.
        reason: String,
        /// When the next try is due.
        next_try: UnixMillis,
    },
    /// Messages from this contact are missing before the one that just came: lost, or withheld.
    Gap {
        /// From whom.
        contact: ContactId,
        /// How many.
        missing: u64,
    },
    /// Envelopes expired at the relay before this device fetched them.
    Expired,
    /// An envelope was thrown away: nobody we know made it, or it was altered.
    Undecryptable {
        /// For the log: never what was inside.
        reason: String,
    },
    /// A keyserver was set back, says different things to different people, or something of us that we have not said.
    KeyserverLies {
        /// Its address.
        keyserver: String,
        /// What it did.
        lie: Lie,
    },
    /// A contact's device list changed in a way that does not follow from the one we knew: held back.
    IdentityChanged {
        /// Whose.
        contact: ContactId,
    },
}
