//! The delivery contract under SIGKILL: 20,000 messages from four people to four others, each a process of its own,
//! while the relay is killed again and again, and the receivers too.
//!
//! | variable | |
//! |---|---|
//! | `HUSHWIRE_LEDGER_SEED` | when is killed, and who; the same seed draws the same pauses |
//! | `HUSHWIRE_LEDGER_MESSAGES` | fewer, for a look; at least 16 |
//! | `HUSHWIRE_LEDGER_KEEP` | leaves the files and logs |
#![allow(clippy::panic, clippy::print_stderr, reason = "a test; its summary is for whoever reads the log")]

mod people;

use std::time::{Duration, Instant};

use hushwire_sim::Failure;
use hushwire_sim::server::{Kind, Server};
use people::People;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const SENDERS: [&str; 4] = ["ann", "ben", "cleo", "dan"];
const RECEIVERS: [&str; 4] = ["wes", "xena", "yuri", "zoe"];
const PAIRS: u32 = 16;
const MESSAGES: u32 = 20_000;

/// What each sender sends in a second, if it can: the whole run lasts longer than all kills.
const PER_SECOND: u32 = 120;

const RELAY_KILLS_MIN: usize = 30;
const RECEIVER_KILLS_MIN: usize = 8;

/// The storm ends after so many kills of the relay even if not everything is sent: the rest in peace, so that the run
/// ends in time on a slow machine.
const RELAY_KILLS_MAX: usize = 100;

/// How long the relay runs between two kills, in milliseconds.
const RELAY_LIVES_MS: std::ops::Range<u64> = 100..900;

/// How long it is away, in milliseconds, before it starts again.
const RELAY_AWAY_MS: std::ops::Range<u64> = 0..100;

/// Between two kills of a receiver, in milliseconds.
const RECEIVERS_LIVE_MS: std::ops::Range<u64> = 500..3_500;

/// Whatever happens, it ends then.
const BOUND: Duration = Duration::from_secs(8 * 60);

/// Whoever waits this long without anything new waits for ever.
const STUCK: Duration = Duration::from_secs(120);

struct Storm {
    rng: StdRng,
    relay_kills: usize,
    receiver_kills: usize,
}

#[test]
fn nothing_answered_stored_is_lost_or_shown_twice_while_relay_and_receivers_are_killed() {
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let kept = dir.path().to_owned();
    let result = run(&kept);
    if std::env::var_os("HUSHWIRE_LEDGER_KEEP").is_some() {
        eprintln!("kept: {}", dir.keep().display());
    }
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

fn run(dir: &std::path::Path) -> Result<(), Failure> {
    let began = Instant::now();
    let number =
        |name: &str, default: u32| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seed = number("HUSHWIRE_LEDGER_SEED", 1);
    let per_pair = number("HUSHWIRE_LEDGER_MESSAGES", MESSAGES) / PAIRS;
    let all = usize::try_from(per_pair * PAIRS).unwrap_or(usize::MAX);
    let relay = Server::start(Kind::Relay, dir)?;
    let keyserver = Server::start(Kind::Keyserver, dir)?;
    let mut people = People::new(dir, &relay, &keyserver, began + BOUND);
    people.begin(&SENDERS)?;
    people.begin(&RECEIVERS)?;
    people.until("everyone to have an account", |people| people.links.len() == SENDERS.len() + RECEIVERS.len())?;
    people.introduce(&SENDERS, &RECEIVERS)?;
    people.introduce(&RECEIVERS, &SENDERS)?;
    people.until("everyone to know each other", |people| people.added == 2 * SENDERS.len() * RECEIVERS.len())?;
    // The first message of each pair in peace: with its receipt comes the token that is for this contact only.
    people.send(&SENDERS, 0..1, PER_SECOND)?;
    people.until("the first messages to be delivered", |people| {
        people.ledger.counts().2 == SENDERS.len() * RECEIVERS.len()
    })?;
    people.send(&SENDERS, 1..per_pair, PER_SECOND)?;
    let prepared = began.elapsed();

    let mut storm = Storm { rng: StdRng::seed_from_u64(seed.into()), relay_kills: 0, receiver_kills: 0 };
    let relay = storm.rage(&mut people, relay, all)?;
    let stormed = began.elapsed();

    // Quiet: what was sent arrives, and every sender hears of it.
    let delivered = people.until_steady(STUCK, |people| people.ledger.counts().2 == all);
    let settled = began.elapsed();
    let histories = people.histories(&SENDERS, &RECEIVERS);
    drop(relay);
    let violations = people.ledger.check();
    let (sent, stored, confirmed) = people.ledger.counts();
    eprintln!(
        "ledger: seed {seed}: {sent} messages sent, {stored} stored, {confirmed} delivered; relay killed {} times, receivers \
         {} times; {:.0} s to prepare, {:.0} s of kills, {:.0} s until all had arrived; {} violations",
        storm.relay_kills,
        storm.receiver_kills,
        prepared.as_secs_f64(),
        (stormed - prepared).as_secs_f64(),
        (settled - stormed).as_secs_f64(),
        violations.len(),
    );
    if !violations.is_empty() {
        let first = violations.iter().take(10).map(|violation| format!("\n    {violation:?}")).collect::<String>();
        return Err(format!(
            "{} promises were not kept; the first:{first}\n{delivered:?} {histories:?}",
            violations.len()
        ));
    }
    delivered.and(histories)?;
    people.nothing_bad()?;
    if all < usize::try_from(MESSAGES).unwrap_or(0) {
        return Ok(()); // a look
    }
    if storm.relay_kills < RELAY_KILLS_MIN || storm.receiver_kills < RECEIVER_KILLS_MIN {
        return Err("everything was sent before enough had been killed; send slower (PER_SECOND)".to_owned());
    }
    Ok(())
}

impl Storm {
    /// Kills the relay and receivers until everything is sent, or enough was killed.
    fn rage(&mut self, people: &mut People, mut relay: Server, all: usize) -> Result<Server, Failure> {
        let (mut next_relay, mut next_receiver) = (self.in_a_while(RELAY_LIVES_MS), self.in_a_while(RECEIVERS_LIVE_MS));
        loop {
            people.hear_until(next_relay.min(next_receiver))?;
            let (sent, stored, _) = people.ledger.counts();
            if (sent == all && stored == all) || self.relay_kills >= RELAY_KILLS_MAX {
                return Ok(relay);
            }
            if Instant::now() >= next_receiver {
                let who = self.rng.random_range(0..RECEIVERS.len());
                people.kill_and_restart(RECEIVERS.get(who).copied().unwrap_or_default())?;
                self.receiver_kills += 1;
                next_receiver = self.in_a_while(RECEIVERS_LIVE_MS);
            }
            if Instant::now() >= next_relay {
                if relay.has_ended() {
                    return Err(relay.failure("ended by itself"));
                }
                let away = Duration::from_millis(self.rng.random_range(RELAY_AWAY_MS));
                relay = relay.kill_and_restart(away)?;
                self.relay_kills += 1;
                next_relay = self.in_a_while(RELAY_LIVES_MS);
            }
        }
    }

    fn in_a_while(&mut self, range: std::ops::Range<u64>) -> Instant {
        Instant::now() + Duration::from_millis(self.rng.random_range(range))
    }
}
