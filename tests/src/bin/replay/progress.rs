//! How far the run is: bars on a terminal, a plain line now and then anywhere else.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Without a terminal a line is written each time this part of the work is done.
const PLAIN_LINES: usize = 5;

/// The bars of a run, one under the other.
pub(crate) struct Bars {
    bars: Option<MultiProgress>,
}

impl Bars {
    pub(crate) fn new() -> Bars {
        Bars { bars: std::io::stderr().is_terminal().then(MultiProgress::new) }
    }

    /// A new one, under the others.
    pub(crate) fn add(&self, what: &'static str, length: usize) -> Progress {
        let bar = self.bars.as_ref().map(|bars| {
            let style = ProgressStyle::with_template("{msg:10} {wide_bar} {pos}/{len} {per_sec} {eta}");
            let bar = ProgressBar::new(length.try_into().unwrap_or(u64::MAX)).with_message(what);
            bars.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
        });
        Progress { what, length, done: AtomicUsize::new(0), bar }
    }
}

/// The progress of one kind of thing.
pub(crate) struct Progress {
    what: &'static str,
    length: usize,
    done: AtomicUsize,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// One more is done.
    pub(crate) fn advance(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if done.is_multiple_of(self.length.div_ceil(PLAIN_LINES).max(1)) || done == self.length {
            // Progress that nobody can read must not end the run.
            let _ = writeln!(std::io::stderr(), "{}: {done} of {}", self.what, self.length);
        }
    }
}

impl Drop for Progress {
    /// Leaves the bar where it is.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}
