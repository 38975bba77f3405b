//! What the command line prints of deploys, versions and the way back, as the one who typed it reads it.

use bulkhead_tests::{Finished, Site, host, versions};

use super::notes::{Operator, manifest, serving};
use crate::admin::{bulkhead, bulkhead_json};

/// Lines of words, without the times.
fn lines(finished: &Finished) -> Vec<Vec<String>> {
    assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(0), ""), "{}", finished.stdout);
    let is_time = |word: &str| {
        word.chars().all(|letter| letter.is_ascii_digit() || letter == '.') && word.contains('.')
    };
    let shown =
        |word: &str| if is_time(word.trim_start_matches('(')) { "#".to_owned() } else { word.to_owned() };
    finished.stdout.lines().map(|line| line.split_whitespace().map(shown).collect()).collect()
}

fn joined(finished: &Finished) -> Vec<String> {
    lines(finished).iter().map(|words| words.join(" ")).collect()
}

#[test]
fn deploy_reports_its_steps_and_outcome() {
    let site = Site::new(&manifest());
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    let first = operator.versions("changing")[0]["version"].as_str().unwrap().to_owned();
    let run = |arguments: &[&str]| bulkhead(&site, &host, arguments);
    let plain = versions::changing(&site, 2, "plain");
    let plain = plain.to_str().unwrap();
    let deployed = joined(&run(&["deploy", "changing", plain, "--author", "Ada", "--note", "the second"]));
    let second = operator.versions("changing")[0]["version"].as_str().unwrap().to_owned();
    let size = std::fs::metadata(plain).unwrap().len().div_ceil(1024);
    assert_eq!(
        deployed,
        [
            &format!("validate # ms {size} KiB"),
            "compile # ms",
            "try # ms",
            "keep # ms",
            "switch # ms",
            &format!("changing@{second} serves, after {first} # ms; on probation for 10 s)"),
            "if too many of its handlers fail meanwhile it goes back by itself: `bulkhead versions changing` tells; --wait waits for that",
        ]
    );
    let again = joined(&run(&["deploy", "changing", plain]));
    assert_eq!(
        again.last().unwrap(),
        &format!("changing@{second} is the active version already: nothing was done")
    );
    let forced = joined(&run(&["deploy", "changing", plain, "--force"]));
    let served = format!("changing@{second} serves, after {second} ");
    assert!(forced.iter().any(|line| line.starts_with(&served)), "{forced:?}");

    let column = versions::changing(&site, 3, "column");
    let column = column.to_str().unwrap();
    let tried = joined(&run(&["deploy", "changing", column, "--dry-run"]));
    assert_eq!(
        tried[..12],
        [
            &format!("validate # ms {size} KiB"),
            "compile # ms",
            "try # ms",
            "rehearse # ms V0002 in # ms",
            "",
            "MIGRATION NAME UNDONE MS",
            "2 add_mood false #",
            "",
            "TABLE ROWS BEFORE AFTER",
            "note 0 0",
            "",
            tried.last().unwrap(),
        ]
    );
    let end = format!(" could be deployed # ms); {second} serves on: it was a dry run");
    assert!(tried[11].starts_with("changing@") && tried[11].ends_with(&end), "{tried:?}");
    let deployed = joined(&run(&["deploy", "changing", column]));
    let third = operator.versions("changing")[0]["version"].as_str().unwrap().to_owned();
    assert_eq!(
        deployed.last().unwrap(),
        &format!("changing@{third} serves, after {second} # ms; requests waited for # ms)")
    );
    let back = joined(&run(&["rollback", "changing", "--to", &first[..6], "--note", "away"]));
    assert!(back.contains(&"2 add_mood true #".to_owned()), "{back:?}");
    assert_eq!(
        back.last().unwrap(),
        &format!("changing@{first} serves, after {third} # ms; requests waited for # ms)")
    );
    assert_eq!(serving(&mut host.client()), (1, false));

    // What can't be undone is said before it is done.
    let irreversible = versions::changing(&site, 4, "irreversible");
    let irreversible = ["deploy", "changing", irreversible.to_str().unwrap(), "--dry-run"];
    let warned = joined(&run(&irreversible));
    let warning = format!(
        "warning: V0002__add_mood has no reverse SQL: once it was made, `bulkhead rollback changing` can't go back to {first}"
    );
    assert!(warned.iter().any(|line| line.starts_with(&warning)), "{warned:?}");
    let report = bulkhead_json(&site, &host, &irreversible);
    assert_eq!(report["migrations"][0]["reversible"], false);
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);

    // And so is a statement of the code that the schema does not suit.
    let (good, bad) = (b"SELECT count(*) FROM note", b"SELECT count(*) FROM nota");
    let mut component = std::fs::read(versions::changing(&site, 5, "plain")).unwrap();
    let place = component.windows(good.len()).position(|bytes| bytes == good).expect("the statement");
    component[place..place + good.len()].copy_from_slice(bad);
    let file = site.path("nota.wasm");
    std::fs::write(&file, component).unwrap();
    let warned = joined(&run(&["deploy", "changing", file.to_str().unwrap(), "--dry-run"]));
    let warning = "warning: the component has the statement `SELECT count(*) FROM nota`, and the schema does not suit it: no such table: nota";
    assert!(warned.iter().any(|line| line == warning), "{warned:?}");
    host.stop();
}

