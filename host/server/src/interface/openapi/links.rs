//! Links from an answer that has an `id` to the operations that use that id.
//!
//! `POST /notes` answers with a note. So does the first item of `GET /notes`. Its `id` is the last parameter of every path that extends
//! this one by one parameter, such as `/notes/{id}` and `/notes/{id}/lines`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Described;
use super::operation::parameter_names;

type Paths<'a> = BTreeMap<&'a str, Map<String, Value>>;

/// Where an answer has an id, as a runtime expression (OpenAPI 3.1.1, section 4.8.20.3).
fn id_in(schema: Option<&str>) -> Option<&'static str> {
    let schema: Value = serde_json::from_str(schema?).ok()?;
    let has_id = |pointer: &str| schema.pointer(pointer).is_some();
    if has_id("/properties/id") {
        return Some("$response.body#/id");
    }
    has_id("/properties/items/items/properties/id").then_some("$response.body#/items/0/id")
}

pub(super) fn add(paths: &mut Paths<'_>, services: &[Described<'_>]) {
    for service in services {
        for route in service.operations.iter().filter(|route| matches!(route.method.as_str(), "GET" | "POST"))
        {
            for answer in &route.answers {
                let Some(id) = id_in(answer.schema.as_deref()) else { continue };
                let links = links(&route.path, id, paths);
                let responses = paths
                    .get_mut(route.path.as_str())
                    .and_then(|methods| methods.get_mut(&route.method.to_ascii_lowercase()))
                    .and_then(|operation| operation.get_mut("responses"));
                let described =
                    responses.and_then(|responses| responses.get_mut(answer.status.to_string().as_str()));
                if let (false, Some(Value::Object(members))) = (links.is_empty(), described) {
                    members.insert("links".to_owned(), Value::Object(links));
                }
            }
        }
    }
}

/// The links from a path to all operations whose path extends it by one parameter.
fn links(from: &str, id: &str, paths: &Paths<'_>) -> Map<String, Value> {
    let mut links = Map::new();
    for (path, methods) in paths {
        let Some(rest) = path.strip_prefix(from).and_then(|rest| rest.strip_prefix("/{")) else { continue };
        if rest.contains('{') {
            continue;
        }
        let Some((last, given)) =
            parameter_names(path).split_last().map(|(last, given)| (*last, given.to_vec()))
        else {
            continue;
        };
        let mut parameters: Map<String, Value> =
            given.iter().map(|name| ((*name).to_owned(), json!(format!("$request.path.{name}")))).collect();
        parameters.insert(last.to_owned(), json!(id));
        for target in methods.values().filter_map(|operation| operation.get("operationId")?.as_str()) {
            let target = target.to_owned();
            links.insert(target.clone(), json!({"operationId": target, "parameters": parameters}));
        }
    }
    links
}
