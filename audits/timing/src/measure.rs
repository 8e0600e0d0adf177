//! Measuring one act with inputs of two classes, drawn at random and mixed.
//!
//! The inputs of a round are all made before the first is timed, each in memory of its own, so that only the act lies
//! between the two looks at the clock.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::welch::{self, Verdict};

/// Above it two classes are told apart for sure.
pub(crate) const LEAK: f64 = 10.0;

/// Above it there may be something: more is measured.
pub(crate) const SUSPICIOUS: f64 = 4.5;

/// However long it takes, so many durations: enough for every cut that matters.
const DURATIONS_MIN: usize = 20_000;

/// Inputs made at once.
const ROUND: usize = 500;

/// How often a suspicious act, or a control that was not found, is measured again, each time four times as long: a difference that is there has twice the t.
const AGAIN: u32 = 2;

/// Of two kinds of input, which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    First,
    Second,
}

impl Class {
    /// One of two values.
    pub(crate) fn of<T>(self, first: T, second: T) -> T {
        if self == Class::First { first } else { second }
    }
}

/// What is claimed of one act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Both kinds of input take alike.
    Alike,
    /// They do not: so it is for what shows that the measuring works.
    Control,
    /// Nothing: it is measured to be known.
    Nothing,
}

/// What was measured of one act.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) claim: Claim,
    pub(crate) count: usize,
    /// Of all durations, in nanoseconds.
    pub(crate) median: u64,
    pub(crate) verdict: Verdict,
}

/// How to measure.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) seed: u64,
    /// How long one act is measured at first, the making of inputs included.
    pub(crate) time: Duration,
}

impl How {
    /// Times `act` on inputs of both classes until enough is known.
    pub(crate) fn measure<I, R>(
        self,
        name: &'static str,
        claim: Claim,
        mut input: impl FnMut(Class, &mut StdRng) -> I,
        act: impl Fn(&I) -> R,
    ) -> Measured {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut durations = Vec::new();
        let mut time = self.time;
        for again in 0..=AGAIN {
            durations.clear();
            let end = Instant::now() + time;
            // The first round warms caches and predictors up.
            let mut is_warm = false;
            while Instant::now() < end || durations.len() < DURATIONS_MIN {
                let classes = (0..ROUND).map(|_| if rng.random() { Class::First } else { Class::Second });
                let classes: Vec<Class> = classes.collect();
                let inputs: Vec<I> = classes.iter().map(|class| input(*class, &mut rng)).collect();
                for (input, class) in inputs.iter().zip(&classes) {
                    let start = Instant::now();
                    let result = black_box(act(black_box(input)));
                    let taken = start.elapsed();
                    drop(result);
                    if is_warm {
                        let taken = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
                        durations.push((taken, *class == Class::Second));
                    }
                }
                is_warm = true;
            }
            let verdict = welch::judge(&mut durations);
            let t = verdict.t.abs();
            let is_settled = t > LEAK || (claim != Claim::Control && t < SUSPICIOUS);
            if is_settled || again == AGAIN {
                let median = durations.get(durations.len() / 2).map_or(0, |(taken, _)| *taken);
                return Measured { name, claim, count: durations.len(), median, verdict };
            }
            time *= 4;
        }
        unreachable!("the last time gives a verdict")
    }
}
