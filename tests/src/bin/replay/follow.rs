//! What becomes of the orders: many at a time are watched, paid again, shipped, delivered and cancelled, as their plans say.
//!
//! What to do next is decided by `Plan::next` alone; here it is done, and the answers are held against what the plan and the clock allow.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bulkhead_tests::Answer;
use serde_json::json;

use crate::caller::{Caller, read};
use crate::model::Model;
use crate::plan::{Ending, History, Move, Plan};
use crate::progress::Progress;
use crate::running::Running;
use crate::seen::{Order, PaymentStatus, Status};

/// The first pause before an order is looked at again; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(3);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// A follower without work looks at least so often whether the run has failed.
const IDLE_MAX: Duration = Duration::from_millis(100);
/// A time-out may come so much earlier than its time, because the clocks are read at different moments.
const EARLY_MAX: Duration = Duration::from_millis(50);

/// An order that has not ended yet.
#[derive(Debug)]
pub(crate) struct Job {
    id: String,
    basket: u64,
    plan: Plan,
    history: History,
    /// When it was first sent.
    sent: Instant,
    /// Whether anybody has looked at it.
    begun: bool,
    pause: Duration,
}

impl Job {
    /// A new order.
    pub(crate) fn new(id: String, basket: u64, plan: Plan, sent: Instant) -> Job {
        Job { id, basket, plan, history: History::default(), sent, begun: false, pause: PAUSE_FIRST }
    }
}

/// The orders that have not ended, by the moment when each is to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<(Instant, u64), Job>,
    /// Those in hand count as well.
    open: usize,
    /// No further orders come.
    closed: bool,
}

impl Queue {
    /// A new order. One that is to be cancelled at once is first in the line.
    pub(crate) fn add(&self, job: Job) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = if job.plan == Plan::CancelAtOnce { Duration::ZERO } else { job.pause };
        state.waiting.insert((Instant::now() + pause, job.basket), job);
        state.open += 1;
        drop(state);
        self.changed.notify_one();
    }

    /// No further orders come.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }

    fn put_back(&self, mut job: Job) {
        let due = Instant::now() + job.pause;
        job.pause = (job.pause * 2).min(PAUSE_MAX);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert((due, job.basket), job);
        drop(state);
        self.changed.notify_one();
    }

    fn ended(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).open -= 1;
        self.changed.notify_all();
    }

    /// The next order that is due; none when all have ended and no more come.
    fn take(&self, running: &Running) -> Result<Option<Job>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            running.check()?;
            let now = Instant::now();
            if state.closed && state.open == 0 {
                return Ok(None);
            }
            let wait = match state.waiting.first_entry() {
                Some(first) if first.key().0 <= now => return Ok(Some(first.remove())),
                Some(first) => (first.key().0 - now).min(IDLE_MAX),
                None => IDLE_MAX,
            };
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// One of those who see to the orders, on a connection of its own.
pub(crate) struct Follower<'a> {
    pub(crate) running: &'a Running,
    pub(crate) caller: Caller<'a>,
    pub(crate) model: &'a Mutex<Model>,
    pub(crate) queue: &'a Queue,
    /// How long an order may take to be paid.
    pub(crate) payment_timeout: Duration,
    pub(crate) progress: &'a Progress,
}

