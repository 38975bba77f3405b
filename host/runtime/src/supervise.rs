//! Threads that must run. A thread that panics is restarted, and while a thread does not run, the host is not ready.
//!
//! A panic of the host's own code is a bug, and must not silently cost a service a thread. Invariant: every thread that must run for as
//! long as the host or one of its services is started by [`spawn`] (a test, `tidy`, finds every other way). So its panic is in a log line
//! and in `/metrics`, and the thread runs again. It restarts at once if it did something since it was started. Otherwise it restarts after
//! a wait that doubles, and during the wait [`down`] names it and `/readyz` answers 503. What the thread held is dropped with the panic:
//! its lease rolls an open batch back, and replies that are dropped tell their clients that nothing was done.
//!
//! Left out on purpose: threads that hang. Deadlines end guests, and every wait of the host itself has a bound.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bulkhead_types::limits::{RESTART_FIRST, RESTART_MAX};

/// How often a thread that waits to be restarted checks whether it must end.
const LOOK: Duration = Duration::from_millis(20);

/// Whether a thread has done something since it was started. If so, it is not the start itself that makes it panic.
#[derive(Debug, Default)]
pub struct Progress(Cell<bool>);

impl Progress {
    /// It has.
    pub fn made(&self) {
        self.0.set(true);
    }

    pub(crate) fn is_made(&self) -> bool {
        self.0.get()
    }
}

/// What is known of all threads of this process, by their names.
#[derive(Default)]
struct Threads {
    /// Those that must run and do not: how many of that name.
    down: BTreeMap<String, usize>,
    /// How often each was restarted.
    restarts: BTreeMap<String, u64>,
}

/// Threads belong to the process, whatever runs on them.
static THREADS: Mutex<Threads> = Mutex::new(Threads { down: BTreeMap::new(), restarts: BTreeMap::new() });

fn threads() -> MutexGuard<'static, Threads> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The threads and tasks that must run and do not.
#[must_use]
pub fn down() -> Vec<String> {
    threads().down.keys().cloned().collect()
}

/// How often each thread was restarted since the process started. Threads that were never restarted are not in it.
#[must_use]
pub fn restarts() -> BTreeMap<String, u64> {
    threads().restarts.clone()
}

/// Something that must run does not run, until the returned value is dropped.
#[must_use]
pub struct Down(String);

impl Down {
    /// Makes the host not ready because of `name`.
    pub fn note(name: &str) -> Self {
        *threads().down.entry(name.to_owned()).or_default() += 1;
        Self(name.to_owned())
    }

    /// It never runs again.
    pub fn for_good(self) {
        std::mem::forget(self);
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        let mut threads = threads();
        if let Some(count) = threads.down.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                threads.down.remove(&self.0);
            }
        }
    }
}

/// Starts a thread that runs until it returns, and is restarted when it panics. After each panic `mend` is called before anything else,
/// with what the panic said: it lets go of what the thread held. Once `stop` is set, the thread is restarted only while it makes progress,
/// so that what it has been given is done.
///
/// # Errors
///
/// When the system gives no thread.
pub fn spawn<S: Send + 'static>(
    name: String,
    stop: &Arc<AtomicBool>,
    mut state: S,
    run: impl Fn(&mut S, &Progress) + Send + 'static,
    mend: impl Fn(&mut S, &str) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let stop = Arc::clone(stop);
    thread::Builder::new().name(name.clone()).spawn(move || {
        let (progress, mut wait) = (Progress::default(), Duration::ZERO);
        loop {
            progress.0.set(false);
            let stopping = stop.load(Ordering::Acquire);
            let Some(why) = caught(|| run(&mut state, &progress)) else { return };
            // Only its own drops can panic in there, and what they drop is gone anyway.
            let _ = caught(|| mend(&mut state, &why));
            if stopping && !progress.is_made() {
                tracing::error!(thread = name, why, "a thread panicked, and is to end");
                return;
            }
            wait = if progress.is_made() { Duration::ZERO } else { longer(wait) };
            tracing::error!(
                thread = name,
                why,
                wait_ms = wait.as_millis(),
                "a thread panicked and is restarted"
            );
            if !wait.is_zero() {
                let _down = Down::note(&name);
                let until = Instant::now() + wait;
                while !stop.load(Ordering::Acquire) && Instant::now() < until {
                    thread::sleep(LOOK);
                }
            }
            *threads().restarts.entry(name.clone()).or_default() += 1;
        }
    })
}

/// The wait before a restart, after a restart that waited this long.
fn longer(wait: Duration) -> Duration {
    (wait * 2).clamp(RESTART_FIRST, RESTART_MAX)
}

/// Starts a thread that does one thing and ends. It does not run again if it panics, because nobody knows how far it came. From then on the
/// host is not ready.
///
/// # Errors
///
/// When the system gives no thread.
pub fn spawn_once(name: String, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.clone()).spawn(move || {
        let run = || {
            point("turn");
            run();
        };
        if let Some(why) = caught(run) {
            tracing::error!(thread = name, why, "a thread panicked: restart the host");
            Down::note(&name).for_good();
        }
    })
}

/// Does `run`, and returns what its panic says if it panics.
pub fn caught(run: impl FnOnce()) -> Option<String> {
    panic::catch_unwind(AssertUnwindSafe(run)).err().map(|payload| message(&*payload).to_owned())
}

/// What a panic says about itself.
#[must_use]
pub fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("it gave no reason")
}

/// Where a test makes a thread panic: `BULKHEAD_PANIC_AT=THREAD@POINT*TIMES`, and more of them after commas.
struct Planned {
    thread: String,
    point: String,
    times: AtomicU32,
}

