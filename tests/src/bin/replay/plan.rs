//! What the client means to do with each order, and the rules of what may come of it: pure functions of what it was told.
//!
//! Where an outcome is not the client's to choose (a time-out that comes first, a cancel that races with shipping), the answer that it
//! got decides. An outcome that neither the plan nor the clock explains is wrong, however consistent it looks.

use bulkhead_tests::Random;

use crate::baskets::{Basket, Line};
use crate::seen::{PaymentStatus, State, Status};

/// More than any product's stock in the replay, and as much as an order may ask for.
const MORE_THAN_THE_STOCK: i64 = 10_000;

/// What the client means to do with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Pay, ship, and perhaps deliver. A flaky payment fails twice first.
    Ship { flaky: bool, deliver: bool },
    /// Ship, and then try to cancel, which is too late.
    CancelTooLate,
    /// Ask for more than the stock: rejected.
    TooMuch,
    /// Be declined, and pay again with a card that works.
    PayAgain,
    /// Be declined twice, and leave it to the time-out.
    DeclinedTwice,
    /// Be declined, and leave it to the time-out.
    Declined,
    /// Cancel as soon as it is placed.
    CancelAtOnce,
    /// Cancel when it is paid.
    CancelPaid,
    /// When it is paid, ship and cancel at the same time: one of them is refused.
    CancelWhileShipping,
}

/// How an order may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Not enough stock.
    Rejected,
    /// Cancelled, and never paid for.
    CancelledUnpaid,
    /// Cancelled, and the money given back.
    CancelledRefunded,
    /// On its way, and paid for.
    Shipped,
    /// Delivered, and paid for.
    Delivered,
}

impl Ending {
    /// All of them.
    pub(crate) const ALL: [Ending; 5] = [
        Ending::Rejected,
        Ending::CancelledUnpaid,
        Ending::CancelledRefunded,
        Ending::Shipped,
        Ending::Delivered,
    ];

    /// The state that the shop shows then.
    pub(crate) fn state(self) -> State {
        let (status, payment) = match self {
            Ending::Rejected => (Status::Rejected, PaymentStatus::Voided),
            Ending::CancelledUnpaid => (Status::Cancelled, PaymentStatus::Voided),
            Ending::CancelledRefunded => (Status::Cancelled, PaymentStatus::Refunded),
            Ending::Shipped => (Status::Shipped, PaymentStatus::Captured),
            Ending::Delivered => (Status::Delivered, PaymentStatus::Captured),
        };
        State { status, payment }
    }

    /// Whether the goods have left and the money stays.
    pub(crate) fn is_sale(self) -> bool {
        matches!(self, Ending::Shipped | Ending::Delivered)
    }
}

/// What the client has done with an order so far, and been answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// It has paid again.
    pub(crate) paid_again: bool,
    /// The shop has said that a payment was captured.
    pub(crate) captured: bool,
    /// The shop has said that the order is cancelled because the client wanted it.
    pub(crate) cancelled: bool,
    /// The shop has refused to cancel because the order had timed out.
    pub(crate) timed_out: bool,
}

