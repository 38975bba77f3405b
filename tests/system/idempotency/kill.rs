//! SIGKILL between effect and answer: whoever asks again with the key gets the first answer, and there is one effect.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use bulkhead_tests::Random;

use super::*;

const KILLS: u64 = 20;
const CLIENTS: u64 = 4;
/// The host is killed after so many answers at most, and a moment of a few commits' length more.
const ANSWERED_MAX: u64 = 60;
const MOMENT_MAX_MICROS: u64 = 5_000;

/// A request that was sent: its key, and the order that its answer told of, if there was an answer.
type Sent = (String, Option<String>);

/// The key stands in the order as well, so that orders can be counted by it.
fn body_of(product: &str, key: &str) -> Value {
    let mut body = order_body(&[(product, 1)], "tok_ok");
    body["shipping"]["address_line1"] = json!(key);
    body
}

/// Places order after order, each with a key of its own, and reports each, until there is no answer.
fn place_until_it_ends(mut client: Client, product: &str, name: &str, sent: &Sender<Sent>) {
    for number in 0.. {
        let key = format!("{name}-{number}");
        let body = Bytes::from(body_of(product, &key).to_string());
        let headers = [JSON, ("idempotency-key", key.as_str())];
        match client.try_send(Method::POST, "/orders", &headers, body) {
            Ok(answer) => {
                let order = id(&answer.expect(201));
                sent.send((key, Some(order))).unwrap();
            }
            Err(_) => {
                sent.send((key, None)).unwrap();
                return;
            }
        }
    }
}

#[test]
fn after_each_of_20_kills_a_repeat_gets_the_first_answer_and_one_order_per_key() {
    let Shop { site, mut host, product, .. } = Shop::new();
    let customer = host.customer("Ada");
    let token = customer.client.token().unwrap().to_owned();
    let mut random = Random::new();
    let (mut keys, mut unanswered, mut kept) = (0, 0, 0);
    for kill in 0..KILLS {
        let (sender, answers) = channel();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (sender, product) = (sender.clone(), product.clone());
                let name = format!("key-{kill}-{client}");
                let client = host.client().with_token(&token);
                thread::spawn(move || place_until_it_ends(client, &product, &name, &sender))
            })
            .collect();
        drop(sender);
        let before = usize::try_from(1 + random.below(ANSWERED_MAX)).unwrap();
        let mut sent: Vec<Sent> = answers.iter().take(before).collect();
        let moment = (Instant::now(), Duration::from_micros(random.below(MOMENT_MAX_MICROS)));
        while moment.0.elapsed() < moment.1 {
            std::hint::spin_loop();
        }
        host.kill();
        sent.extend(answers);
        for client in clients {
            client.join().unwrap();
        }

        host = site.start();
        let mut client = host.client().with_token(&token);
        for (key, order) in &sent {
            let again = keyed(&mut client, "/orders", key, &body_of(&product, key));
            let found = id(&again.expect(201));
            if let Some(order) = order {
                assert_eq!(&found, order, "kill {kill}: {key}");
                assert!(is_replayed(&again), "kill {kill}: {key} was answered before");
            } else {
                unanswered += 1;
                kept += usize::from(is_replayed(&again));
            }
            let third = keyed(&mut client, "/orders", key, &body_of(&product, key));
            assert_eq!(visible(&third), visible(&again), "kill {kill}: {key}");
        }
        keys += sent.len();
        let connection = database::open(&site.database("order"));
        let twice = "SELECT address_line1 FROM order_shipping GROUP BY address_line1 HAVING count(*) > 1";
        assert_eq!(database::texts(&connection, twice), Vec::<String>::new(), "kill {kill}");
        let orders = database::number(&connection, "SELECT count(*) FROM \"order\"");
        assert_eq!(usize::try_from(orders).unwrap(), keys, "kill {kill}");
    }
    assert!(unanswered > 0, "no request was without an answer: nothing was shown");
    report(&format!("{keys} keys, {unanswered} without an answer, {kept} of them with an effect"));
    host.stop();
    database::check(&database::open(&site.database("order")));
}

#[expect(clippy::print_stdout, reason = "how much was shown belongs to the test's output")]
fn report(text: &str) {
    println!("{text}");
}
