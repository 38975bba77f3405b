use std::io::{Error, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bulkhead_types::limits::{LOG_QUEUE_BYTES_MAX, LOG_QUEUE_LINES_MAX};

use super::Lines;

const LONG: Duration = Duration::from_secs(60);

/// What a destination does with the next write: accepts at most this number of bytes, or fails.
type Fate = Result<usize, Error>;

/// A destination that asks a test what to do with each write, and reports what was written.
struct ScriptedWriter {
    fates: Receiver<Fate>,
    written: Sender<Vec<u8>>,
}

impl Write for ScriptedWriter {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        let _ = self.written.send(Vec::new());
        let count = self.fates.recv().unwrap_or(Ok(usize::MAX))?.min(text.len());
        let _ = self.written.send(text[..count].to_vec());
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Stage {
    lines: Lines,
    fates: Sender<Fate>,
    written: Receiver<Vec<u8>>,
}

impl Stage {
    fn new() -> Self {
        let (fates, script) = channel();
        let (sender, written) = channel();
        Self { lines: Lines::to(ScriptedWriter { fates: script, written: sender }), fates, written }
    }

    /// Waits until the thread asks for the fate of its next write.
    fn until_asked(&self) {
        assert_eq!(self.written.recv_timeout(LONG).unwrap(), b"");
    }

    /// From now on every write is accepted. Returns all text that was written.
    fn text(self) -> String {
        drop(self.fates);
        self.lines.flush(LONG);
        drop(self.lines);
        let written: Vec<u8> = self.written.try_iter().flatten().collect();
        String::from_utf8(written).unwrap()
    }
}

#[test]
fn stalled_reader_blocks_nobody_and_dropped_lines_are_counted() {
    let stage = Stage::new();
    stage.lines.push(b"first\n".to_vec());
    stage.until_asked();
    for number in 0..LOG_QUEUE_LINES_MAX {
        stage.lines.push(format!("{number}\n").into_bytes());
    }
    assert_eq!(stage.lines.dropped(), 0);
    for _ in 0..10 {
        stage.lines.push(b"one too many\n".to_vec());
    }
    assert_eq!(stage.lines.dropped(), 10);
    stage.lines.flush(Duration::from_millis(1));
    let expected: String = (0..LOG_QUEUE_LINES_MAX).map(|number| format!("{number}\n")).collect();
    assert_eq!(stage.text(), format!("first\n{expected}"));
}

#[test]
fn log_queue_is_also_limited_in_bytes() {
    let stage = Stage::new();
    stage.lines.push(b"first\n".to_vec());
    stage.until_asked();
    let long = vec![b'x'; LOG_QUEUE_BYTES_MAX / 4];
    for _ in 0..6 {
        stage.lines.push(long.clone());
    }
    assert_eq!(stage.lines.dropped(), 2);
    assert_eq!(stage.text().len(), "first\n".len() + LOG_QUEUE_BYTES_MAX);
}

#[test]
fn line_that_cannot_be_written_is_counted_and_later_lines_are_written() {
    let stage = Stage::new();
    for fate in [Ok(3), Ok(99), Err(Error::other("full")), Ok(2), Err(Error::other("full"))] {
        stage.fates.send(fate).unwrap();
    }
    for line in ["first\n", "lost\n", "half\n", "last\n"] {
        stage.lines.push(line.into());
    }
    let lines = &stage.lines;
    lines.flush(Duration::ZERO);
    // The next line does not continue a line that was cut in the middle.
    let Stage { lines, fates, written } = stage;
    drop(fates);
    lines.flush(LONG);
    assert_eq!(lines.dropped(), 2);
    let text: Vec<u8> = written.try_iter().flatten().collect();
    assert_eq!(String::from_utf8(text).unwrap(), "first\nha\nlast\n");
}
