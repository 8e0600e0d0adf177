//! One who says the same to all, by one request each time: a relay stores that once, for more than fifty. Whatever was not
//! answered stored for all of them is said again under the same id; so each envelope is in each mailbox once, and in order.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::clients::{PAUSE, SILENCE, Shared, id_in, present};
use crate::ledger::{Entry, hash};
use crate::line::Line;
use crate::tongue::{Door, Event, Many};

/// Between two: in 64 mailboxes 3,000 envelopes a second.
const BETWEEN: Duration = Duration::from_millis(20);

/// Until what was not stored for all is said again.
const AGAIN: Duration = Duration::from_millis(100);

/// As the sender of this number, until it is enough.
pub(super) async fn shout(shared: Arc<Shared>, sender: u32) {
    let mut relay = shared.relay.clone();
    let to: Arc<[Arc<Door>]> = shared.mailboxes.iter().map(|mailbox| mailbox.door.clone()).collect();
    let (mut next, mut waiting): (_, Option<Many>) = (1, None);
    while let Some(target) = present(&mut relay).await {
        let connected = tokio::select! {
            _ = relay.changed() => continue,
            connected = Line::sender(&target) => connected,
        };
        let Ok(line) = connected else {
            sleep(PAUSE).await;
            continue;
        };
        let (heard, mut hears) = mpsc::unbounded_channel();
        let (mouth, running) = line.start(move |event| _ = heard.send(event));
        loop {
            if waiting.is_none() && !shared.enough.load(Relaxed) {
                let id = rand::random();
                let body = shared.body_for_all(id, sender, next);
                shared.intents.fetch_add(shared.mailboxes.len().try_into().unwrap_or(0), Relaxed);
                waiting = Some(Many { to: to.clone(), number: next, id, body });
                next += 1;
            }
            if let Some(many) = &waiting {
                for (number, mailbox, body) in each(many) {
                    let (id, hash) = (id_in(body, mailbox), hash(body));
                    shared.ledger.note(Entry::Intent { sender, mailbox, number, id, hash });
                }
                let _ = mouth.send(many.clone());
            }
            let event = tokio::select! {
                biased;
                event = timeout(SILENCE, hears.recv()), if waiting.is_some() => event,
                _ = relay.changed() => break,
            };
            match event {
                Ok(Some(Event::Stored(_))) => {}
                Ok(Some(Event::Refused(_, refused))) => {
                    shared.is_refused_by_some(&refused);
                    break;
                }
                _ => break, // lost
            }
            for (number, ..) in waiting.iter().flat_map(each) {
                shared.is_stored(sender, number);
            }
            waiting = None;
            sleep(BETWEEN).await;
        }
        running.abort();
        sleep(AGAIN).await;
    }
}

/// Each as a deposit of its own: its number, whose mailbox, and what is in it.
fn each(many: &Many) -> impl Iterator<Item = (u64, u32, &[u8])> {
    let first = many.number * u64::try_from(many.to.len()).unwrap_or(1);
    many.to.iter().zip(first..).map(|(door, number)| (number, door.index, &many.body[..]))
}
