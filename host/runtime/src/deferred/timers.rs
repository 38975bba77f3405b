//! Consuming timers.

use std::sync::Arc;

use bulkhead_store::{Logged, StatementError};

use super::{DeferredWork, Look, finished, not_consumed};
use crate::database::UnitOfWork;
use crate::delivery::{Delivery, parked, report_parked};
use crate::observer::Observation;
use crate::runner::HasRunner as _;

/// Timers that are read at a time.
const TIMERS_AT_A_TIME: u32 = 64;

impl DeferredWork {
    /// Consumes the timers that are due, at most as many as are read at a time.
    pub(super) fn consume_timers(&mut self) -> Result<Look, StatementError> {
        let now = self.runner.time();
        let (timers, next) = self.inbox.due_timers(now, TIMERS_AT_A_TIME)?;
        let found = !timers.is_empty();
        for timer in &timers {
            self.consuming = Some((None, timer.sequence));
            let consumed = self.inside(|this| this.consume_timer(timer));
            self.consuming = None;
            consumed?;
        }
        self.runner.commit_open_batch();
        Ok(Look { found, wait: next.map(|next| next.saturating_sub(now)) })
    }

    /// This thread keeps the unit of work, and never passes it on to a waiting thread. The look that follows must see it, so it is
    /// committed here.
    fn consume_timer(&mut self, timer: &Logged) -> Result<(), StatementError> {
        let name = self.name().clone();
        let delivery =
            Delivery { event: timer, producer: &name, attempt: 1, handled: true, replicas: Vec::new() };
        let mark = |unit: &mut UnitOfWork| unit.consume_timer(timer.sequence, false);
        let delivered = match self.panicked_at(&(None, timer.sequence)) {
            None => {
                let (producer, sequence) = (name.clone(), timer.sequence);
                let settle = self.settle(move |observed| {
                    observed.notify(&Observation::EventConsumed { producer: &producer, sequence });
                });
                self.runner.deliver(&delivery, mark, settle, true)
            }
            Some(why) => Err(why),
        };
        let Some(why) = not_consumed(delivered)? else { return Ok(()) };
        let row = parked(&self.runner, timer, &name, 1, &why);
        report_parked(&self.runner, &row);
        let (deferred, parked) = (Arc::clone(&self.deferred), row.clone());
        let settle = self.settle(move |observed| {
            observed.notify(&Observation::EventParked { row: &parked });
            // The other thread has one more parked event to look after.
            deferred.wake();
        });
        let written = self.runner.write(
            |unit| {
                unit.park(&row)?;
                unit.mark_timer_parked(timer.sequence)
            },
            settle,
            true,
        );
        finished(written)
    }
}
