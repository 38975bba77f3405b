//! Every limit of the host, with what happens when it is reached. An application sets some of them in its manifest. Here are their
//! defaults.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Linear memory of one instance. Beyond it `memory.grow` fails, and most guests then trap.
pub const MEMORY_DEFAULT: u64 = 64 * MIB as u64;
/// The maximum that a manifest may give an instance. Each slot of the pool reserves this much address space.
pub const MEMORY_MAX: u64 = 256 * MIB as u64;
/// Time from the last byte of a request to its answer, calls to other services included. Then: 504.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
/// Time that a handler may hold its service's writer lease. Then the handler is ended, its unit of work is rolled back, and the answer is
/// 504.
pub const LEASE_HOLD_DEFAULT: Duration = Duration::from_millis(100);
/// Requests that wait in each of a service's three queues: for reads, for long computations, and for the rest. Then: 503 with
/// `Retry-After`.
pub const QUEUE_DEFAULT: usize = 1024;
/// Bytes of a request's body. Then: 413.
pub const BODY_DEFAULT: usize = MIB;
/// Bytes of a service's database, its WAL and indexes included. Then writes fail with `storage-full`: 507.
pub const STORAGE_DEFAULT: u64 = 1024 * MIB as u64;
/// Threads of a service that answer GET, HEAD and OPTIONS.
pub const READ_WORKERS_DEFAULT: usize = 2;
/// Threads of a service that answer everything else. They take turns at the writer lease. So more threads help only handlers that call or
/// compute before they write. Loading the shop's catalogue, 2 threads took 1.0 times as long as 1 (and 1.2 times while a waiting thread was
/// given the lease within a batch). Two, so that one handler that computes does not block all writes.
pub const WRITE_WORKERS_DEFAULT: usize = 2;
/// Threads of a service that run long computations. They exist even if no version of the service has such handlers.
pub const COMPUTE_WORKERS_DEFAULT: usize = 2;
/// The `nice` value of those threads (0 is normal priority, 19 the lowest).
pub const COMPUTE_NICE: i32 = 10;
/// The maximum number of threads of one kind.
pub const WORKERS_MAX: usize = 64;

/// Bytes of all headers of a request. Then: 431.
pub const HEADERS_MAX: usize = 64 * KIB;
/// Headers of a request. Then: 431.
pub const HEADER_LINES_MAX: usize = 100;
/// Bytes of a request's method in a log line. Then: cut.
pub const METHOD_SHOWN_BYTES_MAX: usize = 32;
/// Bytes of a request's path. Then: 414.
pub const PATH_MAX: usize = 8 * KIB;
/// Time for a client to send its headers. Then the connection is closed.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a client to send its body. Then: 408.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a body over its limit that are still read and discarded, so that the client can read the 413.
pub const BODY_DISCARD_MAX: usize = 64 * MIB;
/// After an answer that ended a connection early, the time for which the connection is still read, so that a client that is still sending
/// can read the answer.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that are read in that time. Then the connection is closed.
pub const LINGER_BYTES_MAX: usize = MIB;
/// Connections at a time. Then new ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 4096;
/// Time to answer the open requests when the host gets a stop signal. Then it stops all the same.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Handlers in one batch: one COMMIT makes all of them durable.
pub const BATCH_MEMBERS_MAX: usize = 256;
/// Time that a batch stays open for further handlers. With 64 connections that create products, 4 ms gives 1.35 times the rate of 2 ms, and
/// 8 ms gives no more (docs/performance.md).
pub const BATCH_AGE_MAX: Duration = Duration::from_millis(4);
/// Number of aborted batches, within `BATCH_ABORT_WINDOW` units of work, after which a service runs unbatched for a while.
pub const BATCH_ABORTS_MAX: u32 = 3;
/// Number of units of work over which aborted batches are counted. A service then also runs unbatched for this number.
pub const BATCH_ABORT_WINDOW: u32 = 256;

