//! What happened, for whoever shows it.

use hushwire_proto::ids::UnixMillis;
use hushwire_proto::keyserver::Refused;

use crate::lie::Lie;
use crate::repair::Reason;
use crate::types::{
    Change, Contact, ContactId, ConversationId, GroupEntry, GroupRequest, ListChange, LocalId, LogReport, Message,
    Policy, Seen, State,
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The keyserver has the account and its prekeys: others can write now.
    Registered,
    /// Registration cannot go on; a person must choose, as the reason says.
    RegistrationFailed(Refused),
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
        /// Where.
        conversation: ConversationId,
        /// How far.
        state: State,
    },
    /// A message is another now.
    MessageChanged {
        /// As it is now.
        message: Message,
        /// Who did that; `None`: we.
        by: Option<ContactId>,
        /// What they did.
        change: Change,
    },
    /// What is said from now on in a conversation disappears after another time.
    TimerChanged {
        /// Where.
        conversation: ConversationId,
        /// Who wanted it; `None`: we.
        by: Option<ContactId>,
        /// After how long; `None`: not at all.
        seconds: Option<u32>,
    },
    /// A message is gone: its time has come, or a person deleted it here.
    Disappeared {
        /// Where it was.
        conversation: ConversationId,
        /// Which it was.
        message: LocalId,
    },
    /// Everything in a conversation is gone: a person deleted it here.
    ConversationDeleted(ConversationId),
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
        /// Where.
        conversation: ConversationId,
        /// From whom.
        contact: ContactId,
        /// How many.
        missing: u64,
        /// Nothing of the device that wrote them came before: they may be older than this device.
        first: bool,
    },
    /// Somebody types to us or to a group, or has stopped; also when nothing was heard of it for 15 seconds. A message from
    /// them ends it as well, without this.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        contact: ContactId,
        /// Whether they do.
        on: bool,
    },
    /// When a contact was there with whom we look at a conversation ([`crate::Command::LookAt`]). Nothing comes from who is not
    /// there or does not share it; who was there and is heard of no more was there today.
    Presence {
        /// Who.
        contact: ContactId,
        /// When they were there.
        seen: Seen,
    },
    /// Envelopes expired at the relay before this device fetched them.
    Expired,
    /// An envelope was thrown away: nobody we know made it, it was altered, or one of two databases was set back.
    Undecryptable {
        /// For programs.
        code: Reason,
        /// For the log: never what was inside.
        reason: String,
        /// Whether the contact was asked to say it anew, or will be once they are known to be in the group: then it will still
        /// come.
        asked_again: bool,
    },
    /// A keyserver was set back, says different things to different people, or something of us that we have not said.
    KeyserverLies {
        /// Its address.
        keyserver: String,
        /// What it did.
        lie: Lie,
    },
    /// A contact has other devices than before; that was signed by a device of theirs or with their 24 words.
    DevicesChanged {
        /// Whose.
        contact: ContactId,
        /// What is different.
        change: ListChange,
        /// What is done about what is new in it.
        policy: Policy,
    },
    /// The list of our own devices is another one now: by us, by another device of ours, or by whoever has one. `None`:
    /// the devices are the same, and called otherwise perhaps.
    OwnDevicesChanged {
        /// What is different.
        change: Option<ListChange>,
    },
    /// A change of our list that a person asked for is not made.
    OwnDevicesNotChanged {
        /// Why, as a sentence with what to do.
        reason: String,
    },
    /// This device is not one of the account any more.
    Revoked,
    /// Two lists of our own devices were signed, neither by the recovery key: one of our devices is in other hands.
    OwnDevicesForked,
    /// What a log says of a handle (the answer to [`crate::Command::CheckLog`]).
    LogChecked(LogReport),
    /// It could not be found out, or does not hold.
    LogNotChecked {
        /// The handle that was asked for.
        asked: String,
        /// Why, as a sentence.
        reason: String,
        /// Whether waiting and trying again may help.
        retryable: bool,
    },
    /// Somebody whom we have not accepted asks us into a group.
    GroupRequest(Box<GroupRequest>),
    /// We are in a group: brought by a contact, or let in.
    GroupJoined {
        /// Its conversation.
        conversation: ConversationId,
    },
    /// Asking to be let in led nowhere.
    GroupNotJoined {
        /// What the link calls the group.
        name: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// We are in a group no longer: by ourselves, or put out.
    GroupLeft {
        /// Its conversation.
        conversation: ConversationId,
    },
    /// A group that we are in was changed.
    GroupChanged {
        /// Its conversation.
        conversation: ConversationId,
        /// By what.
        entry: Box<GroupEntry>,
    },
    /// A contact's device list changed in a way that does not follow from the one we knew: held back.
    IdentityChanged {
        /// Whose.
        contact: ContactId,
    },
}
