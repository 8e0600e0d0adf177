//! What must hold in groups of what a relay that lies kept back: it shows as missing where something later of its author
//! came, whoever has the same changes sees the same group, and once the relay behaves what was lost last is said anew.

use std::collections::BTreeMap;

use crate::app::{App, GroupId, Input, Told, Who};
use crate::crowd::{Crowd, Text};
use crate::fates::Fates;
use crate::oracle::Broken;
use crate::sim::Sim;

/// Longer than anybody writes to a group with one key, by a clock that was set back since: whoever never got that is given the
/// next. And longer than people ask no more for what is missing, because they have asked often.
const LONG_MS: u64 = 8 * 24 * 3600 * 1000;

/// How much was shown as missing, by reader and author, when the relay had begun to behave and nothing was under way.
pub(crate) type Missing = BTreeMap<(GroupId, Who, Who), u64>;

impl Sim<'_> {
    /// Time passes between what a relay did and what people say after it.
    pub(crate) fn wait_long(&mut self) -> Result<(), Broken> {
        if !self.oracle.is_withheld() {
            return Ok(());
        }
        self.now += LONG_MS;
        for who in 0..self.people.len() {
            self.tell(who, Input::Tick)?;
        }
        self.rest()?;
        let (mut missing, people) = (Missing::new(), self.people.len());
        for (reader, device) in self.people.iter_mut().enumerate() {
            let Ok(app) = &mut device.app else { continue };
            for group in &self.groups {
                missing.extend((0..people).map(|author| ((*group, reader, author), app.missing_in(*group, author))));
            }
        }
        self.oracle.crowd.missing_then = Some(missing);
        Ok(())
    }
}

impl Crowd {
    /// Who is out, and was before this, is shown nothing that is said in a group; nor anybody what somebody says who is out, or
    /// only reads, as far as the reader knows.
    pub(crate) fn nobody_out_is_heard_or_hears(&self, who: Who, told: &[Told]) -> Result<(), Broken> {
        for one in told {
            let Told::ReceivedIn { group, from, text, .. } = one else { continue };
            let changed = |other: &Told| matches!(other, Told::Group(changed) if changed == group);
            if told.iter().any(changed) {
                continue;
            }
            let seen = self.seen.get(&(*group, who));
            let has = |whom: &Who| seen.and_then(|seen| seen.members.get(whom));
            if has(&who).is_none() {
                return Err(format!("{who} is out and was shown what {from} said: {text:.60}"));
            }
            if !has(from).is_some_and(|member| member.writes) {
                return Err(format!("{who} was shown what {from} said, who may say nothing there: {text:.60}"));
            }
        }
        Ok(())
    }

    /// Who was put out while they might only read says nothing by which others could see that they have not heard of it. They
    /// are shown nothing either.
    pub(crate) fn is_out_unheard(&self, group: GroupId, who: Who, inside: &[Who]) -> bool {
        let writes = |who: Who| {
            let members = &self.seen[&(group, who)].members;
            members.get(&who).is_some_and(|member| member.writes)
        };
        let knows = |other: &Who| self.seen[&(group, *other)].members.contains_key(&who);
        !writes(who) && !inside.iter().filter(|other| writes(**other)).any(knows)
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
        // Besides texts only what is said about messages is counted; and who was out begins anew with each author.
        let unseen = (0..last).filter(|which| !shown.contains(which)).count() as u64;
        let may_be_more = fates.is_used || self.losses(at.0, at.1) > 0;
        match may_be_more || kept <= unseen {
            true => Ok(()),
            false => Err(format!("{unseen} did not come, and {kept} are shown as missing")),
        }
    }

    /// What was not shown as missing when the relay had begun to behave is not missing once something was said behind it.
    fn is_said_anew(&self, at: (GroupId, Who, Who), fates: &Fates) -> Result<(), Broken> {
        let Some(missing) = &self.missing_then else { return Ok(()) };
        let (due, then) = (self.due(at, fates).count() as u64, missing.get(&at).copied().unwrap_or(0));
        match due <= then {
            true => Ok(()),
            false => Err(format!("{due} are missing, and of these only {then} were when nothing was under way")),
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
        let is_due = move |(which, text): &(usize, &Text)| {
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

#[cfg(test)]
mod tests {
    use hushwire_proto::ids::ChangeHash;

    use super::*;
    use crate::app::{LocalId, Member, MessageId, Seen, Spot};

    const GROUP: GroupId = GroupId([7; 32]);

    const FROM_0_TO_1: (GroupId, Who, Who) = (GROUP, 1, 0);

    fn name(number: u8) -> (LocalId, MessageId) {
        (LocalId(number.into()), MessageId([number; 16]))
    }

    fn seen(members: &[(Who, bool)]) -> Seen {
        let member = |(who, writes): &(Who, bool)| (*who, Member { since: ChangeHash([1; 32]), writes: *writes });
        Seen { members: members.iter().map(member).collect() }
    }

    fn received(number: u8) -> [Told; 1] {
        let (id, name) = name(number);
        [Told::ReceivedIn { group: GROUP, from: 0, id, name, text: String::new() }]
    }

    /// 0 has said two things to 1, who was shown the second.
    fn crowd() -> (Crowd, Fates) {
        let (mut crowd, mut fates) = (Crowd::new(true), Fates::default());
        for who in 0..2 {
            crowd.sees(GROUP, who, seen(&[(0, true), (1, true)]));
        }
        for number in 0..2 {
            fates.said(0, Spot::In(GROUP), number.to_string(), name(number));
            crowd.said(GROUP, 0, name(number));
        }
        crowd.received(GROUP, 1, 0, name(1), "1").unwrap();
        (crowd, fates)
    }

    #[test]
    fn a_gap_in_a_group_that_is_not_told_or_not_kept_and_one_that_is_none_are_found() {
        let (mut crowd, fates) = crowd();
        let judged = |crowd: &Crowd, kept: u64| crowd.is_known_to_miss(FROM_0_TO_1, kept, &fates);
        assert!(judged(&crowd, 1).is_err(), "it was not told");
        crowd.missing(FROM_0_TO_1, 1);
        assert_eq!(judged(&crowd, 1), Ok(()));
        assert!(judged(&crowd, 0).is_err() && judged(&crowd, 2).is_err());
        crowd.received(GROUP, 1, 0, name(0), "0").unwrap();
        assert_eq!(judged(&crowd, 0), Ok(()));
        assert!(judged(&crowd, 1).is_err(), "it came");
    }

    #[test]
    fn what_could_be_said_anew_and_was_not_is_found() {
        let (mut crowd, fates) = crowd();
        crowd.missing_then = Some(Missing::from([(FROM_0_TO_1, 1)]));
        assert_eq!(crowd.is_said_anew(FROM_0_TO_1, &fates), Ok(()), "a relay has that");
        crowd.missing_then = Some(Missing::new());
        assert!(crowd.is_said_anew(FROM_0_TO_1, &fates).is_err());
        crowd.sees(GROUP, 1, seen(&[(1, true)]));
        assert_eq!(crowd.is_said_anew(FROM_0_TO_1, &fates), Ok(()), "they are out");
    }

    #[test]
    fn who_is_out_and_is_heard_or_hears_is_found() {
        let (mut crowd, _) = crowd();
        let judged = |crowd: &Crowd| crowd.nobody_out_is_heard_or_hears(1, &received(1));
        assert_eq!(judged(&crowd), Ok(()));
        for members in [&[][..], &[(1, true)], &[(0, false), (1, true)]] {
            crowd.sees(GROUP, 1, seen(members));
            assert!(judged(&crowd).is_err(), "{members:?}");
        }
    }
}
