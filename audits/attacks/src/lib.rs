//! Strangers and vandals against the relay and the keyserver, as programs.
//!
//! Owns a QUIC peer that keeps to no rule, what it does with that, and what a server must be while it does: no memory, no
//! descriptor and no panic more, and no slower for those who behave. Floods are bounded: what is tested is what a packet may
//! cost, and not how many a machine can read.
//!
//! | file | what it is about |
//! |---|---|
//! | `main.rs` | the command line and the table |
//! | [`server`], [`honest`] | the program that is attacked; somebody who behaves meanwhile, and how long they wait |
//! | [`trial`] | one attack on one server, and the verdict |
//! | [`attack`] | the attacks: `attack/{state,flood,slow,owners}.rs` |
//! | [`grammar`] | messages with one thing wrong |
//! | [`peer`], [`frames`], [`packet`] | one lawless connection; its frames; its packets |
//! | [`client`] | one lawful connection that asks too much |

pub mod attack;
pub mod client;
pub mod frames;
pub mod grammar;
pub mod honest;
pub mod packet;
pub mod peer;
#[path = "../../sim/src/port.rs"]
pub mod port;
pub mod server;
pub mod trial;

/// What went wrong, as a sentence.
pub type Failure = String;

/// Any error, as a sentence.
pub fn said(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}
