//! `docs/tutorial.md`, followed word for word.
//!
//! It is followed in a copy of the project, whose target folder is the project's own: files keep their times, so cargo finds what was built
//! of them, and only the new service is built. The addresses of the page become free ones.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

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

    let [listen, admin] = free_ports();
    let replaced =
        [(8080, listen), (9090, admin)].map(|(page, here)| (format!(":{page}"), format!(":{here}")));
    let manifest = folder.join("bulkhead.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let text = replaced.iter().fold(text, |text, (page, here)| text.replace(page, here));
    fs::write(&manifest, text).unwrap();

    // What the page leaves behind is what git sees.
    let tree = Tree::of(&folder);
    let mut follower = Follower::new(folder, replaced.into());
    let (last, others) = blocks.split_last().unwrap();
    for block in others {
        follower.follow(block);
    }
    let of_the_service =
        ["Cargo.lock", "Cargo.toml", "bulkhead.toml", "components/loyalty/"].map(str::to_owned);
    assert_eq!(tree.changed(), of_the_service, "the service's own files, and what names it");
    follower.follow(last);
    assert_eq!(tree.changed(), Vec::<String>::new(), "the last step puts everything back");
}

/// A folder under git.
struct Tree(PathBuf);

impl Tree {
    /// Takes down all that is in the folder now.
    fn of(folder: &Path) -> Tree {
        let tree = Tree(folder.to_owned());
        tree.git(&["init", "--quiet"]);
        // What this test has beside the tree: the link to the target folder, and what the follower keeps.
        fs::write(folder.join(".git/info/exclude"), "target\n.tutorial-state\n").unwrap();
        tree.git(&["add", "--all"]);
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
        tree.git(&[&who[..], &["commit", "--quiet", "--message", "as it was"]].concat());
        tree
    }

    /// What is new or other than it was.
    fn changed(&self) -> Vec<String> {
        let status = self.git(&["status", "--porcelain"]);
        let mut changed: Vec<String> = status.lines().map(|line| line[3..].to_owned()).collect();
        changed.sort();
        changed
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").current_dir(&self.0).args(arguments).output().expect("git runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Two ports that nobody listens at, and that the system gives to nobody by itself: the host takes them a minute later.
fn free_ports() -> [u16; 2] {
    // Linux gives those from 32768 on (ip_local_port_range); a start of its own for each process.
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut free = (start..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    [free.next().unwrap(), free.next().unwrap()]
}
