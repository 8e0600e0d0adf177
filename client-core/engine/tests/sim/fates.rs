//! What became of each message: what its author and others said about it, and when it was to disappear; and what must be
//! seen of that. A message is known by its id, since its text changes.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_engine::PINS_MAX;

use crate::app::{App, Line, LocalId, MessageId, Remark, Spot, Who};
use crate::crowd::Crowd;
use crate::oracle::Broken;

/// Who may be expected to hear something: by the number under which the group's members were noted; in a talk of two, both.
pub(crate) type Heard = Option<usize>;

/// What somebody said about a message.
struct Told {
    by: Who,
    what: Remark,
    heard: Heard,
}

struct Fate {
    author: Who,
    spot: Spot,
    text: String,
    told: Vec<Told>,
    timer_ms: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Fates {
    all: BTreeMap<MessageId, Fate>,
    rows: BTreeMap<(Who, LocalId), MessageId>,
    /// Until when somebody sees a message that disappears, by their clock.
    running: BTreeMap<(Who, MessageId), u64>,
    gone: BTreeSet<(Who, MessageId)>,
    /// Whether anything was said about messages, or disappears: then what is missing need not be a text.
    pub(crate) is_used: bool,
}

impl Fates {
    /// It is kept.
    pub(crate) fn said(&mut self, author: Who, spot: Spot, text: String, (id, name): (LocalId, MessageId)) {
        self.rows.insert((author, id), name);
        self.all.insert(name, Fate { author, spot, text, told: Vec::new(), timer_ms: None });
    }

    /// It disappears.
    pub(crate) fn fades(&mut self, author: Who, name: MessageId, clock: u64, timer_ms: u64) {
        self.is_used = true;
        self.all.get_mut(&name).expect("it was said").timer_ms = Some(timer_ms);
        self.running.insert((author, name), clock + timer_ms);
    }

    /// It came, and says this.
    pub(crate) fn came(&mut self, who: Who, (id, name): (LocalId, MessageId), text: &str) -> Result<(), Broken> {
        self.rows.insert((who, id), name);
        let Some(fate) = self.all.get(&name) else { return Err(format!("nobody said to {who}: {text:.60}")) };
        match fate.texts().any(|known| known == text) || (text.is_empty() && fate.is_taken_back()) {
            true => Ok(()),
            false => Err(format!("{} never said to {who}: {text:.60}", fate.author)),
        }
    }

    /// Another text for it, which nobody else says.
    pub(crate) fn edited(&self, name: MessageId) -> String {
        let fate = &self.all[&name];
        format!("{} edit {}", fate.text, fate.told.len())
    }

    /// Somebody says that about it.
    pub(crate) fn told(&mut self, by: Who, name: MessageId, what: Remark, heard: Heard) -> Result<(), Broken> {
        self.is_used = true;
        let fate = self.all.get_mut(&name).expect("it was said");
        if matches!(what, Remark::Edit(_) | Remark::TakeBack) && by != fate.author {
            return Err(format!("{by} changed what {} said: {what:?}", fate.author));
        }
        fate.told.push(Told { by, what, heard });
        Ok(())
    }

    /// Somebody saw these.
    pub(crate) fn seen(&mut self, who: Who, names: &[MessageId], clock: u64) {
        for name in names {
            let Some(fate) = self.all.get(name).filter(|fate| fate.author != who) else { continue };
            if let Some(timer_ms) = fate.timer_ms {
                self.running.entry((who, *name)).or_insert(clock + timer_ms);
            }
        }
    }

    /// Somebody's program did something at that time of theirs. A clock that went back makes nothing stay longer.
    pub(crate) fn passes(&mut self, who: Who, clock: u64, gone: &[LocalId]) -> Result<(), Broken> {
        for ((whose, name), until) in &mut self.running {
            if *whose == who && !self.gone.contains(&(who, *name)) {
                *until = (*until).min(clock + self.all[name].timer_ms.unwrap_or(0));
                if *until <= clock {
                    self.gone.insert((who, *name));
                }
            }
        }
        match gone.iter().find(|id| self.rows.get(&(who, **id)).is_none_or(|name| !self.is_gone(who, *name))) {
            Some(id) => Err(format!("{who} was told that {id:?} has disappeared, and its time has not come")),
            None => Ok(()),
        }
    }

    pub(crate) fn is_gone(&self, who: Who, name: MessageId) -> bool {
        self.gone.contains(&(who, name))
    }

    /// Whether it was to be seen by its author only for a while, and is not any more: then it may never have left.
    pub(crate) fn has_faded(&self, name: MessageId) -> bool {
        self.is_gone(self.all[&name].author, name)
    }

    /// Whether its author has taken it back: then it is not said anew.
    pub(crate) fn is_taken_back(&self, name: MessageId) -> bool {
        self.all[&name].is_taken_back()
    }

