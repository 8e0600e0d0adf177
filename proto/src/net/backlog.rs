//! How long packets wait in a server's socket until they are read.
//!
//! A server that has more to do than its processors give reads its socket too seldom, and what arrives waits there, in the
//! system's buffer, before anything of ours could count it. Neither the system's sockets nor quinn say how long. So a few bytes
//! are sent to the socket from here every now and then, and the time until they come out of it is the time that everybody's
//! packets waited there. They carry what only this process can make, so that nobody else's packet is taken for one.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    io::{self, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use tokio::time::Instant;

/// A probe: its number, and a hash of that under a key of this process. Shorter than any packet that QUIC answers.
const PROBE_BYTES: usize = 16;

/// One that is not back by then was dropped, because the system's buffer was full.
const LOST_AFTER: Duration = Duration::from_millis(250);

/// None has come back for so long: they do not reach the socket, and nothing is known.
const BLIND_AFTER: Duration = Duration::from_secs(10);

/// What is known of the packets that wait.
pub struct Backlog {
    keys: RandomState,
    /// None on a machine that does not reach itself at that address.
    probes: Option<UdpSocket>,
    to: SocketAddr,
    began: Instant,
    /// The number of the last probe, and when it left.
    number: AtomicU64,
    sent: AtomicU64,
    /// The number of the last one that came back, when, and how long it took.
    back: AtomicU64,
    back_at: AtomicU64,
    took: AtomicU64,
}

impl Backlog {
    /// Of the socket that listens at `listen`.
    fn of(listen: SocketAddr) -> Self {
        let to = SocketAddr::new(reachable(listen.ip()), listen.port());
        let probes = UdpSocket::bind(SocketAddr::new(to.ip(), 0)).and_then(|probes| {
            probes.set_nonblocking(true)?;
            Ok(probes)
        });
        let number = AtomicU64::default;
        let (sent, back, back_at, took) = (number(), number(), number(), number());
        Self {
            keys: RandomState::new(),
            probes: probes.ok(),
            to,
            began: Instant::now(),
            number: number(),
            sent,
            back,
            back_at,
            took,
        }
    }

    /// Whether anything can be known: a machine with IPv6 addresses and without `::1` does not reach `[::]` there.
    pub fn is_blind(&self) -> bool {
        self.probes.is_none()
    }

    /// How long packets wait now, as far as is known; and sends a probe if none is on its way. To be called every few
    /// milliseconds, by one caller.
    pub fn sound(&self) -> Duration {
        let now = micros(self.began.elapsed());
        let (number, back) = (self.number.load(Relaxed), self.back.load(Relaxed));
        let since = now.saturating_sub(self.sent.load(Relaxed));
        let is_out = number != back;
        let waits = if is_out { since.max(self.took.load(Relaxed)) } else { self.took.load(Relaxed) };
        if !is_out || since > micros(LOST_AFTER) {
            self.probe(number.wrapping_add(1), now);
        }
        let silent = now.saturating_sub(self.back_at.load(Relaxed));
        if back == 0 || silent > micros(BLIND_AFTER) { Duration::ZERO } else { Duration::from_micros(waits) }
    }

    fn probe(&self, number: u64, now: u64) {
        let probe = self.made(number);
        self.sent.store(now, Relaxed);
        self.number.store(number, Relaxed);
        if let Some(probes) = &self.probes {
            let _ = probes.send_to(&probe, self.to); // not sent is as good as lost
        }
    }

    fn made(&self, number: u64) -> [u8; PROBE_BYTES] {
        let mut probe = [0; PROBE_BYTES];
        let bytes = number.to_be_bytes().into_iter().chain(self.keys.hash_one(number).to_be_bytes());
        probe.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        probe
    }

    /// Whether this is the last probe, or an earlier one.
    fn heard(&self, packet: &[u8]) -> bool {
        let Some(number) = packet.first_chunk::<8>().copied().map(u64::from_be_bytes) else { return false };
        if packet != self.made(number) {
            return false;
        }
        if number == self.number.load(Relaxed) {
            let now = micros(self.began.elapsed());
            self.took.store(now.saturating_sub(self.sent.load(Relaxed)), Relaxed);
            self.back_at.store(now, Relaxed);
            self.back.store(number, Relaxed);
        }
        true
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").finish_non_exhaustive()
    }
}

