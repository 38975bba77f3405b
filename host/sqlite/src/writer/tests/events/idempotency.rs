//! Idempotency keys: an answer exists exactly when its effects exist.

use std::time::Duration;

use bulkhead_store::{KeptAnswer, Known, OpenReaders as _, RequestKey, Secret, StatementError};
use bulkhead_types::Sequence;
use bulkhead_types::limits::{ANSWER_SUBJECTS_MAX, EVENT_NAME_BYTES_MAX, IDEMPOTENCY_KEPT};

use super::{abort, event, ms, note, sure_ways_to_abort};
use crate::writer::tests::{World, durable, world};

const DAY: Duration = IDEMPOTENCY_KEPT;
/// Some time after 1970.
const NOW: Duration = Duration::from_secs(1_000_000_000);

fn answer(body: &str) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        headers: r#"[["location","/loans/1"]]"#.into(),
        body: body.as_bytes().to_vec(),
        position: Sequence::new(7),
        about: Vec::new(),
    }
}

impl World {
    fn key(&self, caller: &str, key: &str, request: &[&str]) -> RequestKey {
        let request: Vec<_> = request.iter().map(|part| part.as_bytes()).collect();
        RequestKey::new(Secret::of(self.database.secret()), (&caller.into(), None), key, &request)
    }

    fn known(&self, key: &RequestKey, now: Duration) -> Known {
        self.database.reader().unwrap().known(key, now).unwrap()
    }

    /// Keeps an answer, and commits.
    fn remember(&self, key: &RequestKey, body: &str, now: Duration) -> bool {
        self.commit(|unit| unit.remember(key, &answer(body), now).unwrap())
    }
}

#[test]
fn same_request_gets_the_first_answer_and_a_different_one_is_detected() {
    let world = world();
    let key = world.key("ann", "k1", &["POST", "/loans", "{}"]);
    assert_eq!(world.known(&key, NOW), Known::No);
    assert!(world.remember(&key, "first", NOW));
    assert_eq!(world.known(&key, NOW), Known::Answer(answer("first")));
    for request in [&["POST", "/loans", "{ }"][..], &["POST", "/loan", "s{}"][..], &[][..]] {
        assert_eq!(world.known(&world.key("ann", "k1", request), NOW), Known::OtherRequest, "{request:?}");
    }
    for (caller, key) in [("bob", "k1"), ("ann", "k2"), ("annk", "1"), ("", "annk1")] {
        let other = world.key(caller, key, &["POST", "/loans", "{}"]);
        assert_eq!(world.known(&other, NOW), Known::No, "{caller} {key}");
    }
}

/// Answers of a host that hashed requests differently have no request hash: they count for every request with their key.
#[test]
fn answer_without_a_known_request_matches_any_request_with_its_key() {
    let world = world();
    let (key, used) = (world.key("ann", "k1", &["{}"]), world.key("ann", "k2", &["{}"]));
    assert!(world.remember(&key, "first", NOW));
    assert!(
        world.commit(|unit| unit
            .remember(&used, &KeptAnswer::none(Sequence::new(7), Vec::new()), NOW)
            .unwrap())
    );
    world.by_hand("UPDATE _bulkhead_idempotency SET request = x''");
    assert_eq!(world.known(&world.key("ann", "k1", &["{ }"]), NOW), Known::Answer(answer("first")));
    assert_eq!(world.known(&world.key("ann", "k2", &["{ }"]), NOW), Known::Used);
    assert_eq!(world.known(&world.key("bob", "k1", &["{}"]), NOW), Known::No);
}

#[test]
fn answer_is_known_after_the_database_is_reopened() {
    let world = world();
    let key = world.key("ann", "k1", &["{}"]);
    assert!(world.remember(&key, "first", NOW));
    let world = world.reopened();
    assert_eq!(key, world.key("ann", "k1", &["{}"]), "it is hashed with the same secret");
    assert_eq!(world.known(&key, NOW), Known::Answer(answer("first")));
}

#[test]
fn answer_is_known_only_once_its_effects_are_durable() {
    let world = world();
    let key = world.key("ann", "k1", &["{}"]);
    assert!(world.roll_back(|unit| unit.remember(&key, &answer("never"), NOW).unwrap()));
    assert_eq!(world.known(&key, NOW), Known::No);
    let (mut lease, first) = world.keep(None, |unit| {
        note(unit, "a");
        unit.remember(&key, &answer("first"), NOW).unwrap()
    });
    assert!(first);
    assert_eq!((world.known(&key, NOW), world.notes()), (Known::No, vec![]));
    durable(lease.commit());
    assert_eq!(world.known(&key, NOW), Known::Answer(answer("first")));
    assert_eq!(world.notes(), ["a"]);
}

