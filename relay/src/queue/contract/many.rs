//! One envelope for many mailboxes: nothing that can be seen tells it from one append for each.

use hushwire_proto::{
    envelope::Envelope,
    ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis},
    relay::TokenClass,
};

use super::{CONTACT, EVERYTHING, Engine, HOUR, NOW};
use crate::{
    queue::{AppendError, Outcomes, Put, PutDoor, PutMany, Queue},
    quota::{Full, Rules},
};

/// Few enough to be copied, and enough for several jobs of a writer.
const FEW: u16 = 3;
const MANY: u16 = 600;

fn mailbox(n: u16) -> MailboxId {
    let mut id = [0xAA; 32];
    id.iter_mut().zip(n.to_be_bytes()).for_each(|(byte, of)| *byte = of);
    MailboxId(id)
}

fn envelope(mark: u8) -> Envelope {
    Envelope::new(vec![mark; 1024].into()).unwrap()
}

fn door(n: u16, mark: u8) -> PutDoor {
    PutDoor { mailbox: mailbox(n), token: CONTACT, id: DepositId([mark; 16]) }
}

fn to_many(count: u16, mark: u8) -> PutMany {
    PutMany { envelope: envelope(mark), doors: (0..count).map(|n| door(n, mark)).collect() }
}

async fn with_mailboxes<E: Engine>(count: u16, rules: Rules) -> (E, E::Queue) {
    let (engine, queue) = E::start(rules);
    let granted: Vec<_> = (0..count).map(|n| queue.grant(mailbox(n), vec![(CONTACT, TokenClass::Contact)])).collect();
    for one in granted {
        one.await.unwrap();
    }
    (engine, queue)
}

async fn marks(queue: &impl Queue, n: u16) -> Vec<u8> {
    let page = queue.read(mailbox(n), Seq(0), EVERYTHING).await.unwrap();
    page.envelopes.iter().map(|delivery| *delivery.envelope.bytes().first().unwrap()).collect()
}

fn all_stored(outcomes: &Outcomes) -> bool {
    outcomes.iter().all(Result::is_ok)
}

pub(crate) async fn an_envelope_to_many_is_at_each_door_what_an_append_there_would_be<E: Engine>() {
    for count in [FEW, MANY] {
        let rules = Rules { mailbox_bytes_max: 1024, ..Rules::default() };
        let (engine, queue) = with_mailboxes::<E>(count, rules).await;
        let full = Put { mailbox: mailbox(1), token: CONTACT, id: DepositId([9; 16]), envelope: envelope(9) };
        queue.append(full, NOW).await.unwrap();
        let mut many = to_many(count, 1);
        many.doors.push(PutDoor { token: TokenHash([7; 32]), ..door(0, 2) });
        many.doors.push(door(u16::MAX, 1));
        let outcomes = queue.append_many(many, NOW).await;
        assert_eq!(outcomes.len(), usize::from(count) + 2);
        for (n, outcome) in (0..count + 2).zip(&outcomes) {
            match n {
                1 => assert_eq!(*outcome, Err(AppendError::Full(Full::Mailbox))),
                _ if n >= count => assert_eq!(*outcome, Err(AppendError::NoSuchDoor)),
                _ => assert!(outcome.is_ok()),
            }
        }
        let queue = engine.restart(queue);
        for n in 0..count {
            let expected = if n == 1 { 9 } else { 1 };
            let page = queue.read(mailbox(n), Seq(0), EVERYTHING).await.unwrap();
            let [delivery] = &page.envelopes[..] else { unreachable!("{} envelopes", page.envelopes.len()) };
            assert_eq!((&delivery.envelope, delivery.stored_at), (&envelope(expected), NOW));
        }
    }
}

pub(crate) async fn an_envelope_to_many_keeps_its_place_in_every_line<E: Engine>() {
    let (_engine, queue) = with_mailboxes::<E>(MANY, Rules::default()).await;
    let one =
        |mark| Put { mailbox: mailbox(MANY - 1), token: CONTACT, id: DepositId([mark; 16]), envelope: envelope(mark) };
    let arrivals = queue.arrivals(mailbox(MANY - 1));
    let calls = (
        queue.append(one(1), NOW),
        queue.append_many(to_many(MANY, 2), NOW),
        queue.append(one(3), NOW),
        queue.append_many(to_many(MANY, 4), NOW),
    );
    assert!(calls.3.await.iter().chain(&calls.1.await).all(Result::is_ok));
    calls.0.await.unwrap();
    calls.2.await.unwrap();
    assert_eq!(marks(&queue, MANY - 1).await, [1, 2, 3, 4]);
    assert_eq!(marks(&queue, 0).await, [2, 4]);
    let told = arrivals.next(Seq(0), EVERYTHING).await;
    assert_eq!(told, queue.read(mailbox(MANY - 1), Seq(0), EVERYTHING).await.unwrap().envelopes);
}

