//! What Hushwire says on the wire.
//!
//! Owns ids, limits, frames, the messages of the relay and of the keyserver, sealed envelopes' outer shape, sign-in
//! and the chain of device lists. Leaves to `hushwire-crypto` what is inside a seal, and to the servers what a request
//! does. Everything here is a value: the only input and output is [`net`], behind the feature of that name.
//!
//! | file | what it is about | specification |
//! |---|---|---|
//! | [`ids`] | names of things as types | `proto/spec/*.md` |
//! | [`limits`] | every bound, its unit and its reason | all |
//! | [`frame`] | how messages follow each other on a stream | `proto/spec/relay.md` §1 |
//! | [`relay`] | requests and answers of a relay | `proto/spec/relay.md` |
//! | [`keyserver`] | requests and answers of a keyserver | `proto/spec/keyserver.md` |
//! | [`account`] | device lists, their chain, account ids | `proto/spec/keyserver.md` §3 |
//! | [`admission`] | proof of work and invites | `proto/spec/keyserver.md` §3.8 |
//! | [`log`] | signed roots of a keyserver's log | `proto/spec/keyserver.md` §7 |
//! | [`witness`] | what an auditor signs | `proto/spec/keyserver.md` §7.8 |
//! | [`envelope`] | size classes | `proto/spec/envelope.md` |
//! | [`auth`] | sign-in bound to the TLS session | `proto/spec/relay.md` §3 |
//! | [`address`] | `hush://<fingerprint>@host:port`, handles | `proto/spec/relay.md` §2 |

pub mod account;
pub mod address;
pub mod admission;
pub mod auth;
pub mod envelope;
pub mod frame;
pub mod ids;
pub mod keyserver;
pub mod limits;
pub mod log;
#[cfg(feature = "net")]
pub mod net;
mod parse;
pub mod relay;
pub mod signing;
pub mod witness;

mod wire {
    //! Types that `prost` makes out of `proto/wire/*.proto`. Nothing outside this crate sees them.
    #![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/wire.rs"));
    pub(crate) use hushwire::account::v1 as account;
    pub(crate) use hushwire::keys::v1 as keys;
    pub(crate) use hushwire::relay::v1 as relay;
}
