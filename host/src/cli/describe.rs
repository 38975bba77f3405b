//! `bulkhead describe`.

use std::fmt::Write as _;

use bulkhead_runtime::description::{Access, Answer, Description, Parameter, Problem, Route};
use bulkhead_server::application;
use serde_json::{Value, json};

use super::ApplicationArgs;
use super::output::print;

/// Prints the descriptions of an application's components.
pub(super) fn run(arguments: ApplicationArgs, as_json: bool) -> anyhow::Result<()> {
    let manifest = arguments.read()?;
    let described = application::describe(&manifest)
        .map_err(|error| anyhow::anyhow!("load the components of {}:\n{error}", manifest.name))?;
    let text = if as_json {
        let services = described.iter().map(|(name, description)| (name.to_string(), service(description)));
        format!("{:#}\n", Value::Object(services.collect()))
    } else {
        described.iter().map(|(name, description)| table(name, description)).collect::<Vec<_>>().join("\n")
    };
    print(&text)
}

fn table(name: &str, description: &Description) -> String {
    let mut text = format!("{name}: {}\n", description.summary);
    let longest = description.routes.iter().map(|route| route.path.chars().count()).max().unwrap_or_default();
    for Route { method, path, access, computes, summary, .. } in &description.routes {
        let computes = if *computes { " It computes for long." } else { "" };
        let _ = writeln!(text, "  {method:6} {path:longest$}  {:15} {summary}{computes}", whom(access));
    }
    for (what, kinds) in [("publishes", &description.publishes), ("subscribes to", &description.subscribes)] {
        if !kinds.is_empty() {
            let _ = writeln!(text, "  {what} {}", kinds.join(", "));
        }
    }
    text
}

/// Who may call a route, in one word.
fn whom(access: &Access) -> String {
    match access {
        Access::Public => "public".to_owned(),
        Access::Authenticated => "authenticated".to_owned(),
        Access::Roles(roles) => roles.join(" or "),
    }
}

fn service(description: &Description) -> Value {
    json!({
        "summary": description.summary,
        "routes": description.routes.iter().map(route).collect::<Vec<_>>(),
        "publishes": description.publishes,
        "subscribes": description.subscribes,
    })
}

fn route(route: &Route) -> Value {
    let (access, roles) = match &route.access {
        Access::Public => ("public", None),
        Access::Authenticated => ("authenticated", None),
        Access::Roles(roles) => ("roles", Some(roles)),
    };
    json!({
        "method": route.method,
        "path": route.path,
        "summary": route.summary,
        "access": access,
        "roles": roles,
        "computes": route.computes,
        "repeatable": route.repeatable,
        "path_parameters": route.path_parameters.iter().map(parameter).collect::<Vec<_>>(),
        "query_parameters": route.query_parameters.iter().map(parameter).collect::<Vec<_>>(),
        "request_schema": route.request_schema.as_deref().map(schema),
        "answers": route.answers.iter().map(answer).collect::<Vec<_>>(),
        "problems": route.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "required": parameter.required,
        "schema": schema(&parameter.schema),
        "description": parameter.description,
    })
}

fn answer(answer: &Answer) -> Value {
    json!({"status": answer.status, "schema": answer.schema.as_deref().map(schema)})
}

fn problem(kind: &Problem) -> Value {
    json!({"status": kind.status, "code": kind.code, "description": kind.description})
}

/// A schema as JSON. If the text is not a schema, the text itself.
fn schema(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
