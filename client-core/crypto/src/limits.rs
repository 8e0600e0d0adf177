//! Every bound of this crate: its name, its unit and the reason for it.
//!
//! Those of the Signal protocols are what the official library does, because two peers that differ here lose messages.
//!
//! Spec: signal-wire §8.6.

/// How far a message may be ahead of its chain, in messages.
///
/// Each message in between costs two HMACs before anything is authenticated: this bounds what a forger can make us do
/// to some tens of milliseconds. Also for SPQR and in groups. Spec: signal-wire §3.6, §4.8, §5.3.
pub const FORWARD_JUMP_MAX: u32 = 25_000;

/// The same in a session with the own account, where the official library has no bound at all.
///
/// Spec: signal-wire §8.5. About a second of work; far above what devices of one person send each other while one is away.
pub const FORWARD_JUMP_OWN_ACCOUNT_MAX: u32 = 1_000_000;

/// Keys of skipped messages kept per receiving chain; beyond it the earliest goes. Also for SPQR and in groups.
///
/// Spec: signal-wire §3.6, §4.8, §5.3.
pub const SKIPPED_PER_CHAIN_MAX: usize = 2_000;

/// Receiving chains per session; beyond it the oldest goes, with its skipped keys.
///
/// Spec: signal-wire §3.6.
pub const RECEIVING_CHAINS_MAX: usize = 5;

/// Previous sessions kept per peer device; beyond it the oldest goes.
///
/// The official library keeps 40. Each one is a second way into a conversation for who has copied a device, and five
/// are enough for both sides starting at once, twice over. Only a receiver's patience differs: the wire is the same.
/// Spec: signal-wire §8.2.
pub const ARCHIVED_SESSIONS_MAX: usize = 5;

/// How long a session that the peer has not answered may be used for sending, in milliseconds: 30 days.
///
/// By then the peer has most likely thrown away the prekeys that it was begun with. Spec: signal-wire §3.2.
pub const UNACKNOWLEDGED_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;

/// Chains kept per sender and distribution; beyond it the oldest goes, with its skipped keys.
///
/// Spec: signal-wire §5.2.
pub const SENDER_KEY_STATES_MAX: usize = 5;

/// The largest message that is read or made, in bytes, wrapper included.
///
/// Four times what an envelope of Hushwire holds; a larger one has no way to arrive.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// The largest text that is encrypted, in bytes: what is left of a message after the wrapper, its keys and the padding.
pub const PLAINTEXT_BYTES_MAX: usize = MESSAGE_BYTES_MAX - MESSAGE_HEAD_BYTES_MAX;

/// The largest sealed message to many that is read or made, in bytes: the longest content and over ten thousand devices.
///
/// Spec: signal-wire §6.4.
pub const SENT_MESSAGE_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

/// The highest device id; the lowest is 1. Spec: signal-wire §1.5.
pub const DEVICE_ID_MAX: u8 = 127;

/// What a stored SPQR state may take, in bytes: two directions of two epochs with a full window each, and the keys and
/// chunks of one exchange. Spec: signal-wire §4.
pub const STORED_SPQR_BYTES_MAX: usize = 512 * 1024;

/// What one stored session may take, in bytes.
pub const STORED_SESSION_BYTES_MAX: usize = STORED_FIXED_BYTES_MAX
    + RECEIVING_CHAINS_MAX * (STORED_CHAIN_BYTES_MAX + SKIPPED_PER_CHAIN_MAX * STORED_SEED_BYTES)
    + STORED_SPQR_BYTES_MAX;

/// What `Sessions::to_bytes` may give and `from_bytes` takes, in bytes.
pub const STORED_SESSIONS_BYTES_MAX: usize = 16 + (ARCHIVED_SESSIONS_MAX + 1) * STORED_SESSION_BYTES_MAX;

/// What `SenderKeys::to_bytes` may give and `from_bytes` takes, in bytes.
pub const STORED_SENDER_KEYS_BYTES_MAX: usize =
    64 + SENDER_KEY_STATES_MAX * (STORED_CHAIN_BYTES_MAX + SKIPPED_PER_CHAIN_MAX * STORED_SEED_BYTES);

/// Everything beside the ciphertext in a message: a KEM ciphertext of 1569 bytes, five keys, numbers.
const MESSAGE_HEAD_BYTES_MAX: usize = 2048;

/// The fields of a stored session that are always there, and its wrapper with a KEM ciphertext.
const STORED_FIXED_BYTES_MAX: usize = 2048;

/// A stored receiving chain without its skipped keys.
const STORED_CHAIN_BYTES_MAX: usize = 80;

/// A stored skipped key: its number and its seed.
const STORED_SEED_BYTES: usize = 4 + 32;

const _: () = assert!(STORED_SESSIONS_BYTES_MAX < 8 * 1024 * 1024, "a row that a phone reads and writes per message");
const _: () = assert!(SKIPPED_PER_CHAIN_MAX < FORWARD_JUMP_MAX as usize);
