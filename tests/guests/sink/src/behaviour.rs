//! What becomes of an event, as the event itself says in `act`. The row that says that it took effect is written first, save where the
//! act is to call: so it stands or falls with all else that the handler did.
//!
//! | act | what the handler does |
//! | --- | --- |
//! | (none) | takes it |
//! | `fail` | fails, and wants to be tried again |
//! | `fail-while-broken` | the same while its subject is broken |
//! | `fail-first` | the same in the first `failures` attempts |
//! | `reject-while-broken` | says that it will never work, while its subject is broken |
//! | `reject` | says that it will never work |
//! | `trap`, `panic`, `loop`, `grow` | does not return: it traps, panics, never ends, or wants ever more memory |
//! | `bad-sql` | runs a statement of a table that is not there |
//! | `abort-batch` | rolls the whole batch back in SQL, takes no notice and says that all is well |
//! | `fill` | writes until nothing more goes in, and says that all is well |
//! | `call` | asks another service who it is, and writes down what that says |
//! | `call-late` | the same after it has written, which is refused |
//! | `publish` | publishes an event of the service's own, `NAME.noted` |
//! | `publish-first` | the same, and fails in the first `failures` attempts |

use bulkhead_sdk::serde_json::{Value, json};
use bulkhead_sdk::wit::bulkhead::service::{outbox, transaction as raw};
use bulkhead_sdk::{Call, HandleError, PublishError, Read as _, Received, Transaction, config, log, params};

use crate::Happened;

type Handled = Result<(), HandleError>;

/// Takes an event, or does what it says instead.
pub fn take(received: Received<Happened>, transaction: Transaction) -> Handled {
    let Received { id, trace_id, attempt, event, .. } = received;
    log::info("an event arrived", &[("event", &id), ("n", &event.n)]);
    let mine = config("name").is_some_and(|name| name == event.at);
    let act = if mine { event.act.as_str() } else { "" };
    let principal = if act == "call" { Some(who_am_i()?) } else { None };
    transaction.execute(
        "INSERT INTO taken (event_id, subject, n, attempt, trace, principal) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &params![id, event.subject, event.n, i64::from(attempt), trace_id, principal],
    )?;
    match act {
        "" | "call" => Ok(()),
        "fail" => Err(again("told to fail")),
        "fail-while-broken" if is_broken(&transaction, &event)? => Err(again("its subject is broken")),
        "reject-while-broken" if is_broken(&transaction, &event)? => {
            Err(HandleError::Reject("its subject is broken".to_owned()))
        }
        "fail-while-broken" | "reject-while-broken" => Ok(()),
        "fail-first" => fail_first(attempt, &event),
        "reject" => Err(HandleError::Reject("told to reject".to_owned())),
        "trap" => trap(),
        "panic" => panic_on_purpose(&event),
        "loop" => spin(),
        "grow" => grow(),
        "bad-sql" => {
            transaction.execute("DELETE FROM nowhere\n WHERE id = ?1", &params![event.subject])?;
            Ok(())
        }
        "abort-batch" => {
            let _ = raw::execute(
                "INSERT OR ROLLBACK INTO taken SELECT * FROM taken WHERE event_id = ?1",
                &params![id],
            );
            let _ = raw::execute("INSERT INTO note (id, body) VALUES (?1, 'after')", &params![id]);
            Ok(())
        }
        "fill" => {
            fill(&id);
            Ok(())
        }
        "call-late" => who_am_i().map(drop),
        "publish" => publish(&event),
        "publish-first" => {
            publish(&event)?;
            fail_first(attempt, &event)
        }
        other => Err(HandleError::Reject(format!("there is no act {other:?}"))),
    }
}

fn again(why: &str) -> HandleError {
    HandleError::Retry(why.to_owned())
}

fn is_broken(transaction: &Transaction, event: &Happened) -> Result<bool, HandleError> {
    let broken: Option<(String,)> = transaction
        .query_optional("SELECT subject FROM broken WHERE subject = ?1", &params![event.subject])?;
    Ok(broken.is_some())
}

fn fail_first(attempt: u32, event: &Happened) -> Handled {
    if attempt <= event.failures {
        return Err(HandleError::Retry(format!("told to fail at attempt {attempt}")));
    }
    Ok(())
}

fn publish(event: &Happened) -> Handled {
    let kind = format!("{}.noted", event.at);
    let data = json!({"id": event.subject, "n": event.n}).to_string();
    outbox::publish(&kind, &event.subject, &data).map_err(PublishError::from)?;
    Ok(())
}

fn who_am_i() -> Result<String, HandleError> {
    let caller: Value = Call::get("/source/whoami").send("source")?.json()?;
    Ok(caller.to_string())
}

fn trap() -> Handled {
    #[cfg(target_arch = "wasm32")]
    std::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

fn spin() -> Handled {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

#[expect(clippy::panic, reason = "that is what it is for")]
fn panic_on_purpose(event: &Happened) -> Handled {
    panic!("told to panic\nat {}", event.n)
}

fn grow() -> Handled {
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        if kept.is_empty() {
            return Ok(());
        }
    }
}

fn fill(id: &str) {
    let body = "x".repeat(64 * 1024);
    let mut number = 0_u64;
    while raw::execute(
        "INSERT INTO note (id, body) VALUES (?1, ?2)",
        &params![format!("{id}-{number}"), body],
    )
    .is_ok()
    {
        number += 1;
    }
}
