//! The auditor: follows keyservers' logs, checks every epoch, and signs what it has checked.
//!
//! A keyserver proves what it says by a log that only grows. That it only grows, and that everybody is shown the same, is
//! worth something once somebody checks it who is not the keyserver. The auditor asks each keyserver that its operator
//! names for every root and every step, from the first epoch on without a gap, and keeps each root with its own signature
//! beside the keyserver's. Clients look up there the root that they were shown. What does not hold ends the following of
//! that keyserver for good: the two roots that contradict each other are kept and shown.
//!
//! Owns what it has checked, on disk, and the pages it shows. Leaves the checks themselves to `hushwire-log`. It is
//! believed nothing that it has not signed, and needs none of a keyserver's secrets: anybody may run one.
//!
//! | file | what it is about | specification |
//! |---|---|---|
//! | `follow.rs`, `ask.rs` | one keyserver, epoch by epoch | `proto/spec/keyserver.md` §7.6, §7.7 |
//! | `book.rs` | the roots that were checked, on disk | |
//! | `verdict.rs` | what did not hold, on disk | |
//! | `watched.rs` | all of it together, and the report for clients | §7.8 |
//! | `http.rs`, `page.rs` | who asks over HTTP, and the page for people | §7.8 |
//! | [`config`], `running.rs` | what an operator decides, and from start to end | |
//!
//! The program in `main.rs` is a thin shell around [`start`], which tests use directly.

pub use running::{Parts, Running, StartError, start};

mod ask;
mod book;
pub mod config;
mod follow;
mod http;
mod page;
mod running;
mod verdict;
mod watched;
