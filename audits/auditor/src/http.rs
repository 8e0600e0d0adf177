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

use std::fmt::Write as _;
use std::sync::Arc;

use http_body_util::Full;
use hushwire_proto::address::Fingerprint;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;

use crate::page;
use crate::watched::Auditor;

/// Connections at once; further ones wait to be taken. Each holds a few kilobytes and a report.
const CONNECTIONS_MAX: usize = 256;

/// Nothing but our own style sheet is loaded, nothing runs, nobody frames the page.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers until it is aborted.
pub(crate) async fn serve(listener: TcpListener, auditor: Arc<Auditor>) {
    let answer = move |request: Request<Incoming>| {
        let answer = answer(&auditor, request.method(), request.uri().path(), request.uri().query());
        async move { answer }
    };
    hushwire_server::http::serve(listener, CONNECTIONS_MAX, answer).await;
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
