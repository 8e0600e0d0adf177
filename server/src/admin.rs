//! What an operator and their tools ask a running server, over HTTP on the loopback interface.
//!
//! Numbers about the whole server only, and nothing can be changed here: whoever has an account on the machine may read
//! it. Nothing but a loopback address is listened on. What there is to read is the server's own: [`Pages`].

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;

use crate::http;

/// Connections at once: a person, a scraper and a health check, each a few times.
const CONNECTIONS_MAX: usize = 16;

/// The largest answer of an admin port that is read: a page of numbers.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// How long a server on this machine may take to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// What a server tells.
pub trait Pages: Send + Sync + 'static {
    /// The page of this path; `None`: there is none, and [`Pages::PATHS`] is what is said instead.
    fn page(&self, path: &str) -> impl Future<Output = Option<Page>> + Send;

    /// A sentence with the paths there are.
    const PATHS: &'static str;
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    status: StatusCode,
    media_type: &'static str,
    text: Bytes,
}

impl Page {
    /// 200, as plain text.
    #[must_use]
    pub fn fine(text: impl Into<Bytes>) -> Self {
        Self::said(StatusCode::OK, text)
    }

    /// 503: it cannot be said, or the server is not ready; and why.
    #[must_use]
    pub fn unavailable(why: impl std::fmt::Display) -> Self {
        Self::said(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
    }

    /// 200 if the server is ready, else 503 and why it is not.
    #[must_use]
    pub fn ready(ready: Result<(), &'static str>) -> Self {
        ready.map_or_else(Self::unavailable, |()| Self::fine("ready\n"))
    }

    /// The same as something else than plain text.
    #[must_use]
    pub fn of_type(self, media_type: &'static str) -> Self {
        Self { media_type, ..self }
    }

    fn said(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self { status, media_type: "text/plain; charset=utf-8", text: text.into() }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.text));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        response
    }
}

/// Listens, on the loopback interface only.
///
/// # Errors
/// What the system said, or that the address is for others to reach.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        return Err(io::Error::other("only a loopback address, such as 127.0.0.1 or [::1], may be listened on"));
    }
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Answers until it is aborted.
pub async fn serve<P: Pages>(listener: TcpListener, pages: Arc<P>) {
    let answer = move |request: Request<Incoming>| {
        let pages = pages.clone();
        async move { answer(&*pages, &request).await.into_response() }
    };
    http::serve(listener, CONNECTIONS_MAX, answer).await;
}

async fn answer<P: Pages>(pages: &P, request: &Request<Incoming>) -> Page {
    if request.method() != Method::GET {
        return Page::said(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here\n");
    }
    if request.uri().path() == "/healthz" {
        return Page::fine("alive\n");
    }
    let page = pages.page(request.uri().path()).await;
    page.unwrap_or_else(|| Page::said(StatusCode::NOT_FOUND, P::PATHS))
}

/// The body of an answer 200 from the admin port of a server on this machine.
///
/// # Errors
/// What the system said, or that it was another answer.
pub fn get(admin: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = std::net::TcpStream::connect_timeout(&admin, ANSWER_DEADLINE)?;
    stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {admin}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body = end.and_then(|end| answer.get(end.saturating_add(4)..));
    match body.filter(|_| answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200")) {
        Some(body) => Ok(body.to_vec()),
        None => Err(io::Error::other("another answer than 200")),
    }
}
