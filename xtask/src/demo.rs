//! A demonstration that fails when Hushwire does not keep its word.
//!
//! Alice and Bob talk through a relay and a keyserver that were made for the occasion. Bob goes away, Alice goes on, the
//! relay is killed, Bob comes back: he must have every message once and in order. Then the disks of both servers are
//! searched for everything that was said.

use std::time::{Duration, Instant};

use crate::person::{Person, Running};
use crate::scan::Wanted;
use crate::stack::Server;
use crate::workshop::{Workshop, random};
use crate::{Failure, cargo, preflight};

/// Messages each way while both are there. Enough for a median.
const ONLINE: usize = 20;

/// Messages while Bob is away.
const AWAY: usize = 20;

/// Messages while there is no relay.
const DEAD: usize = 5;

/// How long nothing more may come after the last message. Longer than a relay waits before it delivers again.
const QUIET: Duration = Duration::from_secs(2);

/// Runs it; `keep` leaves the files.
pub(crate) fn run(keep: bool) -> Result<(), Failure> {
    println!("Hushwire, from nothing to two people talking\n");
    preflight::run()?;
    told("tools", "a C and a C++ compiler, make, perl and libclang are here");
    let began = Instant::now();
    cargo::build()?;
    told("built", &format!("hushwire-relay, hushwire-keyserver and hush, in {}", cargo::minutes(began.elapsed())));

    let workshop = if keep { Workshop::kept()? } else { Workshop::temporary()? };
    let outcome = story(&workshop);
    if keep {
        println!("\n  The files are in {}", workshop.dir().display());
        return outcome;
    }
    outcome.map_err(|why| format!("{why}\n\n`cargo xtask demo --keep` leaves the files and logs."))
}

fn story(workshop: &Workshop) -> Result<(), Failure> {
    let began = Instant::now();
    let relay = Server::relay(workshop)?;
    let keyserver = Server::keyserver(workshop)?;
    told("relay", &relay.address);
    told("keyserver", &keyserver.address);

    let (alice, bob) = (Person::new("alice", workshop), Person::new("bob", workshop));
    alice.register(&relay.address, &keyserver.address)?;
    bob.register(&relay.address, &keyserver.address)?;
    alice.run(&["contact", "add", "bob"])?;
    bob.run(&["contact", "add", "alice"])?;
    told("accounts", "Alice and Bob have registered and found each other's keys by name");

    let mut said = online(&alice, &bob, workshop)?;
    let (relay, missed) = away(&alice, relay, workshop)?;
    back(&bob, &missed, workshop)?;
    said.to_bob.extend(missed);
    for (person, other, expected) in [(&bob, "alice", &said.to_bob), (&alice, "bob", &said.to_alice)] {
        same(&person.history_from(other)?, expected)
            .map_err(|wrong| format!("in {}'s history, {wrong}", person.name))?;
    }
    blind(&said, &relay.address, workshop)?;
    relay.stop()?;
    keyserver.stop()?;
    println!(
        "\nEverything held, in {}. `cargo xtask up` leaves such a pair of servers running for you.",
        cargo::minutes(began.elapsed())
    );
    Ok(())
}

/// What was said, in order.
struct Said {
    to_alice: Vec<String>,
    to_bob: Vec<String>,
}

fn online(alice: &Person, bob: &Person, workshop: &Workshop) -> Result<Said, Failure> {
    let said = Said { to_alice: texts("fine, and you", ONLINE), to_bob: texts("how are you", ONLINE) };
    let mut hers = alice.start(&["chat", "bob"], workshop)?;
    let mut his = bob.start(&["chat", "alice"], workshop)?;
    let mut times = Vec::new();
    for (to_bob, to_alice) in said.to_bob.iter().zip(&said.to_alice) {
        times.push(one(&mut hers, &mut his, to_bob)?);
        times.push(one(&mut his, &mut hers, to_alice)?);
    }
    hers.hang_up()?;
    his.hang_up()?;
    // The first message each way also fetches keys and makes the session.
    let first = times.first().copied().unwrap_or_default();
    let mut times = times.split_off(2.min(times.len()));
    times.sort_unstable();
    let at = |place: usize| millis(times.get(place).copied().unwrap_or_default());
    told(
        "online",
        &format!(
            "{ONLINE} messages each way; from typed to shown {} (median), {} (slowest), {} (the very first)",
            at(times.len() / 2),
            at(times.len().saturating_sub(1)),
            millis(first)
        ),
    );
    Ok(said)
}

