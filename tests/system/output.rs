//! Where a command may write nothing, or nobody reads what it writes, it says so by its status and does not panic.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};

use bulkhead_tests::admin::until;
use bulkhead_tests::{Client, Site, paths};

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader is gone.
fn gone() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(paths::program("bulkhead"));
    command.args(arguments).env("BULKHEAD_MANIFEST", site.manifest()).env("BULKHEAD_DATA", site.data());
    command.env("SHOP_ADMIN_PASSWORD", "none").stdin(Stdio::null());
    command
}

fn run(site: &Site, arguments: &[&str], stdout: Stdio) -> Output {
    command(site, arguments).stdout(stdout).stderr(Stdio::piped()).output().unwrap()
}

const PRINTING: [&[&str]; 7] = [
    &["describe"],
    &["describe", "--json"],
    &["openapi"],
    &["ownership"],
    &["problems"],
    &["doctor", "--json"],
    &["--help"],
];

#[test]
fn output_that_cannot_be_printed_is_a_reported_failure() {
    let site = Site::shop();
    for arguments in PRINTING {
        let output = run(&site, arguments, full());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
        // Clap prints its help by itself, and has nothing to say about it.
        if !arguments.contains(&"--help") {
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
            assert!(stderr.contains("print the answer"), "{arguments:?}: {stderr}");
        }
    }
}

#[test]
fn reader_that_closes_the_pipe_early_is_not_a_failure() {
    let site = Site::shop();
    for arguments in PRINTING {
        let output = run(&site, arguments, gone());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
        if !arguments.contains(&"doctor") {
            assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        }
    }
}

#[test]
fn failure_that_cannot_be_printed_still_has_exit_status_1() {
    let site = Site::shop();
    for stderr in [full(), gone()] {
        let mut command = command(&site, &["describe", "--log", "no=such=filter"]);
        let status = command.stdout(Stdio::null()).stderr(stderr).status().unwrap();
        assert_eq!(status.code(), Some(1));
    }
}

/// A port that nobody listens on now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn host_that_cannot_print_its_address_still_serves() {
    for stdout in [full(), gone()] {
        let site = Site::guests();
        let (address, admin) = (free(), free());
        let (listen, operators) = (address.to_string(), admin.to_string());
        let arguments = ["up", "--listen", &listen, "--admin", &operators];
        let mut child = command(&site, &arguments).stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
        let ready = || {
            let mut client = Client::new(address);
            let answer = client.try_send(http::Method::GET, "/readyz", &[], bytes::Bytes::new());
            answer.ok().filter(|answer| answer.status == 200)
        };
        until("the host serves", ready);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
