//! Logins that fail are counted by email and address together, and too many of them are refused.

use std::net::SocketAddr;

use bulkhead_tests::host::ADMIN_PASSWORD;
use bulkhead_tests::shop::{ADMIN_EMAIL, PASSWORD, users_alone};
use bulkhead_tests::{Answer, Client, Site, database, raw};
use serde_json::json;

use super::{log_in, register, rows, site};

const ADA: &str = "ada@tests.example";
const BO: &str = "bo@tests.example";

/// A shop where three logins may fail.
fn strict_site() -> Site {
    Site::new(&users_alone().set("service.user.config.login_failures", 3))
}

#[track_caller]
fn fail(client: &mut Client, email: &str, times: usize) {
    for _ in 0..times {
        log_in(client, email, "wrong password").problem(401, "invalid-credentials");
    }
}

/// Checks that this was refused for the failures before it; how many seconds it says to wait.
#[track_caller]
fn too_many(answer: &Answer) -> u64 {
    answer.problem(429, "too-many-logins");
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
    seconds.unwrap_or_else(|| panic!("no time to wait: {answer}: {:?}", answer.headers))
}

/// What is counted: email, address, how many and since when.
fn counted(site: &Site) -> Vec<String> {
    rows(site, "SELECT json_array(email, peer, failures, since) FROM login_failure ORDER BY email, peer")
}

/// Moves all failures into the past, or into the future where it is negative, while no host runs.
fn age(site: &Site, seconds: i32) {
    let since = "strftime('%Y-%m-%dT%H:%M:%fZ', since, ?1)";
    let connection = database::open_to_break(&site.database("user"));
    let aged = connection
        .execute(&format!("UPDATE login_failure SET since = {since}"), [format!("{:+} seconds", -seconds)]);
    assert!(aged.unwrap() > 0, "there was none");
}

#[test]
fn after_ten_failures_an_email_waits_and_another_one_does_not() {
    let site = site();
    let host = site.start();
    register(&host, ADA);
    register(&host, BO);
    let mut client = host.client();
    // Whether there is such a user makes no difference.
    for email in [ADA, "nobody@tests.example", ADMIN_EMAIL] {
        fail(&mut client, email, 10);
        let (before, counts) = (counted(&site), database::row_counts(&site.database("user")));
        for password in ["wrong password", PASSWORD, ADMIN_PASSWORD] {
            for email in [email, &email.to_uppercase()] {
                // Nearly all of the quarter of an hour.
                let seconds = too_many(&log_in(&mut host.client(), email, password));
                assert!((840..=900).contains(&seconds), "{seconds}");
            }
        }
        assert_eq!(counted(&site), before, "a login that is refused counts no more");
        assert_eq!(database::row_counts(&site.database("user")), counts);
        log_in(&mut client, BO, PASSWORD).expect(201);
    }
}

#[test]
fn failures_recorded_with_the_clock_a_week_ahead_lock_nobody_out() {
    const WEEK_SECONDS: i32 = 7 * 24 * 3600;
    let site = strict_site();
    let host = site.start();
    register(&host, ADA);
    register(&host, BO);
    for email in [ADA, BO] {
        fail(&mut host.client(), email, 3);
    }
    host.stop();
    // As much ahead as a window is long: a small step back of the clock gives nobody more tries.
    age(&site, -600);
    let host = site.start();
    let seconds = too_many(&log_in(&mut host.client(), ADA, PASSWORD));
    assert!((1440..=1500).contains(&seconds), "{seconds}");
    host.stop();

    age(&site, -WEEK_SECONDS);
    let host = site.start();
    log_in(&mut host.client(), ADA, PASSWORD).expect(201);
    // What fails now is counted from zero; and a login that fails takes away what is over.
    fail(&mut host.client(), "nobody@tests.example", 1);
    let counted = counted(&site);
    assert!(matches!(&*counted, [one] if one.starts_with("[\"nobody@tests.example\"")), "{counted:?}");
    fail(&mut host.client(), BO, 3);
    let seconds = too_many(&log_in(&mut host.client(), BO, PASSWORD));
    assert!((840..=900).contains(&seconds), "{seconds}");
}