#[test]
fn key_is_free_again_if_its_batch_is_aborted() {
    for sql in sure_ways_to_abort() {
        let world = world();
        let key = world.key("ann", "k1", &["{}"]);
        let (lease, _) = world.keep(None, |unit| {
            note(unit, "a");
            assert!(unit.remember(&key, &answer("never"), NOW).unwrap());
        });
        durable(abort(lease, sql).commit());
        assert_eq!((world.known(&key, NOW), world.notes()), (Known::No, vec![]), "{sql}");
        assert!(world.remember(&key, "second", NOW), "{sql}");
        assert_eq!(world.known(&key, NOW), Known::Answer(answer("second")), "{sql}");
    }
}

#[test]
fn second_unit_of_work_with_a_key_is_detected_in_the_same_batch_and_later() {
    let world = world();
    let key = world.key("ann", "k1", &["{}"]);
    let other_request = world.key("ann", "k1", &["{ }"]);
    let (lease, first) = world.keep(None, |unit| unit.remember(&key, &answer("first"), NOW).unwrap());
    let (lease, second) =
        world.keep(Some(lease), |unit| unit.remember(&key, &answer("second"), NOW).unwrap());
    let (mut lease, third) =
        world.keep(Some(lease), |unit| unit.remember(&other_request, &answer("third"), NOW).unwrap());
    durable(lease.commit());
    drop(lease);
    assert_eq!((first, second, third), (true, false, false));
    assert!(!world.remember(&key, "fourth", NOW));
    assert_eq!(world.known(&key, NOW), Known::Answer(answer("first")));
    assert_eq!(world.known(&other_request, NOW), Known::OtherRequest);
}

#[test]
fn key_is_free_again_after_a_day() {
    let world = world();
    let key = world.key("ann", "k1", &["{}"]);
    let millisecond = Duration::from_millis(1);
    assert!(world.remember(&key, "first", NOW));
    assert!(!world.remember(&key, "early", NOW + DAY - millisecond));
    assert_eq!(world.known(&key, NOW + DAY - millisecond), Known::Answer(answer("first")));
    assert_eq!(world.known(&key, NOW + DAY), Known::No);
    assert!(world.remember(&key, "second", NOW + DAY));
    assert_eq!(world.known(&key, NOW + DAY), Known::Answer(answer("second")));
}

/// Only some old answers are deleted at a time, the oldest first. The key's own answer need not be among them.
#[test]
fn key_is_free_again_after_a_day_however_many_older_ones_there_are() {
    let world = world();
    for i in 0..20 {
        assert!(world.remember(&world.key("ann", &format!("older{i}"), &[]), "older", NOW));
    }
    let (key, later) = (world.key("ann", "k1", &["{}"]), NOW + Duration::from_secs(1));
    assert!(world.remember(&key, "first", later));
    assert!(world.remember(&key, "second", later + DAY));
    assert_eq!(world.known(&key, later + DAY), Known::Answer(answer("second")));
}

#[test]
fn day_old_answers_are_deleted_while_others_are_added() {
    let world = world();
    for i in 0..20 {
        assert!(world.remember(&world.key("ann", &format!("old{i}"), &[]), "old", NOW));
    }
    let young = NOW + DAY / 2;
    assert!(world.remember(&world.key("ann", "young", &[]), "young", young));
    for i in 0..3 {
        assert!(world.remember(&world.key("ann", &format!("new{i}"), &[]), "new", NOW + DAY));
    }
    assert_eq!(world.number("SELECT count(*) FROM _bulkhead_idempotency"), 4);
    assert_eq!(world.known(&world.key("ann", "young", &[]), NOW + DAY), Known::Answer(answer("young")));
}

