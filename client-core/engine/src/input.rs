//! What goes into the engine and what comes out.

use bytes::Bytes;
use hushwire_proto::account::SignedLink;
use hushwire_proto::address::{Fingerprint, ServerAddress};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{AccountId, DeviceId, Seq, TokenHash, UnixMillis};
use hushwire_proto::keyserver::{Bundle, Found, Proven, Publish, Stock, Who};
use hushwire_proto::relay::{Deliveries, Deposit, DepositMany, StoredMany, TokenClass, Whisper};

pub use crate::command::{Command, CommandError, NewContact, NewText};
use crate::group::GroupLink;
use crate::types::{ConversationId, Event, Message};

/// One thing that the engine is told. Each is one database transaction.
#[derive(Debug)]
pub enum Input {
    /// A person wants something. Answered by exactly one [`Output::Answer`].
    Command(Command),
    /// The own relay delivered. Acknowledged by [`Call::Acknowledge`] once it is kept.
    Delivered(Deliveries),
    /// Something was whispered to us: it came over the own relay's connection, has no number and is kept nowhere.
    Whispered(Envelope),
    /// The own relay's numbers are behind ours: its disk was lost or set back. It is drained from the beginning, and told
    /// our tokens anew.
    RelaySetBack,
    /// The own relay has given us nothing yet, so that nobody can see whether it still is the one that knew our tokens: it is
    /// told them again.
    RelayMayBeNew,
    /// A call has its reply.
    Replied {
        /// Which.
        call: CallId,
        /// What came back.
        reply: Result<Reply, CallFailed>,
    },
    /// The network is there again: what waits for a next try is due now, except where a relay has said until when it takes
    /// nothing.
    Online,
    /// The clock has come to a [`Output::WakeAt`], or the program has just begun: whatever is outstanding is called.
    Tick,
}

/// One thing that comes out. By then it is kept.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a few at a time, each moved once")]
pub enum Output {
    /// The answer to the command that went in.
    Answer(Answer),
    /// Ask a server. The shell gives the reply back as [`Input::Replied`], in any order, or an error when the server
    /// cannot be reached; the engine tries again by itself.
    Call {
        /// Names the call.
        id: CallId,
        /// What to ask.
        call: Call,
    },
    /// Something to show.
    Event(Event),
    /// Send [`Input::Tick`] no later than this. The newest replaces the ones before.
    WakeAt(UnixMillis),
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one at a time, moved once")]
pub enum Answer {
    /// Kept.
    Done,
    /// Kept, and will be sent.
    Queued(Message),
    /// The conversation of a group.
    Group(ConversationId),
    /// Whoever has it can ask to be let in.
    GroupLink(Box<GroupLink>),
    /// Not done. Nothing changed.
    Refused(CommandError),
}

/// Names a call while it is under way. Not kept across restarts: what was under way is called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What to ask a server, and over which connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Keyserver, own connection: make the account. The shell adds the proof.
    Register {
        /// Which keyserver.
        keyserver: ServerAddress,
        /// Link 0.
        link: SignedLink,
        /// Local part of the handle.
        handle_name: Option<String>,
    },
    /// Keyserver, own connection, not signed in: the link says who wants it.
    AppendLink {
        /// Which keyserver.
        keyserver: ServerAddress,
        /// Whose.
        account: AccountId,
        /// The next list of devices.
        link: SignedLink,
    },
    /// Keyserver, own connection, signed in.
    Publish {
        /// Which keyserver.
        keyserver: ServerAddress,
        /// New prekeys.
        publish: Publish,
    },
    /// Keyserver, own connection, signed in: how many prekeys are left.
    GetStock {
        /// Which keyserver.
        keyserver: ServerAddress,
    },
    /// Keyserver, anonymous connection.
    Lookup {
        /// Which keyserver.
        keyserver: ServerAddress,
        /// Whom.
        who: Who,
    },
    /// Keyserver, anonymous connection, so that it does not know that it is we who ask: what its log says of our handle.
    GetHistory {
        /// Which keyserver.
        keyserver: ServerAddress,
        /// Local part of the handle.
        handle_name: String,
    },
    /// Auditor, over HTTP, as nobody: what it has seen of this keyserver's log.
    GetReport {
        /// Which auditor.
        auditor: ServerAddress,
        /// Which keyserver.
        keyserver: Fingerprint,
        /// Roots up to this epoch.
        through: u64,
    },
    /// Keyserver, anonymous connection.
    Fetch {
        /// Which keyserver.
        keyserver: ServerAddress,
        /// Whose prekeys.
        account: AccountId,
        /// Which devices.
        devices: Vec<DeviceId>,
    },
    /// Own relay, signed-in connection.
    Grant {
        /// Tokens to accept.
        tokens: Vec<(TokenHash, TokenClass)>,
    },
    /// Own relay, signed-in connection.
    Revoke {
        /// Tokens to refuse.
        hashes: Vec<TokenHash>,
    },
    /// Own relay, signed-in connection: everything up to here is kept. Its reply is not needed.
    Acknowledge {
        /// Up to here.
        through: Seq,
    },
    /// Any relay, the anonymous connection that deposits go over, if there is one and nothing waits for it; else it is
    /// dropped. It is asked once, and has no reply.
    Whisper {
        /// Which relay.
        relay: ServerAddress,
        /// What.
        whisper: Whisper,
    },
    /// Any relay, anonymous connection. Deposits to one mailbox are put on the wire in the order in which they come out.
    Deposit {
        /// Which relay.
        relay: ServerAddress,
        /// What.
        deposit: Deposit,
        /// Once a deposit of a turn has failed, none of that turn to the same mailbox may leave any more: it would
        /// overtake. What is left is called again, in the next turn. From 1.
        turn: u64,
    },
    /// Any relay, anonymous connection: one envelope to many mailboxes. While it is under way nothing else is deposited in
    /// any of them, so that nothing overtakes it.
    DepositMany {
        /// Which relay.
        relay: ServerAddress,
        /// What, and where.
        many: DepositMany,
    },
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Call::Register`].
    Registered,
    /// To [`Call::AppendLink`].
    Appended,
    /// To [`Call::Publish`] and [`Call::GetStock`].
    Stock(Stock),
    /// To [`Call::Lookup`].
    Found(Found),
    /// To [`Call::Lookup`]: nobody has the handle.
    Absent(Proven),
    /// To [`Call::GetHistory`].
    History(Proven),
    /// To [`Call::GetReport`]: at most [`hushwire_log::REPORT_BYTES_MAX`] bytes of JSON, as they came.
    Report(Bytes),
    /// To [`Call::Fetch`].
    Bundles(Vec<Bundle>),
    /// To [`Call::Grant`] and [`Call::Revoke`].
    TokensKept,
    /// To [`Call::Acknowledge`].
    Acknowledged,
    /// To [`Call::Deposit`].
    Stored,
    /// To [`Call::DepositMany`].
    StoredMany(StoredMany),
}

/// Why a call has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailed {
    /// The server could not be reached, or did not answer in time. What became of the request is not known.
    #[error("{0}")]
    Unreachable(String),
    /// The relay refused. Nothing changed there.
    #[error("the relay refused: {0}")]
    Relay(hushwire_proto::relay::Refused),
    /// The keyserver refused. Nothing changed there.
    #[error("the keyserver refused: {0}")]
    Keyserver(hushwire_proto::keyserver::Refused),
    /// The server said what does not belong to the protocol.
    #[error("the server answered out of protocol")]
    OutOfProtocol,
}
