//! A handler that fails parks the event with its subject, and holds up nobody else; an operator sees, retries and drops.

use bulkhead_tests::database;
use serde_json::{Value, json};

use super::{Stage, acting, failing_first, happened, numbers_of, up_to};

/// The event that fails first, then followers of its subject, and others among them.
fn mixed(act: &str) -> Vec<Value> {
    let mut events = vec![acting("stuck", 0, act)];
    for n in 1..6 {
        events.extend([happened("stuck", n), happened("free", n - 1)]);
    }
    events
}

#[test]
fn failing_event_blocks_only_its_subject_and_later_events_follow_in_order() {
    let mut stage = Stage::new();
    stage.client.put("/sink/broken/stuck", &json!(null)).expect(204);
    let ids = stage.publish(&mixed("fail-while-broken"));
    let consumed = stage.all_consumed("sink");
    assert_eq!(numbers_of(&consumed, "free"), up_to(5));
    assert_eq!(numbers_of(&consumed, "stuck"), Vec::<u64>::new());
    assert_eq!(numbers_of(&stage.all_consumed("witness"), "stuck"), up_to(6));

    let first = stage.admin.until_state("sink", &ids[0], "parked", 2);
    assert_eq!((&first["producer"], &first["subject"]), (&json!("source"), &json!("stuck")));
    assert!(first["reason"].as_str().unwrap().contains("its subject is broken"), "{first}");
    let letters = stage.admin.dead_letters("sink");
    assert_eq!(letters.len(), 6, "{letters:?}");
    assert!(letters.iter().skip(1).all(|letter| letter["attempts"] == 0), "{letters:?}");
    // One more comes behind them, and another subject goes on.
    stage.publish(&[happened("stuck", 6), happened("free", 5)]);
    assert_eq!(numbers_of(&stage.all_consumed("sink"), "free"), up_to(6));

    stage.client.delete("/sink/broken/stuck").expect(204);
    stage.admin.retry("sink", &ids[0]);
    let consumed = stage.consumed_when_quiet("sink");
    assert_eq!(numbers_of(&consumed, "stuck"), up_to(7));
    assert_eq!(numbers_of(&consumed, "free"), up_to(6));
    assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new());
    // The subject is free again.
    stage.publish_one(happened("stuck", 7));
    assert_eq!(numbers_of(&stage.all_consumed("sink"), "stuck"), up_to(8));
    stage.stop();
}

#[test]
fn temporarily_failing_event_succeeds_by_itself_and_knows_its_attempt() {
    let mut stage = Stage::new();
    stage.publish(&[
        failing_first("a", 0, "fail-first", 2),
        happened("a", 1),
        failing_first("b", 0, "fail-first", 1),
    ]);
    let consumed = stage.consumed_when_quiet("sink");
    assert_eq!(numbers_of(&consumed, "a"), [0, 1]);
    assert_eq!(numbers_of(&consumed, "b"), [0]);
    let attempt = |subject: &str, n: u64| {
        let found = consumed.iter().find(|event| event["subject"] == subject && event["n"] == n);
        found.unwrap()["attempt"].clone()
    };
    assert_eq!((attempt("a", 0), attempt("a", 1), attempt("b", 0)), (json!(3), json!(1), json!(2)));
    stage.stop();
}

#[test]
fn rejected_event_is_a_dead_letter_at_once_and_blocks_no_other() {
    let mut stage = Stage::new();
    let ids = stage.publish(&mixed("reject"));
    let consumed = stage.all_consumed("sink");
    assert_eq!(numbers_of(&consumed, "stuck"), [1, 2, 3, 4, 5]);
    assert_eq!(numbers_of(&consumed, "free"), up_to(5));
    let letters = stage.admin.dead_letters("sink");
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    assert_eq!((&letter["id"], &letter["state"]), (&json!(ids[0]), &json!("dead")));
    assert_eq!((&letter["attempts"], &letter["next_attempt"]), (&json!(1), &Value::Null));
    assert_eq!(letter["reason"], "told to reject");
    stage.stop();
}

