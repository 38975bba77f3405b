//! Standard error may be full, gone, or read by nobody: no request, no event and no thread waits for it or fails with it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;

use bulkhead_tests::{Admin, Host, Site, admin::until};
use serde_json::{Value, json};

use super::{Stage, failing_first, happened, manifest};

/// Events in one unit of work.
const EVENTS: u64 = 500;
/// Two consumers log a line for each event: more lines than the host keeps for a reader that stands still.
const ROUNDS: u64 = 20;

fn stage(start: impl FnOnce(&Site) -> Host) -> Stage {
    let site = Site::new(&manifest());
    let host = start(&site);
    let (client, admin) = (host.client(), Admin::of(&site, &host));
    Stage { site, host, client, admin }
}

fn dropped(stage: &mut Stage) -> f64 {
    stage.admin.metric("bulkhead_log_lines_dropped_total", "")
}

/// Does what logs: handlers, subscription workers, parked events, timers.
fn work(stage: &mut Stage) {
    stage.publish(&[failing_first("a", 0, "fail-first", 2)]);
    for round in 0..ROUNDS {
        let events: Vec<Value> = (0..EVENTS).map(|n| happened("b", EVENTS * round + n)).collect();
        stage.publish(&events);
    }
    let failing = json!({"subject": "t", "n": 0, "failures": 1});
    let timer = json!({"type": "source.rung", "subject": "t", "data": failing, "in_ms": 0});
    stage.client.post("/source/timers", &json!([timer])).expect(201);
    until("the timer rings", || {
        let rung = stage.client.get("/source/rung").expect(200);
        Some(()).filter(|()| rung["items"].as_array().unwrap().len() == 1)
    });
    for consumer in ["sink", "witness"] {
        let consumed = stage.consumed_when_quiet(consumer);
        assert_eq!(consumed.len() as u64, EVENTS * ROUNDS + 1, "{consumer}");
    }
    assert_eq!(stage.client.get("/readyz").status, 200);
}

#[test]
fn full_or_closed_log_output_fails_no_request_and_is_counted() {
    let full = || -> Stdio { std::fs::File::options().write(true).open("/dev/full").unwrap().into() };
    let gone = || -> Stdio { std::io::pipe().unwrap().1.into() };
    for (what, stderr) in [("full", full()), ("gone", gone())] {
        let mut stage = stage(|site| site.start_saying_to(&[], stderr));
        work(&mut stage);
        assert!(dropped(&mut stage) > (EVENTS * ROUNDS) as f64, "{what}");
        assert_eq!(
            stage.admin.find_metric("bulkhead_threads_restarted_total", "thread=\"log\""),
            None,
            "{what}"
        );
        stage.stop();
    }
}

#[test]
fn unread_log_output_blocks_nothing_and_later_reports_the_number_of_missing_lines() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut stage = stage(|site| site.start_saying_to(&["--log-format", "json"], writer));
    work(&mut stage);
    let missing = dropped(&mut stage);
    assert!(missing > 0.0);
    let (tell, received) = channel();
    let reading = thread::spawn(move || {
        let mut lines = Vec::new();
        for line in BufReader::new(reader).lines() {
            // What was dropped was dropped whole: each line is a document.
            let line = line.unwrap();
            let read: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if read["message"].as_str().unwrap_or_default().starts_with("log lines were dropped") {
                tell.send(read["lines"].as_f64().unwrap()).unwrap();
            }
            lines.push(read);
        }
        lines
    });
    let mut found = 0.0;
    while found < missing {
        found +=
            received.recv_timeout(std::time::Duration::from_secs(60)).expect("the host says what is missing");
    }
    // What comes now is written again.
    stage.publish(&[happened("c", 0)]);
    stage.all_consumed("sink");
    stage.stop();
    let lines = reading.join().unwrap();
    assert_eq!(lines.last().unwrap()["message"], "stopped");
    let times: Vec<&str> = lines.iter().map(|line| line["timestamp"].as_str().unwrap()).collect();
    assert!(
        times.windows(2).filter(|pair| pair[0] > pair[1]).count() * 100 < times.len(),
        "the lines lost their order"
    );
}

#[test]
fn host_with_unread_log_output_stops_on_request() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut stage = stage(|site| site.start_saying_to(&[], writer));
    stage.publish(&(0..EVENTS).map(|n| happened("b", n)).collect::<Vec<_>>());
    stage.all_consumed("sink");
    stage.stop();
}
