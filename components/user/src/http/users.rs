//! `/users`.

use bulkhead_contracts::v1::UserDeleted;
use bulkhead_contracts::{Admin, Line, PERSON_NAME_MAX, UserId};
use bulkhead_sdk::{
    Body, Change, Compute, Created, Json, NoContent, Page, Query, Result, Snapshot, Transaction, body,
    new_id, now,
};

use super::own::{Own, no_such_user};
use super::{ListQuery, random};
use crate::events::user_changed;
use crate::rules::email::NewEmail;
use crate::rules::password::{self, NewPassword};
use crate::settings::settings;
use crate::store::login_failure;
use crate::store::user::{self, User, email_taken};

body! {
    /// A user to register.
    pub struct UserInput {
        /// Unique without regard to upper and lower case.
        pub email: NewEmail,
        /// To log in with.
        pub password: NewPassword,
        /// Shown beside reviews.
        pub first_name: Line<PERSON_NAME_MAX>,
        /// The family name.
        pub last_name: Line<PERSON_NAME_MAX>,
    }
}

body! {
    /// What to change of a user.
    pub struct UserPatch {
        /// Unique without regard to upper and lower case.
        pub email: Change<NewEmail>,
        /// Shown beside reviews.
        pub first_name: Change<Line<PERSON_NAME_MAX>>,
        /// The family name.
        pub last_name: Change<Line<PERSON_NAME_MAX>>,
    }
}

pub(super) fn list(_: Admin, Query(query): Query<ListQuery>, snapshot: Snapshot) -> Result<Json<Page<User>>> {
    user::list(&snapshot, query.cursor.as_ref(), query.limit).map(Json)
}

pub(super) fn by_id(Own(id): Own<UserId>, snapshot: Snapshot) -> Result<Json<User>> {
    user::by_id(&snapshot, id)?.map(Json).ok_or_else(no_such_user)
}

pub(super) fn create(
    compute: Compute,
    Body(new): Body<UserInput>,
    transaction: Transaction,
) -> Result<Created<User>> {
    let settings = settings();
    if settings.is_reserved(new.email.email()) {
        return Err(email_taken());
    }
    let hash = password::hash(&compute, settings.cost, &new.password, &random()?)?;
    let now = now();
    let user = User {
        id: new_id().into(),
        email: new.email.into_string(),
        first_name: new.first_name.into_string(),
        last_name: new.last_name.into_string(),
        created_at: now,
        updated_at: now,
    };
    user::insert(&transaction, &user, &hash)?;
    transaction.publish(&user_changed(&user))?;
    Ok(Created { location: format!("/users/{}", user.id), body: user })
}

pub(super) fn change(
    Own(id): Own<UserId>,
    Body(patch): Body<UserPatch>,
    transaction: Transaction,
) -> Result<Json<User>> {
    let before = user::by_id(&transaction, id)?.ok_or_else(no_such_user)?;
    if matches!(patch, UserPatch { email: Change(None), first_name: Change(None), last_name: Change(None) }) {
        return Ok(Json(before));
    }
    if patch.email.0.as_ref().is_some_and(|email| settings().is_reserved(email.email())) {
        return Err(email_taken());
    }
    if patch.email.0.is_some() {
        login_failure::forget_email(&transaction, &before.email.to_ascii_lowercase())?;
    }
    let changed = User {
        email: patch.email.0.map_or(before.email, NewEmail::into_string),
        first_name: patch.first_name.0.map_or(before.first_name, Line::into_string),
        last_name: patch.last_name.0.map_or(before.last_name, Line::into_string),
        updated_at: now(),
        ..before
    };
    user::update(&transaction, &changed)?;
    let event = user_changed(&changed);
    // The latest state is enough; and whoever changes much can still be forgotten within a moment. The answers to their requests stay.
    transaction.erase(&event.subject())?;
    transaction.publish(&event)?;
    Ok(Json(changed))
}

pub(super) fn delete(Own(id): Own<UserId>, transaction: Transaction) -> Result<NoContent> {
    let email = user::delete(&transaction, id)?.ok_or_else(no_such_user)?;
    login_failure::forget_email(&transaction, &email.to_ascii_lowercase())?;
    let deleted = UserDeleted { id };
    // First, or it would erase the data of this event as well.
    transaction.erase(&deleted.subject())?;
    // Whoever asked for them: they say who it was, and where they lived.
    transaction.forget_answers(&deleted.subject())?;
    transaction.publish(&deleted)?;
    Ok(NoContent)
}
