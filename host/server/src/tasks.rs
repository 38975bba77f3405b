//! Tasks of the network side. Without this module nobody would notice their panics: tokio catches a panic and forgets it with the task.
//!
//! Invariant: every task is started here (a test, `tidy`, finds every other way). Work in `spawn_blocking` is the exception: the code that
//! starts it also waits for it, and fails there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use bulkhead_runtime::supervise::{self, Down};
use tokio::task::JoinHandle;

/// Starts a task that should run until it is aborted. If the task ends before that, it returns the reason. From then on the host is not
/// ready.
pub fn lasting(name: &'static str, future: impl Future<Output = String> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        let why = match caught(future).await {
            Ok(why) => why,
            Err(why) => format!("it panicked: {why}"),
        };
        tracing::error!(task = name, why, "a task has ended: restart the host");
        Down::note(name).for_good();
    })
}

/// Starts a task that ends when its work is done. A panic ends that work and nothing else: the code that needs the work starts it again.
pub fn passing(name: &'static str, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(why) = caught(future).await {
            tracing::error!(task = name, why, "a task panicked");
        }
    })
}

/// Runs a future. If the future panics, returns an error with the panic message.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Err(payload) => Poll::Ready(Err(supervise::message(&*payload).to_owned())),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(future: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
    }

    #[test]
    fn long_running_task_that_ends_is_down_however_it_ended() {
        run(async {
            lasting("ends", async { "no more".to_owned() }).await.unwrap();
            lasting("panics", async { panic!("no") }).await.unwrap();
            passing("passes", async { panic!("no") }).await.unwrap();
            let aborted = lasting("aborted", std::future::pending());
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());
        });
        assert_eq!(supervise::down(), ["ends", "panics"]);
    }
}
