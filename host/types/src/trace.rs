//! Traces and their spans, as defined by W3C Trace Context (<https://www.w3.org/TR/trace-context/>).

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::Random;

/// A trace id: 16 bytes, not all zero, written as 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

impl TraceId {
    /// A new trace.
    pub fn new(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self(NonZeroU128::new(u128::from_be_bytes(bytes)).unwrap_or(NonZeroU128::MIN))
    }
}

/// The text is not a trace id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a trace id has 32 lower-case hexadecimal digits, not all zero")]
pub struct NoTraceId;

impl FromStr for TraceId {
    type Err = NoTraceId;

    fn from_str(text: &str) -> Result<Self, NoTraceId> {
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex(text, 32));
        number.and_then(NonZeroU128::new).map(Self).ok_or(NoTraceId)
    }
}

/// Whether a text has this many lower-case hexadecimal digits and nothing else.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A span id: 8 bytes, not all zero, written as 16 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(NonZeroU64);

impl SpanId {
    fn new(random: &dyn Random) -> Self {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        Self(NonZeroU64::new(u64::from_be_bytes(bytes)).unwrap_or(NonZeroU64::MIN))
    }
}

/// Where a request is in its trace. The span is what the host does for this request: the client hears of it in `traceresponse`, and the
/// access log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The request's own span.
    pub span: SpanId,
    /// The span of the client, if it named one.
    pub parent: Option<SpanId>,
}

impl TraceContext {
    /// The beginning of a new trace.
    pub fn new(random: &dyn Random) -> Self {
        Self { trace: TraceId::new(random), span: SpanId::new(random), parent: None }
    }

    /// A new span in the trace that a `traceparent` header names: `00-TRACE-PARENT-FLAGS`. `None` for an invalid header: then the standard
    /// requires a new trace.
    #[must_use]
    pub fn from_traceparent(header: &str, random: &dyn Random) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Version ff is invalid; a version later than 00 may have further parts, version 00 may not.
        let valid = is_hex(version, 2)
            && version != "ff"
            && (version != "00" || parts.next().is_none())
            && is_hex(parent, 16)
            && is_hex(flags, 2);
        if !valid {
            return None;
        }
        let trace = trace.parse().ok()?;
        let parent = u64::from_str_radix(parent, 16).ok().and_then(NonZeroU64::new)?;
        Some(Self { trace, span: SpanId::new(random), parent: Some(SpanId(parent)) })
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The form of `traceresponse`: `00-TRACE-SPAN-FLAGS`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace, self.span)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::TraceContext;
    use crate::Random;

    /// Gives these bytes again and again.
    struct Always(u8);

    impl Random for Always {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn traceparent_is_accepted_only_if_valid() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let span = "00f067aa0ba902b7";
        for (header, valid) in [
            (format!("00-{trace}-{span}-01"), true),
            (format!("01-{trace}-{span}-01-more"), true),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{}-{span}-01", trace.to_uppercase()), false),
            (format!("00-{trace}"), false),
            (String::new(), false),
        ] {
            let found = TraceContext::from_traceparent(&header, &Always(0xab)).map(|context| {
                (context.trace.to_string(), context.parent.map(|span| span.to_string()), context.to_string())
            });
            let expected =
                (trace.to_owned(), Some(span.to_owned()), format!("00-{trace}-{}-01", "ab".repeat(8)));
            assert_eq!(found, valid.then_some(expected), "{header}");
        }
    }

    #[test]
    fn new_trace_has_no_parent_and_a_span_id_is_never_zero() {
        let new = TraceContext::new(&Always(0xcd));
        assert_eq!(new.to_string(), format!("00-{}-{}-01", "cd".repeat(16), "cd".repeat(8)));
        assert_eq!(new.parent, None);
        assert_eq!(TraceContext::new(&Always(0)).span.to_string(), "0000000000000001");
    }
}
