//! The folder that a file is in.

use std::path::Path;

/// The folder that a file is in: `.` where its path names none, so that what is given can be opened, watched and shown.
///
/// [`Path::parent`] gives an empty path there, which the system takes for no folder at all. So this is what the host asks (`tidy`).
#[must_use]
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_of_a_bare_name_is_the_current_one() {
        for (file, folder) in [
            ("bulkhead.toml", "."),
            ("./bulkhead.toml", "."),
            ("a/b.toml", "a"),
            ("/b.toml", "/"),
            ("/", "."),
            ("", "."),
        ] {
            assert_eq!(folder_of(Path::new(file)), Path::new(folder), "{file:?}");
        }
    }
}
