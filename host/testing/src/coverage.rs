//! Which endpoints and subscriptions the tests of a service reach.
//!
//! The list of endpoints and subscriptions comes from the component's own `describe`. To find what the tests reach, the check runs them
//! once more, in a separate process that records each request and each event. So there is no table to maintain by hand, and neither the
//! order of the tests nor the number of their processes matters.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use bulkhead_runtime::Description;

use crate::hits::FOLDER_VARIABLE;
use crate::service::Service;

/// What the tests of a service must reach; see [`coverage()`].
#[must_use = "nothing is checked until `.check()`"]
pub struct Coverage {
    service: String,
    tests: String,
    problems: Option<BTreeSet<String>>,
}

/// Fails unless the tests of this binary reach everything: some test must get a successful answer from each endpoint of the service's
/// `describe`, and some test must deliver each of its subscriptions and timers.
///
/// ```no_run
/// // The body of a test, `every_endpoint_and_subscription_has_a_test` say.
/// bulkhead_testing::coverage("notes").check();
/// ```
pub fn coverage(service: &str) -> Coverage {
    Coverage { service: service.to_owned(), tests: String::new(), problems: None }
}

impl Coverage {
    /// Only tests whose names contain this text count, for example a module's name if a binary tests several services.
    pub fn tests(mut self, words: &str) -> Self {
        words.clone_into(&mut self.tests);
        self
    }

    /// Each problem that a route describes must also occur in a test, except those with these codes.
    pub fn with_problems_but(mut self, codes: &[&str]) -> Self {
        self.problems = Some(codes.iter().map(|code| (*code).to_owned()).collect());
        self
    }

    /// Runs the tests once more, and compares.
    ///
    /// # Panics
    ///
    /// When something is not reached. The message names all of it.
    #[track_caller]
    pub fn check(self) {
        // In the child process below there is nothing to check: the check is about what the other tests reach.
        if std::env::var_os(FOLDER_VARIABLE).is_some() {
            return;
        }
        let description = Service::start(&self.service).description();
        let hits = self.hits();
        let missing = self.missing(&description, &hits);
        assert!(
            missing.is_empty(),
            "no test of {} reaches these, and each is to have one:\n  {}",
            self.service,
            missing.join("\n  ")
        );
    }

    /// The lines that the tests write.
    #[track_caller]
    fn hits(&self) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let program = std::env::current_exe().expect("a test knows its program");
        let mut command = Command::new(program);
        command
            .arg("--quiet")
            .env(FOLDER_VARIABLE, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if !self.tests.is_empty() {
            command.arg(&self.tests);
        }
        // The tests report their success or failure in their own run.
        command.status().expect("the tests run once more");
        let files = std::fs::read_dir(folder.path()).expect("the folder can be read");
        let texts = files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    fn missing(&self, description: &Description, hits: &[String]) -> Vec<String> {
        let mut routers = std::collections::BTreeMap::<&str, matchit::Router<usize>>::new();
        for (place, route) in description.routes.iter().enumerate() {
            // A path that is not a valid route has already failed the load.
            let _ = routers.entry(&route.method).or_default().insert(route.path.as_str(), place);
        }
        let (mut reached, mut met, mut events) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for hit in hits {
            match hit.split('\t').collect::<Vec<_>>()[..] {
                ["request", service, method, path, status, code] if service == self.service => {
                    let found = routers.get(method).and_then(|routes| routes.at(path).ok());
                    let Some(place) = found.map(|found| *found.value) else { continue };
                    if status < "400" {
                        reached.insert(place);
                    } else {
                        met.insert((place, code.to_owned()));
                    }
                }
                ["event", service, kind] if service == self.service => drop(events.insert(kind)),
                _ => {}
            }
        }
        let mut missing = Vec::new();
        for (place, route) in description.routes.iter().enumerate() {
            if !reached.contains(&place) {
                missing.push(format!("{} {}", route.method, route.path));
            }
            let Some(but) = &self.problems else { continue };
            for problem in route.problems.iter().filter(|problem| !but.contains(&problem.code)) {
                if !met.contains(&(place, problem.code.clone())) {
                    missing.push(format!("{} {}: the problem {}", route.method, route.path, problem.code));
                }
            }
        }
        let subscriptions = description.subscribes.iter().filter(|kind| !events.contains(kind.as_str()));
        missing.extend(subscriptions.map(|kind| format!("the subscription to {kind}")));
        missing
    }
}
