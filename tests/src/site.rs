//! A place to run a host in: a folder of its own with a manifest and a data folder, which goes when the test ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Pid;
use tempfile::TempDir;

use crate::compiled;
use crate::host::{self, Finished, Host};
use crate::manifest::Manifest;
use crate::paths::text;

/// A folder with a manifest and a data folder.
#[derive(Debug)]
pub struct Site {
    /// It goes when the last host that runs in it has gone as well.
    folder: Arc<TempDir>,
}

impl Site {
    /// A site with this manifest.
    pub fn new(manifest: &Manifest) -> Site {
        Site::of_text(&manifest.text())
    }

    /// A site with the shop.
    pub fn shop() -> Site {
        Site::new(&Manifest::shop())
    }

    /// A site with the guests that misbehave.
    pub fn guests() -> Site {
        Site::new(&Manifest::guests())
    }

    /// A site whose manifest has this very text.
    pub fn of_text(text: &str) -> Site {
        let folder = tempfile::Builder::new().prefix("bulkhead-test-").tempdir().expect("a temporary folder");
        let site = Site { folder: Arc::new(folder) };
        site.write_manifest(text);
        std::fs::create_dir(site.data()).expect("a data folder can be made");
        compiled::bring(&site.data());
        site
    }

    /// Replaces the manifest.
    pub fn write_manifest(&self, text: &str) {
        std::fs::write(self.manifest(), text).expect("the manifest can be written");
    }

    /// A path in the site's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The manifest's path.
    pub fn manifest(&self) -> PathBuf {
        self.path("bulkhead.toml")
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A service's database file.
    pub fn database(&self, service: &str) -> PathBuf {
        self.data().join(format!("{service}.db"))
    }

    /// Starts a host and waits until it listens.
    #[track_caller]
    pub fn start(&self) -> Host {
        self.start_with(&[])
    }

    /// The same with further arguments.
    #[track_caller]
    pub fn start_with(&self, arguments: &[&str]) -> Host {
        Host::start(&self.manifest(), &self.data(), arguments, Arc::clone(&self.folder))
    }

    /// Starts a host with these arguments and variables alone.
    #[track_caller]
    pub fn start_as(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Host {
        match Host::try_start_as(arguments, environment, Arc::clone(&self.folder)) {
            Ok(host) => host,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// Starts a host in the site's folder with these arguments alone: so the manifest is found by its name.
    #[track_caller]
    pub fn start_within(&self, arguments: &[&str]) -> Host {
        Host::start_in(self.folder.path(), arguments, Arc::clone(&self.folder))
    }

    /// Runs `bulkhead` with these arguments in the site's folder, to its end.
    #[track_caller]
    pub fn run_within(&self, arguments: &[&str]) -> Finished {
        host::run_in(self.folder.path(), arguments)
    }

    /// Starts a host that ends itself at a commit: `7:before`, `7:after`. None where it ended before it listened.
    pub fn start_to_crash(&self, at: &str) -> Option<Host> {
        self.try_start_in(&[("BULKHEAD_CRASH_AT_COMMIT", at)]).ok()
    }

    /// Starts a host that ends itself at this point of a deploy: `rehearsed`, `written`.
    #[track_caller]
    pub fn start_to_crash_at_deploy(&self, point: &str) -> Host {
        self.try_start_in(&[("BULKHEAD_CRASH_AT_DEPLOY", point)]).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Starts a host of which a thread panics: `THREAD@POINT*TIMES`, and more of them behind commas.
    #[track_caller]
    pub fn start_to_panic(&self, at: &str) -> Host {
        self.try_start_in(&[("BULKHEAD_PANIC_AT", at)]).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Starts a host whose wall clock is set by so many milliseconds, forward or back: see [`Self::set_clock_by`].
    #[track_caller]
    pub fn start_with_clock_set_by(&self, milliseconds: i64) -> Host {
        self.set_clock_by(milliseconds);
        let file = self.path("clock");
        self.try_start_in(&[("BULKHEAD_CLOCK_SET_BY", text(&file))])
            .unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Sets the wall clock of the host that was started so: by so much it is then apart from the machine's.
    pub fn set_clock_by(&self, milliseconds: i64) {
        // Whole or not at all: the host reads it whenever it wants to know the time.
        let (file, new) = (self.path("clock"), self.path("clock.new"));
        std::fs::write(&new, milliseconds.to_string()).expect("the clock can be set");
        std::fs::rename(&new, &file).expect("the clock can be set");
    }

    /// Starts a host that writes to `stderr` what it has to say.
    #[track_caller]
    pub fn start_saying_to(&self, arguments: &[&str], stderr: impl Into<Stdio>) -> Host {
        let (manifest, data) = (self.manifest(), self.data());
        let mut all = vec!["up", "--manifest", text(&manifest), "--data", text(&data)];
        all.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        all.extend(arguments);
        match Host::try_start_saying_to(&all, stderr.into(), Arc::clone(&self.folder)) {
            Ok(host) => host,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// Starts a host that ends itself at this point of a fill of replicas, at its start or later: `staged`, `filled`. None where it ended before
    /// it listened.
    pub fn start_to_crash_at_fill(&self, point: &str) -> Option<Host> {
        self.try_start_in(&[("BULKHEAD_CRASH_AT_DEPLOY", point)]).ok()
    }

    /// Starts a host, and does something with its process before it is waited for.
    #[track_caller]
    pub fn start_while(&self, meanwhile: impl FnOnce(Pid)) -> Host {
        Host::try_start_while(&self.manifest(), &self.data(), Arc::clone(&self.folder), meanwhile)
            .unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Starts a host, and kills it after so long, or as soon as it listens.
    pub fn kill_while_starting(&self, after: Duration) {
        host::kill_while_starting(&self.manifest(), &self.data(), after);
    }

    fn try_start_in(&self, environment: &[(&str, &str)]) -> Result<Host, String> {
        Host::try_start(&self.manifest(), &self.data(), &[], environment, Arc::clone(&self.folder))
    }

    /// A copy of the site as it is now, with a folder of its own. No host may run in it.
    pub fn copy(&self) -> Site {
        let copy =
            Site::of_text(&std::fs::read_to_string(self.manifest()).expect("the manifest can be read"));
        for entry in std::fs::read_dir(self.data()).expect("the data folder can be read") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_file() {
                std::fs::copy(entry.path(), copy.data().join(entry.file_name()))
                    .expect("a file can be copied");
            }
        }
        copy
    }

    /// Runs `bulkhead up` where it is expected to give up by itself.
    #[track_caller]
    pub fn fail_to_start(&self) -> Finished {
        self.fail_to_start_in(&self.data())
    }

    /// The same with another data folder.
    #[track_caller]
    pub fn fail_to_start_in(&self, data: &Path) -> Finished {
        host::run(&[
            "up",
            "--manifest",
            text(&self.manifest()),
            "--data",
            text(data),
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ])
    }
}
