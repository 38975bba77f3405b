//! Handlers that compute for long, on threads that give way.
//!
//! A handler that hashes a password takes as long as a thousand handlers that read a row. In the same queue it would hold all of them up.
//! So such routes, which the component itself names (`describe`), have a queue and workers of their own, at a lower priority. Quick
//! requests find a processor at once, and when the queue for computing is full, only its own requests get a 503.

use bulkhead_types::limits::COMPUTE_NICE;

/// Makes this thread give way to the other threads of the process. If the system refuses, the thread does not give way, and computes
/// anyway.
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
    fn giving_way_lowers_the_priority_of_the_calling_thread_only() {
        let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let before = nice();
        let given_way = std::thread::spawn(move || {
            give_way();
            nice()
        });
        let given_way = given_way.join().unwrap();
        // A process that may raise its priority gets this one even so.
        assert!(given_way == COMPUTE_NICE || given_way == before && before > COMPUTE_NICE, "{given_way}");
        assert_eq!(nice(), before);
    }
}
