//! What must hold of any bytes at all, for whatever strangers, servers and damaged disks can bring about.
//!
//! Each target takes bytes and panics when something that must hold does not. The same bytes always do the same: what is
//! random comes of a seed in them. Owns the targets and, in `corpus/`, the inputs that were worth keeping; `tests/` replays
//! those on every run of the tests. `libfuzzer/` looks for new ones, and is started by `cargo xtask fuzz`.
//!
//! | target | what the bytes are | what must hold |
//! |---|---|---|
//! | [`messages`] | messages, keys, service ids, codes to scan | what is read is written and read as the same |
//! | [`handshake`] | changes to a bundle, to a first message, to prekeys | only what was said is ever read |
//! | [`stored`] | sessions, sender keys and prekeys from a damaged disk | refused, or as good as any to go on with |
//! | [`sealed`] | seals, certificates and contents, and changes to them | only what was sealed opens, from who sealed it |
//! | [`forged`] | changes to a message under way, or to its sender's state | only what was said is ever read; the true one opens after it |
//! | [`session`] | what two devices do, over a line that loses, repeats and alters | each message opens when the specification says so, and once |
//! | [`group`] | the same for a sender key and two members | the same |
//! | [`changes`] | what people make of a group, allowed or not, and how it comes | all have the same group in the end |
//! | [`contents`] | changes, links, contents, and what is inside seals that many can make | what is read is written and read as the same |
//! | [`wire`] | frames, requests, answers, device lists, addresses | what is read is written and read as the same |
//! | [`accounts`] | links that thieves and owners sign, and changes to them | what may follow is taken, and nothing else |
//! | [`proofs`] | changes to what a keyserver's log says, or any bytes | only what the log says is proven |
//!
//! | file | what the targets share |
//! |---|---|
//! | `input` | bytes as a row of choices |
//! | `edit` | bytes with some changes |
//! | `mirror` | messages written a second time, from the specification |
//! | `device` | a device with its keys, and what its engine remembers |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target tells what does not hold by panicking"
)]

mod accounts;
mod changes;
mod contents;
mod device;
mod edit;
mod forged;
mod group;
mod handshake;
mod input;
mod messages;
mod mirror;
mod proofs;
mod sealed;
mod session;
mod stored;
mod wire;

pub use accounts::accounts;
pub use changes::changes;
pub use contents::contents;
pub use forged::forged;
pub use group::group;
pub use handshake::handshake;
pub use messages::messages;
pub use proofs::proofs;
pub use sealed::sealed;
pub use session::session;
pub use stored::stored;
pub use wire::wire;

/// Something that must hold of any bytes.
pub type Target = fn(&[u8]);

/// Every target, under the name of its corpus and of its program.
pub const TARGETS: [(&str, Target); 12] = [
    ("messages", messages),
    ("handshake", handshake),
    ("stored", stored),
    ("sealed", sealed),
    ("forged", forged),
    ("session", session),
    ("group", group),
    ("changes", changes),
    ("contents", contents),
    ("wire", wire),
    ("accounts", accounts),
    ("proofs", proofs),
];
