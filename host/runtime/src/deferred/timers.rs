//! Taking timers.

use bulkhead_store::{Logged, StatementError, UnitOfWork};

use super::{DeferredWork, Look, finished};
use crate::delivery::{Delivery, Written, parked, tell_of_parked};
use crate::instance::NotTaken;
use crate::runner::HasRunner as _;

/// Timers that are read at a time.
const TIMERS_AT_A_TIME: u32 = 64;

impl DeferredWork {
    /// Takes the timers that are due, at most so many as are read at a time.
    pub(super) fn take_timers(&mut self) -> Result<Look, StatementError> {
        let now = self.runner.time();
        let (timers, next) = self.inbox.due_timers(now, TIMERS_AT_A_TIME)?;
        let found = !timers.is_empty();
        for timer in &timers {
            self.taking = Some((None, timer.sequence));
            let taken = self.inside(|this| this.take_timer(timer));
            self.taking = None;
            taken?;
        }
        self.runner.commit_carried();
        Ok(Look { found, wait: next.map(|next| next.saturating_sub(now)) })
    }

    /// Its unit of work is carried, and never handed to one who waits: the look that follows is to see it, and so it is committed here.
    fn take_timer(&mut self, timer: &Logged) -> Result<(), StatementError> {
        let name = self.name().to_owned();
        let delivery =
            Delivery { event: timer, producer: &name, attempt: 1, handled: true, replicas: Vec::new() };
        let mark = |unit: &mut UnitOfWork<_>| unit.take_timer(timer.sequence, false);
        let delivered = match self.panicked_at(&(None, timer.sequence)) {
            None => {
                let settle = self.settle(None);
                self.runner.deliver(&delivery, mark, settle, true)
            }
            Some(why) => Err(why),
        };
        let why = match delivered {
            Ok(Written::Kept | Written::Moved) => return Ok(()),
            Ok(Written::Unavailable(why)) => return Err(StatementError::Other(why)),
            Ok(Written::Failed(why)) => NotTaken::Retry(why),
            Err(why) => why,
        };
        let row = parked(&self.runner, timer, &name, 1, &why);
        tell_of_parked(&self.runner, &row);
        let settle = self.settle_parked();
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
