//! Connections over real sockets on the loopback device, with a service that does what its requests say.
#![cfg(feature = "net")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod echo;

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use echo::Server;
use hushwire_proto::{
    address::{Fingerprint, Host, ServerAddress},
    frame::{self, Frame, RequestId},
    limits::{FRAME_BYTES_MAX, ORDINARY_FRAME_BYTES, REQUESTS_IN_FLIGHT_MAX},
    net::{
        CloseCode, KEYS_ALPN, RELAY_ALPN,
        call::{CALLS_WAITING_MAX, CallError, ConnectError, Connection, Disconnect},
        quic,
        serve::{Counts, Drained, Listener, Peer, Reply, ServeLimits, Service, serve},
        tls::ServerIdentity,
    },
};
use tokio::{
    sync::{Semaphore, oneshot, watch},
    task::JoinHandle,
};

/// Longer than anything here takes, on the busiest machine.
const LONG: Duration = Duration::from_secs(60);
const PUSH_BYTES: usize = 1024;

fn address_of(at: SocketAddr, fingerprint: Fingerprint) -> ServerAddress {
    ServerAddress::new(Host::Ip(at.ip()), at.port()).with_fingerprint(fingerprint)
}

fn said(connection_end: quinn::ConnectionError) -> Option<CloseCode> {
    match connection_end {
        quinn::ConnectionError::ApplicationClosed(close) => CloseCode::from_code(close.error_code.into_inner()),
        _ => None,
    }
}

async fn echoes(connection: &Connection, text: &'static str) -> bool {
    connection.call(text.into(), LONG).await == Ok(text.into())
}

#[tokio::test]
async fn calls_begin_in_the_order_they_were_started_and_end_in_any() {
    let server = Server::start();
    let connection = server.connect().await;
    let held = connection.start("hold".into()).unwrap();
    let numbers: Vec<Bytes> = (0..100).map(|number| number.to_string().into()).collect();
    let calls: Vec<_> = numbers.iter().map(|number| connection.start(number.clone()).unwrap()).collect();
    for (call, number) in calls.into_iter().zip(&numbers) {
        assert_eq!(call.answer(LONG).await.as_ref(), Ok(number)); // though the first is not answered
    }
    assert_eq!(server.echo.begun.lock().unwrap()[1..], numbers);
    server.echo.gate.add_permits(1);
    assert_eq!(held.answer(LONG).await, Ok("hold".into()));
}

#[tokio::test]
async fn the_largest_frame_goes_to_a_server_and_the_largest_ordinary_one_comes_back() {
    let server = Server::start();
    let connection = server.connect().await;
    let largest = Bytes::from(vec![7; FRAME_BYTES_MAX]);
    let answer = largest.slice(..ORDINARY_FRAME_BYTES);
    assert_eq!(connection.call(largest, LONG).await, Ok(answer));
    let bytes = FRAME_BYTES_MAX + 1;
    assert_eq!(connection.call(vec![7; bytes].into(), LONG).await, Err(CallError::FrameTooLarge { bytes }));
    assert!(echoes(&connection, "still here").await);
}

#[tokio::test]
async fn no_more_requests_begin_than_may_be_in_flight_and_the_rest_comes_later() {
    let server = Server::start();
    let connection = server.connect().await;
    let calls: Vec<_> = (0..600).map(|_| connection.start("hold".into()).unwrap()).collect();
    server.echo.has_begun(REQUESTS_IN_FLIGHT_MAX).await;
    let other = server.connect().await;
    assert!(echoes(&other, "meanwhile").await); // others are served
    assert_eq!(server.echo.begun.lock().unwrap().len(), REQUESTS_IN_FLIGHT_MAX + 1);
    server.echo.gate.add_permits(1);
    for call in calls {
        assert_eq!(call.answer(LONG).await, Ok("hold".into()));
    }
}

#[tokio::test]
async fn more_calls_than_may_wait_are_refused_until_some_are_given_up() {
    let server = Server::start();
    let connection = server.connect().await;
    let waiting: Vec<_> = (0..CALLS_WAITING_MAX).map(|_| connection.start("hold".into()).unwrap()).collect();
    assert!(matches!(connection.start("one more".into()), Err(CallError::Busy)));
    drop(waiting);
    server.echo.gate.add_permits(1);
    assert!(echoes(&connection, "one more").await);
}

