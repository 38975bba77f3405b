//! The folder of a file.

use std::path::Path;

/// The folder of a file. It is `.` if the path names no folder, so that the result can be opened, watched and shown.
///
/// [`Path::parent`] returns an empty path in this case, and the system does not accept that as a folder. So the host uses this function
/// (`tidy` checks it).
#[must_use]
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_of_a_bare_file_name_is_the_current_folder() {
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
