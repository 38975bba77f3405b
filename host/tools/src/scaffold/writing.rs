//! Writes a plan: everything or nothing.
//!
//! Each step is noted as soon as it needs an undo. If one fails, all steps are undone, the last one first. An existing file is replaced as
//! a whole by a file that was written beside it: a reader finds either the old or the new one. If the process is killed between two steps,
//! nothing is undone.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bulkhead_build::folder_of;

use super::NewError;

/// The suffix of a file's name until it replaces another file.
const UNFINISHED: &str = "new";

/// A step, with the data to undo it.
#[derive(Debug)]
enum Step {
    /// A folder was created. The undo removes it only if it is empty: others may have put files into it.
    Folder(PathBuf),
    /// A file was created.
    File(PathBuf),
    /// A file was replaced.
    Replaced(Replaced),
}

/// A file with a new text, by its real path, so that a link to it stays a link.
#[derive(Debug)]
struct Replaced {
    file: PathBuf,
    old: Vec<u8>,
    permissions: Permissions,
}

/// The completed steps, the last one at the end.
#[derive(Debug, Default)]
pub(super) struct Written(Vec<Step>);

impl Written {
    /// Writes new files, and gives existing files a new text.
    ///
    /// # Errors
    ///
    /// The file that can't be written. Then everything is as it was.
    pub(super) fn all(made: &[(PathBuf, String)], changed: &[(PathBuf, String)]) -> Result<(), NewError> {
        let mut written = Self::default();
        let result = written.write(made, changed);
        if result.is_err() {
            written.undo();
        }
        result
    }

    fn write(&mut self, made: &[(PathBuf, String)], changed: &[(PathBuf, String)]) -> Result<(), NewError> {
        let failed = |file: &Path| {
            let file = file.to_owned();
            move |error| NewError::File { what: "write", file, error }
        };
        for (file, text) in made {
            self.make(file, text.as_bytes()).map_err(failed(file))?;
        }
        // Everything is on disk before the first file is replaced.
        let mut ready = Vec::new();
        for (file, text) in changed {
            ready.push((file, self.prepare(file, text.as_bytes()).map_err(failed(file))?));
        }
        for (file, (new, replaced)) in ready {
            self.replace(&new, replaced).map_err(failed(file))?;
        }
        Ok(())
    }

    /// Writes a new file, and creates its folders.
    fn make(&mut self, file: &Path, bytes: &[u8]) -> std::io::Result<File> {
        let folder = folder_of(file);
        let missing = |folder: &&Path| folder.as_os_str() != "" && !folder.exists();
        let missing: Vec<&Path> = folder.ancestors().take_while(missing).collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder)?;
            self.0.push(Step::Folder(folder.to_owned()));
        }
        let mut new = File::create_new(file)?;
        self.0.push(Step::File(file.to_owned()));
        new.write_all(bytes)?;
        Ok(new)
    }

    /// Writes the replacement of a file beside it.
    fn prepare(&mut self, file: &Path, bytes: &[u8]) -> std::io::Result<(PathBuf, Replaced)> {
        let file = file.canonicalize()?;
        let (old, permissions) = (fs::read(&file)?, fs::metadata(&file)?.permissions());
        let new = self.beside(&file, bytes, &permissions)?;
        Ok((new, Replaced { file, old, permissions }))
    }

    fn beside(&mut self, file: &Path, bytes: &[u8], permissions: &Permissions) -> std::io::Result<PathBuf> {
        // The name has the process id, so a leftover of a killed process is not in the way.
        let mut path = file.as_os_str().to_owned();
        path.push(format!(".{}.{UNFINISHED}", std::process::id()));
        let path = PathBuf::from(path);
        let new = self.make(&path, bytes)?;
        new.set_permissions(permissions.clone())?;
        new.sync_all()?;
        Ok(path)
    }

    fn replace(&mut self, new: &Path, replaced: Replaced) -> std::io::Result<()> {
        fs::rename(new, &replaced.file)?;
        self.0.push(Step::Replaced(replaced));
        Ok(())
    }

    /// Undoes all steps. Errors are ignored: the caller reports the error that caused the undo, and what can't be undone stays.
    fn undo(mut self) {
        while let Some(step) = self.0.pop() {
            let _ = match step {
                Step::Folder(folder) => fs::remove_dir(folder),
                Step::File(file) => fs::remove_file(file),
                Step::Replaced(Replaced { file, old, permissions }) => {
                    let new = self.beside(&file, &old, &permissions);
                    new.and_then(|new| fs::rename(new, file))
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// The paths of a folder's files and of those in its subfolders, with their texts.
    fn files(folder: &Path) -> Vec<(PathBuf, Option<String>)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            }
            found.push((path.clone(), fs::read_to_string(path).ok()));
        }
        found.sort();
        found
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn existing_file_keeps_its_mode_and_links_and_no_temporary_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("real"), "old").unwrap();
        fs::set_permissions(path("real"), Permissions::from_mode(0o640)).unwrap();
        symlink("real", path("link")).unwrap();
        // A process that has the file open continues to read the old file.
        let mut open = File::open(path("real")).unwrap();
        Written::all(&[(path("a/b/made"), text("made"))], &[(path("link"), text("new"))]).unwrap();
        assert_eq!(std::io::read_to_string(&mut open).unwrap(), "old");
        assert_eq!(fs::read_to_string(path("real")).unwrap(), "new");
        assert_eq!(fs::metadata(path("real")).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        let names: Vec<PathBuf> = files(folder.path()).into_iter().map(|(path, _)| path).collect();
        assert_eq!(names, ["a", "a/b", "a/b/made", "link", "real"].map(path));
    }

    #[test]
    fn if_one_file_cannot_be_written_all_stays_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("components/theirs")).unwrap();
        fs::write(path("first"), "1").unwrap();
        fs::write(path("a-file"), "2").unwrap();
        let before = files(folder.path());
        let made = [(path("components/mine/src/lib.rs"), text("x")), (path("Cargo.lock"), text("y"))];
        let first = (path("first"), text("changed"));
        let in_a_file = (path("a-file/made"), text("z"));
        for (made, changed, wrong) in [
            ([&made[..], &[in_a_file]].concat(), vec![first.clone()], "a-file/made"),
            (made.to_vec(), vec![first.clone(), (path("missing"), text("z"))], "missing"),
            (made.to_vec(), vec![first.clone(), (path("components"), text("z"))], "components"),
        ] {
            let error = Written::all(&made, &changed).unwrap_err().to_string();
            assert!(error.contains(&*path(wrong).to_string_lossy()), "{error}");
            assert_eq!(files(folder.path()), before, "{wrong}");
        }
    }

    #[test]
    fn replaced_file_gets_its_old_text_and_mode_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("first");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let before = files(folder.path());
        let mut written = Written::default();
        written.write(&[(folder.path().join("a/made"), text("x"))], &[(file.clone(), text("new"))]).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        written.undo();
        assert_eq!(files(folder.path()), before);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
