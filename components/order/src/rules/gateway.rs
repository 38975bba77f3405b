//! What the test gateway answers. A real one would stand behind the same function: see `store::gateway`.

/// What the gateway makes of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It takes the money.
    Capture,
    /// It does not, for good.
    Decline,
    /// It can't say now. Asked again about the same charge, it may.
    Unavailable,
}

/// Takes the money at once.
pub const TOKEN_OK: &str = "tok_ok";
/// Is not there the first two times, and then takes the money.
pub const TOKEN_FLAKY: &str = "tok_flaky";
/// So many times [`TOKEN_FLAKY`] fails before it captures.
const FLAKY_FAILURES: i64 = 2;

/// Decides about a charge that was asked for so many times before. A token that means nothing to the gateway is declined, as
/// `tok_declined` is.
pub fn decide(token: &str, asked_before: i64) -> Decision {
    match token {
        TOKEN_OK => Decision::Capture,
        TOKEN_FLAKY if asked_before < FLAKY_FAILURES => Decision::Unavailable,
        TOKEN_FLAKY => Decision::Capture,
        _ => Decision::Decline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_token_is_answered_as_its_name_says() {
        use Decision::{Capture, Decline, Unavailable};
        for (token, decisions) in [
            ("tok_ok", [Capture, Capture, Capture, Capture]),
            ("tok_declined", [Decline, Decline, Decline, Decline]),
            ("tok_flaky", [Unavailable, Unavailable, Capture, Capture]),
            ("tok_unheard_of", [Decline, Decline, Decline, Decline]),
            ("TOK_OK", [Decline, Decline, Decline, Decline]),
        ] {
            assert_eq!([0, 1, 2, 3].map(|asked_before| decide(token, asked_before)), decisions, "{token}");
        }
    }
}
