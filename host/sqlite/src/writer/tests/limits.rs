//! The limits of statements, results and events, and of the time of a unit of work.

use std::time::Instant;

use bulkhead_store::{NewEvent, PublishError, StatementError, Value, Writer as _};
use bulkhead_types::limits::{EVENT_DATA_BYTES_MAX, RESULT_BYTES_MAX, STATEMENT_BYTES_MAX};

use super::{soon, world, write};
use crate::writer::tests::trace_id;

#[test]
fn results_and_parameters_have_limits_and_are_utf8() {
    let world = world();
    let mut unit = world.begin(None);
    let many =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) SELECT i FROM n";
    assert!(matches!(unit.query(many, &[]), Err(StatementError::Limit { what: "rows of a result", .. })));
    let each = RESULT_BYTES_MAX / 2 - size_of::<Value>();
    for (large, fits) in [(each, true), (each + 1, false)] {
        let text = format!("printf('%.{large}c', 'x')");
        for of in [format!("zeroblob({large})"), text] {
            let result = unit.query(&format!("SELECT {of}, zeroblob({each})"), &[]);
            match result {
                Ok(_) => assert!(fits, "{of}"),
                Err(StatementError::Limit { what: "bytes of a result", .. }) => assert!(!fits, "{of}"),
                Err(error) => panic!("{of}: {error}"),
            }
        }
    }
    let large = "SELECT zeroblob(5000000) UNION ALL SELECT zeroblob(5000000)";
    assert!(matches!(unit.query(large, &[]), Err(StatementError::Limit { what: "bytes of a result", .. })));
    let select = "SELECT 1";
    for (more, fits) in [(0, true), (1, false)] {
        let huge = format!("{select}{}", " ".repeat(STATEMENT_BYTES_MAX - select.len() + more));
        match unit.query(&huge, &[]) {
            Ok(_) => assert!(fits),
            Err(StatementError::Limit { what: "bytes of a statement", .. }) => assert!(!fits),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(matches!(unit.query("SELECT zeroblob(9000000)", &[]), Err(StatementError::Limit { .. })));
    assert!(matches!(unit.query("SELECT CAST(x'FF' AS TEXT)", &[]), Err(StatementError::InvalidValue(_))));
    assert!(matches!(unit.query("SELECT ?1, ?2", &[Value::Null]), Err(StatementError::InvalidValue(_))));
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Real(0.5),
        Value::Text("é\0".into()),
        Value::Blob(vec![0, 255]),
    ];
    assert_eq!(unit.query("SELECT ?1, ?2, ?3, ?4, ?5", &values).unwrap().rows, [values.to_vec()]);
}

#[test]
fn event_size_has_a_limit() {
    let world = world();
    let mut unit = world.begin(None);
    for (more, fits) in [(0, true), (1, false)] {
        let data = format!("\"{}\"", "x".repeat(EVENT_DATA_BYTES_MAX - 2 + more));
        let event = NewEvent {
            id: "e",
            kind: "k",
            subject: &"s".into(),
            time: "now",
            trace_id: trace_id(1),
            data: &data,
        };
        match unit.append(&event) {
            Ok(_) => assert!(fits),
            Err(PublishError::Invalid(why)) => assert!(!fits && why.contains("at most"), "{why}"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// By default a unit of work has enough time; `end_at` shortens it.
#[test]
fn unit_of_work_ends_at_its_deadline() {
    let world = world();
    let lease = world.writer.acquire(soon()).unwrap();
    let mut unit = lease.begin().map_err(|(_, error)| error).unwrap();
    write(&mut *unit, "a");
    unit.end_at(Instant::now());
    let long = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT count(*) FROM n";
    assert_eq!(unit.query(long, &[]), Err(StatementError::Interrupted));
}
