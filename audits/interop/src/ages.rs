//! How long a session is sent in that nobody has answered: thirty days, in both libraries, to the millisecond.
//!
//! Spec: signal-wire §3.2, §8.4.

use hushwire_crypto::IdentityKeyPair;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::Checked;
use crate::device::{Address, Device};
use crate::kind::Kind;
use crate::ours::{NOW_MS, Ours};
use crate::tally::Tally;
use crate::theirs::{SharedOracle, Theirs};
use crate::wire::Message;

/// Not the crate's constant: that one is judged here. Spec: signal-wire §8.6.
const THIRTY_DAYS_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Ages of the session, and whether it may be sent in.
const AGES: [(u64, bool); 6] = [
    (0, true),
    (THIRTY_DAYS_MS - 1, true),
    (THIRTY_DAYS_MS, true),
    (THIRTY_DAYS_MS + 1, false),
    (THIRTY_DAYS_MS + 1000, false),
    (10 * THIRTY_DAYS_MS, false),
];

/// Two, one of either library, and what time it is to them.
struct Pair {
    us: Ours,
    them: Theirs,
    tally: Tally,
}

/// Either begins.
pub(crate) fn run(oracle: &SharedOracle, seed: u64) -> Checked<Tally> {
    let mut total = Tally::new("sessions that nobody answers");
    for we_begin in [true, false] {
        let mut pair = Pair::new(oracle, seed.wrapping_add(u64::from(we_begin)))?;
        pair.grow_old(we_begin).map_err(|why| format!("a session that nobody answers: {why}"))?;
        total.add(&pair.tally.done());
    }
    Ok(total)
}

impl Pair {
    fn new(oracle: &SharedOracle, seed: u64) -> Checked<Pair> {
        let mut rng = StdRng::seed_from_u64(seed);
        let [ours, theirs] = [(); 2].map(|()| Address::of_somebody(&mut rng));
        let us = Ours::new(ours, theirs, IdentityKeyPair::generate(&mut rng), 5, rng.next_u64());
        let them = Theirs::new(oracle, &format!("age-{seed}"), theirs, ours, 6)?;
        Ok(Pair { us, them, tally: Tally::new("") })
    }

    fn grow_old(&mut self, we_begin: bool) -> Checked<()> {
        self.begin(we_begin)?;
        let mut written = Vec::new();
        for (age, may) in AGES {
            let sent = self.send(we_begin, age)?;
            match (sent, may) {
                (Ok(message), true) => written.push(message),
                (Err(Kind::NoSession), false) => {}
                (sent, _) => return Err(format!("{age} ms old: {sent:?}")),
            }
        }
        // What was written in time opens, however late it comes.
        self.receive(!we_begin, &written[2])?;
        // Once it is answered, it has no age.
        let answer = self.send(!we_begin, 11 * THIRTY_DAYS_MS)?.map_err(|kind| format!("no answer: {kind:?}"))?;
        self.receive(we_begin, &answer)?;
        let message = self.send(we_begin, 20 * THIRTY_DAYS_MS)?.map_err(|kind| format!("answered: {kind:?}"))?;
        if message.is_first {
            return Err("what was answered still carries prekeys".to_owned());
        }
        self.receive(!we_begin, &message)?;
        // One that is too old gives way to a new one; what comes of the old one opens still.
        self.begin(we_begin)?;
        let old = self.send(we_begin, 0)?.map_err(|kind| format!("a new session: {kind:?}"))?;
        if self.send(we_begin, THIRTY_DAYS_MS + 1)? != Err(Kind::NoSession) {
            return Err("the second session has no age".to_owned());
        }
        self.begin(we_begin)?;
        for message in [self.send(we_begin, 0)?.map_err(|kind| format!("a third session: {kind:?}"))?, old] {
            self.receive(!we_begin, &message)?;
        }
        Ok(())
    }

    fn begin(&mut self, we_begin: bool) -> Checked<()> {
        self.tell_time(0);
        self.tally.sessions += 1;
        let begun = match we_begin {
            true => self.us.start(&self.them.bundle(true)?)?,
            false => self.them.start(&self.us.bundle(true)?)?,
        };
        begun.map_err(|kind| format!("not begun: {kind:?}"))
    }

    /// So many milliseconds after every session here was begun.
    fn send(&mut self, we: bool, age: u64) -> Checked<Result<Message, Kind>> {
        self.tell_time(age);
        self.tally.messages += 1;
        if we { self.us.send(b"are you there") } else { self.them.send(b"are you there") }
    }

    fn receive(&mut self, we: bool, message: &Message) -> Checked<()> {
        let opened = if we { self.us.receive(message)? } else { self.them.receive(message)? };
        self.tally.delivered(&opened);
        opened.map(|_| ()).map_err(|kind| format!("not opened: {kind:?}"))
    }

    fn tell_time(&mut self, age: u64) {
        self.us.now_ms = NOW_MS + age;
        self.them.now_ms = NOW_MS + age;
    }
}
