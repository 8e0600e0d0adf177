//! Deposits to one mailbox arrive in their order or not at all.
//!
//! The engine calls several at once, and goes on calling until it hears that one failed. What it has called by then may
//! still be in line here while a new connection is made: over that it would overtake the one that failed. So each deposit
//! is of a turn, and a turn in which one has failed is over: none of it leaves any more. The engine calls
//! what is left again, in the next turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hushwire_engine::{Call, CallFailed};
use hushwire_proto::ids::MailboxId;

/// The turn of one deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    mailbox: MailboxId,
    number: u64,
}

impl Turn {
    /// Of a deposit; nothing else has one.
    pub(crate) fn of(call: &Call) -> Option<Self> {
        match call {
            Call::Deposit { deposit, turn, .. } => Some(Self { mailbox: deposit.mailbox, number: *turn }),
            _ => None,
        }
    }
}

/// Which turns are over: the last one for each mailbox that ever refused or lost a deposit. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeMap<MailboxId, u64>>>);

impl Turns {
    /// A deposit of this turn failed, or may have.
    pub(crate) fn end(&self, turn: Turn) {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = ended.entry(turn.mailbox).or_default();
        *last = turn.number.max(*last);
    }

    /// Why this deposit must not leave, if it must not.
    pub(crate) fn check(&self, turn: Turn) -> Result<(), CallFailed> {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ended.get(&turn.mailbox) {
            Some(last) if turn.number <= *last => {
                Err(CallFailed::Unreachable("an earlier message did not get through".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_a_turn_in_which_one_failed_does_not_leave_and_the_next_turn_does() {
        let turns = Turns::default();
        let turn = |mailbox, number| Turn { mailbox: MailboxId([mailbox; 32]), number };
        assert_eq!(turns.check(turn(1, 1)), Ok(()));
        turns.end(turn(1, 1));
        assert!(turns.check(turn(1, 1)).is_err());
        assert_eq!(turns.check(turn(1, 2)), Ok(()));
        assert_eq!(turns.check(turn(2, 1)), Ok(()), "of another mailbox");
        turns.end(turn(1, 2));
        turns.end(turn(1, 1));
        assert!(turns.check(turn(1, 2)).is_err(), "a late answer opens nothing again");
    }
}
