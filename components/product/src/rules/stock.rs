//! Arithmetic of stock.

/// The most of a product that can be available.
pub const STOCK_MAX: i64 = 1_000_000_000;
/// The most that one change adds or takes out.
pub const DELTA_MAX: i64 = 1_000_000;
/// [`DELTA_MAX`], taken out.
pub const DELTA_MIN: i64 = -DELTA_MAX;

/// Why stock can't change so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is less than is to be taken out.
    Insufficient,
    /// There would be more than [`STOCK_MAX`].
    TooMuch,
}

/// What is available after a change.
pub fn change(available: i64, delta: i64) -> Result<i64, Refusal> {
    match available.saturating_add(delta) {
        ..=-1 => Err(Refusal::Insufficient),
        after if after > STOCK_MAX => Err(Refusal::TooMuch),
        after => Ok(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_stock_decrease_equals_the_largest_increase() {
        assert_eq!((DELTA_MIN, DELTA_MAX), (-1_000_000, 1_000_000));
    }

    #[test]
    fn stock_changes_and_never_goes_below_zero() {
        for (available, delta, expected) in [
            (0, 5, Ok(5)),
            (5, -5, Ok(0)),
            (5, -6, Err(Refusal::Insufficient)),
            (0, i64::MIN, Err(Refusal::Insufficient)),
            (STOCK_MAX, 0, Ok(STOCK_MAX)),
            (STOCK_MAX, 1, Err(Refusal::TooMuch)),
            (1, i64::MAX, Err(Refusal::TooMuch)),
        ] {
            assert_eq!(change(available, delta), expected, "{available} {delta}");
        }
    }
}
