//! Which of a user's addresses is the default.

use bulkhead_contracts::AddressId;

/// A user may have so many addresses: all of them are looked at when one changes.
pub const ADDRESSES_MAX: usize = 50;

/// An address that stays, as far as the default is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: AddressId,
    /// It is the default.
    pub is_default: bool,
}

/// The address that is added or replaced.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its id.
    pub id: AddressId,
    /// It was the default before.
    pub was_default: bool,
    /// What the client wants it to be; none leaves it as it is.
    pub wish: Option<bool>,
}

/// The default after a change, from the user's other addresses, the oldest first, and the one that is added or replaced (none where
/// one is deleted). None only where no address is left.
///
/// Whoever wants to be the default becomes it; whoever is it stays it unless it wants to give it up; a lone address is it whatever
/// it wants; and where the default goes, the oldest of the others takes over.
pub fn default_after(others: &[Held], candidate: Option<Candidate>) -> Option<AddressId> {
    let takes_it =
        |candidate: &Candidate| others.is_empty() || candidate.wish.unwrap_or(candidate.was_default);
    let oldest = others.first();
    let among_others = || others.iter().find(|held| held.is_default).or(oldest).map(|held| held.id);
    candidate.filter(takes_it).map(|candidate| candidate.id).or_else(among_others)
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::Uuid;

    use super::*;

    const NEW: u128 = 100;

    fn id(number: u128) -> AddressId {
        AddressId::from(Uuid::from_u128(number))
    }

    /// Addresses numbered from 1, and which of them is the default.
    fn held(count: u128, default: u128) -> Vec<Held> {
        (1..=count).map(|number| Held { id: id(number), is_default: number == default }).collect()
    }

    fn after(others: &[Held], was_default: bool, wish: Option<bool>) -> Option<AddressId> {
        default_after(others, Some(Candidate { id: id(NEW), was_default, wish }))
    }

    #[test]
    fn the_first_address_is_always_the_default() {
        for wish in [None, Some(true), Some(false)] {
            assert_eq!(after(&[], false, wish), Some(id(NEW)), "{wish:?}");
        }
    }

    #[test]
    fn another_address_becomes_the_default_only_on_request() {
        for (wish, expected) in [(None, 2), (Some(false), 2), (Some(true), NEW)] {
            assert_eq!(after(&held(3, 2), false, wish), Some(id(expected)), "{wish:?}");
        }
    }

    #[test]
    fn a_replaced_default_stays_unless_it_yields_to_the_oldest_other_address() {
        for (others, wish, expected) in
            [(3, None, NEW), (3, Some(true), NEW), (3, Some(false), 1), (0, None, NEW), (0, Some(false), NEW)]
        {
            assert_eq!(after(&held(others, 0), true, wish), Some(id(expected)), "{others} {wish:?}");
        }
    }

    #[test]
    fn deleting_the_default_makes_the_oldest_remaining_address_the_default() {
        assert_eq!(default_after(&held(3, 0), None), Some(id(1)));
        assert_eq!(default_after(&held(3, 2), None), Some(id(2)), "another one was deleted");
        assert_eq!(default_after(&[], None), None);
    }
}
