//! The clients of a storm: senders and devices, each of which goes on over whatever relay there is.
//!
//! A sender keeps some deposits under way and repeats under the same ids, in their order, whatever was not answered. It
//! has one under way to each mailbox only if refusals are to be expected: what was refused comes after what follows it.
//! A device shows what it has not shown, and comes back either where it was or, every other time, at the beginning, so
//! that the relay is asked for what it should have forgotten.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hushwire_proto::relay::{Refused, RefusedReason};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::storm::Size;
use crate::ledger::{Entry, Id, Ledger, hash};
use crate::line::Line;
use crate::target::Target;
use crate::times::Times;
use crate::tongue::{Deposit, Event, Mailbox};

/// Deposits that a sender has under way.
const WINDOW: u64 = 16;

/// Mailboxes to which one sender sends in turn.
const FRIENDS: u64 = 4;

/// Whoever was not answered for so long connects anew.
pub(super) const SILENCE: Duration = Duration::from_secs(10);

/// Between two tries to connect to a relay that is away.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// Nobody here waits longer than this, whatever a refusal asks for: the moment from which it is taken again is measured.
const PATIENCE: Duration = Duration::from_millis(500);

/// Id, sender, mailbox and number, at the beginning of a body.
const HEAD_BYTES: usize = 32;

/// In the place of the mailbox: all of them.
const ALL: u32 = u32::MAX;

/// What all clients share.
pub(super) struct Shared {
    pub(super) ledger: Ledger,
    pub(super) mailboxes: Vec<Mailbox>,
    pub(super) size: Size,
    /// The relay of now; `None` while it is away. Every change ends every connection.
    pub(super) relay: watch::Receiver<Option<Target>>,
    /// Nothing new is sent.
    pub(super) enough: AtomicBool,
    /// The devices are there.
    pub(super) come: AtomicBool,
    pub(super) intents: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) shown: AtomicU64,
    pub(super) refused: AtomicU64,
    /// Refused without a time to come back, though not because the disk failed.
    pub(super) refused_for_ever: AtomicU64,
    /// When the relay was back, until the first answer after that.
    pub(super) back: AtomicU64,
    pub(super) first_answers: Times,
}

/// One envelope that is to be deposited.
struct Letter {
    number: u64,
    to: Mailbox,
    id: Id,
    body: Bytes,
}

pub(super) async fn send(shared: Arc<Shared>, sender: u32) {
    let mut relay = shared.relay.clone();
    let (mut waiting, mut next) = (VecDeque::new(), 1);
    let window = if shared.size.one_by_one { FRIENDS } else { WINDOW };
    while let Some(target) = present(&mut relay).await {
        let connected = tokio::select! {
            _ = relay.changed() => continue, // nobody says that the relay of a handshake is gone
            connected = Line::sender(&target) => connected,
        };
        let Ok(line) = connected else {
            sleep(PAUSE).await;
            continue;
        };
        let (heard, mut hears) = mpsc::unbounded_channel();
        let (mouth, running) = line.start(move |event| _ = heard.send(event));
        let mut said = 0; // of those that wait, over this connection
        let mut come_back = Duration::ZERO;
        loop {
            let first = |waiting: &VecDeque<Letter>| waiting.front().map_or(next, |letter| letter.number);
            let full = |waiting: &VecDeque<Letter>| next >= first(waiting) + window;
            if !full(&waiting) && !shared.enough.load(Relaxed) {
                waiting.push_back(shared.letter(sender, next));
                next += 1;
                continue;
            }
            for letter in waiting.iter().skip(said) {
                shared.intends(sender, letter);
                let (to, body) = (letter.to.door.clone(), letter.body.clone());
                let _ = mouth.send(Deposit { to, number: letter.number, id: letter.id, body });
                said += 1;
            }
            let event = tokio::select! {
                biased; // an answer that was heard counts, also if the relay is killed by now
                event = timeout(SILENCE, hears.recv()), if !waiting.is_empty() => event,
                _ = relay.changed() => break,
            };
            match event {
                Ok(Some(Event::Stored(number))) => {
                    shared.is_stored(sender, number);
                    if let Some(at) = waiting.iter().position(|letter: &Letter| letter.number == number) {
                        waiting.remove(at);
                        said -= 1;
                    }
                }
                Ok(Some(Event::Refused(number, refused))) => {
                    shared.is_refused(
                        sender,
                        number,
                        refused.retry_after_ms,
                        refused.reason == RefusedReason::StorageFailed,
                    );
                    come_back = Duration::from_millis(refused.retry_after_ms).clamp(PAUSE, PATIENCE);
                    break; // anew, from the first
                }
                _ => break, // lost
            }
        }
        running.abort();
        sleep(come_back).await;
    }
}

