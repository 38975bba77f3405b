//! `make run`: the administrator's password is made up once, and kept for its owner alone. What the script starts is played by scripts.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bulkhead_tests::{Manifest, Site, paths};

/// A site with a host that says with which password it was started, and a loader that does nothing.
fn site() -> Site {
    let site = Site::new(&Manifest::shop());
    fs::create_dir_all(site.path("target/release")).unwrap();
    for (program, script) in [
        ("bulkhead", "#!/bin/sh\necho \"host: $1 with $SHOP_ADMIN_PASSWORD\"\n"),
        ("shop-loader", "#!/bin/sh\n"),
    ] {
        let file = site.path("target/release").join(program);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
    }
    site
}

/// Where the password is kept.
fn file(site: &Site) -> PathBuf {
    site.data().join("admin.password")
}

/// Runs the script to the end of the host, and gives what it printed. Files that it makes are everybody's, unless it sees to it.
fn run(site: &Site, password: &str) -> String {
    let printed = site.path("printed");
    // Not a pipe: what the script leaves behind in the background would hold it open.
    let status = Command::new("sh")
        .args(["-c", "umask 0 && exec \"$0\" \"$@\""])
        .arg(paths::root().join("data/loader/run.sh"))
        .args([site.path("target").to_str().unwrap(), "http://127.0.0.1:1"])
        .env("BULKHEAD_DATA", site.data())
        .env("SHOP_ADMIN_PASSWORD", password)
        .stdin(Stdio::null())
        .stdout(File::create(&printed).unwrap())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    fs::read_to_string(printed).unwrap()
}

#[test]
fn password_is_generated_once_printed_and_stored_readable_only_by_its_owner() {
    let site = site();
    fs::remove_dir_all(site.data()).unwrap();
    let first = run(&site, "");
    let kept = fs::read_to_string(file(&site)).unwrap();
    let password = kept.trim_end();
    assert!(password.len() >= 20, "{password}");
    assert_eq!(fs::metadata(file(&site)).unwrap().permissions().mode() & 0o777, 0o600);
    let made_up = format!("made up a password for the administrator: {password}\n");
    let host = format!("host: up with {password}\n");
    assert!(first.contains(&made_up) && first.ends_with(&host), "{first}");

    let second = run(&site, "");
    assert!(!second.contains("made up") && second.ends_with(&host), "{second}");
    assert_eq!(fs::read_to_string(file(&site)).unwrap(), kept);

    // Another shop has another one.
    let other = self::site();
    assert!(!run(&other, "").contains(password));
}

#[test]
fn password_from_the_environment_takes_precedence_and_is_not_stored() {
    let site = site();
    assert_eq!(run(&site, "of-the-environment"), "host: up with of-the-environment\n");
    assert!(!file(&site).exists());
    fs::write(file(&site), "kept\n").unwrap();
    assert_eq!(run(&site, "of-the-environment"), "host: up with of-the-environment\n");
    assert_eq!(fs::read_to_string(file(&site)).unwrap(), "kept\n");
}
