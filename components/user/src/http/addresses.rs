//! `/users/{id}/addresses`.

use bulkhead_contracts::{AddressId, AddressLine, City, Country, Line, PostalCode, State, UserId};
use bulkhead_sdk::{
    Body, Created, Json, NoContent, Page, Problem, Query, Result, Snapshot, Transaction, body, new_id,
};

use super::ListQuery;
use super::own::{Own, no_such_user};
use crate::problems::TOO_MANY_ADDRESSES;
use crate::rules::address::{ADDRESSES_MAX, Candidate, Held, default_after};
use crate::store::address::{self, Address};
use crate::store::user;

body! {
    /// An address.
    pub struct AddressInput {
        /// Street and number, or what stands for them.
        pub address_line1: AddressLine,
        /// More of it.
        pub address_line2: Option<AddressLine>,
        /// The city.
        pub city: City,
        /// The state or province.
        pub state: Option<State>,
        /// The postal code.
        pub postal_code: PostalCode,
        /// By its code of ISO 3166-1 alpha-2, in upper case.
        pub country: Country,
        /// True makes it the default. False gives that up to the oldest other one. Where absent, it is as before; the first address
        /// is the default whatever stands here.
        pub is_default: Option<bool>,
    }
}

impl AddressInput {
    fn into_address(self, id: AddressId, user_id: UserId, is_default: bool) -> Address {
        Address {
            id,
            user_id,
            address_line1: self.address_line1.into_string(),
            address_line2: self.address_line2.map(Line::into_string),
            city: self.city.into_string(),
            state: self.state.map(Line::into_string),
            postal_code: self.postal_code.into_string(),
            country: self.country.to_string(),
            is_default,
        }
    }
}

fn no_such_address() -> Problem {
    Problem::not_found("there is no such address of this user")
}

pub(super) fn list(
    Own(user_id): Own<UserId>,
    Query(query): Query<ListQuery>,
    snapshot: Snapshot,
) -> Result<Json<Page<Address>>> {
    let scope = format!("addresses {user_id}");
    let rows = address::list(&snapshot, user_id, query.cursor.as_ref(), &scope, query.limit)?;
    if rows.is_empty() && !user::exists(&snapshot, user_id)? {
        return Err(no_such_user());
    }
    Page::new(rows, query.limit, &scope, |address| address.id).map(Json)
}

pub(super) fn by_id(
    Own((user_id, id)): Own<(UserId, AddressId)>,
    snapshot: Snapshot,
) -> Result<Json<Address>> {
    address::by_id(&snapshot, user_id, id)?.map(Json).ok_or_else(no_such_address)
}

pub(super) fn create(
    Own(user_id): Own<UserId>,
    Body(new): Body<AddressInput>,
    transaction: Transaction,
) -> Result<Created<Address>> {
    let others = address::held(&transaction, user_id)?;
    if others.len() >= ADDRESSES_MAX {
        let detail = format!("a user has at most {ADDRESSES_MAX} addresses");
        return Err(Problem::of(TOO_MANY_ADDRESSES, detail).with("constraint", "user_address.user_id"));
    }
    let id = new_id().into();
    let default = default_after(&others, Some(Candidate { id, was_default: false, wish: new.is_default }));
    // Added without being the default, so that there are never two.
    let mut address = new.into_address(id, user_id, false);
    address::insert(&transaction, &address)?;
    set_default(&transaction, user_id, default)?;
    address.is_default = default == Some(id);
    Ok(Created { location: format!("/users/{user_id}/addresses/{id}"), body: address })
}

pub(super) fn replace(
    Own((user_id, id)): Own<(UserId, AddressId)>,
    Body(new): Body<AddressInput>,
    transaction: Transaction,
) -> Result<Json<Address>> {
    let (this, others): (Vec<Held>, Vec<Held>) =
        address::held(&transaction, user_id)?.into_iter().partition(|held| held.id == id);
    let before = this.first().ok_or_else(no_such_address)?;
    let candidate = Candidate { id, was_default: before.is_default, wish: new.is_default };
    let default = default_after(&others, Some(candidate));
    let address = new.into_address(id, user_id, default == Some(id));
    address::update(&transaction, &address)?;
    set_default(&transaction, user_id, default)?;
    Ok(Json(address))
}

pub(super) fn delete(
    Own((user_id, id)): Own<(UserId, AddressId)>,
    transaction: Transaction,
) -> Result<NoContent> {
    if !address::delete(&transaction, user_id, id)? {
        return Err(no_such_address());
    }
    let left = address::held(&transaction, user_id)?;
    set_default(&transaction, user_id, default_after(&left, None))?;
    Ok(NoContent)
}

fn set_default(transaction: &Transaction, user_id: UserId, default: Option<AddressId>) -> Result<()> {
    match default {
        Some(id) => Ok(address::set_default(transaction, user_id, id)?),
        None => Ok(()),
    }
}
