//! The table `user`.

use bulkhead_contracts::UserId;
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{
    ConstraintKind, Cursor, Limit, Page, Problem, Read, Result, Timestamp, Transaction, params, row,
};

use crate::problems::EMAIL_TAKEN;
use crate::rules::email::Email;
use crate::rules::password::PasswordHash;

row! {
    /// A user. The hash of the password is no part of it.
    pub struct User {
        /// Its id.
        pub id: UserId,
        /// Unique without regard to upper and lower case.
        pub email: String,
        /// Shown beside reviews.
        pub first_name: String,
        /// The family name.
        pub last_name: String,
        /// When it was created.
        pub created_at: Timestamp,
        /// When it, or its password, was last changed.
        pub updated_at: Timestamp,
    }
}

/// What a login is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user.
    pub id: UserId,
    /// Of the password.
    pub hash: PasswordHash,
}

/// A page of all users, the oldest first.
pub fn list(read: &impl Read, cursor: Option<&Cursor>, limit: Limit) -> Result<Page<User>> {
    const SCOPE: &str = "users";
    let behind: Option<(String, UserId)> = cursor.map(|cursor| cursor.keys(SCOPE)).transpose()?;
    let rows = match behind {
        None => read.query_all(
            "SELECT id, email, first_name, last_name, created_at, updated_at FROM user ORDER BY created_at, id LIMIT ?1",
            &params![limit.and_one_more()],
        ),
        Some((created_at, id)) => read.query_all(
            "SELECT id, email, first_name, last_name, created_at, updated_at FROM user \
             WHERE (created_at, id) > (?2, ?3) ORDER BY created_at, id LIMIT ?1",
            &params![limit.and_one_more(), created_at, id],
        ),
    };
    Page::new(rows?, limit, SCOPE, |user: &User| (user.created_at.to_string(), user.id))
}

/// The user with this id.
pub fn by_id(read: &impl Read, id: UserId) -> Result<Option<User>, Error> {
    read.query_optional(
        "SELECT id, email, first_name, last_name, created_at, updated_at FROM user WHERE id = ?1",
        &params![id],
    )
}

/// There is a user with this id.
pub fn exists(read: &impl Read, id: UserId) -> Result<bool, Error> {
    let row: Option<(i64,)> = read.query_optional("SELECT 1 FROM user WHERE id = ?1", &params![id])?;
    Ok(row.is_some())
}

/// What a login with this email is checked against.
pub fn credentials_by_email(read: &impl Read, email: &Email) -> Result<Option<Credentials>, Error> {
    let row = read.query_optional("SELECT id, password_hash FROM user WHERE email = ?1", &params![email])?;
    Ok(row.map(|(id, hash)| Credentials { id, hash }))
}

/// The hash of a user's password.
pub fn password_hash(read: &impl Read, id: UserId) -> Result<Option<PasswordHash>, Error> {
    let row = read.query_optional("SELECT password_hash FROM user WHERE id = ?1", &params![id])?;
    Ok(row.map(|(hash,)| hash))
}

/// Creates a user: 409 where the email is taken.
pub fn insert(transaction: &Transaction, user: &User, hash: &PasswordHash) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO user (id, email, password_hash, first_name, last_name, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            &params![
                user.id,
                user.email,
                hash,
                user.first_name,
                user.last_name,
                user.created_at,
                user.updated_at
            ],
        )
        .map_err(refused)?;
    Ok(())
}

/// Changes what is not the password: 409 where the email is taken.
pub fn update(transaction: &Transaction, user: &User) -> Result<()> {
    transaction
        .execute(
            "UPDATE user SET email = ?2, first_name = ?3, last_name = ?4, updated_at = ?5 WHERE id = ?1",
            &params![user.id, user.email, user.first_name, user.last_name, user.updated_at],
        )
        .map_err(refused)?;
    Ok(())
}

/// Changes the password, unless it is no longer the one with this hash: then false.
pub fn change_password(
    transaction: &Transaction,
    id: UserId,
    (from, to): (&PasswordHash, &PasswordHash),
    updated_at: Timestamp,
) -> Result<bool, Error> {
    let outcome = transaction.execute(
        "UPDATE user SET password_hash = ?3, updated_at = ?4 WHERE id = ?1 AND password_hash = ?2",
        &params![id, from, to, updated_at],
    )?;
    Ok(outcome.rows_affected > 0)
}

/// Puts another hash of the same password in the place of this one, unless the password was changed meanwhile.
pub fn replace_hash(
    transaction: &Transaction,
    id: UserId,
    (from, to): (&PasswordHash, &PasswordHash),
) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE user SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2",
            &params![id, from, to],
        )
        .map(drop)
}

/// Deletes a user with all that belongs to them, and gives their email; none where there is no such user.
pub fn delete(transaction: &Transaction, id: UserId) -> Result<Option<String>, Error> {
    let row = transaction.query_optional("DELETE FROM user WHERE id = ?1 RETURNING email", &params![id])?;
    Ok(row.map(|(email,)| email))
}

/// The email is somebody else's.
pub fn email_taken() -> Problem {
    Problem::of(EMAIL_TAKEN, "another account has this email").with("constraint", "user.email")
}

/// What a constraint of the table means to a client.
fn refused(error: Error) -> Problem {
    match error.constraint() {
        Some((ConstraintKind::Unique, "user.email")) => email_taken(),
        _ => error.into(),
    }
}
