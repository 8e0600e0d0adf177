//! The Hushwire client that apps link: one handle over the engine, its encrypted database and its connections.
//!
//! Owns waiting: the network, retries of connections, the clock, the operating system's randomness, the lock on the data
//! directory and the key of the database. Leaves to `hushwire-engine` what a message is and when it is sent again, to
//! `hushwire-proto` the wire, to the app everything that is shown.
//!
//! ```no_run
//! use std::time::Duration;
//! use hushwire_client::{Client, Command, DataDir, Unlock};
//!
//! # async fn example() -> Result<(), hushwire_client::Error> {
//! let dir = DataDir::at("/home/alice/.local/share/hushwire");
//! let client = Client::open(&dir, Unlock::Stored).await?;
//! client.connect().await?;
//! if let Some(bob) = client.query(|engine| engine.find_contact("bob")).await? {
//!     client.command(Command::Send { to: bob.conversation, text: "hello".into() }).await?;
//! }
//! let sent = client.settle(Duration::from_secs(10)).await?.done;
//! client.close().await?;
//! # let _ = sent;
//! # Ok(())
//! # }
//! ```
//!
//! | I want to | look at |
//! |---|---|
//! | open an account, write, read | [`Client`] |
//! | add a device, or take the account back with the 24 words | [`Client::join`], [`Client::recover`] |
//! | hear what happens | [`EventStream`] |
//! | know whether we are online | [`Connectivity`] |
//! | choose how the database is locked | [`Protection`], [`Unlock`] |
//! | see how far registering is | [`Registering`] |
//! | see how inputs become calls | `driver` |
//! | see what is said to which server | `link` |

mod client;
mod connectivity;
mod data_dir;
mod diagnose;
mod driver;
mod engine_thread;
mod error;
mod events;
mod files;
mod link;
mod lookup;
mod newcomer;
mod vault;

pub use client::{Client, Settled};
pub use connectivity::{Backlog, ClockOff, Connectivity, Reach};
pub use data_dir::DataDir;
pub use diagnose::{Finding, Verdict};
pub use error::Error;
pub use events::{EventStream, Lagged};
pub use hushwire_engine::group;
pub use hushwire_engine::{
    Agreed, Alarm, Answer, Auditor, BadContactLink, BadDeviceRequest, BadProof, BadRoot, BadWords, CannotJoin, Change,
    Command, CommandError, Contact, ContactId, ContactLink, Conversation, ConversationId, DeviceRequest, Engine, Event,
    FoundInLog, Gap, Group, GroupEntry, GroupRequest, GroupStanding, Identity, Joining, Journey, KnownAccount, Lacking,
    Lie, ListChange, ListedDevice, LocalGroup, LocalId, LocalRequest, LogReport, MENTIONS_MAX, MemberKeys, Membership,
    Message, NewContact, NewDevice, NewText, Page, Policy, Profile, Reached, Reaction, Reason, RecoveryKey,
    SafetyNumber, Sealing, Seen, Setup, Shares, Standing, State, StoreError, Talk, Underway, Waiting, WhoInLog,
};
pub use hushwire_proto::admission::{BadInvite, Invite};
pub use hushwire_proto::keyserver::{Refused, RefusedReason};
pub use hushwire_proto::{address, ids, limits};
pub use newcomer::Registering;
pub use vault::{Protection, ProtectionKind, Unlock};
pub use zeroize::Zeroizing;