#[test]
fn last_failed_attempt_makes_a_dead_letter_and_releases_later_events() {
    let mut stage = Stage::new();
    let ids = stage.publish(&mixed("fail"));
    stage.all_consumed("sink");
    stage.admin.until_state("sink", &ids[0], "parked", 1);
    let site = stage.stop();
    // All attempts but the last are over.
    let connection = database::open_to_break(&site.database("sink"));
    let spent = "UPDATE _bulkhead_parked SET attempts = 11, next_ms = 0 WHERE id = ?1";
    assert_eq!(connection.execute(spent, [&ids[0]]).unwrap(), 1);
    drop(connection);
    let mut stage = Stage::on(site);
    let letter = stage.admin.until_state("sink", &ids[0], "dead", 12);
    assert!(letter["reason"].as_str().unwrap().contains("after 12 attempts"), "{letter}");
    let consumed = stage.consumed_when_quiet("sink");
    assert_eq!(numbers_of(&consumed, "stuck"), [1, 2, 3, 4, 5]);
    stage.stop();
}

#[test]
fn dead_letter_retried_after_its_cause_is_fixed_takes_effect_once() {
    let mut stage = Stage::new();
    stage.client.put("/sink/broken/a", &json!(null)).expect(204);
    let id = stage.publish_one(acting("a", 0, "reject-while-broken"));
    stage.admin.until_state("sink", &id, "dead", 1);
    // While the cause is there it becomes one again.
    stage.admin.retry("sink", &id);
    stage.admin.until_state("sink", &id, "dead", 1);
    assert_eq!(stage.consumed("sink"), Vec::<Value>::new());
    stage.client.delete("/sink/broken/a").expect(204);
    stage.admin.retry("sink", &id);
    bulkhead_tests::admin::until("the dead letter takes effect", || {
        Some(()).filter(|()| stage.admin.dead_letters("sink").is_empty())
    });
    stage.publish_one(happened("a", 1));
    let consumed = stage.all_consumed("sink");
    assert_eq!(numbers_of(&consumed, "a"), [0, 1]);
    stage
        .admin
        .send(http::Method::POST, &format!("/api/dead-letters/sink/{id}/retry"))
        .problem(404, "not-found");
    stage.stop();
}

#[test]
fn dropped_dead_letter_is_gone_permanently_and_a_parked_event_cannot_be_dropped() {
    let mut stage = Stage::new();
    let ids = stage.publish(&[acting("a", 0, "reject"), acting("b", 0, "fail")]);
    stage.admin.until_state("sink", &ids[0], "dead", 1);
    stage.admin.until_state("sink", &ids[1], "parked", 1);
    stage.admin.drop_letter("sink", &ids[1]).problem(409, "not-dead");
    stage.admin.drop_letter("sink", &ids[0]).expect(200);
    stage.admin.drop_letter("sink", &ids[0]).problem(404, "not-found");
    stage.admin.drop_letter("nobody", &ids[0]).problem(404, "not-found");
    let site = stage.stop();
    let mut stage = Stage::on(site);
    stage.publish_one(happened("a", 1));
    assert_eq!(numbers_of(&stage.all_consumed("sink"), "a"), [1]);
    let left: Vec<Value> =
        stage.admin.dead_letters("sink").iter().map(|letter| letter["id"].clone()).collect();
    assert_eq!(left, [json!(ids[1])]);
    stage.stop();
}

#[test]
fn command_line_lists_shows_retries_and_drops_dead_letters() {
    let mut stage = Stage::new();
    stage.client.put("/sink/broken/a", &json!(null)).expect(204);
    let ids = stage.publish(&[
        acting("a", 0, "reject-while-broken"),
        acting("b", 1, "reject"),
        acting("c", 2, "fail"),
    ]);
    for (id, state) in ids.iter().zip(["dead", "dead", "parked"]) {
        stage.admin.until_state("sink", id, state, 1);
    }
    let verb = "dead-letters";
    let listed = |stage: &Stage, arguments: &[&str]| -> Vec<String> {
        let list = stage.admin.command_json(verb, arguments);
        let mut ids: Vec<String> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let mut all = ids.clone();
    all.sort();
    assert_eq!(listed(&stage, &["list"]), all);
    assert_eq!(listed(&stage, &["list", "sink"]), all);
    assert_eq!(listed(&stage, &["list", "witness"]), Vec::<String>::new());

    let shown = stage.admin.command_json(verb, &["show", "sink", &ids[1]]);
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("dead"), &json!("told to reject")));
    assert_eq!(
        (&shown["event"]["type"], &shown["event"]["data"]["n"]),
        (&json!("source.happened"), &json!(1))
    );
    assert_eq!(shown["event"]["source"], "source");

    stage.client.delete("/sink/broken/a").expect(204);
    assert_eq!(stage.admin.command_json(verb, &["retry", "sink", &ids[0]])["state"], "parked");
    assert_eq!(stage.admin.command_json(verb, &["drop", "sink", &ids[1]])["state"], "dropped");
    stage
        .admin
        .command(verb, &["drop", "sink", &ids[2]])
        .says(1, &["error: the host refused: ", "only a dead letter can be dropped"]);
    stage
        .admin
        .command(verb, &["show", "sink", &ids[1]])
        .says(1, &["error: the host refused: sink has no parked event or dead letter"]);
    stage.admin.command(verb, &["list", "nobody"]).says(1, &["error: the host refused: ", "nobody"]);
    bulkhead_tests::admin::until("the retried one takes effect", || {
        Some(()).filter(|()| listed(&stage, &["list"]) == [ids[2].clone()])
    });
    assert_eq!(numbers_of(&stage.consumed("sink"), "a"), [0]);
    stage.stop();
}