/// Where a process reaches what it listens to itself.
fn reachable(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A socket whose packets' waiting is known.
#[derive(Debug)]
pub(super) struct Sounded {
    socket: Arc<dyn AsyncUdpSocket>,
    backlog: Arc<Backlog>,
}

impl Sounded {
    pub(super) fn new(socket: Arc<dyn AsyncUdpSocket>) -> io::Result<(Arc<Self>, Arc<Backlog>)> {
        let backlog = Arc::new(Backlog::of(socket.local_addr()?));
        Ok((Arc::new(Self { socket, backlog: backlog.clone() }), backlog))
    }
}

impl AsyncUdpSocket for Sounded {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.socket.poll_recv(cx, bufs, meta))?;
        for (meta, packet) in meta.iter_mut().zip(bufs.iter()).take(count) {
            if meta.len == PROBE_BYTES && packet.get(..PROBE_BYTES).is_some_and(|packet| self.backlog.heard(packet)) {
                meta.len = 0; // nothing for QUIC
            }
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::poll_fn;

    use quinn::{Runtime, TokioRuntime};
    use tokio::time::sleep;

    use super::*;

    const WAITED: Duration = Duration::from_millis(30);

    fn sounded() -> (Arc<Sounded>, Arc<Backlog>) {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        Sounded::new(TokioRuntime.wrap_udp_socket(socket).unwrap()).unwrap()
    }

    /// Reads once, and says how long what came was.
    async fn read(socket: &Sounded) -> Vec<usize> {
        let (mut bytes, mut meta) = ([0; 2048], [RecvMeta::default()]);
        let count = poll_fn(|cx| socket.poll_recv(cx, &mut [IoSliceMut::new(&mut bytes)], &mut meta)).await.unwrap();
        meta.iter().take(count).map(|meta| meta.len).collect()
    }

    #[tokio::test]
    async fn a_socket_that_is_not_read_is_behind_until_it_is_read() {
        let (socket, backlog) = sounded();
        assert_eq!(backlog.sound(), Duration::ZERO, "nothing is known before the first is back");
        assert_eq!(read(&socket).await, [0], "quinn sees nothing of it");
        backlog.sound();
        sleep(WAITED).await;
        assert!(backlog.sound() >= WAITED, "although it is not back");
        read(&socket).await;
        assert!(backlog.sound() >= WAITED, "as long as that one waited");
    }

    #[tokio::test]
    async fn a_packet_that_somebody_else_made_is_no_probe() {
        let (socket, backlog) = sounded();
        let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, socket.local_addr().unwrap().port()));
        backlog.sound();
        read(&socket).await;
        backlog.sound();
        let number = backlog.number.load(Relaxed);
        for number in [0, number - 1, number, number + 1] {
            let mut forged = [0; PROBE_BYTES];
            forged.iter_mut().zip(number.to_be_bytes()).for_each(|(to, byte)| *to = byte);
            stranger.send_to(&forged, to).unwrap();
        }
        let mut read_so_far = Vec::new();
        while read_so_far.len() < 5 {
            read_so_far.extend(read(&socket).await);
        }
        assert_eq!(read_so_far, [0, PROBE_BYTES, PROBE_BYTES, PROBE_BYTES, PROBE_BYTES]);
    }

    #[test]
    fn one_that_was_lost_is_sent_again_and_when_none_comes_back_nothing_is_claimed() {
        let unread = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let a_minute_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let backlog = Backlog { began: a_minute_ago, ..Backlog::of(unread.local_addr().unwrap()) };
        backlog.sound();
        assert!(backlog.heard(&backlog.made(1)));
        for number in [2, 4] {
            backlog.sound();
            assert_eq!(backlog.number.load(Relaxed), number);
            backlog.sent.fetch_sub(micros(LOST_AFTER), Relaxed);
            assert!(backlog.sound() >= LOST_AFTER);
            assert_eq!(backlog.number.load(Relaxed), number + 1);
            assert!(backlog.heard(&backlog.made(number)), "too late to count");
            assert!(backlog.heard(&backlog.made(number + 1)));
        }
        backlog.sound();
        backlog.back_at.store(0, Relaxed);
        assert_eq!(backlog.sound(), Duration::ZERO);
    }
}
