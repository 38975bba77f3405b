//! A manifest's mistakes are reported all at once, each with its line and what to do.

use bulkhead_tests::{Finished, Manifest, Site, paths};

/// Checks that each of these lines of the manifest is pointed at, with these words on the same line of the message or a later one.
#[track_caller]
fn points_at(finished: &Finished, mistakes: &[(usize, &str)]) {
    for &(line, word) in mistakes {
        let places = [format!("bulkhead.toml:{line}"), format!("line {line}")];
        let found = places.iter().filter_map(|place| finished.stderr.find(place.as_str())).min();
        let found = found.unwrap_or_else(|| panic!("line {line} is not pointed at:\n{}", finished.stderr));
        assert!(
            finished.stderr[found..].contains(word) || finished.stderr[..found].contains(word),
            "{word:?} of line {line} is not in:\n{}",
            finished.stderr
        );
    }
}

#[test]
fn five_mistakes_are_listed_at_once_with_their_lines() {
    let component = paths::component("product");
    let text = format!(
        r#"[application]
name = "shop"
listen = "nowhere"

[service.product]
source = "{}"
routes = ["products"]
database = "product.db"
colour = "blue"
publishes = ["product.changed", "product.deleted", "category.changed"]

[service.product.limits]
memory = "64"
"#,
        component.display()
    );
    let site = Site::of_text(&text);
    let mistakes = [(3, "listen"), (7, "routes"), (8, "sqlite:"), (9, "colour"), (13, "memory")];
    let finished = site.fail_to_start();
    finished.says(1, &[]);
    points_at(&finished, &mistakes);
}

#[test]
fn entries_that_contradict_the_component_are_reported_at_their_line() {
    let manifest = Manifest::changing()
        .only(&["changing"])
        .set("service.changing.publishes", vec!["changing.other"])
        .set("service.changing.subscribes", vec!["changing.never"]);
    let text = manifest.text();
    let place = |key: &str| {
        let line = text.lines().position(|line| line.starts_with(key)).expect("the entry") + 1;
        format!("bulkhead.toml:{line}: service.changing: ")
    };
    Site::new(&manifest).fail_to_start().says(
        1,
        &[
            &format!("{}the component publishes changing.noted", place("publishes")),
            &format!("{}the manifest has it subscribe to changing.never", place("subscribes")),
        ],
    );
}

#[test]
fn each_mistake_is_reported() {
    let table: [(&str, toml::Value, &str); 7] = [
        ("service.product.limits.queue", 0.into(), "queue"),
        ("service.product.limits.queue", "many".into(), "queue"),
        ("service.product.limits.memory", "1 TiB".into(), "memory"),
        ("service.product.limits.request_timeout", "2".into(), "request_timeout"),
        ("service.product.instances", "sometimes".into(), "instances"),
        ("service.product.calls", vec!["nobody"].into(), "nobody"),
        ("service.product.database", "postgres:shop".into(), "sqlite:"),
    ];
    for (path, value, word) in table {
        let finished = Site::new(&Manifest::shop().set(path, value.clone())).fail_to_start();
        assert_eq!(finished.status.code(), Some(1), "{path} = {value} was taken: {}", finished.stderr);
        finished.says(1, &[word]);
    }
}

#[test]
fn a_syntax_error_is_shown_with_its_line() {
    let finished = Site::of_text("[application]\nname = \"shop\"\nlisten = \n").fail_to_start();
    finished.says(1, &[]);
    points_at(&finished, &[(3, "TOML")]);
}

#[test]
fn two_services_with_one_route_are_refused() {
    let manifest = Manifest::shop()
        .and(Manifest::guests().only(&["hostile"]))
        .set("service.hostile.routes", vec!["/notes/...", "/hostile/...", "/products/..."]);
    Site::new(&manifest).fail_to_start().says(1, &["/products/...", "product", "hostile"]);
}

#[test]
fn services_that_call_in_a_cycle_are_refused() {
    let manifest = Manifest::guests().set("service.hostile.calls", vec!["relay"]);
    Site::new(&manifest).fail_to_start().says(1, &["calls", "hostile", "relay"]);
}
