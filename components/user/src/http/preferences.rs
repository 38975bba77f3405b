//! `/users/{id}/preferences`.

use bulkhead_contracts::UserId;
use bulkhead_sdk::{
    Body, Created, Json, NoContent, Page, Problem, Put, Query, Result, Snapshot, Text, Transaction, body,
    new_id,
};

use super::ListQuery;
use super::own::{Own, no_such_user};
use crate::problems::TOO_MANY_PREFERENCES;
use crate::rules::preference::{PREFERENCES_MAX, PreferenceKey, VALUE_MAX};
use crate::store::preference::{self, Preference};
use crate::store::user;

body! {
    /// What a preference is to be.
    pub struct PreferenceInput {
        /// Its value; may be empty.
        pub value: Text<0, VALUE_MAX>,
    }
}

fn no_such_preference() -> Problem {
    Problem::not_found("there is no such preference of this user")
}

pub(super) fn list(
    Own(user_id): Own<UserId>,
    Query(query): Query<ListQuery>,
    snapshot: Snapshot,
) -> Result<Json<Page<Preference>>> {
    let scope = format!("preferences {user_id}");
    let behind = query.cursor.map(|cursor| cursor.keys::<String>(&scope)).transpose()?.unwrap_or_default();
    let rows = preference::list(&snapshot, user_id, &behind, query.limit)?;
    if rows.is_empty() && !user::exists(&snapshot, user_id)? {
        return Err(no_such_user());
    }
    Page::new(rows, query.limit, &scope, |preference| preference.preference_key.clone()).map(Json)
}

pub(super) fn by_key(
    Own((user_id, key)): Own<(UserId, PreferenceKey)>,
    snapshot: Snapshot,
) -> Result<Json<Preference>> {
    preference::by_key(&snapshot, user_id, &key)?.map(Json).ok_or_else(no_such_preference)
}

pub(super) fn put(
    Own((user_id, key)): Own<(UserId, PreferenceKey)>,
    Body(new): Body<PreferenceInput>,
    transaction: Transaction,
) -> Result<Put<Preference>> {
    let preference_value = new.value.into_string();
    if let Some(before) = preference::by_key(&transaction, user_id, &key)? {
        let preference = Preference { preference_value, ..before };
        preference::update(&transaction, &preference)?;
        return Ok(Put::Replaced(Json(preference)));
    }
    if preference::count(&transaction, user_id)? >= PREFERENCES_MAX {
        let detail = format!("a user has at most {PREFERENCES_MAX} preferences");
        return Err(Problem::of(TOO_MANY_PREFERENCES, detail).with("constraint", "user_preference.user_id"));
    }
    let location = format!("/users/{user_id}/preferences/{key}");
    let preference =
        Preference { id: new_id().into(), user_id, preference_key: key.into_string(), preference_value };
    preference::insert(&transaction, &preference)?;
    Ok(Put::Created(Created { location, body: preference }))
}

pub(super) fn delete(
    Own((user_id, key)): Own<(UserId, PreferenceKey)>,
    transaction: Transaction,
) -> Result<NoContent> {
    if preference::delete(&transaction, user_id, &key)? { Ok(NoContent) } else { Err(no_such_preference()) }
}
