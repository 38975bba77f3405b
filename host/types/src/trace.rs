//! Trace ids, as defined by W3C Trace Context (<https://www.w3.org/TR/trace-context/>).

use std::fmt;

use crate::Random;

/// A trace id: 16 bytes, not all zero, written as 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// A new trace.
    pub fn new(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// The trace that a `traceparent` header names: `00-TRACE-PARENT-FLAGS`. `None` for an invalid header: then the standard requires a new
    /// trace.
    #[must_use]
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        // Version ff is invalid; a version later than 00 may have further parts, version 00 may not.
        let valid = hex(version, 2)
            && version != "ff"
            && (version != "00" || parts.next().is_none())
            && hex(trace, 32)
            && hex(parent, 16)
            && hex(flags, 2)
            && parent.bytes().any(|b| b != b'0');
        if !valid {
            return None;
        }
        let id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        Some(Self(id.to_be_bytes()))
    }

    /// The header that passes this trace to the client or to the next service, with a new span id.
    pub fn to_traceparent(self, random: &dyn Random) -> String {
        let mut span = [0; 8];
        random.fill(&mut span);
        format!("00-{self}-{:016x}-01", u64::from_be_bytes(span).max(1))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::TraceId;

    #[test]
    fn traceparent_is_taken_when_valid_and_only_then() {
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
            let found = TraceId::from_traceparent(&header).map(|id| id.to_string());
            assert_eq!(found.as_deref(), valid.then_some(trace), "{header}");
        }
    }
}
