//! Commits that fail. If the sync of a commit fails after its frames were written, a crash brings the commit back, unless a later commit
//! has succeeded.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_store::{
    Abort, Commit, CommitFault, Ended, Fate, Migration, Migrations as _, Settings, StatementError, Value,
    Writer as _, WriterOptions, recover,
};

use super::{SCHEMA, World, add, durable, honest, note_in, soon, world, world_at};
use crate::Database;
use crate::failing_sync::{FailingSync, crashed, read};

const NOTES: &str = "SELECT id FROM note WHERE id <> 'there' ORDER BY rowid";

/// A world with a note in it, and the syncs of its WAL.
fn failing_world() -> (World, FailingSync) {
    let folder = tempfile::tempdir().unwrap();
    let syncs = FailingSync::of(&folder.path().join("a.db"));
    let world = world_at(folder, 1 << 30);
    durable(add(&world, None, "a").commit());
    (world, syncs)
}

fn aborted(commit: Commit<&'static str>) -> Vec<&'static str> {
    match commit {
        Commit::Aborted { members, abort: Abort::Commit(_) } => members,
        other => panic!("{other:?}"),
    }
}

#[test]
fn commit_that_fails_after_it_was_durable_is_found_durable() {
    let world = world();
    let mut lease = add(&world, None, "a");
    world.faults.plan(CommitFault::AfterDurable);
    assert_eq!(durable(lease.commit()), ["a"]);
    drop(add(&world, Some(lease), "b").commit());
    assert_eq!(world.notes(), ["a", "b"]);
    assert_eq!(world.events(), ["a", "b"]);
}

#[test]
fn commit_that_fails_before_it_is_durable_is_retried_once_and_then_given_up() {
    let world = world();
    let mut lease = add(&world, None, "a");
    world.faults.plan(CommitFault::BeforeDurable);
    let Commit::Aborted { members, .. } = lease.commit() else { panic!("not aborted") };
    assert!(world.notes().is_empty());
    let mut fates = Vec::new();
    let mut lease = recover(lease, members, honest, note_in(&mut fates));
    assert_eq!(fates, [("a", Fate::Durable)]);

    // A neighbour's commit must not be taken for the member's own: the numbers continue.
    lease = add(&world, Some(lease), "b");
    world.faults.plan(CommitFault::BeforeDurable);
    let Commit::Aborted { members, .. } = lease.commit() else { panic!("not aborted") };
    world.faults.plan(CommitFault::BeforeDurable);
    fates.clear();
    recover(lease, members, honest, note_in(&mut fates));
    assert!(matches!(fates.as_slice(), [("b", Fate::Aborted(Abort::Commit(_)))]), "{fates:?}");
    assert_eq!(world.notes(), ["a"]);
}

#[test]
fn commit_whose_sync_failed_is_undone_permanently_before_anyone_is_notified() {
    let (world, syncs) = failing_world();
    let mut lease = add(&world, None, "b");
    syncs.fail(1);
    assert_eq!(aborted(lease.commit()), ["b"]);
    assert_eq!(read(&syncs.copy_at_failure(), NOTES), ["a", "b"], "it would have been back");
    assert_eq!(world.notes(), ["a"]);
    assert_eq!(read(&crashed(&world.path), NOTES), ["a"], "it is never back");

    let mut fates = Vec::new();
    recover(lease, vec!["b"], honest, note_in(&mut fates));
    assert_eq!(fates, [("b", Fate::Durable)]);
    assert_eq!(read(&crashed(&world.path), NOTES), ["a", "b"]);
}

#[test]
fn outcome_is_unknown_and_nothing_is_written_until_a_later_commit_succeeds() {
    let (world, syncs) = failing_world();
    let mut lease = add(&world, None, "b");
    syncs.fail(usize::MAX);
    let Commit::Unknown { members, .. } = lease.commit() else { panic!("it is notified") };
    assert_eq!(members, ["b"]);
    let Err((mut lease, error)) = lease.begin() else { panic!("it is written to") };
    assert_eq!(error, StatementError::Busy);
    assert_eq!(durable(lease.commit()), Vec::<&str>::new());

    syncs.fail(0);
    let mut lease = add(&world, Some(lease), "c");
    assert_eq!(durable(lease.commit()), ["c"]);
    assert_eq!(read(&crashed(&world.path), NOTES), ["a", "c"]);
    assert_eq!(world.notified(), ["a", "c"]);
}

/// If nobody else has the database open, the index is deleted with the connection. The next connection finds the batch in the WAL, on pages
/// that the operating system believes to be on the disk.
#[test]
fn commit_whose_sync_failed_is_durable_if_the_wal_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let syncs = FailingSync::of(&path);
    let database = Database::open(Settings { path: path.clone(), storage: 1 << 30 }).unwrap();
    let schema = Migration { version: 1, name: "n".into(), sql: SCHEMA.into(), reverse: None };
    database.migrate(&[schema], "now").unwrap();
    let options = WriterOptions { batch_age: Duration::from_secs(60), ..WriterOptions::default() };
    let writer = crate::Writer::open(Arc::clone(&database), options, Arc::new(|_| {})).unwrap();
    let one = |id| {
        let (mut lease, ended) = honest(writer.acquire(soon()).unwrap(), &mut { id });
        assert!(matches!(ended, Some(Ended::Kept { .. })));
        lease.push(id);
        lease.commit()
    };
    durable(one("a"));
    // The sync of the commit, and the sync of the checkpoint when the last connection is closed.
    syncs.fail(2);
    assert_eq!(durable(one("b")), ["b"]);
    assert_eq!(syncs.left(), 0);
    assert_eq!(read(&crashed(&path), NOTES), ["a", "b"]);
    durable(one("c"));
    assert_eq!(read(&crashed(&path), NOTES), ["a", "b", "c"]);
}

