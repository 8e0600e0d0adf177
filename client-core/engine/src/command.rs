//! What a person may want, and why it is not done.

use hushwire_proto::account::CannotChange as CannotChangeDevices;
use hushwire_proto::address::{Handle, ServerAddress};
use hushwire_proto::ids::{DeviceId, UnixMillis};

use crate::contact_link::ContactLink;
use crate::device_request::DeviceRequest;
use crate::group::{CannotChange, GroupLink, Op};
use crate::recovery::RecoveryKey;
use crate::types::{ContactId, ConversationId, LocalId, LocalRequest, Policy};

/// What a person wants.
#[derive(Clone, Debug)]
pub enum Command {
    /// Answered at once with [`crate::Answer::Done`]; the outcome comes as [`crate::Event::ContactAdded`] or
    /// [`crate::Event::ContactNotFound`].
    AddContact {
        /// Whom.
        who: NewContact,
        /// What to call them; else the name of the handle, else the start of the account id.
        name: Option<String>,
    },
    /// [`crate::Answer::Queued`]. A contact that stood as a request is thereby accepted.
    Send {
        /// Where.
        to: ConversationId,
        /// What.
        text: NewText,
    },
    /// A new group of ourselves and these contacts. [`crate::Answer::Group`].
    FoundGroup {
        /// What it is called: 1 to 100 characters in one line.
        name: String,
        /// Who is in it beside us.
        members: Vec<ContactId>,
    },
    /// One change of a group that does all of this, or nothing. [`crate::Answer::Done`].
    ChangeGroup {
        /// Which.
        group: ConversationId,
        /// What is done; [`crate::Engine::new_members`] makes what adds contacts.
        ops: Vec<Op>,
    },
    /// Opens a way into a group. [`crate::Answer::GroupLink`].
    OpenInvite {
        /// Which group.
        group: ConversationId,
        /// Whether an admin has to admit who comes by it.
        approval: bool,
        /// Not afterwards.
        expires_at: Option<UnixMillis>,
        /// For so many accounts.
        uses: Option<u32>,
    },
    /// Asks to be let into a group. [`crate::Answer::Done`] or [`crate::Answer::Group`]; then [`crate::Event::GroupJoined`] or
    /// [`crate::Event::GroupNotJoined`].
    JoinGroup(Box<GroupLink>),
    /// A person says yes to being in a group. [`crate::Answer::Group`]; then [`crate::Event::GroupJoined`].
    AcceptGroup(LocalRequest),
    /// A person says no, which is told to whoever asked, and not asked again. [`crate::Answer::Done`]. To tell nobody,
    /// [`Command::Block`] who asks.
    RefuseGroup(LocalRequest),
    /// Nothing of what was said in a conversation stays here, and what has not left is not sent. It is listed again once something
    /// is said; that of a group that we are in stays listed. The others keep what they have. [`crate::Answer::Done`].
    DeleteConversation(ConversationId),
    /// A person has seen everything in this conversation up to this message. [`crate::Answer::Done`].
    MarkRead {
        /// Where.
        conversation: ConversationId,
        /// Up to here.
        through: LocalId,
    },
    /// Another text for a message of ours, 1 to [`hushwire_proto::limits::TEXT_BYTES_MAX`] bytes. [`crate::Answer::Done`], as
    /// with the next three.
    Edit {
        /// Which.
        message: LocalId,
        /// What it says from now on.
        text: String,
    },
    /// A message of ours is as if it had not been said, for all. That there was one stays to be seen.
    TakeBack(LocalId),
    /// What we feel about a message; the last counts.
    React {
        /// About which.
        message: LocalId,
        /// 1 to [`crate::EMOJI_BYTES_MAX`] bytes, no control characters; `None` takes it away.
        emoji: Option<String>,
    },
    /// Pins a message for all, or no longer; at most [`crate::PINS_MAX`] at a time.
    Pin {
        /// Which.
        message: LocalId,
        /// Whether it is pinned from now on.
        pinned: bool,
    },
    /// Sends what a message says somewhere, without whose it was. [`crate::Answer::Queued`].
    Forward {
        /// What.
        message: LocalId,
        /// Where.
        to: ConversationId,
    },
    /// A message is really gone, here only; what of it has not left is not sent. [`crate::Answer::Done`], as all that follow
    /// about conversations.
    DeleteHere(LocalId),
    /// What is said from now on, by anybody, disappears so many seconds after it was sent or read.
    SetTimer {
        /// Where.
        conversation: ConversationId,
        /// 1 to [`crate::TIMER_S_MAX`]; `None`: nothing disappears any more.
        seconds: Option<u32>,
    },
    /// It makes no noise until then; an app keeps to it.
    Mute {
        /// Which.
        conversation: ConversationId,
        /// `None`: it does again.
        until: Option<UnixMillis>,
    },
    /// Puts a conversation away, or back.
    Archive {
        /// Which.
        conversation: ConversationId,
        /// Whether it is away from now on.
        archived: bool,
    },
    /// What was begun and not sent, at most [`hushwire_proto::limits::TEXT_BYTES_MAX`] bytes. Sending clears it.
    SetDraft {
        /// Where.
        conversation: ConversationId,
        /// `None` or empty: nothing.
        draft: Option<String>,
    },
    /// Whether the others are told what was read here. That it came is told all the same: without it nothing could be
    /// sent anew.
    SetReceipts {
        /// Where.
        conversation: ConversationId,
        /// Whether.
        told: bool,
    },
    /// A stranger becomes a contact. [`crate::Answer::Done`].
    Accept(ContactId),
    /// Messages from this contact are dropped from now on, and their token is revoked. [`crate::Answer::Done`].
    Block(ContactId),
    /// A person compared the safety number. [`crate::Answer::Done`].
    SetVerified(ContactId, bool),
    /// What is done about new devices of this contact from now on; `None`: as of all of whom nothing was chosen. With
    /// [`Policy::Accept`] also those are agreed to that wait. [`crate::Answer::Done`], as of the next two.
    SetPolicy(ContactId, Option<Policy>),
    /// The same of all of whom nothing else was chosen. Whom a person has verified is held all the same.
    SetDefaultPolicy(Policy),
    /// A person agrees to the devices that this contact has now: what waits is sent, and what was not taken in is asked for.
    AgreeToDevices(ContactId),
    /// A person looks at a conversation, or no longer: it stands open on their screen. Who types to a group is heard only
    /// while it is, and a contact who shares their presence is asked for it ([`crate::Event::Presence`]).
    /// [`crate::Answer::Done`], as of the next three; what comes of it may be nothing.
    LookAt(ConversationId, bool),
    /// A person types in a conversation that they look at, or has stopped: say so as often as a key is pressed.
    Typing(ConversationId, bool),
    /// Whether this contact may know when we are there; off unless this says otherwise. Who does not share is not answered.
    SharePresence(ContactId, bool),
    /// Whether the others may know when we type; unless this says otherwise, contacts may and groups may not. Who does not
    /// share is not shown it.
    ShareTyping(ConversationId, bool),
    /// A new name for a contact. [`crate::Answer::Done`].
    Rename(ContactId, String),
    /// Another handle, or none, for an account that is not registered yet: the first choice was taken.
    /// [`crate::Answer::Done`].
    SetHandleName(Option<String>),
    /// A new device of this account, as it asks for it. Answered at once; the outcome comes as
    /// [`crate::Event::OwnDevicesChanged`] or [`crate::Event::OwnDevicesNotChanged`], also of the next three.
    AddDevice(Box<DeviceRequest>),
    /// A device is one no longer.
    RevokeDevice(DeviceId),
    /// A device of ours is called otherwise.
    RenameDevice(DeviceId, String),
    /// Other 24 words from now on. The new ones must be on paper before this is asked for.
    RenewRecovery {
        /// The words of today.
        old: RecoveryKey,
        /// The words from then on.
        new: RecoveryKey,
    },
    /// What does the log say of this handle? [`crate::Event::LogChecked`] or [`crate::Event::LogNotChecked`].
    CheckLog {
        /// Of whom.
        handle: Handle,
        /// Whose log. With a fingerprint.
        keyserver: ServerAddress,
    },
    /// Compares what keyservers say with what this auditor has seen, from now on. Its address carries its fingerprint.
    /// [`crate::Answer::Done`].
    AddAuditor(ServerAddress),
    /// No longer. [`crate::Answer::Done`].
    RemoveAuditor(ServerAddress),
}

