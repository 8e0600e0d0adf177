//! What people do with messages that are there, drawn and carried out: they change them, take them back, feel something
//! about them and pin them, and let what they say from now on disappear.

use crate::act::Said;
use crate::app::{Input, LocalId, Remark, Spot, Who, Wish};
use crate::dice::Dice;
use crate::gather::GROUPS_MAX;
use crate::oracle::Broken;
use crate::sim::Sim;

/// How long what disappears may be seen, in seconds.
const TIMERS: [Option<u32>; 6] = [None, None, Some(30), Some(600), Some(3_600), Some(86_400)];

const FEELINGS: [Option<&str>; 4] = [None, Some("+"), Some("-"), Some("?")];

/// Where: a group, named by when it was founded, or nobody's.
type Group = Option<usize>;

/// One thing that somebody does about what was said, alone with another or in a group.
#[derive(Clone, Debug)]
pub(crate) enum About {
    /// About the message that stands so many before the last one.
    Message {
        who: Who,
        other: Who,
        group: Group,
        back: usize,
        kind: Kind,
    },
    Timer {
        who: Who,
        other: Who,
        group: Group,
        seconds: Option<u32>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Edit,
    TakeBack,
    React(Option<&'static str>),
    Pin(bool),
}

impl About {
    pub(crate) fn drawn(dice: &mut Dice, (who, other): (Who, Who), in_groups: bool) -> Self {
        let group = (in_groups && dice.hits(700)).then(|| dice.place(GROUPS_MAX));
        let kind = match dice.below(10) {
            0..4 => Kind::Edit,
            4 => Kind::TakeBack,
            5..8 => Kind::React(*dice.pick(&FEELINGS)),
            _ => Kind::Pin(dice.hits(700)),
        };
        Self::Message { who, other, group, back: dice.place(6), kind }
    }

    pub(crate) fn drawn_timer(dice: &mut Dice, (who, other): (Who, Who), in_groups: bool) -> Self {
        let group = (in_groups && dice.hits(700)).then(|| dice.place(GROUPS_MAX));
        Self::Timer { who, other, group, seconds: *dice.pick(&TIMERS) }
    }
}

impl Sim<'_> {
    pub(crate) fn about(&mut self, about: About) -> Result<(), Broken> {
        match about {
            About::Message { who, other, group, back, kind } => {
                let Some(spot) = self.spot(who, other, group) else { return Ok(()) };
                let Ok(app) = &mut self.people[who].app else { return Ok(()) };
                let Some(line) = app.lines(who, spot).into_iter().rev().nth(back) else { return Ok(()) };
                let remark = match kind {
                    Kind::Edit => Remark::Edit(self.oracle.fates.edited(line.name)),
                    Kind::TakeBack => Remark::TakeBack,
                    Kind::React(emoji) => Remark::React(emoji.map(str::to_owned)),
                    Kind::Pin(pinned) => Remark::Pin(pinned),
                };
                let said = Said::About(spot, line.name, remark.clone());
                self.wish_saying(who, Wish::Tell(line.id, remark), Some(said))?;
            }
            About::Timer { who, other, group, seconds } => {
                if let Some(spot) = self.spot(who, other, group) {
                    self.oracle.fates.is_used = true;
                    self.wish(who, Wish::Timer(spot, seconds))?;
                }
            }
        }
        Ok(())
    }

    /// A group, or a talk of two. What strangers say about messages is asked for in the end.
    fn spot(&mut self, who: Who, other: Who, group: Group) -> Option<Spot> {
        match group {
            Some(group) => self.groups.get(group).map(|group| Spot::In(*group)),
            None => Some(Spot::of(who, other)),
        }
    }

    /// Somebody has seen what stands there up to this message.
    pub(crate) fn has_seen(&mut self, who: Who, spot: Spot, through: LocalId) {
        let clock = self.clock(who).0;
        let Ok(app) = &mut self.people[who].app else { return };
        let lines = app.lines(who, spot);
        let Some(last) = lines.iter().position(|line| line.id == through) else { return };
        let names: Vec<_> = lines.iter().take(last + 1).map(|line| line.name).collect();
        self.oracle.fates.seen(who, &names, clock);
    }

    /// Everybody reads everything, and time passes until nothing that disappears is left.
    pub(crate) fn fade(&mut self) -> Result<(), Broken> {
        let people = self.people.len();
        let pairs = (0..people).flat_map(|one| (0..one).map(move |other| Spot::of(one, other)));
        let spots: Vec<Spot> = pairs.chain(self.groups.iter().map(|group| Spot::In(*group))).collect();
        for who in 0..people {
            for spot in spots.iter().filter(|spot| spot.is_open_to(who)) {
                let Ok(app) = &mut self.people[who].app else { continue };
                let Some(last) = app.lines(who, *spot).last().map(|line| line.id) else { continue };
                let wish = match spot {
                    Spot::With(one, other) => Wish::MarkRead(if *one == who { *other } else { *one }, last),
                    Spot::In(group) => Wish::ReadIn(*group, last),
                };
                self.wish(who, wish)?;
            }
        }
        self.now += self.oracle.fates.longest_timer_ms();
        for who in 0..people {
            self.tell(who, Input::Tick)?;
        }
        self.rest()?;
        for who in 0..people {
            for spot in spots.iter().filter(|spot| spot.is_open_to(who)) {
                let Ok(app) = &mut self.people[who].app else { continue };
                let lines = app.lines(who, *spot);
                self.oracle.fates.nothing_stays(who, &lines)?;
            }
        }
        Ok(())
    }
}
