//! What the network and the disk of this machine take for as many bytes, without a relay.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use hushwire_proto::net::tls::ServerIdentity;
use hushwire_proto::net::{RELAY_ALPN, quic};
use hushwire_sim::Failure;
use tokio::sync::oneshot;

use crate::envelopes::{ENVELOPE_BYTES, WARM_UP};
use crate::said;
use crate::table::Times;

/// Round trips over one stream, under the same transport configuration as a relay's, to an echo in this process.
pub(crate) async fn echo(count: usize) -> Result<Times, Failure> {
    let identity = ServerIdentity::self_signed(&["localhost".to_owned()]).map_err(said)?;
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let (server, _) = quic::server_endpoint(listen, &identity, RELAY_ALPN).map_err(said)?;
    let address = server.local_addr().map_err(said)?;
    let serving = tokio::spawn(async move {
        let connection = server.accept().await?.await.ok()?;
        let (mut send, mut receive) = connection.accept_bi().await.ok()?;
        let mut bytes = vec![0; ENVELOPE_BYTES];
        loop {
            receive.read_exact(&mut bytes).await.ok()?;
            send.write_all(&bytes).await.ok()?;
        }
        #[allow(unreachable_code, reason = "says what the block gives")]
        Some(())
    });
    let (config, _) = quic::client_config(identity.fingerprint(), RELAY_ALPN).map_err(said)?;
    let endpoint = quic::client_endpoint(address).map_err(said)?;
    let connection = endpoint.connect_with(config, address, "localhost").map_err(said)?.await.map_err(said)?;
    let (mut send, mut receive) = connection.open_bi().await.map_err(said)?;
    let mut bytes = vec![0x5A; ENVELOPE_BYTES];
    let mut times = Times::default();
    for number in 0..WARM_UP + count {
        let began = Instant::now();
        send.write_all(&bytes).await.map_err(said)?;
        receive.read_exact(&mut bytes).await.map_err(said)?;
        if number >= WARM_UP {
            times.add(began.elapsed());
        }
    }
    serving.abort();
    Ok(times)
}

/// Where synced bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Into {
    /// The end of a file: its size is on the disk with them, which takes the file system's journal.
    Growing,
    /// A file that has its size already, as the log of a database that takes room ahead.
    Prepared,
}

/// Writes, each synced, by a thread that is woken for each as a relay's writer is: what waking costs is not counted.
pub(crate) async fn synced(path: &Path, into: Into, count: usize) -> Result<Times, Failure> {
    let mut file = File::create(path).map_err(said)?;
    let bytes = vec![0x5A; ENVELOPE_BYTES];
    if into == Into::Prepared {
        file.write_all(&vec![0; ENVELOPE_BYTES * count]).and_then(|()| file.sync_all()).map_err(said)?;
        file.rewind().map_err(said)?;
    }
    let (ask, asked) = std::sync::mpsc::channel::<oneshot::Sender<io::Result<Duration>>>();
    std::thread::spawn(move || {
        for answer in asked {
            let began = Instant::now();
            let synced = file.write_all(&bytes).and_then(|()| file.sync_data());
            let _ = answer.send(synced.map(|()| began.elapsed())); // the asker waits for it
        }
    });
    let mut times = Times::default();
    for _ in 0..count {
        let (answer, answered) = oneshot::channel();
        ask.send(answer).map_err(said)?;
        times.add(answered.await.map_err(said)?.map_err(said)?);
    }
    Ok(times)
}
