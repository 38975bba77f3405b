//! The one wasmtime engine, and the thread that asks running guests whether their time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};

use bulkhead_types::limits::{EPOCH_TICK, WASM_STACK_MAX};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::supervise;

/// The version of wasmtime.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// Ticks without a running guest after which the ticker sleeps until there is one.
const IDLE_TICKS: u32 = 100;
/// Core instances, memories and tables that one component may be made of.
const PARTS_PER_COMPONENT: u32 = 20;
/// Elements of a table.
const TABLE_ELEMENTS: usize = 20_000;
/// Bytes of an instance's memory that stay mapped when its slot is given back: zeroing them is cheaper than a page fault.
const KEEP_RESIDENT_BYTES: usize = 512 * 1024;

/// The engine. There is one in a process.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    ticker: Arc<Ticker>,
    /// Bytes that an instance's memory can have.
    memory: u64,
}

impl Engine {
    /// Makes the engine for at most `instances` instances at a time, each with at most `memory` bytes.
    ///
    /// # Errors
    ///
    /// When the system can't reserve the address space, or gives no thread.
    pub fn new(instances: u32, memory: u64) -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        let parts = instances.saturating_mul(PARTS_PER_COMPONENT);
        pool.total_component_instances(instances)
            .total_core_instances(parts)
            .total_memories(instances)
            .total_tables(parts)
            .max_core_instances_per_component(PARTS_PER_COMPONENT)
            .max_memories_per_component(1)
            .max_tables_per_component(PARTS_PER_COMPONENT)
            .table_elements(TABLE_ELEMENTS)
            .max_memory_size(usize::try_from(memory).unwrap_or(usize::MAX))
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .epoch_interruption(true)
            .max_wasm_stack(WASM_STACK_MAX)
            .wasm_component_model(true)
            // Guests run on the worker's own stack: no fibers, no bookkeeping of tasks.
            .concurrency_support(false)
            // A run can be repeated: NaNs have one form, relaxed SIMD one result.
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true);
        let wasmtime = wasmtime::Engine::new(&config)?;
        let ticker = Ticker::start(&wasmtime)?;
        Ok(Self { wasmtime, ticker, memory })
    }

    /// The most bytes that an instance's memory can have.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Keeps the ticker ticking until the returned value is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.ticker.running.fetch_add(1, Ordering::SeqCst);
        if self.ticker.asleep.load(Ordering::SeqCst) {
            self.ticker.thread.unpark();
        }
        Running(&self.ticker)
    }
}

/// A guest is running.
pub(crate) struct Running<'e>(&'e Ticker);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Ticker {
    running: Arc<AtomicUsize>,
    asleep: Arc<AtomicBool>,
    thread: Thread,
}

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> std::io::Result<Arc<Self>> {
        let running = Arc::<AtomicUsize>::default();
        let asleep = Arc::<AtomicBool>::default();
        let (seen, sleeping, weak) = (Arc::clone(&running), Arc::clone(&asleep), engine.weak());
        let tick = move |(): &mut (), progress: &supervise::Progress| {
            let mut idle = 0;
            // Ends with the engine.
            while let Some(engine) = weak.upgrade() {
                supervise::point("turn");
                engine.increment_epoch();
                drop(engine);
                progress.made();
                idle = if seen.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
                if idle < IDLE_TICKS {
                    thread::sleep(EPOCH_TICK);
                    continue;
                }
                // First set the flag, then look. A guest that starts in between sees the flag or is seen here.
                sleeping.store(true, Ordering::SeqCst);
                if seen.load(Ordering::SeqCst) == 0 {
                    thread::park();
                }
                sleeping.store(false, Ordering::SeqCst);
                idle = 0;
            }
        };
        let thread = supervise::spawn("ticker".to_owned(), &Arc::default(), (), tick, |(), _| {})?;
        Ok(Arc::new(Self { running, asleep, thread: thread.thread().clone() }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn wasmtime_version_matches_the_lock_file() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"\n")));
    }

    /// Nothing wakes the processor while the host is idle.
    #[test]
    fn ticker_sleeps_while_no_guest_runs_and_wakes_for_the_next() {
        let engine = Engine::new(1, bulkhead_types::limits::MEMORY_DEFAULT).unwrap();
        let becomes_asleep = |asleep: bool| {
            let until = Instant::now() + Duration::from_secs(60);
            while engine.ticker.asleep.load(Ordering::SeqCst) != asleep {
                assert!(Instant::now() < until, "it is {}", if asleep { "awake" } else { "asleep" });
                thread::yield_now();
            }
        };
        for _ in 0..2 {
            let running = engine.running();
            becomes_asleep(false);
            drop(running);
            becomes_asleep(true);
        }
    }
}
