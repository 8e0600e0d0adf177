//! What must open, what must be refused and why: the rules of the specification, applied to what is seen on the wire.
//!
//! Knows neither library. So when a prediction fails, either that device or the specification is wrong.
//!
//! Spec: signal-wire §3.6, §4.8, §8.2, §8.3.

use std::collections::BTreeSet;

use crate::kind::Kind;
use crate::wire::Place;

/// Receiving chains of a session. Not the crate's constant: that one is judged here. Spec: signal-wire §3.6.
const CHAINS_MAX: usize = 5;

/// A message that was sent, as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Its number among all that this side has sent.
    pub(crate) number: usize,
    pub(crate) session: usize,
    pub(crate) is_first: bool,
    pub(crate) place: Place,
}

/// What one side has: its sessions with the other, newest first.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    sessions: Vec<Session>,
    /// The first of them is current, and not archived.
    has_current: bool,
    archived_max: usize,
    /// Sessions that the peer has begun with us, and whether a one-time prekey was used for it.
    begun: BTreeSet<usize>,
    opened: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
struct Session {
    id: usize,
    /// The peer's ratchet keys whose chains are kept, oldest first, and those whose chains were dropped.
    chains: Vec<Vec<u8>>,
    dropped: BTreeSet<Vec<u8>>,
    /// The newest SPQR epoch that was sent in.
    epoch_sent: u64,
}

impl Side {
    pub(crate) fn new(archived_max: usize) -> Side {
        Side { sessions: Vec::new(), has_current: false, archived_max, begun: BTreeSet::new(), opened: BTreeSet::new() }
    }

    /// Whether there is a session to send in.
    pub(crate) fn can_send(&self) -> bool {
        self.has_current
    }

    /// This side begins a session. The peer's signed prekey stands for its first chain.
    pub(crate) fn start(&mut self, id: usize, signed_prekey: &[u8]) {
        let chains = vec![signed_prekey.to_vec()];
        self.promote(Session { id, chains, dropped: BTreeSet::new(), epoch_sent: 0 });
    }

    /// The session that the next message is sent in.
    pub(crate) fn current(&self) -> Option<usize> {
        self.sessions.first().filter(|_| self.has_current).map(|session| session.id)
    }

    /// A message went out in the current session.
    pub(crate) fn sent(&mut self, place: &Place) {
        if let Some(session) = self.sessions.first_mut() {
            session.epoch_sent = session.epoch_sent.max(place.epoch);
        }
    }

    pub(crate) fn archive(&mut self) {
        self.has_current = false;
        self.sessions.truncate(self.archived_max);
    }

    /// What must come of this message. `with_one_time`: its session was begun with a one-time prekey.
    pub(crate) fn expects(&self, message: &Sent, with_one_time: bool) -> Result<(), Kind> {
        let Some(session) = self.sessions.iter().find(|session| session.id == message.session) else {
            return match (message.is_first, self.begun.contains(&message.session)) {
                (true, false) => Ok(()),
                // A session that is no longer there cannot be begun again by the same message.
                (true, true) if with_one_time => Err(Kind::MissingPreKey),
                (true, true) => Err(Kind::ReusedBaseKey),
                (false, _) if self.sessions.is_empty() => Err(Kind::NoSession),
                (false, _) => Err(Kind::Undecryptable),
            };
        };
        if session.dropped.contains(&message.place.ratchet_key) {
            return Err(Kind::Undecryptable);
        }
        if self.opened.contains(&message.number) {
            return Err(Kind::Repeated);
        }
        // The message's key is of epoch − 1; kept is what is not below the epoch before the one that was sent in.
        if message.place.epoch + 1 < session.epoch_sent {
            return Err(Kind::Undecryptable);
        }
        Ok(())
    }

    /// The message was opened.
    pub(crate) fn opened(&mut self, message: &Sent) {
        self.opened.insert(message.number);
        let at = self.sessions.iter().position(|session| session.id == message.session);
        let mut session = match at {
            Some(at) => {
                if at == 0 {
                    self.has_current = false;
                }
                self.sessions.remove(at)
            }
            None => {
                self.begun.insert(message.session);
                Session { id: message.session, chains: Vec::new(), dropped: BTreeSet::new(), epoch_sent: 0 }
            }
        };
        let key = &message.place.ratchet_key;
        if !session.chains.contains(key) {
            session.chains.push(key.clone());
            if session.chains.len() > CHAINS_MAX {
                session.dropped.insert(session.chains.remove(0));
            }
        }
        self.promote(session);
    }

    fn promote(&mut self, session: Session) {
        self.sessions.insert(0, session);
        self.sessions.truncate(self.archived_max + 1);
        self.has_current = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize, chain: u8, epoch: u64) -> Sent {
        let place = Place { base_key: None, ratchet_key: vec![chain], epoch };
        Sent { number, session: 0, is_first: false, place }
    }

    #[test]
    fn the_sixth_chain_ends_the_first() {
        let mut side = Side::new(5);
        side.start(0, &[0]);
        for chain in 1..=4 {
            side.opened(&message(chain.into(), chain, 1));
        }
        assert_eq!(side.expects(&message(9, 0, 1), true), Ok(()));
        side.opened(&message(5, 5, 1));
        assert_eq!(side.expects(&message(9, 0, 1), true), Err(Kind::Undecryptable));
        assert_eq!(side.expects(&message(1, 1, 1), true), Err(Kind::Repeated));
    }

    #[test]
    fn an_epoch_is_kept_until_the_second_one_after_it_is_sent_in() {
        let mut side = Side::new(5);
        side.start(0, &[0]);
        side.sent(&message(0, 0, 2).place);
        assert_eq!(side.expects(&message(9, 1, 1), true), Ok(()));
        side.sent(&message(0, 0, 3).place);
        assert_eq!(side.expects(&message(9, 1, 1), true), Err(Kind::Undecryptable));
    }

    #[test]
    fn a_session_beyond_the_archive_is_gone() {
        let mut side = Side::new(1);
        for id in 0..3 {
            side.start(id, &[0]);
        }
        let of = |session| Sent { session, ..message(9, 1, 1) };
        assert_eq!(side.expects(&of(0), true), Err(Kind::Undecryptable));
        assert_eq!(side.expects(&of(1), true), Ok(()));
    }
}
