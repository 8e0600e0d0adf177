//! One envelope to many devices: by one request, or by one for each of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::{Bodies, all, deposit_id, moment_after};
use crate::Failure;
use crate::line::{Line, Mouth};
use crate::report::Case;
use crate::target::Target;
use crate::times::Times;
use crate::tongue::{Deposit, Event, Mailbox, Many};
use crate::usage::Span;

/// Devices that connect at the same time.
const CONNECTING: usize = 64;

/// Between two envelopes, so that the one is through before the next.
const PAUSE: Duration = Duration::from_millis(50);

/// How long one may take to reach everybody.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many devices, at most as many as one request may name.
    pub members: u32,
    /// How many envelopes, one after another.
    pub messages: u64,
    /// Bytes of an envelope.
    pub bytes: usize,
    /// Whether the devices are there.
    pub are_there: bool,
    /// Whether there is a request for each device instead of one for all.
    pub pairwise: bool,
}

/// One request for all, and one for each, in the same run.
///
/// # Errors
/// Somebody could not connect, or an envelope did not reach everybody.
pub async fn both(target: &Target, plan: Plan) -> Result<Vec<Case>, Failure> {
    let together = run(target, Plan { pairwise: false, ..plan }).await?;
    let pairwise = run(target, Plan { pairwise: true, ..plan }).await?;
    let ratio = together.over(&pairwise).named("ratio");
    Ok(vec![together.named("one request"), pairwise.named("one for each"), ratio])
}

/// Measures.
///
/// # Errors
/// Somebody could not connect, or an envelope did not reach everybody.
pub async fn run(target: &Target, plan: Plan) -> Result<Case, Failure> {
    let Plan { members, messages, bytes, are_there, pairwise } = plan;
    let answers = if pairwise { members } else { 1 };
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
            Event::Stored(_) => stored.one_more(answers),
            Event::Refused(..) => _ = refused.fetch_add(1, Relaxed),
            _ => {}
        }
    });
    let (bodies, mut number) = (Bodies::new(bytes), 0);
    let doors: Arc<[_]> = mailboxes.iter().map(|mailbox| mailbox.door.clone()).collect();
    let (accepted, last) = (Times::default(), Times::default());
    let span = Span::begin(target.process());
    for _ in 0..messages {
        let at = moment_after(number);
        let body = bodies.body(at);
        number = if pairwise {
            to_each(&mailboxes, &mouth, &body, at)?
        } else {
            mouth.send(Many { to: doors.clone(), number: at, id: rand::random(), body })?;
            at
        };
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

/// A deposit for each. Returns the last number it used.
fn to_each(mailboxes: &[Mailbox], mouth: &Mouth, body: &Bytes, at: u64) -> Result<u64, Failure> {
    let mut number = at;
    for mailbox in mailboxes {
        number += 1;
        mouth.send(Deposit { to: mailbox.door.clone(), number, id: deposit_id(), body: body.clone() })?;
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
