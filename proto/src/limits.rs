//! Every bound of the wire, with its unit and its reason. A limit that a person may change is in a server's
//! configuration; what stands here is the same everywhere, because both ends must agree on it.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: u64 = 1024 * 1024;

/// `BE32` length and `BE64` request id.
pub const FRAME_HEAD_BYTES: usize = 12;

/// The largest payload of a frame: the largest envelope for as many mailboxes as one request may name.
pub const FRAME_BYTES_MAX: usize = 464 * KIB;

/// The largest payload of any other frame: one full batch of prekeys, or a push of a few large envelopes. Also what a
/// connection may make a server hold for a request that has not fully arrived; for a larger one it needs one of a few
/// places that all connections share.
pub const ORDINARY_FRAME_BYTES: usize = 160 * KIB;

/// The sizes a sealed envelope may have, in bytes. A text of a few words, a long text, and so on up to the longest;
/// each step doubles, so padding costs at most half, and an observer learns at most eight sizes.
pub const ENVELOPE_CLASSES: [usize; 8] = [512, KIB, 2 * KIB, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB];

/// The largest sealed envelope, in bytes: the last class.
pub const ENVELOPE_BYTES_MAX: usize = 64 * KIB;

/// The largest envelope that is whispered, in bytes: what it says has a few bytes, and two classes hide which.
pub const WHISPER_BYTES_MAX: usize = KIB;

/// The longest text of one message, in UTF-8 bytes. Leaves room in the largest class for the first message of a
/// session (its Kyber ciphertext, prekey ids and the sender's device lists).
pub const TEXT_BYTES_MAX: usize = 48 * KIB;

/// Bytes that one push of deliveries may carry. Two of the largest envelopes fit.
pub const PUSH_BYTES_MAX: usize = 144 * KIB;

/// Envelopes that one push may carry, whatever their size: the client commits a push in one transaction.
pub const PUSH_ENVELOPES_MAX: usize = 128;

/// Bytes a relay sends to a device ahead of its acknowledgements, per mailbox. Enough to keep a fast link busy, small
/// enough that a device that never answers costs little.
pub const UNACKED_BYTES_MAX: usize = 512 * KIB;

/// Mailboxes one connection may have open. A device has one today; more hide which contacts share a device.
pub const MAILBOXES_PER_CONNECTION_MAX: usize = 8;

/// Requests one connection may have waiting for an answer. Enough to fill the group commit; further ones wait unread
/// in the transport, which slows the sender down.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 256;

/// Deposit tokens one mailbox may have registered: a request token, and one per contact.
pub const TOKENS_PER_MAILBOX_MAX: usize = 4096;

/// Mailboxes to which one request may deliver one envelope: the largest groups there are.
pub const FANOUT_MAX: usize = 5000;

/// Bytes for each of them: mailbox, token, deposit id.
pub const FANOUT_ENTRY_BYTES: usize = 32 + 32 + 16;

/// Tokens that one request may register.
pub const TOKENS_PER_GRANT_MAX: usize = 256;

/// What a mailbox holds before a relay refuses more, in bytes.
pub const MAILBOX_BYTES_MAX: u64 = 64 * MIB;

/// How much of a mailbox may be filled by request tokens (first contact by strangers), in bytes.
pub const MAILBOX_REQUEST_BYTES_MAX: u64 = MIB;

/// How long an undelivered envelope is kept unless the operator says otherwise.
pub const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a relay remembers a deposit id whose envelope is already gone, so that a retry stores nothing new. A
/// retry after that may be stored once more; whoever reads it knows the repeat by its ratchet.
pub const DEPOSIT_RETRY_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// Devices of one account. What people own, and few enough to encrypt to each.
pub const DEVICES_PER_ACCOUNT_MAX: usize = 8;

/// The largest device id: Signal's, one byte without the sign bit. Spec: signal-wire §1.5.
pub const DEVICE_ID_MAX: u8 = 127;

/// The name of a device, in bytes: what a person calls it, in any script.
pub const DEVICE_NAME_BYTES_MAX: usize = 48;