#[test]
fn versions_are_listed_in_columns_and_as_json() {
    let site = Site::new(&manifest());
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    let file = versions::changing(&site, 2, "plain");
    let arguments = ["deploy", "changing", file.to_str().unwrap(), "--author", "Ada", "--note", "the second"];
    assert_eq!(bulkhead(&site, &host, &arguments).status.code(), Some(0));
    let listed = operator.versions("changing");
    let text = |place: usize, member: &str| listed[place][member].as_str().unwrap().to_owned();
    let printed = bulkhead(&site, &host, &["versions", "changing"]);
    let expected: Vec<Vec<String>> = [
        vec!["VERSION", "ACTIVE", "KEPT", "SINCE", "HOW", "AUTHOR", "NOTE"],
        vec![&text(0, "version"), "true", "true", &text(0, "at"), "deploy", "Ada", "the", "second"],
        vec![&text(1, "version"), "false", "true", &text(1, "at"), "start"],
    ]
    .iter()
    .map(|row| row.iter().map(|word| (*word).to_owned()).collect())
    .collect();
    assert_eq!(lines(&printed), expected);
    // The columns stand below their titles.
    let column = |line: &str, word: &str| line.find(word).unwrap();
    let rows: Vec<&str> = printed.stdout.lines().collect();
    assert_eq!(column(rows[0], "HOW"), column(rows[1], "deploy"));
    assert_eq!(column(rows[0], "HOW"), column(rows[2], "start"));

    let json = bulkhead_json(&site, &host, &["versions", "changing"]);
    assert_eq!(json["items"].as_array().unwrap(), &listed);
    let back = bulkhead_json(&site, &host, &["rollback", "changing"]);
    assert_eq!((&back["outcome"], &back["version"]), (&"deployed".into(), &listed[1]["version"]));
    let again = bulkhead_json(&site, &host, &["deploy", "changing", file.to_str().unwrap()]);
    assert_eq!((&again["outcome"], &again["version"]), (&"deployed".into(), &listed[0]["version"]));
    host.stop();
}

/// However many reasons there are: whoever reads the log by lines has all of it.
#[test]
fn refused_deploy_is_one_log_line() {
    let site = Site::new(&manifest());
    let host = site.start();
    // Of another service: with many things that are not granted here.
    let order = bulkhead_tests::paths::component("order");
    let finished = bulkhead(&site, &host, &["deploy", "changing", order.to_str().unwrap()]);
    finished.says(1, &["error: the host refused: "]);
    assert!(finished.stderr.lines().count() > 5, "each reason has a line of its own: {}", finished.stderr);
    let log = host.stop().stderr;
    let refusals: Vec<&str> = log.lines().filter(|line| line.contains("a deploy was refused")).collect();
    let [line] = refusals[..] else { panic!("{log}") };
    for text in ["service=\"changing\"", "version=\"", "`calls`", "publishes order.placed"] {
        assert!(line.contains(text), "{text} is not in {line}");
    }
    for line in log.lines() {
        assert!(line.starts_with("20"), "no line of the log begins so: {line}");
    }
}

#[test]
fn refusals_go_to_standard_error_with_exit_status_1() {
    let site = Site::new(&manifest());
    let host = site.start();
    let made = |words: &str| versions::changing(&site, 2, words).to_str().unwrap().to_owned();
    let letter = versions::not_a_component(&site).to_str().unwrap().to_owned();
    let missing = site.path("missing.wasm").to_str().unwrap().to_owned();
    let table: [(&[&str], &[&str]); 9] = [
        (&["deploy", "changing", &letter], &["the host refused: ", "not WebAssembly"]),
        (&["deploy", "changing", &made("half")], &["the host refused: ", "V0002__add_mood"]),
        (&["deploy", "changing", &missing], &["read the component", "missing.wasm", "No such file"]),
        (&["deploy", "nobody", &made("plain")], &["the host refused: ", "no service \"nobody\""]),
        (
            &["rollback", "changing"],
            &["the host refused: ", "no other version", "bulkhead versions changing"],
        ),
        (&["rollback", "changing", "--to", "abcdef"], &["the host refused: ", "no version \"abcdef\""]),
        (&["rollback", "no/body"], &["the host refused: ", "no service \"no/body\""]),
        (&["versions", "nobody"], &["the host refused: ", "no service \"nobody\""]),
        (&["deploy", "changing", &made("half"), "--json"], &["the host refused: ", "V0002__add_mood"]),
    ];
    for (arguments, texts) in table {
        let finished = bulkhead(&site, &host, arguments);
        finished.says(1, texts);
        // Nothing failed where the host said no.
        let begins =
            if texts[0].contains("refused") { "error: the host refused: " } else { "error: failed to " };
        assert!(finished.stderr.starts_with(begins), "{}", finished.stderr);
        assert!(!finished.stderr.contains("answered"), "{}", finished.stderr);
        assert_eq!(finished.stdout, "", "{arguments:?}");
    }
    // Where no file is named it is that of the manifest's source.
    let manifest = site.manifest();
    let manifest = ["--manifest", manifest.to_str().unwrap()];
    let of_source = |service: &str| bulkhead(&site, &host, &[&["deploy", service][..], &manifest].concat());
    let active = of_source("changing");
    assert!(
        active.stdout.ends_with("is the active version already: nothing was done\n"),
        "{}",
        active.stderr
    );
    of_source("nobody").says(1, &["has no such service", "it has", "changing"]);
    host.stop();
    let data = site.data();
    let manifest = site.manifest();
    let finished = host::run(&[
        "versions",
        "changing",
        "--manifest",
        manifest.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    finished.says(1, &["error: failed to", "does it run"]);
}
