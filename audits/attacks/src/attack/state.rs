//! What a server keeps about a connection, and what it must not take. RFC 9000 §19.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::{Ground, Pace, address, endings};
use crate::Failure;
use crate::frames::{Heard, ack, crypto, new_connection_id, numbers, path_challenge, stream};
use crate::packet::Space;
use crate::peer::Peer;

/// Bytes of a connection, on its one stream, that the server lets come. Read in proto's `net/quic.rs`.
const STREAM_WINDOW: u64 = 256 * 1024;

/// Packets of all attackers together in a second.
const PACKETS_PER_SECOND: u32 = 4_000;

/// How long a close is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of frames in one packet.
const PACKET_BYTES: usize = 1_100;

/// Each kind of frame that ends a connection, with the code that says why. RFC 9000 §20.1.
fn illegal_kinds() -> Vec<(&'static str, Vec<u8>, &'static [u64])> {
    vec![
        ("unknown kind", numbers(&[0x2F]), &[0x07]),
        ("acknowledgement of what never was", ack(4_000, 5_000), &[0x0A]),
        ("acknowledgement below zero", numbers(&[0x02, 3, 0, 0, 9]), &[0x07]),
        ("acknowledgement cut short", numbers(&[0x02, 3, 0, 5_000]), &[0x07]),
        ("stream cut short", numbers(&[0x0E, 0, 0, 4_000]), &[0x07]),
        ("stream beyond the count", stream(4_000, 0, b"x"), &[0x04]),
        ("stream of the server", stream(1, 0, b"x"), &[0x05]),
        ("one-way stream", stream(2, 0, b"x"), &[0x04]),
        ("stream beyond its window", stream(0, STREAM_WINDOW + 1, b"x"), &[0x03]),
        ("stream beyond all numbers", stream(0, (1 << 62) - 1, b"xx"), &[0x03, 0x07]),
        ("reset below what came", [stream(0, 9, b"x"), numbers(&[0x04, 0, 0, 2])].concat(), &[0x06]),
        ("window of a stream that is not", numbers(&[0x11, 1, 9]), &[0x05]),
        ("more streams than there are", numbers(&[0x12, (1 << 60) + 1]), &[0x07, 0x04]),
        ("handshake data far ahead", crypto(1 << 20, b"x"), &[0x0D]),
        ("connection id of no bytes", numbers(&[0x18, 1, 0, 0]), &[0x07]),
        ("connection id that retires itself", new_connection_id(1, 9), &[0x07, 0x0A]),
        ("retiring what was never issued", numbers(&[0x19, 9_000]), &[0x0A]),
        ("answer to no challenge, then a server's frame", [&[0x1B][..], &[0; 8], &[0x1E]].concat(), &[0x0A]),
        ("token from a client", [numbers(&[0x07, 4]), vec![1; 4]].concat(), &[0x0A]),
        ("datagram", numbers(&[0x30]), &[0x07, 0x0A]),
    ]
}

pub(super) fn illegal(ground: &Ground) -> Result<String, Failure> {
    let (mut kinds, mut wrong) = (0, Vec::new());
    for (name, frames, codes) in illegal_kinds() {
        let mut peer = Peer::connect(&ground.victim, address(0))?;
        peer.send(&frames);
        kinds += 1;
        match peer.closed_within(PATIENCE) {
            Some(Heard::Closed { application: false, code }) if codes.contains(&code) => {}
            other => wrong.push(format!("{name}: {other:?}")),
        }
    }
    while !ground.is_over() {
        for (_, frames, _) in illegal_kinds() {
            // One address may not have so many; those that are refused cost it more than the server.
            if let Ok(mut peer) = Peer::connect(&ground.victim, address(0)) {
                peer.send(&frames);
            }
        }
        sleep(Duration::from_millis(100));
    }
    if wrong.is_empty() {
        Ok(format!("{kinds} of {kinds} closed with the code of RFC 9000"))
    } else {
        Err(wrong.join("; "))
    }
}

