//! Load on a relay, and a ledger of what it promised.
//!
//! Owns many virtual devices and senders in one process, what is measured with them, and the verdict on a relay that is
//! killed again and again. It speaks the relay's protocol and shares no code with what the relay stores: whoever judges
//! must not make the same mistake. It drives QUIC below `hushwire_proto::net::call`, whose connections have a socket, an
//! endpoint and three tasks each, as a client's must: here that would take the cores that are to be the relay's.
//!
//! | file | what it is about |
//! |---|---|
//! | `main.rs` | the command line of `hushload` |
//! | [`mode`] | one file for each kind of load |
//! | [`target`], [`server`] | the server that is driven: started here, or anywhere |
//! | [`mod@line`], [`tongue`] | one connection; what it says to a relay, and to the yardstick |
//! | [`cores`] | which cores both have, and how much of them |
//! | [`judgement`], [`graph`] | what must hold of what was found; curves over time |
//! | [`usage`], [`times`], [`report`] | what a server used, how long things took, how that is shown |
//! | [`ledger`] | what was promised and what came, on disk, and the invariants it must keep |
//! | `bin/floor-sync.rs` | the yardstick: QUIC and a synced log, and none of a relay's duties |

pub mod cores;
pub mod graph;
pub mod judgement;
pub mod ledger;
pub mod line;
pub mod mode;
#[path = "../../sim/src/port.rs"]
pub mod port;
pub mod report;
pub mod server;
pub mod target;
pub mod times;
pub mod tongue;
pub mod usage;

/// What went wrong, as a sentence.
pub type Failure = String;

/// Any error, as a sentence.
pub fn said(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}
