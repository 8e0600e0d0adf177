//! How far a message may be ahead, and how many keys are kept: at the numbers themselves, in both libraries.
//!
//! Spec: signal-wire §3.6, §4.8, §5.3.

use crate::Checked;
use crate::kind::Kind;
use crate::tally::Tally;
use crate::theirs::SharedOracle;
use crate::twins::Twins;

/// How far ahead, and how many kept. Not the crate's constants: those are judged here. Spec: signal-wire §8.6.
const JUMP: usize = 25_000;
const KEPT: usize = 2000;

/// A writer of each library writes as many first messages as a chain may jump, and a few more; the twins get some.
pub(crate) fn run(oracle: &SharedOracle, seed: u64) -> Checked<Tally> {
    let mut total = Tally::new("limits of a chain, at the numbers");
    for writer_is_ours in [true, false] {
        let mut twins = Twins::new(oracle, writer_is_ours, true, seed.wrapping_add(u64::from(writer_is_ours)))?;
        at_the_limits(&mut twins)?;
        total.add(&twins.tally.done());
    }
    Ok(total)
}

fn at_the_limits(twins: &mut Twins) -> Checked<()> {
    // Counters: the furthest from a fresh session and one beyond, then the furthest from there and one beyond.
    let mut written = Vec::new();
    for number in 0..=JUMP + 1 {
        written.push(twins.write(number.to_string().as_bytes())?);
    }
    let mut expect = |number: usize, expected: Result<(), Kind>| {
        let result = twins.deliver(&written[number])?;
        let right = match expected {
            Ok(()) => result == Ok(number.to_string().into_bytes()),
            Err(kind) => result == Err(kind),
        };
        if right { Ok(()) } else { Err(format!("counter {number}: expected {expected:?}, both have {result:?}")) }
    };
    // SPQR counts from 1: in a fresh session it ends one before the Double Ratchet would.
    expect(JUMP, Err(Kind::Undecryptable))?;
    expect(0, Ok(()))?;
    expect(JUMP + 1, Err(Kind::Undecryptable))?;
    expect(JUMP, Ok(()))?;
    // What was passed over is kept up to a number, the latest first.
    let kept = JUMP - KEPT;
    expect(kept - 1, Err(Kind::Repeated))?;
    expect(kept, Ok(()))?;
    expect(kept, Err(Kind::Repeated))?;
    expect(JUMP - 1, Ok(()))?;
    expect(JUMP + 1, Ok(()))
}