#[tokio::test]
async fn pushes_nobody_reads_stop_at_the_limits_and_none_is_lost() {
    const COUNT: u64 = 8192; // 8 MiB, more than all the queues and windows on the way
    let server = Server::start();
    let (connection, other) = (server.connect().await, server.connect().await);
    let mut pushes = connection.pushes().unwrap();
    assert!(connection.pushes().is_none());
    let call = connection.start(format!("push {COUNT}").into()).unwrap();
    server.echo.has_begun(1).await;
    while server.echo.pushed.load(SeqCst) < COUNT / 8 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await; // would be enough for all of them
    assert!(server.echo.pushed.load(SeqCst) < COUNT);
    assert!(echoes(&other, "not my problem").await);
    for number in 0..COUNT {
        assert_eq!(pushes.next().await.unwrap()[..8], number.to_be_bytes());
    }
    assert_eq!(call.answer(LONG).await, Ok(Bytes::new()));
}

#[tokio::test]
async fn pushes_whose_receiver_is_dropped_are_thrown_away() {
    let server = Server::start();
    let connection = server.connect().await;
    drop(connection.pushes());
    assert_eq!(connection.call("push 8192".into(), LONG).await, Ok(Bytes::new()));
}

#[tokio::test]
async fn a_small_answer_gives_the_place_of_its_request_back_and_a_large_one_is_not_small() {
    let server = Server::start();
    let connection = server.connect().await;
    let too_large = format!("small {}", "x".repeat(Reply::SMALL_MAX));
    assert_eq!(connection.call(too_large.into(), Duration::from_millis(100)).await, Err(CallError::TimedOut));
    for small in (0..3 * REQUESTS_IN_FLIGHT_MAX).map(|n| Bytes::from(format!("small {n}"))) {
        assert_eq!(connection.call(small.clone(), LONG).await, Ok(small));
    }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_the_connection_goes_on() {
    let server = Server::start();
    let connection = server.connect().await;
    let deadline = Duration::from_millis(50);
    assert_eq!(connection.call("never".into(), deadline).await, Err(CallError::TimedOut));
    assert!(echoes(&connection, "hello").await);
}

#[tokio::test]
async fn a_bad_frame_ends_its_connection_and_no_other() {
    let server = Server::start();
    let bystander = server.connect().await;
    let mut oversized = BytesMut::new();
    oversized.extend_from_slice(&u32::MAX.to_be_bytes());
    oversized.extend_from_slice(&1u64.to_be_bytes());
    let mut request_zero = BytesMut::new();
    frame::encode(&Frame { id: RequestId::PUSH, payload: "x".into() }, &mut request_zero).unwrap();
    let mut truncated = BytesMut::new();
    frame::encode(&Frame { id: RequestId(1), payload: "cut off".into() }, &mut truncated).unwrap();
    truncated.truncate(truncated.len() - 1);

    for bytes in [oversized, request_zero, truncated] {
        let (_endpoint, raw) = server.connect_raw().await;
        let (mut send, _receive) = raw.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        assert_eq!(said(raw.closed().await), Some(CloseCode::BadFrame));
    }
    assert!(echoes(&bystander, "still here").await);
    assert_eq!(server.counts.bad_frames.load(SeqCst), 3);
    assert_eq!(server.echo.begun.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_client_opens_one_stream_and_nothing_else() {
    let server = Server::start();
    let (_endpoint, raw) = server.connect_raw().await;
    let _stream = raw.open_bi().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), raw.open_bi()).await.is_err());
    assert!(tokio::time::timeout(Duration::from_millis(100), raw.open_uni()).await.is_err());
    assert_eq!(raw.max_datagram_size(), None);
}

