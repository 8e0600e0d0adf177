//! What every engine must do, as facts. Each engine runs all of them: `contract::facts!(Engine)`.
#![allow(clippy::unwrap_used)]

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use hushwire_proto::{
    envelope::Envelope,
    ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis},
    limits::{PUSH_BYTES_MAX, PUSH_ENVELOPES_MAX, TOKENS_PER_MAILBOX_MAX},
    relay::TokenClass,
};

mod many;

pub(super) use self::many::*;
use super::{AppendError, GrantError, Page, Put, Queue, RemoveError};
use crate::quota::{Full, Rules};

/// How a test gets a queue, and the same one after the process ended and began again.
pub(super) trait Engine: Sized {
    type Queue: Queue;
    fn start(rules: Rules) -> (Self, Self::Queue);
    fn restart(&self, queue: Self::Queue) -> Self::Queue;
}

macro_rules! facts {
    ($engine:ty) => {
        $crate::queue::contract::facts! { $engine:
            an_envelope_is_read_as_it_was_appended,
            numbers_grow_and_are_never_given_twice,
            concurrent_senders_keep_their_order_and_share_no_number,
            repeating_an_append_stores_nothing_new,
            a_repeat_stores_nothing_new_after_the_envelope_was_removed,
            a_deposit_id_is_forgotten_after_the_retry_window,
            a_full_mailbox_says_so_and_has_room_again_once_fetched,
            strangers_fill_their_share_and_contacts_still_get_through,
            an_unknown_mailbox_and_a_wrong_token_are_the_same,
            a_door_says_what_its_token_is_for_and_nothing_else,
            a_revoked_token_opens_nothing,
            a_grant_is_whole_or_not_at_all,
            mailboxes_are_counted,
            reading_begins_anywhere_and_leaves_nothing_out,
            a_page_is_one_push,
            a_page_says_how_many_stand_after_where_it_begins,
            removing_what_was_never_given_removes_nothing,
            removing_again_changes_nothing,
            what_expired_is_told,
            nothing_expires_early,
            what_arrives_is_told_to_whoever_waits,
            an_envelope_to_many_is_at_each_door_what_an_append_there_would_be,
            an_envelope_to_many_keeps_its_place_in_every_line,
            an_envelope_to_many_is_stored_once_for_each_however_often_it_is_repeated,
            an_envelope_to_many_counts_at_each_door_as_if_it_were_there_alone,
            an_envelope_to_many_goes_and_stays_mailbox_by_mailbox,
            a_disk_that_is_nearly_full_takes_nothing_new_and_everything_else_goes_on,
            all_of_it_is_there_after_a_restart,
        }
    };
    ($engine:ty: $($fact:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::queue::contract::$fact::<$engine>().await;
        })*
    };
}
pub(super) use facts;

const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
const HOUR: u64 = 3_600_000;
const BOB: MailboxId = MailboxId([0xB0; 32]);
const CAROL: MailboxId = MailboxId([0xCA; 32]);
const CONTACT: TokenHash = TokenHash([1; 32]);
const STRANGER: TokenHash = TokenHash([2; 32]);
const EVERYTHING: usize = PUSH_BYTES_MAX;

async fn with_doors<E: Engine>(rules: Rules) -> (E, E::Queue) {
    let (engine, queue) = E::start(rules);
    queue.grant(BOB, vec![(CONTACT, TokenClass::Contact), (STRANGER, TokenClass::Request)]).await.unwrap();
    (engine, queue)
}

fn put(mark: u64) -> Put {
    put_of(mark, 512, CONTACT)
}

/// An envelope that says which one it is.
fn put_of(mark: u64, bytes: usize, token: TokenHash) -> Put {
    let mut id = [0; 16];
    id.iter_mut().zip(mark.to_be_bytes()).for_each(|(byte, of)| *byte = of);
    let mut body = vec![0xEE; bytes];
    body.iter_mut().zip(mark.to_be_bytes()).for_each(|(byte, of)| *byte = of);
    Put { mailbox: BOB, token, id: DepositId(id), envelope: Envelope::new(body.into()).unwrap() }
}

