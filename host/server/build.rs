//! Takes the files of the API viewer out of the archive that they come in, and compresses each.

use std::error::Error;
use std::fs::File;
use std::io::{Cursor, copy};
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

const FILES: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for file in FILES {
        let end = format!("/dist/{file}");
        let names = archive.file_names().filter_map(Result::ok).map(|name| name.into_owned());
        let name = names.into_iter().find(|name| name.ends_with(&end));
        let name = name.ok_or_else(|| format!("the archive of Swagger UI has no {file}"))?;
        let mut encoder = GzEncoder::new(File::create(out.join(format!("{file}.gz")))?, Compression::best());
        copy(&mut archive.by_name(&name)?, &mut encoder)?;
        encoder.finish()?;
    }
    Ok(())
}
