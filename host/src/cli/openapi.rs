//! `bulkhead openapi`.

use bulkhead_server::application;
use bulkhead_server::interface::{self, Format};
use bulkhead_types::ServiceName;

use super::ApplicationArgs;
use super::output::print_json;

/// Prints the OpenAPI document of an application, or of one of its services.
pub(super) fn run(arguments: ApplicationArgs, format: Format, service: Option<&str>) -> anyhow::Result<()> {
    let manifest = arguments.read()?;
    let described = application::describe(&manifest)
        .map_err(|error| anyhow::anyhow!("load the components of {}:\n{error}", manifest.name))?;
    let document = match service {
        None => interface::of_application(&manifest, &described),
        Some(name) => interface::of_service(&manifest, &described, name).ok_or_else(|| {
            let known: Vec<&str> = described.keys().map(ServiceName::as_str).collect();
            anyhow::anyhow!("find {name}: the services that say what they are, are {}", known.join(", "))
        })?,
    };
    print_json(&format.of(document))
}