/// Links in one chain of device lists that a reader follows.
pub const CHAIN_LINKS_MAX: usize = 256;

/// The largest signed link, in bytes: eight devices with long relay addresses.
pub const LINK_BYTES_MAX: usize = 8 * KIB;

/// The largest proof beside a chain in one answer, in bytes: one version of a handle, three paths.
pub const LOOKUP_PROOF_BYTES_MAX: usize = 32 * KIB;

/// The largest chain of device lists inside a sealed envelope or an answer, in bytes.
pub const CHAIN_BYTES_MAX: usize = 96 * KIB;

/// One-time prekeys of each kind in one publication. A hundred Kyber keys fill a frame.
pub const PREKEYS_PER_PUBLISH_MAX: usize = 50;

/// One-time prekeys of each kind that a keyserver keeps for one device.
pub const PREKEYS_PER_DEVICE_MAX: u32 = 200;

/// The largest proof out of a keyserver's log, in bytes. The newest versions of a handle with their paths through a tree
/// of ten million handles.
pub const PROOF_BYTES_MAX: usize = 120 * KIB;

/// Versions of a handle that a keyserver shows with their proofs: what a device may have missed while it was away. Older
/// ones it has seen when they were new.
pub const HISTORY_VERSIONS_MAX: usize = 16;

/// Bytes of one part of the step from an epoch to the next, as auditors fetch it.
pub const STEP_PART_BYTES_MAX: usize = 128 * KIB;

/// The longest local part of a handle, in bytes.
pub const HANDLE_NAME_BYTES_MAX: usize = 32;

/// Zero bits that a keyserver may ask for from a new account: minutes on a phone. A client does no more, whatever it is
/// told.
pub const WORK_BITS_MAX: u8 = 30;

/// How old a proof of work may be. Longer than the longest takes; short enough that none is made in store.
pub const WORK_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// What the answers to a lookup and to a fetch are filled up to, or to a multiple of it: a few kilobytes of proof and
/// the chain of an account with a few devices, or a bundle of keys.
pub const LOOKUP_ANSWER_STEP: usize = 8 * KIB;

/// The longest server address, in bytes: fingerprint, a domain name of 253 and a port.
pub const ADDRESS_BYTES_MAX: usize = 400;

/// How long a call waits for its answer. Longer than two lost round trips on a phone network; shorter than a person's
/// patience.
pub const CALL_DEADLINE: Duration = Duration::from_secs(8);

/// How long connecting may take, with one lost packet at each step of the handshake.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(8);

/// How long a server that stops waits for requests that have begun.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// A connection that says nothing for this long is closed; the client sends something every third of it.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

const _: () = assert!(matches!(ENVELOPE_CLASSES, [.., ENVELOPE_BYTES_MAX]));
const _: () = assert!(TEXT_BYTES_MAX + 8 * KIB < ENVELOPE_BYTES_MAX);
const _: () = assert!(2 * ENVELOPE_BYTES_MAX <= PUSH_BYTES_MAX);
const _: () = assert!(PUSH_BYTES_MAX + KIB * 8 <= ORDINARY_FRAME_BYTES);
const _: () = assert!(PREKEYS_PER_PUBLISH_MAX * 1800 + KIB * 16 <= ORDINARY_FRAME_BYTES);
const _: () = assert!(CHAIN_BYTES_MAX + DEVICES_PER_ACCOUNT_MAX * 4 * KIB <= ORDINARY_FRAME_BYTES);
const _: () = assert!(ENVELOPE_BYTES_MAX + FANOUT_MAX * FANOUT_ENTRY_BYTES + KIB <= FRAME_BYTES_MAX);
const _: () = assert!(STEP_PART_BYTES_MAX + KIB <= ORDINARY_FRAME_BYTES);
const _: () = assert!(PROOF_BYTES_MAX + KIB <= ORDINARY_FRAME_BYTES);
const _: () = assert!(CHAIN_BYTES_MAX + LOOKUP_PROOF_BYTES_MAX + 16 * KIB <= ORDINARY_FRAME_BYTES);
