//! What was promised against what came, judged after a run by rules that know nothing of how messages travel.
//!
//! The ledger is told of every intent before it is acted on, of every answer "stored", of every message that a receiver
//! showed, of the senders' last word on each message, and at the end of every history. It finds what is missing, what
//! is there twice, what nobody sent, and what is out of order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Characters of filling that the longest message has: it needs a larger envelope than the shortest.
const FILLING_MAX: u32 = 1400;

/// One message of a run: the `number`th from one person to another, from 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note {
    /// Who sends it.
    pub from: String,
    /// Who is to get it.
    pub to: String,
    /// How many between these two were before it.
    pub number: u32,
}

impl Note {
    /// What it says. Different for every note, of different lengths, and wholly determined by the note.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { from, to, number } = self;
        let length = match number % 7 {
            0 => number.wrapping_mul(2_654_435_761) % FILLING_MAX,
            short => short * 5,
        };
        let filling: String =
            (0..length).map(|at| char::from(b'a' + u8::try_from((at + number) % 26).unwrap_or(0))).collect();
        format!("{from} to {to}: {number} {filling}")
    }

    /// The note whose text this is, to the last character.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_once(": ")?;
        let (from, to) = head.split_once(" to ")?;
        let number = rest.split(' ').next()?.parse().ok()?;
        let note = Self { from: from.to_owned(), to: to.to_owned(), number };
        (note.text() == text).then_some(note)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} number {}", self.from, self.to, self.number)
    }
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    intents: BTreeSet<Note>,
    stored: BTreeSet<Note>,
    delivered: BTreeSet<Note>,
    /// By person, in order.
    shown: BTreeMap<String, Vec<String>>,
    kept: BTreeMap<String, Vec<String>>,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The relay answered that it has it, and its receiver has not.
    Lost(Note),
    /// It was sent and never came. The relay had not answered.
    Missing(Note),
    /// It came, and its sender was never told so.
    Unconfirmed(Note),
    /// A receiver has what nobody sent to them.
    Invented(Place, String),
    /// It is there more than once.
    Twice(Place, Note),
    /// A later message of one sender stands before an earlier one.
    OutOfOrder(Place, Note, Note),
    /// It was shown and is not in the history.
    Forgotten(Note),
}

/// Where a receiver has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the screen, over all lives of the program.
    Shown,
    /// In the encrypted history.
    History,
}

impl Ledger {
    /// Somebody is about to send this.
    pub fn intent(&mut self, note: Note) {
        self.intents.insert(note);
    }

    /// The relay answered that it has this.
    pub fn stored(&mut self, note: Note) {
        self.stored.insert(note);
    }

    /// The sender was told that a device of the receiver has this.
    pub fn delivered(&mut self, note: Note) {
        self.delivered.insert(note);
    }

    /// A receiver showed this text.
    pub fn shown(&mut self, at: &str, text: String) {
        self.shown.entry(at.to_owned()).or_default().push(text);
    }

    /// A receiver has this text in the history, after those told before.
    pub fn kept(&mut self, at: &str, text: String) {
        self.kept.entry(at.to_owned()).or_default().push(text);
    }

