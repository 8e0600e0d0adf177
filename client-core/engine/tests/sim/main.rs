//! Everything at random under one seed: people with their engines, relays, a keyserver and the time as plain values, and
//! whatever can happen on the way between them. A seed decides everything; one at which something does not hold is printed
//! with what happened last, and does the same again.
//!
//! | file | what it is about |
//! |---|---|
//! | `sim` | one run: people, time, and what comes next |
//! | `step`, `act`, `weather` | what people do and what happens to them; what goes wrong in a run, and how often |
//! | `carry`, `net` | between people and servers; what is on its way |
//! | `gather`, `crowd` | what people do in groups; what must hold there |
//! | `remark`, `fates` | what people do with messages that are there; what must be seen of that |
//! | `evil`, `withheld` | a relay that lies; what must hold of what it kept back in groups |
//! | `oracle` | what must hold |
//! | `app`, `cast` | the engine, as the rest knows it; people to begin with |
//! | `kept` | seeds that once failed |
//!
//! `HUSHWIRE_SIM_SEED` is the first seed of a run of `HUSHWIRE_SIM_SEEDS`, as `cargo xtask sim` sets them;
//! `HUSHWIRE_SIM_LINES` is how much is shown of what happened before something did not hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub
)]

mod act;
mod app;
mod carry;
mod cast;
mod crowd;
mod dice;
mod evil;
mod fates;
mod gather;
mod kept;
mod net;
mod oracle;
mod remark;
mod sim;
mod step;
mod weather;
mod withheld;
#[path = "../world/mod.rs"]
mod world;

use std::collections::VecDeque;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cast::Cast;
use oracle::Broken;
use sim::{Kind, Report};

/// Seeds of a run that was told nothing else.
const SEEDS: u64 = 150;

/// Those of groups, which take longer.
const SEEDS_OF_GROUPS: u64 = 16;

/// Failing seeds that are looked for before a run ends.
const FAILURES_MAX: usize = 20;

/// After so many seeds a run says how far it is.
const HEARTBEAT: usize = 500;

#[test]
fn whatever_goes_wrong_each_text_arrives_once_in_order_and_its_state_is_true() {
    all("whatever_goes_wrong", Kind::Honest, SEEDS, kept::HONEST);
}

#[test]
fn whatever_a_relay_does_is_harmless_or_told_and_conversations_go_on() {
    all("whatever_a_relay_does_is", Kind::Evil, SEEDS, kept::EVIL);
}

#[test]
fn whatever_happens_to_groups_all_who_are_in_see_the_same_and_hear_each_other_once() {
    all("whatever_happens_to_groups", Kind::Groups, SEEDS_OF_GROUPS, kept::GROUPS);
}

#[test]
fn whatever_a_relay_does_to_groups_is_harmless_or_told_and_groups_go_on() {
    all("whatever_a_relay_does_to_groups", Kind::EvilGroups, SEEDS_OF_GROUPS, kept::EVIL_GROUPS);
}

#[test]
fn a_seed_decides_everything() {
    for (seed, kind) in
        [(1, Kind::Honest), (2, Kind::Evil), (3, Kind::Groups), (4, Kind::Groups), (5, Kind::EvilGroups)]
    {
        let run = |name: &str| sim::run(&mut Cast::new(format!("again-{name}")), seed, kind).unwrap();
        assert_eq!(run("one"), run("other"));
    }
    let mut cast = Cast::new("again".to_owned());
    assert_ne!(sim::run(&mut cast, 1, Kind::Honest), sim::run(&mut cast, 2, Kind::Honest));
}

#[test]
fn an_envelope_that_an_honest_relay_loses_is_found_missing() {
    let mut cast = Cast::new("loses".to_owned());
    let mut found = 0;
    for seed in 1..40 {
        let mut sim = sim::begin(&mut cast, seed, Kind::Honest, None);
        sim.use_it().unwrap();
        let waiting = sim.world.mailboxes.values_mut().find(|held| held.envelopes.len() > 2);
        let Some(held) = waiting else { continue };
        held.envelopes.clear();
        sim.settle().unwrap();
        found += usize::from(sim.judge().is_err());
    }
    assert!(found > 2, "found {found}");
}

/// What the environment says.
fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect(name))
}

/// Runs the kept seeds and those that are asked for.
fn all(test: &str, kind: Kind, default: u64, kept: &[u64]) {
    let (first, seeds) = match (number("HUSHWIRE_SIM_SEED"), number("HUSHWIRE_SIM_SEEDS")) {
        (first, Some(seeds)) => (first.unwrap_or(1), seeds),
        (Some(seed), None) => (seed, 1),
        (None, None) => (1, default),
    };
    let seeds: Vec<u64> = kept.iter().copied().chain(first..first + seeds).collect();
    let (next, all, failed) = (AtomicU64::new(0), Mutex::new(Report::default()), Mutex::new(Vec::new()));
    let work = |worker: usize| {
        let mut cast = Cast::new(format!("{test}-{worker}"));
        loop {
            let number = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
            let Some(seed) = seeds.get(number) else { return };
            if number > 0 && number % HEARTBEAT == 0 {
                println!("{number} seeds of {}", seeds.len());
            }
            match caught(|| sim::run(&mut cast, *seed, kind)) {
                Ok(report) => all.lock().unwrap().add(&report),
                Err(why) => {
                    failed.lock().unwrap().push((*seed, why));
                    cast = Cast::new(format!("{test}-{worker}-after-{seed}"));
                }
            }
            if failed.lock().unwrap().len() >= FAILURES_MAX {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for worker in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(move || work(worker));
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("{} seeds: {:?}", seeds.len(), all.into_inner().unwrap());
    if let Some((seed, why)) = failed.first() {
        panic!("{}", shown(test, *seed, kind, why, &failed));
    }
}

fn caught(run: impl FnOnce() -> Result<Report, Broken>) -> Result<Report, Broken> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        Err(format!("panicked: {}", said.unwrap_or_default()))
    })
}

/// What happened last at the first of them, and how to see it again.
fn shown(test: &str, seed: u64, kind: Kind, why: &str, failed: &[(u64, Broken)]) -> String {
    let mut trace = VecDeque::new();
    let mut cast = Cast::new(format!("{test}-traced"));
    let again = caught(|| sim::traced(&mut cast, seed, kind, &mut trace));
    let others: Vec<String> = failed.iter().map(|(seed, why)| format!("  {seed}: {why}")).collect();
    format!(
        "seed {seed}: {why}\n{}\n\nonce more it {}\nwith HUSHWIRE_SIM_SEED={seed} cargo test -p hushwire-engine --test sim {test}\n\nall that failed:\n{}",
        trace.make_contiguous().join("\n"),
        if again.as_ref().err().is_some_and(|again| again == why) { "does the same" } else { "does something else" },
        others.join("\n"),
    )
}
