//! A subscription from a producer to a consumer: what is known about it outside its subscription worker.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bulkhead_store::ReplicaSpec;
use bulkhead_types::{Sequence, ServiceName};
use flume::{Receiver, Sender};
use tokio::sync::watch;

/// What the manifest says about a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubscriptionSpec {
    /// The service whose event log is consumed.
    pub producer: ServiceName,
    /// The service that consumes it.
    pub consumer: ServiceName,
    /// The types of event that the consumer's handler gets.
    pub types: BTreeSet<String>,
    /// The replicas that it keeps of the producer's data.
    pub replicas: Vec<ReplicaSpec>,
}

/// How often things have happened on a subscription since the host started.
#[derive(Debug, Default)]
pub struct Counts {
    /// Events that took effect.
    pub delivered: AtomicU64,
    /// Attempts after the first.
    pub retried: AtomicU64,
}

/// A subscription. Its subscription worker works on it; everybody else observes it.
pub struct Subscription {
    /// What it is.
    pub spec: SubscriptionSpec,
    /// What has happened.
    pub counts: Arc<Counts>,
    /// The sequence up to which everything for the consumer is durably consumed or parked.
    applied: watch::Sender<Sequence>,
    /// The subscription worker's memory of its position, or of what is parked, may be wrong.
    stale: AtomicBool,
    /// A batch with units of work of the subscription worker was not committed. The worker waits before it tries them again.
    undone: AtomicBool,
    /// There are parked events or dead letters, or were since the host started.
    troubled: Arc<AtomicBool>,
    /// Why the subscription worker has stopped for good.
    stopped: Mutex<Option<String>>,
    /// The subscription worker consumes nothing after this sequence.
    hold_at: AtomicI64,
    wake: Sender<()>,
    woken: Receiver<()>,
}

impl Subscription {
    /// A subscription without a subscription worker yet.
    #[must_use]
    pub fn new(spec: SubscriptionSpec) -> Self {
        let (wake, woken) = flume::bounded(1);
        Self {
            spec,
            counts: Arc::default(),
            applied: watch::Sender::new(Sequence::BEFORE_FIRST),
            stale: AtomicBool::new(false),
            undone: AtomicBool::new(false),
            troubled: Arc::default(),
            stopped: Mutex::default(),
            hold_at: AtomicI64::new(Sequence::MAX.get()),
            wake,
            woken,
        }
    }

    /// The subscription between the same two services, which consumes something else from now on. A caller that waits for a position goes
    /// on waiting.
    #[must_use]
    pub fn changed_to(&self, spec: SubscriptionSpec) -> Self {
        let (counts, applied) = (Arc::clone(&self.counts), self.applied.clone());
        Self { counts, applied, troubled: Arc::clone(&self.troubled), ..Self::new(spec) }
    }

    /// Whether the consumer consumes events of this type.
    pub(crate) fn consumes(&self, kind: &str) -> bool {
        self.spec.types.contains(kind) || self.spec.replicas.iter().any(|replica| replica.takes(kind))
    }

    /// The sequence up to which the consumer has durably consumed the event log.
    #[must_use]
    pub fn applied(&self) -> Sequence {
        *self.applied.borrow()
    }