/// What is to be done next with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// Look again later.
    Wait,
    /// Pay again with this token.
    Pay(&'static str),
    /// Ship it.
    Ship,
    /// Cancel it.
    Cancel,
    /// Ship it and cancel it at the same time.
    ShipAndCancel,
    /// It has ended so.
    End(Ending),
    /// This must not have happened.
    Wrong(&'static str),
}

impl Plan {
    /// A plan for each basket of a run without faults: all are paid for and shipped, every third is delivered.
    pub(crate) fn orderly(baskets: usize) -> Vec<Plan> {
        (0..baskets).map(|basket| Plan::Ship { flaky: false, deliver: basket % 3 == 0 }).collect()
    }

    /// A plan for each basket of a run with faults: one in ten is declined, one in ten is cancelled by the client, one in twenty asks for
    /// too much. They are dealt from shuffled decks, so that a short run has some of each.
    pub(crate) fn chaotic(random: &mut Random, baskets: usize) -> Vec<Plan> {
        let mut plans = Vec::with_capacity(baskets.next_multiple_of(DECK));
        while plans.len() < baskets {
            let mut deck = deck();
            while !deck.is_empty() {
                let length = u64::try_from(deck.len()).unwrap_or(u64::MAX);
                let place = usize::try_from(random.below(length)).unwrap_or(0);
                plans.push(deck.swap_remove(place));
            }
        }
        plans.truncate(baskets);
        plans
    }

    /// The payment token that the order is placed with.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Plan::PayAgain | Plan::DeclinedTwice | Plan::Declined => "tok_declined",
            Plan::Ship { flaky: true, .. } => "tok_flaky",
            _ => "tok_ok",
        }
    }

    /// Whether the order is delivered after it was shipped.
    pub(crate) fn delivers(self) -> bool {
        matches!(self, Plan::Ship { deliver: true, .. })
    }

    /// What is ordered of a basket.
    pub(crate) fn lines(self, basket: &Basket) -> Vec<Line> {
        let mut lines = basket.lines.clone();
        if self == Plan::TooMuch
            && let Some(line) = lines.last_mut()
        {
            line.quantity = MORE_THAN_THE_STOCK;
        }
        lines
    }

    /// What to do with an order in this state. `late` says that its time to pay has passed, so that a time-out explains what the
    /// client did not ask for.
    pub(crate) fn next(self, history: History, state: State, late: bool) -> Move {
        match state.status {
            Status::Pending => Move::Wait,
            Status::Reserved => match (self, state.payment) {
                _ if history.cancelled => Move::Wrong("it was cancelled, and is reserved again"),
                (Plan::PayAgain, PaymentStatus::Declined) if !history.paid_again => Move::Pay("tok_ok"),
                (Plan::DeclinedTwice, PaymentStatus::Declined) if !history.paid_again => {
                    Move::Pay("tok_declined")
                }
                (Plan::PayAgain | Plan::DeclinedTwice | Plan::Declined, _)
                | (_, PaymentStatus::Pending | PaymentStatus::Captured) => Move::Wait,
                _ => Move::Wrong("a good payment was not taken"),
            },
            Status::Paid => self.next_when_paid(history, state.payment),
            Status::Rejected => match (self, state.payment) {
                (Plan::TooMuch, PaymentStatus::Voided) => Move::End(Ending::Rejected),
                (Plan::TooMuch, PaymentStatus::Pending) => Move::Wait,
                _ => Move::Wrong("there was stock enough, or a rejected order was paid for"),
            },
            Status::Cancelled => self.next_when_cancelled(history, state.payment, late),
            Status::Shipped | Status::Delivered => Move::Wrong("nobody has shipped it"),
        }
    }

    fn next_when_paid(self, history: History, payment: PaymentStatus) -> Move {
        if payment != PaymentStatus::Captured {
            return Move::Wrong("it is paid, and its payment is not captured");
        }
        if history.cancelled || history.timed_out {
            return Move::Wrong("it was cancelled, and is paid");
        }
        match self {
            Plan::Ship { .. } | Plan::CancelTooLate => Move::Ship,
            Plan::PayAgain if history.paid_again => Move::Ship,
            Plan::CancelAtOnce | Plan::CancelPaid => Move::Cancel,
            Plan::CancelWhileShipping => Move::ShipAndCancel,
            Plan::PayAgain | Plan::DeclinedTwice | Plan::Declined => {
                Move::Wrong("a declined payment was taken")
            }
            Plan::TooMuch => Move::Wrong("there is no such stock"),
        }
    }

    fn next_when_cancelled(self, history: History, payment: PaymentStatus, late: bool) -> Move {
        if !history.cancelled && !late {
            return Move::Wrong("nobody has cancelled it, and it had time to be paid");
        }
        if !history.cancelled && history.captured {
            return Move::Wrong("it timed out although it was paid for");
        }
        let never_paid = matches!(self, Plan::TooMuch | Plan::Declined | Plan::DeclinedTwice);
        match payment {
            PaymentStatus::Refunded if never_paid => Move::Wrong("money came back that was never paid"),
            PaymentStatus::Voided if history.captured => {
                Move::Wrong("it was paid for, and no money came back")
            }
            PaymentStatus::Refunded => Move::End(Ending::CancelledRefunded),
            PaymentStatus::Voided => Move::End(Ending::CancelledUnpaid),
            // An attempt that was under way is still to be settled.
            PaymentStatus::Pending | PaymentStatus::Declined | PaymentStatus::Captured => Move::Wait,
        }
    }
}

