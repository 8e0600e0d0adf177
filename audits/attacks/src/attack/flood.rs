//! More of something than anybody needs: hellos, connections, streams.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Ground, Pace, address};
use crate::Failure;
use crate::frames::{Heard, reset, stream};
use crate::peer::Peer;

/// First hellos in a second: each costs a server a key agreement, so ten times as many would be the machine's limit.
const HELLOS_PER_SECOND: u32 = 500;

/// Connections that one address may have; read in proto's `net/admission.rs`.
const PER_ADDRESS: usize = 256;

/// A connection on which nothing was opened for so long is given up for another.
const STANDS_STILL: Duration = Duration::from_millis(500);

pub(super) fn hellos(ground: &Ground) -> Result<String, Failure> {
    let mut pace = Pace::new(HELLOS_PER_SECOND);
    let mut open = VecDeque::new();
    let (mut number, mut seen) = (0_u32, Seen::default());
    while !ground.is_over() {
        number += 1;
        open.push_back(Peer::hello(&ground.victim, address(number), |stated| stated)?);
        if open.len() > 600
            && let Some(peer) = open.pop_front()
        {
            seen.add(peer);
        }
        pace.step();
    }
    open.into_iter().for_each(|peer| seen.add(peer));
    let Seen { retried, came, left, worst } = seen;
    let told = format!(
        "{number} hellos, {retried} told to prove their address; {came} bytes came for {left}, at most {worst:.1} for 1"
    );
    if worst > 3.0 { Err(told) } else { Ok(told) }
}

/// What servers sent to those who never proved their address.
#[derive(Default)]
struct Seen {
    retried: u32,
    came: u64,
    left: u64,
    worst: f64,
}

impl Seen {
    fn add(&mut self, mut peer: Peer) {
        self.retried += u32::from(peer.count_only());
        self.came += peer.bytes_in;
        self.left += peer.bytes_out;
        self.worst = self.worst.max(peer.bytes_in as f64 / peer.bytes_out.max(1) as f64);
    }
}

pub(super) fn proven_hellos(ground: &Ground) -> Result<String, Failure> {
    prove(ground, address)
}

pub(super) fn held_hellos(ground: &Ground) -> Result<String, Failure> {
    prove(ground, |_| address(0))
}

/// Begins handshakes and proves addresses, and goes on with none of them.
fn prove(ground: &Ground, from: impl Fn(u32) -> Ipv4Addr) -> Result<String, Failure> {
    let mut pace = Pace::new(HELLOS_PER_SECOND);
    let mut open = VecDeque::new();
    let (mut number, mut proven) = (0_u32, 0_u32);
    while !ground.is_over() {
        number += 1;
        open.push_back(Peer::hello(&ground.victim, from(number), |stated| stated)?);
        // A Retry is answered, and nothing after it.
        for peer in open.iter_mut().rev().take(8) {
            proven += u32::from(peer.prove_only());
        }
        if open.len() > 2_000 {
            open.pop_front();
        }
        pace.step();
    }
    Ok(format!("{number} hellos, {proven} of them proved their address"))
}

pub(super) fn connections(ground: &Ground) -> Result<String, Failure> {
    let mut pace = Pace::new(200);
    let mut peers = Vec::new();
    let mut refused = 0_u32;
    for _ in 0..1_000 {
        if ground.is_over() {
            break;
        }
        match Peer::connect(&ground.victim, address(0)) {
            Ok(peer) => peers.push(peer),
            Err(_) => refused += 1,
        }
        pace.step();
    }
    while !ground.is_over() {
        sleep(Duration::from_millis(50));
    }
    let taken = peers.len();
    // One that came while another left is told with a close that it has no place.
    let is_closed = |heard: &Heard| matches!(heard, Heard::Closed { .. });
    let sent_away = peers.iter_mut().filter_map(|peer| peer.drain().iter().any(is_closed).then_some(())).count();
    let told = format!("{taken} taken, {refused} refused, {sent_away} sent away");
    if taken > PER_ADDRESS + sent_away { Err(told) } else { Ok(told) }
}

pub(super) fn resets(ground: &Ground) -> Result<String, Failure> {
    let mut opened = 0_u64;
    let mut ends = Vec::new();
    while !ground.is_over() {
        let Ok(mut peer) = Peer::connect(&ground.victim, address(0)) else {
            sleep(Duration::from_millis(10)); // one address may not have so many
            continue;
        };
        let (mut next, mut allowed, mut went_on) = (0_u64, 1_u64, Instant::now());
        let closed = loop {
            let mut packet = Vec::new();
            while next < allowed && packet.len() < 1_000 {
                packet.extend(stream(4 * next, 0, b"x"));
                packet.extend(reset(4 * next));
                next += 1;
                opened += 1;
            }
            if !packet.is_empty() {
                peer.send(&packet);
                went_on = Instant::now();
            }
            let heard = peer.listen();
            peer.acknowledge(); // else no stream is ever over
            let closed = heard.iter().find(|heard| matches!(heard, Heard::Closed { .. })).copied();
            // What is lost is not sent again, and then neither says anything more.
            if closed.is_some() || ground.is_over() || went_on.elapsed() > STANDS_STILL {
                break closed;
            }
            for heard in heard {
                if let Heard::Streams(count) = heard {
                    allowed = count;
                }
            }
        };
        ends.push((next, closed));
    }
    let cut = ends.iter().filter(|(_, closed)| closed.is_some()).count();
    let most = ends.iter().map(|(streams, _)| *streams).max().unwrap_or_default();
    let told = format!("{opened} streams on {} connections, at most {most} on one; {cut} closed", ends.len());
    if cut == 0 { Err(format!("{told}: no connection was cut for it")) } else { Ok(told) }
}