    /// Whether that row is one of a message that has disappeared.
    pub(crate) fn is_row_gone(&self, who: Who, id: LocalId) -> bool {
        self.rows.get(&(who, id)).is_some_and(|name| self.is_gone(who, *name))
    }

    /// Whether something disappeared for somebody who said it in that place: what was about it was perhaps not sent.
    pub(crate) fn any_faded(&self, author: Who, spot: Spot) -> bool {
        self.gone.iter().any(|(who, name)| *who == author && self.all[name].spot == spot)
    }

    /// Once everything has come to rest. `is_sure`: whether a reader heard whatever an author said to them alone.
    pub(crate) fn judge(
        &self,
        crowd: &Crowd,
        spots: &[Spot],
        apps: &mut [App],
        is_sure: impl Fn(Who, Who) -> bool,
    ) -> Result<(), Broken> {
        // Whose row says whether it is pinned, and whether that one shows as many as are pinned at a time.
        let mut pins: BTreeMap<MessageId, (Who, bool, bool)> = BTreeMap::new();
        for (reader, app) in apps.iter_mut().enumerate() {
            for spot in spots.iter().filter(|spot| spot.is_open_to(reader)) {
                let lines = app.lines(reader, *spot);
                let pinned = lines.iter().filter(|line| line.pinned).count();
                if pinned > PINS_MAX {
                    return Err(format!("{reader} sees {pinned} messages pinned"));
                }
                for line in lines {
                    let Some(fate) = self.all.get(&line.name) else {
                        return Err("nobody said what is there".to_owned());
                    };
                    // What is about a message that is gone is not sent any more.
                    let is_sent = |told: &Told| match (told.heard, fate.spot) {
                        _ if self.is_gone(told.by, line.name) => false,
                        (Some(noted), Spot::In(group)) => crowd.heard(group, noted, told.by, reader),
                        _ => is_sure(reader, told.by),
                    };
                    let hears = |told: &Told| told.by == reader || is_sent(told);
                    fate.is_seen(&line, hears).map_err(|why| format!("{reader} sees of {:.40}: {why}", fate.text))?;
                    if !line.deleted
                        && fate.told.iter().filter(|told| matches!(told.what, Remark::Pin(_))).all(hears)
                        && let is_full = pinned == PINS_MAX
                        && let Some((other, is_theirs, theirs_full)) =
                            pins.insert(line.name, (reader, line.pinned, is_full))
                        // Others may stand in its place that have disappeared from the other one already.
                        && is_theirs != line.pinned
                        && !(if is_theirs { is_full } else { theirs_full })
                    {
                        return Err(format!("{reader} and {other} do not agree whether it is pinned: {}", fate.text));
                    }
                }
            }
            for (_, name) in self.gone.iter().filter(|(who, _)| *who == reader) {
                if app.finds(&self.all[name].text, *name) {
                    return Err(format!("{reader} finds what has disappeared: {}", self.all[name].text));
                }
            }
        }
        Ok(())
    }

    /// After everybody has read everything, and its time has passed.
    pub(crate) fn nothing_stays(&self, who: Who, lines: &[Line]) -> Result<(), Broken> {
        match lines.iter().find(|line| self.all[&line.name].timer_ms.is_some()) {
            Some(line) => Err(format!("{who} still sees what should have disappeared: {:.60}", line.text)),
            None => Ok(()),
        }
    }

    pub(crate) fn longest_timer_ms(&self) -> u64 {
        self.all.values().filter_map(|fate| fate.timer_ms).max().unwrap_or(0)
    }
}

impl Fate {
    fn texts(&self) -> impl Iterator<Item = &str> {
        let edits = self.told.iter().filter_map(|told| match &told.what {
            Remark::Edit(text) => Some(text.as_str()),
            _ => None,
        });
        [self.text.as_str()].into_iter().chain(edits)
    }

    fn is_taken_back(&self) -> bool {
        self.told.iter().any(|told| told.what == Remark::TakeBack)
    }

    fn is_seen(&self, line: &Line, hears: impl Fn(&Told) -> bool) -> Result<(), Broken> {
        let taken_back = self.told.iter().find(|told| told.what == Remark::TakeBack);
        if line.deleted {
            let is_bare = line.text.is_empty() && line.edits.is_empty() && line.reactions.is_empty() && !line.pinned;
            return match (taken_back, is_bare) {
                (None, _) => Err("taken back, and it was not".to_owned()),
                (Some(_), false) => Err(format!("taken back, and something of it stays: {line:.200?}")),
                (Some(_), true) => Ok(()),
            };
        }
        if taken_back.is_some_and(&hears) {
            return Err(format!("it was taken back, and is there: {:.60}", line.text));
        }
        // The author says one after the other: at least the last that was heard holds, or one after it.
        let edits: Vec<&Told> = self.told.iter().filter(|told| matches!(told.what, Remark::Edit(_))).collect();
        let least = edits.iter().rposition(|told| hears(told)).map_or(0, |place| place + 1);
        if !self.texts().skip(least).any(|text| text == line.text) {
            return Err(format!("`{:.60}`, and {least} of {} edits were heard", line.text, edits.len()));
        }
        if line.edits.first().is_some_and(|first| *first != self.text) {
            return Err(format!("that it once said `{:.60}`", line.edits[0]));
        }
        self.reactions_are(line, hears)
    }

