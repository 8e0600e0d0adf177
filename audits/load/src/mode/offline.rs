//! Nobody is there: envelopes are put into many mailboxes, and then every device comes and drains its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::Semaphore;

use super::{Bodies, all, deposit_id, mailboxes, moment_after};
use crate::line::Line;
use crate::report::Case;
use crate::target::Target;
use crate::times::Times;
use crate::tongue::{Deposit, Event, Mailbox};
use crate::usage::Span;
use crate::{Failure, said};

/// Connections that deposit, and how many each has under way.
const SENDERS: u32 = 16;
const WINDOW: usize = 64;

/// Devices that drain at the same time.
const DRAINING: usize = 64;

/// Measures: so many envelopes into so many mailboxes, evenly.
///
/// # Errors
/// Somebody could not connect, or something was refused or did not come.
pub async fn run(target: &Target, mailboxes: u32, messages: u64, bytes: usize) -> Result<Case, Failure> {
    let mailboxes = Arc::new(mailboxes::make(target, 0, mailboxes).await?);
    let count = u32::try_from(mailboxes.len()).map_err(said)?;
    let before = Span::begin(target.process()).end().memory_kib.unwrap_or_default();
    let span = Span::begin(target.process());
    let stored = fill(target, &mailboxes, messages, bytes).await?;
    let enqueued = span.end();

    let span = Span::begin(target.process());
    let drained = all(count, DRAINING, |index| {
        let due = messages / u64::from(count) + u64::from(u64::from(index) < messages % u64::from(count));
        let (target, mailbox) = (target.clone(), of(&mailboxes, index));
        async move { drain(&target, &mailbox?, due).await }
    });
    let drained: u64 = drained.await?.iter().sum();
    let used = span.end();
    let rate = |count: u64, seconds: f64| count as f64 / seconds;
    let grown = enqueued.memory_kib.unwrap_or_default() - before;
    Ok(Case::new(target.kind().name())
        .with("enqueued/s", rate(messages, enqueued.seconds))
        .with("drained/s", rate(drained, used.seconds))
        .with("memory B/queued", 1024.0 * grown / messages.max(1) as f64)
        .with_times("stored", &stored)
        .with_use(&enqueued, messages, "enqueued")
        .with_use(&used, drained, "drained"))
}

/// Puts so many envelopes into the mailboxes, evenly. Returns how long each took.
///
/// # Errors
/// Somebody could not connect, or something was refused.
pub async fn fill(
    target: &Target,
    mailboxes: &Arc<Vec<Mailbox>>,
    messages: u64,
    bytes: usize,
) -> Result<Arc<Times>, Failure> {
    let (bodies, stored) = (Arc::new(Bodies::new(bytes)), Arc::new(Times::default()));
    let each = |sender| deposit(target.clone(), mailboxes.clone(), sender, messages, bodies.clone(), stored.clone());
    all(SENDERS, usize::MAX, each).await?;
    Ok(stored)
}

async fn deposit(
    target: Target,
    mailboxes: Arc<Vec<Mailbox>>,
    sender: u32,
    messages: u64,
    bodies: Arc<Bodies>,
    times: Arc<Times>,
) -> Result<(), Failure> {
    let line = Line::sender(&target).await?;
    let room = Arc::new(Semaphore::new(WINDOW));
    let refused = Arc::new(AtomicU64::new(0));
    let (mouth, running) = line.start({
        let (room, refused) = (room.clone(), refused.clone());
        move |event| match event {
            Event::Stored(at) => {
                times.since(at);
                room.add_permits(1);
            }
            Event::Refused(..) => {
                refused.fetch_add(1, Relaxed);
                room.close();
            }
            _ => {}
        }
    });
    let mut at = 0;
    let step = usize::try_from(SENDERS).unwrap_or(1);
    let mine = mailboxes.iter().cycle().skip(usize::try_from(sender).unwrap_or(0)).step_by(step);
    let due = messages / u64::from(SENDERS) + u64::from(u64::from(sender) < messages % u64::from(SENDERS));
    for (_, mailbox) in (0..due).zip(mine) {
        room.acquire().await.map_err(|_| "a deposit was refused")?.forget();
        at = moment_after(at);
        let deposit = Deposit { to: mailbox.door.clone(), number: at, id: deposit_id(), body: bodies.body(at) };
        mouth.send(deposit)?;
    }
    let all = u32::try_from(WINDOW).map_err(said)?;
    let _all_answered = room.acquire_many(all).await.map_err(|_| "a deposit was refused")?;
    drop(mouth);
    running.await.map_err(said)?
}

/// A device comes, takes so many envelopes, acknowledges them and leaves. Returns how many it took.
///
/// # Errors
/// Its connection was lost.
pub async fn drain(target: &Target, mailbox: &Mailbox, due: u64) -> Result<u64, Failure> {
    if due == 0 {
        return Ok(0);
    }
    let line = Line::drain(target, mailbox, 0).await?;
    let (done, is_done) = tokio::sync::oneshot::channel();
    let (mut done, mut got) = (Some(done), 0);
    let (mouth, running) = line.start(move |event| {
        if let Event::Acknowledged { through: _, count } = event {
            got += count;
            if got >= due
                && let Some(done) = done.take()
            {
                let _ = done.send(());
            }
        }
    });
    is_done.await.map_err(|_| "a device's connection was lost")?;
    drop(mouth);
    running.await.map_err(said)??;
    Ok(due)
}

fn of(mailboxes: &[Mailbox], index: u32) -> Result<Mailbox, Failure> {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    mailboxes.get(index).cloned().ok_or_else(|| "no such mailbox".to_owned())
}