fn marks(page: &Page) -> Vec<u64> {
    let mark = |envelope: &Envelope| u64::from_be_bytes(*envelope.bytes().first_chunk().unwrap());
    page.envelopes.iter().map(|delivery| mark(&delivery.envelope)).collect()
}

async fn all(queue: &impl Queue) -> Vec<u64> {
    let (mut after, mut found) = (Seq(0), Vec::new());
    loop {
        let page = queue.read(BOB, after, EVERYTHING).await.unwrap();
        let Some(newest) = page.envelopes.last() else { return found };
        after = newest.seq;
        found.extend(marks(&page));
    }
}

pub(super) async fn an_envelope_is_read_as_it_was_appended<E: Engine>() {
    let (_engine, queue) = with_doors::<E>(Rules::default()).await;
    let seq = queue.append(put(7), NOW).await.unwrap();
    let page = queue.read(BOB, Seq(0), EVERYTHING).await.unwrap();
    let [delivery] = &page.envelopes[..] else { unreachable!("one envelope, not {}", page.envelopes.len()) };
    assert_eq!((delivery.seq, delivery.stored_at), (seq, NOW));
    assert_eq!(delivery.envelope, put(7).envelope);
    assert_eq!((page.last, page.expired_through), (seq, Seq(0)));
}

pub(super) async fn numbers_grow_and_are_never_given_twice<E: Engine>() {
    let (engine, mut queue) = with_doors::<E>(Rules::default()).await;
    let mut last = Seq(0);
    for mark in 0..6 {
        let seq = queue.append(put(mark), NOW).await.unwrap();
        assert!(seq > last);
        last = seq;
        queue.remove(BOB, seq).await.unwrap(); // the mailbox is empty each time
        if mark % 2 == 0 {
            queue = engine.restart(queue);
        }
    }
}

pub(super) async fn concurrent_senders_keep_their_order_and_share_no_number<E: Engine>() {
    let (_engine, queue) = with_doors::<E>(Rules::default()).await;
    let senders: Vec<_> = (0..8)
        .map(|sender: u64| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let calls: Vec<_> = (0..50).map(|n| queue.append(put(sender << 32 | n), NOW)).collect();
                let mut seqs = Vec::new();
                for call in calls.into_iter().rev() {
                    seqs.push(call.await.unwrap()); // in whatever order they are waited for
                }
                seqs
            })
        })
        .collect();
    let mut given = Vec::new();
    for sender in senders {
        given.extend(sender.await.unwrap());
    }
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 400);
    let found = all(&queue).await;
    for sender in 0..8 {
        let of: Vec<u64> = found.iter().filter(|mark| *mark >> 32 == sender).map(|mark| mark & 0xFF).collect();
        assert_eq!(of, (0..50).collect::<Vec<_>>());
    }
}

pub(super) async fn repeating_an_append_stores_nothing_new<E: Engine>() {
    let (engine, queue) = with_doors::<E>(Rules::default()).await;
    let seq = queue.append(put(1), NOW).await.unwrap();
    let (one, two) = (queue.append(put(2), NOW), queue.append(put(2), NOW)); // in one batch
    assert_eq!(one.await, two.await);
    let queue = engine.restart(queue);
    assert_eq!(queue.append(put(1), NOW.plus(HOUR)).await, Ok(seq));
    assert_eq!(all(&queue).await, [1, 2]);
}

pub(super) async fn a_repeat_stores_nothing_new_after_the_envelope_was_removed<E: Engine>() {
    let (_engine, queue) = with_doors::<E>(Rules::default()).await;
    let seq = queue.append(put(1), NOW).await.unwrap();
    queue.remove(BOB, seq).await.unwrap();
    assert_eq!(queue.append(put(1), NOW.plus(HOUR)).await, Ok(seq));
    assert_eq!(all(&queue).await, [0; 0]);
}

pub(super) async fn a_deposit_id_is_forgotten_after_the_retry_window<E: Engine>() {
    let rules = Rules { retry_window: Duration::from_secs(3600), ..Rules::default() };
    let (_engine, queue) = with_doors::<E>(rules).await;
    let first = queue.append(put(1), NOW).await.unwrap();
    let late = NOW.plus(2 * HOUR);
    assert!(queue.append(put(1), late).await.unwrap() > first);
    // The sweep of the first does not take the second with it.
    sweep(&queue, late.plus(HOUR / 2)).await;
    assert!(queue.append(put(1), late.plus(HOUR / 2)).await.unwrap() > first);
    assert_eq!(all(&queue).await, [1, 1]);
}

