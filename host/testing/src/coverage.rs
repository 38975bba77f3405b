//! Which endpoints and subscriptions the tests of a service reach.
//!
//! The list of what there is comes from the component's own `describe`. What the tests reach is found by running them once more, in a
//! process of their own that writes down each request and each event: so there is no table that could be forgotten, and neither the order
//! of the tests nor how many processes they run in matters.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use bulkhead_runtime::Description;

use crate::hits::FOLDER_VARIABLE;
use crate::service::Service;

/// What is to be reached of a service; see [`coverage()`].
#[must_use = "nothing is checked until `.check()`"]
pub struct Coverage {
    service: String,
    tests: String,
    problems: Option<BTreeSet<String>>,
}

/// Fails unless each endpoint of a service's `describe` is answered with success in some test of this binary, and each of its subscriptions
/// and timers is taken in one.
///
/// ```no_run
/// // The body of a test, `every_endpoint_and_subscription_has_a_test` say.
/// bulkhead_testing::coverage("notes").check();
/// ```
pub fn coverage(service: &str) -> Coverage {
    Coverage { service: service.to_owned(), tests: String::new(), problems: None }
}

impl Coverage {
    /// Only tests whose names have these words are looked at: a module's, where a binary tests several services.
    pub fn tests(mut self, words: &str) -> Self {
        words.clone_into(&mut self.tests);
        self
    }

    /// Each problem that a route describes is to be met in a test as well, but for those with these codes.
    pub fn with_problems_but(mut self, codes: &[&str]) -> Self {
        self.problems = Some(codes.iter().map(|code| (*code).to_owned()).collect());
        self
    }

    /// Runs the tests once more, and compares.
    ///
    /// # Panics
    ///
    /// When something is not reached: all of it is named.
    #[track_caller]
    pub fn check(self) {
        // In the process that is run below: what is looked for is what the other tests reach.
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
        // Whether they succeed they tell by themselves.
        command.status().expect("the tests run once more");
        let files = std::fs::read_dir(folder.path()).expect("the folder can be read");
        let texts = files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    fn missing(&self, description: &Description, hits: &[String]) -> Vec<String> {
        let mut routers = std::collections::BTreeMap::<&str, matchit::Router<usize>>::new();
        for (place, route) in description.routes.iter().enumerate() {
            // A path that can't be a route has failed the load.
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
