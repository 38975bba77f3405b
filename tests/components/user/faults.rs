//! What fails leaves nothing half done.

use bulkhead_testing::{Fault, Request, Service, Value, json};

use super::{
    As as _, PASSWORD, added, email_of, everything, login, new_address, new_user, prefer, registered, start,
};

/// What a request needs to be there, and the request.
type Case = (&'static str, u16, fn(&Service, &str, &str) -> Request);

/// All requests that write, with the status that they are answered with. Each is given a user's id and an address's.
const WRITES: &[Case] = &[
    ("register", 201, |users, _, _| users.post("/users").json(new_user("Bo"))),
    ("change", 200, |users, ada, _| {
        let patch = json!({"email": "countess@tests.example", "first_name": "Augusta"});
        users.patch(format!("/users/{ada}")).json(patch).user(ada)
    }),
    ("delete", 204, |users, ada, _| users.delete(format!("/users/{ada}")).user(ada)),
    ("password", 204, |users, ada, _| {
        let body = json!({"current_password": PASSWORD, "new_password": "battery staple"});
        users.put(format!("/users/{ada}/password")).json(body).user(ada)
    }),
    ("add an address", 201, |users, ada, _| {
        let mut address = new_address();
        address["is_default"] = true.into();
        users.post(format!("/users/{ada}/addresses")).json(address).user(ada)
    }),
    ("replace an address", 200, |users, ada, address| {
        let mut new = new_address();
        new["is_default"] = false.into();
        users.put(format!("/users/{ada}/addresses/{address}")).json(new).user(ada)
    }),
    ("delete an address", 204, |users, ada, address| {
        users.delete(format!("/users/{ada}/addresses/{address}")).user(ada)
    }),
    ("set a preference", 201, |users, ada, _| {
        users.put(format!("/users/{ada}/preferences/colour")).json(json!({"value": "red"})).user(ada)
    }),
    ("replace a preference", 200, |users, ada, _| {
        users.put(format!("/users/{ada}/preferences/theme")).json(json!({"value": "red"})).user(ada)
    }),
    ("delete a preference", 204, |users, ada, _| {
        users.delete(format!("/users/{ada}/preferences/theme")).user(ada)
    }),
    ("log in", 201, |users, _, _| login(users, &email_of("Ada"), PASSWORD)),
    ("fail to log in", 401, |users, _, _| login(users, &email_of("Ada"), "wrong")),
];

/// All requests that read.
const READS: &[Case] = &[
    ("list users", 200, |users, _, _| users.get("/users").admin()),
    ("get a user", 200, |users, ada, _| users.get(format!("/users/{ada}")).user(ada)),
    ("list addresses", 200, |users, ada, _| users.get(format!("/users/{ada}/addresses")).user(ada)),
    ("get an address", 200, |users, ada, address| {
        users.get(format!("/users/{ada}/addresses/{address}")).user(ada)
    }),
    ("list preferences", 200, |users, ada, _| users.get(format!("/users/{ada}/preferences")).user(ada)),
    ("get a preference", 200, |users, ada, _| users.get(format!("/users/{ada}/preferences/theme")).user(ada)),
    ("get the session", 200, |users, ada, _| users.get("/sessions/current").user(ada)),
    ("get the keys", 200, |users, _, _| users.get("/.well-known/jwks.json")),
];

/// A user with two addresses, a preference and a login that failed: the service, and the ids of the user and of the default address.
fn prepared() -> (Service, String, String) {
    let users = start();
    let ada = registered(&users, "Ada");
    let address = added(&users, &ada);
    added(&users, &ada);
    prefer(&users, &ada, "theme");
    let _ = login(&users, &email_of("Ada"), "wrong").send().status(401);
    (users, ada, address)
}

/// All events, with those before the request, of which one may take data out.
fn all_events(users: &Service) -> Value {
    users.published().into_iter().map(|event| json!([event.kind, event.subject, event.data])).collect()
}

#[test]
fn a_request_whose_database_fails_at_any_call_has_no_effect_and_can_be_sent_again() {
    let (unchanged, ..) = prepared();
    let (rows, events) = (everything(&unchanged), all_events(&unchanged));
    for (name, status, request) in WRITES.iter().chain(READS) {
        let (users, ada, address) = prepared();
        let calls = request(&users, &ada, &address).send().status(*status).database_calls();
        let (rows_after, events_after) = (everything(&users), all_events(&users));
        assert!(calls > 0, "{name}");
        for call in 1..=calls {
            let (users, ada, address) = prepared();
            let answer = request(&users, &ada, &address).failing(Fault::Statement(call)).send();
            let _ = answer.problem(500, "internal");
            assert_eq!(everything(&users), rows, "{name}: call {call} of {calls}");
            assert_eq!(all_events(&users), events, "{name}: call {call} of {calls}");
        }
        // Nothing that was read in vain keeps the next one from its effects: as many of them, and of the same kinds.
        let (users, ada, address) = prepared();
        let _ = request(&users, &ada, &address).failing(Fault::Statement(calls)).send().status(500);
        let again = request(&users, &ada, &address).send().status(*status);
        assert_eq!(again.database_calls(), calls, "{name}");
        assert_eq!(sizes(&everything(&users)), sizes(&rows_after), "{name}");
        assert_eq!(
            all_events(&users).as_array().map(Vec::len),
            events_after.as_array().map(Vec::len),
            "{name}"
        );
    }
}

fn sizes(rows: &Value) -> Vec<Option<usize>> {
    rows.as_object().into_iter().flatten().map(|(_, rows)| rows.as_array().map(Vec::len)).collect()
}

/// Of a call that came too late the unit of work is still there: a handler that went on would have the rest of it kept.
#[test]
fn a_request_whose_database_is_busy_at_any_call_has_no_effect() {
    let (unchanged, ..) = prepared();
    let (rows, events) = (everything(&unchanged), all_events(&unchanged));
    for (name, status, request) in WRITES.iter().chain(READS) {
        let (users, ada, address) = prepared();
        let calls = request(&users, &ada, &address).send().status(*status).database_calls();
        for call in 1..=calls {
            let (users, ada, address) = prepared();
            let answer = request(&users, &ada, &address).failing(Fault::StatementBusy(call)).send();
            let _ = answer.problem(503, "unavailable");
            assert_eq!(everything(&users), rows, "{name}: call {call} of {calls}");
            assert_eq!(all_events(&users), events, "{name}: call {call} of {calls}");
        }
    }
}

#[test]
fn a_failed_commit_is_reported_and_nothing_is_kept() {
    let (unchanged, ..) = prepared();
    let (rows, events) = (everything(&unchanged), all_events(&unchanged));
    for (name, _, request) in WRITES {
        let (users, ada, address) = prepared();
        let answer = request(&users, &ada, &address).failing(Fault::Commit).send();
        let answer = answer.problem(503, "unavailable");
        assert!(answer.header_value("retry-after").is_some(), "{name}");
        assert_eq!(everything(&users), rows, "{name}");
        assert_eq!(all_events(&users), events, "{name}");
    }
}

#[test]
fn a_commit_that_fails_once_is_retried_and_takes_effect_once() {
    for (name, status, request) in WRITES {
        let (users, ada, address) = prepared();
        let _ = request(&users, &ada, &address).send().status(*status);
        let (rows, events) = (everything(&users), all_events(&users));
        let (users, ada, address) = prepared();
        let _ = request(&users, &ada, &address).failing(Fault::CommitOnce).send().status(*status);
        assert_eq!(sizes(&everything(&users)), sizes(&rows), "{name}");
        assert_eq!(all_events(&users).as_array().map(Vec::len), events.as_array().map(Vec::len), "{name}");
    }
}

#[test]
fn a_full_database_is_reported_as_such() {
    let (unchanged, ..) = prepared();
    let (rows, events) = (everything(&unchanged), all_events(&unchanged));
    for (name, status, request) in WRITES {
        let (users, ada, address) = prepared();
        let calls = request(&users, &ada, &address).send().status(*status).database_calls();
        let (users, ada, address) = prepared();
        let answer = request(&users, &ada, &address).failing(Fault::StorageFull(calls)).send();
        let _ = answer.problem(507, "storage-full");
        assert_eq!(everything(&users), rows, "{name}");
        assert_eq!(all_events(&users), events, "{name}");
    }
}

#[test]
fn the_key_of_a_failed_request_is_free() {
    for (fault, status) in [(Fault::Statement(1), 500), (Fault::Commit, 503)] {
        let users = start();
        let send = || users.post("/users").idempotency_key("k").json(new_user("Ada"));
        let _ = send().failing(fault).send().status(status);
        let _ = send().send().status(201).replayed(false);
        let _ = send().send().status(201).replayed(true);
        assert_eq!(users.published().len(), 1);
    }
}

#[test]
fn a_hash_that_runs_out_of_memory_is_500_and_the_next_request_works() {
    let users = Service::start("user");
    let answer = users.post("/users").json(new_user("Ada")).failing(Fault::Memory).send();
    let _ = answer.problem(500, "internal");
    assert_eq!(users.rows("SELECT id FROM user"), json!([]));
    users.expect_published(json!([]));
    let _ = users.post("/users").json(new_user("Ada")).send().status(201);
}