pub(super) async fn receive(shared: Arc<Shared>, index: u32) {
    let mut relay = shared.relay.clone();
    let (mut shown, mut kept, mut times) = (HashSet::new(), 0, 0_u64);
    let Some(mailbox) = shared.mailboxes.get(usize::try_from(index).unwrap_or(usize::MAX)) else { return };
    while let Some(target) = present(&mut relay).await {
        if !shared.come.load(Relaxed) {
            sleep(PAUSE).await;
            continue;
        }
        times += 1;
        let after = if times.is_multiple_of(2) { 0 } else { kept };
        let connected = tokio::select! {
            _ = relay.changed() => continue,
            connected = Line::drain(&target, mailbox, after) => connected,
        };
        let Ok(line) = connected else {
            sleep(PAUSE).await;
            continue;
        };
        let (_mouth, deposits) = mpsc::unbounded_channel();
        let heard = |event| match event {
            Event::Delivered { seq, body } => {
                let id = id_in(&body, index);
                shared.ledger.note(Entry::Given { mailbox: index, seq, id, hash: hash(&body) });
                if shown.insert(id) {
                    shared.ledger.note(Entry::Shown { mailbox: index, id });
                    shared.shown.fetch_add(1, Relaxed);
                }
                kept = seq.max(kept);
            }
            Event::Acknowledged { through, count: _ } => {
                shared.ledger.note(Entry::Acknowledged { mailbox: index, through });
            }
            Event::CaughtUp | Event::Stored(_) | Event::Refused(..) => {}
        };
        tokio::select! {
            _ = relay.changed() => {}
            _ = line.run(deposits, heard) => {}
        }
    }
}

/// The relay, once it is there; `None` when the storm is over.
pub(super) async fn present(relay: &mut watch::Receiver<Option<Target>>) -> Option<Target> {
    let target = relay.wait_for(Option::is_some).await.ok()?.clone();
    relay.has_changed().is_ok().then_some(target)?
}

impl Shared {
    fn letter(&self, sender: u32, number: u64) -> Letter {
        let friend = sender + 1 + u32::try_from(number % FRIENDS).unwrap_or(0);
        let count = self.mailboxes.len().max(1);
        let to = self.mailboxes.iter().cycle().nth(usize::try_from(friend).unwrap_or(0) % count);
        let to = to.cloned().unwrap_or_else(|| Mailbox::new(0));
        let id: Id = rand::random();
        let body = self.body(id, sender, to.door.index, number);
        self.intents.fetch_add(1, Relaxed);
        Letter { number, to, id, body }
    }

    /// What stands in all mailboxes.
    pub(super) fn body_for_all(&self, id: Id, sender: u32, number: u64) -> Bytes {
        self.body(id, sender, ALL, number)
    }

    fn body(&self, id: Id, sender: u32, mailbox: u32, number: u64) -> Bytes {
        let mut body = BytesMut::with_capacity(self.size.bytes);
        body.put_slice(&id);
        body.put_u32(sender);
        body.put_u32(mailbox);
        body.put_u64(number);
        let filling = (&id[..]).get_u64().wrapping_add(number);
        while body.len() < self.size.bytes.max(HEAD_BYTES) {
            body.put_u64(filling.wrapping_mul(u64::try_from(body.len()).unwrap_or(1)));
        }
        body.freeze()
    }

    fn intends(&self, sender: u32, letter: &Letter) {
        let Letter { number, to, id, body } = letter;
        let (mailbox, hash) = (to.door.index, hash(body));
        self.ledger.note(Entry::Intent { sender, mailbox, number: *number, id: *id, hash });
    }

    pub(super) fn is_stored(&self, sender: u32, number: u64) {
        self.ledger.note(Entry::Stored { sender, number });
        self.stored.fetch_add(1, Relaxed);
        let back = self.back.swap(0, Relaxed);
        if back > 0 {
            self.first_answers.since(back);
        }
    }

    /// Of one to all: it is not known by whom.
    pub(super) fn is_refused_by_some(&self, refused: &Refused) {
        let for_ever = refused.retry_after_ms == 0 && refused.reason != RefusedReason::StorageFailed;
        self.refused_for_ever.fetch_add(for_ever.into(), Relaxed);
        self.refused.fetch_add(1, Relaxed);
    }

    fn is_refused(&self, sender: u32, number: u64, retry_after_ms: u64, disk_failed: bool) {
        // After a disk failed nobody knows whether it is there: no answer, and it is tried again.
        if !disk_failed {
            self.ledger.note(Entry::Refused { sender, number });
            self.refused_for_ever.fetch_add(u64::from(retry_after_ms == 0), Relaxed);
        }
        self.refused.fetch_add(1, Relaxed);
    }
}

/// Which deposit an envelope in this mailbox is: of one to all each mailbox has its own.
pub(super) fn id_in(body: &[u8], mailbox: u32) -> Id {
    let (mut id, rest): (Id, _) = body.split_first_chunk().map_or_else(Default::default, |(id, rest)| (*id, rest));
    if rest.get(4..8) == Some(&ALL.to_be_bytes()) {
        id.iter_mut().zip(mailbox.to_be_bytes()).for_each(|(byte, of)| *byte ^= of);
    }
    id
}
