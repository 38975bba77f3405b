//! The user service: accounts, what belongs to them, and the sessions of everybody.
//!
//! Passwords are hashed at the least cost that argon2 has, so that a test takes milliseconds; one test in `password.rs` is of the cost
//! that the shop sets.

mod access;
mod addresses;
mod changing;
mod conditions;
mod default_address;
mod deletion;
mod faults;
mod keys;
mod listing;
mod logins;
mod password;
mod preferences;
mod registration;
mod sessions;
mod throttle;
mod token;

use bulkhead_testing::{Answer, Builder, Request, Service, Value, json};

/// Everybody's password.
const PASSWORD: &str = "correct horse";
/// Whose the administrator's tokens are.
const ADMIN: &str = "00000000-0000-7000-8000-000000000001";
const ADMIN_EMAIL: &str = "admin@shop.example";
const ADMIN_PASSWORD: &str = "opens all doors";
/// An id that no user has, and nothing else either.
const NOBODY: &str = "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60";

#[test]
fn every_endpoint_and_subscription_has_a_test() {
    // A password that changes between the two looks of one request takes two requests at a time: `tests/system` has them.
    bulkhead_testing::coverage("user").tests("user::").with_problems_but(&["password-changed"]).check();
}

/// The service at the least cost of hashes, to be set further.
#[track_caller]
fn with() -> Builder {
    Service::with("user")
        .config("user", "argon2_memory_kib", "8")
        .config("user", "argon2_iterations", "1")
        .secret("user", "admin_password", ADMIN_PASSWORD)
}

#[track_caller]
fn start() -> Service {
    with().start().service("user")
}

/// A user to register, with an address that is made of the first name.
fn new_user(first_name: &str) -> Value {
    let email = email_of(first_name);
    json!({"email": email, "password": PASSWORD, "first_name": first_name, "last_name": "Tester"})
}

fn email_of(first_name: &str) -> String {
    format!("{}@tests.example", first_name.to_lowercase())
}

/// A user who is registered: their id.
#[track_caller]
fn registered(users: &Service, first_name: &str) -> String {
    users.post("/users").json(new_user(first_name)).send().status(201).text_of("id")
}

/// The service with Ada, and her id. What was published of her was looked at.
fn with_ada() -> (Service, String) {
    let users = start();
    let ada = registered(&users, "Ada");
    let _ = users.published();
    (users, ada)
}

fn new_address() -> Value {
    json!({"address_line1": "Main St 1", "city": "Ulm", "postal_code": "89073", "country": "DE"})
}

/// An address that a user has now: its id.
#[track_caller]
fn added(users: &Service, user: &str) -> String {
    let request = users.post(format!("/users/{user}/addresses")).json(new_address());
    request.user(user).send().status(201).text_of("id")
}

/// A preference that a user has now.
#[track_caller]
fn prefer(users: &Service, user: &str, key: &str) {
    let request = users.put(format!("/users/{user}/preferences/{key}")).json(json!({"value": "dark"}));
    let _ = request.user(user).send().status(201);
}

/// A login that is to be sent.
fn login(users: &Service, email: &str, password: &str) -> Request {
    users.post("/sessions").json(json!({"email": email, "password": password}))
}

/// The caller.
trait As {
    fn user(self, id: &str) -> Self;
    fn admin(self) -> Self;
}

impl As for Request {
    fn user(self, id: &str) -> Self {
        self.principal(id).role("customer")
    }

    fn admin(self) -> Self {
        self.principal(ADMIN).role("admin")
    }
}

/// The fields that a problem names, all of them.
#[track_caller]
fn wrong_fields(answer: Answer) -> Vec<String> {
    let problem = answer.problem(422, "invalid").json();
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors.map(|error| error["field"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A JSON body without the trace, which is another one each time.
#[track_caller]
fn untraced(answer: &Answer) -> Value {
    let mut body = answer.json();
    if let Some(members) = body.as_object_mut() {
        members.remove("trace_id");
    }
    body
}

/// All that the service holds.
#[track_caller]
fn everything(users: &Service) -> Value {
    json!({
        "user": users.rows("SELECT * FROM user ORDER BY id"),
        "user_address": users.rows("SELECT * FROM user_address ORDER BY id"),
        "user_preference": users.rows("SELECT * FROM user_preference ORDER BY id"),
        "signing_key": users.rows("SELECT * FROM signing_key ORDER BY id"),
        "login_failure": users.rows("SELECT * FROM login_failure ORDER BY email, peer"),
    })
}
