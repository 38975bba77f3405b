//! Deploys, rollbacks, and reloads.

use std::sync::Arc;

use bulkhead_runtime::{Problem, problem_kinds};
use bulkhead_types::is_control;
use serde_json::json;

use super::answers::{Answered, failed, flag, json_of, unknown};
use crate::application::{Application, DeployError, DeployOptions, Deployed, ReloadError};

/// The maximum number of activations in a list.
const LISTED_MAX: u32 = 100;
/// The maximum number of characters that are kept of an author and of a note.
const TEXT_MAX: usize = 500;

type Parameter<'p, 'q> = dyn Fn(&str) -> Option<&'q str> + 'p;

pub(super) fn deploy(
    application: &Arc<Application>,
    service: &str,
    component: &[u8],
    parameter: &Parameter<'_, '_>,
) -> Answered {
    let only = application.try_maintain().ok_or_else(busy)?;
    answer(application.deploy(&only, service, component, &options(parameter)?))
}

pub(super) fn roll_back(
    application: &Arc<Application>,
    service: &str,
    parameter: &Parameter<'_, '_>,
) -> Answered {
    let only = application.try_maintain().ok_or_else(busy)?;
    answer(application.rollback(&only, service, parameter("to"), &options(parameter)?))
}

pub(super) fn probation(application: &Application, service: &str) -> Answered {
    let none = || problem(&DeployError::Unknown(service.to_owned()));
    json_of(&json!(application.probation(service).ok_or_else(none)?))
}

pub(super) fn versions(application: &Application, service: &str) -> Answered {
    let versions = application.versions(service, LISTED_MAX).map_err(|error| problem(&error))?;
    json_of(&json!({ "items": versions }))
}

pub(super) fn reload(application: &Application) -> Answered {
    let only = application.try_maintain().ok_or_else(busy)?;
    match application.reload(&only) {
        Ok(reloaded) => json_of(&json!(reloaded)),
        Err(error) => Err(match &error {
            ReloadError::Refused(_) => Problem::new(problem_kinds::RELOAD_REFUSED, error.to_string()),
            ReloadError::DeliveryThreads(_) => failed(&error),
        }),
    }
}

fn busy() -> Problem {
    let detail = "another deploy, a reload, a check or a rebuild runs; wait for it to end";
    Problem::new(problem_kinds::BUSY, detail)
}

/// Converts a problem with a body: a body that is too large is a component that is too large.
pub(super) fn of_body(wrong: Problem) -> Problem {
    if wrong.status == 413 { problem(&DeployError::TooLarge) } else { wrong }
}

fn answer(deployed: Result<Deployed, DeployError>) -> Answered {
    match deployed {
        Ok(deployed) => json_of(&json!(deployed)),
        Err(error) => Err(problem(&error)),
    }
}

fn options(parameter: &Parameter<'_, '_>) -> Result<DeployOptions, Problem> {
    let text = |name: &str| {
        let text = parameter(name).unwrap_or_default();
        text.chars().filter(|letter| !is_control(*letter)).take(TEXT_MAX).collect()
    };
    Ok(DeployOptions {
        dry_run: flag(parameter, "dry_run")?,
        allow_pause: flag(parameter, "allow_pause")?,
        force: flag(parameter, "force")?,
        author: text("author"),
        note: text("note"),
    })
}

fn problem(error: &DeployError) -> Problem {
    let detail = error.to_string();
    match error {
        DeployError::Unknown(_) | DeployError::NoVersion(_) => unknown(&detail),
        DeployError::TooLarge => Problem::new(problem_kinds::COMPONENT_TOO_LARGE, detail),
        DeployError::Refused(_) => Problem::new(problem_kinds::DEPLOY_REFUSED, detail),
        DeployError::Pause { .. } | DeployError::Room { .. } | DeployError::Crowded => {
            Problem::new(problem_kinds::PAUSE_TOO_LONG, detail)
        }
        DeployError::Drain(_) => Problem::new(problem_kinds::DRAIN_TIMEOUT, detail),
        DeployError::OutcomeUnknown { .. } => Problem::new(problem_kinds::OUTCOME_UNKNOWN, detail),
        DeployError::DeliveryThreads(_) | DeployError::Store(_) | DeployError::Host(_) => failed(error),
    }
}