pub(super) async fn a_full_mailbox_says_so_and_has_room_again_once_fetched<E: Engine>() {
    let rules = Rules { mailbox_bytes_max: 4 * 512, ..Rules::default() };
    let (engine, queue) = with_doors::<E>(rules).await;
    let calls: Vec<_> = (0..6).map(|mark| queue.append(put(mark), NOW)).collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await);
    }
    assert!(answers.iter().take(4).all(Result::is_ok));
    assert!(answers.iter().skip(4).all(|answer| *answer == Err(AppendError::Full(Full::Mailbox))));
    assert!(queue.append(put(0), NOW).await.is_ok(), "a repeat needs no room");
    let queue = engine.restart(queue);
    assert_eq!(queue.append(put(9), NOW).await, Err(AppendError::Full(Full::Mailbox)));
    let second = *answers.get(1).unwrap();
    queue.remove(BOB, second.unwrap()).await.unwrap();
    assert!(queue.append(put_of(9, 1024, CONTACT), NOW).await.is_ok());
    assert_eq!(queue.append(put(10), NOW).await, Err(AppendError::Full(Full::Mailbox)));
    assert_eq!(all(&queue).await, [2, 3, 9]);
}

pub(super) async fn strangers_fill_their_share_and_contacts_still_get_through<E: Engine>() {
    let rules = Rules { request_bytes_max: 1024, ..Rules::default() };
    let (_engine, queue) = with_doors::<E>(rules).await;
    let full = queue.append(put_of(1, 1024, STRANGER), NOW).await.unwrap();
    let refused = queue.append(put_of(2, 512, STRANGER), NOW).await;
    assert_eq!(refused, Err(AppendError::Full(Full::Requests)));
    queue.append(put_of(3, 4096, CONTACT), NOW).await.unwrap();
    queue.remove(BOB, full).await.unwrap();
    queue.append(put_of(4, 1024, STRANGER), NOW).await.unwrap();
    assert_eq!(all(&queue).await, [3, 4]);
}

pub(super) async fn an_unknown_mailbox_and_a_wrong_token_are_the_same<E: Engine>() {
    let (_engine, queue) = with_doors::<E>(Rules::default()).await;
    let wrong = put_of(1, 512, TokenHash([9; 32]));
    let nowhere = Put { mailbox: CAROL, ..put(2) };
    assert_eq!(queue.append(wrong, NOW).await, Err(AppendError::NoSuchDoor));
    assert_eq!(queue.append(nowhere, NOW).await, Err(AppendError::NoSuchDoor));
    assert_eq!(queue.read(CAROL, Seq(0), EVERYTHING).await, Ok(Page::default()));
    assert_eq!(all(&queue).await, [0; 0]);
}

pub(super) async fn a_door_says_what_its_token_is_for_and_nothing_else<E: Engine>() {
    let (engine, queue) = with_doors::<E>(Rules::default()).await;
    assert_eq!(queue.door(BOB, CONTACT).await, Ok(Some(TokenClass::Contact)));
    assert_eq!(queue.door(BOB, STRANGER).await, Ok(Some(TokenClass::Request)));
    assert_eq!(queue.door(BOB, TokenHash([9; 32])).await, Ok(None));
    assert_eq!(queue.door(CAROL, CONTACT).await, Ok(None));
    queue.revoke(BOB, vec![CONTACT]).await.unwrap();
    let queue = engine.restart(queue);
    assert_eq!(queue.door(BOB, CONTACT).await, Ok(None));
    assert_eq!(queue.door(BOB, STRANGER).await, Ok(Some(TokenClass::Request)));
}

