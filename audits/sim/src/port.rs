//! Ports of the loopback for servers of tests. Other crates' tests include this file by its path.
#![allow(unreachable_pub, reason = "public where a crate shows it to its programs")]

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port that is free for UDP and TCP, outside the range that the system draws from: while a server that stopped is
/// away, no client's socket takes its port.
///
/// # Panics
/// None of many between 20,000 and 30,000 is free.
#[must_use]
#[allow(clippy::expect_used, reason = "tests have nothing to go on with")]
pub fn free_port() -> u16 {
    let is_free = |port: &u16| {
        let at = (Ipv4Addr::LOCALHOST, *port);
        UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok()
    };
    (0..1000).map(|_| rand::random_range(20_000..30_000)).find(is_free).expect("a free port from 20000 to 30000")
}
