//! What clients and a keyserver say to each other, as checked values. Keys and signatures are of the right length
//! here and no more: whoever uses them verifies them.
//!
//! Spec: keyserver §2 to §5.

use bytes::Bytes;

use crate::account::SignedLink;
use crate::admission::{NewAccounts, Pass};
use crate::auth::SignatureBytes;
use crate::ids::{AccountId, DeviceId, UnixMillis};
use crate::log::SignedRoot;
pub use crate::parse::BadMessage;
use crate::relay::reasons;

mod wire;

/// Bytes of a Curve25519 public key with its type byte. Spec: signal-wire §1.2.
pub const CURVE_KEY_LEN: usize = 33;

/// Bytes of a Kyber-1024 public key with its type byte. Spec: signal-wire §1.3.
pub const KYBER_KEY_LEN: usize = 1569;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Who is there and what time is it.
    Hello,
    /// Makes an account out of link 0 and binds a free handle to it. Repeating it with the same link is no error.
    Register {
        /// Link 0.
        link: SignedLink,
        /// The local part of the handle; `None`: no handle.
        handle_name: Option<String>,
        /// [`crate::auth::prove_registration`].
        proof: SignatureBytes,
        /// For an account that is new.
        pass: Pass,
    },
    /// This connection is that device.
    SignIn {
        /// Which account.
        account: AccountId,
        /// Which device of it.
        device: DeviceId,
        /// [`crate::auth::prove_device`].
        proof: SignatureBytes,
    },
    /// Adds prekeys of the signed-in device; `None` leaves the signed or last-resort key as it is.
    Publish(Publish),
    /// How many prekeys of the signed-in device are left.
    GetStock,
    /// The device lists of an account. Uses nothing up.
    Lookup(Who),
    /// Goes on with the chain of an account. Whoever has the link may bring it: its signature says who wants it, so that
    /// also somebody who lost every device can.
    AppendLink {
        /// Whose.
        account: AccountId,
        /// What follows from the newest link, or is signed by the recovery key.
        link: SignedLink,
    },
    /// A root of the log.
    GetRoot {
        /// Of which epoch; `None`: the newest.
        epoch: Option<u64>,
    },
    /// What the log has said of a handle, newest first, and that it says nothing newer.
    GetHistory {
        /// The local part of the handle.
        handle_name: String,
    },
    /// A part of the proof that nothing was changed or taken out of the log from the epoch before to this one.
    GetStep {
        /// To which epoch.
        epoch: u64,
        /// From which byte of the proof on.
        offset: u64,
    },
    /// One bundle per named device. Each one-time key is given out once.
    Fetch {
        /// Whose.
        account: AccountId,
        /// Which devices.
        devices: Vec<DeviceId>,
    },
}

/// Whom somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By the local part of a handle.
    Handle(String),
    /// By account.
    Account(AccountId),
}

/// Prekeys on their way to the keyserver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// Replaces the signed prekey.
    pub signed_prekey: Option<SignedCurveKey>,
    /// Replaces the last-resort Kyber prekey.
    pub last_resort_kyber: Option<SignedKyberKey>,
    /// Adds one-time Curve25519 prekeys.
    pub one_time: Vec<CurveKey>,
    /// Adds one-time Kyber prekeys.
    pub one_time_kyber: Vec<SignedKyberKey>,
}

/// A one-time Curve25519 prekey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurveKey {
    /// Its owner's number for it.
    pub id: u32,
    /// With type byte.
    pub key: [u8; CURVE_KEY_LEN],
}

/// A signed Curve25519 prekey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCurveKey {
    /// Its owner's number for it.
    pub id: u32,
    /// With type byte.
    pub key: [u8; CURVE_KEY_LEN],
    /// XEdDSA by the identity key.
    pub signature: SignatureBytes,
}

/// A signed Kyber-1024 prekey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedKyberKey {
    /// Its owner's number for it.
    pub id: u32,
    /// With type byte; [`KYBER_KEY_LEN`] bytes.
    pub key: Bytes,
    /// XEdDSA by the identity key.
    pub signature: SignatureBytes,
}

