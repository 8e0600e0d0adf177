//! What must hold in groups of what a relay that lies kept back: it shows as missing where something later of its author
//! came, whoever has the same changes sees the same group, and once the relay behaves what was lost last is said anew.

use std::collections::BTreeMap;

use crate::app::{App, GroupId, Input, Told, Who};
use crate::crowd::Crowd;
use crate::fates::Fates;
use crate::oracle::Broken;
use crate::sim::Sim;

/// Longer than people ask no more for what is missing, because they have asked often: a day.
const NIGHT_MS: u64 = 25 * 3600 * 1000;

/// How far each reader had come with each author in each group, by the places of their texts, when the relay had begun to
/// behave and nothing was under way.
pub(crate) type Reached = BTreeMap<(GroupId, Who, Who), usize>;

impl Sim<'_> {
    /// Time passes between what a relay did and what people say after it.
    pub(crate) fn sleep_on_it(&mut self) -> Result<(), Broken> {
        if !self.oracle.is_withheld() {
            return Ok(());
        }
        self.now += NIGHT_MS;
        for who in 0..self.people.len() {
            self.tell(who, Input::Tick)?;
        }
        self.rest()?;
        self.oracle.crowd.note_reached();
        Ok(())
    }
}

impl Crowd {
    fn note_reached(&mut self) {
        let last = |shown: &Vec<usize>| shown.iter().max().map_or(0, |last| last + 1);
        self.reached = Some(self.shown.iter().map(|(at, shown)| (*at, last(shown))).collect());
    }

    /// Who is out, and was before this, is shown nothing that is said in a group.
    pub(crate) fn nobody_out_reads(&self, who: Who, told: &[Told]) -> Result<(), Broken> {
        for one in told {
            let Told::ReceivedIn { group, from, text, .. } = one else { continue };
            let is_in = self.seen.get(&(*group, who)).is_some_and(|seen| seen.members.contains_key(&who));
            let changed = |other: &Told| matches!(other, Told::Group(changed) if changed == group);
            if !is_in && !told.iter().any(changed) {
                return Err(format!("{who} is out and was shown what {from} said: {text:.60}"));
            }
        }
        Ok(())
    }

    /// Once everything has come to rest.
    pub(crate) fn judge_withheld(&self, groups: &[GroupId], apps: &mut [App], fates: &Fates) -> Result<(), Broken> {
        for group in groups {
            one_set_one_group(*group, apps)?;
            for reader in 0..apps.len() {
                for author in (0..apps.len()).filter(|author| *author != reader) {
                    let kept = apps[reader].missing_in(*group, author);
                    let at = (*group, reader, author);
                    let about = |what: String| format!("{author} to {reader} in a group: {what}");
                    self.is_known_to_miss(at, kept, fates).map_err(about)?;
                    self.is_said_anew(at, fates).map_err(about)?;
                }
            }
        }
        Ok(())
    }

    /// What did not come before something that did was told as missing, and shows so until it comes.
    fn is_known_to_miss(&self, at: (GroupId, Who, Who), kept: u64, fates: &Fates) -> Result<(), Broken> {
        let shown = self.shown.get(&at).map_or(&[][..], Vec::as_slice);
        let last = shown.iter().max().copied().unwrap_or(0);
        let due = self.due(at, fates).filter(|which| *which < last).count() as u64;
        let told = self.gaps_of.get(&at).copied().unwrap_or(0);
        if kept < due || told < due {
            return Err(format!("{due} are missing, {told} were told and {kept} are shown as missing"));
        }
        // Besides texts only what is said about messages is counted.
        let unseen = (0..last).filter(|which| !shown.contains(which)).count() as u64;
        match fates.is_used || kept <= unseen {
            true => Ok(()),
            false => Err(format!("{unseen} did not come, and {kept} are shown as missing")),
        }
    }

    /// Of what the reader had not come to when the relay began to behave, nothing is missing once something was said behind it.
    fn is_said_anew(&self, at: (GroupId, Who, Who), fates: &Fates) -> Result<(), Broken> {
        let Some(reached) = &self.reached else { return Ok(()) };
        let from = reached.get(&at).copied().unwrap_or(0);
        match self.due(at, fates).find(|which| *which >= from) {
            Some(which) => Err(format!("{which} was not said anew, and everything before {from} was settled")),
            None => Ok(()),
        }
    }

    /// What of an author's should have come to a reader, and did not.
    fn due<'a>(
        &'a self,
        at @ (group, reader, author): (GroupId, Who, Who),
        fates: &'a Fates,
    ) -> impl Iterator<Item = usize> + 'a {
        let said = self.texts.get(&(group, author)).map_or(&[][..], Vec::as_slice);
        let shown = self.shown.get(&at).map_or(&[][..], Vec::as_slice);
        let is_due = move |(which, text): &(usize, &crate::crowd::Text)| {
            let stayed = |who: Who| self.stayed(group, &text.to, who, reader);
            let is_there = !fates.has_faded(text.name) && !fates.is_taken_back(text.name);
            is_there && stayed(reader) && stayed(author) && !shown.contains(which)
        };
        said.iter().enumerate().filter(is_due).map(|(which, _)| which)
    }
}

/// Who has the same changes sees the same group, whether in it or not.
fn one_set_one_group(group: GroupId, apps: &mut [App]) -> Result<(), Broken> {
    let mut known = BTreeMap::new();
    for (who, app) in apps.iter_mut().enumerate() {
        let Some((changes, group)) = app.changes(group) else { continue };
        let (other, theirs) = known.entry(changes).or_insert_with(|| (who, group.clone()));
        if *theirs != group {
            return Err(format!("{who} and {other} have the same changes and see different groups"));
        }
    }
    Ok(())
}
