//! What must hold, whatever happened: judged from what people said and what their apps told, never from what the engine
//! thinks of itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::{App, GroupId, Kept, Line, LocalId, MessageId, Remark, Spot, Standing, State, Told, Who};
use crate::crowd::Crowd;
use crate::fates::{Fates, Heard};

/// What does not hold, in words.
pub(crate) type Broken = String;

#[derive(Default)]
pub(crate) struct Oracle {
    /// Whether some relay lies: then things may go missing, and what is altered may be told of.
    is_evil: bool,
    /// Texts by author and reader.
    said: BTreeMap<(Who, Who), Vec<MessageId>>,
    /// Which of them came, by reader and author, in the order in which they were shown.
    shown: BTreeMap<(Who, Who), Vec<usize>>,
    gaps: BTreeMap<(Who, Who), Vec<u64>>,
    /// Texts of an author: to whom, and which.
    own: BTreeMap<(Who, LocalId), (Who, usize)>,
    states: BTreeMap<(Who, LocalId), State>,
    /// What came, by reader and author: its message there.
    incoming: BTreeMap<(Who, Who), Vec<LocalId>>,
    /// A reader saw everything of an author up to this one, as a contact's.
    read: BTreeMap<(Who, Who), LocalId>,
    /// And as a stranger's.
    read_of_stranger: BTreeMap<(Who, Who), LocalId>,
    /// A reader would not hear an author for a while, or lost their mailbox.
    deaf: BTreeSet<(Who, Who)>,
    /// Their relays were set back, and give out what they gave out long ago: too old to be known again.
    set_back: BTreeSet<Who>,
    pub(crate) undecryptable: u64,
    /// What is said in groups.
    pub(crate) crowd: Crowd,
    has_groups: bool,
    /// What became of what was said, there and between two.
    pub(crate) fates: Fates,
}

impl Oracle {
    pub(crate) fn new(is_evil: bool, has_groups: bool) -> Self {
        Self { is_evil, has_groups, crowd: Crowd::new(is_evil), ..Self::default() }
    }

    pub(crate) fn has_groups(&self) -> bool {
        self.has_groups
    }

    /// Whether a relay lied in groups.
    pub(crate) fn is_withheld(&self) -> bool {
        self.is_evil && self.has_groups
    }

    /// A text that nobody else says, with so many bytes behind it.
    pub(crate) fn text(&self, from: Who, to: Who, bytes: usize) -> String {
        format!("{from} to {to}: {}{}", self.said_to(from, to), ".".repeat(bytes))
    }

    pub(crate) fn said_to(&self, from: Who, to: Who) -> usize {
        self.said.get(&(from, to)).map_or(0, Vec::len)
    }

    /// It is kept as this message.
    pub(crate) fn said(&mut self, from: Who, to: Who, text: String, kept: Kept) {
        self.fates.said(from, Spot::of(from, to), text, (kept.id, kept.name));
        let texts = self.said.entry((from, to)).or_default();
        self.own.insert((from, kept.id), (to, texts.len()));
        texts.push(kept.name);
    }

    /// The same in a group.
    pub(crate) fn said_in(&mut self, group: GroupId, who: Who, text: String, kept: Kept) {
        self.fates.said(who, Spot::In(group), text, (kept.id, kept.name));
        self.crowd.said(group, who, (kept.id, kept.name));
    }

    /// After the last words of everybody in groups.
    pub(crate) fn goes_on_in(&self, groups: &[GroupId], apps: &mut [App]) -> Result<(), Broken> {
        self.crowd.goes_on(groups, apps, &self.fates)
    }

    /// Something is said about a message.
    pub(crate) fn remarked(&mut self, by: Who, spot: Spot, name: MessageId, what: Remark) -> Result<(), Broken> {
        let heard: Heard = match spot {
            Spot::With(..) => None,
            Spot::In(group) => Some(self.crowd.note(group, by)),
        };
        self.fates.told(by, name, what, heard)
    }

    /// The newest message of theirs that this person has, but for the last so many.
    pub(crate) fn newest(&self, reader: Who, author: Who, but: usize) -> Option<LocalId> {
        let incoming = self.incoming.get(&(reader, author))?;
        incoming.iter().filter(|id| !self.fates.is_row_gone(reader, **id)).rev().nth(but).copied()
    }

