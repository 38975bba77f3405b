//! What is kept for idempotency keys, and whom it is about.

use bulkhead_testing::json;

use super::source;

#[test]
fn stored_answer_belongs_to_the_subjects_its_handler_names_and_is_deleted_with_any_of_them() {
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
fn invalid_subject_of_an_answer_is_refused_and_nothing_is_stored() {
    let source = source();
    let keyed =
        |about: &str| source.post("/source/answers").idempotency_key("k").json(json!({"about": [about]}));
    keyed("").send().status(500);
    keyed("ann").send().status(200).replayed(false);
}
