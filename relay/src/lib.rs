//! The blind relay: keeps sealed envelopes until their devices have fetched them.
//!
//! Owns mailboxes, tokens, order, durability and expiry. It cannot tell who writes to whom, and needs not: it sees
//! mailbox ids, token hashes, sizes of a few classes, times and network addresses, and writes none of them to a log.
//! Leaves connections and frames to `hushwire_proto::net`, and what is in an envelope to the clients.
//!
//! | file | what it is about |
//! |---|---|
//! | `service.rs`, `handle.rs`, `handle/*.rs` | requests, one file for each kind |
//! | `connection.rs`, `flow.rs`, `drains.rs`, `ear.rs` | what is known of a connection, of a drain, of all drains; who hears what is whispered |
//! | [`queue`] | the promise, its engines and the suite that judges them |
//! | [`quota`], [`clock`], [`disk`] | arithmetic, time and room, as values |
//! | [`rates`], `pace.rs`, [`doors`] | what one network address may take, and how fast its owners; how much may come at one door |
//! | `patience.rs`, `overload.rs` | how many deposits may wait; who comes back when, if more comes than can be read |
//! | [`metrics`], `admin.rs` | what is counted, and who may ask |
//! | [`check`], [`du`] | what an operator asks of the program |
//! | [`config`] | the file an operator writes |
//! | `fail_points.rs` | where a build for tests can be made to end |
//!
//! Spec: relay.

mod admin;
pub mod check;
pub mod clock;
pub mod config;
mod connection;
pub mod doors;
mod drains;
pub mod du;
mod ear;
#[cfg(feature = "fail-points")]
pub mod fail_points;
#[cfg(not(feature = "fail-points"))]
mod fail_points;
mod flow;
mod handle;
pub mod metrics;
mod overload;
mod pace;
mod patience;
pub mod queue;
pub mod quota;
pub mod rates;
mod running;
mod service;

pub use hushwire_server::disk;
pub use running::{Failure, Operation, Parts, Running, StartError, start};
