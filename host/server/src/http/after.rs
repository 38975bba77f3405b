//! `Bulkhead-After`: a request waits until its service has applied the events of another service, up to a position.
//!
//! It waits here, on the network side, and uses no worker. A position in an event log that the service has no subscription to counts as
//! reached: the service consumes nothing from that log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bulkhead_runtime::{Consumer, Problem, Subscription, problem_kinds};
use bulkhead_store::{Parked, ParkedState, StatementError, StoreError};
use bulkhead_types::limits::{AFTER_TOKENS_MAX, WAITERS_MAX};
use bulkhead_types::{Current, Position, ServiceName};
use http::HeaderMap;
use tokio::sync::Semaphore;

use crate::application::{Application, Logs, Subscriptions};

const HEADER: &str = "bulkhead-after";

/// The subscriptions and event logs that positions refer to.
pub(super) struct Positions {
    logs: Logs,
    consumers: BTreeMap<ServiceName, Consumer>,
    subscriptions: Arc<Current<Subscriptions>>,
    room: Semaphore,
}

impl Positions {
    pub(super) fn new(application: &Application) -> Self {
        Self {
            logs: application.logs().clone(),
            consumers: application
                .service_entries()
                .iter()
                .map(|(name, service_entry)| (name.clone(), service_entry.consumer.clone()))
                .collect(),
            subscriptions: application.current_subscriptions(),
            room: Semaphore::new(WAITERS_MAX),
        }
    }

    /// Reads and checks the positions that a request names.
    pub(super) fn of(&self, headers: &HeaderMap) -> Result<Vec<Position>, Problem> {
        let mut positions = Vec::new();
        for value in headers.get_all(HEADER) {
            let text = value.to_str().map_err(|_| invalid("it is not text"))?;
            for token in text.split(',').map(str::trim).filter(|token| !token.is_empty()) {
                if positions.len() == AFTER_TOKENS_MAX {
                    return Err(invalid(&format!("there are more than {AFTER_TOKENS_MAX} positions")));
                }
                let position: Position =
                    token.parse().map_err(|_| invalid(&format!("{token:?} is no position")))?;
                let is_here = self.logs.id(&position.service).is_some_and(|id| **id == *position.log);
                let Some(head) = self.logs.head(&position.service).filter(|_| is_here) else {
                    return Err(invalid(&format!("{token:?} is a position in a log that is not here")));
                };
                if position.sequence > head {
                    return Err(invalid(&format!("{token:?} is ahead of its log")));
                }
                positions.push(position);
            }
        }
        Ok(positions)
    }

    /// Waits until `service` has applied everything up to these positions.
    pub(super) async fn wait(
        &self,
        service: &ServiceName,
        positions: &[Position],
        deadline: Instant,
    ) -> Result<(), Problem> {
        for position in positions {
            let subscriptions = self.subscriptions.get();
            let leads = |subscription: &&Arc<Subscription>| {
                subscription.spec.producer == position.service && subscription.spec.consumer == *service
            };
            let Some(subscription) = subscriptions.iter().find(leads) else { continue };
            let sequence = position.sequence;
            if subscription.applied() < sequence {
                let Ok(_waiter) = self.room.try_acquire() else {
                    return Err(Problem::unavailable(
                        "as many requests wait for a position as the host takes",
                    ));
                };
                let mut applied = subscription.watch();
                let waiting = applied.wait_for(|applied| *applied >= sequence);
                match tokio::time::timeout_at(deadline.into(), waiting).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(_)) | Err(_) => return Err(too_long(subscription, position)),
                }
            }
            if subscription.is_troubled() {
                self.look_for_parked(service, position).await?;
            }
        }
        Ok(())
    }

    /// A parked event also advances the position, but its effect is not applied. So the service may not have applied all events.
    async fn look_for_parked(&self, service: &ServiceName, position: &Position) -> Result<(), Problem> {
        let Some(consumer) = self.consumers.get(service).cloned() else { return Ok(()) };
        let (logs, name, sequence) = (self.logs.clone(), position.service.clone(), position.sequence);
        let look = move || -> Result<Option<Parked>, StatementError> {
            let failed = |error: StoreError| StatementError::Other(error.to_string());
            let Some(log) = logs.open(&name).map_err(failed)? else { return Ok(None) };
            let events = log.read(sequence, 1)?;
            let about = events.first().map(|event| (&event.subject, event.trace_id));
            consumer.inbox().map_err(failed)?.held_up(&name, about, sequence)
        };
        let found = tokio::task::spawn_blocking(look).await;
        match found {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(parked))) => {
                let what = match parked.state {
                    ParkedState::Parked => "is parked and tried again later",
                    ParkedState::Dead => "is a dead letter, which an operator is to look at",
                };
                let detail =
                    format!("{service} could not apply {}: the event {} {what}", position.service, parked.id);
                Err(Problem { retry_after: Some(1), ..Problem::new(problem_kinds::EVENT_PARKED, detail) })
            }
            Ok(Err(error)) => {
                tracing::error!(%error, service = service.as_str(), "parked events can't be read");
                Err(Problem::unavailable(
                    "the host can't read now what the service has applied; try again later",
                ))
            }
            Err(_) => Err(Problem::unavailable(
                "the host can't read now what the service has applied; try again later",
            )),
        }
    }
}

fn invalid(why: &str) -> Problem {
    Problem::new(
        problem_kinds::INVALID_POSITION,
        format!("Bulkhead-After has what a header Bulkhead-Position gave: {why}"),
    )
}

fn too_long(subscription: &Subscription, position: &Position) -> Problem {
    let detail = match subscription.stopped() {
        Some(_) => {
            format!("{} consumes no events of {} at present", subscription.spec.consumer, position.service)
        }
        None => format!("{} did not apply {} in time", subscription.spec.consumer, position.service),
    };
    Problem::new(problem_kinds::POSITION_TIMEOUT, detail)
}