#[tokio::test]
async fn a_server_with_another_key_is_refused_before_anything_is_said() {
    let server = Server::start();
    let found = server.fingerprint;
    let expected = Fingerprint([9; 32]);
    let refused = Connection::connect(&address_of(server.at, expected), RELAY_ALPN, LONG).await;
    assert!(matches!(
        refused,
        Err(ConnectError::WrongCertificate { expected: e, found: f }) if (e, f) == (expected, found)
    ));
    assert!(echoes(&server.connect().await, "the right one").await);
    assert_eq!(server.echo.connected.load(SeqCst), 1); // the first attempt was never a connection
    assert_eq!(server.echo.begun.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_without_a_fingerprint_is_not_connected_to() {
    let address = ServerAddress::new(Host::Ip(Ipv4Addr::LOCALHOST.into()), 1);
    let refused = Connection::connect(&address, RELAY_ALPN, LONG).await;
    assert!(matches!(refused, Err(ConnectError::NoFingerprint)));
}

#[tokio::test]
async fn another_protocol_is_told_from_another_server() {
    let server = Server::start();
    let refused = Connection::connect(&server.address, KEYS_ALPN, LONG).await;
    assert!(matches!(refused, Err(ConnectError::WrongProtocol)), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_at_the_deadline() {
    let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = address_of(silent.local_addr().unwrap(), Fingerprint([0; 32]));
    let refused = Connection::connect(&address, RELAY_ALPN, Duration::from_millis(100)).await;
    assert!(matches!(refused, Err(ConnectError::TimedOut)));
}

#[tokio::test]
async fn both_ends_of_a_connection_and_nobody_else_have_its_key_material() {
    let server = Server::start();
    let (one, two) = (server.connect().await, server.connect().await);
    let mut seen = BTreeSet::new();
    for connection in [&one, &two] {
        for context in ["a", "b"] {
            let here = connection.exporter(b"label", context.as_bytes()).unwrap();
            let there = connection.call(format!("export {context}").into(), LONG).await.unwrap();
            assert_eq!(there, here[..]);
            seen.insert(here);
        }
    }
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn a_server_that_stops_answers_what_it_has_begun() {
    let server = Server::start();
    let connection = server.connect().await;
    let held = connection.start("hold".into()).unwrap();
    let large = connection.start(vec![7; FRAME_BYTES_MAX].into()).unwrap();
    server.echo.has_begun(2).await;
    server.stop.send(()).unwrap();
    loop {
        match Connection::connect(&server.address, RELAY_ALPN, LONG).await {
            Err(ConnectError::Refused) => break,
            Err(other) => panic!("{other}"),
            Ok(_) => tokio::task::yield_now().await, // it has not looked at the signal yet
        }
    }
    let late = connection.start("too late".into());
    server.echo.gate.add_permits(1);
    assert_eq!(held.answer(LONG).await, Ok("hold".into()));
    assert_eq!(large.answer(LONG).await.unwrap().len(), ORDINARY_FRAME_BYTES);
    let gone = Disconnect::Closed(CloseCode::GoingAway);
    let late = match late {
        Ok(late) => late.answer(LONG).await.unwrap_err(), // it left, and was not read
        Err(error) => error,                              // the server had said by then that it reads no more
    };
    assert_eq!(late, gone.into());
    assert_eq!(connection.closed().await, gone);
    assert!(matches!(connection.start("later still".into()), Err(CallError::Disconnected(end)) if end == gone));
    assert_eq!(server.end.await.unwrap(), Drained { cut: 0 });
    assert_eq!(server.echo.begun.lock().unwrap().len(), 2);
    assert_eq!(*server.echo.disconnected.borrow(), server.echo.connected.load(SeqCst));
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_gets_them_back() {
    let server = Server::with(ServeLimits { connections_per_address: 2, ..ServeLimits::default() });
    let (first, second) = (server.connect().await, server.connect().await);
    assert!(echoes(&first, "1").await && echoes(&second, "2").await);
    let third = Connection::connect(&server.address, RELAY_ALPN, LONG).await;
    assert!(matches!(third, Err(ConnectError::Refused)), "{third:?}");
    assert_eq!(server.counts.refused.load(SeqCst), 1);
    first.close().await;
    server.echo.disconnected.subscribe().wait_for(|count| *count == 1).await.unwrap();
    // It counts no more a moment after the service was told, and its place is free once the transport has forgotten it.
    while server.counts.open.load(SeqCst) > 1 {
        tokio::task::yield_now().await;
    }
    let connect = || Connection::connect(&server.address, RELAY_ALPN, LONG);
    let mut again = connect().await;
    while matches!(again, Err(ConnectError::Refused)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        again = connect().await;
    }
    assert!(echoes(&again.unwrap(), "3").await);
    assert!(server.counts.refused.load(SeqCst) > 1, "the place was free at once");
}

#[tokio::test]
async fn under_load_a_client_proves_its_address_and_notices_nothing() {
    let server = Server::with(ServeLimits { unproven_handshakes: 0, ..ServeLimits::default() });
    assert!(echoes(&server.connect().await, "hello").await);
    assert_eq!(server.counts.retried.load(SeqCst), 1);
    assert_eq!(server.counts.accepted.load(SeqCst), 1);
}

#[tokio::test]
async fn dropping_the_connection_tells_the_server_and_ends_what_waits() {
    let server = Server::start();
    let connection = server.connect().await;
    let held = connection.start("hold".into()).unwrap();
    server.echo.has_begun(1).await;
    drop(connection);
    assert_eq!(held.answer(LONG).await, Err(Disconnect::Here.into()));
    server.echo.disconnected.subscribe().wait_for(|count| *count == 1).await.unwrap();
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_left() {
    let identity = ServerIdentity::self_signed(&["localhost".to_owned()]).unwrap();
    let (evil, _) = quic::server_endpoint((Ipv4Addr::LOCALHOST, 0).into(), &identity, RELAY_ALPN).unwrap();
    let address = address_of(evil.local_addr().unwrap(), identity.fingerprint());
    let server = tokio::spawn(async move {
        let connection = evil.accept().await.unwrap().await.unwrap();
        let (mut send, _receive) = connection.accept_bi().await.unwrap();
        send.write_all(&[0xFF; 12]).await.unwrap();
        said(connection.closed().await)
    });
    let connection = Connection::connect(&address, RELAY_ALPN, LONG).await.unwrap();
    let broken = Disconnect::Broken(CloseCode::BadFrame);
    assert_eq!(connection.call("hello".into(), LONG).await, Err(broken.into()));
    assert_eq!(connection.closed().await, broken);
    assert_eq!(server.await.unwrap(), Some(CloseCode::BadFrame));
}

#[tokio::test]
async fn a_name_with_several_addresses_is_reached_at_the_one_that_answers() {
    let server = Server::start(); // on 127.0.0.1, while localhost may mean ::1 first
    let address =
        ServerAddress::new(Host::Domain("localhost".to_owned()), server.at.port()).with_fingerprint(server.fingerprint);
    assert!(echoes(&Connection::connect(&address, RELAY_ALPN, LONG).await.unwrap(), "hello").await);
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let server = Server::start();
    let connection = server.connect().await;
    tokio::time::pause(); // from here on the clock jumps whenever nothing is left to do
    assert_eq!(connection.closed().await, Disconnect::Closed(CloseCode::TooSlow));
}

#[tokio::test]
async fn a_frame_that_begins_and_does_not_end_is_not_waited_for() {
    let server = Server::start();
    let (_endpoint, raw) = server.connect_raw().await;
    let (mut send, _receive) = raw.open_bi().await.unwrap();
    send.write_all(&[0, 0, 0, 9]).await.unwrap();
    tokio::time::pause();
    assert_eq!(said(raw.closed().await), Some(CloseCode::TooSlow));
    assert_eq!(server.counts.too_slow.load(SeqCst), 1);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed() {
    let server = Server::start();
    let (_endpoint, raw) = server.connect_raw().await;
    let (mut send, _receive) = raw.open_bi().await.unwrap();
    let mut push = BytesMut::new();
    frame::encode(&Frame { id: RequestId(1), payload: "push 8192".into() }, &mut push).unwrap();
    send.write_all(&push).await.unwrap();
    server.echo.has_begun(1).await;
    tokio::time::pause();
    assert_eq!(said(raw.closed().await), Some(CloseCode::TooSlow));
}

#[tokio::test]
async fn a_client_that_has_nothing_to_say_stays_connected() {
    let server = Server::start();
    let connection = server.connect().await;
    assert!(echoes(&connection, "hello").await);
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(echoes(&connection, "still here").await);
}

#[tokio::test]
async fn a_server_that_stops_waits_so_long_and_no_longer() {
    let server = Server::start();
    let connection = server.connect().await;
    let never = connection.start("never".into()).unwrap();
    server.echo.has_begun(1).await;
    tokio::time::pause();
    server.stop.send(()).unwrap();
    assert_eq!(server.end.await.unwrap(), Drained { cut: 1 });
    assert_eq!(never.answer(LONG).await, Err(Disconnect::Closed(CloseCode::GoingAway).into()));
}