/// Alice goes on while Bob is away, and while there is no relay. What she wrote, and the relay that came back.
fn away(alice: &Person, relay: Server, workshop: &Workshop) -> Result<(Server, Vec<String>), Failure> {
    let mut missed = texts("while you were away", AWAY);
    for text in &missed {
        alice.run(&["send", "bob", text, "--wait", "sent"])?;
    }
    told("offline", &format!("Bob is gone; the relay took {AWAY} more messages for him"));

    let dead = relay.kill();
    let without_relay = texts("is anybody there", DEAD);
    let mut hers = alice.start(&["chat", "bob"], workshop)?;
    for text in &without_relay {
        hers.type_line(text)?;
    }
    hers.wait_queued(DEAD)?;
    told("killed", &format!("the relay got SIGKILL; Alice wrote {DEAD} more, which wait in her outbox"));

    let restarted = Instant::now();
    let relay = dead.restart(workshop)?;
    hers.wait_sent(DEAD)?;
    hers.hang_up()?;
    let took = millis(restarted.elapsed());
    told("restarted", &format!("a new relay over the same files; what waited had left {took} later"));
    missed.extend(without_relay);
    Ok((relay, missed))
}

/// Bob comes back to what he missed.
fn back(bob: &Person, missed: &[String], workshop: &Workshop) -> Result<(), Failure> {
    let returned = Instant::now();
    let mut his = bob.start(&["receive", "--follow"], workshop)?;
    expect(&mut his, missed)?;
    let took = millis(returned.elapsed());
    let surplus = his.further_messages(QUIET);
    if !surplus.is_empty() {
        return Err(format!("Bob was shown {} messages more than were sent", surplus.len()));
    }
    his.stop()?;
    let count = missed.len();
    told("back", &format!("Bob has all {count}, once each and in order, {took} after he started hush"));
    Ok(())
}

/// From typed to shown.
fn one(from: &mut Running, to: &mut Running, text: &str) -> Result<Duration, Failure> {
    let typed = from.type_line(text)?;
    let (shown, seen) = to.next_message()?;
    if seen == text { Ok(shown.duration_since(typed)) } else { Err(format!("`{text}` was sent and `{seen}` shown")) }
}

fn expect(who: &mut Running, texts: &[String]) -> Result<(), Failure> {
    for (place, text) in texts.iter().enumerate() {
        let (_, seen) = who.next_message()?;
        if seen != *text {
            return Err(format!("message {} of {} should be `{text}`; `{seen}` was shown", place + 1, texts.len()));
        }
    }
    Ok(())
}

fn same(found: &[String], expected: &[String]) -> Result<(), Failure> {
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        Some(place) => Err(format!("message {} is not the one that was sent", place + 1)),
        None if found.len() != expected.len() => {
            Err(format!("{} messages stand where {} were sent", found.len(), expected.len()))
        }
        None => Ok(()),
    }
}

/// Neither server has a word of it on its disk.
fn blind(said: &Said, relay: &str, workshop: &Workshop) -> Result<(), Failure> {
    let texts: Vec<&str> = said.to_alice.iter().chain(&said.to_bob).map(String::as_str).collect();
    let drawn = texts.iter().filter_map(|text| text.rsplit(' ').next());
    let traces = [Server::traces("relay", workshop), Server::traces("keyserver", workshop)].concat();
    let report = Wanted::new(texts.iter().copied().chain(drawn)).look_in(&traces)?;
    if let Some(found) = report.found.first() {
        return Err(format!("`{}` stands in {}, as {}", found.text, found.file.display(), found.form));
    }
    // Searching would also find nothing if it did not work: this the keyserver is meant to know, from the device lists.
    let fingerprint = relay.strip_prefix("hush://").and_then(|rest| rest.split('@').next()).unwrap_or_default();
    let [keys, _] = Server::traces("keyserver", workshop);
    if Wanted::new([fingerprint]).look_in(&[keys])?.found.is_empty() {
        return Err("the search found nothing at all, not even what the keyserver is meant to know".to_owned());
    }
    told(
        "blind",
        &format!(
            "none of the {} texts stands in the {} files ({} KiB) and logs of the two servers, as UTF-8, UTF-16, hex or base64",
            texts.len(),
            report.files,
            report.bytes / 1024
        ),
    );
    Ok(())
}

/// So many texts, each with a part that stands nowhere else.
fn texts(about: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{about}, {number} {:016x}", random())).collect()
}

fn told(what: &str, how: &str) {
    println!("  ✓ {what:<10} {how}");
}

fn millis(time: Duration) -> String {
    match time.as_secs_f64() * 1000.0 {
        ms @ ..10.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_with_a_message_lost_doubled_or_swapped_is_not_the_same() {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let sent = texts(&["a", "b", "c"]);
        assert_eq!(same(&sent, &sent), Ok(()));
        for wrong in [&["a", "b"][..], &["a", "c"], &["a", "b", "b", "c"], &["a", "b", "c", "c"], &["b", "a", "c"], &[]]
        {
            assert!(same(&texts(wrong), &sent).is_err(), "{wrong:?}");
        }
    }
}