/// A message that a person writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewText {
    /// 1 to [`hushwire_proto::limits::TEXT_BYTES_MAX`] bytes.
    pub text: String,
    /// A message of the same conversation that it answers.
    pub reply_to: Option<LocalId>,
    /// Contacts that it names, at most [`crate::MENTIONS_MAX`].
    pub mentions: Vec<ContactId>,
    /// Whether it was somebody else's before; who, is not told.
    pub forwarded: bool,
}

impl<T: Into<String>> From<T> for NewText {
    fn from(text: T) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Whom to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewContact {
    /// By handle at this keyserver (its address carries the fingerprint to expect).
    Handle(Handle, ServerAddress),
    /// By contact link: verified from the start.
    Link(ContactLink),
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No contact of that id or name.
    #[error("there is no such contact")]
    NoSuchContact,
    /// No conversation of that id.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// No message of that id, or not in this conversation.
    #[error("there is no such message in this conversation")]
    NoSuchMessage,
    /// Somebody else said it.
    #[error("this message is not yours")]
    NotYours,
    /// There is nothing left of it.
    #[error("this message was taken back")]
    TakenBack,
    /// A reaction that cannot be one.
    #[error("a reaction has 1 to {0} bytes, none of them a control character")]
    BadReaction(usize),
    /// More seconds than messages may take to disappear, or none.
    #[error("messages disappear after 1 second to {} days, or not at all", .0 / 86_400)]
    BadTimer(u32),
    /// None of ours, or we are in it no longer.
    #[error("you are not a member of this group")]
    NotInGroup,
    /// Answered already, or never made.
    #[error("nobody asks you into such a group")]
    NoSuchRequest,
    /// Only admins write, or we only read.
    #[error("you may only read in this group")]
    MayOnlyRead,
    /// The group does not change so.
    #[error("{0}")]
    Group(#[from] CannotChange),
    /// More than a message may name.
    #[error("a message names at most {0} people")]
    TooManyMentions(usize),
    /// More than are pinned in one conversation.
    #[error("{0} messages are pinned there already")]
    TooManyPins(usize),
    /// Two contacts cannot have one name.
    #[error("another contact is already called `{0}`; choose another name")]
    NameTaken(String),
    /// The text is empty or too long.
    #[error("a message has 1 to {limit} bytes; this one has {found}")]
    TextLength {
        /// Bytes it has.
        found: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// The contact is blocked.
    #[error("this contact is blocked; unblock them first")]
    Blocked,
    /// That is this account.
    #[error("this is your own account")]
    Myself,
    /// The account has its handle already.
    #[error("this account is registered; its handle cannot be changed")]
    AlreadyRegistered,
    /// An auditor without a fingerprint proves nothing.
    #[error("the address of the auditor has no fingerprint: hush://FINGERPRINT@HOST[:PORT]")]
    NoFingerprint,
    /// More auditors than are asked.
    #[error("there are {0} auditors already; remove one first")]
    TooManyAuditors(usize),
    /// Not in the list.
    #[error("there is no such auditor")]
    NoSuchAuditor,
    /// A name that cannot be one.
    #[error("a name has 1 to 64 characters, none of them a control character")]
    BadName,
    /// This device does not stand in the account's list.
    #[error("this device is not one of its account: it was revoked, or is not added yet")]
    NotADevice,
    /// One change after the other.
    #[error("an earlier change of the devices is still on its way to the keyserver")]
    ChangeUnderWay,
    /// There is no such list.
    #[error(transparent)]
    Devices(#[from] CannotChangeDevices),
    /// A device does not take itself out.
    #[error("a device does not revoke itself; do it on another one")]
    ThisDevice,
    /// A device asks for another account.
    #[error("this request is for another account than the one here")]
    OtherAccount,
    /// What a new device says of itself does not hold.
    #[error("the request is not signed by the device that it names; make a new one there")]
    BadRequest,
    /// Not the recovery key of today.
    #[error("these are not the recovery words of this account")]
    WrongRecoveryWords,
}
