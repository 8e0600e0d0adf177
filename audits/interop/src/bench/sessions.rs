//! Sessions: begun, accepted, sent in and received in.

use std::hint::black_box;

use hushwire_crypto::{CiphertextMessage, KyberPreKey, OneTimePreKey, SignedPreKey};

use super::ours::{Form, Kept, Operation, Party, TEXT, Work, failed, timed};
use crate::Checked;

/// Keys of skipped messages: as many as are kept of one chain.
pub(crate) const KEPT: usize = 2000;

const BOTH: &[Form] = &[Form::Held, Form::Stored];

pub(crate) fn operations() -> Checked<Vec<Operation>> {
    let of = |name, key, count, work| Operation { name, key, count, forms: BOTH, work: Some(work) };
    Ok(vec![
        of("session: begin, bundle checked", "begin", 40, begin()),
        of("session: accept a first message of 1 KB", "accept", 40, accept(40)?),
        of("session: encrypt 1 KB", "encrypt", 200, encrypt()?),
        of("session: decrypt 1 KB", "decrypt", 200, decrypt(200, 0)?),
        of("session: decrypt 1 KB, 2,000 keys skipped", "decrypt_kept", 50, decrypt(50, KEPT)?),
        of("session: a message there or back, each a turn", "ping_pong", 200, ping_pong()?),
    ])
}

fn begin() -> Work {
    let (alice, bob) = Party::strangers();
    let bundle = bob.bundle();
    Box::new(move |form, count| {
        timed(count, |_| {
            let sessions = alice.begin(black_box(&bundle))?;
            if form == Form::Stored {
                black_box(sessions.to_bytes());
            }
            Ok(())
        })
    })
}

fn accept(count: usize) -> Checked<Work> {
    let (mut alice, bob) = Party::strangers();
    let mut messages = Vec::new();
    for _ in 0..count {
        alice.sessions = alice.begin(&bob.bundle())?;
        messages.push(alice.send()?);
    }
    let rows = (bob.signed.to_bytes(), bob.kyber.to_bytes(), bob.one_time.to_bytes());
    Ok(Box::new(move |form, count| {
        let mut bob = bob.clone();
        let fresh = Kept::new(&bob.sessions, form);
        timed(count, |each| {
            if form == Form::Stored {
                bob.signed = SignedPreKey::from_bytes(&rows.0).map_err(failed)?;
                bob.kyber = KyberPreKey::from_bytes(&rows.1).map_err(failed)?;
                bob.one_time = OneTimePreKey::from_bytes(&rows.2).map_err(failed)?;
            }
            fresh.clone().step(|sessions| bob.open(sessions, &messages[each])).map(|_| ())
        })
    }))
}

fn encrypt() -> Checked<Work> {
    let (alice, _) = Party::meet()?;
    Ok(Box::new(move |form, count| {
        let mut kept = Kept::new(&alice.sessions, form);
        timed(count, |_| kept.step(|sessions| alice.seal(sessions)).map(|message| drop(black_box(message))))
    }))
}

fn decrypt(count: usize, skipped: usize) -> Checked<Work> {
    let (bob, messages) = letters(count, skipped)?;
    Ok(Box::new(move |form, count| {
        let mut kept = Kept::new(&bob.sessions, form);
        timed(count, |each| {
            let length = kept.step(|sessions| bob.open(sessions, &messages[each]))?;
            if length == TEXT.len() { Ok(()) } else { Err("another text was opened".to_owned()) }
        })
    }))
}

/// Somebody who has not opened the first `skipped` messages but the one behind them, and the next `count`.
pub(crate) fn letters(count: usize, skipped: usize) -> Checked<(Party, Vec<CiphertextMessage>)> {
    let (mut alice, mut bob) = Party::meet()?;
    let mut messages = (0..=count + skipped).map(|_| alice.send()).collect::<Checked<Vec<_>>>()?;
    let next = messages.split_off(skipped + 1);
    bob.receive(&messages[skipped])?;
    Ok((bob, next))
}

fn ping_pong() -> Checked<Work> {
    let (alice, bob) = Party::meet()?;
    Ok(Box::new(move |form, count| {
        let mut kept = [Kept::new(&alice.sessions, form), Kept::new(&bob.sessions, form)];
        let parties = [&alice, &bob];
        timed(count, |each| {
            let (from, to) = (each % 2, 1 - each % 2);
            let message = kept[from].step(|sessions| parties[from].seal(sessions))?;
            kept[to].step(|sessions| parties[to].open(sessions, &message)).map(|_| ())
        })
    }))
}
