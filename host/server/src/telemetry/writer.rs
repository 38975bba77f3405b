//! Writes lines to a destination that may be slow, full or closed.
//!
//! This is our own code and not `tracing-appender`. That crate counts lines and not bytes, and does not count lines that can't be written.
//! If its queue does not empty at the end, it writes to standard error itself: there the process would block forever.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bulkhead_runtime::supervise;
use bulkhead_types::limits::{LOG_QUEUE_BYTES_MAX, LOG_QUEUE_LINES_MAX};

/// How long to wait if the destination accepts nothing now and does not block (`O_NONBLOCK`).
const PAUSE: Duration = Duration::from_millis(10);
/// How often dropped lines are reported, while more are being dropped.
const SAY_EVERY: Duration = Duration::from_secs(1);

thread_local! {
    /// This thread is the writer.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// The queue of lines, and the thread that writes them in their order.
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// A line arrived.
    filled: Condvar,
    /// All lines are written.
    emptied: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// A line was removed from the queue and is being written.
    writing: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_line(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Lines {
    /// Starts the thread that writes to `place`. If the system can't start a thread, every line is dropped and counted.
    pub(super) fn to(place: impl Write + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let writer =
            Writer { shared: Arc::clone(&shared), place, broken: false, reported: 0, reported_at: None };
        let run = |writer: &mut Writer<_>, progress: &supervise::Progress| writer.run(progress);
        let started =
            supervise::spawn("log".to_owned(), &Arc::default(), writer, run, |writer, _| writer.mend());
        if started.is_err() {
            shared.queue().bytes = LOG_QUEUE_BYTES_MAX;
        }
        Self(shared)
    }

    /// Appends a line, if there is room.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut queue = self.0.queue();
        let full = queue.lines.len() >= LOG_QUEUE_LINES_MAX || queue.bytes + line.len() > LOG_QUEUE_BYTES_MAX;
        // The writer's own lines report how many lines are missing. They are few, and must not be dropped themselves.
        if full && !IS_WRITER.get() {
            self.0.drop_line();
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line);
        drop(queue);
        self.0.filled.notify_one();
    }

    /// Waits until all lines are written, but not for longer than `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let unwritten = |queue: &mut Queue| queue.writing || !queue.lines.is_empty();
        // The result does not matter: there is nothing else to do.
        let _ = self.0.emptied.wait_timeout_while(self.0.queue(), patience, unwritten);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// A line. Dropping it puts it into the queue.
    pub(super) fn line(&self) -> Line<'_> {
        Line { lines: self, text: Vec::new() }
    }
}

/// A line that is being built.
pub(super) struct Line<'l> {
    lines: &'l Lines,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.lines.push(std::mem::take(&mut self.text));
        }
    }
}

/// The state of the thread.
struct Writer<W> {
    shared: Arc<Shared>,
    place: W,
    /// The last line was written in part. The next one starts on a new line.
    broken: bool,
    /// How many dropped lines were reported, and when.
    reported: u64,
    reported_at: Option<Instant>,
}

impl<W: Write> Writer<W> {
    /// Writes lines, forever.
    fn run(&mut self, progress: &supervise::Progress) {
        IS_WRITER.set(true);
        loop {
            let line = self.next();
            supervise::point("turn");
            let written = self.write(&line);
            if written {
                self.report_dropped();
            } else {
                self.shared.drop_line();
            }
            progress.made();
        }
    }

    /// The line that was being written when the thread panicked is dropped.
    fn mend(&mut self) {
        self.shared.drop_line();
        self.broken = true;
    }

    fn next(&self) -> Vec<u8> {
        let mut queue = self.shared.queue();
        queue.writing = false;
        loop {
            if let Some(line) = queue.lines.pop_front() {
                queue.bytes -= line.len();
                queue.writing = true;
                return line;
            }
            self.shared.emptied.notify_all();
            queue = self.shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes a line, however long that takes. False if it can't be written.
    fn write(&mut self, line: &[u8]) -> bool {
        if std::mem::take(&mut self.broken) && !self.write_all(b"\n") {
            self.broken = true;
            return false;
        }
        self.write_all(line)
    }

    fn write_all(&mut self, mut rest: &[u8]) -> bool {
        let mut begun = false;
        while !rest.is_empty() {
            match self.place.write(rest) {
                Ok(count @ 1..) => {
                    begun = true;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                Ok(_) | Err(_) => {
                    self.broken |= begun;
                    return false;
                }
            }
        }
        true
    }

    /// Reports how many lines are missing. It does so as soon as something can be written again: when the queue is empty, or at intervals.
    /// The report goes through the same queue. If it can't be written either, it counts as one more dropped line.
    fn report_dropped(&mut self) {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        let is_due = self.reported_at.is_none_or(|at| at.elapsed() >= SAY_EVERY);
        if dropped == self.reported || !(is_due || self.shared.queue().lines.is_empty()) {
            return;
        }
        let lines = dropped - self.reported;
        (self.reported, self.reported_at) = (dropped, Some(Instant::now()));
        tracing::warn!(
            lines,
            "log lines were dropped: standard error could not be written to, or not as fast"
        );
    }
}

#[cfg(test)]
mod tests;
