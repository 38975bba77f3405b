//! Deploys, the way back, and reloads.

use std::sync::Arc;

use bulkhead_runtime::Problem;
use bulkhead_types::is_control;
use serde_json::json;

use super::answers::{Answered, failed, flag, json_of, unknown};
use crate::application::{Application, DeployError, DeployOptions, Deployed, ReloadError};

/// The most activations of a service that are listed.
const LISTED_MAX: u32 = 100;
/// Characters that are kept of who deploys, and of what they say.
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
            ReloadError::Refused(_) => {
                Problem::new(422, "reload-refused", "The manifest was not reloaded", error.to_string())
            }
            ReloadError::DeliveryThreads(_) => failed(&error),
        }),
    }
}

fn busy() -> Problem {
    let detail = "another deploy, a reload, a check or a rebuild runs; wait for it to end";
    Problem::new(409, "busy", "Something else runs", detail)
}

/// What is wrong with a body: one that is too large is a component that is.
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
        DeployError::TooLarge => Problem::new(413, "payload-too-large", "The component is too large", detail),
        DeployError::Refused(_) => Problem::new(422, "deploy-refused", "The version is not deployed", detail),
        DeployError::Pause { .. } | DeployError::Room { .. } | DeployError::Crowded => {
            Problem::new(409, "pause-too-long", "Requests would wait for too long", detail)
        }
        DeployError::Drain(_) => Problem::new(409, "drain-timeout", "Handlers did not end in time", detail),
        DeployError::OutcomeUnknown { .. } => {
            Problem::new(503, "outcome-unknown", "The outcome is unknown", detail)
        }
        DeployError::DeliveryThreads(_) | DeployError::Store(_) | DeployError::Host(_) => failed(error),
    }
}
