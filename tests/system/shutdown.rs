//! SIGTERM: what was accepted is answered, then the host ends well; nothing that was answered is lost.

use std::sync::mpsc::channel;
use std::thread;

use bulkhead_tests::{Site, database};
use http::Method;
use serde_json::json;

const WRITERS: usize = 8;
/// So many writes are answered before the host is asked to stop.
const ANSWERED_BEFORE: usize = 100;

#[test]
fn every_accepted_request_is_answered_when_the_host_stops() {
    let site = Site::guests();
    let host = site.start();
    let (sender, answers) = channel();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mut client = host.client();
            let sender = sender.clone();
            thread::spawn(move || {
                for number in 0.. {
                    let id = format!("note-{writer}-{number}");
                    let body = json!({"id": id, "body": "x"}).to_string().into();
                    let headers = [("content-type", "application/json")];
                    match client.try_send(Method::POST, "/notes", &headers, body) {
                        Ok(answer) => sender.send((id, answer)).unwrap(),
                        // A new connection is refused, or a kept one was closed before it took the request.
                        Err(reason) => return (id, reason),
                    }
                }
                unreachable!("the writer ends with its connection")
            })
        })
        .collect();
    drop(sender);
    let mut answered: Vec<_> = answers.iter().take(ANSWERED_BEFORE).collect();
    host.terminate();
    answered.extend(answers);
    let unanswered: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    let finished = host.wait();
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);

    let connection = database::open(&site.database("hostile"));
    let stored = |id: &str| {
        database::number(
            &connection,
            &format!("SELECT count(*) FROM _bulkhead_outbox WHERE subject = '{id}'"),
        )
    };
    for (id, answer) in &answered {
        // While it drains, a host may also say that it is going; then it has done nothing.
        match answer.status {
            201 => assert_eq!(stored(id), 1, "{id} was answered 201"),
            _ => {
                answer.problem(503, "unavailable");
                assert_eq!(stored(id), 0, "{id} was answered 503");
            }
        }
    }
    for (id, reason) in &unanswered {
        assert_eq!(stored(id), 0, "{id} was accepted and written, and its client got: {reason}");
    }
}

#[test]
fn interrupt_signal_also_stops_the_host() {
    let host = Site::guests().start();
    host.client().get("/notes").expect(200);
    host.interrupt();
    assert_eq!(host.wait().status.code(), Some(0));
}

#[test]
fn idle_connection_does_not_delay_the_shutdown() {
    let site = Site::guests();
    let host = site.start();
    let mut idle = host.client();
    idle.get("/notes").expect(200);
    let silent = bulkhead_tests::raw::open(host.address());
    host.stop();
    drop(silent);
}
