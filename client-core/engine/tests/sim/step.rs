//! What people do and what happens to them, one at a time. Something new in the messenger is one more act here, and what
//! must hold of it one more part of the oracle.

use crate::app::Who;
use crate::dice::Dice;
use crate::gather::Gather;
use crate::remark::About;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Days that pass in leaps, all together: less than relays and devices keep what they need for one another.
pub(crate) const LEAPS_MAX_MS: u64 = 29 * DAY;

/// The kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Say,
    Read,
    Accept,
    Add,
    Rename,
    Hurry,
    Block,
    Crash,
    Close,
    Offline,
    Cut,
    Break,
    Jump,
    Leap,
    BackUp,
    SetBack,
    Gather,
    About,
    Timer,
}

/// A server, as one person reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The relay that has this person's mailbox.
    Relay(Who),
    Keyserver,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A text of that many bytes more than it needs to be told from others.
    Say {
        from: Who,
        to: Who,
        bytes: usize,
    },
    /// Somebody sees what came, but not the last so many.
    Read {
        who: Who,
        of: Who,
        but: usize,
    },
    Accept {
        who: Who,
        whom: Who,
    },
    Add {
        who: Who,
        whom: Who,
    },
    Rename {
        who: Who,
        whom: Who,
        number: u64,
    },
    /// The app is told that the network is there.
    Hurry {
        who: Who,
    },
    Block {
        who: Who,
        whom: Who,
    },
    /// The program dies and is there again.
    Crash {
        who: Who,
    },
    /// The program is not running for a while.
    Close {
        who: Who,
        millis: u64,
    },
    /// The program runs and reaches nobody for a while.
    Offline {
        who: Who,
        millis: u64,
    },
    /// One person does not reach one server for a while.
    Cut {
        who: Who,
        place: Place,
        millis: u64,
    },
    /// The connection to the own relay breaks.
    Break {
        who: Who,
    },
    /// A clock is set.
    Jump {
        who: Who,
        millis: i64,
    },
    /// Time passes in which every machine sleeps.
    Leap {
        millis: u64,
    },
    /// An operator makes a copy of what the relay has of a mailbox.
    BackUp {
        of: Who,
    },
    /// The last copy takes the place of what the relay has.
    SetBack {
        of: Who,
    },
    /// Something about a group.
    Gather(Gather),
    /// Something about what was said.
    About(About),
}

impl Step {
    pub(crate) fn drawn(dice: &mut Dice, acts: &[(Act, u64)], people: usize) -> Self {
        let act = dice.weighted(acts);
        let in_groups = acts.iter().any(|(act, _)| *act == Act::Gather);
        let who = dice.place(people);
        let other = (who + 1 + dice.place(people - 1)) % people;
        match act {
            Act::Say => Self::Say { from: who, to: other, bytes: *dice.pick(&[0, 0, 0, 0, 0, 300, 3_000]) },
            Act::Read => Self::Read { who, of: other, but: *dice.pick(&[0, 0, 1, 3]) },
            Act::Accept => Self::Accept { who, whom: other },
            Act::Add => Self::Add { who, whom: other },
            Act::Rename => Self::Rename { who, whom: other, number: dice.below(5) },
            Act::Hurry => Self::Hurry { who },
            Act::Block => Self::Block { who, whom: other },
            Act::Crash => Self::Crash { who },
            Act::Close => Self::Close { who, millis: away(dice) },
            Act::Offline => Self::Offline { who, millis: away(dice) },
            Act::Cut => {
                let place = if dice.hits(300) { Place::Keyserver } else { Place::Relay(dice.place(people)) };
                Self::Cut { who, place, millis: dice.below(5 * MINUTE) }
            }
            Act::Break => Self::Break { who },
            Act::Jump => {
                let back = dice.hits(500);
                let millis = i64::try_from(dice.below(if back { 10 * MINUTE } else { 5 * HOUR })).unwrap();
                Self::Jump { who, millis: if back { -millis } else { millis } }
            }
            Act::Leap => Self::Leap { millis: *dice.pick(&[HOUR, 10 * HOUR, 2 * DAY, 8 * DAY, LEAPS_MAX_MS]) },
            Act::BackUp => Self::BackUp { of: who },
            Act::SetBack => Self::SetBack { of: who },
            Act::Gather => Self::Gather(Gather::drawn(dice, people)),
            Act::About => Self::About(About::drawn(dice, (who, other), in_groups)),
            Act::Timer => Self::About(About::drawn_timer(dice, (who, other), in_groups)),
        }
    }
}

/// How long somebody is away. The long ones pass in leaps.
fn away(dice: &mut Dice) -> u64 {
    let longest = *dice.pick(&[10 * SECOND, 2 * MINUTE, HOUR, LEAPS_MAX_MS]);
    dice.below(longest)
}

/// The time between two steps: mostly as people type, sometimes a while.
pub(crate) fn pause(dice: &mut Dice) -> u64 {
    let longest = dice.weighted(&[(300, 60), (5 * SECOND, 28), (MINUTE, 10), (20 * MINUTE, 2)]);
    dice.below(longest)
}
