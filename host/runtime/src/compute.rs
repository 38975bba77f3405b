//! Handlers that compute for long, on threads that give way.
//!
//! A handler that hashes a password takes as long as a thousand that read a row. In the queue of the others it would hold them all up,
//! so such routes, which the component itself names (`describe`), have a queue and workers of their own, at a lower priority: what
//! is quick finds a processor at once, and when the queue is full the 503 is theirs alone.

use bulkhead_types::limits::COMPUTE_NICE;

/// Has this thread give way to the process's others. Where the system refuses, it does not give way, and computes all the same.
pub(crate) fn give_way() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), COMPUTE_NICE) {
        tracing::warn!(%error, "a thread that computes keeps the priority of the others");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_gives_way_alone() {
        let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let before = nice();
        let given_way = std::thread::spawn(move || {
            give_way();
            nice()
        });
        let given_way = given_way.join().unwrap();
        // Who may raise a priority gets this one all the same.
        assert!(given_way == COMPUTE_NICE || given_way == before && before > COMPUTE_NICE, "{given_way}");
        assert_eq!(nice(), before);
    }
}
