//! The position in a service's event log, as clients get it.

use std::fmt;
use std::str::FromStr;

use crate::{Sequence, ServiceName};

/// A place in the event log of one service: everything that it published up to and including `sequence`.
///
/// To clients it is an opaque token, `SERVICE:LOG.SEQUENCE`. The log has a random id, so that a token of a replaced database is not
/// mistaken for a token of its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The service that owns the log.
    pub service: ServiceName,
    /// The log's id: 32 hexadecimal digits, created with the database.
    pub log: String,
    /// The sequence of the last event; 0 before the first.
    pub sequence: Sequence,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}.{}", self.service, self.log, self.sequence)
    }
}

/// The text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no position")]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (service, rest) = text.split_once(':').ok_or(NoPosition)?;
        let (log, sequence) = rest.split_once('.').ok_or(NoPosition)?;
        let digits = !sequence.is_empty() && sequence.bytes().all(|byte| byte.is_ascii_digit());
        let sequence: u64 = sequence.parse().ok().filter(|_| digits).ok_or(NoPosition)?;
        // No event log is as long as that: the position is ahead of it in any case.
        let sequence = i64::try_from(sequence).map_or(Sequence::MAX, Sequence::new);
        if service.is_empty() || log.len() != 32 {
            return Err(NoPosition);
        }
        Ok(Self { service: service.into(), log: log.to_owned(), sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn position_is_parsed_only_in_the_form_in_which_it_is_printed() {
        let text = "notes:000102030405060708090a0b0c0d0e0f.17";
        assert_eq!(text.parse::<Position>().map(|position| position.to_string()), Ok(text.to_owned()));
        for other in [
            "",
            "notes",
            "notes:",
            "notes:0.1",
            &text.replace(".17", "."),
            &text.replace(".17", ".-1"),
            &text.replace("notes", ""),
        ] {
            assert!(other.parse::<Position>().is_err(), "{other}");
        }
    }
}
