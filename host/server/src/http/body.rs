//! Reads a request's body, within a size and a time limit.
//!
//! A client that sends `Expect: 100-continue` sends its body only after the first read of it, because only then does it get
//! `100 Continue`. So the host does not read a body that it does not want. If a client does not wait, the host reads the body all the
//! same. Otherwise a client that is still sending would see a broken connection instead of the answer.

use bulkhead_runtime::{Problem, problem_kinds};
use bulkhead_types::limits::BODY_READ_TIMEOUT;
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::well_formed::malformed;

/// The maximum number of bytes to reserve based on `Content-Length` alone.
const RESERVED_BYTES_MAX: usize = 64 * 1024;

/// The body of a request.
pub(crate) struct RequestBody {
    incoming: Incoming,
    /// The client sends nothing of the body before it gets `100 Continue`.
    is_held_back: bool,
    /// Nothing more of the body is left to read.
    is_over: bool,
}

impl RequestBody {
    /// The body that belongs to this head.
    pub(crate) fn new(head: &Parts, incoming: Incoming) -> Self {
        let expected = head.headers.get_all(EXPECT).iter().next_back();
        let waits = expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let is_over = incoming.is_end_stream();
        Self { incoming, is_held_back: waits && head.version >= Version::HTTP_11, is_over }
    }

    /// Reads the whole body, at most `maximum` bytes. Of a larger body, up to `discarded` bytes are read and discarded, unless its client
    /// waits for `100 Continue`.
    pub(crate) async fn read(&mut self, maximum: usize, discarded: usize) -> Result<Vec<u8>, Problem> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let announced = usize::try_from(self.incoming.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > maximum && self.is_held_back {
            return Err(too_large(maximum));
        }
        self.is_over = true;
        let reading = async {
            let mut kept = Vec::with_capacity(announced.min(maximum).min(RESERVED_BYTES_MAX));
            let mut seen: usize = 0;
            while let Some(frame) = self.incoming.frame().await {
                let frame =
                    frame.map_err(|_| malformed("the body ended before its end, or is framed wrongly"))?;
                let Ok(data) = frame.into_data() else { continue };
                seen = seen.saturating_add(data.len());
                if seen <= maximum {
                    kept.extend_from_slice(&data);
                } else if seen > discarded {
                    break;
                }
            }
            if seen > maximum { Err(too_large(maximum)) } else { Ok(kept) }
        };
        tokio::time::timeout(BODY_READ_TIMEOUT, reading).await.unwrap_or_else(|_| {
            Err(Problem::new(
                problem_kinds::REQUEST_TIMEOUT,
                format!("the body did not come within {} s", BODY_READ_TIMEOUT.as_secs()),
            ))
        })
    }

    /// Handles the unread rest of the body before the answer is sent: up to `discarded` bytes are discarded. If the client waits for
    /// `100 Continue`, the answer says that the connection closes: the client may still send the body, or not (RFC 9110, section 10.1.1).
    pub(crate) async fn end<B>(mut self, discarded: usize, response: &mut Response<B>) {
        if self.is_over {
            return;
        }
        if self.is_held_back {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return;
        }
        // The result does not matter.
        let _ = self.read(0, discarded).await;
    }
}

fn too_large(maximum: usize) -> Problem {
    Problem::new(
        problem_kinds::PAYLOAD_TOO_LARGE,
        format!("the body has more than {maximum} bytes, which is the most that this service takes"),
    )
}
