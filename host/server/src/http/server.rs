//! Accepts connections, and closes them.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bulkhead_types::limits::{CONNECTIONS_MAX, DRAIN_TIMEOUT, HEADER_READ_TIMEOUT, HEADERS_MAX};
use bulkhead_types::{SystemRandom, TraceContext};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::Semaphore;

use super::answer::Answer;
use super::ingress::Ingress;
use super::own_answers::{AnswerBody, Spoken, Turn};
use super::problem_response;
use super::problems::{add_trace, host_failed};
use crate::application::Application;
use crate::figures::Connections;
use crate::tasks;

/// How long to wait after the system refused a connection for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The maximum size of a connection's buffer. If headers are larger than `HEADERS_MAX` but fit into this buffer, the connection stays open.
/// If they do not fit, hyper itself answers 431, and closes the connection.
const READ_BUFFER_BYTES: usize = 4 * HEADERS_MAX;

/// A bound listener, and the code that answers its requests.
pub struct Listening {
    listener: TcpListener,
    connections: Arc<Connections>,
    answer: Arc<dyn Answer>,
    /// Called when the server accepts no more connections.
    draining: Box<dyn FnOnce() + Send>,
}

impl Listening {
    /// `answer` answers the requests that reach `listener`.
    pub(crate) fn new(listener: TcpListener, answer: Arc<dyn Answer>) -> Self {
        Self { listener, connections: Arc::default(), answer, draining: Box::new(|| {}) }
    }

    /// The application's services answer the requests that reach `listener`.
    #[must_use]
    pub fn application(listener: TcpListener, application: &Application) -> Self {
        let ingress = Arc::new(Ingress::new(application));
        let stopping = Arc::clone(&ingress);
        let draining = Box::new(move || stopping.stopping.store(true, Ordering::Relaxed));
        Self { listener, connections: application.connections(), answer: ingress, draining }
    }

    /// The address of the listener.
    ///
    /// # Errors
    ///
    /// Errors of the operating system.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Serves until `stop` is ready. Then it accepts no more connections, answers the open requests, and returns.
///
/// # Errors
///
/// When the listener can't be used.
pub async fn serve(listening: Listening, stop: impl Future<Output = ()>) -> std::io::Result<()> {
    let Listening { listener, connections, answer, draining } = listening;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = std::pin::pin!(stop);
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            () = &mut stop => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let _ = stream.set_nodelay(true);
        let counted = connections.accept();
        let (turn, peer) = (Arc::new(Turn::default()), peer.ip());
        let stream = {
            let answer = Arc::clone(&answer);
            Spoken::new(stream, Arc::clone(&turn), Box::new(move |status| answer.own_answer(peer, status)))
        };
        let answer = Arc::clone(&answer);
        let service = service_fn(move |request| {
            let (number, turn) = (turn.begin(), Arc::clone(&turn));
            let answering = Arc::clone(&answer).answer(peer, request);
            async move {
                let response = tasks::caught(answering).await.unwrap_or_else(|_| failed());
                Ok::<_, Infallible>(response.map(|body| AnswerBody::new(body, turn, number)))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_buf_size(READ_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tasks::passing("connection", async move {
            // If the connection breaks, nobody is left who needs the error.
            let _ = connection.await;
            drop((permit, counted));
        });
    }
    drop(listener);
    draining();
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still open when the time to drain was over");
    }
    Ok(())
}

/// The answer when the host's own code panics and the request is no longer known, for example on the admin port.
fn failed() -> Response<Full<Bytes>> {
    let context = TraceContext::new(&SystemRandom);
    let mut response = problem_response(&host_failed(), context.trace);
    add_trace(&mut response, &context);
    response
}
