//! The negative control: a checker that finds nothing must be one that would have found something. Each invariant is
//! broken in a copy of a ledger, in every way it can be, and must be named.
#![allow(clippy::ptr_arg, reason = "all breaches have one shape, and some make a ledger longer")]

use super::check::{Invariant, check};
use super::{Entry, Hash, Id};

/// A way to break a ledger. `false`: there is nothing in it that could be broken so.
type Breach = fn(&mut Vec<Entry>) -> bool;

/// What it breaks, and how.
const BREACHES: [(Invariant, &str, Breach); 12] = [
    (Invariant::Durability, "the last that was stored is not shown", lose),
    (Invariant::NoInvention, "a bit of an envelope is changed", alter),
    (Invariant::NoInvention, "an envelope comes that nobody sent", invent),
    (Invariant::OnceShown, "a retry is stored again", store_again),
    (Invariant::OnceShown, "an envelope is shown twice", show_again),
    (Invariant::SenderOrder, "two of one sender change places", swap),
    (Invariant::NoResurrection, "an acknowledged envelope comes again", resurrect),
    (Invariant::Isolation, "an envelope comes to another mailbox", misdirect),
    (Invariant::HonestRefusal, "a deposit has no answer", forget_answer),
    (Invariant::HonestRefusal, "a retry has another id", retry_as_another),
    (Invariant::HonestRefusal, "what was refused comes", refuse),
    (Invariant::OneNumberOneEnvelope, "a number is given out twice", renumber),
];

/// Breaks copies of `clean`, and returns a sentence for each breach that the checker did not find, or that could not be
/// made. Empty: the checker is worth something.
#[must_use]
pub fn control(clean: &[Entry]) -> Vec<String> {
    let missed = BREACHES.iter().filter_map(|(invariant, name, breach)| {
        let mut broken = clean.to_vec();
        if !breach(&mut broken) {
            return Some(format!("{invariant}: not tried, the ledger is too short: {name}"));
        }
        let is_found = check(&broken).broken.contains_key(invariant);
        (!is_found).then(|| format!("{invariant}: not found: {name}"))
    });
    missed.collect()
}

fn lose(entries: &mut Vec<Entry>) -> bool {
    remove(entries, |entry| matches!(entry, Entry::Shown { .. }))
}

fn alter(entries: &mut Vec<Entry>) -> bool {
    change(entries, |entry| match entry {
        Entry::Given { hash, .. } => first_byte(hash),
        _ => false,
    })
}

fn invent(entries: &mut Vec<Entry>) -> bool {
    change(entries, |entry| match entry {
        Entry::Given { id, .. } => first_byte(id),
        _ => false,
    })
}

fn store_again(entries: &mut Vec<Entry>) -> bool {
    repeat(entries, |entry| match entry {
        Entry::Given { mailbox, seq, id, hash } => Some(Entry::Given { mailbox, seq: seq + 1_000_000_000, id, hash }),
        _ => None,
    })
}

fn show_again(entries: &mut Vec<Entry>) -> bool {
    repeat(entries, |entry| matches!(entry, Entry::Shown { .. }).then_some(entry))
}

fn resurrect(entries: &mut Vec<Entry>) -> bool {
    let Some((mailbox, through)) = entries.iter().find_map(|entry| match *entry {
        Entry::Acknowledged { mailbox, through } => Some((mailbox, through)),
        _ => None,
    }) else {
        return false;
    };
    repeat(entries, |entry| match entry {
        Entry::Given { mailbox: of, seq, .. } if of == mailbox && seq <= through => Some(entry),
        _ => None,
    })
}

fn misdirect(entries: &mut Vec<Entry>) -> bool {
    change(entries, |entry| match entry {
        Entry::Given { mailbox, .. } => {
            *mailbox += 1;
            true
        }
        _ => false,
    })
}

fn forget_answer(entries: &mut Vec<Entry>) -> bool {
    remove(entries, |entry| matches!(entry, Entry::Stored { .. }))
}

fn retry_as_another(entries: &mut Vec<Entry>) -> bool {
    repeat(entries, |entry| match entry {
        Entry::Intent { sender, mailbox, number, mut id, hash } => {
            first_byte(&mut id).then_some(Entry::Intent { sender, mailbox, number, id, hash })
        }
        _ => None,
    })
}

fn refuse(entries: &mut Vec<Entry>) -> bool {
    change(entries, |entry| match *entry {
        Entry::Stored { sender, number } => {
            *entry = Entry::Refused { sender, number };
            true
        }
        _ => false,
    })
}