pub(super) async fn a_revoked_token_opens_nothing<E: Engine>() {
    let (engine, queue) = with_doors::<E>(Rules::default()).await;
    let calls = (queue.append(put(1), NOW), queue.revoke(BOB, vec![CONTACT]), queue.append(put(2), NOW));
    assert!(calls.0.await.is_ok());
    assert_eq!(calls.1.await, Ok(()));
    assert_eq!(calls.2.await, Err(AppendError::NoSuchDoor));
    assert_eq!(queue.append(put(1), NOW).await, Err(AppendError::NoSuchDoor), "nor by a repeat");
    assert_eq!(queue.revoke(CAROL, vec![CONTACT]).await, Ok(()));
    let queue = engine.restart(queue);
    assert_eq!(queue.append(put(2), NOW).await, Err(AppendError::NoSuchDoor));
    queue.grant(BOB, vec![(CONTACT, TokenClass::Contact)]).await.unwrap();
    assert!(queue.append(put(2), NOW).await.is_ok());
}

fn tokens(from: u32, count: u32) -> Vec<(TokenHash, TokenClass)> {
    let hash = |n: u32| {
        let mut hash = [0xAB; 32];
        hash.iter_mut().zip(n.to_be_bytes()).for_each(|(byte, of)| *byte = of);
        TokenHash(hash)
    };
    (from..from + count).map(|n| (hash(n), TokenClass::Contact)).collect()
}

pub(super) async fn a_grant_is_whole_or_not_at_all<E: Engine>() {
    let (engine, queue) = with_doors::<E>(Rules::default()).await; // two tokens
    let most = u32::try_from(TOKENS_PER_MAILBOX_MAX).unwrap();
    for from in (0..most - 256).step_by(256) {
        queue.grant(BOB, tokens(from, 256)).await.unwrap();
    }
    let queue = engine.restart(queue);
    queue.grant(BOB, tokens(0, 256)).await.unwrap(); // again
    queue.grant(BOB, tokens(most, 254)).await.unwrap(); // to the brim
    let refused = GrantError::TooManyTokens { limit: TOKENS_PER_MAILBOX_MAX };
    let mut mixed = tokens(0, 3);
    mixed.extend(tokens(2 * most, 1));
    assert_eq!(queue.grant(BOB, mixed).await, Err(refused));
    let (new, _) = *tokens(2 * most, 1).first().unwrap();
    assert_eq!(queue.append(put_of(1, 512, new), NOW).await, Err(AppendError::NoSuchDoor));
    queue.revoke(BOB, vec![CONTACT, CONTACT]).await.unwrap();
    queue.grant(BOB, tokens(2 * most, 1)).await.unwrap();
    assert!(queue.append(put_of(1, 512, new), NOW).await.is_ok());
    assert_eq!(queue.grant(BOB, vec![(CONTACT, TokenClass::Contact)]).await, Err(refused));
}

pub(super) async fn mailboxes_are_counted<E: Engine>() {
    let (engine, queue) = with_doors::<E>(Rules { mailboxes_max: 2, ..Rules::default() }).await;
    let door = vec![(CONTACT, TokenClass::Contact)];
    queue.grant(BOB, door.clone()).await.unwrap();
    queue.grant(CAROL, door.clone()).await.unwrap();
    let queue = engine.restart(queue);
    assert_eq!(queue.grant(MailboxId([3; 32]), door.clone()).await, Err(GrantError::TooManyMailboxes));
    queue.grant(CAROL, door).await.unwrap();
}

pub(super) async fn reading_begins_anywhere_and_leaves_nothing_out<E: Engine>() {
    let (_engine, queue) = with_doors::<E>(Rules::default()).await;
    queue.grant(CAROL, vec![(CONTACT, TokenClass::Contact)]).await.unwrap();
    let mut seqs = Vec::new();
    for mark in 0..20 {
        seqs.push(queue.append(put(mark), NOW).await.unwrap());
        queue.append(Put { mailbox: CAROL, ..put(100 + mark) }, NOW).await.unwrap();
    }
    for (after, mark) in seqs.iter().zip(1..) {
        let page = queue.read(BOB, *after, EVERYTHING).await.unwrap();
        assert_eq!(marks(&page), (mark..20).collect::<Vec<_>>());
    }
    queue.remove(BOB, *seqs.get(9).unwrap()).await.unwrap();
    assert_eq!(all(&queue).await, (10..20).collect::<Vec<_>>());
    assert_eq!(marks(&queue.read(BOB, Seq(u64::MAX), EVERYTHING).await.unwrap()), [0; 0]);
    assert_eq!(queue.read(CAROL, Seq(0), EVERYTHING).await.unwrap().envelopes.len(), 20);
}

