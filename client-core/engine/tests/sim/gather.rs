//! What people do in groups, drawn and carried out.

use crate::act::Wanted;
use crate::app::{Deed, GroupLink, Rank, Standing, Who, Wish};
use crate::dice::Dice;
use crate::oracle::Broken;
use crate::sim::Sim;

/// Groups of one run.
pub(crate) const GROUPS_MAX: usize = 2;

/// Links that are kept to come in by.
const LINKS_MAX: usize = 6;

/// One thing that people do in groups. A group is named by when it was founded.
#[derive(Clone, Debug)]
pub(crate) enum Gather {
    Found {
        who: Who,
        with: Vec<Who>,
    },
    /// A text of that many bytes more than it needs to be told from others.
    Say {
        who: Who,
        group: usize,
        bytes: usize,
    },
    /// Each of them does something before any hears of it.
    AtOnce {
        group: usize,
        deeds: Vec<(Who, Deed)>,
    },
    Invite {
        who: Who,
        group: usize,
    },
    Join {
        who: Who,
        link: usize,
    },
    /// Somebody sees what came, but not the last so many.
    Read {
        who: Who,
        group: usize,
        but: usize,
    },
}

#[derive(Clone, Copy)]
enum Kind {
    Found,
    Say,
    One,
    AtOnce,
    Invite,
    Join,
    Read,
}

const KINDS: [(Kind, u64); 7] = [
    (Kind::Found, 4),
    (Kind::Say, 50),
    (Kind::One, 22),
    (Kind::AtOnce, 4),
    (Kind::Invite, 4),
    (Kind::Join, 5),
    (Kind::Read, 11),
];

#[derive(Clone, Copy)]
enum DeedKind {
    Add,
    Remove,
    Leave,
    Rank,
    Rename,
}

const DEEDS: [(DeedKind, u64); 5] =
    [(DeedKind::Add, 10), (DeedKind::Remove, 6), (DeedKind::Leave, 2), (DeedKind::Rank, 8), (DeedKind::Rename, 5)];

const RANKS: [(Rank, u64); 4] = [(Rank::ReadOnly, 1), (Rank::Member, 4), (Rank::Admin, 8), (Rank::Owner, 2)];

impl Gather {
    pub(crate) fn drawn(dice: &mut Dice, people: usize) -> Self {
        let (who, group) = (dice.place(people), dice.place(GROUPS_MAX));
        match dice.weighted(&KINDS) {
            Kind::Found => {
                let with = (0..people).filter(|other| *other != who && dice.hits(700)).collect();
                Self::Found { who, with }
            }
            Kind::Say => Self::Say { who, group, bytes: *dice.pick(&[0, 0, 0, 300]) },
            Kind::One => Self::AtOnce { group, deeds: vec![(who, deed(dice, people))] },
            Kind::AtOnce => Self::AtOnce { group, deeds: (0..people).map(|who| (who, deed(dice, people))).collect() },
            Kind::Invite => Self::Invite { who, group },
            Kind::Join => Self::Join { who, link: dice.place(LINKS_MAX) },
            Kind::Read => Self::Read { who, group, but: *dice.pick(&[0, 0, 1, 3]) },
        }
    }
}

fn deed(dice: &mut Dice, people: usize) -> Deed {
    let whom = dice.place(people);
    match dice.weighted(&DEEDS) {
        DeedKind::Add => Deed::Add(whom),
        DeedKind::Remove => Deed::Remove(whom),
        DeedKind::Leave => Deed::Leave,
        DeedKind::Rank => Deed::Rank(whom, dice.weighted(&RANKS)),
        DeedKind::Rename => Deed::Rename(dice.below(5)),
    }
}

impl Sim<'_> {
    pub(crate) fn gather(&mut self, gather: Gather) -> Result<(), Broken> {
        match gather {
            Gather::Found { who, with } => {
                if self.groups.len() < GROUPS_MAX {
                    // Nobody is brought into a group by strangers.
                    let with = with.into_iter().filter(|whom| self.are_friends(who, *whom)).collect();
                    self.wish(who, Wish::Found(format!("group {}", self.groups.len()), with))?;
                }
            }
            Gather::Say { who, group, bytes } => self.say_in(who, group, bytes)?,
            Gather::AtOnce { group, deeds } => {
                let Some(group) = self.groups.get(group).copied() else { return Ok(()) };
                for (who, deed) in deeds {
                    // Whoever is made an admin or an owner is in by that.
                    let brings_in = match deed {
                        Deed::Add(whom) | Deed::Rank(whom, Rank::Admin | Rank::Owner) if whom != who => Some(whom),
                        _ => None,
                    };
                    if brings_in.is_none_or(|whom| self.are_friends(who, whom)) {
                        self.wish(who, Wish::Do(group, deed))?;
                    }
                }
            }
            Gather::Invite { who, group } => {
                if let Some(group) = self.groups.get(group).copied() {
                    self.wish(who, Wish::Invite(group))?;
                }
            }
            Gather::Join { who, link } => {
                if let Some(link) = self.links.get(link).cloned() {
                    self.wish(who, Wish::Join(Box::new(link)))?;
                }
            }
            Gather::Read { who, group, but } => {
                if let Some(group) = self.groups.get(group).copied()
                    && let Some(through) = self.oracle.newest_in(group, who, but)
                {
                    self.wish(who, Wish::ReadIn(group, through))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn say_in(&mut self, who: Who, group: usize, bytes: usize) -> Result<(), Broken> {
        let Some(group) = self.groups.get(group).copied() else { return Ok(()) };
        let text = self.oracle.crowd.text(group, who, bytes);
        self.wish(who, Wish::SayIn(group, text))?;
        Ok(())
    }

    /// What came of a wish about a group.
    pub(crate) fn came_of(&mut self, wanted: Wanted) {
        match wanted {
            Wanted::Group(group) => self.groups.push(group),
            Wanted::Link(link) => self.keep_link(*link),
        }
    }

    fn keep_link(&mut self, link: GroupLink) {
        if self.links.len() == LINKS_MAX {
            self.links.remove(0);
        }
        self.links.push(link);
    }

    fn are_friends(&mut self, one: Who, other: Who) -> bool {
        let mut knows = |who: Who, whom: Who| self.standing(who, whom) == Some(Standing::Accepted);
        one != other && knows(one, other) && knows(other, one)
    }
}
