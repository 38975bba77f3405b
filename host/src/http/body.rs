//! Reading a request's body, within a size and a time.

use bulkhead_runtime::Problem;
use bulkhead_types::limits::BODY_READ_TIMEOUT;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// Bytes that are set aside on the word of `Content-Length` alone.
const RESERVED_BYTES_MAX: usize = 64 * 1024;

/// The whole body, at most `maximum` bytes.
///
/// A body over the limit is read on and thrown away, up to `discarded` bytes: a client that is still sending would otherwise see a broken
/// connection in place of the 413.
pub(crate) async fn read(mut body: Incoming, maximum: usize, discarded: usize) -> Result<Vec<u8>, Problem> {
    if body.is_end_stream() {
        return Ok(Vec::new());
    }
    let expected = body.size_hint().lower();
    let reading = async {
        let mut kept = Vec::with_capacity(
            usize::try_from(expected).unwrap_or(usize::MAX).min(maximum).min(RESERVED_BYTES_MAX),
        );
        let mut seen: usize = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                Problem::new(
                    400,
                    "malformed-request",
                    "Malformed request",
                    "the body ended before its end, or is framed wrongly",
                )
            })?;
            let Ok(data) = frame.into_data() else { continue };
            seen = seen.saturating_add(data.len());
            if seen <= maximum {
                kept.extend_from_slice(&data);
            } else if seen > discarded {
                break;
            }
        }
        if seen > maximum {
            return Err(too_large(maximum));
        }
        Ok(kept)
    };
    tokio::time::timeout(BODY_READ_TIMEOUT, reading).await.unwrap_or_else(|_| {
        Err(Problem::new(
            408,
            "request-timeout",
            "The request took too long",
            format!("the body did not come within {} s", BODY_READ_TIMEOUT.as_secs()),
        ))
    })
}

fn too_large(maximum: usize) -> Problem {
    Problem::new(
        413,
        "payload-too-large",
        "The body is too large",
        format!("the body has more than {maximum} bytes, which is the most that this service takes"),
    )
}
