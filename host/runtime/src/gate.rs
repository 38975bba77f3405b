//! The gate that every handler of a service goes through. While it is held, those that are inside may leave, and nobody may enter.
//!
//! Invariant: the holder of the gate is alone with the service's code and database, if it has found nobody inside, and has the writer lease
//! with no batch open on it. The reason: guest code runs only inside the gate, or under the lease.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the holder of the gate checks how many wait.
const LOOK: Duration = Duration::from_millis(1);

#[derive(Default)]
pub(crate) struct Gate {
    held: AtomicBool,
    inside: AtomicUsize,
    /// Threads that wait for one of the two conditions hold this lock while they check it.
    lock: Mutex<()>,
    changed: Condvar,
}

impl Gate {
    /// Enters, unless the gate is held.
    pub(crate) fn try_enter(self: &Arc<Self>) -> Option<Inside> {
        // First raise the count, then check whether the gate is held. The holder does it the other way round, so one of the two sees the
        // other.
        self.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(Arc::clone(self));
        (!self.held.load(Ordering::SeqCst)).then_some(inside)
    }

    /// Enters as soon as the gate is not held; none if the gate is still held at `deadline`, if there is one.
    pub(crate) fn enter(self: &Arc<Self>, deadline: Option<Instant>) -> Option<Inside> {
        loop {
            if let Some(inside) = self.try_enter() {
                return Some(inside);
            }
            let mut looking = self.lock();
            while self.held.load(Ordering::SeqCst) {
                looking = match deadline {
                    None => self.changed.wait(looking).unwrap_or_else(PoisonError::into_inner),
                    Some(deadline) => {
                        let left = deadline.checked_duration_since(Instant::now())?;
                        self.changed.wait_timeout(looking, left).unwrap_or_else(PoisonError::into_inner).0
                    }
                };
            }
        }
    }

    fn leave(&self) {
        if self.inside.fetch_sub(1, Ordering::SeqCst) == 1 && self.held.load(Ordering::SeqCst) {
            let _looking = self.lock();
            self.changed.notify_all();
        }
    }

    /// Holds the gate, and waits until nobody is inside. The gate opens again if somebody is still inside at `deadline`, or if `too_many`
    /// reports meanwhile that too many wait.
    pub(crate) fn hold(
        self: &Arc<Self>,
        deadline: Instant,
        too_many: impl Fn() -> bool,
    ) -> Result<Held, NotHeld> {
        self.held.store(true, Ordering::SeqCst);
        // This opens the gate again when it is dropped.
        let held = Held(Arc::clone(self));
        let mut looking = self.lock();
        while self.inside.load(Ordering::SeqCst) > 0 {
            let left = deadline.checked_duration_since(Instant::now()).ok_or(NotHeld::Late)?;
            if too_many() {
                return Err(NotHeld::TooMany);
            }
            let until_look = left.min(LOOK);
            (looking, _) =
                self.changed.wait_timeout(looking, until_look).unwrap_or_else(PoisonError::into_inner);
        }
        drop(looking);
        Ok(held)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody is inside, until this is dropped.
pub(crate) struct Inside(Arc<Gate>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Why the gate is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotHeld {
    /// Somebody was still inside at the deadline.
    Late,
    /// Too many waited.
    TooMany,
}

/// The gate is held, until this is dropped.
pub struct Held(Arc<Gate>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.store(false, Ordering::SeqCst);
        let _looking = self.0.lock();
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Gate, NotHeld};

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn gate_holder_is_alone() {
        let (gate, inside) = (Arc::new(Gate::default()), Arc::new(AtomicU32::new(0)));
        let goers: Vec<_> = (0..4)
            .map(|_| {
                let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
                thread::spawn(move || {
                    for _ in 0..20_000 {
                        let entered = gate.enter(None).unwrap();
                        inside.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(entered);
                    }
                })
            })
            .collect();
        let mut held = 0;
        while goers.iter().any(|goer| !goer.is_finished()) {
            let alone = gate.hold(Instant::now() + LONG, || false).unwrap();
            for _ in 0..100 {
                assert_eq!(inside.load(Ordering::SeqCst), 0);
            }
            held += 1;
            drop(alone);
        }
        for goer in goers {
            goer.join().unwrap();
        }
        assert!(held > 0);
    }

    #[test]
    fn gate_reopens_if_a_hold_gives_up_waiting_for_those_inside() {
        let gate = Arc::new(Gate::default());
        let first = gate.enter(None).unwrap();
        assert_eq!(gate.hold(Instant::now() + Duration::from_millis(1), || false).err(), Some(NotHeld::Late));
        let second = gate.try_enter();
        assert!(second.is_some(), "it is open again");
        assert_eq!(gate.hold(Instant::now() + LONG, || true).err(), Some(NotHeld::TooMany));
        drop((first, second));
        assert!(gate.hold(Instant::now(), || true).is_ok());
    }

    #[test]
    fn gate_waiter_gives_up_at_its_deadline() {
        let gate = Arc::new(Gate::default());
        let held = gate.hold(Instant::now(), || false).unwrap();
        assert!(gate.enter(Some(Instant::now() + Duration::from_millis(1))).is_none());
        drop(held);
        assert!(gate.enter(Some(Instant::now())).is_some());
        assert!(gate.hold(Instant::now(), || false).is_ok(), "who gave up is not inside");
    }
}
