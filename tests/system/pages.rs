//! Pages of `docs/` that a verb of the command line prints.

use bulkhead_tests::{Site, host, paths};

/// Fails if a page of the project is not what a verb prints for the shop.
#[track_caller]
pub(crate) fn is_up_to_date(page: &str, verb: &str) {
    let site = Site::shop();
    let made = host::run(&[verb, "--manifest", site.manifest().to_str().unwrap()]);
    assert_eq!(made.status.code(), Some(0), "{}", made.stderr);
    let file = paths::root().join(page);
    let kept = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{page}: {error}"));
    assert!(
        made.stdout == kept,
        "{page} is not what `bulkhead {verb}` prints. Renew it, in the project's folder:\n\
         bulkhead {verb} > {page}\nIt prints:\n{}",
        made.stdout
    );
}
