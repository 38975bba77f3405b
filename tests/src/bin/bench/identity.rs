//! What identity costs: a token at a read, logins to other writes of their service; and whether the time of a refused login tells
//! which of its two halves was wrong.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::{Client, Customer, Manifest, Random, Site, shop};
use serde_json::json;

use crate::load::Kind;
use crate::rounds::{Things, load, median, percentile};

/// Clients that log in without pause.
const LOGINS: usize = 8;
/// How long writes are timed, with and without logins, in each round.
const WRITES_TIMED: Duration = Duration::from_secs(5);
/// Refused logins of each kind, where the command line does not say.
pub(crate) const TRIES: usize = 1_000;

/// Measures and prints.
pub(crate) fn run(rounds: u32, seconds: f64, tries: usize) {
    println!();
    println!("| identity | measured |");
    println!("| --- | ---: |");
    tokens(rounds, seconds);
    logins(rounds);
    if tries > 0 {
        refusals(tries);
    }
}

/// Passwords at their full cost, and as many mistakes as one likes.
fn site() -> Site {
    let manifest = Manifest::shop()
        .without("service.user.config.argon2_memory_kib")
        .without("service.user.config.argon2_iterations")
        .set("service.user.config.login_failures", 1_000_000);
    Site::new(&manifest)
}

/// Reads of products with a customer's token, as a share of the rate without.
fn tokens(rounds: u32, seconds: f64) {
    let site = site();
    let host = site.start();
    let things = Things::make(&mut host.admin());
    let customer = host.customer("Ada");
    let files = ["", customer.client.token().expect("a token")].map(|token| {
        let file = site.path(if token.is_empty() { "without" } else { "with" });
        things.write(&file, token);
        file
    });
    for connections in [64, 1] {
        let mut ratios = Vec::new();
        for round in 0..rounds {
            let rate =
                |which: usize| load(Kind::Get, host.address(), &files[which], connections, seconds).rate;
            // Neither is always the first.
            let (without, with) = if round % 2 == 0 {
                let without = rate(0);
                (without, rate(1))
            } else {
                let with = rate(1);
                (rate(0), with)
            };
            ratios.push(with / without);
        }
        let ratio = median(&mut ratios);
        println!(
            "| GET /products/{{id}} with a token, of the rate without, {connections} connections | {ratio:.2} |"
        );
    }
    host.stop();
}

/// Writes of a customer while nobody logs in, and while others do without pause.
fn logins(rounds: u32) {
    let site = site();
    let host = site.start();
    let mut writer = host.customer("Writer");
    let customers: Vec<String> = (0..LOGINS).map(|_| email(&mut host.customer("Ada"))).collect();
    let (mut quiet, mut busy, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        quiet.extend(time_writes(&mut writer));
        let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for email in &customers {
                let (mut client, stop, count) = (host.client(), &stop, &count);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        shop::log_in(&mut client, email, shop::PASSWORD);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            busy.extend(time_writes(&mut writer));
            stop.store(true, Ordering::Relaxed);
        });
        counts.push(count.into_inner() as f64 / WRITES_TIMED.as_secs_f64());
    }
    let rate = median(&mut counts);
    for (name, share) in [("median", 0.5), ("p99", 0.99)] {
        let (without, with) = (percentile(&mut quiet, share), percentile(&mut busy, share));
        println!(
            "| PUT /users/{{id}}/preferences/{{key}}, {name}, without and with {LOGINS} clients that log in ({rate:.0} logins a second) | \
             {:.2} and {:.2} ms: {:.1} times |",
            without * 1e3,
            with * 1e3,
            with / without
        );
    }
    host.stop();
}

/// The seconds that writes take, one after the other.
fn time_writes(writer: &mut Customer) -> Vec<f64> {
    let path = format!("/users/{}/preferences/theme", writer.id);
    let (started, mut times, mut number) = (Instant::now(), Vec::new(), 0);
    while started.elapsed() < WRITES_TIMED {
        number += 1;
        let body = json!({"value": number.to_string()});
        let asked = Instant::now();
        let answer = writer.client.put(&path, &body);
        times.push(asked.elapsed().as_secs_f64());
        assert!(answer.status < 300, "{answer}");
    }
    times
}

/// The time of logins that are refused for their email, and for their password, in a random order.
fn refusals(tries: usize) {
    let site = site();
    let host = site.start();
    let known = email(&mut host.customer("Ada"));
    let mut client = host.client();
    let mut random = Random::new();
    let mut times = [Vec::new(), Vec::new()];
    while times.iter().any(|times| times.len() < tries) {
        let which = usize::from(random.below(2) == 1);
        if times[which].len() == tries {
            continue;
        }
        // An email of the same length, which nobody has.
        let email = if which == 0 { known.clone() } else { known.replacen(&known[..8], "nobodys-", 1) };
        times[which].push(time_refusal(&mut client, &email));
    }
    let [mut password, mut email] = times;
    let z = rank_sum(&password, &email);
    println!(
        "| a refused login, median of {tries}: wrong password, wrong email | {:.2} ms, {:.2} ms |",
        median(&mut password) * 1e3,
        median(&mut email) * 1e3
    );
    println!(
        "| the two kinds told apart by rank (Mann-Whitney, standard deviations; under 2 is chance) | {z:.2} |"
    );
    host.stop();
}

fn time_refusal(client: &mut Client, email: &str) -> f64 {
    let body = json!({"email": email, "password": "not the password"});
    let asked = Instant::now();
    let answer = client.post("/sessions", &body);
    let seconds = asked.elapsed().as_secs_f64();
    answer.problem(401, "invalid-credentials");
    seconds
}

fn email(customer: &mut Customer) -> String {
    let user = customer.client.get(&format!("/users/{}", customer.id)).expect(200);
    user["email"].as_str().expect("an email").to_owned()
}

/// How far the sum of the ranks of `a` among both is from what chance gives, in standard deviations (Mann and Whitney, 1947).
fn rank_sum(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        a.iter().map(|value| (*value, true)).chain(b.iter().map(|value| (*value, false))).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let ranks: f64 =
        all.iter().enumerate().filter(|(_, (_, of_a))| *of_a).map(|(rank, _)| rank as f64 + 1.0).sum();
    let (n, m) = (a.len() as f64, b.len() as f64);
    let expected = n * (n + m + 1.0) / 2.0;
    ((ranks - expected) / (n * m * (n + m + 1.0) / 12.0).sqrt()).abs()
}

#[cfg(test)]
mod tests {
    use super::rank_sum;

    #[test]
    fn different_kinds_are_distinguished_and_equal_ones_are_not() {
        let one: Vec<f64> = (0..1000).map(|number| f64::from(number * 2)).collect();
        let between: Vec<f64> = one.iter().map(|value| value + 1.0).collect();
        assert!(rank_sum(&one, &between) < 2.0);
        let later: Vec<f64> = one.iter().map(|value| value + 151.0).collect();
        assert!(rank_sum(&one, &later) > 4.0);
    }
}