#[test]
fn data_that_a_client_sent_is_not_in_the_files() {
    let world = world();
    let (caller, key, body) = ("caller-9f2c", "key-4b7d1a", r#"{"card":"4929-1234"}"#);
    let request = world.key(caller, key, &["POST", "/loans", body]);
    assert!(world.remember(&request, "the-answer-51c0", NOW));
    let holds = |world: &World, text: &str| {
        ["db", "db-wal"].iter().any(|extension| {
            let bytes = std::fs::read(world.path.with_extension(extension)).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    };
    assert!(holds(&world, "the-answer-51c0"), "the search finds what is there");
    for sent in [caller, key, body, "4929-1234"] {
        assert!(!holds(&world, sent), "{sent}");
    }
    // A plain hash of a guess finds nothing either: each database has its own secret.
    let elsewhere = self::world();
    assert_ne!(request, elsewhere.key(caller, key, &["POST", "/loans", body]));
    // Once everything is in the database file itself.
    let world = world.reopened();
    for sent in [caller, key, body, "4929-1234"] {
        assert!(!holds(&world, sent), "{sent}");
    }
}

impl World {
    fn answers(&self) -> i64 {
        self.number("SELECT count(*) FROM _bulkhead_idempotency")
    }

    fn subjects(&self) -> i64 {
        self.number("SELECT count(*) FROM _bulkhead_idempotency_subject")
    }
}

/// The subjects by which an answer is forgotten, and some by which it is not.
#[test]
fn answers_about_a_subject_are_forgotten_with_it_and_no_others() {
    for (subject, forgotten) in [
        ("ann", true),
        ("ANN", true),
        ("of-the-path", true),
        ("of-an-event", true),
        ("of-another-event", true),
        ("of-a-timer", true),
        ("said", true),
        ("bob", false),
        ("an", false),
    ] {
        let world = world();
        let key = world.key("ann", "k1", &["{}"]);
        world.commit(|unit| {
            unit.append(&event("loan.made", &"of-an-event".into(), "{}")).unwrap();
            unit.append(&event("loan.made", &"of-another-event".into(), "{}")).unwrap();
            unit.schedule(&event("loan.late", &"of-a-timer".into(), "{}"), NOW).unwrap();
            unit.about(&"said".into()).unwrap();
            let about = vec!["of-the-path".into(), "said".into()];
            assert!(unit.remember(&key, &KeptAnswer { about, ..answer("first") }, NOW).unwrap());
        });
        let others = world.key("bobby", "k1", &["{}"]);
        assert!(world.remember(&others, "others", NOW));
        assert_eq!(
            world.roll_back(|unit| unit.forget_answers(&subject.into())),
            Ok(forgotten.into()),
            "{subject:?}"
        );
        assert_eq!(world.answers(), 2, "undone with its unit of work");
        assert_eq!(
            world.commit(|unit| unit.forget_answers(&subject.into())),
            Ok(forgotten.into()),
            "{subject:?}"
        );
        let expected = if forgotten { Known::No } else { Known::Answer(answer("first")) };
        assert_eq!(world.known(&key, NOW), expected, "{subject:?}");
        assert_eq!(world.known(&others, NOW), Known::Answer(answer("others")));
        assert_eq!(world.subjects(), if forgotten { 1 } else { 7 }, "{subject:?}");
    }
}

#[test]
fn subjects_named_by_a_guest_are_limited_and_only_the_excess_one_is_refused() {
    let world = world();
    let key = world.key("ann", "k1", &["{}"]);
    let is_refused =
        |result: Result<(), StatementError>| matches!(result, Err(StatementError::InvalidValue(_)));
    let longest = "x".repeat(EVENT_NAME_BYTES_MAX);
    world.commit(|unit| {
        for subject in ["", &format!("{longest}x")] {
            assert!(is_refused(unit.about(&subject.into())));
            assert!(is_refused(unit.forget_answers(&subject.into()).map(drop)));
        }
        unit.about(&longest.as_str().into()).unwrap();
        (1..ANSWER_SUBJECTS_MAX).for_each(|n| unit.about(&n.to_string().as_str().into()).unwrap());
        assert!(is_refused(unit.about(&"one too many".into())));
        // The limit does not apply to an event's own subject: its row bounds it.
        unit.append(&event("loan.made", &"of-an-event".into(), "{}")).unwrap();
        assert!(unit.remember(&key, &answer("first"), NOW).unwrap());
    });
    assert_eq!(world.commit(|unit| unit.forget_answers(&"one too many".into())), Ok(0));
    for subject in [longest.as_str(), "999", "of-an-event"] {
        assert_eq!(world.roll_back(|unit| unit.forget_answers(&subject.into())), Ok(1), "{subject}");
    }
}

#[test]
fn erasing_the_events_of_a_subject_deletes_no_answer() {
    let world = world();
    let key = world.key("ann", "k1", &["{}"]);
    world.commit(|unit| {
        unit.append(&event("user.changed", &"ann".into(), "{}")).unwrap();
        assert!(unit.remember(&key, &answer("first"), NOW).unwrap());
    });
    assert_eq!(world.commit(|unit| unit.erase(&"ann".into())), Ok(1));
    assert_eq!(world.known(&key, NOW), Known::Answer(answer("first")));
}

#[test]
fn subjects_of_an_answer_are_deleted_with_it() {
    let world = world();
    for i in 0..20 {
        assert!(world.remember(&world.key("ann", &format!("k{i}"), &[]), "old", NOW));
        // An answer that is refused leaves nothing.
        assert!(!world.remember(&world.key("ann", &format!("k{i}"), &[]), "again", NOW));
    }
    assert_eq!((world.answers(), world.subjects()), (20, 20));
    let forget = |now| world.commit(|unit| unit.forget_old_answers(now).unwrap());
    assert!(!forget(NOW + DAY - ms(1)), "they are not old yet");
    assert!(forget(NOW + DAY));
    assert_eq!((world.answers(), world.subjects()), (0, 0));
    assert!(!forget(NOW + DAY), "there are no more");
}
