//! Deliberate bugs, which the component tests of the shop are to find: see `make mutants`.

use std::path::Path;

/// A bug: a text of a source that is replaced.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// What a user would notice.
    pub name: &'static str,
    /// The service whose tests are to fail.
    pub service: &'static str,
    /// The source, from the project's folder.
    pub file: &'static str,
    /// What stands there, once.
    pub from: &'static str,
    /// What the bug has in its place.
    pub to: &'static str,
}

/// All of them.
pub const MUTANTS: [Mutant; 17] = [
    Mutant {
        name: "a wrong status: an email that is taken is a bad request",
        service: "user",
        file: "components/user/src/problems.rs",
        from: "EMAIL_TAKEN = 409",
        to: "EMAIL_TAKEN = 400",
    },
    Mutant {
        name: "a wrong Location: the way to a new user leads nowhere",
        service: "user",
        file: "components/user/src/http/users.rs",
        from: r#"location: format!("/users/{}", user.id)"#,
        to: r#"location: format!("/user/{}", user.id)"#,
    },
    Mutant {
        name: "an off-by-one: one login more may fail than is allowed",
        service: "user",
        file: "components/user/src/rules/login.rs",
        from: "failures.count >= self.failures_max",
        to: "failures.count > self.failures_max",
    },
    Mutant {
        name: "a forgotten erasure: events keep the data of a user who was deleted",
        service: "user",
        file: "components/user/src/http/users.rs",
        from: "    transaction.erase(&deleted.subject())?;\n",
        to: "",
    },
    Mutant {
        name: "a side channel: an email that nobody has is refused at once",
        service: "user",
        file: "components/user/src/http/sessions.rs",
        from: "let verified = password::verify(&compute, &login.password, hash)?;",
        to: "let verified = match &credentials {\n        None => Verified::No,\n        Some(_) => password::verify(&compute, &login.password, hash)?,\n    };",
    },
    Mutant {
        name: "a forgotten publish: nobody hears that stock was reserved",
        service: "product",
        file: "components/product/src/events/orders.rs",
        from: "transaction.publish(&StockReserved { order_id, items })?;",
        to: "drop(items);",
    },
    Mutant {
        name: "an off-by-one in stock: the last piece can't be ordered",
        service: "product",
        file: "components/product/src/rules/reservation.rs",
        from: "(i64::from(quantity) > available)",
        to: "(i64::from(quantity) >= available)",
    },
    Mutant {
        name: "a lost compensation: what a cancelled order had set aside is not available again",
        service: "product",
        file: "components/product/src/store/reservation.rs",
        from: "stock_quantity = stock_quantity + line.quantity",
        to: "stock_quantity = stock_quantity",
    },
    Mutant {
        name: "a double effect: an order that is placed twice is reserved twice",
        service: "product",
        file: "components/product/src/rules/reservation.rs",
        from: "(None, Event::Placed { all_there: true }) =>",
        to: "(None | Some(Reserved), Event::Placed { all_there: true }) =>",
    },
    Mutant {
        name: "an off-by-one in lists: behind the last page there is an empty one",
        service: "product",
        file: "components/sdk/src/page.rs",
        from: "let more = rows.len() > count;",
        to: "let more = rows.len() >= count;",
    },
    Mutant {
        name: "a rounding error: subtotals are rounded to five cents",
        service: "order",
        file: "components/contracts/src/money.rs",
        from: "Self::from_cents(self.cents.saturating_mul(count))",
        to: "Self::from_cents((self.cents.saturating_mul(count) + 2) / 5 * 5)",
    },
    Mutant {
        name: "a leak: a customer sees the orders of others",
        service: "order",
        file: "components/order/src/rules/access.rs",
        from: "Self::Customer(user) => owner == Some(user),",
        to: "Self::Customer(_) => owner.is_some(),",
    },
    Mutant {
        name: "a lost compensation: the money of a cancelled order is not given back",
        service: "order",
        file: "components/order/src/life.rs",
        from: "            gateway::release(transaction, order.id)?;\n",
        to: "",
    },
    Mutant {
        name: "a wrong clock: an order that is said to have been placed before is due before",
        service: "order",
        file: "components/order/src/http/placing.rs",
        from: "let due = now.plus_milliseconds(",
        to: "let due = created_at.plus_milliseconds(",
    },
    Mutant {
        name: "a forgotten timer: an order waits for its money for ever",
        service: "order",
        file: "components/order/src/http/placing.rs",
        from: "    transaction.schedule(&PaymentDue { order_id: order.id }, due)?;\n",
        to: "    let _ = PaymentDue { order_id: order.id };\n",
    },
    Mutant {
        name: "a lost correction: what was sold and then cancelled stays in the revenue",
        service: "report",
        file: "components/report/src/rules/order.rs",
        from: "(Some(day), None) => Movement::Out(day),",
        to: "(Some(_), None) => Movement::None,",
    },
    Mutant {
        name: "an order of events that matters: a payment that comes first is forgotten",
        service: "report",
        file: "components/report/src/rules/order.rs",
        from: "order.status = order.status.max(status);",
        to: "order.status = status;",
    },
];

impl Mutant {
    /// The source with the bug in it, given the source.
    ///
    /// # Errors
    ///
    /// What is wrong with the list, where the text does not stand in the source just once.
    pub fn apply(&self, source: &str) -> Result<String, String> {
        match source.matches(self.from).count() {
            1 => Ok(source.replacen(self.from, self.to, 1)),
            count => Err(format!(
                "{}: {:?} stands in {} {count} times, not once: say in tests/src/mutants.rs where the bug is to be now",
                self.name, self.from, self.file
            )),
        }
    }

    /// Where its source is in a checkout.
    #[must_use]
    pub fn path(&self, root: &Path) -> std::path::PathBuf {
        root.join(self.file)
    }
}
