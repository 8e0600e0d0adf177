//! What a relay and a keyserver have in common for whoever runs them.
//!
//! Owns no request of a client and no row on a disk: those are each server's own. Connections and frames are in
//! `hushwire_proto::net`.
//!
//! | file | what it is about |
//! |---|---|
//! | [`admin`] | HTTP on the loopback interface: who may ask, and how long |
//! | [`metrics`], `histogram.rs` | counting without locks, and Prometheus' text format |
//! | [`disk`] | how full the disk is, and when nothing new is taken |
//! | [`check`] | whether a server could run here |
//! | [`program`] | what both programs say, and where to |

pub mod admin;
pub mod check;
pub mod disk;
mod histogram;
pub mod http;
pub mod metrics;
pub mod program;
