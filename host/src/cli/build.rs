//! `bulkhead build`.

use std::path::Path;

use anyhow::{Context as _, bail};
use bulkhead_build::{BuildOptions, BuildRequest, build};
use bulkhead_manifest::{Manifest, Source, components_folder};
use bulkhead_server::telemetry;
use bulkhead_types::ServiceName;

/// Builds the named services, or all whose source is a crate.
pub(super) fn run(manifest: &Path, services: &[String]) -> anyhow::Result<()> {
    let manifest = Manifest::read(manifest)?;
    for name in services {
        match manifest.services.get(name.as_str()).map(|entry| &entry.source) {
            Some(Source::Crate(_)) => {}
            Some(Source::File(file)) => {
                bail!("build {name}: its source {} is a component already", file.display())
            }
            None => {
                let names = manifest.services.keys().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
                bail!("build {name}: {} has no such service; it has {names}", manifest.path.display());
            }
        }
    }
    for (name, entry) in &manifest.services {
        if let Source::Crate(folder) = &entry.source
            && (services.is_empty() || services.iter().any(|chosen| *name == chosen.as_str()))
        {
            build_one(name, folder)?;
        }
    }
    Ok(())
}

fn build_one(name: &str, folder: &Path) -> anyhow::Result<()> {
    let request = BuildRequest { service: name.to_owned(), crate_dir: folder.to_owned() };
    let options = BuildOptions { out_dir: Some(components_folder(folder)) };
    let built = build(&[request], &options, &mut telemetry::say)?;
    let component = built.first().context("find the component that was built")?;
    telemetry::say(&format!(
        "{name}: {} ({} KiB{})",
        component.component.display(),
        component.size.div_ceil(1024),
        if component.changed { "" } else { ", unchanged" }
    ));
    Ok(())
}