/// Headers of a service's answer. Then its handler has failed: 500.
pub const RESPONSE_HEADERS_MAX: usize = 128;
/// Time beyond a request's deadline that its client waits for a COMMIT, or for others to be run again. Then: 503 `outcome-unknown`.
pub const ANSWER_GRACE: Duration = Duration::from_secs(30);
/// The maximum of any duration in a manifest.
pub const DURATION_MAX: Duration = Duration::from_secs(3600);

/// Rows of a result. Then: `limit-exceeded`.
pub const RESULT_ROWS_MAX: usize = 10_000;
/// Bytes of the values of a result. Then: `limit-exceeded`.
pub const RESULT_BYTES_MAX: usize = 8 * MIB;
/// Bytes of a statement. Then: `limit-exceeded`.
pub const STATEMENT_BYTES_MAX: usize = 100_000;
/// Bytes of one value or row, as the database counts them. Then: `limit-exceeded`.
pub const VALUE_BYTES_MAX: usize = 8 * MIB;
/// Statements that a connection keeps prepared.
pub const STATEMENTS_CACHED: usize = 128;
/// Bytes of an event's type, and of its subject. Then: `invalid`. For a subject of an answer: `invalid-value`.
pub const EVENT_NAME_BYTES_MAX: usize = 255;
/// Bytes of an event's data. Then: `invalid`.
pub const EVENT_DATA_BYTES_MAX: usize = 256 * KIB;

/// The size of the WAL in bytes at which a background checkpoint starts.
pub const WAL_CHECKPOINT_BYTES: u64 = 4 * MIB as u64;
/// The size of the WAL in bytes beyond which new snapshots wait until a checkpoint could truncate it.
pub const WAL_BYTES_MAX: u64 = 64 * MIB as u64;

/// Uses after which an instance is replaced, so that a guest's leaks do not add up forever.
pub const INSTANCE_USES_MAX: u32 = 10_000;
/// Bytes by which an instance's memory may have grown since its first use before it is replaced.
pub const INSTANCE_GROWTH_MAX: usize = 4 * MIB;
/// Bytes of a guest's stack on the host's side. Then it traps.
pub const WASM_STACK_MAX: usize = 512 * KIB;
/// Bytes that a guest may pass to the host in one call. Then it traps.
pub const HOST_CALL_BYTES_MAX: usize = 16 * MIB;
/// Bytes of random data in one call. Then the guest traps.
pub const RANDOM_BYTES_MAX: u64 = 64 * KIB as u64;
/// Bytes of a log line. A longer line is cut.
pub const LOG_LINE_BYTES_MAX: usize = 8 * KIB;
/// Log lines of one handler. The rest is counted and dropped.
pub const LOG_LINES_MAX: u32 = 100;
/// Bytes of a guest's panic message. A longer message is cut.
pub const PANIC_MESSAGE_BYTES_MAX: usize = KIB;
/// Bytes of the source location in a guest's panic. A longer location is cut.
pub const PANIC_PLACE_BYTES_MAX: usize = 256;
/// Bytes of a statement, and of its error, in a log line or a dead letter. A longer text is cut.
pub const STATEMENT_LOGGED_BYTES_MAX: usize = 512;
/// Bytes of log lines that wait to be written to standard error. More lines are dropped and counted.
pub const LOG_QUEUE_BYTES_MAX: usize = 4 * MIB;
/// Log lines that wait to be written. More lines are dropped and counted.
pub const LOG_QUEUE_LINES_MAX: usize = 16 * 1024;
/// Time that the process waits at its end until its log lines are written. Then they are lost.
pub const LOG_FLUSH_MAX: Duration = Duration::from_secs(1);
/// Time that a panicking thread waits for its log lines, in case the process ends with it.
pub const LOG_PANIC_FLUSH_MAX: Duration = Duration::from_millis(200);

/// The wait before a thread is restarted that panicked twice without progress in between. It doubles with each further panic. While a
/// thread waits to be restarted, the host is not ready.
pub const RESTART_FIRST: Duration = Duration::from_millis(100);
/// The longest wait before a thread is restarted.
pub const RESTART_MAX: Duration = Duration::from_secs(10);
/// How often running guests are checked for the end of their time.
pub const EPOCH_TICK: Duration = Duration::from_millis(1);

