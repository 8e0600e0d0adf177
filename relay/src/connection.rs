//! What the relay knows of one connection: which mailboxes its peer has proven to own, and how far each drain is.
//!
//! A connection either owns mailboxes or deposits, never both: a relay must not learn which mailbox a sender has.
//!
//! Spec: relay §3, §5, §9.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hushwire_proto::{
    auth::{BadProof, EXPORTER_LABEL, Greeted, OwnedMailbox, SessionBinding, SignatureBytes},
    ids::MailboxId,
    limits::MAILBOXES_PER_CONNECTION_MAX,
    net::serve::Peer,
};

use tokio::sync::Semaphore;

use crate::{
    flow::Flow,
    overload::{Away, Overload},
    rates::Address,
};

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    peer: Peer,
    address: Arc<Address>,
    hand: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    role: Role,
    away: Away,
    was_refused: bool,
    open: BTreeMap<MailboxId, Opened>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Role {
    #[default]
    Undecided,
    Owner,
    Sender,
}

#[derive(Debug)]
struct Opened {
    owned: OwnedMailbox,
    drain: Option<Arc<Flow>>,
}

/// Why a mailbox was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenRefused {
    BadProof,
    Sender,
    TooMany,
}

/// The connection has deposited nothing because it owns mailboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IsOwner;

impl From<BadProof> for OpenRefused {
    fn from(BadProof: BadProof) -> Self {
        Self::BadProof
    }
}

impl Connection {
    pub(crate) fn new(peer: Peer, address: Arc<Address>) -> Self {
        Self { peer, address, hand: Arc::new(Semaphore::new(1)), state: Mutex::default() }
    }

    /// The other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What the other end's network address takes.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Held by the one of its drains that has envelopes in hand: a peer who does not read keeps those of one push, not of each
    /// mailbox.
    pub(crate) fn hand(&self) -> &Arc<Semaphore> {
        &self.hand
    }

    /// Checks the proof against this connection's TLS session. Opening again is fine.
    pub(crate) fn open(&self, mailbox: MailboxId, proof: &SignatureBytes) -> Result<(), OpenRefused> {
        let mut state = self.lock();
        if state.role == Role::Sender {
            return Err(OpenRefused::Sender);
        }
        if state.open.len() >= MAILBOXES_PER_CONNECTION_MAX && !state.open.contains_key(&mailbox) {
            return Err(OpenRefused::TooMany);
        }
        let binding = self.peer.export(EXPORTER_LABEL, &[]).map_err(|_| OpenRefused::BadProof)?;
        let owned = Greeted::new(SessionBinding(binding)).open_mailbox(mailbox, proof)?;
        state.role = Role::Owner;
        state.open.entry(mailbox).or_insert(Opened { owned, drain: None });
        Ok(())
    }

    /// Proof that this connection owns the mailbox, if it does.
    pub(crate) fn owned(&self, mailbox: MailboxId) -> Option<OwnedMailbox> {
        self.lock().open.get(&mailbox).map(|opened| opened.owned)
    }

    /// Whether it waits for its turn at the pace of its address: owners do, and whose last request was one more than the
    /// address may make.
    pub(crate) fn is_paced(&self) -> bool {
        let state = self.lock();
        state.role == Role::Owner || state.was_refused
    }

    /// Whether its address may make no more requests now.
    pub(crate) fn note_whether_refused(&self, was_refused: bool) {
        self.lock().was_refused = was_refused;
    }

    /// From now on this connection may open no mailbox.
    pub(crate) fn deposits(&self) -> Result<(), IsOwner> {
        let mut state = self.lock();
        if state.role == Role::Owner {
            return Err(IsOwner);
        }
        state.role = Role::Sender;
        Ok(())
    }

    /// Whether its deposits are turned away, and for how long.
    pub(crate) fn is_turned_away(&self, overload: &Overload) -> Option<Duration> {
        overload.turns_away(&mut self.lock().away)
    }

    /// Acknowledgements now count for this drain.
    pub(crate) fn drains(&self, mailbox: OwnedMailbox, flow: Arc<Flow>) {
        if let Some(opened) = self.lock().open.get_mut(&mailbox.id()) {
            opened.drain = Some(flow);
        }
    }

    /// The last drain of the mailbox that was asked for on this connection.
    pub(crate) fn drain(&self, mailbox: OwnedMailbox) -> Option<Arc<Flow>> {
        self.lock().open.get(&mailbox.id()).and_then(|opened| opened.drain.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ed25519_dalek::SigningKey;
    use hushwire_proto::auth::prove_mailbox;

    use super::*;
    use crate::rates::Rates;

    const BINDING: [u8; 32] = [5; 32];

    fn connection() -> Connection {
        let remote = "192.0.2.1:9".parse().unwrap();
        let peer = Peer::new(remote, |label, _| Ok(if label == EXPORTER_LABEL { BINDING } else { [0; 32] }), |_| {});
        Connection::new(peer, Arc::new(Address::new(Rates::default(), std::time::Instant::now())))
    }

    fn open(connection: &Connection, seed: u8) -> Result<(), OpenRefused> {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let mailbox = MailboxId(key.verifying_key().to_bytes());
        connection.open(mailbox, &prove_mailbox(SessionBinding(BINDING), &key))
    }

    #[test]
    fn an_owner_never_deposits_and_a_sender_never_owns() {
        let (owner, sender) = (connection(), connection());
        assert_eq!(open(&owner, 1), Ok(()));
        assert_eq!(owner.deposits(), Err(IsOwner));
        assert_eq!(sender.deposits(), Ok(()));
        assert_eq!(sender.deposits(), Ok(()));
        assert_eq!(open(&sender, 1), Err(OpenRefused::Sender));
    }

    #[test]
    fn a_failed_proof_decides_nothing() {
        let connection = connection();
        assert_eq!(connection.open(MailboxId([9; 32]), &[0; 64]), Err(OpenRefused::BadProof));
        assert_eq!(connection.owned(MailboxId([9; 32])), None);
        assert_eq!(connection.deposits(), Ok(()));
    }

    #[test]
    fn mailboxes_of_one_connection_are_bounded() {
        let connection = connection();
        for seed in 0..u8::try_from(MAILBOXES_PER_CONNECTION_MAX).unwrap() {
            assert_eq!(open(&connection, seed), Ok(()));
        }
        assert_eq!(open(&connection, 100), Err(OpenRefused::TooMany));
        assert_eq!(open(&connection, 0), Ok(()), "again");
    }
}
