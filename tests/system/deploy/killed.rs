//! A host that ends in the middle of a deploy, wherever: the next start finds one version with its own schema, and all that was
//! acknowledged.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::admin::until;
use bulkhead_tests::{Host, Random, Site, database, versions};

use super::notes::{Operator, Seen, Stored, Traffic, check_notes, label, manifest, serving};

const KILLS: u64 = 10;
/// The host is killed when so many deploys have ended at most, after so many further answers at most, and a moment more.
const DEPLOYS_MAX: u64 = 4;
const ANSWERS_MAX: u64 = 600;
const MOMENT_MAX_MICROS: u64 = 5_000;

/// What is under way when the host ends.
struct Change {
    /// What was deployed before, after version 1.
    before: Option<(u32, &'static str)>,
    /// What is deployed; none for the way back to version 1.
    deployed: Option<(u32, &'static str)>,
    /// What serves before it, and after it: the number, and whether it knows moods.
    from: (u64, bool),
    to: (u64, bool),
}

const PLAIN: Change = Change { before: None, deployed: Some((2, "plain")), from: (1, false), to: (2, false) };
const MIGRATES: Change =
    Change { before: None, deployed: Some((2, "column")), from: (1, false), to: (2, true) };
const GOES_BACK: Change =
    Change { before: Some((2, "column")), deployed: None, from: (2, true), to: (1, false) };

/// The points of a deploy before its version is there, and those after it.
const BEFORE: [&str; 7] = ["validated", "compiled", "tried", "rehearsed", "kept", "held", "written"];
const AFTER: [&str; 2] = ["committed", "switched"];
/// Of those before, the ones that there are only with migrations.
const WITH_MIGRATIONS: [&str; 2] = ["rehearsed", "held"];

/// Ends the host at each of the points.
fn crash_at_each(change: &Change) {
    let site = Site::new(&manifest());
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    let first = operator.versions("changing")[0]["version"].as_str().unwrap().to_owned();
    prepare(&site, change, &mut operator);
    host.stop();
    let mut seen = Seen::default();
    let migrates = change.from.1 != change.to.1;
    for point in BEFORE.iter().filter(|point| migrates || !WITH_MIGRATIONS.contains(point)) {
        crash_at(&site, change, point, &mut seen, |_| {});
        assert_eq!(recovered(&site, change, &first, &mut seen), change.from, "{point}");
    }
    for point in AFTER {
        let how = if change.deployed.is_some() { "deploy" } else { "rollback" };
        crash_at(&site, change, point, &mut seen, |activations| activations.push(how));
        assert_eq!(recovered(&site, change, &first, &mut seen), change.to, "{point}");
    }
}

/// Has that serve which is to serve before the change.
#[track_caller]
fn prepare(site: &Site, change: &Change, operator: &mut Operator) {
    if let Some((number, words)) = change.before {
        operator.deploy(&versions::changing(site, number, words));
    }
}

/// How each version came about that there is.
fn hows(activations: &[String]) -> Vec<&str> {
    activations.iter().filter_map(|activation| activation.rsplit(' ').next()).collect()
}

/// Makes the change, at whose `point` the host ends. `come` adds what is to be written of it.
#[track_caller]
fn crash_at(
    site: &Site,
    change: &Change,
    point: &str,
    seen: &mut Seen,
    come: impl FnOnce(&mut Vec<&'static str>),
) {
    let host = site.start_to_crash_at_deploy(point);
    let mut operator = Operator::of(site, &host);
    assert_eq!(serving(&mut host.client()), change.from, "{point}");
    let before = Stored::of(site).activations;
    let traffic = Traffic::start(&host);
    traffic.goes_on();
    let answer = match change.deployed {
        Some((number, words)) => {
            operator.try_deploy("changing", &versions::changing(site, number, words), "")
        }
        None => operator.try_roll_back(""),
    };
    if let Ok(answer) = answer {
        panic!("{point} was not reached: {answer}");
    }
    seen.notes.extend(traffic.end_with_host().notes);
    let ended = host.wait();
    assert!(ended.status.code().is_none(), "{point}: it ended by itself: {:?}", ended.status);
    let after = Stored::of(site).activations;
    assert_eq!(after[..before.len()], before, "{point}: what was is as it was");
    let mut expected = Vec::new();
    come(&mut expected);
    assert_eq!(hows(&after[before.len()..]), expected, "{point}");
}

/// Starts the host again, and checks that it is whole and goes on; gives what served at first. In the end all is prepared for another crash.
#[track_caller]
fn recovered(site: &Site, change: &Change, first: &str, seen: &mut Seen) -> (u64, bool) {
    let before = Stored::of(site).activations;
    let host = site.start();
    let mut operator = Operator::of(site, &host);
    let serves = serving(&mut host.client());
    assert_eq!(Stored::of(site).activations, before, "a start changes no version");
    check_active(site, &host, &mut operator);
    goes_on(site, &host, &mut operator, "column", seen);
    operator.roll_back(&format!("to={first}"));
    prepare(site, change, &mut operator);
    host.stop();
    serves
}

/// Checks that what serves is what the list says, and that nothing is left lying about.
#[track_caller]
fn check_active(site: &Site, host: &Host, operator: &mut Operator) {
    let last = operator.versions("changing").remove(0);
    let reported = host.client().get("/changing/version");
    assert_eq!(label(&reported), format!("changing@{}", last["version"].as_str().unwrap()));
    assert_eq!(last["kept"], true, "{last}");
    let left: Vec<String> =
        Stored::of(site).files.into_iter().filter(|file| !file.ends_with(".wasm")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Checks that what was acknowledged is there, and that another deploy works under a client that goes on.
#[track_caller]
fn goes_on(site: &Site, host: &Host, operator: &mut Operator, words: &str, seen: &mut Seen) {
    operator.until_consumed();
    check_notes(site, &seen.notes);
    let traffic = Traffic::start(host);
    operator.deploy(&versions::changing(site, 9, words));
    traffic.goes_on();
    seen.notes.extend(traffic.end().notes);
    assert_eq!(serving(&mut host.client()), (9, true));
    operator.until_consumed();
    check_notes(site, &seen.notes);
}

#[test]
fn deploy_without_migrations_is_atomic_wherever_the_host_crashes() {
    crash_at_each(&PLAIN);
}

#[test]
fn deploy_with_migrations_is_atomic_wherever_the_host_crashes() {
    crash_at_each(&MIGRATES);
}

#[test]
fn rollback_with_reverse_sql_is_atomic_wherever_the_host_crashes() {
    crash_at_each(&GOES_BACK);
}

/// Ends the host by `end` while a migration runs for seconds and requests wait; gives what serves after the next start.
#[track_caller]
fn end_in_a_pause(end: impl FnOnce(Host)) -> (u64, bool) {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut deployer) = (Operator::of(&site, &host), Operator::of(&site, &host));
    let traffic = Traffic::start(&host);
    traffic.goes_on();
    let file = versions::changing(&site, 2, "slow");
    let deploy = thread::spawn(move || deployer.try_deploy("changing", &file, "allow_pause=true"));
    until("requests wait for the migration", || {
        (operator.get("/api/deploys")["running"] == "switch").then_some(())
    });
    end(host);
    // Whether there was an answer before the end is a matter of chance where the host ends by itself.
    let _ = deploy.join().unwrap();
    let mut seen = traffic.end_with_host();
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    let serves = serving(&mut host.client());
    check_active(&site, &host, &mut operator);
    // The column has come in this way, or is to come in the other.
    let words = if serves.1 { "slow" } else { "column" };
    goes_on(&site, &host, &mut operator, words, &mut seen);
    host.stop();
    serves
}

#[test]
fn migration_during_which_the_host_is_killed_has_no_effect() {
    assert_eq!(end_in_a_pause(Host::kill), (1, false));
}

#[test]
fn host_that_is_stopped_while_requests_wait_for_a_migration_ends_cleanly() {
    let serves = end_in_a_pause(|host| {
        host.stop();
    });
    assert!([(1, false), (2, true)].contains(&serves), "{serves:?}");
}

/// Deploys one version after another, with migrations and without, and goes back now and then, until the host is gone. Counts what ended
/// well.
fn deploy_until_it_ends(
    mut operator: Operator,
    mut random: Random,
    ended: &AtomicU64,
    files: impl Iterator<Item = [PathBuf; 2]>,
) {
    for two in files {
        let chosen = &two[usize::from(random.below(2) == 0)];
        let asked = if random.below(3) == 0 {
            operator.try_roll_back("")
        } else {
            operator.try_deploy("changing", chosen, "")
        };
        let asked = match asked {
            // What is active has a step more: back is the way to a version without it.
            Ok(answer) if answer.status == 422 => operator.try_roll_back(""),
            other => other,
        };
        match asked {
            Err(_) => return,
            Ok(answer) if answer.status == 404 => assert!(answer.to_string().contains("no other version")),
            Ok(answer) => assert_eq!(answer.expect(200)["outcome"], "deployed"),
        }
        ended.fetch_add(1, Ordering::Release);
    }
}

#[test]
fn host_killed_during_deploys_always_has_one_active_version() {
    let site = Arc::new(Site::new(&manifest()));
    let mut random = Random::new();
    let mut seen = Seen::default();
    for kill in 0..KILLS {
        let host = site.start();
        let traffic = Traffic::start(&host);
        traffic.goes_on();
        let ended = Arc::new(AtomicU64::new(0));
        let deployer = thread::spawn({
            let (operator, ended, site) = (Operator::of(&site, &host), Arc::clone(&ended), Arc::clone(&site));
            let random = Random::of_seed(random.number());
            move || {
                let numbers = (u32::try_from(kill).unwrap() * 1000 + 2)..;
                let files = numbers
                    .map(|number| ["plain", "column"].map(|words| versions::changing(&site, number, words)));
                deploy_until_it_ends(operator, random, &ended, files);
            }
        });
        let deploys = random.below(DEPLOYS_MAX);
        until("deploys end", || {
            (ended.load(Ordering::Acquire) >= deploys || deployer.is_finished()).then_some(())
        });
        let answers = traffic.answers() + random.below(ANSWERS_MAX);
        until("a client goes on", || (traffic.answers() >= answers || deployer.is_finished()).then_some(()));
        spin_for(Duration::from_micros(random.below(MOMENT_MAX_MICROS)));
        host.kill();
        deployer.join().unwrap();
        let more = traffic.end_with_host();
        assert!(ended.load(Ordering::Acquire) >= deploys);
        seen.notes.extend(more.notes);

        let host = site.start();
        let mut operator = Operator::of(&site, &host);
        let (_, has_mood) = serving(&mut host.client());
        check_active(&site, &host, &mut operator);
        let steps = "SELECT max(version) FROM _bulkhead_migration";
        let applied = database::number(&database::open(&site.database("changing")), steps);
        assert_eq!(applied, 1 + i64::from(has_mood), "kill {kill}");
        operator.until_consumed();
        check_notes(&site, &seen.notes);
        host.stop();
    }
    let host = site.start();
    goes_on(&site, &host, &mut Operator::of(&site, &host), "column", &mut seen);
    host.stop();
}

/// A moment too short to be left to a scheduler.
fn spin_for(moment: Duration) {
    let started = Instant::now();
    while started.elapsed() < moment {
        std::hint::spin_loop();
    }
}
