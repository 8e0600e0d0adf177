//! What is on its way: requests, replies, deliveries and whatever else comes at a time of its own.
//!
//! Keeps the order that connections keep, and nothing else: what one person says to one relay about one mailbox arrives in
//! the order in which it was said, or, from some point on, not at all; so do deliveries. Replies come in any order.

use std::collections::BTreeMap;

use hushwire_proto::ids::MailboxId;
use hushwire_proto::relay::Deliveries;

use crate::app::{Call, CallFailed, CallId, Reply, Who};
use crate::step::Place;

/// Something on its way.
pub(crate) struct Parcel {
    pub(crate) who: Who,
    /// Of the program that it belongs to. What comes for an earlier one finds nobody.
    pub(crate) life: u64,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// To a server.
    Call {
        id: CallId,
        call: Call,
        /// Whether anybody waits for an answer: a copy has none.
        answered: bool,
    },
    /// To the app.
    Reply { id: CallId, reply: Result<Reply, CallFailed>, turn: Option<Turn> },
    /// From the own relay.
    Push(Deliveries),
    /// Time to connect to the own relay.
    Connect,
    /// Time to start the program again.
    Start,
}

/// Of a deposit. Once one has failed, nothing of its turn leaves any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) mailbox: MailboxId,
    pub(crate) number: u64,
}

impl Turn {
    pub(crate) fn of(call: &Call) -> Option<Self> {
        match call {
            Call::Deposit { deposit, turn, .. } => Some(Self { mailbox: deposit.mailbox, number: *turn }),
            _ => None,
        }
    }
}

/// Where order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    /// To the own relay.
    Own(Who),
    /// To a mailbox.
    Deposits(Who, MailboxId),
    /// From the own relay.
    Pushes(Who),
}

#[derive(Default)]
pub(crate) struct Net {
    /// By the time of arrival, and what was sent first comes first.
    under_way: BTreeMap<(u64, u64), Parcel>,
    sent: u64,
    last: BTreeMap<Channel, u64>,
    ended: BTreeMap<(Who, MailboxId), u64>,
    cut: BTreeMap<(Who, Place), u64>,
}

impl Net {
    pub(crate) fn put(&mut self, at: u64, parcel: Parcel) {
        self.sent += 1;
        self.under_way.insert((at, self.sent), parcel);
    }

    /// No sooner than what went the same way before.
    pub(crate) fn behind(&mut self, channels: &[Channel], at: u64) -> u64 {
        let last = channels.iter().filter_map(|channel| self.last.get(channel)).copied().max();
        let at = last.map_or(at, |last| at.max(last));
        self.last.extend(channels.iter().map(|channel| (*channel, at)));
        at
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// What comes next, if it has come by then.
    pub(crate) fn take(&mut self, by: u64) -> Option<Parcel> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= by).then(|| first.remove())
    }

    /// What of this person is still under way then does not arrive.
    pub(crate) fn lose(&mut self, who: Who, after: u64, is_lost: impl Fn(&What) -> bool) {
        self.under_way.retain(|(at, _), parcel| parcel.who != who || *at <= after || !is_lost(&parcel.what));
    }

    /// A deposit of this turn failed, or may have.
    pub(crate) fn end(&mut self, who: Who, turn: Turn) {
        let last = self.ended.entry((who, turn.mailbox)).or_default();
        *last = turn.number.max(*last);
    }

    pub(crate) fn is_over(&self, who: Who, turn: Turn) -> bool {
        self.ended.get(&(who, turn.mailbox)).is_some_and(|last| turn.number <= *last)
    }

    /// A program that begins knows of no turn.
    pub(crate) fn forget_turns(&mut self, who: Who) {
        self.ended.retain(|(of, _), _| *of != who);
    }

    pub(crate) fn cut(&mut self, who: Who, place: Place, until: u64) {
        self.cut.insert((who, place), until);
    }

    /// Until when this person does not reach that server.
    pub(crate) fn cut_until(&self, who: Who, place: Place) -> u64 {
        self.cut.get(&(who, place)).copied().unwrap_or(0)
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }
}