    /// Notifies of each change of [`Self::applied`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Sequence> {
        self.applied.subscribe()
    }

    /// Why the subscription worker has stopped, if it has: the event log and the position don't match.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn stop(&self, why: String) {
        tracing::error!(
            producer = self.spec.producer.as_str(),
            consumer = self.spec.consumer.as_str(),
            why,
            "a subscription has stopped"
        );
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    pub(crate) fn go_on(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether there are parked events or dead letters, or were since the host started.
    #[must_use]
    pub fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Acquire)
    }

    pub(crate) fn note_trouble(&self) {
        self.troubled.store(true, Ordering::Release);
    }

    /// Makes the subscription worker consume nothing after `sequence` until [`Self::release`].
    pub fn hold_at(&self, sequence: Sequence) {
        self.hold_at.store(sequence.get(), Ordering::Release);
        self.wake();
    }

    /// Lets the subscription worker go on.
    pub fn release(&self) {
        self.hold_at(Sequence::MAX);
    }

    pub(crate) fn held_at(&self) -> Sequence {
        Sequence::new(self.hold_at.load(Ordering::Acquire))
    }

    /// Makes the subscription worker read its position, and what is parked, once more.
    pub fn refresh(&self) {
        self.stale.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::AcqRel)
    }

    /// A batch with units of work of the subscription worker was not committed, or its outcome is unknown.
    pub(crate) fn note_undone(&self) {
        self.undone.store(true, Ordering::Release);
        self.refresh();
    }

    pub(crate) fn take_undone(&self) -> bool {
        self.undone.swap(false, Ordering::AcqRel)
    }

    /// Everything up to `sequence` is durably consumed.
    pub(crate) fn set_applied(&self, sequence: Sequence) {
        self.applied.send_if_modified(|applied| {
            let grows = sequence > *applied;
            *applied = sequence.max(*applied);
            grows
        });
    }

    pub(crate) fn waker(&self) -> Sender<()> {
        self.wake.clone()
    }

    pub(crate) fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    /// Wakes the subscription worker if it has not consumed everything up to `head`: for an event log whose commit notifier does not wake
    /// it.
    pub fn wake_for(&self, head: Sequence) {
        if self.applied() < head {
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        let _ = self.wake.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(types: &[&str]) -> Subscription {
        Subscription::new(spec(types))
    }

    fn spec(types: &[&str]) -> SubscriptionSpec {
        SubscriptionSpec {
            producer: "maker".into(),
            consumer: "taker".into(),
            types: types.iter().map(|kind| (*kind).to_owned()).collect(),
            replicas: Vec::new(),
        }
    }

    #[test]
    fn subscription_is_troubled_from_its_first_parked_event_on() {
        let subscription = subscription(&[]);
        assert!(!subscription.is_troubled());
        subscription.note_trouble();
        assert!(subscription.is_troubled() && subscription.changed_to(spec(&["maker.made"])).is_troubled());
    }

    #[test]
    fn stopped_subscription_has_a_reason_until_it_resumes() {
        let subscription = subscription(&[]);
        assert_eq!(subscription.stopped(), None);
        subscription.stop("another log".into());
        assert_eq!(subscription.stopped().as_deref(), Some("another log"));
        subscription.go_on();
        assert_eq!(subscription.stopped(), None);
    }

    #[test]
    fn wait_for_a_position_continues_while_the_subscription_changes() {
        let before = subscription(&["maker.made"]);
        before.note_trouble();
        before.set_applied(Sequence::new(1));
        before.counts.delivered.fetch_add(1, Ordering::Relaxed);
        let mut waiting = before.watch();
        let subscription = before.changed_to(spec(&["maker.gone"]));
        assert!(subscription.is_troubled());
        assert_eq!(
            (subscription.applied(), subscription.counts.delivered.load(Ordering::Relaxed)),
            (Sequence::FIRST, 1)
        );
        subscription.set_applied(Sequence::new(2));
        assert!(waiting.has_changed().unwrap());
        assert_eq!(*waiting.borrow_and_update(), Sequence::new(2));
        assert!(subscription.consumes("maker.gone") && !subscription.consumes("maker.made"));
        // What applied to the earlier subscription worker is over.
        before.stop("another log".into());
        before.hold_at(Sequence::new(7));
        let subscription = before.changed_to(spec(&[]));
        assert_eq!((subscription.stopped(), subscription.held_at()), (None, Sequence::MAX));
    }

    #[test]
    fn position_never_goes_back_and_watchers_are_notified_when_it_grows() {
        let subscription = subscription(&[]);
        let mut watch = subscription.watch();
        for (sequence, applied, grows) in [(3, 3, true), (2, 3, false), (3, 3, false), (4, 4, true)] {
            subscription.set_applied(Sequence::new(sequence));
            assert_eq!(subscription.applied(), Sequence::new(applied));
            assert_eq!(watch.has_changed().unwrap(), grows, "{sequence}");
            watch.mark_unchanged();
        }
    }

    #[test]
    fn subscription_worker_is_woken_for_unconsumed_events_and_for_changed_state() {
        let subscription = subscription(&[]);
        let woken = || subscription.woken().try_recv().is_ok();
        subscription.set_applied(Sequence::new(3));
        assert!(!woken());
        for (head, wakes) in [(2, false), (3, false), (4, true)] {
            subscription.wake_for(Sequence::new(head));
            assert_eq!(woken(), wakes, "{head}");
        }
        subscription.hold_at(Sequence::new(5));
        assert!(woken());
        assert_eq!(subscription.held_at(), Sequence::new(5));
        subscription.release();
        assert!(woken());
        assert_eq!(subscription.held_at(), Sequence::MAX);
        assert!(!subscription.take_stale());
        subscription.note_undone();
        assert!(woken() && subscription.take_stale() && !subscription.take_stale());
        assert!(subscription.take_undone() && !subscription.take_undone());
    }
}
