//! How far a drain may run ahead of its acknowledgements, and what may be acknowledged.
//!
//! Spec: relay §6.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hushwire_proto::{
    ids::Seq,
    limits::{ENVELOPE_BYTES_MAX, PUSH_BYTES_MAX, UNACKED_BYTES_MAX},
    relay::Delivery,
};
use tokio::sync::Notify;

const _: () = assert!(UNACKED_BYTES_MAX >= ENVELOPE_BYTES_MAX && PUSH_BYTES_MAX >= ENVELOPE_BYTES_MAX);

/// One drain of one mailbox on one connection.
#[derive(Debug)]
pub(crate) struct Flow {
    state: Mutex<State>,
    shrunk: Notify,
}

#[derive(Debug)]
struct State {
    /// The last that was given out here, or that the client said it has.
    given: Seq,
    /// Everything up to here was acknowledged here, and is gone.
    acknowledged: Seq,
    unacknowledged: VecDeque<(Seq, usize)>,
    bytes: usize,
}

impl Flow {
    /// The client has everything up to and including `after`.
    pub(crate) fn new(after: Seq) -> Self {
        let state = State { given: after, acknowledged: Seq(0), unacknowledged: VecDeque::new(), bytes: 0 };
        Self { state: Mutex::new(state), shrunk: Notify::new() }
    }

    /// Bytes that the next push may carry; waits until that is at least the largest envelope.
    pub(crate) async fn room(&self) -> usize {
        loop {
            if let Some(room) = self.room_now() {
                return room;
            }
            let mut shrunk = pin!(self.shrunk.notified());
            shrunk.as_mut().enable(); // before looking again
            if let Some(room) = self.room_now() {
                return room;
            }
            shrunk.await;
        }
    }

    fn room_now(&self) -> Option<usize> {
        let room = UNACKED_BYTES_MAX.saturating_sub(self.lock().bytes);
        (room >= ENVELOPE_BYTES_MAX).then(|| room.min(PUSH_BYTES_MAX))
    }

    /// These are about to leave.
    pub(crate) fn gives(&self, deliveries: &[Delivery]) {
        let mut state = self.lock();
        for Delivery { seq, stored_at: _, envelope } in deliveries {
            state.given = state.given.max(*seq);
            state.bytes = state.bytes.saturating_add(envelope.len());
            state.unacknowledged.push_back((*seq, envelope.len()));
        }
    }

    /// Whether the client can have everything up to there.
    pub(crate) fn has_given(&self, through: Seq) -> bool {
        through <= self.lock().given
    }

    /// Whether everything up to there is gone because of an acknowledgement here.
    pub(crate) fn has_acknowledged(&self, through: Seq) -> bool {
        through <= self.lock().acknowledged
    }

    /// Makes room.
    pub(crate) fn acknowledged(&self, through: Seq) {
        let mut state = self.lock();
        state.acknowledged = state.acknowledged.max(through);
        while let Some((seq, bytes)) = state.unacknowledged.front().copied()
            && seq <= through
        {
            state.unacknowledged.pop_front();
            state.bytes = state.bytes.saturating_sub(bytes);
        }
        drop(state);
        self.shrunk.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{sync::Arc, time::Duration};

    use hushwire_proto::{envelope::Envelope, ids::UnixMillis};
    use tokio::time::timeout;

    use super::*;

    fn largest(seq: u64) -> Delivery {
        let envelope = Envelope::new(vec![0; ENVELOPE_BYTES_MAX].into()).unwrap();
        Delivery { seq: Seq(seq), stored_at: UnixMillis(0), envelope }
    }

    #[tokio::test]
    async fn what_is_not_acknowledged_is_bounded_and_acknowledging_makes_room() {
        let flow = Arc::new(Flow::new(Seq(0)));
        for seq in 1..=8 {
            assert!(flow.room().await >= ENVELOPE_BYTES_MAX);
            flow.gives(&[largest(seq)]);
        }
        assert!(timeout(Duration::from_millis(20), flow.room()).await.is_err());
        let waiting = tokio::spawn({
            let flow = flow.clone();
            async move { flow.room().await }
        });
        tokio::task::yield_now().await;
        flow.acknowledged(Seq(1));
        assert_eq!(timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap(), ENVELOPE_BYTES_MAX);
    }

    #[test]
    fn only_what_was_given_or_is_kept_already_is_acknowledged() {
        let flow = Flow::new(Seq(5));
        assert!(flow.has_given(Seq(5)) && !flow.has_given(Seq(6)));
        flow.gives(&[largest(9)]);
        assert!(flow.has_given(Seq(9)) && !flow.has_given(Seq(10)));
    }

    #[test]
    fn what_was_acknowledged_here_is_gone_and_what_the_client_only_said_it_has_may_not_be() {
        let flow = Flow::new(Seq(5));
        assert!(flow.has_acknowledged(Seq(0)) && !flow.has_acknowledged(Seq(1)));
        flow.acknowledged(Seq(5));
        flow.acknowledged(Seq(3)); // again
        assert!(flow.has_acknowledged(Seq(5)) && !flow.has_acknowledged(Seq(6)));
    }
}
