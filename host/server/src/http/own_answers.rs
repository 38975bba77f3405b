//! Answers that the HTTP library gives by itself. The host adds a problem document to their empty body.
//!
//! If hyper can't read the head of a request (it is not HTTP, or it is too long), it writes a status without a body and closes the
//! connection. It has no hook to add a body. So this module watches the bytes that are written to a connection's stream. If bytes come
//! while no request is being answered, and no part of an answer is left to send, they are the head of such an answer. Then a document goes
//! out with it.
//!
//! Invariant: bytes of the host's own answers are never changed. [`Turn`] says "nobody's" only between the flush after an answer and the
//! next request. If that flush has to wait because the client does not read, an answer of hyper's own goes out unchanged.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bulkhead_types::limits::{LINGER_BYTES_MAX, LINGER_TIMEOUT};
use bytes::{Buf as _, Bytes};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Which side's bytes are written on a connection.
#[derive(Debug, Default)]
pub(super) struct Turn {
    state: AtomicU8,
    /// Requests so far.
    requests: AtomicU64,
}

const NOBODYS: u8 = 0;
const ANSWERS: u8 = 1;
const ANSWERED: u8 = 2;

impl Turn {
    /// A request was read and is now being answered. Returns its number.
    pub(super) fn begin(&self) -> u64 {
        self.state.store(ANSWERS, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Hyper has the whole answer, and flushes it next. The end of an earlier request's answer does not end a later turn.
    fn end(&self, request: u64) {
        if self.requests.load(Ordering::Relaxed) == request {
            self.state.store(ANSWERED, Ordering::Relaxed);
        }
    }

    fn flushed(&self) {
        let _ = self.state.compare_exchange(ANSWERED, NOBODYS, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn is_nobodys(&self) -> bool {
        self.state.load(Ordering::Relaxed) == NOBODYS
    }
}

/// The body of an answer. It reports when hyper has read all of it.
pub(super) struct AnswerBody {
    body: Full<Bytes>,
    turn: Arc<Turn>,
    request: u64,
}

impl AnswerBody {
    /// The body of the answer to the request with this number.
    pub(super) fn new(body: Full<Bytes>, turn: Arc<Turn>, request: u64) -> Self {
        Self { body, turn, request }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.turn.end(self.request);
    }
}

/// Creates the answer whose headers and body are sent with a status of hyper's.
pub(super) type Answers = Box<dyn Fn(StatusCode) -> Option<Response<Full<Bytes>>> + Send>;

/// A connection's stream.
pub(super) struct Spoken<S> {
    stream: S,
    turn: Arc<Turn>,
    answers: Answers,
    /// The unsent rest of hyper's own answer, once there is one.
    own: Option<Bytes>,
    lingering: Option<Lingering>,
}

/// If a connection is closed while its client is still sending, the client may lose the answer. So the host continues to read for a while.
struct Lingering {
    until: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S> Spoken<S> {
    pub(super) fn new(stream: S, turn: Arc<Turn>, answers: Answers) -> Self {
        Self { stream, turn, answers, own: None, lingering: None }
    }

    /// Hyper's own answer with this head, plus the document. None if the bytes are something else.
    fn own_answer(&self, head: &[u8]) -> Option<Bytes> {
        let text = std::str::from_utf8(head).ok()?.strip_suffix("\r\n\r\n")?;
        let (status_line, lines) = text.split_once("\r\n").unwrap_or((text, ""));
        let status = StatusCode::from_bytes(status_line.split(' ').nth(1)?.as_bytes()).ok()?;
        let (head, mut body) = (self.answers)(status)?.into_parts();
        let Poll::Ready(Some(Ok(frame))) =
            Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()))
        else {
            return None;
        };
        let body = frame.into_data().ok()?;
        let mut answer = format!("{status_line}\r\n").into_bytes();
        let is_length = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
        for line in lines.split("\r\n").filter(|line| !line.is_empty() && !is_length(line)) {
            answer.extend_from_slice(format!("{line}\r\n").as_bytes());
        }
        for (name, value) in &head.headers {
            answer.extend_from_slice(name.as_str().as_bytes());
            answer.extend_from_slice(b": ");
            answer.extend_from_slice(value.as_bytes());
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        answer.extend_from_slice(&body);
        Some(answer.into())
    }
}

impl<S: AsyncWrite + Unpin> Spoken<S> {
    fn send_own(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(own) = &mut self.own {
            while own.has_remaining() {
                match ready!(Pin::new(&mut self.stream).poll_write(context, own))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    sent => own.advance(sent),
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Spoken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Spoken<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.turn.is_nobodys() && self.own.is_none() {
            self.own = self.own_answer(bytes);
        }
        if self.own.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.turn.is_nobodys() || self.own.is_some() {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            return self.poll_write(context, &bytes);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_own(context))?;
        // Hyper flushes when it has written everything that it has.
        self.turn.flushed();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_own(context))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if self.own.is_none() {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            until: Box::pin(sleep_until(Instant::now() + LINGER_TIMEOUT)),
            bytes: 0,
        });
        loop {
            if lingering.until.as_mut().poll(context).is_ready() || lingering.bytes > LINGER_BYTES_MAX {
                return Poll::Ready(Ok(()));
            }
            let mut space = [0; 4096];
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    lingering.bytes = lingering.bytes.saturating_add(buffer.filled().len());
                }
                // The client has closed the connection, or the connection is broken.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
