//! `bulkhead problems`: the page of every problem code.

use bulkhead_server::application;
use bulkhead_server::interface::problems::markdown;

use super::ApplicationArgs;
use super::output::print;

/// Prints the page, in Markdown.
pub(super) fn run(arguments: ApplicationArgs) -> anyhow::Result<()> {
    let manifest = arguments.read()?;
    let described = application::describe(&manifest)
        .map_err(|error| anyhow::anyhow!("load the components of {}:\n{error}", manifest.name))?;
    print(&markdown(&manifest.name, &described))
}