/// Cards in a deck.
const DECK: usize = 40;

/// The plans in their shares.
fn deck() -> Vec<Plan> {
    let mut deck = vec![
        Plan::TooMuch,
        Plan::TooMuch,
        Plan::PayAgain,
        Plan::PayAgain,
        Plan::DeclinedTwice,
        Plan::Declined,
        Plan::CancelAtOnce,
        Plan::CancelAtOnce,
        Plan::CancelPaid,
        Plan::CancelWhileShipping,
        Plan::CancelTooLate,
        Plan::CancelTooLate,
        Plan::Ship { flaky: true, deliver: false },
        Plan::Ship { flaky: true, deliver: true },
    ];
    let rest = DECK.saturating_sub(deck.len());
    deck.extend((0..rest).map(|card| Plan::Ship { flaky: false, deliver: card % 3 == 0 }));
    deck
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baskets::Sku;
    use crate::cents::Cents;

    fn share(plans: &[Plan], of: impl Fn(Plan) -> bool) -> usize {
        plans.iter().filter(|plan| of(**plan)).count()
    }

    #[test]
    fn ten_percent_are_declined_ten_percent_cancelled_and_five_percent_exceed_the_stock() {
        let plans = Plan::chaotic(&mut Random::of_seed(1), 400);
        assert_eq!(plans.len(), 400);
        assert_eq!(share(&plans, |plan| plan.token() == "tok_declined"), 40);
        let cancels = [Plan::CancelAtOnce, Plan::CancelPaid, Plan::CancelWhileShipping];
        assert_eq!(share(&plans, |plan| cancels.contains(&plan)), 40);
        assert_eq!(share(&plans, |plan| plan == Plan::TooMuch), 20);
    }

    #[test]
    fn a_seed_gives_the_same_plans_again_and_another_seed_others() {
        let of = |seed| Plan::chaotic(&mut Random::of_seed(seed), 100);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn excessive_plan_orders_more_of_one_product_and_other_plans_order_the_basket() {
        let line = |sku| Line { sku: Sku(sku), quantity: 2, unit_price: Cents::new(100) };
        let basket = Basket {
            number: 1,
            household: 2,
            store: 3,
            ordered_at: String::new(),
            lines: vec![line(1), line(2)],
        };
        let quantities =
            |plan: Plan| plan.lines(&basket).iter().map(|line| line.quantity).collect::<Vec<_>>();
        assert_eq!(quantities(Plan::TooMuch), [2, MORE_THAN_THE_STOCK]);
        assert_eq!(quantities(Plan::CancelPaid), [2, 2]);
    }

    const SHIP: Plan = Plan::Ship { flaky: false, deliver: false };
    const NOTHING: History =
        History { paid_again: false, captured: false, cancelled: false, timed_out: false };

    fn next(plan: Plan, history: History, status: Status, payment: PaymentStatus, late: bool) -> Move {
        plan.next(history, State { status, payment }, late)
    }

    #[test]
    fn each_plan_does_what_its_name_says() {
        use PaymentStatus as P;
        use Status as S;
        let again = History { paid_again: true, ..NOTHING };
        for (plan, history, status, payment, expected) in [
            (SHIP, NOTHING, S::Pending, P::Pending, Move::Wait),
            (SHIP, NOTHING, S::Reserved, P::Pending, Move::Wait),
            (SHIP, NOTHING, S::Paid, P::Captured, Move::Ship),
            (Plan::CancelTooLate, NOTHING, S::Paid, P::Captured, Move::Ship),
            (Plan::CancelPaid, NOTHING, S::Paid, P::Captured, Move::Cancel),
            (Plan::CancelWhileShipping, NOTHING, S::Paid, P::Captured, Move::ShipAndCancel),
            (Plan::PayAgain, NOTHING, S::Reserved, P::Pending, Move::Wait),
            (Plan::PayAgain, NOTHING, S::Reserved, P::Declined, Move::Pay("tok_ok")),
            (Plan::PayAgain, again, S::Reserved, P::Declined, Move::Wait),
            (Plan::PayAgain, again, S::Paid, P::Captured, Move::Ship),
            (Plan::DeclinedTwice, NOTHING, S::Reserved, P::Declined, Move::Pay("tok_declined")),
            (Plan::DeclinedTwice, again, S::Reserved, P::Declined, Move::Wait),
            (Plan::Declined, NOTHING, S::Reserved, P::Declined, Move::Wait),
            (Plan::TooMuch, NOTHING, S::Rejected, P::Voided, Move::End(Ending::Rejected)),
        ] {
            assert_eq!(
                next(plan, history, status, payment, false),
                expected,
                "{plan:?}, {status:?}, {payment:?}"
            );
        }
    }

    #[test]
    fn a_time_out_explains_a_cancelled_order_and_nothing_else_does() {
        use PaymentStatus::{Refunded, Voided};
        for plan in [SHIP, Plan::Declined, Plan::TooMuch, Plan::PayAgain, Plan::CancelAtOnce] {
            let late = |late| next(plan, NOTHING, Status::Cancelled, Voided, late);
            assert_eq!(late(true), Move::End(Ending::CancelledUnpaid), "{plan:?}");
            assert!(matches!(late(false), Move::Wrong(_)), "{plan:?}");
        }
        let captured = History { paid_again: true, captured: true, ..NOTHING };
        assert!(matches!(next(Plan::PayAgain, captured, Status::Cancelled, Voided, true), Move::Wrong(_)));
        let cancelled = History { cancelled: true, ..NOTHING };
        for (payment, ending) in [(Refunded, Ending::CancelledRefunded), (Voided, Ending::CancelledUnpaid)] {
            let end = next(Plan::CancelAtOnce, cancelled, Status::Cancelled, payment, false);
            assert_eq!(end, Move::End(ending));
        }
    }

    #[test]
    fn state_that_neither_plan_nor_clock_explains_is_wrong() {
        use PaymentStatus as P;
        use Status as S;
        let cancelled = History { cancelled: true, ..NOTHING };
        let captured_and_cancelled = History { captured: true, ..cancelled };
        for (plan, history, status, payment) in [
            (SHIP, NOTHING, S::Rejected, P::Voided),
            (SHIP, NOTHING, S::Reserved, P::Declined),
            (SHIP, NOTHING, S::Shipped, P::Captured),
            (SHIP, NOTHING, S::Paid, P::Pending),
            (Plan::TooMuch, NOTHING, S::Paid, P::Captured),
            (Plan::TooMuch, NOTHING, S::Rejected, P::Captured),
            (Plan::Declined, NOTHING, S::Paid, P::Captured),
            (Plan::PayAgain, NOTHING, S::Paid, P::Captured),
            (Plan::Declined, NOTHING, S::Cancelled, P::Refunded),
            (Plan::CancelAtOnce, cancelled, S::Paid, P::Captured),
            (Plan::CancelPaid, captured_and_cancelled, S::Cancelled, P::Voided),
        ] {
            let found = next(plan, history, status, payment, true);
            assert!(matches!(found, Move::Wrong(_)), "{plan:?}, {status:?}, {payment:?}: {found:?}");
        }
    }
}