    /// The same in a group.
    pub(crate) fn newest_in(&self, group: GroupId, reader: Who, but: usize) -> Option<LocalId> {
        let incoming = self.crowd.incoming(group, reader);
        incoming.iter().filter(|id| !self.fates.is_row_gone(reader, **id)).rev().nth(but).copied()
    }

    /// Everything up to there was seen. Of what was seen while its author was a stranger, nobody is told.
    pub(crate) fn read(&mut self, reader: Who, author: Who, through: LocalId, is_contact: bool) {
        let of = if is_contact { &mut self.read } else { &mut self.read_of_stranger };
        let last = of.entry((reader, author)).or_insert(through);
        *last = through.max(*last);
    }

    /// From here on texts of this author may miss this reader.
    pub(crate) fn is_deaf(&mut self, reader: Who, author: Who) {
        self.deaf.insert((reader, author));
    }

    /// A relay has what it had at some time before of this person's mailbox.
    pub(crate) fn is_set_back(&mut self, who: Who, people: usize) {
        self.set_back.insert(who);
        self.deaf.extend((0..people).filter(|author| *author != who).map(|author| (who, author)));
    }

    /// What an app was told, as it is told.
    pub(crate) fn heard(&mut self, who: Who, told: &[Told]) -> Result<(), Broken> {
        let changed = |group: GroupId| told.iter().any(|one| matches!(one, Told::Group(changed) if *changed == group));
        for one in told {
            match one {
                Told::Received { from, id, name, text } => {
                    self.fates.came(who, (*id, *name), text)?;
                    self.received(who, *from, (*id, *name), text)?;
                }
                Told::ReceivedIn { group, from, id, name, text } => {
                    self.fates.came(who, (*id, *name), text)?;
                    self.crowd.received(*group, who, *from, (*id, *name), text)?;
                }
                Told::Group(_) | Told::Gone(_) => {}
                Told::GapIn { group, from, missing } => self.crowd.missing((*group, who, *from), *missing),
                Told::State { id, state } if self.crowd.is_own(who, *id) => {
                    self.crowd.came_to(who, *id, *state, changed)?;
                }
                Told::State { id, state } => self.came_to(who, *id, *state)?,
                Told::Gap { from, missing } => self.gaps.entry((who, *from)).or_default().push(*missing),
                Told::Undecryptable { reason, is_harmless } => {
                    self.undecryptable += 1;
                    *self.crowd.unopened.entry(reason.clone()).or_default() += u64::from(self.has_groups);
                    // Whoever is put out writes until they hear of it, and what a session or a key was missing for is said anew:
                    // that nothing of it is missing in the end is judged by what is shown.
                    let is_due = self.has_groups && *is_harmless;
                    if !is_due && !self.is_evil && !self.set_back.contains(&who) {
                        return Err(format!("{who} was told that something does not open: {reason}"));
                    }
                }
                Told::Alarm(what) => return Err(format!("{who} was told: {what}")),
            }
        }
        Ok(())
    }

    fn received(&mut self, who: Who, from: Who, (id, name): (LocalId, MessageId), text: &str) -> Result<(), Broken> {
        let said = self.said.get(&(from, who)).map_or(&[][..], Vec::as_slice);
        let Some(which) = said.iter().position(|said| *said == name) else {
            return Err(format!("{from} never said to {who}: {text:.60}"));
        };
        let shown = self.shown.entry((who, from)).or_default();
        if shown.contains(&which) {
            return Err(format!("{who} was shown twice: {text:.60}"));
        }
        shown.push(which);
        self.incoming.entry((who, from)).or_default().push(id);
        Ok(())
    }

    fn came_to(&mut self, who: Who, id: LocalId, state: State) -> Result<(), Broken> {
        let Some((to, which)) = self.own.get(&(who, id)).copied() else {
            return Err(format!("{who} was told of a message that they never wrote: {id:?}"));
        };
        let before = self.states.insert((who, id), state).unwrap_or(State::Queued);
        if state <= before {
            return Err(format!("{who} was told that {which} to {to} went from {before:?} to {state:?}"));
        }
        let has_it = self.shown.get(&(to, who)).is_some_and(|shown| shown.contains(&which));
        if state >= State::Delivered && !has_it {
            return Err(format!("{who} was told that {which} to {to} is {state:?}, and {to} does not have it"));
        }
        Ok(())
    }

