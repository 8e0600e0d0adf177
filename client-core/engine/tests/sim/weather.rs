//! What can go wrong in a run, and how often: drawn at its beginning, so that some runs are calm in one way and wild in
//! another.

use crate::dice::Dice;
use crate::sim::Kind;
use crate::step::Act;

/// What each person does all the time, and how often beside the others.
const USE: [(Act, u64); 6] =
    [(Act::Say, 60), (Act::Read, 14), (Act::Accept, 5), (Act::Add, 5), (Act::Rename, 2), (Act::Hurry, 3)];

#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// Calls, replies and connections of a thousand that are lost.
    pub(crate) lost: u64,
    /// Requests of a thousand that reach the server twice.
    pub(crate) doubled: u64,
    /// The longest way of anything, in milliseconds.
    pub(crate) slow_ms: u64,
    /// Inputs of a thousand after which the program dies, with none, some or all of what it asked for on the wire.
    pub(crate) crash: u64,
    /// Deposits and deliveries of a thousand with which the relay does what it likes.
    pub(crate) evil: u64,
    /// What happens, each with its weight.
    pub(crate) acts: Vec<(Act, u64)>,
}

impl Weather {
    pub(crate) fn drawn(dice: &mut Dice, kind: Kind) -> Self {
        let mut acts = USE.to_vec();
        if kind.has_groups() {
            acts.push((Act::Gather, 300));
        }
        for (act, weights) in [
            (Act::Crash, [0, 2, 8]),
            (Act::Close, [0, 2, 5]),
            (Act::Offline, [0, 3, 8]),
            (Act::Cut, [0, 3, 8]),
            (Act::Jump, [0, 2, 6]),
            (Act::Leap, [0, 1, 3]),
            (Act::Break, [0, 3, 8]),
        ] {
            acts.push((act, *dice.pick(&weights)));
        }
        if dice.hits(500) {
            acts.push((Act::About, if kind.has_groups() { 160 } else { 40 }));
            acts.push((Act::Timer, *dice.pick(&[0, 0, 2, 6])));
        }
        if !kind.has_groups() && dice.hits(200) {
            acts.push((Act::Block, 3));
        }
        if !kind.has_groups() && dice.hits(150) {
            acts.extend([(Act::BackUp, 3), (Act::SetBack, 2)]);
        }
        Self {
            lost: *dice.pick(&[0, 10, 60, 200]),
            doubled: *dice.pick(&[0, 10, 100]),
            slow_ms: *dice.pick(&[1, 200, 5_000]),
            crash: *dice.pick(&[0, 5, 30]),
            evil: if kind.is_evil() { *dice.pick(&[50, 200, 600]) } else { 0 },
            acts,
        }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn calm() -> Self {
        Self { lost: 0, doubled: 0, slow_ms: 50, crash: 0, evil: 0, acts: USE.to_vec() }
    }
}