    /// Of each person the last counts.
    fn reactions_are(&self, line: &Line, hears: impl Fn(&Told) -> bool) -> Result<(), Broken> {
        let mut last: BTreeMap<Who, (&str, bool)> = BTreeMap::new();
        let mut ever: BTreeSet<(&str, Who)> = BTreeSet::new();
        for told in &self.told {
            if let Remark::React(emoji) = &told.what {
                let emoji = emoji.as_deref().unwrap_or_default();
                last.insert(told.by, (emoji, hears(told)));
                ever.insert((emoji, told.by));
            }
        }
        for emoji in ever.iter().map(|(emoji, _)| *emoji).filter(|emoji| !emoji.is_empty()) {
            let shown = line.reactions.get(emoji).copied().unwrap_or(0);
            let least = last.values().filter(|(last, hears)| *last == emoji && *hears).count();
            let most = ever.iter().filter(|(one, _)| *one == emoji).count();
            let changed_their_mind = |(who, (last, hears)): &(&Who, &(&str, bool))| {
                *last != emoji && *hears && ever.contains(&(emoji, **who))
            };
            let most = most - last.iter().filter(changed_their_mind).count();
            if shown < least || shown > most {
                return Err(format!("{shown} times {emoji}, and {least} to {most} are due"));
            }
        }
        match line.reactions.keys().find(|emoji| !ever.iter().any(|(one, _)| one == emoji)) {
            Some(emoji) => Err(format!("{emoji}, and nobody said so")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::State;

    const NAME: MessageId = MessageId([1; 16]);

    /// 0 has said one thing to 1.
    fn fates() -> Fates {
        let mut fates = Fates::default();
        fates.said(0, Spot::of(0, 1), "first".to_owned(), (LocalId(1), NAME));
        fates
    }

    fn line(text: &str) -> Line {
        Line {
            mine: false,
            name: NAME,
            text: text.to_owned(),
            state: State::Delivered,
            id: LocalId(1),
            deleted: false,
            pinned: false,
            reactions: BTreeMap::new(),
            edits: Vec::new(),
        }
    }

    #[test]
    fn what_is_not_as_it_was_said_last_is_found() {
        let mut fates = fates();
        assert!(fates.told(1, NAME, Remark::Edit("theirs".to_owned()), None).is_err(), "it is not theirs");
        fates.told(0, NAME, Remark::Edit("second".to_owned()), None).unwrap();
        fates.told(1, NAME, Remark::React(Some("+".to_owned())), None).unwrap();
        let seen = |line: &Line, hears: bool| fates.all[&NAME].is_seen(line, |_| hears);
        let liked = |text: &str| Line { reactions: BTreeMap::from([("+".to_owned(), 1)]), ..line(text) };
        assert_eq!(seen(&liked("second"), true), Ok(()));
        assert!(seen(&liked("first"), true).is_err() && seen(&line("second"), true).is_err());
        assert_eq!(seen(&line("first"), false), Ok(()), "nobody heard of it");
        assert!(seen(&line("third"), false).is_err());
        assert!(seen(&Line { deleted: true, ..line("") }, true).is_err());
    }

    #[test]
    fn what_stays_of_a_message_that_was_taken_back_is_found() {
        let mut fates = fates();
        fates.told(0, NAME, Remark::TakeBack, None).unwrap();
        let seen = |line: &Line| fates.all[&NAME].is_seen(line, |_| true);
        assert_eq!(seen(&Line { deleted: true, ..line("") }), Ok(()));
        assert!(seen(&line("first")).is_err());
        assert!(seen(&Line { deleted: true, edits: vec!["first".to_owned()], ..line("") }).is_err());
    }

    #[test]
    fn what_disappears_before_its_time_or_stays_is_found() {
        let mut fates = fates();
        fates.fades(0, NAME, 1000, 500);
        assert!(fates.passes(0, 1499, &[LocalId(1)]).is_err());
        assert_eq!(fates.passes(0, 1500, &[LocalId(1)]), Ok(()));
        assert!(fates.is_gone(0, NAME) && !fates.is_gone(1, NAME));
        assert!(fates.nothing_stays(1, &[line("first")]).is_err());
    }
}
