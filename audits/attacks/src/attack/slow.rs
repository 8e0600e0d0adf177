//! Frames that never get whole, answers that are never read, and frames that are none.

use std::thread::sleep;
use std::time::Duration;

use hushwire_proto::limits::FRAME_BYTES_MAX;

use super::{Ground, Pace, address, endings};
use crate::Failure;
use crate::frames::{Heard, stream};
use crate::peer::Peer;

/// Packets of all attackers together in a second.
const PACKETS_PER_SECOND: u32 = 2_000;

/// How long a close is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// `BE32(length) ‖ BE64(request id)`.
fn head(length: usize, id: u64) -> Vec<u8> {
    [&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()[..], &id.to_be_bytes()].concat()
}

pub(super) fn half_frames(ground: &Ground) -> Result<String, Failure> {
    let mut peers = ground.connected(200, address(0))?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let frame = [head(100_000, 7), vec![7; 4_000]].concat();
    for at in 0.. {
        let Some(byte) = frame.get(at..=at).filter(|_| !ground.is_over()) else { break };
        for peer in &mut peers {
            peer.send(&stream(0, at as u64, byte));
            pace.step();
        }
        sleep(Duration::from_millis(100));
    }
    Ok(endings(&mut peers))
}

pub(super) fn large_frames(ground: &Ground) -> Result<String, Failure> {
    let mut peers = ground.connected(100, address(0))?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let start = [head(FRAME_BYTES_MAX, 7), vec![7; 1_000]].concat();
    for peer in &mut peers {
        peer.send(&stream(0, 0, &start));
    }
    let mut at = start.len() as u64;
    while !ground.is_over() && at < 200_000 {
        for peer in &mut peers {
            peer.send(&stream(0, at, &[7; 1_100]));
            pace.step();
        }
        at += 1_100;
    }
    while !ground.is_over() {
        sleep(Duration::from_millis(50));
    }
    Ok(format!("{at} bytes of each; {}", endings(&mut peers)))
}

pub(super) fn lying_frames(ground: &Ground) -> Result<String, Failure> {
    let lies = [
        ("longer than any", head(FRAME_BYTES_MAX + 1, 7)),
        ("as long as there are", head(usize::MAX, 7)),
        ("a push from a client", [head(3, 0), vec![1; 3]].concat()),
    ];
    let mut wrong = Vec::new();
    let (mut tried, mut first_round) = (0_u32, true);
    while !ground.is_over() || first_round {
        for (name, bytes) in &lies {
            let mut peer = match Peer::connect(&ground.victim, address(0)) {
                Ok(peer) => peer,
                Err(failure) if first_round => return Err(failure),
                Err(_) => continue, // one address may not have so many
            };
            peer.send(&stream(0, 0, bytes));
            tried += 1;
            if first_round {
                let ended = peer.closed_within(PATIENCE);
                if !matches!(ended, Some(Heard::Closed { application: true, code: 2 })) {
                    wrong.push(format!("{name}: {ended:?}"));
                }
            }
        }
        first_round = false;
        sleep(Duration::from_millis(50));
    }
    if wrong.is_empty() { Ok(format!("{tried} connections, closed with code 2")) } else { Err(wrong.join("; ")) }
}

/// A request that both servers answer: `Hello`, field 1.
const HELLO: [u8; 2] = [0x0A, 0];

pub(super) fn deaf(ground: &Ground) -> Result<String, Failure> {
    let mut peers = (0..64).map(|_| Peer::connect_deaf(&ground.victim, address(0))).collect::<Result<Vec<_>, _>>()?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let mut at = 0_u64;
    while !ground.is_over() {
        let mut packet = Vec::new();
        for id in 1..70 {
            packet.extend(head(HELLO.len(), at + id));
            packet.extend(HELLO);
        }
        for peer in &mut peers {
            peer.send(&stream(0, at, &packet));
            pace.step();
        }
        at += packet.len() as u64;
        if at > 200_000 {
            sleep(Duration::from_millis(50)); // the window is full: nothing more is taken
        }
    }
    Ok(format!("{} requests of each; {}", at / 14, endings(&mut peers)))
}

pub(super) fn nonsense(ground: &Ground) -> Result<String, Failure> {
    let mut peers = ground.connected(16, address(0))?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let mut at = 0_u64;
    while !ground.is_over() {
        let mut packet = Vec::new();
        for id in 1..70_u64 {
            packet.extend(head(3, at + id));
            packet.extend([0x0A, 0x7F, id.to_be_bytes()[7]]);
        }
        for peer in &mut peers {
            peer.send(&stream(0, at, &packet));
            peer.drain();
            pace.step();
        }
        at += packet.len() as u64;
    }
    Ok(format!("{at} bytes of nonsense from each; {}", endings(&mut peers)))
}