/// Bytes of a token. Then: 401.
pub const TOKEN_BYTES_MAX: usize = 8 * KIB;
/// The allowed difference between the clocks of token issuers and of this host.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(10);
/// The maximum remaining lifetime of a token. Then: 401. A revoked subject is remembered for this time.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// Tokens that are remembered as valid. Others are checked again: the signature takes some 50 µs.
pub const TOKENS_CACHED: usize = 4096;
/// Time between two fetches of the key set. A token that names an unknown key waits for the next fetch.
pub const KEYS_FETCH_INTERVAL: Duration = Duration::from_secs(1);
/// Age at which the key set is fetched again. For this time the host still accepts a key that its service has withdrawn.
pub const KEYS_AGE_MAX: Duration = Duration::from_secs(60);
/// Time that a request waits for a key set. Then: 503.
pub const KEYS_WAIT_MAX: Duration = Duration::from_secs(5);

/// Bytes beyond a service's quota for the host's own rows of events, so that an event can be parked when the guest has no room.
pub const HOST_RESERVE_BYTES: u64 = 16 * MIB as u64;
/// Parked events and dead letters in one list.
pub const PARKED_LISTED_MAX: usize = 1000;
/// Pending timers of a service. Then: `invalid`.
pub const TIMERS_MAX: i64 = 1_000_000;
/// Time for which the answer to a request with an idempotency key is kept.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Bytes of an idempotency key. Then: 400.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Bytes of an answer that can be kept for an idempotency key. If a handler answers more, it has failed: 500.
pub const IDEMPOTENCY_ANSWER_BYTES_MAX: usize = 4 * MIB;
/// Subjects that a handler may declare for its answer. Then: `invalid-value`.
pub const ANSWER_SUBJECTS_MAX: usize = 1000;
/// Requests that wait at the same time for a position, or for another request with the same idempotency key. Then: 503.
pub const WAITERS_MAX: usize = 4096;
/// Positions that a request may name in `Bulkhead-After`. Then: 400.
pub const AFTER_TOKENS_MAX: usize = 16;
/// Events that a subscription worker reads from an event log at a time.
pub const SUBSCRIPTION_EVENTS_READ_MAX: u32 = 512;
/// Events that a subscription worker skips before it makes its position durable only because of them.
pub const SUBSCRIPTION_EVENTS_SKIPPED_MAX: u64 = 4096;
/// Attempts after which a parked event becomes a dead letter. The backoff between them adds up to some 10 minutes.
pub const ATTEMPTS_MAX: u32 = 12;
/// Bytes of the reason that is kept for a failed attempt. A longer reason is cut.
pub const REASON_BYTES_MAX: usize = 3 * KIB;
/// Bytes of events that are read from an event log at a time. The last event may exceed it.
pub const LOG_READ_BYTES_MAX: usize = 4 * MIB;
/// The time after the first failed attempt. It doubles with each further attempt, with jitter of up to a half.
pub const RETRY_FIRST: Duration = Duration::from_millis(200);
/// The longest time between two attempts.
pub const RETRY_MAX: Duration = Duration::from_secs(120);

/// Bytes of a deployed component. Then: 413.
pub const COMPONENT_BYTES_MAX: usize = 64 * MIB;
/// Time that the rehearsal of migrations may take, unless a pause is allowed. Then the deploy is refused.
pub const REHEARSAL_MAX: Duration = Duration::from_secs(60);
/// Time that migrations may take when a pause is allowed, in the rehearsal and at the switch. Then the deploy is refused.
pub const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Time for which a new version is on probation.
pub const PROBATION: Duration = Duration::from_secs(10);
/// The number of failed handlers from which a version on probation may be rolled back.
pub const PROBATION_FAILURES: u32 = 3;
/// The share of failed handlers that is too many, from [`PROBATION_FAILURES`] on: one in this many.
pub const PROBATION_FAILED_OF: u32 = 10;
/// Versions of a service whose files are kept, the active one included.
pub const VERSIONS_KEPT: usize = 16;
