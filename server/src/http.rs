//! The loop of an HTTP server that answers one request for each connection: bounded in connections, time and bytes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long one connection may take with all of it.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Answers until it is aborted. Connections beyond `at_once` wait to be taken.
pub async fn serve<A, F>(listener: TcpListener, at_once: usize, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send,
{
    let places = Arc::new(Semaphore::new(at_once));
    let mut conversations = JoinSet::new(); // ended with this
    loop {
        while conversations.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await; // out of files, for example: it passes
            continue;
        };
        let answer = answer.clone();
        conversations.spawn(async move {
            let _ = timeout(CONNECTION_DEADLINE, converse(stream, answer)).await;
            drop(place);
        });
    }
}

async fn converse<A, F>(stream: TcpStream, answer: A) -> Result<(), hyper::Error>
where
    A: Fn(Request<Incoming>) -> F + Send,
    F: Future<Output = Response<Full<Bytes>>> + Send,
{
    let answers = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(HEAD_BYTES_MAX);
    http.serve_connection(TokioIo::new(stream), answers).await
}
