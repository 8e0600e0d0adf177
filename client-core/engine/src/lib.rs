//! The messenger as a state machine: one [`Input`], one transaction of the encrypted database, then [`Output`]s.
//!
//! Owns accounts, contacts, sessions, the outbox, receipts and history. Knows no clock, socket, thread or randomness of
//! its own: time and rng are arguments, effects are values. Leaves the network and waiting to `hushwire-client`,
//! Signal's protocols to `hushwire-crypto`, the wire to `hushwire-proto`.
//!
//! | I want to know | look at |
//! |---|---|
//! | what goes in and out | [`input`](Input), [`command`](Command), [`event`](Event), `types` |
//! | how a text gets out | `send`, `outbox` |
//! | what happens to an envelope that comes | `receive`, `seal`, `content`, `keep` |
//! | what happens when one does not open | `repair` |
//! | where a message is on its way | `explain` |
//! | what is believed of a keyserver's answers, and compared with auditors | `lookup`, `log`, `auditors`, `send` |
//! | what people do with messages | `about`, `act`, `conversations`, `expiry`, `search` |
//! | how the list of our devices changes | `devices`, `join`, `device_request`, `recovery` |
//! | who may send what | `content::allowed` |
//! | what a group is, and who decides that | [`group`] |
//! | what lies in the database | `store/schema` |

mod about;
mod account;
mod act;
mod auditors;
mod command;
mod contact_link;
mod contacts;
mod content;
mod conversations;
mod device_request;
mod devices;
mod engine;
mod event;
mod expiry;
mod explain;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod gaps;
pub mod group;
mod groups;
mod heard;
mod history;
mod identity;
mod input;
mod join;
mod keep;
mod lie;
mod log;
mod log_check;
mod lookup;
mod outbox;
mod prekeys;
mod receipts;
mod receive;
mod recovery;
mod repair;
mod say;
mod seal;
mod search;
mod send;
mod store;
mod times;
mod types;
mod whisper;

pub use account::{Credentials, Setup};
pub use auditors::{Agreed, Auditor};
pub use contact_link::{BadContactLink, ContactLink};
pub use content::{EMOJI_BYTES_MAX, MENTIONS_MAX, TIMER_S_MAX};
pub use device_request::{BadDeviceRequest, DeviceRequest};
pub use engine::Engine;
pub use explain::{Journey, MemberKeys, Sealing, Underway};
pub use gaps::Gap;
pub use heard::{Lacking, Reached};
pub use history::Page;
pub use hushwire_log::{Alarm, BadProof, REPORT_BYTES_MAX};
pub use hushwire_proto::log::BadRoot;
pub use input::{Answer, Call, CallFailed, CallId, Command, CommandError, Input, NewContact, NewText, Output, Reply};
pub use join::{CannotJoin, Joining, KnownAccount, whom_to_ask};
pub use lie::Lie;
pub use recovery::{BadWords, RecoveryKey};
pub use repair::Reason;
pub use store::messages::PINS_MAX;
pub use store::{DatabaseKey, Store, StoreError};
pub use types::{
    Change, Contact, ContactId, Conversation, ConversationId, Event, FoundInLog, Group, GroupEntry, GroupRequest,
    GroupStanding, Identity, ListChange, ListedDevice, LocalGroup, LocalId, LocalRequest, LogReport, Membership,
    Message, NewDevice, Policy, Profile, Reaction, SafetyNumber, Seen, Shares, Standing, State, Talk, Waiting,
    WhoInLog,
};