/// Two envelopes of one sender at one mailbox, the first shown after the second.
fn swap(entries: &mut Vec<Entry>) -> bool {
    let sender_of = |wanted: &Id, entries: &[Entry]| {
        entries.iter().find_map(|entry| match entry {
            Entry::Intent { sender, mailbox, id, .. } if id == wanted => Some((*sender, *mailbox)),
            _ => None,
        })
    };
    let shown: Vec<(usize, Id)> = entries
        .iter()
        .enumerate()
        .filter_map(|(at, entry)| match entry {
            Entry::Shown { id, .. } => Some((at, *id)),
            _ => None,
        })
        .collect();
    let Some((first, id)) = shown.first().copied() else { return false };
    let who = sender_of(&id, entries);
    let other = shown.iter().skip(1).find(|(_, id)| sender_of(id, entries) == who);
    let Some((second, _)) = other.copied() else { return false };
    let late = entries.remove(first);
    entries.insert(second, late);
    true
}

fn renumber(entries: &mut Vec<Entry>) -> bool {
    repeat(entries, |entry| match entry {
        Entry::Given { mailbox, seq, mut id, hash } => {
            first_byte(&mut id).then_some(Entry::Given { mailbox, seq, id, hash })
        }
        _ => None,
    })
}

fn first_byte(bytes: &mut Hash) -> bool {
    bytes.first_mut().map(|byte| *byte ^= 1).is_some()
}

/// Without the last of a kind.
fn remove(entries: &mut Vec<Entry>, which: impl Fn(&Entry) -> bool) -> bool {
    let found = entries.iter().rposition(which);
    found.map(|at| entries.remove(at)).is_some()
}

/// With the first of a kind changed.
fn change(entries: &mut [Entry], how: impl FnMut(&mut Entry) -> bool) -> bool {
    entries.iter_mut().any(how)
}

/// With one more at the end, made of the first of a kind.
fn repeat(entries: &mut Vec<Entry>, how: impl Fn(Entry) -> Option<Entry>) -> bool {
    let again = entries.iter().find_map(|entry| how(*entry));
    again.map(|entry| entries.push(entry)).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::hash;
    use super::*;

    /// Two senders, two mailboxes, some retries and a kill; every promise kept.
    fn honest() -> Vec<Entry> {
        let mut entries = Vec::new();
        for number in 0..40_u8 {
            let (sender, mailbox) = (u32::from(number % 2), u32::from(number / 2 % 2));
            let (id, seq) = ([number; 16], 1 + u64::from(number));
            let number = u64::from(number);
            let hash = hash(&id);
            let intent = Entry::Intent { sender, mailbox, number, id, hash };
            entries.push(intent);
            if number == 20 {
                entries.extend([Entry::Killed, intent, Entry::Given { mailbox, seq, id, hash }]);
            }
            entries.extend([
                Entry::Stored { sender, number },
                Entry::Given { mailbox, seq, id, hash },
                Entry::Shown { mailbox, id },
                Entry::Acknowledged { mailbox, through: seq },
            ]);
        }
        entries
    }

    #[test]
    fn a_ledger_in_which_every_promise_was_kept_breaks_nothing() {
        let verdict = check(&honest());
        assert!(verdict.broken.is_empty(), "{:?}", verdict.broken);
        assert_eq!((verdict.intents, verdict.tries, verdict.stored), (40, 41, 40));
        assert_eq!((verdict.given, verdict.shown, verdict.kills), (41, 40, 1));
    }

    #[test]
    fn every_way_to_break_a_promise_is_found_and_named() {
        assert_eq!(control(&honest()), Vec::<String>::new());
        for invariant in Invariant::ALL {
            assert!(BREACHES.iter().any(|(broken, ..)| *broken == invariant), "{invariant} is never broken");
        }
    }

    #[test]
    fn a_ledger_too_short_to_be_broken_is_no_control() {
        assert_eq!(control(&[]).len(), BREACHES.len());
    }

    #[test]
    fn what_was_refused_and_stored_on_a_later_try_is_fine() {
        let (id, hash) = ([1; 16], [2; 16]);
        let intent = Entry::Intent { sender: 0, mailbox: 0, number: 0, id, hash };
        let entries = [
            intent,
            Entry::Refused { sender: 0, number: 0 },
            intent,
            Entry::Stored { sender: 0, number: 0 },
            Entry::Given { mailbox: 0, seq: 1, id, hash },
            Entry::Shown { mailbox: 0, id },
        ];
        assert!(check(&entries).broken.is_empty());
        assert!(check(&entries[..2]).broken.is_empty(), "refused, and nothing came");
    }
}
