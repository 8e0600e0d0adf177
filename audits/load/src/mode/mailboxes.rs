//! Mailboxes that exist: made by the thousand, and filled by requests to many at once.

use std::sync::Arc;

use hushwire_proto::limits::{FANOUT_MAX, MAILBOXES_PER_CONNECTION_MAX};
use tokio::sync::Semaphore;

use super::{Bodies, all, moment_after};
use crate::line::Line;
use crate::target::{Kind, Target};
use crate::tongue::{Event, Mailbox, Many};
use crate::{Failure, said};

/// Connections that make mailboxes at the same time.
const CONNECTING: usize = 64;

/// Requests to many that are under way: a relay lets a dozen of the largest wait.
const WINDOW: usize = 4;

/// So many new ones, known to the server; their owners have left again.
///
/// # Errors
/// Somebody could not connect.
pub async fn make(target: &Target, from: u32, count: u32) -> Result<Vec<Mailbox>, Failure> {
    let mailboxes: Arc<Vec<_>> = Arc::new((from..from.saturating_add(count)).map(Mailbox::new).collect());
    if target.kind() == Kind::Relay {
        let each = MAILBOXES_PER_CONNECTION_MAX;
        let connections = u32::try_from(mailboxes.len().div_ceil(each)).map_err(said)?;
        let made = all(connections, CONNECTING, |index| {
            let (target, mailboxes) = (target.clone(), mailboxes.clone());
            async move {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let some = mailboxes.chunks(each).nth(index).ok_or("no such mailboxes")?;
                Line::owner_of(&target, some).await.map(drop)
            }
        });
        made.await?;
    }
    Ok(Arc::into_inner(mailboxes).unwrap_or_default())
}

/// Puts so many envelopes into each, the same one into thousands of them by one request.
///
/// # Errors
/// A mailbox did not take one, or the connection was lost.
pub async fn fill(target: &Target, mailboxes: &[Mailbox], each: u32, bytes: usize) -> Result<(), Failure> {
    let room = Arc::new(Semaphore::new(WINDOW));
    let (mouth, running) = Line::sender(target).await?.start({
        let room = room.clone();
        move |event| match event {
            Event::Stored(_) => room.add_permits(1),
            _ => room.close(),
        }
    });
    let groups: Vec<Arc<[_]>> =
        mailboxes.chunks(FANOUT_MAX).map(|some| some.iter().map(|mailbox| mailbox.door.clone()).collect()).collect();
    let (bodies, mut number) = (Bodies::new(bytes), 0);
    let not_taken = "an envelope was not stored in every mailbox";
    for _ in 0..each {
        for to in &groups {
            room.acquire().await.map_err(|_| not_taken)?.forget();
            number = moment_after(number);
            mouth.send(Many { to: to.clone(), number, id: rand::random(), body: bodies.body(number) })?;
        }
    }
    let _all_answered = room.acquire_many(u32::try_from(WINDOW).map_err(said)?).await.map_err(|_| not_taken)?;
    drop(mouth);
    running.await.map_err(said)?
}
