//! Everything together, on one machine, under faults: what the checks of this crate share.
//!
//! Owns starting and killing the programs of this workspace, the ledger's verdict, and looking for bytes in files.
//! Leaves what is checked to `tests/`, and what is measured to `src/bin/`. Nothing here is part of a release.
//!
//! | file | what it is about |
//! |---|---|
//! | `tests/ledger.rs`, `src/bin/ledger-peer.rs` | 20,000 messages while relay and receivers are killed |
//! | `tests/seizure.rs` | what whoever takes a disk away finds on it |
//! | `tests/doors.rs` | bad input at a relay and a keyserver that run |
//! | `tests/backlog.rs`, `src/bin/backlog/` | somebody comes back to thousands of messages |
//! | `src/bin/latency/` | what a relay adds to the time of a message |
//! | `src/bin/groupload/` | what a large group costs |
//! | `src/bin/keyload/` | what a keyserver does in a second, at a thousand handles and at a million |
//! | [`backlog`] | somebody who is away, and who writes meanwhile |
//! | [`person`] | a client in this process |
//! | [`ledger`] | what was promised against what came |
//! | [`program`], [`server`] | processes, by handle |
//! | [`usage`] | what a process takes |
//! | [`scan`] | bytes in files, in every form they may have there |

pub mod backlog;
pub mod ledger;
pub mod person;
pub mod port;
pub mod program;
pub mod scan;
pub mod server;
#[path = "../../load/src/usage.rs"]
pub mod usage;

/// What went wrong, as a sentence.
pub type Failure = String;
