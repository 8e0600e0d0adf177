//! Whoever sends in fragments of a byte, a hundred in a packet, is sent away, before and after the handshake.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Duration;

use hushwire_attacks::frames::{Heard, crypto, stream};
use hushwire_attacks::packet::Space;
use hushwire_attacks::peer::{Peer, Victim};
use hushwire_attacks::server::{Kind, Server};
use hushwire_proto::net::CloseCode;

const WITHIN: Duration = Duration::from_secs(20);

/// Sent in the place of an application's code before the handshake is through. RFC 9000 §10.2.3.
const APPLICATION_ERROR: u64 = 0x0C;

/// Sends single bytes with holes between them, from `first` on, in sixty packets, in the place of `space`.
fn crumble(peer: &mut Peer, space: Space, first: u64, one: impl Fn(u64) -> Vec<u8>) {
    let places: Vec<u64> = (0..100).map(|number| first + 2 * number).collect();
    for _ in 0..60 {
        let packet: Vec<u8> = places.iter().flat_map(|place| one(*place)).collect();
        assert!(peer.send_in(space, &packet, 1_200));
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn whoever_sends_in_crumbs_is_sent_away_before_the_handshake_is_through_and_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Kind::Relay, dir.path()).unwrap();
    let victim = Victim::new(server.address(), Kind::Relay.alpn()).unwrap();
    let code = u64::from(CloseCode::TooManyFragments.code());

    let mut peer = Peer::connect(&victim, Ipv4Addr::LOCALHOST).unwrap();
    crumble(&mut peer, Space::Data, 1, |place| stream(0, place, b"x"));
    assert_eq!(peer.closed_within(WITHIN), Some(Heard::Closed { application: true, code }));

    let mut peer = Peer::half_hello(&victim, Ipv4Addr::LOCALHOST).unwrap();
    crumble(&mut peer, Space::Initial, 8_001, |place| crypto(place, b"x"));
    let closed = peer.closed_within(WITHIN);
    assert_eq!(closed, Some(Heard::Closed { application: false, code: APPLICATION_ERROR }));
}
