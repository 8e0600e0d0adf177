//! What the specification says of one side: the sessions that it keeps, and the chains in each.
//!
//! Spec: signal-wire §3.6, §8.2, §8.3.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_crypto::limits::{ARCHIVED_SESSIONS_MAX, RECEIVING_CHAINS_MAX};
use hushwire_crypto::{CiphertextMessage, PreKeySignalMessage, PublicKey, SignalMessage};

/// A message, and what it belongs to.
pub(super) struct Letter {
    from: usize,
    session: usize,
    ratchet_key: PublicKey,
    pub(super) message: CiphertextMessage,
    pub(super) text: Vec<u8>,
}

impl Letter {
    pub(super) fn new(from: usize, session: usize, message: CiphertextMessage, text: Vec<u8>) -> Letter {
        let ratchet_key = match &message {
            CiphertextMessage::PreKey(bytes) => PreKeySignalMessage::parse(bytes).unwrap().message().ratchet_key(),
            CiphertextMessage::Signal(bytes) => SignalMessage::parse(bytes).unwrap().ratchet_key(),
        };
        Letter { from, session, ratchet_key, message, text }
    }
}

/// One side.
#[derive(Clone, Default)]
pub(super) struct Expected {
    current: Option<usize>,
    /// Newest first.
    archived: Vec<usize>,
    /// The receiving chains of every session that there ever was.
    chains: BTreeMap<usize, Chains>,
    opened: BTreeSet<usize>,
}

#[derive(Clone, Default)]
struct Chains {
    /// Oldest first.
    kept: Vec<PublicKey>,
    gone: BTreeSet<PublicKey>,
}

impl Expected {
    pub(super) fn current(&self) -> Option<usize> {
        self.current
    }

    pub(super) fn has_opened(&self, number: usize) -> bool {
        self.opened.contains(&number)
    }

    /// A session of ours; its first receiving chain is that of the signed prekey.
    pub(super) fn start(&mut self, session: usize, signed: PublicKey) {
        self.chains.insert(session, Chains { kept: vec![signed], gone: BTreeSet::new() });
        self.promote(session);
    }

    pub(super) fn archive(&mut self) {
        if let Some(current) = self.current.take() {
            self.archived.insert(0, current);
            self.archived.truncate(ARCHIVED_SESSIONS_MAX);
        }
    }

    /// Whether a message must open, and otherwise must not.
    pub(super) fn opens(&self, side: usize, number: usize, letter: &Letter) -> bool {
        if letter.from == side || self.opened.contains(&number) {
            return false;
        }
        let keeps = self.current == Some(letter.session) || self.archived.contains(&letter.session);
        match self.chains.get(&letter.session) {
            Some(chains) => keeps && !chains.gone.contains(&letter.ratchet_key),
            None => matches!(letter.message, CiphertextMessage::PreKey(_)),
        }
    }

    pub(super) fn opened(&mut self, number: usize, letter: &Letter) {
        self.opened.insert(number);
        let Chains { kept, gone } = self.chains.entry(letter.session).or_default();
        if !kept.contains(&letter.ratchet_key) {
            kept.push(letter.ratchet_key);
            if kept.len() > RECEIVING_CHAINS_MAX {
                gone.insert(kept.remove(0));
            }
        }
        self.promote(letter.session);
    }

    fn promote(&mut self, session: usize) {
        self.archived.retain(|archived| *archived != session);
        if self.current != Some(session) {
            self.archive();
            self.current = Some(session);
        }
    }
}
