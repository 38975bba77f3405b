//! Those who keep a host busy while versions change places, and which version it was that answered them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bulkhead_tests::Answer;
use serde_json::Value;

/// Requests that may stand in a queue. The host takes those that came in the rehearsal for as many as come in the pause, and refuses where they
/// have no room: it can't know that there are few clients, who wait for their answers.
pub(super) const ROOM: i64 = 100_000;

/// No answer within this time fails the test: a bound for a wait, not a measure.
const BOUND: Duration = Duration::from_secs(60);

/// Which version gave an answer: the service, and 12 digits of the component's hash.
#[track_caller]
pub(super) fn version_of(answer: &Answer) -> &str {
    answer.header("bulkhead-version").unwrap_or_else(|| panic!("no version: {answer}"))
}

/// The same of a version that the admin port tells of.
#[track_caller]
pub(super) fn label(service: &str, reported: &Value) -> String {
    format!("{service}@{}", reported["version"].as_str().unwrap_or_else(|| panic!("no version: {reported}")))
}

/// Does something once, and tells of it.
pub(super) type Work<T> = Box<dyn FnMut() -> T + Send>;

/// Those who do something again and again, each on a thread of their own, until they are told to stop.
pub(super) struct Load<T> {
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
    tells: Receiver<T>,
    reported: Vec<T>,
}

impl<T: Send + 'static> Load<T> {
    pub(super) fn start(works: Vec<Work<T>>) -> Load<T> {
        let (stop, (teller, tells)) = (Arc::new(AtomicBool::new(false)), channel());
        let worker = |mut work: Work<T>| {
            let (stop, teller) = (Arc::clone(&stop), teller.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    teller.send(work()).expect("somebody listens");
                }
            })
        };
        let workers = works.into_iter().map(worker).collect();
        Load { stop, workers, tells, reported: Vec::new() }
    }

    /// Waits until something was told of so many times more.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, count: usize, is_so: impl Fn(&T) -> bool) {
        for so_far in 0..count {
            loop {
                let reported = self.tells.recv_timeout(BOUND);
                self.reported.push(
                    reported.unwrap_or_else(|error| panic!("{so_far} of {count} times {what}, then {error}")),
                );
                if self.reported.last().is_some_and(&is_so) {
                    break;
                }
            }
        }
    }

    /// Lets all of them come to an end, and gives all that they told of. Nothing of what they did was amiss.
    #[track_caller]
    pub(super) fn end(mut self) -> Vec<T> {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.join().expect("all was as it should be");
        }
        self.reported.extend(self.tells.try_iter());
        self.reported
    }
}