impl Follower<'_> {
    /// Sees to orders until all have ended and no more come.
    pub(crate) fn work(&mut self) -> Result<()> {
        while let Some(mut job) = self.queue.take(self.running)? {
            let step = self.step(&mut job);
            let step = step.with_context(|| {
                format!("order {} of basket {} ({:?}, {:?})", job.id, job.basket, job.plan, job.history)
            })?;
            match step {
                Some(ending) => {
                    self.model.lock().unwrap_or_else(PoisonError::into_inner).end(&job.id, ending);
                    self.running.advance();
                    self.progress.advance();
                    self.queue.ended();
                }
                None => self.queue.put_back(job),
            }
        }
        Ok(())
    }

    /// Looks at an order and does what is next. None: look again later.
    fn step(&mut self, job: &mut Job) -> Result<Option<Ending>> {
        let first = !std::mem::replace(&mut job.begun, true);
        if first && job.plan == Plan::CancelAtOnce {
            return self.cancel(job);
        }
        let order: Order = self.caller.get(&format!("/orders/{}", job.id))?;
        let state = order.state();
        job.history.captured |= state.status == Status::Paid;
        match job.plan.next(job.history, state, self.is_late(job)) {
            Move::Wait => {
                self.running.trouble(format!("order {} ({:?}) is {state}", job.id, job.plan));
                Ok(None)
            }
            Move::Pay(token) => self.pay(job, token),
            Move::Ship => self.ship(job),
            Move::Cancel => self.cancel(job),
            Move::ShipAndCancel => self.ship_and_cancel(job),
            Move::End(ending) => Ok(Some(ending)),
            Move::Wrong(why) => bail!("it is {state}: {why}"),
        }
    }

    /// Whether a time-out explains what the client did not ask for.
    fn is_late(&self, job: &Job) -> bool {
        job.sent.elapsed() + EARLY_MAX >= self.payment_timeout
    }

    fn pay(&mut self, job: &mut Job, token: &str) -> Result<Option<Ending>> {
        let path = format!("/orders/{}/payment", job.id);
        let key = format!("payment-{}", job.basket);
        let answer = self.caller.post(&path, &key, &json!({"method": "card", "token": token}))?;
        job.history.paid_again = true;
        if refused(&answer)? {
            return self.timed_out(job, &answer);
        }
        let order: Order = read(&answer, &[200])?;
        match order.payment.payment_status {
            PaymentStatus::Captured if token == "tok_declined" => {
                bail!("a declined payment was taken: {answer}")
            }
            PaymentStatus::Declined if token == "tok_ok" => bail!("a good payment was declined: {answer}"),
            status => job.history.captured |= status == PaymentStatus::Captured,
        }
        job.pause = PAUSE_FIRST;
        Ok(None)
    }

    fn ship(&mut self, job: &mut Job) -> Result<Option<Ending>> {
        let answer = ship(&mut self.caller, job)?;
        read::<Order>(&answer, &[200])?;
        if job.plan == Plan::CancelTooLate {
            let answer = cancel(&mut self.caller, job)?;
            if !refused(&answer)? {
                bail!("it was shipped and cancelled: {answer}");
            }
        }
        if job.plan.delivers() {
            let path = format!("/orders/{}/deliver", job.id);
            let answer = self.caller.act(&path, &format!("deliver-{}", job.basket))?;
            read::<Order>(&answer, &[200])?;
            return Ok(Some(Ending::Delivered));
        }
        Ok(Some(Ending::Shipped))
    }

    fn cancel(&mut self, job: &mut Job) -> Result<Option<Ending>> {
        let answer = cancel(&mut self.caller, job)?;
        if refused(&answer)? {
            return self.timed_out(job, &answer);
        }
        cancelled(job, &answer)
    }

    /// Two clients at once: exactly one of them gets what it wants.
    fn ship_and_cancel(&mut self, job: &mut Job) -> Result<Option<Ending>> {
        let mut other = self.caller.another();
        let (shipped, cancelled_) = thread::scope(|scope| {
            let cancels = scope.spawn(|| cancel(&mut other, job));
            let shipped = ship(&mut self.caller, job);
            (shipped, cancels.join())
        });
        let shipped = shipped?;
        let cancelled_ = cancelled_.map_err(|_| anyhow::anyhow!("the one who cancels panicked"))??;
        match (refused(&shipped)?, refused(&cancelled_)?) {
            (false, true) => {
                read::<Order>(&shipped, &[200])?;
                Ok(Some(Ending::Shipped))
            }
            (true, false) => cancelled(job, &cancelled_),
            (false, false) => bail!("both were done: {shipped}; {cancelled_}"),
            (true, true) => bail!("neither was done: {shipped}; {cancelled_}"),
        }
    }

    /// A refusal that only a time-out explains.
    fn timed_out(&self, job: &mut Job, answer: &Answer) -> Result<Option<Ending>> {
        if !self.is_late(job) {
            bail!("it was refused before its time-out: {answer}");
        }
        job.history.timed_out = true;
        Ok(None)
    }
}

fn ship(caller: &mut Caller<'_>, job: &Job) -> Result<Answer> {
    let body = json!({"carrier": "Replay Parcels", "tracking_number": format!("RP-{}", job.basket)});
    caller.post(&format!("/orders/{}/ship", job.id), &format!("ship-{}", job.basket), &body)
}

fn cancel(caller: &mut Caller<'_>, job: &Job) -> Result<Answer> {
    caller.act(&format!("/orders/{}/cancel", job.id), &format!("cancel-{}", job.basket))
}

/// Whether the order's state does not allow it. Any other answer than this and 200 is an error.
fn refused(answer: &Answer) -> Result<bool> {
    match answer.status {
        200 => Ok(false),
        409 if answer.value().get("code").is_some_and(|code| code == "order-state") => Ok(true),
        _ => bail!("{answer}"),
    }
}

/// The client has cancelled: what it was told of the money decides, where it was told.
fn cancelled(job: &mut Job, answer: &Answer) -> Result<Option<Ending>> {
    let order: Order = read(answer, &[200])?;
    if order.status != Status::Cancelled {
        bail!("it was cancelled, and is not: {answer}");
    }
    job.history.cancelled = true;
    match order.payment.payment_status {
        PaymentStatus::Refunded => Ok(Some(Ending::CancelledRefunded)),
        PaymentStatus::Voided if job.history.captured => {
            bail!("it was paid for, and no money came back: {answer}")
        }
        PaymentStatus::Voided => Ok(Some(Ending::CancelledUnpaid)),
        // An attempt that was under way is still to be settled.
        _ => Ok(None),
    }
}