    /// Once everything has come to rest.
    pub(crate) fn judge(&self, groups: &[GroupId], apps: &mut [App]) -> Result<(), Broken> {
        self.crowd.judge(groups, apps, &self.fates)?;
        for reader in 0..apps.len() {
            for author in (0..apps.len()).filter(|author| *author != reader) {
                let (theirs, ours) = (apps[reader].history(author), apps[author].history(reader));
                let about = |what: String| format!("{author} to {reader}: {what}");
                self.came_once(reader, author, &theirs).map_err(about)?;
                self.gaps_are_told(reader, author).map_err(about)?;
                self.gaps_are_kept(reader, author, &apps[reader].gaps(author)).map_err(about)?;
                self.states_are_true(reader, author, &theirs, &ours).map_err(about)?;
                one_order(&theirs, &ours).map_err(about)?;
                let spot = Spot::of(reader, author);
                let timers = [apps[reader].timer(spot), apps[author].timer(spot)];
                let are_sure = self.is_asked(reader, author, apps) && self.is_asked(author, reader, apps);
                if are_sure && timers[0] != timers[1] {
                    return Err(about(format!("two timers: {timers:?}")));
                }
            }
        }
        let pairs = (0..apps.len()).flat_map(|one| (0..one).map(move |other| Spot::of(one, other)));
        let spots: Vec<Spot> = pairs.chain(groups.iter().map(|group| Spot::In(*group))).collect();
        let people = apps.len();
        let all = (0..people).flat_map(|reader| (0..people).map(move |by| (reader, by)));
        let sure: BTreeSet<(Who, Who)> = all.filter(|(reader, by)| self.is_asked(*reader, *by, apps)).collect();
        self.fates.judge(&self.crowd, &spots, apps, |reader, by| sure.contains(&(reader, by)))
    }

    /// Whether this reader has heard whatever that one says about messages: of a stranger it is asked for once they are
    /// accepted, and who would not hear the reader did not hear that either.
    fn is_asked(&self, reader: Who, author: Who, apps: &mut [App]) -> bool {
        let is_accepted = apps[reader].standing(author) == Some(Standing::Accepted);
        is_accepted && self.is_sure(reader, author) && self.is_sure(author, reader)
    }

    /// Whether this reader hears whatever that one says.
    fn is_sure(&self, reader: Who, author: Who) -> bool {
        !self.is_evil && !self.deaf.contains(&(reader, author))
    }

    /// The history has what was shown and nothing else, in the author's order; and all that was said, if nobody was deaf.
    fn came_once(&self, reader: Who, author: Who, history: &[Line]) -> Result<(), Broken> {
        let said = self.said.get(&(author, reader)).map_or(&[][..], Vec::as_slice);
        let shown = self.shown.get(&(reader, author)).map_or(&[][..], Vec::as_slice);
        let kept: Vec<MessageId> = history.iter().filter(|line| !line.mine).map(|line| line.name).collect();
        let mut sorted = shown.to_vec();
        sorted.sort_unstable();
        let expected = sorted.iter().map(|which| said[*which]);
        let expected: Vec<MessageId> = expected.filter(|name| !self.fates.is_gone(reader, *name)).collect();
        if kept != expected {
            return Err(format!("the history has {} texts, and shown were {shown:?}", kept.len()));
        }
        if self.is_evil || self.deaf.contains(&(reader, author)) {
            return Ok(());
        }
        // What disappears may do so before it leaves.
        let due = (0..said.len()).filter(|which| shown.contains(which) || !self.fates.has_faded(said[*which]));
        match shown.iter().copied().eq(due) {
            true => Ok(()),
            false => Err(format!("{} were said, and shown were {shown:?}", said.len())),
        }
    }

