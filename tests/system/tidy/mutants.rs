//! The list of deliberate bugs still fits the services.

use std::collections::BTreeSet;

use bulkhead_tests::mutants::MUTANTS;
use bulkhead_tests::paths;

use super::{nothing_of, read};

#[test]
fn every_deliberate_bug_can_be_inserted_where_the_list_says() {
    let root = paths::root();
    let found: Vec<String> =
        MUTANTS.iter().filter_map(|mutant| mutant.apply(&read(&mutant.path(&root))).err()).collect();
    nothing_of(&found, "bugs of tests/src/mutants.rs that can't be put into the services any more");
}

#[test]
fn every_service_has_deliberate_bugs_and_their_names_are_unique() {
    let services: BTreeSet<&str> = MUTANTS.iter().map(|mutant| mutant.service).collect();
    assert_eq!(services.into_iter().collect::<Vec<_>>(), ["order", "product", "report", "user"]);
    let names: BTreeSet<&str> = MUTANTS.iter().map(|mutant| mutant.name).collect();
    assert_eq!(names.len(), MUTANTS.len());
}
