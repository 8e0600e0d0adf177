//! Gives out a mailbox: what is there, then what comes. Spec: relay §6.
//!
//! What is there is read from the queue; what comes is taken from memory as long as this drain keeps up.

use std::{convert::Infallible, sync::Arc};

use hushwire_proto::{
    frame::{Frame, RequestId},
    ids::{MailboxId, Seq},
    net::{
        CloseCode,
        serve::{Outbox, OutboxError, Peer},
    },
    relay::{Answer, Deliveries, Delivery, Push, RefusedReason},
};

use super::{Answering, not_open, refused, storage};
use tokio::sync::Semaphore;

use crate::{
    connection::Connection,
    drains::Place,
    ear::Ear,
    fail_points::{Step, reach},
    flow::Flow,
    pace::Pace,
    queue::{Arrivals, Page, Queue},
    service::Relay,
};

pub(super) fn drain<Q: Queue>(
    relay: &Arc<Relay<Q>>,
    connection: &Connection,
    mailbox: MailboxId,
    after: Seq,
    answering: Answering,
) {
    let Some(owned) = connection.owned(mailbox) else { return answering.say(not_open()) };
    let flow = Arc::new(Flow::new(after));
    connection.drains(owned, flow.clone());
    let turn = relay.drains.turn();
    let (relay, peer, pace) = (relay.clone(), connection.peer().clone(), connection.address().pace().clone());
    let hand = connection.hand().clone();
    tokio::spawn(async move {
        let arrivals = relay.queue.arrivals(mailbox); // before looking, so that nothing arrives between
        let reading = pace.reading().await;
        let page = match relay.queue.read(mailbox, after, 0).await {
            Ok(page) => page,
            Err(error) => return answering.say(storage(error)),
        };
        drop(reading);
        if after > page.last {
            let detail = format!("the last number of this mailbox is {}; drain from there or before", page.last.0);
            return answering.say(refused(RefusedReason::BadRequest, detail));
        }
        let out = answering.reply.outbox().clone();
        let Some(place) = relay.drains.take_over(mailbox, turn, Ear::new(mailbox, out.clone())) else {
            return answering.say(Answer::Draining { waiting: 0 }); // a newer one has it already
        };
        answering.say(Answer::Draining { waiting: page.waiting });
        let drain =
            Drain { relay, mailbox, peer, pace, hand, flow, out, arrivals, cursor: after, told: after, at_end: false };
        drain.run(place, page).await;
    });
}

struct Drain<Q> {
    relay: Arc<Relay<Q>>,
    mailbox: MailboxId,
    peer: Peer,
    pace: Arc<Pace>,
    hand: Arc<Semaphore>,
    flow: Arc<Flow>,
    out: Outbox,
    arrivals: Arrivals,
    /// Everything up to here has been given out or is gone.
    cursor: Seq,
    /// Expiry up to here is known to the client.
    told: Seq,
    /// The client was told once that it has everything.
    at_end: bool,
}

/// Why a drain gives out nothing more.
enum Stopped {
    /// Nobody reads any more.
    Gone,
    /// The mailbox cannot be read.
    Unreadable,
}

impl From<OutboxError> for Stopped {
    fn from(_: OutboxError) -> Self {
        Self::Gone
    }
}

impl<Q: Queue> Drain<Q> {
    /// Until a newer drain takes over, the connection ends, or the mailbox cannot be read.
    async fn run(mut self, mut place: Place, first: Page) {
        let out = self.out.clone();
        let stopped = tokio::select! {
            () = place.lost() => return,
            () = out.closed() => return,
            Err(stopped) = self.give(first) => stopped,
        };
        match stopped {
            Stopped::Gone => {}
            // Said where it happened. A device that waits here would wait for ever; one that comes again is answered by
            // what the disk says then.
            Stopped::Unreadable => self.peer.close(CloseCode::GoingAway),
        }
    }

    /// `first` was read without its envelopes. Most devices that come have everything: nothing more is read for them.
    async fn give(&mut self, first: Page) -> Result<Infallible, Stopped> {
        let mut known = Some(first).filter(|page| page.last == self.cursor);
        loop {
            let room = if known.is_some() { 0 } else { self.flow.room().await };
            let hand = self.hand.clone().acquire_owned().await;
            let page = match known.take() {
                Some(page) => page,
                None => {
                    let _reading = self.pace.reading().await;
                    let page = self.relay.queue.read(self.mailbox, self.cursor, room).await;
                    page.map_err(|_| Stopped::Unreadable)?
                }
            };
            if page.envelopes.is_empty() {
                self.cursor = self.cursor.max(page.last);
                if !self.at_end || page.expired_through > self.told {
                    self.at_end = true;
                    self.push(page.expired_through, Vec::new()).await?;
                }
                drop(hand);
                self.hand_over(page.expired_through).await?;
            } else {
                self.push(page.expired_through, page.envelopes).await?;
            }
        }
    }

    /// Passes on what arrives, until it must be read.
    async fn hand_over(&mut self, expired_through: Seq) -> Result<(), OutboxError> {
        loop {
            let room = self.flow.room().await;
            let mut fresh = self.arrivals.next(self.cursor, room).await;
            let mut hand = self.hand.clone().try_acquire_owned().ok();
            if hand.is_none() && !fresh.is_empty() {
                drop(std::mem::take(&mut fresh)); // not kept while another has something in hand
                hand = self.hand.clone().acquire_owned().await.ok();
                fresh = self.arrivals.next(self.cursor, room).await; // at once, because there is something
            }
            if fresh.is_empty() {
                return Ok(());
            }
            let _hand = hand;
            self.push(expired_through, fresh).await?;
        }
    }

    async fn push(&mut self, expired_through: Seq, mut deliveries: Vec<Delivery>) -> Result<(), OutboxError> {
        for delivery in &mut deliveries {
            delivery.stored_at = self.relay.time.told(delivery.stored_at);
        }
        let count = u64::try_from(deliveries.len()).unwrap_or(u64::MAX);
        self.flow.gives(&deliveries); // before it can be acknowledged
        self.cursor = deliveries.last().map_or(self.cursor, |newest| self.cursor.max(newest.seq));
        self.told = self.told.max(expired_through);
        let push = Push::Deliveries(Deliveries { mailbox: self.mailbox, expired_through, deliveries });
        let payload = push.encode();
        drop(push); // not kept twice while there is no room
        reach(Step::Pushing);
        let sent = self.out.send(Frame { id: RequestId::PUSH, payload }).await;
        reach(Step::Pushed);
        sent?;
        self.relay.queue.metrics().delivered.add(count);
        Ok(())
    }
}
