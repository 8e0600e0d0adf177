//! Sender keys: encrypted once for a group, and decrypted by a member.

use std::hint::black_box;

use hushwire_crypto::{DistributionId, OurSenderKey, SenderKeyMessage, SenderKeys};

use super::ours::{Form, Operation, TEXT, Work, failed, timed};
use super::sessions::KEPT;
use crate::Checked;

const BOTH: &[Form] = &[Form::Held, Form::Stored];

pub(crate) fn operations() -> Checked<Vec<Operation>> {
    let of = |name, key, count, work| Operation { name, key, count, forms: BOTH, work: Some(work) };
    Ok(vec![
        of("group: encrypt 1 KB", "group_encrypt", 200, encrypt()),
        of("group: decrypt 1 KB", "group_decrypt", 200, decrypt(200, 0)?),
        of("group: decrypt 1 KB, 2,000 keys skipped", "group_decrypt_kept", 50, decrypt(50, KEPT)?),
    ])
}

fn encrypt() -> Work {
    let (first, _) = group();
    Box::new(move |form, count| {
        let (mut key, mut row) = (first.clone(), first.to_bytes());
        timed(count, |_| {
            if form == Form::Stored {
                key = OurSenderKey::from_bytes(&row).map_err(failed)?;
            }
            let sealed = key.encrypt(black_box(&TEXT), &mut rand::rng()).map_err(failed)?;
            black_box(sealed.message);
            match form {
                Form::Held => key = sealed.key,
                Form::Stored => row = sealed.key.to_bytes(),
            }
            Ok(())
        })
    })
}

fn decrypt(count: usize, skipped: usize) -> Checked<Work> {
    let (member, messages) = letters(count, skipped)?;
    Ok(Box::new(move |form, count| {
        let (mut keys, mut row) = (member.clone(), member.to_bytes());
        timed(count, |each| {
            if form == Form::Stored {
                keys = SenderKeys::from_bytes(&row).map_err(failed)?;
            }
            let message = SenderKeyMessage::parse(&messages[each]).map_err(failed)?;
            let opened = keys.decrypt(&message).map_err(failed)?;
            black_box(opened.plaintext);
            match form {
                Form::Held => keys = opened.keys,
                Form::Stored => row = opened.keys.to_bytes(),
            }
            Ok(())
        })
    }))
}

/// A member who has not opened the first `skipped` messages but the one behind them, and the next `count`.
pub(crate) fn letters(count: usize, skipped: usize) -> Checked<(SenderKeys, Vec<Vec<u8>>)> {
    let (mut key, member) = group();
    let mut messages = Vec::new();
    for _ in 0..=count + skipped {
        let sealed = key.encrypt(&TEXT, &mut rand::rng()).map_err(failed)?;
        (key, _) = (sealed.key, messages.push(sealed.message));
    }
    let next = messages.split_off(skipped + 1);
    let last = SenderKeyMessage::parse(&messages[skipped]).map_err(failed)?;
    Ok((member.decrypt(&last).map_err(failed)?.keys, next))
}

/// A sender and a member who was told the key.
pub(crate) fn group() -> (OurSenderKey, SenderKeys) {
    let distribution = DistributionId::from_bytes([7; 16]);
    let key = OurSenderKey::generate(distribution, &mut rand::rng());
    let told = key.distribution_message();
    let member = SenderKeys::empty(distribution);
    let member = member.accept(&told).unwrap_or(member);
    (key, member)
}
