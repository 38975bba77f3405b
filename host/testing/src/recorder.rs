//! Records what a service does in one request or delivery, to show it when a test fails. It also injects the faults.

use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_runtime::{DatabaseCall, FaultInjector, Observation, Observer};
use bulkhead_store::{CommitFault, CommitFaults, StatementError, Value};
use bulkhead_types::ServiceName;
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use crate::fault::Fault;

/// Bytes of a value that are shown.
const SHOWN_BYTES: usize = 200;
/// The number of database calls in one request, delivery or move of the clock after which they seem endless.
const CALLS_MAX: u32 = 1_000_000;
/// More commits than the host tries for one request.
const COMMITS: usize = 4;

/// A call from one service to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) caller: String,
    pub(crate) callee: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// A recorded line.
struct Line {
    /// It belongs to the last line above it that is not indented.
    indented: bool,
    text: String,
}

#[derive(Default)]
struct State {
    /// The recorded lines.
    lines: Vec<Line>,
    database_calls: u32,
    calls: u32,
    fault: Option<Fault>,
    /// The fault occurred.
    met: bool,
    /// An error of the test itself. It is reported when the call has ended.
    mistake: Option<String>,
    called: Vec<Called>,
}

/// Records what services do. Clones share the same record.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<State>>);

impl Recorder {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A subscriber that also records log lines: those of the guests, and the host's lines about them.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(self.clone())
            .without_time()
            .with_ansi(false)
            .finish();
        Dispatch::new(subscriber)
    }

    /// Clears the record.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.lines.clear();
        (state.database_calls, state.calls) = (0, 0);
    }

    /// Starts a request or a delivery, with the fault that occurs in it.
    pub(crate) fn begin(&self, what: String, fault: Option<Fault>, commits: &CommitFaults) {
        let mut state = self.state();
        state.lines.push(Line { indented: false, text: what });
        state.met = false;
        state.fault = fault;
        state.mistake = None;
        commits.clear();
        let (times, how) = match fault {
            Some(Fault::Commit) => (COMMITS, CommitFault::BeforeDurable),
            Some(Fault::CommitOnce) => (1, CommitFault::BeforeDurable),
            Some(Fault::CommitUnknown) => (1, CommitFault::Unknown),
            _ => (0, CommitFault::BeforeDurable),
        };
        (0..times).for_each(|_| commits.plan(how));
    }

    /// Ends the request or the delivery. Returns the error of the test, if there is one.
    pub(crate) fn end(&self, commits: &CommitFaults) -> Result<(), String> {
        let left = commits.clear();
        let mut state = self.state();
        if let Some(mistake) = state.mistake.take() {
            return Err(mistake);
        }
        let Some(fault) = state.fault.take() else { return Ok(()) };
        let came_about = match fault {
            Fault::Commit => left < COMMITS,
            Fault::CommitOnce | Fault::CommitUnknown => left < 1,
            _ => state.met,
        };
        if came_about {
            return Ok(());
        }
        let (database, calls) = (state.database_calls, state.calls);
        Err(format!(
            "{fault:?} did not come about: the handler made {database} database calls and {calls} calls to other services"
        ))
    }

    pub(crate) fn line(&self, text: String) {
        self.state().lines.push(Line { indented: true, text });
    }

    /// Notes an error of the test itself.
    pub(crate) fn mistake(&self, mistake: String) {
        self.state().mistake.get_or_insert(mistake);
    }

    /// How many database calls the handlers of all services made since the last clear, including handlers that ran again.
    pub(crate) fn database_calls(&self) -> u32 {
        self.state().database_calls
    }

    /// The calls between services since the last time this was called.
    pub(crate) fn take_called(&self, caller: &str) -> Vec<Called> {
        let mut state = self.state();
        let (taken, left) =
            std::mem::take(&mut state.called).into_iter().partition(|called| called.caller == caller);
        state.called = left;
        taken
    }

    /// Everything that was recorded since the last clear.
    pub(crate) fn reported(&self) -> String {
        let state = self.state();
        let mut reported = String::new();
        for Line { indented, text } in &state.lines {
            let indent = if *indented { "    " } else { "" };
            let _ = writeln!(reported, "{indent}{}", text.replace('\n', "\n      "));
        }
        reported
    }
}

