//! Asking an auditor, over HTTP. What it says is signed, so nothing of the way there needs to be trusted; who asks is seen
//! by whoever sees the connection, as a network address and the keyserver that it asks about.
//!
//! Spec: keyserver §7.8.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hushwire_engine::{CallFailed, REPORT_BYTES_MAX, Reply};
use hushwire_proto::address::{Fingerprint, ServerAddress};
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a report may take with all of it. A command that waits for it should not try a person's patience.
const DEADLINE: Duration = Duration::from_secs(6);

/// The report of an auditor about a keyserver, up to this epoch.
pub(super) async fn fetch(auditor: &ServerAddress, about: Fingerprint, through: u64) -> Result<Reply, CallFailed> {
    match timeout(DEADLINE, get(auditor, about, through)).await {
        Ok(Ok(report)) => Ok(Reply::Report(report)),
        Ok(Err(why)) => Err(CallFailed::Unreachable(format!("the auditor cannot be asked: {why}"))),
        Err(_) => Err(CallFailed::Unreachable("the auditor did not answer in time".to_owned())),
    }
}

async fn get(auditor: &ServerAddress, about: Fingerprint, through: u64) -> Result<Bytes, String> {
    let (host, port) = (auditor.host().to_string(), auditor.port());
    let connection = TcpStream::connect(format!("{host}:{port}")).await.map_err(text)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await;
    let (mut requests, conversation) = handshake.map_err(text)?;
    let request = Request::get(format!("/roots.json?keyserver={about}&through={through}"))
        .header(HOST, format!("{host}:{port}"))
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(text)?;
    let asked = async {
        let answer = requests.send_request(request).await.map_err(text)?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answers with {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), REPORT_BYTES_MAX).collect().await.map_err(text)?;
        Ok(body.to_bytes())
    };
    let mut conversation = std::pin::pin!(conversation);
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        report = &mut asked => report,
        ended = &mut conversation => match ended {
            Ok(()) => asked.await, // all has arrived
            Err(error) => Err(error.to_string()),
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