pub(super) async fn a_page_is_one_push<E: Engine>() {
    let (_engine, queue) = with_doors::<E>(Rules::default()).await;
    let many = PUSH_ENVELOPES_MAX + 10;
    for mark in 0..u64::try_from(many).unwrap() {
        queue.append(put(mark), NOW).await.unwrap();
    }
    assert_eq!(queue.read(BOB, Seq(0), EVERYTHING).await.unwrap().envelopes.len(), PUSH_ENVELOPES_MAX);
    assert_eq!(queue.read(BOB, Seq(0), 3 * 512 + 511).await.unwrap().envelopes.len(), 3);
    assert_eq!(all(&queue).await.len(), many);
}

pub(super) async fn a_page_says_how_many_stand_after_where_it_begins<E: Engine>() {
    let (engine, queue) = with_doors::<E>(Rules::default()).await;
    assert_eq!(queue.read(BOB, Seq(0), EVERYTHING).await.unwrap().waiting, 0);
    let mut seqs = Vec::new();
    for mark in 0..5 {
        seqs.push(queue.append(put(mark), NOW).await.unwrap());
    }
    let waiting = async |queue: &E::Queue, after| queue.read(BOB, after, 0).await.unwrap().waiting;
    let [_, second, third, fourth, fifth] = seqs[..] else { unreachable!("five were appended") };
    assert_eq!(waiting(&queue, Seq(0)).await, 5);
    assert_eq!(waiting(&queue, second).await, 3);
    queue.remove(BOB, third).await.unwrap();
    let queue = engine.restart(queue);
    assert_eq!(waiting(&queue, Seq(0)).await, 2); // what is gone does not wait
    assert_eq!(waiting(&queue, fourth).await, 1);
    assert_eq!(waiting(&queue, fifth).await, 0);
}

pub(super) async fn removing_what_was_never_given_removes_nothing<E: Engine>() {
    let (_engine, queue) = with_doors::<E>(Rules::default()).await;
    let last = queue.append(put(1), NOW).await.unwrap();
    let through = Seq(last.0 + 1);
    assert_eq!(queue.remove(BOB, through).await, Err(RemoveError::NotGivenYet { through, last }));
    let nowhere = RemoveError::NotGivenYet { through: Seq(1), last: Seq(0) };
    assert_eq!(queue.remove(CAROL, Seq(1)).await, Err(nowhere));
    assert_eq!(queue.remove(CAROL, Seq(0)).await, Ok(()));
    assert_eq!(all(&queue).await, [1]);
}

pub(super) async fn removing_again_changes_nothing<E: Engine>() {
    let (_engine, queue) = with_doors::<E>(Rules { mailbox_bytes_max: 1024, ..Rules::default() }).await;
    let first = queue.append(put(1), NOW).await.unwrap();
    // Together with an append, in the order of the calls.
    let calls =
        (queue.remove(BOB, first), queue.append(put(2), NOW), queue.append(put(3), NOW), queue.remove(BOB, first));
    assert_eq!(calls.0.await, Ok(()));
    assert!(calls.1.await.is_ok() && calls.2.await.is_ok());
    assert_eq!(calls.3.await, Ok(()));
    assert_eq!(queue.remove(BOB, Seq(0)).await, Ok(()));
    assert_eq!(all(&queue).await, [2, 3]);
    assert_eq!(queue.append(put(4), NOW).await, Err(AppendError::Full(Full::Mailbox)));
}

/// Envelopes that went.
async fn sweep(queue: &impl Queue, now: UnixMillis) -> u64 {
    let mut all = 0;
    loop {
        let swept = queue.expire(now).await.unwrap();
        all += swept.envelopes;
        if !swept.more {
            return all;
        }
    }
}

