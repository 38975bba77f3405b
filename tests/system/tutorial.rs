//! `docs/tutorial.md`, followed word for word.
//!
//! It is followed in a copy of the project, whose target folder is the project's own: files keep their times, so cargo finds what was built
//! of them, and only the new service is built. The addresses of the page become free ones.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use bulkhead_tests::tutorial::{Follower, read};
use bulkhead_tests::{copy, paths};

#[test]
fn tutorial_works_word_for_word() {
    let page = fs::read_to_string(paths::root().join("docs/tutorial.md")).unwrap();
    let blocks = read(&page).unwrap();
    assert!(blocks.len() > 10, "the page says what to do");

    let target = paths::target().unwrap();
    let folder = target.join("tutorial");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    copy::sources(&paths::root(), &folder).unwrap();
    symlink(&target, folder.join("target")).unwrap();

    // Held until both are known, so that they are two.
    let free: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let port = |place: usize| free[place].local_addr().unwrap().port();
    let replaced =
        [(8080, port(0)), (9090, port(1))].map(|(page, here)| (format!(":{page}"), format!(":{here}")));
    drop(free);
    let manifest = folder.join("bulkhead.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let text = replaced.iter().fold(text, |text, (page, here)| text.replace(page, here));
    fs::write(&manifest, text).unwrap();

    let mut follower = Follower::new(folder, replaced.into());
    for block in &blocks {
        follower.follow(block);
    }
}
