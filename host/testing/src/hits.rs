//! Records what the tests of a service reach: see `coverage.rs`.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the folder for the records of the tests' requests and events.
pub(crate) const FOLDER_VARIABLE: &str = "BULKHEAD_TESTING_HITS";

/// What one test reached, for all its services.
#[derive(Default)]
pub(crate) struct Hits(RefCell<String>);

impl Hits {
    pub(crate) fn request(&self, service: &str, (method, path): (&str, &str), status: u16, body: &[u8]) {
        let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let code = problem.get("code").and_then(serde_json::Value::as_str).unwrap_or_default();
        let code = if status < 400 { "" } else { code };
        self.line(format_args!("request\t{service}\t{method}\t{path}\t{status}\t{code}"));
    }

    pub(crate) fn event(&self, service: &str, kind: &str) {
        self.line(format_args!("event\t{service}\t{kind}"));
    }

    fn line(&self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.0.borrow_mut(), "{line}");
    }
}

impl Drop for Hits {
    fn drop(&mut self) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let Some(folder) = std::env::var_os(FOLDER_VARIABLE) else { return };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = PathBuf::from(folder).join(number.to_string());
        if let Err(error) = std::fs::write(&file, self.0.borrow().as_bytes()) {
            eprintln!("failed to write {}: {error}", file.display());
        }
    }
}
