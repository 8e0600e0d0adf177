//! What must hold in groups: judged from what people said, whom they saw as members when they said it, and what their
//! apps told.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::{App, GroupId, LocalId, Member, MessageId, Seen, State, Who};
use crate::fates::Fates;
use crate::oracle::Broken;
use crate::withheld::Missing;

/// Whom somebody saw as members, and how often each had been seen to lose something by then.
pub(crate) type Audience = BTreeMap<Who, (Member, u64)>;

/// A text to a group.
pub(crate) struct Text {
    pub(crate) name: MessageId,
    id: LocalId,
    pub(crate) to: Audience,
}

#[derive(Default)]
pub(crate) struct Crowd {
    pub(crate) texts: BTreeMap<(GroupId, Who), Vec<Text>>,
    /// Which of them came, by reader and author, in the order in which they were shown.
    pub(crate) shown: BTreeMap<(GroupId, Who, Who), Vec<usize>>,
    own: BTreeMap<(Who, LocalId), (GroupId, usize)>,
    states: BTreeMap<(Who, LocalId), State>,
    incoming: BTreeMap<(GroupId, Who), Vec<LocalId>>,
    /// How each person sees each group now.
    pub(crate) seen: BTreeMap<(GroupId, Who), Seen>,
    /// How often somebody was seen, by anybody, to be in a group no longer, or to write there no longer.
    lost: BTreeMap<(GroupId, Who), u64>,
    /// Who was in when something was said about a message.
    noted: Vec<Audience>,
    /// How much was told as missing, by reader and author.
    pub(crate) gaps_of: BTreeMap<(GroupId, Who, Who), u64>,
    /// Once a relay that lied has begun to behave.
    pub(crate) missing_then: Option<Missing>,
    /// What did not open, by reason.
    pub(crate) unopened: BTreeMap<String, u64>,
    /// Whether a relay lies: then what was said need not come.
    is_evil: bool,
}

impl Crowd {
    pub(crate) fn new(is_evil: bool) -> Self {
        Self { is_evil, ..Self::default() }
    }

    /// A text that nobody else says, with so many bytes behind it.
    pub(crate) fn text(&self, group: GroupId, who: Who, bytes: usize) -> String {
        let said = self.texts.get(&(group, who)).map_or(0, Vec::len);
        format!("{who} in {:02x}{:02x}: {said}{}", group.0[0], group.0[1], ".".repeat(bytes))
    }

    /// It is kept as this message.
    pub(crate) fn said(&mut self, group: GroupId, who: Who, (id, name): (LocalId, MessageId)) {
        let to = self.audience(group, who);
        let texts = self.texts.entry((group, who)).or_default();
        self.own.insert((who, id), (group, texts.len()));
        texts.push(Text { name, id, to });
    }

    fn audience(&self, group: GroupId, who: Who) -> Audience {
        let members = self.seen.get(&(group, who)).map(|seen| seen.members.clone()).unwrap_or_default();
        members.into_iter().map(|(who, member)| (who, (member, self.losses(group, who)))).collect()
    }

    /// Notes whom this person says something to.
    pub(crate) fn note(&mut self, group: GroupId, who: Who) -> usize {
        self.noted.push(self.audience(group, who));
        self.noted.len() - 1
    }

    /// Whether what was said then has come to that reader for sure.
    pub(crate) fn heard(&self, group: GroupId, noted: usize, by: Who, reader: Who) -> bool {
        let to = &self.noted[noted];
        !self.is_evil && self.stayed(group, to, reader, reader) && self.stayed(group, to, by, reader)
    }

    /// Whether somebody was in all the time since something was said to these, as this reader sees it, and could write.
    pub(crate) fn stayed(&self, group: GroupId, to: &Audience, who: Who, reader: Who) -> bool {
        let Some(now) = self.seen.get(&(group, reader)) else { return false };
        to.get(&who).is_some_and(|(then, losses)| {
            (then.writes || who == reader)
                && *losses == self.losses(group, who)
                && now.members.get(&who).is_some_and(|now| now.since == then.since)
        })
    }

