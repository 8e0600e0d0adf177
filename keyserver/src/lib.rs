//! The keyserver: gives out public keys, each one-time key once.
//!
//! A keyserver keeps, for each account, its chain of device lists, perhaps a handle, and prekeys of its devices. It
//! verifies all that it takes, and is believed nothing: clients verify chains and signatures again, and what it says of a
//! handle comes with a proof out of a log that says the same to everybody. What it could do and must not is to withhold, and
//! to give a one-time key out twice; the last this crate rules out, whatever is killed and whenever.
//!
//! | file | what it is about | specification |
//! |---|---|---|
//! | `connection.rs` | one connection: who it is, how much it may ask | `proto/spec/keyserver.md` §1, §2 |
//! | `handle.rs`, `handle/` | what each request does | §2 to §6 |
//! | `verify.rs` | what is checked before it is stored; pure | §3, §4 |
//! | `keys.rs`, `keys/` | RocksDB: rows, the one writer, prekeys put in and taken out, epochs | §4, §5, §7.2 |
//! | `log.rs`, `log/` | the tree of all that was said, its roots and proofs | §7 |
//! | `admission.rs`, [`invites`] | what a new account costs | §3.8 |
//! | `metrics.rs`, `admin.rs`, [`check`] | what an operator counts, asks and has looked at | |
//! | [`backup`] | a copy of the database, and putting it back | |
//! | `running.rs`, [`config`] | from start to end, and what an operator decides | |
//! | `limits.rs` | every bound and its reason | §5, §6 |
//!
//! The program in `main.rs` is a thin shell around [`start`], which tests and simulations use directly.

pub use keys::{OpenError, fill};
pub use limits::Rates;
pub use running::{Operation, Parts, Running, StartError, start};

mod admin;
mod admission;
pub mod backup;
pub mod check;
pub mod config;
mod connection;
mod handle;
pub mod invites;
mod keys;
mod limits;
mod log;
mod metrics;
mod running;
mod verify;

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Everyone who does the work, or has an invite.
    #[default]
    Open,
    /// Whoever has an invite.
    Invites,
    /// Nobody. Accounts that are there go on.
    Closed,
}