pub(crate) async fn an_envelope_to_many_is_stored_once_for_each_however_often_it_is_repeated<E: Engine>() {
    let (engine, queue) = with_mailboxes::<E>(MANY, Rules::default()).await;
    let first = queue.append_many(to_many(MANY / 2, 1), NOW).await; // as if cut off in the middle
    let again = queue.append_many(to_many(MANY, 1), NOW.plus(HOUR)).await;
    assert!(all_stored(&first) && all_stored(&again));
    assert!(first.iter().zip(&again).all(|(first, again)| first == again));
    let alone = Put { mailbox: mailbox(7), token: CONTACT, id: DepositId([1; 16]), envelope: envelope(1) };
    assert_eq!(Some(&queue.append(alone, NOW).await), first.get(7), "a deposit is the same under whichever request");
    let queue = engine.restart(queue);
    assert!(all_stored(&queue.append_many(to_many(MANY, 1), NOW).await));
    for n in 0..MANY {
        assert_eq!(marks(&queue, n).await, [1]);
    }
}

pub(crate) async fn an_envelope_to_many_counts_at_each_door_as_if_it_were_there_alone<E: Engine>() {
    let (engine, queue) = with_mailboxes::<E>(MANY, Rules { mailbox_bytes_max: 2048, ..Rules::default() }).await;
    assert!(all_stored(&queue.append_many(to_many(MANY, 1), NOW).await));
    assert!(all_stored(&queue.append_many(to_many(MANY, 2), NOW).await));
    let queue = engine.restart(queue);
    let refused = queue.append_many(to_many(MANY, 3), NOW).await;
    assert!(refused.iter().all(|outcome| *outcome == Err(AppendError::Full(Full::Mailbox))));
    let usage = queue.usage().await.unwrap();
    assert_eq!((usage.envelopes, usage.bytes), (2 * u64::from(MANY), 2048 * u64::from(MANY)));
    assert_eq!(usage.mailboxes_full, u64::from(MANY));
    let first = queue.read(mailbox(5), Seq(0), 1024).await.unwrap().envelopes.first().unwrap().seq;
    queue.remove(mailbox(5), first).await.unwrap();
    assert_eq!(queue.append_many(to_many(MANY, 3), NOW).await.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(marks(&queue, 5).await, [2, 3]);
}

pub(crate) async fn an_envelope_to_many_goes_and_stays_mailbox_by_mailbox<E: Engine>() {
    let rules = Rules { retention: std::time::Duration::from_secs(86_400), ..Rules::default() };
    let (engine, mut queue) = with_mailboxes::<E>(MANY, rules).await;
    let first = queue.append_many(to_many(MANY, 1), NOW).await;
    let late = NOW.plus(20 * HOUR);
    assert!(all_stored(&queue.append_many(to_many(MANY, 2), late).await));
    for (n, seq) in (0..MANY / 2).zip(&first) {
        queue.remove(mailbox(n), seq.unwrap()).await.unwrap();
        queue.remove(mailbox(n), seq.unwrap()).await.unwrap(); // again
        if n == 100 {
            queue = engine.restart(queue);
        }
    }
    assert_eq!(marks(&queue, 0).await, [2]);
    assert_eq!(marks(&queue, MANY - 1).await, [1, 2]);
    sweep(&queue, NOW.plus(26 * HOUR)).await;
    let queue = engine.restart(queue);
    for n in 0..MANY {
        assert_eq!(marks(&queue, n).await, [2]);
    }
    sweep(&queue, late.plus(26 * HOUR)).await;
    let usage = queue.usage().await.unwrap();
    assert_eq!((usage.envelopes, usage.bytes, usage.shared_bodies), (0, 0, 0), "and nothing is left of it");
}

async fn sweep(queue: &impl Queue, now: UnixMillis) {
    while queue.expire(now).await.unwrap().more {}
}
