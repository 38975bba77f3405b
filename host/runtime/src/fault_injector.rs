//! Makes what handlers ask of the host fail, for tests. A host that serves has no fault injector.

use bulkhead_store::StatementError;
use bulkhead_types::ServiceName;

use crate::database_call::DatabaseCall;

/// Decides what fails. `service` is the one whose handler runs.
pub trait FaultInjector: Send + Sync {
    /// A handler is about to ask its database. If this returns an error, the handler gets the error instead of a result, as from a database
    /// that can't do it. The error aborts the unit of work in every case in which the database would have ended the transaction.
    fn fail_database(&self, service: &ServiceName, call: &DatabaseCall<'_>) -> Option<StatementError>;

    /// A handler is about to call another service. If this returns a reason, the service is unavailable for that reason.
    fn fail_call(&self, service: &ServiceName, callee: &ServiceName) -> Option<String>;

    /// Whether an instance may have more memory, when it is within its limit.
    fn may_grow(&self, service: &ServiceName) -> bool;
}
