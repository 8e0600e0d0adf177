//! The things that are shown.

use hushwire_client::ids::UnixMillis;
use hushwire_client::{
    Auditor, Contact, ContactId, ConversationId, Finding, Lie, ListChange, ListedDevice, LocalId, LogReport, Message,
    Profile, State, Talk, Waiting,
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
    Message(&'a Message),
    /// A message of ours has come further.
    State { id: LocalId, conversation: &'a Where, state: State },
    /// Messages are missing.
    Gap { conversation: &'a Where, contact: &'a Named, missing: u64 },
    /// Envelopes expired before they were fetched.
    Expired,
    /// An envelope was thrown away.
    Undecryptable { reason: &'a str },
    /// A keyserver's log contradicts itself or us.
    KeyserverLies { keyserver: &'a str, lie: &'a Lie },
    /// A contact's device list is held back.
    IdentityChanged { contact: &'a Named },
    /// A device of ours.
    Device(&'a ListedDevice),
    /// What a new device asks for.
    DeviceRequest { request: &'a str },
    /// The devices of a contact changed, or with no contact our own.
    Devices { contact: Option<&'a Named>, change: &'a ListChange },
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
