//! Which of a service's queues a request goes into.

/// A queue, and what its workers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Compute,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Compute];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Compute => "compute",
        }
    }
}

/// The names of the queues.
pub const QUEUES: [&str; 3] = [Kind::Read.name(), Kind::Write.name(), Kind::Compute.name()];

/// Whether a method only reads. Such a request goes to a service's readers, and may be repeated.
pub(crate) fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

#[cfg(test)]
mod tests {
    use super::is_read;

    #[test]
    fn only_safe_methods_are_reads() {
        for (method, reads) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("POST", false),
            ("DELETE", false),
            ("get", false),
        ] {
            assert_eq!(is_read(method), reads, "{method}");
        }
    }
}
