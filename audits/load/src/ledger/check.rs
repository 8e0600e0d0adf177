//! The invariants that a ledger must keep, whatever was killed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::{Entry, Hash, Id};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// I1: what was answered stored was shown by the end.
    Durability,
    /// I2: what was given was meant to be sent, byte for byte.
    NoInvention,
    /// I3: the wire may repeat an envelope under its number; it has one number only, and is shown once.
    OnceShown,
    /// I4: what one sender sent to one mailbox is shown in the order in which it was sent.
    SenderOrder,
    /// I5: what was answered acknowledged is never given again.
    NoResurrection,
    /// I6: nobody is given what is for another mailbox.
    Isolation,
    /// I7: every intent ends in an answer; tries are of the same deposit; what was refused does not come.
    HonestRefusal,
    /// I8: what is given out once stays so. Of a keyserver that is a one-time key; of a relay a mailbox's number,
    /// which names one envelope for ever.
    OneNumberOneEnvelope,
}

impl Invariant {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Durability,
        Self::NoInvention,
        Self::OnceShown,
        Self::SenderOrder,
        Self::NoResurrection,
        Self::Isolation,
        Self::HonestRefusal,
        Self::OneNumberOneEnvelope,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = Self::ALL.iter().position(|one| one == self).map_or(0, |at| at + 1);
        let name = match self {
            Self::Durability => "durability",
            Self::NoInvention => "no invention",
            Self::OnceShown => "stored and shown once",
            Self::SenderOrder => "order of a sender",
            Self::NoResurrection => "no resurrection",
            Self::Isolation => "isolation",
            Self::HonestRefusal => "honest refusal",
            Self::OneNumberOneEnvelope => "one number, one envelope",
        };
        write!(f, "I{number} {name}")
    }
}

/// What a ledger shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Deposits that were meant to be sent.
    pub intents: usize,
    /// Tries, first ones included.
    pub tries: usize,
    /// Those answered stored.
    pub stored: usize,
    /// Envelopes given on the wire, repeats included.
    pub given: usize,
    /// Envelopes shown.
    pub shown: usize,
    /// How often the relay was killed.
    pub kills: usize,
    /// What was broken, how often, and the first case as a sentence.
    pub broken: BTreeMap<Invariant, (usize, String)>,
}

impl Verdict {
    fn breaks(&mut self, what: Invariant, case: impl FnOnce() -> String) {
        self.broken.entry(what).and_modify(|(count, _)| *count += 1).or_insert_with(|| (1, case()));
    }
}

/// An intent, and what became of it.
struct Deposit {
    mailbox: u32,
    id: Id,
    hash: Hash,
    stored: bool,
    refused: bool,
}

/// Judges the entries in the order in which they were made.
#[must_use]
pub fn check(entries: &[Entry]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut deposits: HashMap<(u32, u64), Deposit> = HashMap::new();
    let mut by_id: HashMap<Id, (u32, u64)> = HashMap::new();
    let mut numbers: HashMap<(u32, u64), Id> = HashMap::new();
    let mut number_of: HashMap<Id, u64> = HashMap::new();
    let mut shown: HashSet<Id> = HashSet::new();
    let mut newest: HashMap<(u32, u32), u64> = HashMap::new();
    let mut acknowledged: HashMap<u32, u64> = HashMap::new();
    for entry in entries {
        match *entry {
            Entry::Intent { sender, mailbox, number, id, hash } => {
                verdict.tries += 1;
                let new = Deposit { mailbox, id, hash, stored: false, refused: false };
                let known = deposits.entry((sender, number)).or_insert(new);
                if (known.mailbox, known.id, known.hash) != (mailbox, id, hash) {
                    verdict.breaks(Invariant::HonestRefusal, || format!("{sender}:{number} was tried as another"));
                }
                known.refused = false; // tried again
                by_id.insert(id, (sender, number));
            }
            Entry::Stored { sender, number } => match deposits.get_mut(&(sender, number)) {
                Some(deposit) => deposit.stored = true,
                None => verdict.breaks(Invariant::HonestRefusal, || format!("{sender}:{number} was never sent")),
            },
            Entry::Refused { sender, number } => {
                if let Some(deposit) = deposits.get_mut(&(sender, number)) {
                    deposit.refused = true;
                }
            }
            Entry::Given { mailbox, seq, id, hash } => {
                verdict.given += 1;
                match by_id.get(&id).and_then(|of| deposits.get(of)) {
                    Some(deposit) if deposit.mailbox != mailbox => {
                        let meant = deposit.mailbox;
                        verdict.breaks(Invariant::Isolation, || format!("{mailbox} was given what is for {meant}"));
                    }
                    Some(deposit) if deposit.hash == hash => {}
                    _ => {
                        verdict.breaks(Invariant::NoInvention, || format!("{mailbox} was given {seq}, sent by nobody"))
                    }
                }
                if acknowledged.get(&mailbox).is_some_and(|through| seq <= *through) {
                    verdict.breaks(Invariant::NoResurrection, || format!("{mailbox} was given {seq} again"));
                }
                if *number_of.entry(id).or_insert(seq) != seq {
                    verdict.breaks(Invariant::OnceShown, || format!("{mailbox} has an envelope again as {seq}"));
                }
                if *numbers.entry((mailbox, seq)).or_insert(id) != id {
                    verdict.breaks(Invariant::OneNumberOneEnvelope, || format!("{mailbox} has two envelopes {seq}"));
                }
            }
            Entry::Shown { mailbox, id } => {
                verdict.shown += 1;
                if !shown.insert(id) {
                    verdict.breaks(Invariant::OnceShown, || format!("{mailbox} showed an envelope twice"));
                }
                let Some((sender, number)) = by_id.get(&id).copied() else {
                    verdict.breaks(Invariant::NoInvention, || format!("{mailbox} showed what nobody sent"));
                    continue;
                };
                let newest = newest.entry((sender, mailbox)).or_default();
                if number < *newest {
                    let later = *newest;
                    verdict.breaks(Invariant::SenderOrder, || {
                        format!("{mailbox} showed {sender}:{later} before {number}")
                    });
                }
                *newest = number.max(*newest);
            }
            Entry::Acknowledged { mailbox, through } => {
                let known = acknowledged.entry(mailbox).or_default();
                *known = through.max(*known);
            }
            Entry::Killed => verdict.kills += 1,
        }
    }
    verdict.intents = deposits.len();
    for ((sender, number), deposit) in &deposits {
        let was_shown = shown.contains(&deposit.id);
        verdict.stored += usize::from(deposit.stored);
        if deposit.stored && !was_shown {
            verdict.breaks(Invariant::Durability, || format!("{sender}:{number} was stored and never came"));
        }
        if !deposit.stored && !deposit.refused {
            verdict.breaks(Invariant::HonestRefusal, || format!("{sender}:{number} has no answer"));
        }
        if !deposit.stored && deposit.refused && was_shown {
            verdict.breaks(Invariant::HonestRefusal, || format!("{sender}:{number} was refused and came"));
        }
    }
    verdict
}