/// What a keyserver answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Hello`].
    Welcome(Welcome),
    /// The account is there and this connection is signed in as its first device.
    Registered,
    /// This connection is that device.
    SignedIn,
    /// To [`Request::AppendLink`]: the link is in the chain.
    Appended,
    /// What is left, after [`Request::Publish`] durably so.
    Stock(Stock),
    /// To [`Request::Lookup`].
    Found(Found),
    /// To [`Request::Lookup`]: nobody has that handle, and here is the proof.
    Absent(Proven),
    /// To [`Request::GetRoot`].
    Root(SignedRoot),
    /// To [`Request::GetHistory`].
    History(Proven),
    /// To [`Request::GetStep`].
    Step(Step),
    /// To [`Request::Fetch`]: in the order asked, devices without prekeys left out.
    Bundles(Vec<Bundle>),
    /// Not done. Nothing changed.
    Refused(Refused),
}

/// What a keyserver says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The keyserver's clock.
    pub now: UnixMillis,
    /// Name and version of the software.
    pub software: String,
    /// Whom it takes as new accounts.
    pub new_accounts: NewAccounts,
}

/// Prekeys of one device that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// One-time Curve25519 prekeys.
    pub one_time: u32,
    /// One-time Kyber prekeys.
    pub one_time_kyber: u32,
    /// Id of the signed prekey; `None` before the first publication.
    pub signed_prekey_id: Option<u32>,
}

/// An account, as the keyserver tells it; the reader verifies the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whom.
    pub account: AccountId,
    /// From link 0 on.
    pub links: Vec<SignedLink>,
    /// The local part of the handle, if it has one here.
    pub handle_name: Option<String>,
    /// That the log says so of the handle. `None`: there is no handle.
    pub proven: Option<Proven>,
}

/// A proof and the root that it leads to. `hushwire-log` reads and checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The log as it was.
    pub root: SignedRoot,
    /// At most [`crate::limits::PROOF_BYTES_MAX`] bytes.
    pub proof: Bytes,
}

/// A part of the step from one epoch to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the whole.
    pub bytes_total: u64,
    /// From the asked place on, at most [`crate::limits::STEP_PART_BYTES_MAX`] bytes; empty at the end.
    pub part: Bytes,
}

/// One device's public keys; identity key and registration id stand in the device list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Which device.
    pub device: DeviceId,
    /// Signed prekey.
    pub signed_prekey: SignedCurveKey,
    /// One-time Kyber prekey, or the last-resort one.
    pub kyber: SignedKyberKey,
    /// One-time prekey, while there are any.
    pub one_time: Option<CurveKey>,
}

/// Not done; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refused {
    /// Who must act.
    pub reason: RefusedReason,
    /// A sentence for a person.
    pub detail: String,
    /// Milliseconds after which a retry makes sense; 0: not by waiting.
    pub retry_after_ms: u64,
}

reasons! {
    /// Why a keyserver did not do what was asked.
    RefusedReason {
        /// The payload is no message of this protocol: update one of the two programs.
        BadRequest = 1, "bad request";
        /// The proof was not made by the device's signing key for this connection.
        BadProof = 2, "bad proof";
        /// This needs [`Request::SignIn`] first.
        NotSignedIn = 3, "not signed in";
        /// Nobody here has that handle or account.
        Unknown = 4, "unknown handle or account";
        /// The handle belongs to another account. Choose another one.
        HandleTaken = 5, "handle taken";
        /// What was published does not verify.
        BadKeys = 6, "keys do not verify";
        /// More of something than one device may have; the limit is in the detail.
        TooMany = 7, "too many";
        /// The keyserver has too much to do, or this asker asked too much. Retry after the given time.
        Overloaded = 8, "overloaded";
        /// The keyserver is about to stop. Connect again.
        GoingAway = 9, "going away";
        /// The keyserver's storage failed; it is about to stop.
        StorageFailed = 10, "storage failed";
        /// The handle is not one: 1 to 32 of a-z, 0-9, dot, dash, underscore.
        BadHandle = 11, "not a handle";
        /// Another link stands in the place of this one. Look the account up and sign what follows from its newest link.
        OutOfDate = 12, "the device list has changed meanwhile";
        /// A new account needs more work, or fresh work. Ask how much with [`Request::Hello`], and do it.
        WorkNeeded = 13, "a proof of work is needed";
        /// New accounts need an invite here. Ask whoever runs the keyserver for one.
        InviteNeeded = 14, "an invite is needed";
        /// No such invite: never made, used, or expired. Ask for another.
        BadInvite = 15, "the invite is not valid";
        /// No new accounts here. Choose another keyserver.
        Closed = 16, "closed to new accounts";
    }
}