const VARIABLE: &str = "BULKHEAD_PANIC_AT";

static PLAN: LazyLock<Vec<Planned>> = LazyLock::new(|| {
    let planned = |text: &str| {
        let (thread, rest) = text.split_once('@')?;
        let (point, times) = rest.split_once('*').unwrap_or((rest, "1"));
        let times = AtomicU32::new(times.parse().ok()?);
        Some(Planned { thread: thread.to_owned(), point: point.to_owned(), times })
    };
    std::env::var(VARIABLE).unwrap_or_default().split(',').filter_map(planned).collect()
});

/// Panics here if a test asked for it: for tests of what becomes of a thread that panics. Without the variable each point costs one look at
/// a value that never changes.
#[expect(clippy::panic, reason = "that is what it is for")]
pub fn point(name: &str) {
    if PLAN.is_empty() {
        return;
    }
    let thread = thread::current();
    let here = |planned: &&Planned| planned.point == name && Some(planned.thread.as_str()) == thread.name();
    for planned in PLAN.iter().filter(here) {
        let less =
            planned.times.fetch_update(Ordering::AcqRel, Ordering::Acquire, |times| times.checked_sub(1));
        if less.is_ok() {
            panic!("as {VARIABLE} says");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    const NEVER: fn() -> Arc<AtomicBool> = Arc::default;

    /// Runs a thread that panics `panics` times, each time after it `made` progress or not. Returns how many starts and mends there were.
    fn run(name: &str, panics: usize, made: bool) -> (usize, Vec<String>) {
        let (sender, received) = channel();
        let (mends, mended) = channel();
        let state = (0, sender);
        let run = move |(starts, sender): &mut (usize, Sender<Vec<String>>), progress: &Progress| {
            *starts += 1;
            sender.send(down()).unwrap();
            if made {
                progress.made();
            }
            assert!(*starts > panics, "panic number {starts}");
        };
        let mend = move |_: &mut _, why: &str| mends.send(why.to_owned()).unwrap();
        spawn(name.to_owned(), &NEVER(), state, run, mend).unwrap().join().unwrap();
        (received.iter().count(), mended.iter().collect())
    }

    #[test]
    fn thread_makes_progress_when_it_reports_it() {
        let progress = Progress::default();
        assert!(!progress.is_made());
        progress.made();
        assert!(progress.is_made());
    }

    /// The variable is read once in a process, so this test runs itself in another one.
    #[test]
    fn thread_panics_at_the_point_and_as_often_as_the_variable_says() {
        if std::env::var_os(VARIABLE).is_some() {
            let panics = |thread: &str, name: &'static str| {
                let thread = thread::Builder::new().name(thread.to_owned());
                thread.spawn(move || point(name)).unwrap().join().is_err()
            };
            assert!(!panics("other", "turn") && !panics("here", "other"));
            assert_eq!(
                [panics("here", "turn"), panics("here", "turn"), panics("here", "turn")],
                [true, true, false]
            );
            return;
        }
        let this = "supervise::tests::thread_panics_at_the_point_and_as_often_as_the_variable_says";
        let again = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this])
            .env(VARIABLE, "here@turn*2")
            .output()
            .unwrap();
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
        assert!(String::from_utf8_lossy(&again.stdout).contains("1 passed"));
    }

    #[test]
    fn each_restart_waits_longer_up_to_a_maximum() {
        let mut wait = Duration::ZERO;
        for expected in [RESTART_FIRST, RESTART_FIRST * 2, RESTART_FIRST * 4] {
            wait = longer(wait);
            assert_eq!(wait, expected);
        }
        assert_eq!(longer(RESTART_MAX), RESTART_MAX);
        assert!(RESTART_FIRST * 4 <= RESTART_MAX);
    }

    #[test]
    fn panicked_thread_is_repaired_and_restarted() {
        for made in [true, false] {
            let name = format!("restarted-{made}");
            let (starts, whys) = run(&name, 2, made);
            assert_eq!((starts, whys), (3, vec!["panic number 1".to_owned(), "panic number 2".to_owned()]));
            assert_eq!(restarts().get(&name), Some(&2));
            assert!(!down().contains(&name));
        }
    }

    #[test]
    fn thread_that_waits_for_its_restart_is_down_and_stops_waiting_on_request() {
        let stop = NEVER();
        let name = "down".to_owned();
        let (sender, received) = channel();
        let run = move |sender: &mut Sender<()>, _: &Progress| {
            sender.send(()).unwrap();
            panic!("always")
        };
        let thread = spawn(name.clone(), &stop, sender, run, |_, _| {}).unwrap();
        for _ in 0..3 {
            received.recv().unwrap();
        }
        while !down().contains(&name) {
            thread::yield_now();
        }
        stop.store(true, Ordering::Release);
        thread.join().unwrap();
        assert!(!down().contains(&name));
    }

    #[test]
    fn two_threads_of_one_name_must_both_run() {
        let [one, other] = [Down::note("twice"), Down::note("twice")];
        drop(one);
        assert!(down().contains(&"twice".to_owned()));
        drop(other);
        assert!(!down().contains(&"twice".to_owned()));
    }

    #[test]
    fn one_time_task_that_panics_is_down_permanently() {
        spawn_once("once".to_owned(), || panic!("no")).unwrap().join().unwrap();
        assert!(down().contains(&"once".to_owned()));
        spawn_once("well".to_owned(), || {}).unwrap().join().unwrap();
        assert!(!down().contains(&"well".to_owned()));
    }
}