/// Batches of random sizes, of which some fail at random syncs. After a crash the database has everything that was durable, nothing that
/// was undone, and all or nothing of what is unknown.
#[test]
#[expect(clippy::print_stdout, reason = "the seed belongs to the test's output")]
fn reported_outcome_of_a_batch_holds_after_a_crash() {
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (world, syncs) = failing_world();
    let mut expected = vec!["a".to_owned()];
    let mut notified = [0; 3];
    for batch in 0..80 {
        syncs.fail(if random.u8(..4) == 0 { random.usize(1..4) } else { 0 });
        let Ok(unit) = world.writer.acquire(soon()).unwrap().begin() else { continue };
        let mut unit = unit;
        unit.end_at(soon());
        let ids: Vec<String> = (0..random.usize(1..6)).map(|place| format!("{batch}-{place}")).collect();
        for id in &ids {
            // Up to three pages each: a batch seldom has as many frames as the one before.
            let body = "x".repeat(random.usize(1..9_000));
            let row = [Value::Text(id.clone()), Value::Text(body)];
            unit.execute("INSERT INTO note (id, body) VALUES (?1, ?2)", &row).unwrap();
        }
        let (mut lease, _) = unit.finish(true);
        lease.push("member");
        let outcome = lease.commit();
        drop(lease);
        let with_batch = || expected.iter().chain(&ids).cloned().collect::<Vec<_>>();
        let there = read(&crashed(&world.path), NOTES);
        match outcome {
            Commit::Durable(_) => {
                expected = with_batch();
                notified[0] += 1;
                assert_eq!(there, expected, "seed {seed}, batch {batch}");
            }
            Commit::Aborted { .. } => {
                notified[1] += 1;
                assert_eq!(there, expected, "seed {seed}, batch {batch}");
            }
            Commit::Unknown { .. } => {
                notified[2] += 1;
                assert!(there == expected || there == with_batch(), "seed {seed}, batch {batch}: {there:?}");
            }
        }
    }
    assert!(notified.iter().all(|count| *count > 0), "seed {seed}: {notified:?}");
}

/// Set in the child process, which reports what became of a commit before it is killed.
const CHILD: &str = "BULKHEAD_TEST_FAILING_SYNC";

#[test]
#[expect(clippy::print_stdout, reason = "the test reads what the process that it kills has said")]
fn outcome_of_a_failed_commit_reported_by_a_killed_process_holds() {
    if std::env::var_os(CHILD).is_some() {
        let (world, syncs) = failing_world();
        let mut lease = add(&world, None, "b");
        syncs.fail(1);
        let said = if matches!(lease.commit(), Commit::Aborted { .. }) { "undone" } else { "other" };
        println!("{said} {}", world.path.display());
        loop {
            std::thread::park();
        }
    }
    let name = "writer::tests::sync::outcome_of_a_failed_commit_reported_by_a_killed_process_holds";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let path = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("undone ").map(str::to_owned));
    child.kill().unwrap();
    child.wait().unwrap();
    let path = std::path::PathBuf::from(path.expect("it says that the commit was undone"));
    assert_eq!(read(&path, NOTES), ["a"]);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}
