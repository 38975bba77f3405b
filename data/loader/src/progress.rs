//! How far a run is: a bar on a terminal, a plain line now and then anywhere else.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal a line is written each time this part of the work is done.
const PLAIN_LINES: usize = 5;

/// The progress of one kind of thing.
pub(crate) struct Progress {
    what: &'static str,
    length: usize,
    done: Cell<usize>,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(what: &'static str, length: usize) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(length.try_into().unwrap_or(u64::MAX)).with_message(what);
            let style = "{msg:10} {wide_bar} {pos}/{len} {per_sec} {eta}";
            bar.with_style(
                ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Progress { what, length, done: Cell::new(0), bar }
    }

    /// One more is done.
    pub(crate) fn advance(&self) {
        let done = self.done.get() + 1;
        self.done.set(done);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if done.is_multiple_of(self.length.div_ceil(PLAIN_LINES)) || done == self.length {
            // Progress that nobody can read must not end the run.
            let _ = writeln!(std::io::stderr(), "{}: {done} of {}", self.what, self.length);
        }
    }

    /// Leaves the bar where it is.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}
