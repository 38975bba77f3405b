//! The lease as the store knows it.

use bulkhead_store::{Commit, NotBegun, UnitOfWork};

use super::lease::Lease;

impl<M: Send + 'static> bulkhead_store::Lease<M> for Lease<M> {
    fn begin(self: Box<Self>) -> Result<Box<dyn UnitOfWork<M>>, NotBegun<M>> {
        match self.begin_unit() {
            Ok(unit) => Ok(Box::new(unit)),
            Err((lease, error)) => Err((Box::new(lease), error)),
        }
    }

    fn push(&mut self, member: M) {
        self.push(member);
    }

    fn is_due(&mut self) -> bool {
        self.is_due()
    }

    fn stays_open(&mut self, more: bool) -> bool {
        self.stays_open(more)
    }

    fn hand_over(self: Box<Self>) -> Option<Box<dyn bulkhead_store::Lease<M>>> {
        (*self).hand_over().map(|lease| Box::new(lease) as _)
    }

    fn others_wait(&self) -> bool {
        self.others_wait()
    }

    fn commit(&mut self) -> Commit<M> {
        self.commit_batch()
    }
}