impl FaultInjector for Recorder {
    fn fail_database(&self, _service: &ServiceName, _call: &DatabaseCall<'_>) -> Option<StatementError> {
        let mut state = self.state();
        state.database_calls += 1;
        if state.database_calls >= CALLS_MAX {
            // The test fails with this error later. Until then each database call fails, so that the work ends.
            let mistake = format!(
                "after {CALLS_MAX} database calls of handlers there are still more: does a timer set itself again at once?"
            );
            state.mistake.get_or_insert(mistake);
            return Some(StatementError::Other("the test has gone on for too long".into()));
        }
        let at = |n: u32, error| (n == state.database_calls).then_some(error);
        let error = match state.fault? {
            Fault::Statement(n) => at(n, StatementError::Other("disk I/O error (made by the test)".into())),
            Fault::StorageFull(n) => at(n, StatementError::StorageFull),
            Fault::StatementBusy(n) => at(n, StatementError::Busy),
            _ => None,
        };
        state.met |= error.is_some();
        error
    }

    fn fail_call(&self, _service: &ServiceName, _callee: &ServiceName) -> Option<String> {
        let mut state = self.state();
        state.calls += 1;
        let fails = matches!(state.fault, Some(Fault::Call(n)) if n == state.calls);
        state.met |= fails;
        fails.then(|| "it does not answer (made by the test)".to_owned())
    }

    fn may_grow(&self, _service: &ServiceName) -> bool {
        let mut state = self.state();
        let refused = state.fault == Some(Fault::Memory);
        state.met |= refused;
        !refused
    }
}

impl Observer for Recorder {
    fn observe(&self, service: &ServiceName, observation: &Observation<'_>) {
        match *observation {
            Observation::DatabaseCalled { call, result } => self.database_called(service, call, result),
            Observation::ServiceCalled { callee, method, path, result } => {
                self.service_called(service, callee, (method, path), result);
            }
            _ => {}
        }
    }
}

impl Recorder {
    fn database_called(&self, service: &str, call: &DatabaseCall<'_>, result: Result<u64, &dyn Display>) {
        let what = match call {
            DatabaseCall::Statement { function, sql, parameters } => {
                let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
                let values = parameters.iter().map(shown).collect::<Vec<_>>().join(", ");
                format!("{function} {sql} [{values}]")
            }
            DatabaseCall::Publish { kind, subject, data } => format!("publish {kind} {subject} {data}"),
            DatabaseCall::Schedule { kind, subject, data, due } => {
                format!("schedule {kind} {subject} {data} at {due}")
            }
            DatabaseCall::Cancel { id } => format!("cancel {id}"),
            DatabaseCall::CancelAll { kind, subject } => format!("cancel all {kind} {subject}"),
            DatabaseCall::Erase { subject } => format!("erase {subject}"),
            DatabaseCall::About { subject } => format!("about {subject}"),
            DatabaseCall::ForgetAnswers { subject } => format!("forget the answers about {subject}"),
        };
        let came = match (call, result) {
            (_, Err(error)) => format!(" → failed: {error}"),
            (
                DatabaseCall::Publish { .. } | DatabaseCall::Schedule { .. } | DatabaseCall::About { .. },
                _,
            ) => String::new(),
            (_, Ok(1)) => " → 1 row".to_owned(),
            (_, Ok(rows)) => format!(" → {rows} rows"),
        };
        self.line(format!("{service}: {what}{came}"));
    }

    fn service_called(
        &self,
        service: &str,
        callee: &str,
        (method, path): (&str, &str),
        result: Result<u16, &dyn Display>,
    ) {
        let came = match result {
            Ok(status) => status.to_string(),
            Err(error) => format!("failed: {error}"),
        };
        self.line(format!("{service}: call {callee} {method} {path} → {came}"));
        self.state().called.push(Called {
            caller: service.to_owned(),
            callee: callee.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
        });
    }
}

/// A log line.
impl std::io::Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line(format!("log: {}", String::from_utf8_lossy(bytes).trim()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Recorder {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// A value in the form that a test's reader sees.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => value.to_string(),
        Value::Text(text) => {
            let cut = text.get(..text.floor_char_boundary(SHOWN_BYTES)).unwrap_or_default();
            format!("{cut:?}{}", if cut.len() < text.len() { "…" } else { "" })
        }
        Value::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