    /// What came of others, in the order in which it was shown.
    pub(crate) fn incoming(&self, group: GroupId, reader: Who) -> &[LocalId] {
        self.incoming.get(&(group, reader)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_own(&self, who: Who, id: LocalId) -> bool {
        self.own.contains_key(&(who, id))
    }

    pub(crate) fn missing(&mut self, at: (GroupId, Who, Who), missing: u64) {
        *self.gaps_of.entry(at).or_default() += missing;
    }

    pub(crate) fn gaps(&self) -> u64 {
        self.gaps_of.values().sum()
    }

    /// How this person sees the group from now on.
    pub(crate) fn sees(&mut self, group: GroupId, who: Who, now: Seen) {
        let before = self.seen.insert((group, who), now).unwrap_or_default();
        let now = &self.seen[&(group, who)];
        for (other, was) in before.members {
            let less = now.members.get(&other).is_none_or(|is| is.since != was.since || (was.writes && !is.writes));
            if less {
                *self.lost.entry((group, other)).or_default() += 1;
            }
        }
    }

    pub(crate) fn losses(&self, group: GroupId, who: Who) -> u64 {
        self.lost.get(&(group, who)).copied().unwrap_or(0)
    }

    pub(crate) fn received(
        &mut self,
        group: GroupId,
        reader: Who,
        author: Who,
        (id, name): (LocalId, MessageId),
        text: &str,
    ) -> Result<(), Broken> {
        let said = self.texts.get(&(group, author)).map_or(&[][..], Vec::as_slice);
        let Some(which) = said.iter().position(|said| said.name == name) else {
            return Err(format!("{author} never said to the group what {reader} was shown: {text:.60}"));
        };
        if !said[which].to.contains_key(&reader) {
            return Err(format!("{reader} was shown what {author} said when {reader} was not in: {text:.60}"));
        }
        let shown = self.shown.entry((group, reader, author)).or_default();
        if shown.contains(&which) {
            return Err(format!("{reader} was shown twice: {text:.60}"));
        }
        shown.push(which);
        self.incoming.entry((group, reader)).or_default().push(id);
        Ok(())
    }

    /// `changed`: whether a group became another one by the same input. Who was in it when the state was told, somebody
    /// perhaps out and in again by then, is not to be seen from here.
    pub(crate) fn came_to(
        &mut self,
        who: Who,
        id: LocalId,
        state: State,
        changed: impl Fn(GroupId) -> bool,
    ) -> Result<(), Broken> {
        let (group, which) = self.own[&(who, id)];
        let before = self.states.insert((who, id), state).unwrap_or(State::Queued);
        if state <= before {
            return Err(format!("{who} was told that {which} in a group went from {before:?} to {state:?}"));
        }
        if state < State::Delivered || changed(group) {
            return Ok(());
        }
        let now = &self.seen[&(group, who)].members;
        let text = &self.texts[&(group, who)][which];
        for (reader, _) in text.to.iter().filter(|(reader, (member, losses))| {
            let is_in = now.get(reader).is_some_and(|now| now.since == member.since);
            **reader != who && is_in && *losses == self.losses(group, **reader)
        }) {
            if !self.has(group, *reader, who, which) {
                return Err(format!("{who} was told that {which} is {state:?}, and {reader} does not have it"));
            }
        }
        Ok(())
    }

    fn has(&self, group: GroupId, reader: Who, author: Who, which: usize) -> bool {
        self.shown.get(&(group, reader, author)).is_some_and(|shown| shown.contains(&which))
    }

    /// Once everything has come to rest.
    pub(crate) fn judge(&self, groups: &[GroupId], apps: &mut [App], fates: &Fates) -> Result<(), Broken> {
        for group in groups {
            for reader in 0..apps.len() {
                for author in (0..apps.len()).filter(|author| *author != reader) {
                    let about = |what: String| format!("{author} to {reader} in a group: {what}");
                    self.came_once((*group, reader, author), &mut apps[reader], fates).map_err(about)?;
                }
            }
        }
        if self.is_evil { self.judge_withheld(groups, apps, fates) } else { Ok(()) }
    }

    /// The history has what was shown and nothing else, in the author's order, and all that was said while both were in.
    fn came_once(
        &self,
        (group, reader, author): (GroupId, Who, Who),
        app: &mut App,
        fates: &Fates,
    ) -> Result<(), Broken> {
        let said = self.texts.get(&(group, author)).map_or(&[][..], Vec::as_slice);
        let shown = self.shown.get(&(group, reader, author)).map_or(&[][..], Vec::as_slice);
        let kept = app.said_in(group, author);
        let sorted: BTreeSet<usize> = shown.iter().copied().collect();
        let expected = sorted.iter().map(|which| said[*which].name);
        let expected: Vec<MessageId> = expected.filter(|name| !fates.is_gone(reader, *name)).collect();
        if kept != expected {
            return Err(format!("the history has {} texts, and shown were {shown:?}", kept.len()));
        }
        if self.is_evil {
            return Ok(());
        }
        let stayed = |text: &Text, who: Who| self.stayed(group, &text.to, who, reader);
        for (which, text) in said.iter().enumerate() {
            // What was taken back or has disappeared is said to nobody who missed it.
            if fates.has_faded(text.name) || fates.is_taken_back(text.name) {
                continue;
            }
            if stayed(text, reader) && stayed(text, author) && !sorted.contains(&which) {
                return Err(format!("{} were said, {which} was not shown; shown were {shown:?}", said.len()));
            }
        }
        Ok(())
    }

    /// After the last words: everybody who is in sees the same group, hears all others, and knows it.
    pub(crate) fn goes_on(&self, groups: &[GroupId], apps: &mut [App], fates: &Fates) -> Result<(), Broken> {
        for group in groups {
            let whole: Vec<_> = apps.iter_mut().map(|app| app.whole(*group)).collect();
            let all: Vec<Who> = (0..whole.len()).filter(|who| whole[*who].0).collect();
            let hears = |who: &Who| !self.is_evil || !self.is_out_unheard(*group, *who, &all);
            let inside: Vec<Who> = all.iter().copied().filter(hears).collect();
            let Some(first) = inside.first().copied() else { continue };
            for who in &inside {
                if whole[*who] != whole[first] {
                    return Err(format!("{who} and {first} see different groups"));
                }
            }
            let members: Vec<Who> = self.seen[&(*group, first)].members.keys().copied().collect();
            if members != inside {
                return Err(format!("{members:?} are in a group, and {inside:?} think that they are"));
            }
            for author in inside.iter().filter(|who| self.seen[&(*group, first)].members[*who].writes) {
                let Some(last) = self.texts.get(&(*group, *author)).and_then(|texts| texts.last()) else {
                    return Err(format!("{author} never said anything in a group"));
                };
                let state = self.states.get(&(*author, last.id));
                if fates.has_faded(last.name) {
                    continue;
                }
                if members.len() > 1 && state.is_none_or(|state| *state < State::Delivered) {
                    return Err(format!("the last text of {author} in a group is {state:?}"));
                }
            }
        }
        Ok(())
    }
}