/// More than are made due in one unit of work, of two producers' types and of two services.
#[test]
fn dead_letters_are_retried_all_at_once_or_by_service_producer_or_type() {
    const MANY: u64 = 1_100;
    let mut stage = Stage::new();
    stage.client.put("/sink/broken/a", &json!(null)).expect(204);
    let many: Vec<Value> = (0..MANY).map(|n| acting("a", n, "reject-while-broken")).collect();
    stage.publish(&many);
    let other = stage.publish_one(acting("b", 0, "reject"));
    // They are more than are listed at once.
    bulkhead_tests::admin::until("all are dead letters", || {
        Some(()).filter(|()| stage.admin.subscription("source", "sink")["dead"] == MANY + 1)
    });
    stage.client.delete("/sink/broken/a").expect(204);

    let verb = "dead-letters";
    let retry = |stage: &Stage, filters: &[&str]| {
        let arguments = [&["retry"], filters, &["--all"]].concat();
        stage.admin.command_json(verb, &arguments)["retried"].clone()
    };
    // What the filters leave out stays as it is.
    assert_eq!(retry(&stage, &["witness"]), json!({}));
    assert_eq!(retry(&stage, &["--producer", "sink"]), json!({}));
    assert_eq!(retry(&stage, &["sink", "--type", "source.passing"]), json!({}));
    assert_eq!(stage.admin.subscription("source", "sink")["dead"], MANY + 1);
    let filters = ["sink", "--producer", "source", "--type", "source.happened"];
    assert_eq!(retry(&stage, &filters), json!({"sink": MANY + 1}));
    bulkhead_tests::admin::until("all take effect but the one that is rejected again", || {
        let subscription = stage.admin.subscription("source", "sink");
        Some(()).filter(|()| subscription["dead"] == 1 && subscription["parked"] == 0)
    });
    assert_eq!(numbers_of(&stage.consumed("sink"), "a"), up_to(MANY), "each once");
    assert_eq!(retry(&stage, &[]), json!({"sink": 1}));
    stage.admin.command(verb, &["retry", "nobody", "--all"]).says(1, &["the host refused", "nobody"]);
    // A filter that names what there is nowhere is a mistake, and no success.
    for (filter, word) in [("--producer", "nobody"), ("--type", "source.hapened")] {
        stage.admin.command(verb, &["retry", "--all", filter, word]).says(1, &["the host refused", word]);
    }
    for (wrong, status, word) in [
        (&["retry", "sink"][..], 1, "--all"),
        (&["retry"], 1, "--all"),
        (&["retry", "sink", &other, "--all"], 2, "--all"),
        (&["retry", "sink", &other, "--type", "x"], 2, "--type"),
    ] {
        stage.admin.command(verb, wrong).says(status, &[word]);
    }
    stage.stop();
}

#[test]
fn host_options_may_follow_the_subcommand() {
    let mut stage = Stage::new();
    let id = stage.publish_one(acting("a", 0, "reject"));
    stage.admin.until_state("sink", &id, "dead", 1);
    let data = stage.site.data();
    let (data, admin) = (data.to_str().unwrap(), stage.host.admin_address().unwrap().to_string());
    let arguments = ["dead-letters", "list", "--data", data, "--admin", &admin, "--json"];
    let finished = bulkhead_tests::host::run(&arguments);
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains(&id), "{}", finished.stdout);
    stage.stop();
}
