//! Who asks over HTTP: people's browsers, clients, scrapers. Everything is public and nothing can be changed.
//!
//! | path | what it says |
//! |---|---|
//! | `/` | the page for people (`page.rs`) |
//! | `/roots.json` | the signed report (`hushwire_log::Report`); `?keyserver=FINGERPRINT` of one, `&through=EPOCH` up to there |
//! | `/healthz` | 200: every keyserver is followed; 503, and which is not |
//! | `/metrics` | numbers, as Prometheus reads them |
//!
//! Spec: keyserver §7.8.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hushwire_proto::address::Fingerprint;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::page;
use crate::watched::Auditor;

/// Connections at once; further ones wait to be taken. Each holds a few kilobytes and a report.
const CONNECTIONS_MAX: usize = 256;

/// How long one connection may take with all of it.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Nothing but our own style sheet is loaded, nothing runs, nobody frames the page.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers until it is aborted.
pub(crate) async fn serve(listener: TcpListener, auditor: Arc<Auditor>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut conversations = JoinSet::new(); // ended with this
    loop {
        while conversations.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await; // out of files, for example: it passes
            continue;
        };
        let auditor = auditor.clone();
        conversations.spawn(async move {
            let _ = timeout(CONNECTION_DEADLINE, converse(stream, auditor)).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, auditor: Arc<Auditor>) -> Result<(), hyper::Error> {
    let answers = service_fn(|request: Request<Incoming>| {
        let answer = answer(&auditor, request.method(), request.uri().path(), request.uri().query());
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(HEAD_BYTES_MAX);
    http.serve_connection(TokioIo::new(stream), answers).await
}

fn answer(auditor: &Auditor, method: &Method, path: &str, query: Option<&str>) -> Response<Full<Bytes>> {
    if method != Method::GET {
        return said(StatusCode::METHOD_NOT_ALLOWED, TEXT, "nothing can be changed here\n");
    }
    match path {
        "/" | "/roots.json" => match about(query) {
            Err(wrong) => said(StatusCode::BAD_REQUEST, TEXT, wrong),
            Ok((about, through)) => match auditor.report(about, through) {
                Err(error) => {
                    tracing::error!(%error, "what was checked cannot be read");
                    said(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the disk cannot be read\n")
                }
                Ok(report) if path == "/" => {
                    let page = page::page(&auditor.address, &report);
                    said(StatusCode::OK, "text/html; charset=utf-8", page)
                }
                Ok(report) => said(StatusCode::OK, "application/json", report.to_json()),
            },
        },
        "/style.css" => said(StatusCode::OK, "text/css; charset=utf-8", page::STYLE),
        "/healthz" => {
            let complaints: Vec<String> = auditor.watched.iter().filter_map(|one| one.complaint()).collect();
            match complaints.is_empty() {
                true => said(StatusCode::OK, TEXT, "every keyserver is followed\n"),
                false => said(StatusCode::SERVICE_UNAVAILABLE, TEXT, complaints.join("\n") + "\n"),
            }
        }
        "/metrics" => said(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics(auditor)),
        _ => said(StatusCode::NOT_FOUND, TEXT, "there are /, /roots.json, /healthz and /metrics\n"),
    }
}

/// Which keyserver is asked about, and up to which epoch.
fn about(query: Option<&str>) -> Result<(Option<Fingerprint>, u64), &'static str> {
    let (mut about, mut through) = (None, u64::MAX);
    for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("keyserver", text)) => {
                about = Some(text.parse().map_err(|_| "keyserver=: a fingerprint has 52 letters and digits\n")?);
            }
            Some(("through", text)) => through = text.parse().map_err(|_| "through=: the number of an epoch\n")?,
            _ => return Err("ask with keyserver=FINGERPRINT and through=EPOCH\n"),
        }
    }
    Ok((about, through))
}

fn metrics(auditor: &Auditor) -> String {
    let mut page = String::new();
    for (name, kind, help) in [
        ("epoch", "gauge", "The newest epoch of the keyserver's log that was checked."),
        ("stopped", "gauge", "1 if something did not hold and the keyserver is not followed any more."),
        (
            "heard_seconds",
            "gauge",
            "When the newest root was last had from the keyserver, in Unix seconds; 0: not yet.",
        ),
    ] {
        let _ = write!(page, "# HELP hushwire_auditor_{name} {help}\n# TYPE hushwire_auditor_{name} {kind}\n");
        for one in &auditor.watched {
            let (epoch, stopped, heard_at) = one.numbers();
            let number = match name {
                "epoch" => epoch,
                "stopped" => u64::from(stopped),
                _ => heard_at.map_or(0, |at| at.0 / 1000),
            };
            let _ = writeln!(page, "hushwire_auditor_{name}{{keyserver=\"{}\"}} {number}", one.address);
        }
    }
    page
}

fn said(status: StatusCode, media_type: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let fixed = |text| HeaderValue::from_static(text);
    response.headers_mut().extend([
        (CONTENT_TYPE, fixed(media_type)),
        (CONTENT_SECURITY_POLICY, fixed(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (REFERRER_POLICY, fixed("no-referrer")),
        (CACHE_CONTROL, fixed("no-store")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, fixed("*")), // public, and the same for everybody
    ]);
    response
}
