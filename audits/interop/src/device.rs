//! Where a device is, and what it can do, whichever library it is made of.

use hushwire_crypto::{PreKeyBundle, ServiceId, ServiceIdKind};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::Checked;
use crate::kind::Kind;
use crate::wire::Message;

/// An account, and the number of one of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) account: ServiceId,
    pub(crate) device: u8,
}

impl Address {
    /// The first device of an account of its own.
    pub(crate) fn of_somebody(rng: &mut StdRng) -> Address {
        Address { account: ServiceId::new(ServiceIdKind::Aci, rng.random()), device: 1 }
    }

    /// Another device of the same account.
    pub(crate) fn device(self, device: u8) -> Address {
        Address { device, ..self }
    }

    /// As the oracle names it.
    pub(crate) fn json(self) -> Value {
        json!({"name": self.account.to_string(), "deviceId": self.device})
    }
}

/// One device with one peer. The outer error is a broken run; the inner one is what the library answers.
pub(crate) trait Device {
    /// Who it is, for what is printed.
    fn name(&self) -> &'static str;

    /// Archived sessions that it keeps beside the current one.
    fn archived_max(&self) -> usize;

    /// Fresh prekeys, published.
    fn bundle(&mut self, with_one_time: bool) -> Checked<PreKeyBundle>;

    /// Begins a session with the device of this bundle.
    fn start(&mut self, bundle: &PreKeyBundle) -> Checked<Result<(), Kind>>;

    /// Encrypts in the current session.
    fn send(&mut self, text: &[u8]) -> Checked<Result<Message, Kind>>;

    /// Opens a message, and keeps what comes of it.
    fn receive(&mut self, message: &Message) -> Checked<Result<Vec<u8>, Kind>>;

    /// Puts the current session aside.
    fn archive(&mut self) -> Checked<()>;

    /// Keeps its state as it is on disk, for [`Device::go_back`].
    fn remember(&mut self) -> Checked<()>;

    /// The process has ended, and starts again from what [`Device::remember`] kept.
    fn go_back(&mut self) -> Checked<()>;
}