pub(super) fn parameters(ground: &Ground) -> Result<String, Failure> {
    let (mut tried, mut through) = (0_u32, 0_u32);
    let mut pace = Pace::new(200);
    let mut number = 0_u32;
    while !ground.is_over() || number == 0 {
        number += 1;
        let changed = Peer::hello(&ground.victim, address(number), |stated| changed(stated, number))?;
        tried += 1;
        // Half of them are gone on with at once; noise may be legal by chance.
        if number.is_multiple_of(2) && Peer::shaken(changed).is_ok() {
            through += 1;
        }
        pace.step();
    }
    Ok(format!("{tried} handshakes, {through} of them through"))
}

fn changed(mut stated: Vec<u8>, number: u32) -> Vec<u8> {
    let mut rng = rand::rng();
    match number % 6 {
        0 => stated.truncate(rng.random_range(0..stated.len())),
        1 => stated.extend_from_within(..), // everything twice
        2 => stated.extend(numbers(&[rng.random_range(0..40), 4, (1 << 62) - 1])),
        3 => stated.extend(numbers(&[0x0B, 8, (1 << 62) - 1])), // max_ack_delay beyond all bounds
        4 => stated = vec![0xFF; 60],
        _ => {
            let place = rng.random_range(0..stated.len());
            if let Some(byte) = stated.get_mut(place) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
    }
    stated
}

pub(super) fn garbage(ground: &Ground) -> Result<String, Failure> {
    let mut peer = Peer::connect(&ground.victim, address(0))?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let mut rng = rand::rng();
    while !ground.is_over() {
        let space = if rng.random() { Space::Data } else { Space::Initial };
        let mut datagram = match rng.random_range(0..3) {
            0 => (0..rng.random_range(0..1_400)).map(|_| rng.random()).collect(),
            _ => peer.seal(space, &[1; 40], 1_200).unwrap_or_default(),
        };
        for _ in 0..rng.random_range(1..4) {
            let place = rng.random_range(0..datagram.len().max(1));
            if let Some(byte) = datagram.get_mut(place) {
                *byte = rng.random();
            }
        }
        peer.send_bytes(&datagram);
        pace.step();
    }
    peer.drain();
    let (sent, came) = (peer.bytes_out, peer.bytes_in);
    if came > 3 * sent {
        Err(format!("{came} bytes came for {sent}"))
    } else {
        Ok(format!("{came} bytes came for {sent}"))
    }
}

pub(super) fn stream_gaps(ground: &Ground) -> Result<String, Failure> {
    let mut peers = ground.connected(64, address(0))?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let mut packet = Vec::new();
    let (mut fragments, mut at) = (0_u64, 1_u64);
    while !ground.is_over() && at < STREAM_WINDOW {
        packet.clear();
        let mut place = at;
        while packet.len() < PACKET_BYTES && place < STREAM_WINDOW {
            packet.extend(stream(0, place, b"x"));
            place += 2;
        }
        for peer in &mut peers {
            peer.send(&packet);
            fragments += (place - at) / 2;
            pace.step();
        }
        at += 2 * (PACKET_BYTES / 9) as u64;
    }
    Ok(format!("{fragments} fragments; {}", endings(&mut peers)))
}

/// Fragments that are sent over and over: a few less than the server's transport lets stand with holes between them.
const STANDING: u64 = 900;

/// Peers that send them: what is tested is what a packet costs.
const CRUMBLERS: usize = 4;

/// Where they lie in a handshake: far behind what came of the hello.
const BEHIND_THE_HELLO: u64 = 8_000;

/// As many as a packet holds, the next after `number`.
fn crumbs_of(number: &mut u64, one: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
    let mut packet = Vec::new();
    while packet.len() < PACKET_BYTES {
        packet.extend(one(1 + 2 * (*number % STANDING)));
        *number += 1;
    }
    packet
}

pub(super) fn crumbs(ground: &Ground) -> Result<String, Failure> {
    let mut peers = ground.connected(CRUMBLERS, address(0))?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let (mut number, mut closed) = (0_u64, 0_u64);
    while !ground.is_over() {
        let packet = crumbs_of(&mut number, |place| stream(0, place, b"x"));
        for peer in &mut peers {
            peer.send(&packet);
            pace.step();
            if peer.drain().iter().any(|heard| matches!(heard, Heard::Closed { .. })) {
                closed += 1;
                while !ground.is_over() {
                    match Peer::connect(&ground.victim, address(0)) {
                        Ok(anew) => {
                            *peer = anew;
                            break;
                        }
                        Err(_) => sleep(Duration::from_millis(10)), // too much to do, or too many of this address
                    }
                }
            }
        }
    }
    let told = format!("{number} fragments of each; {closed} times closed");
    if closed == 0 { Err(format!("{told}: no connection was cut for it")) } else { Ok(told) }
}

pub(super) fn hello_crumbs(ground: &Ground) -> Result<String, Failure> {
    const EACH_LASTS: Duration = Duration::from_secs(3);
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let (mut number, mut hellos) = (0_u64, 0);
    while !ground.is_over() {
        let begin = |_| Peer::half_hello(&ground.victim, address(0));
        let mut peers = (0..CRUMBLERS).map(begin).collect::<Result<Vec<_>, _>>()?;
        hellos += CRUMBLERS;
        let began = Instant::now();
        while !ground.is_over() && began.elapsed() < EACH_LASTS {
            let packet = crumbs_of(&mut number, |place| crypto(BEHIND_THE_HELLO + place, b"x"));
            for peer in &mut peers {
                peer.send_in(Space::Initial, &packet, 1_200);
                pace.step();
            }
        }
    }
    Ok(format!("{number} fragments of each in {hellos} handshakes"))
}

pub(super) fn crypto_gaps(ground: &Ground) -> Result<String, Failure> {
    let mut peers = ground.connected(64, address(0))?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let (mut fragments, mut at) = (0_u64, 1_u64);
    while !ground.is_over() {
        let mut packet = Vec::new();
        while packet.len() < PACKET_BYTES {
            packet.extend(crypto((at % 16_000) | 1, b"x"));
            at += 2;
            fragments += 1;
        }
        for peer in &mut peers {
            peer.send(&packet);
            pace.step();
        }
    }
    Ok(format!("{fragments} fragments to each; {}", endings(&mut peers)))
}

pub(super) fn id_stuffing(ground: &Ground) -> Result<String, Failure> {
    let mut peers = ground.connected(64, address(0))?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let mut number = 0;
    while !ground.is_over() {
        let mut packet = Vec::new();
        while packet.len() < PACKET_BYTES {
            number += 1;
            packet.extend(new_connection_id(number, number));
        }
        for peer in &mut peers {
            peer.send(&packet);
            pace.step();
        }
    }
    Ok(format!("{number} ids to each; {}", endings(&mut peers)))
}

pub(super) fn id_retiring(ground: &Ground) -> Result<String, Failure> {
    let mut peers = ground.connected(64, address(0))?;
    let mut issued = 0_u64;
    while !ground.is_over() {
        for peer in &mut peers {
            for heard in peer.drain() {
                if let Heard::Issued(number) = heard {
                    issued += 1;
                    peer.send(&numbers(&[0x19, number.saturating_sub(1)]));
                }
            }
        }
        sleep(Duration::from_millis(1));
    }
    Ok(format!("{issued} ids issued; {}", endings(&mut peers)))
}

pub(super) fn challenges(ground: &Ground) -> Result<String, Failure> {
    let mut peers = ground.connected(64, address(0))?;
    let mut pace = Pace::new(PACKETS_PER_SECOND);
    let packet: Vec<u8> = (0..100).flat_map(path_challenge).collect();
    let mut sent = 0_u64;
    while !ground.is_over() {
        for peer in &mut peers {
            peer.send(&packet);
            sent += 100;
            pace.step();
        }
    }
    let ends = endings(&mut peers);
    let (came, left) = peers.iter().fold((0, 0), |(came, left), peer| (came + peer.bytes_in, left + peer.bytes_out));
    if came > 3 * left {
        Err(format!("{came} bytes came for {left}"))
    } else {
        Ok(format!("{sent} challenges; {ends}; {came} bytes came for {left}"))
    }
}
