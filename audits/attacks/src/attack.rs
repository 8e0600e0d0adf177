//! Every attack, by name. Each ends when it is told, or when it has done all that it does, and says what it saw.

mod flood;
mod owners;
mod slow;
mod state;

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::frames::Heard;
use crate::peer::{Peer, Victim};
use crate::server::Kind;

/// One kind of attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// As it is called on the command line.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
    /// Does it, and says what came of it; an error is something that must not be.
    pub run: fn(&Ground) -> Result<String, Failure>,
}

/// Against whom, and until when.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Whom.
    pub victim: Victim,
    /// The end.
    pub until: Instant,
}

/// All that are made against a server of that kind.
pub fn against(kind: Kind) -> impl Iterator<Item = &'static Attack> {
    let more = if kind == Kind::Relay { OWNERS } else { &[] };
    ATTACKS.iter().chain(more)
}

/// Against both.
const ATTACKS: &[Attack] = &[
    Attack {
        name: "illegal-frames",
        what: "frames that no peer may send, one kind on each connection",
        run: state::illegal,
    },
    Attack {
        name: "parameters",
        what: "handshakes with transport parameters that lie or are none",
        run: state::parameters,
    },
    Attack { name: "garbage", what: "datagrams of noise, and real ones with changes", run: state::garbage },
    Attack {
        name: "stream-gaps",
        what: "every second byte of a stream's window, on 64 connections",
        run: state::stream_gaps,
    },
    Attack {
        name: "crumbs",
        what: "the same 900 bytes of a stream one by one, with holes between them, 100 in a packet, over and over",
        run: state::crumbs,
    },
    Attack {
        name: "hello-crumbs",
        what: "the same behind half a hello, in handshakes that never get through",
        run: state::hello_crumbs,
    },
    Attack {
        name: "crypto-gaps",
        what: "every second byte of handshake data that never gets whole",
        run: state::crypto_gaps,
    },
    Attack {
        name: "id-stuffing",
        what: "new connection ids that retire the ones before, nothing acknowledged",
        run: state::id_stuffing,
    },
    Attack {
        name: "id-retiring",
        what: "each connection id of the server retired as it comes",
        run: state::id_retiring,
    },
    Attack {
        name: "challenges",
        what: "path challenges, 100 in a packet, no answer acknowledged",
        run: state::challenges,
    },
    Attack { name: "hellos", what: "first hellos of ever new addresses, never gone on with", run: flood::hellos },
    Attack { name: "proven-hellos", what: "the same, after the address was proven", run: flood::proven_hellos },
    Attack {
        name: "held-hellos",
        what: "the same from one address, which would have all places for handshakes",
        run: flood::held_hellos,
    },
    Attack {
        name: "connections",
        what: "1,000 whole connections of one address that ask nothing",
        run: flood::connections,
    },
    Attack { name: "resets", what: "streams opened and taken back as fast as the server lets", run: flood::resets },
    Attack {
        name: "half-frames",
        what: "200 connections with a frame each that comes by single bytes",
        run: slow::half_frames,
    },
    Attack {
        name: "large-frames",
        what: "the places of large frames taken by frames that stop half way",
        run: slow::large_frames,
    },
    Attack {
        name: "lying-frames",
        what: "frames whose length lies, with an id that no client has, or cut short",
        run: slow::lying_frames,
    },
    Attack { name: "deaf", what: "requests from 64 connections whose answers may never leave", run: slow::deaf },
    Attack {
        name: "nonsense",
        what: "frames in which no message is, as fast as they are answered",
        run: slow::nonsense,
    },
];

/// Against the relay alone: by owners of mailboxes.
const OWNERS: &[Attack] = &[
    Attack {
        name: "drains",
        what: "mailboxes drained over and over, some with 400 envelopes, on 32 connections of one address",
        run: owners::drains,
    },
    Attack {
        name: "deaf-drains",
        what: "mailboxes with much in them drained on 32 connections that read nothing",
        run: owners::deaf_drains,
    },
    Attack {
        name: "acks",
        what: "acknowledgements without end: of each envelope, of what is gone, and of what never was",
        run: owners::acks,
    },
    Attack {
        name: "revokes",
        what: "256 tokens granted and revoked and as many that are none revoked, over and over",
        run: owners::revokes,
    },
    Attack {
        name: "mailboxes",
        what: "mailboxes opened over and over, with proofs and without, and new ones made",
        run: owners::mailboxes,
    },
];

impl Ground {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// So many connections of one address.
    fn connected(&self, count: usize, from: Ipv4Addr) -> Result<Vec<Peer>, Failure> {
        (0..count).map(|_| Peer::connect(&self.victim, from)).collect()
    }
}

/// The network addresses of the attackers: others than those of honest peers.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 2, 0, 1).to_bits() + number % 0xF_FFFF)
}

/// Keeps to so many in a second.
struct Pace {
    began: Instant,
    done: u32,
    per_second: u32,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        Self { began: Instant::now(), done: 0, per_second }
    }

    fn step(&mut self) {
        self.done += 1;
        let due = Duration::from_secs_f64(f64::from(self.done) / f64::from(self.per_second));
        if let Some(ahead) = due.checked_sub(self.began.elapsed()) {
            thread::sleep(ahead);
        }
    }
}

/// Says of some connections how many the server closed, and with which codes.
fn endings(peers: &mut [Peer]) -> String {
    let mut codes = std::collections::BTreeMap::<(bool, u64), u32>::new();
    for peer in peers.iter_mut() {
        for heard in peer.drain() {
            if let Heard::Closed { application, code } = heard {
                *codes.entry((application, code)).or_default() += 1;
                break;
            }
        }
    }
    let closed: u32 = codes.values().sum();
    let codes: Vec<_> = codes
        .iter()
        .map(|((application, code), count)| format!("{count} {}{code}", if *application { "code " } else { "QUIC " }))
        .collect();
    format!("{closed} of {} closed ({})", peers.len(), codes.join(", "))
}