    /// How many were sent, are known to be stored, and are known to be delivered.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.intents.len(), self.stored.union(&self.delivered).count(), self.delivered.len())
    }

    /// Everything that is wrong. Empty: every promise was kept.
    #[must_use]
    pub fn check(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let (mut kept, mut shown) = (BTreeSet::new(), BTreeSet::new());
        for (place, lists, all) in [(Place::Shown, &self.shown, &mut shown), (Place::History, &self.kept, &mut kept)] {
            for (at, texts) in lists {
                self.check_list(place, at, texts, all, &mut found);
            }
        }
        for note in &self.intents {
            if !kept.contains(note) {
                let was_stored = self.stored.contains(note) || self.delivered.contains(note);
                found.push(if was_stored { Violation::Lost(note.clone()) } else { Violation::Missing(note.clone()) });
            }
            if !self.delivered.contains(note) {
                found.push(Violation::Unconfirmed(note.clone()));
            }
        }
        found.extend(shown.difference(&kept).cloned().map(Violation::Forgotten));
        found
    }

    /// One receiver's list: only what was sent to them, once, and in order per sender.
    fn check_list(
        &self,
        place: Place,
        at: &str,
        texts: &[String],
        all: &mut BTreeSet<Note>,
        found: &mut Vec<Violation>,
    ) {
        let mut last: BTreeMap<String, Note> = BTreeMap::new();
        for text in texts {
            let note = Note::parse(text).filter(|note| note.to == at && self.intents.contains(note));
            let Some(note) = note else {
                found.push(Violation::Invented(place, text.clone()));
                continue;
            };
            if !all.insert(note.clone()) {
                found.push(Violation::Twice(place, note));
                continue;
            }
            match last.get_mut(&note.from) {
                Some(before) if before.number > note.number => {
                    found.push(Violation::OutOfOrder(place, before.clone(), note));
                }
                Some(before) => *before = note,
                None => _ = last.insert(note.from.clone(), note),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(number: u32) -> Note {
        Note { from: "ann".to_owned(), to: "zoe".to_owned(), number }
    }

    /// Three notes, and everything as it should be.
    fn honest() -> Ledger {
        let mut ledger = Ledger::default();
        for number in 0..3 {
            ledger.intent(note(number));
            ledger.stored(note(number));
            ledger.delivered(note(number));
            ledger.shown("zoe", note(number).text());
            ledger.kept("zoe", note(number).text());
        }
        ledger
    }

    fn keeping(notes: &[u32]) -> Ledger {
        let kept = BTreeMap::from([("zoe".to_owned(), notes.iter().map(|number| note(*number).text()).collect())]);
        Ledger { kept, shown: BTreeMap::new(), ..honest() }
    }

    #[test]
    fn a_run_in_which_every_promise_was_kept_has_no_violation() {
        assert_eq!(honest().check(), []);
        assert_eq!(honest().counts(), (3, 3, 3));
        assert_eq!(keeping(&[0, 1, 2]).check(), [], "killed before it could show anything");
    }

    #[test]
    fn a_message_that_was_answered_stored_and_is_not_there_is_lost() {
        let mut ledger = keeping(&[0, 2]);
        assert_eq!(ledger.check(), [Violation::Lost(note(1))]);
        ledger.stored.clear();
        assert_eq!(ledger.check(), [Violation::Lost(note(1))], "told delivered, which says more");
        ledger.delivered.remove(&note(1));
        assert_eq!(ledger.check(), [Violation::Missing(note(1)), Violation::Unconfirmed(note(1))]);
    }

    #[test]
    fn the_last_messages_are_missed_too() {
        assert_eq!(keeping(&[]).check(), [0, 1, 2].map(|number| Violation::Lost(note(number))));
    }

    #[test]
    fn a_message_that_is_there_twice_is_found_wherever_it_is() {
        assert_eq!(keeping(&[0, 1, 1, 2]).check(), [Violation::Twice(Place::History, note(1))]);
        let mut ledger = honest();
        ledger.shown("zoe", note(0).text());
        assert_eq!(ledger.check(), [Violation::Twice(Place::Shown, note(0))]);
    }

    #[test]
    fn a_message_before_an_earlier_one_of_its_sender_is_found_wherever_it_is() {
        assert_eq!(keeping(&[0, 2, 1]).check(), [Violation::OutOfOrder(Place::History, note(2), note(1))]);
        let mut ledger = honest();
        ledger.shown.insert("zoe".to_owned(), [1, 0].map(|number| note(number).text()).into());
        assert_eq!(ledger.check(), [Violation::OutOfOrder(Place::Shown, note(1), note(0))]);
    }

    #[test]
    fn what_nobody_sent_or_sent_to_somebody_else_or_that_was_altered_is_invented() {
        for text in ["hello".to_owned(), note(3).text(), note(1).text() + "x"] {
            let mut ledger = honest();
            ledger.kept("zoe", text.clone());
            assert_eq!(ledger.check(), [Violation::Invented(Place::History, text)]);
        }
        let mut ledger = honest();
        ledger.kept("yuri", note(1).text());
        assert_eq!(ledger.check(), [Violation::Invented(Place::History, note(1).text())]);
    }

    #[test]
    fn what_was_shown_must_stand_in_the_history() {
        let mut ledger = keeping(&[0, 1]);
        ledger.shown("zoe", note(2).text());
        assert_eq!(ledger.check(), [Violation::Lost(note(2)), Violation::Forgotten(note(2))]);
    }

    #[test]
    fn a_sender_that_was_never_told_of_a_delivery_is_found() {
        let mut ledger = honest();
        ledger.delivered.remove(&note(2));
        assert_eq!(ledger.check(), [Violation::Unconfirmed(note(2))]);
    }

    #[test]
    fn a_text_is_read_back_as_its_note_only_if_it_is_whole() {
        for number in 0..5000 {
            let text = note(number).text();
            assert_eq!(Note::parse(&text), Some(note(number)));
            assert_eq!(Note::parse(&format!("{text}.")), None);
        }
        assert_eq!(Note::parse("ann to zoe: 1"), None);
    }
}
