//! The kinds of problem that are this service's own.

bulkhead_sdk::problems! {
    /// Another account has this email, without regard to upper and lower case, or it is the administrator's.
    pub EMAIL_TAKEN = 409 "email-taken"
    /// The email or the password is wrong; which of the two is not told.
    pub INVALID_CREDENTIALS = 401 "invalid-credentials"
    /// Too many logins with this email have failed from this address. Try again after the seconds of `Retry-After`.
    pub TOO_MANY_LOGINS = 429 "too-many-logins"
    /// The current password is another one.
    pub WRONG_PASSWORD = 403 "wrong-password"
    /// The password was changed by another request at the same time. Log in with the one that is wanted.
    pub PASSWORD_CHANGED = 409 "password-changed"
    /// The user has as many addresses as one may have. Delete one first.
    pub TOO_MANY_ADDRESSES = 409 "too-many-addresses"
    /// The user has as many preferences as one may have. Delete one first.
    pub TOO_MANY_PREFERENCES = 409 "too-many-preferences"
}
