//! How far a message may be ahead, and how many keys are kept: at the numbers themselves, in both libraries.
//!
//! Spec: signal-wire §3.6, §4.8, §5.3, §8.5.

use crate::Checked;
use crate::kind::Kind;
use crate::tally::Tally;
use crate::theirs::SharedOracle;
use crate::twins::{Kin, Twins};

/// How far ahead, and how many kept. Not the crate's constants: those are judged here. Spec: signal-wire §8.6.
const JUMP: usize = 25_000;
const KEPT: usize = 2000;

/// A writer of each library writes as many first messages as a chain may jump, and a few more; the twins get some.
pub(crate) fn run(oracle: &SharedOracle, seed: u64) -> Checked<Tally> {
    let mut total = Tally::new("limits of a chain, at the numbers");
    for writer_is_ours in [true, false] {
        let seed = seed.wrapping_add(u64::from(writer_is_ours));
        let mut twins = Twins::new(oracle, writer_is_ours, true, Kin::Stranger, seed)?;
        at_the_limits(&mut twins)?;
        total.add(&twins.tally.done());
    }
    Ok(total)
}

/// Who may be further ahead: a device with both the address and the identity key of one's own account, and nobody else.
pub(crate) fn of_own_devices(oracle: &SharedOracle, seed: u64) -> Checked<Tally> {
    let mut total = Tally::new("limits between devices of one account");
    let writers = [
        (Kin::OwnDevice, true, true),
        (Kin::OwnDevice, false, true),
        (Kin::OnlyIdentity, true, false),
        (Kin::OnlyAccount, true, false),
    ];
    for (each, (kin, writer_is_ours, may)) in (0..).zip(writers) {
        let mut twins = Twins::new(oracle, writer_is_ours, true, kin, seed.wrapping_add(each))?;
        let mut last = twins.write(b"0")?;
        for number in 1..=JUMP + 1 {
            last = twins.write(number.to_string().as_bytes())?;
        }
        let result = twins.deliver(&last)?;
        let expected = if may { Ok((JUMP + 1).to_string().into_bytes()) } else { Err(Kind::Undecryptable) };
        if result != expected {
            return Err(format!("{kin:?}: expected {expected:?}, both have {result:?}"));
        }
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