    /// A gap is told when, and only when, a text comes that does not follow the one before.
    fn gaps_are_told(&self, reader: Who, author: Who) -> Result<(), Broken> {
        let mut next = 0;
        let mut expected = Vec::new();
        for which in self.shown.get(&(reader, author)).into_iter().flatten() {
            if *which > next {
                expected.push((which - next) as u64);
            }
            next = next.max(which + 1);
        }
        let told = self.gaps.get(&(reader, author)).cloned().unwrap_or_default();
        let is_right = if self.fates.is_used {
            // What is missing may be something about a message, of which nobody is told that it came.
            let may_miss = !self.is_sure(reader, author) || self.fates.any_faded(author, Spot::of(reader, author));
            told.iter().sum::<u64>() >= expected.iter().sum() && (may_miss || told.is_empty())
        } else {
            told == expected
        };
        match is_right {
            true => Ok(()),
            false => Err(format!("gaps of {expected:?} were to be told, and told were {told:?}")),
        }
    }

    /// What is kept as missing is what did not come before what did.
    fn gaps_are_kept(&self, reader: Who, author: Who, kept: &[u64]) -> Result<(), Broken> {
        let shown: BTreeSet<usize> = self.shown.get(&(reader, author)).into_iter().flatten().copied().collect();
        let mut next = 0;
        let mut missing = Vec::new();
        for which in shown {
            missing.extend(Some((which - next) as u64).filter(|missing| *missing > 0));
            next = which + 1;
        }
        let is_right = if self.fates.is_used {
            // Between texts stands what is said about messages, which may be missing too.
            let may_miss = !self.is_sure(reader, author) || self.fates.any_faded(author, Spot::of(reader, author));
            kept.iter().sum::<u64>() >= missing.iter().sum() && (may_miss || kept.is_empty())
        } else {
            kept == missing
        };
        match is_right {
            true => Ok(()),
            false => Err(format!("missing are {missing:?}, and kept as missing {kept:?}")),
        }
    }

    /// What an author is shown of a text is no more than what became of it; and all of it, if nobody was deaf.
    fn states_are_true(&self, reader: Who, author: Who, theirs: &[Line], ours: &[Line]) -> Result<(), Broken> {
        let is_sure = !self.is_evil && !self.deaf.contains(&(reader, author)) && !self.deaf.contains(&(author, reader));
        let read = self.read.get(&(reader, author));
        let untold = self.read_of_stranger.get(&(reader, author));
        for line in ours.iter().filter(|line| line.mine) {
            let there = theirs.iter().find(|other| !other.mine && other.name == line.name);
            let gone = if self.fates.is_gone(reader, line.name) { State::Read } else { State::Sent };
            let most = there.map_or(gone, |there| there.state);
            // "Everything up to here was seen" says it of one, too, that came late and was not.
            let is_late = || self.came_late(reader, author, line.name);
            if line.state > most && !(line.state == State::Read && most == State::Delivered && is_late()) {
                return Err(format!("{:.20} is {:?} here and {most:?} there", line.text, line.state));
            }
            let told = self.states.get(&(author, line.id)).copied().unwrap_or(State::Queued);
            if line.state != told {
                return Err(format!("{:.20} is {:?}, and {told:?} was told last", line.text, line.state));
            }
            let is_told =
                |id: LocalId| read.is_some_and(|read| id <= *read) && untold.is_none_or(|untold| id > *untold);
            let is_read = there.is_some_and(|there| is_told(there.id));
            let least = if is_read { State::Read } else { State::Delivered };
            if is_sure && line.state < least {
                return Err(format!("{:.20} is {:?}, and should be {least:?}", line.text, line.state));
            }
        }
        Ok(())
    }

    /// Whether a text of the author's that stands behind it came before it.
    fn came_late(&self, reader: Who, author: Who, name: MessageId) -> bool {
        let which = self.said[&(author, reader)].iter().position(|said| *said == name);
        let before = self.shown.get(&(reader, author)).into_iter().flatten();
        before.take_while(|shown| Some(**shown) != which).any(|shown| Some(*shown) > which)
    }

    /// After the last word of everybody: whatever was lost before it is known to be.
    pub(crate) fn goes_on(&self, from: Who, to: Who) -> Result<(), Broken> {
        let last = self.said_to(from, to).checked_sub(1);
        let Some(last) = last else { return Err(format!("{from} never said anything to {to}")) };
        if self.fates.has_faded(self.said[&(from, to)][last]) {
            return Ok(());
        }
        let has_it = self.shown.get(&(to, from)).is_some_and(|shown| shown.contains(&last));
        let (id, _) = self.own.iter().find(|((who, _), at)| *who == from && **at == (to, last)).expect("it was said");
        match (has_it, self.states.get(id)) {
            (true, Some(State::Delivered | State::Read)) => Ok(()),
            (_, state) => Err(format!("{from} cannot talk to {to} any more: their last text is {state:?}, {has_it}")),
        }
    }
}