#[test]
fn from_another_address_an_email_still_logs_in() {
    let site = strict_site();
    let host = site.start();
    register(&host, ADA);
    fail(&mut host.client(), ADA, 3);
    too_many(&log_in(&mut host.client(), ADA, PASSWORD));
    let elsewhere = |password: &str| from("127.0.0.2:0", host.address(), ADA, password);
    assert_eq!(elsewhere("wrong password").status, 401);
    assert_eq!(elsewhere(PASSWORD).status, 201);
    // A success there forgets what failed there.
    assert_eq!(counted(&site).len(), 1);
    too_many(&log_in(&mut host.client(), ADA, PASSWORD));
    for _ in 0..3 {
        assert_eq!(elsewhere("wrong password").status, 401);
    }
    assert_eq!(elsewhere(PASSWORD).status, 429);
    assert_eq!(counted(&site).len(), 2);
    assert_eq!(from("127.0.0.3:0", host.address(), ADA, PASSWORD).status, 201);
}

/// Logs in from an address of the client's choice.
fn from(own: &str, host: SocketAddr, email: &str, password: &str) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(own.parse().unwrap()).unwrap();
        socket.connect(host).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    let body = json!({"email": email, "password": password}).to_string();
    // What a client says of its address is not believed.
    let head = format!(
        "POST /sessions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nx-forwarded-for: 192.0.2.7\r\n\
         forwarded: for=192.0.2.7\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = stream;
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    raw::read_answer(&mut stream).expect("an answer")
}

#[test]
fn a_success_before_the_limit_forgets_the_failures() {
    let site = strict_site();
    let host = site.start();
    register(&host, ADA);
    let mut client = host.client();
    for _ in 0..3 {
        fail(&mut client, ADA, 2);
        fail(&mut client, ADMIN_EMAIL, 2);
        assert_eq!(counted(&site).len(), 2);
        log_in(&mut client, ADA, PASSWORD).expect(201);
        assert_eq!(counted(&site).len(), 1);
        log_in(&mut client, ADMIN_EMAIL, ADMIN_PASSWORD).expect(201);
        assert!(counted(&site).is_empty());
    }
    fail(&mut client, ADA, 3);
    too_many(&log_in(&mut client, ADA, PASSWORD));
}

#[test]
fn failures_survive_a_restart_and_a_crash() {
    let site = strict_site();
    let host = site.start();
    register(&host, ADA);
    fail(&mut host.client(), ADA, 1);
    let since = rows(&site, "SELECT since FROM login_failure");
    host.stop();
    let host = site.start();
    fail(&mut host.client(), ADA, 2);
    host.kill();
    let host = site.start();
    let seconds = too_many(&log_in(&mut host.client(), ADA, PASSWORD));
    assert!((780..=900).contains(&seconds), "{seconds}");
    assert_eq!(rows(&site, "SELECT since FROM login_failure"), since, "the window begins with the first");
}

#[test]
fn login_is_allowed_after_the_wait_and_expired_failures_are_deleted() {
    let site = strict_site();
    let host = site.start();
    register(&host, ADA);
    let mut client = host.client();
    for email in [ADA, BO, "cy@tests.example"] {
        fail(&mut client, email, 3);
    }
    host.stop();
    age(&site, 600);
    let host = site.start();
    let seconds = too_many(&log_in(&mut host.client(), ADA, PASSWORD));
    assert!((180..=300).contains(&seconds), "{seconds}");
    host.stop();
    age(&site, i32::try_from(seconds).unwrap());
    let host = site.start();
    let mut client = host.client();
    log_in(&mut client, ADA, PASSWORD).expect(201);
    assert_eq!(counted(&site).len(), 2);
    // The next window begins with the next failure, which takes the ones away that are over.
    fail(&mut client, BO, 1);
    let left = rows(&site, "SELECT json_array(email, failures) FROM login_failure");
    assert_eq!(left, [json!([BO, 1]).to_string()]);
    fail(&mut client, BO, 2);
    too_many(&log_in(&mut client, BO, PASSWORD));
}

#[test]
fn many_failures_at_once_are_all_counted() {
    let site = Site::new(&users_alone().set("service.user.config.login_failures", 1000));
    let host = site.start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let mut client = host.client();
            scope.spawn(move || fail(&mut client, ADA, 10));
        }
    });
    assert_eq!(
        rows(&site, "SELECT json_array(email, failures) FROM login_failure"),
        [json!([ADA, 80]).to_string()]
    );
}
