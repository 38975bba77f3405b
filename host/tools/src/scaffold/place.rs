//! Finds an application by its manifest.

use std::path::{Path, PathBuf};

/// The manifest's default name.
pub const MANIFEST_DEFAULT: &str = "bulkhead.toml";

/// The nearest parent folder that has an application. If the user named no manifest, they may have meant that application.
#[must_use]
pub fn application_above(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let mut above = folder.ancestors().skip(1);
    above.find(|folder| folder.join(MANIFEST_DEFAULT).is_file()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nearest_application_above_is_found_but_not_one_in_the_folder_itself() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        let found = |name: &str| application_above(&root.join(name));
        fs::write(root.join("a").join(MANIFEST_DEFAULT), "").unwrap();
        assert_eq!((found("a"), found("nowhere")), (None, None));
        assert_eq!((found("a/b"), found("a/b/c")), (Some(root.join("a")), Some(root.join("a"))));
        fs::write(root.join("a/b").join(MANIFEST_DEFAULT), "").unwrap();
        assert_eq!((found("a/b"), found("a/b/c")), (Some(root.join("a")), Some(root.join("a/b"))));
    }
}
