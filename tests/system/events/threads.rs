//! A thread of the host that panics is restarted, what it was at is done once, and while one does not run the host is not ready.

use bulkhead_tests::{Admin, Site, admin::until};
use http::Method;
use serde_json::{Value, json};

use super::{Stage, happened, manifest};

/// A host of which threads panic as `at` says.
fn panicking(at: &str) -> Stage {
    let site = Site::new(&manifest());
    let host = site.start_to_panic(at);
    let (client, admin) = (host.client(), Admin::of(&site, &host));
    Stage { site, host, client, admin }
}

/// POST until it is taken, however often a worker panics at it; gives the ids.
fn post(stage: &mut Stage, path: &str, body: &Value) -> Vec<String> {
    loop {
        let headers = [("content-type", "application/json")];
        let answer = stage.client.send(Method::POST, path, &headers, body.to_string().into());
        if answer.status == 201 {
            return super::texts(answer.expect(201)["ids"].as_array().unwrap());
        }
        // Nothing was done then.
        answer.problem(503, "unavailable");
    }
}

/// Has every kind of thread do something until `thread` was restarted; then all that was asked for was done once.
fn restarts(at: &str) {
    let thread = at.split('@').next().unwrap();
    let mut stage = panicking(at);
    let (mut events, mut timers, mut n) = (Vec::new(), Vec::new(), 0);
    until(&format!("{at}: the thread is restarted"), || {
        // Each of a subject of its own: parked ones do not wait for one another.
        let subject = format!("a{n}");
        let failing = json!({"subject": subject, "n": n, "act": "fail-first", "at": "sink", "failures": 1});
        let event = json!({"type": "source.happened", "subject": subject, "data": failing});
        events.extend(post(&mut stage, "/source/events", &json!([event, happened("b", n)])));
        let data = json!({"subject": "t", "n": n});
        let timer = json!({"type": "source.rung", "subject": "t", "data": data, "in_ms": 0});
        timers.extend(post(&mut stage, "/source/timers", &json!([timer])));
        // A read whose worker panics is answered as well.
        let read = stage.client.get("/source/ready");
        assert!(matches!(read.status, 200 | 503), "{at}: {read}");
        n += 1;
        stage.admin.find_metric("bulkhead_threads_restarted_total", &format!("thread=\"{thread}\""))
    });
    until(&format!("{at}: the host is ready"), || {
        Some(()).filter(|()| stage.client.get("/readyz").status == 200)
    });
    let mut consumed = super::ids_of(&stage.consumed_when_quiet("sink"));
    consumed.sort();
    events.sort();
    assert_eq!(consumed, events, "{at}");
    let rung = until(&format!("{at}: all timers ring"), || {
        let rung = stage.client.get("/source/rung").expect(200);
        Some(rung["items"].as_array().unwrap().clone()).filter(|rung| rung.len() >= timers.len())
    });
    let mut rung = super::ids_of(&rung);
    rung.sort();
    timers.sort();
    assert_eq!(rung, timers, "{at}");
    let finished = stage.host.stop();
    assert!(finished.stderr.contains("BULKHEAD_PANIC_AT says"), "{at}: {}", finished.stderr);
}

#[test]
fn panic_of_a_worker_fails_only_the_current_request() {
    for at in ["source-write-0@turn", "source-read-0@turn"] {
        restarts(at);
    }
}

#[test]
fn subscription_worker_continues_after_a_panic_and_handles_the_current_event_once() {
    for at in ["source-sink@turn", "source-sink@write", "source-sink@write*3"] {
        restarts(at);
    }
}

#[test]
fn timer_or_retry_thread_continues_after_a_panic_and_handles_the_current_event_once() {
    for at in ["source-timers@turn", "source-timers@write*2", "sink-parked@turn", "sink-parked@write*2"] {
        restarts(at);
    }
}

#[test]
fn the_threads_of_the_host_itself_are_restarted_when_they_panic() {
    for at in ["checkpoints@turn", "ticker@turn", "log@turn"] {
        restarts(at);
    }
}

#[test]
fn host_is_not_ready_and_names_the_thread_while_it_is_down() {
    // Each time it panics before it has done anything, and so waits the longer to be restarted.
    let mut stage = panicking("checkpoints@turn*6");
    let down = "thread=\"checkpoints\"";
    until("the host is not ready", || {
        let answer = stage.client.get("/readyz");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        (answer.status == 503).then(|| assert_eq!(text, "checkpoints does not run\n"))
    });
    until("operators see it", || stage.admin.find_metric("bulkhead_threads_down", down));
    // It serves all the same, and says that it lives.
    assert_eq!(stage.client.get("/healthz").status, 200);
    stage.publish_one(happened("a", 0));
    until("the host is ready again", || {
        Some(()).filter(|()| {
            stage.client.get("/readyz").status == 200
                && stage.admin.find_metric("bulkhead_threads_restarted_total", down) == Some(6.0)
        })
    });
    assert_eq!(stage.admin.find_metric("bulkhead_threads_down", down), None);
    stage.stop();
}
