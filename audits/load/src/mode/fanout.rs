//! One envelope to many devices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::{Bodies, all, deposit_id, moment_after};
use crate::Failure;
use crate::line::{Line, Mouth};
use crate::report::Case;
use crate::target::Target;
use crate::times::Times;
use crate::tongue::{Deposit, Event, Mailbox};
use crate::usage::Span;

/// Devices that connect at the same time.
const CONNECTING: usize = 64;

/// Between two envelopes, so that the one is through before the next.
const PAUSE: Duration = Duration::from_millis(50);

/// How long one may take to reach everybody.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures: so many envelopes, each to so many devices, which are there or not.
///
/// # Errors
/// Somebody could not connect, or an envelope did not reach everybody.
pub async fn run(target: &Target, members: u32, messages: u64, bytes: usize, are_there: bool) -> Result<Case, Failure> {
    let mailboxes: Arc<Vec<_>> = Arc::new((0..members).map(Mailbox::new).collect());
    let (stored, delivered) = (Arc::new(Reached::default()), Arc::new(Reached::default()));
    let lines = all(members, CONNECTING, |index| {
        let (target, mailboxes) = (target.clone(), mailboxes.clone());
        async move {
            let mailbox = mailboxes.get(usize::try_from(index).unwrap_or(usize::MAX)).ok_or("no such mailbox")?;
            match are_there {
                true => Line::drain(&target, mailbox, 0).await,
                false => Line::owner(&target, mailbox).await,
            }
        }
    });
    let mut mouths: Vec<Mouth> = Vec::new();
    for line in lines.await? {
        let delivered = delivered.clone();
        if are_there {
            let (mouth, _running) = line.start(move |event| {
                if let Event::Delivered { .. } = event {
                    delivered.one_more(members);
                }
            });
            mouths.push(mouth);
        }
    }
    let refused = Arc::new(AtomicU64::new(0));
    let (mouth, running) = Line::sender(target).await?.start({
        let (stored, refused) = (stored.clone(), refused.clone());
        move |event| match event {
            Event::Stored(_) => stored.one_more(members),
            Event::Refused(..) => _ = refused.fetch_add(1, Relaxed),
            _ => {}
        }
    });
    let (bodies, mut number) = (Bodies::new(bytes), 0);
    let (accepted, last) = (Times::default(), Times::default());
    let span = Span::begin(target.process());
    for _ in 0..messages {
        let at = moment_after(number);
        number = to_everybody(&mailboxes, &mouth, &bodies, at)?;
        stored.everybody().await.map_err(|()| "an envelope was not stored for everybody")?;
        accepted.since(at);
        if are_there {
            delivered.everybody().await.map_err(|()| "an envelope did not reach everybody")?;
            last.since(at);
        }
        sleep(PAUSE).await;
    }
    let used = span.end();
    drop(mouth);
    let _ = running.await; // its answers are in
    let mut case = Case::new(target.kind().name()).with_times("stored for all", &accepted);
    if are_there {
        case = case.with_times("last member has it", &last);
    }
    let copies = messages * u64::from(members);
    Ok(case.with("refused", refused.load(Relaxed) as f64).with_use(&used, copies, "copy"))
}

/// One envelope for all: a deposit for each, since a relay takes no more than one mailbox in a request. Returns the last
/// number it used.
fn to_everybody(mailboxes: &[Mailbox], mouth: &Mouth, bodies: &Bodies, at: u64) -> Result<u64, Failure> {
    let body = bodies.body(at);
    let mut number = at;
    for mailbox in mailboxes {
        number += 1;
        let deposit = Deposit { to: mailbox.door.clone(), number, id: deposit_id(), body: body.clone() };
        mouth.send(deposit).map_err(|_| "the sender's connection was lost")?;
    }
    Ok(number)
}

/// How many have it, told when all have.
#[derive(Default)]
struct Reached {
    count: AtomicU64,
    all: Notify,
}

impl Reached {
    fn one_more(&self, of: u32) {
        if (self.count.fetch_add(1, Relaxed) + 1).is_multiple_of(u64::from(of)) {
            self.all.notify_one();
        }
    }

    async fn everybody(&self) -> Result<(), ()> {
        timeout(PATIENCE, self.all.notified()).await.map_err(|_| ())
    }
}
