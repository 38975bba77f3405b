//! What is kept for idempotency keys, and whom it is about.

use bulkhead_testing::json;

use super::source;

#[test]
fn answer_is_about_those_that_its_handler_names_and_goes_with_any_of_them() {
    for named in ["ann", "bob"] {
        let source = source();
        let keyed =
            || source.post("/source/answers").idempotency_key("k").json(json!({"about": ["ann", "bob"]}));
        let forget = |subject: &str| source.post("/source/answers").json(json!({"forget": [subject]})).send();
        keyed().send().status(200).replayed(false);
        forget("carla").status(200).includes(json!({"forgotten": [0]}));
        keyed().send().status(200).replayed(true);
        forget(named).status(200).includes(json!({"forgotten": [1]}));
        keyed().send().status(200).replayed(false);
    }
}

#[test]
fn what_an_answer_may_not_be_about_is_refused_and_keeps_nothing() {
    let source = source();
    let keyed =
        |about: &str| source.post("/source/answers").idempotency_key("k").json(json!({"about": [about]}));
    keyed("").send().status(500);
    keyed("ann").send().status(200).replayed(false);
}
