//! What an operator and their tools ask a running relay, over HTTP on the loopback interface.
//!
//! | path | what it says |
//! |---|---|
//! | `/metrics` | [`crate::metrics`], as Prometheus reads them |
//! | `/healthz` | 200: the process lives |
//! | `/readyz` | 200: it takes deposits; 503, and why not |
//! | `/du` | [`crate::queue::Usage`] as JSON |
//!
//! Numbers about the whole relay only, and nothing can be changed here: whoever has an account on the machine may read
//! it. Nothing but a loopback address is listened on.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hushwire_proto::{ids::MailboxId, net::serve::Counts};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    metrics::text,
    queue::{Queue, StorageError, Usage},
};

/// Connections at once: a person, a scraper and a health check, each a few times.
const CONNECTIONS_MAX: usize = 16;

/// How long one connection may take with all of it.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(20);

/// How long the queue may take to answer a question that writes nothing. Beyond, deposits wait too long as well.
const QUEUE_DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// What can be asked about.
pub(crate) struct Admin<Q> {
    pub(crate) queue: Q,
    pub(crate) counts: Arc<Counts>,
    pub(crate) stopping: watch::Receiver<bool>,
    /// Looking at every mailbox is work: one at a time.
    pub(crate) counting: Arc<Semaphore>,
    /// Gone when the last user of the queue is. After the queue in this list, so dropped after it.
    pub(crate) _in_use: mpsc::Sender<Infallible>,
}

/// Listens, on the loopback interface only.
///
/// # Errors
/// What the system said, or that the address is for others to reach.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        return Err(io::Error::other("only a loopback address, such as 127.0.0.1 or [::1], may be listened on"));
    }
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Answers until it is aborted.
pub(crate) async fn serve<Q: Queue>(listener: TcpListener, admin: Arc<Admin<Q>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut conversations = JoinSet::new(); // ended with this
    loop {
        while conversations.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                sleep(Duration::from_millis(100)).await; // out of files, for example: it passes
                continue;
            }
        };
        let admin = admin.clone();
        conversations.spawn(async move {
            let _ = timeout(CONNECTION_DEADLINE, converse(stream, admin)).await;
            drop(place);
        });
    }
}

async fn converse<Q: Queue>(stream: TcpStream, admin: Arc<Admin<Q>>) -> Result<(), hyper::Error> {
    let answers = service_fn(|request| {
        let admin = admin.clone();
        async move { Ok::<_, Infallible>(admin.answer(&request).await) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(HEAD_BYTES_MAX);
    http.serve_connection(TokioIo::new(stream), answers).await
}

impl<Q: Queue> Admin<Q> {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return said(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here\n");
        }
        match request.uri().path() {
            "/metrics" => {
                let page = text::page(self.queue.metrics(), &self.counts);
                of_type(said(StatusCode::OK, page), text::MEDIA_TYPE)
            }
            "/healthz" => said(StatusCode::OK, "alive\n"),
            "/readyz" => match self.ready().await {
                Ok(()) => said(StatusCode::OK, "ready\n"),
                Err(reason) => said(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            },
            "/du" => match timeout(QUEUE_DEADLINE, self.usage()).await {
                Ok(Ok(usage)) => {
                    let json = serde_json::to_vec(&usage).unwrap_or_default(); // plain numbers
                    of_type(said(StatusCode::OK, json), "application/json")
                }
                Ok(Err(error)) => said(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
                Err(_) => said(StatusCode::SERVICE_UNAVAILABLE, "counting took too long\n"),
            },
            _ => said(StatusCode::NOT_FOUND, "there are /metrics, /healthz, /readyz and /du\n"),
        }
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        let turn = self.counting.clone().acquire_owned().await;
        let (queue, in_use) = (self.queue.clone(), self._in_use.clone());
        // To its end, also if nobody waits for it any more: only then may the next one begin.
        let counted = tokio::spawn(async move {
            let usage = queue.usage().await;
            drop((turn, queue, in_use));
            usage
        });
        counted.await.unwrap_or(Err(StorageError::Failed))
    }

    async fn ready(&self) -> Result<(), &'static str> {
        if *self.stopping.borrow() {
            return Err("the relay is stopping");
        }
        // Changes nothing, and is answered by whoever answers deposits.
        match timeout(QUEUE_DEADLINE, self.queue.revoke(MailboxId([0; 32]), Vec::new())).await {
            Ok(Ok(())) => {}
            Ok(Err(StorageError::Busy)) => return Err("too much waits to be written"),
            Ok(Err(StorageError::Failed)) => return Err("the storage failed"),
            Err(_) => return Err("the queue does not answer"),
        }
        if self.queue.metrics().is_low() {
            return Err("the disk is nearly full: nothing new is taken");
        }
        Ok(())
    }
}

fn said(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    of_type(response, "text/plain; charset=utf-8")
}

fn of_type(mut response: Response<Full<Bytes>>, media_type: &'static str) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
