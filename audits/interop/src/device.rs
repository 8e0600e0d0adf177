//! What a device can do, whichever library it is made of.

use hushwire_crypto::PreKeyBundle;

use crate::Checked;
use crate::kind::Kind;
use crate::wire::Message;

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