pub(super) async fn what_expired_is_told<E: Engine>() {
    let rules = Rules { retention: Duration::from_secs(86_400), mailbox_bytes_max: 4 << 20, ..Rules::default() };
    let (engine, queue) = with_doors::<E>(rules).await;
    let many = 3000;
    let calls: Vec<_> = (0..many).map(|mark| queue.append(put(mark), NOW)).collect();
    let mut last = Seq(0);
    for call in calls {
        last = call.await.unwrap();
    }
    queue.append(put(9999), NOW.plus(20 * HOUR)).await.unwrap();
    let late = NOW.plus(25 * HOUR + 1);
    assert_eq!(sweep(&queue, late).await, many);
    assert_eq!(sweep(&queue, late).await, 0);
    let queue = engine.restart(queue);
    assert_eq!(queue.read(BOB, Seq(0), EVERYTHING).await.unwrap().expired_through, last);
    assert_eq!(all(&queue).await, [9999]);
    // Its room is free again.
    for mark in 10_000..10_100 {
        queue.append(put_of(mark, 32 * 1024, CONTACT), late).await.unwrap();
    }
}

pub(super) async fn nothing_expires_early<E: Engine>() {
    let rules = Rules { retention: Duration::from_secs(86_400), ..Rules::default() };
    let (_engine, queue) = with_doors::<E>(rules).await;
    queue.append(put(1), NOW).await.unwrap();
    for now in [UnixMillis(0), NOW, NOW.plus(24 * HOUR)] {
        assert_eq!(sweep(&queue, now).await, 0);
    }
    // What was fetched in time did not expire.
    queue.remove(BOB, Seq(queue.read(BOB, Seq(0), EVERYTHING).await.unwrap().last.0)).await.unwrap();
    assert_eq!(sweep(&queue, NOW.plus(26 * HOUR)).await, 0);
    assert_eq!(queue.read(BOB, Seq(0), EVERYTHING).await.unwrap().expired_through, Seq(0));
}

pub(super) async fn what_arrives_is_told_to_whoever_waits<E: Engine>() {
    let (_engine, queue) = with_doors::<E>(Rules::default()).await;
    let before = queue.append(put(1), NOW).await.unwrap();
    let arrivals = queue.arrivals(BOB);
    let waiting = tokio::spawn(async move { arrivals.next(before, EVERYTHING).await });
    let seq = queue.append(put(2), NOW).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert_eq!(told.first().map(|delivery| delivery.seq), Some(seq));
    assert_eq!(told, queue.read(BOB, before, EVERYTHING).await.unwrap().envelopes);
}

pub(super) async fn a_disk_that_is_nearly_full_takes_nothing_new_and_everything_else_goes_on<E: Engine>() {
    let rules = Rules { retention: Duration::from_secs(86_400), ..Rules::default() };
    let (_engine, queue) = with_doors::<E>(rules).await;
    for mark in 0..3 {
        queue.append(put(mark), NOW).await.unwrap();
    }
    let first = queue.read(BOB, Seq(0), EVERYTHING).await.unwrap().envelopes.first().unwrap().seq;
    queue.metrics().disk_low.store(true, Relaxed);
    assert_eq!(queue.append(put(3), NOW).await, Err(AppendError::NoSpace));
    assert!(queue.append(put(2), NOW).await.is_ok(), "a repeat needs no room");
    let door = vec![(STRANGER, TokenClass::Contact)];
    assert_eq!(queue.grant(CAROL, door.clone()).await, Err(GrantError::NoSpace));
    assert_eq!(queue.grant(BOB, door.clone()).await, Ok(()));
    assert_eq!(queue.revoke(BOB, vec![STRANGER]).await, Ok(()));
    assert_eq!(queue.remove(BOB, first).await, Ok(()));
    assert_eq!(all(&queue).await, [1, 2]);
    assert_eq!(sweep(&queue, NOW.plus(26 * HOUR)).await, 2);
    queue.metrics().disk_low.store(false, Relaxed);
    queue.append(put(3), NOW).await.unwrap();
    queue.grant(CAROL, door).await.unwrap();
    assert_eq!(all(&queue).await, [3]);
}

pub(super) async fn all_of_it_is_there_after_a_restart<E: Engine>() {
    let (engine, mut queue) = with_doors::<E>(Rules::default()).await;
    for mark in 0..30 {
        queue.append(put(mark), NOW).await.unwrap();
        if mark % 10 == 3 {
            queue = engine.restart(queue);
        }
    }
    assert_eq!(all(&queue).await, (0..30).collect::<Vec<_>>());
}