/// Both have what both have in one order.
fn one_order(theirs: &[Line], ours: &[Line]) -> Result<(), Broken> {
    let common = |of: &[Line], with: &[Line]| -> Vec<MessageId> {
        let others: BTreeSet<MessageId> = with.iter().map(|line| line.name).collect();
        of.iter().map(|line| line.name).filter(|name| others.contains(name)).collect()
    };
    match common(theirs, ours) == common(ours, theirs) {
        true => Ok(()),
        false => Err("both have the conversation in different orders".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(text: &str, name: u8) -> [Told; 1] {
        [Told::Received { from: 0, id: LocalId(1), name: MessageId([name; 16]), text: text.to_owned() }]
    }

    fn kept(number: u8) -> Kept {
        Kept { id: LocalId(number.into()), name: MessageId([number; 16]), until: None }
    }

    fn state(state: State) -> [Told; 1] {
        [Told::State { id: LocalId(1), state }]
    }

    /// 0 has said one thing to 1.
    fn oracle() -> (Oracle, String) {
        let mut oracle = Oracle::new(false, false);
        let text = oracle.text(0, 1, 0);
        oracle.said(0, 1, text.clone(), kept(1));
        (oracle, text)
    }

    #[test]
    fn what_is_shown_twice_or_was_never_said_is_found() {
        let (mut oracle, text) = oracle();
        assert!(oracle.heard(1, &received("something else", 1)).is_err());
        assert!(oracle.heard(2, &received(&text, 1)).is_err(), "it was not said to them");
        assert_eq!(oracle.heard(1, &received(&text, 1)), Ok(()));
        assert!(oracle.heard(1, &received(&text, 1)).is_err());
    }

    #[test]
    fn a_state_that_falls_or_is_too_good_is_found() {
        let (mut oracle, text) = oracle();
        assert_eq!(oracle.heard(0, &state(State::Sent)), Ok(()));
        assert!(oracle.heard(0, &state(State::Delivered)).is_err(), "nobody has it");
        let (mut oracle, _) = self::oracle();
        assert_eq!(oracle.heard(1, &received(&text, 1)), Ok(()));
        assert_eq!(oracle.heard(0, &state(State::Read)), Ok(()));
        assert!(oracle.heard(0, &state(State::Delivered)).is_err());
    }

    #[test]
    fn a_gap_that_is_not_told_and_one_that_is_none_are_found() {
        let (mut oracle, first) = oracle();
        let second = oracle.text(0, 1, 0);
        oracle.said(0, 1, second.clone(), kept(2));
        assert_eq!(oracle.heard(1, &received(&second, 2)), Ok(()));
        assert!(oracle.gaps_are_told(1, 0).is_err());
        assert_eq!(oracle.heard(1, &[Told::Gap { from: 0, missing: 1 }]), Ok(()));
        assert_eq!(oracle.gaps_are_told(1, 0), Ok(()));
        assert_eq!(oracle.heard(1, &received(&first, 1)), Ok(()));
        assert_eq!(oracle.gaps_are_told(1, 0), Ok(()), "one that comes late closes no gap");
        assert_eq!(oracle.heard(1, &[Told::Gap { from: 0, missing: 1 }]), Ok(()));
        assert!(oracle.gaps_are_told(1, 0).is_err());
    }

    #[test]
    fn what_is_kept_as_missing_and_came_or_is_not_kept_and_did_not_is_found() {
        let (mut oracle, _) = oracle();
        for number in 2..=3 {
            let text = oracle.text(0, 1, 0);
            oracle.said(0, 1, text.clone(), kept(number));
            assert_eq!(oracle.heard(1, &received(&text, number)), Ok(()));
        }
        assert_eq!(oracle.gaps_are_kept(1, 0, &[1]), Ok(()));
        assert!(oracle.gaps_are_kept(1, 0, &[]).is_err());
        assert!(oracle.gaps_are_kept(1, 0, &[2]).is_err());
    }
}
