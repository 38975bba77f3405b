//! `POST /orders`.

use bulkhead_contracts::v1::{OrderLine, OrderPlaced};
use bulkhead_contracts::{AddressId, Money, ProductId, UserId};
use bulkhead_sdk::json::Node;
use bulkhead_sdk::{
    Body, Created, Errors, FromJson, Integer, List, Problem, Result, Schema, Timestamp, Transaction, body,
    new_id, now, serde_json,
};

use super::address::ShippingInput;
use super::payment::PaymentInput;
use super::who::Asks;
use crate::problems::{PRICE_CHANGED, UNKNOWN_ADDRESS, UNKNOWN_PRODUCT, UNKNOWN_USER};
use crate::rules::access::Who;
use crate::rules::basket::{ITEMS_MAX, Priced, QUANTITY_MAX, Unpriced, price, repeated};
use crate::rules::number::year;
use crate::rules::status::{Cause, PaymentStatus, Status, next};
use crate::settings::settings;
use crate::store::item::Item;
use crate::store::order::{self, Order};
use crate::store::payment::Payment;
use crate::store::{deleted_user, order_event, order_number, replica};
use crate::timers::PaymentDue;

body! {
    /// An order to place.
    pub struct OrderInput {
        /// What is ordered, each product once.
        pub items: ItemsInput,
        /// Where it goes.
        pub shipping: ShippingInput,
        /// How it is paid.
        pub payment: PaymentInput,
        /// What the customer expects to pay: another total is refused.
        pub expected_total: Option<Money>,
        /// The customer; for an admin, who must say it.
        pub user_id: Option<UserId>,
        /// When it was ordered, if not now; for an admin.
        pub ordered_at: Option<Timestamp>,
    }
}

body! {
    /// So many of a product.
    pub struct ItemInput {
        /// The product.
        pub product_id: ProductId,
        /// How many.
        pub quantity: Integer<1, QUANTITY_MAX>,
    }
}

/// The items of an order: each product once.
#[derive(Debug, Clone)]
pub(super) struct ItemsInput(Vec<(ProductId, i64)>);

impl Schema for ItemsInput {
    fn schema() -> serde_json::Value {
        List::<ItemInput, 1, ITEMS_MAX>::schema()
    }
}

impl FromJson for ItemsInput {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        let items = List::<ItemInput, 1, ITEMS_MAX>::from_json(node, errors)?.into_items();
        let products: Vec<ProductId> = items.iter().map(|item| item.product_id).collect();
        let repeated = repeated(&products);
        for place in &repeated {
            errors.in_item(*place, |errors| {
                errors.in_field("product_id", |errors| {
                    errors.add("stands before already: order more of a product by its quantity");
                });
            });
        }
        let pairs = items.iter().map(|item| (item.product_id, item.quantity.get())).collect();
        repeated.is_empty().then_some(Self(pairs))
    }
}

/// Who orders, and when it was: 403 where a customer says what an admin alone may say, 422 where an admin does not say whom for.
fn customer_and_time(
    who: Who,
    (user_id, ordered_at): (Option<UserId>, Option<Timestamp>),
    now: Timestamp,
) -> Result<(UserId, Timestamp)> {
    let user_id = match (who, user_id) {
        (Who::Customer(_), _) if user_id.is_some() || ordered_at.is_some() => {
            return Err(Problem::forbidden(
                "user_id and ordered_at are for an admin: a customer orders for themself, now",
            ));
        }
        (Who::Customer(user), _) | (Who::Admin, Some(user)) => user,
        (Who::Admin, None) => {
            return Err(Problem::invalid_field("user_id", "is missing: an admin says whom the order is for"));
        }
    };
    match ordered_at {
        Some(ordered_at) if ordered_at > now => {
            Err(Problem::invalid_field("ordered_at", "must not be in the future"))
        }
        ordered_at => Ok((user_id, ordered_at.unwrap_or(now))),
    }
}

pub(super) fn place(
    Asks(who): Asks,
    Body(new): Body<OrderInput>,
    transaction: Transaction,
) -> Result<Created<Order>> {
    let now = now();
    let (user_id, created_at) = customer_and_time(who, (new.user_id, new.ordered_at), now)?;
    // Calls the user service: before anything touches the unit of work.
    let shipping = new.shipping.find(user_id)?;
    let knows_user = knows_user(&transaction, who, user_id)?;
    let ItemsInput(wanted) = new.items;
    let ids: Vec<ProductId> = wanted.iter().map(|(id, _)| *id).collect();
    let priced = price(&wanted, &replica::products(&transaction, &ids)?);
    let (priced, total_amount) = check_known(user_id, knows_user, priced)?;
    let shipping = shipping.map_err(unknown_address)?;
    if new.expected_total.is_some_and(|expected| expected != total_amount) {
        return Err(Problem::of(PRICE_CHANGED, "the total is not what was expected")
            .with("constraint", "order.total_amount")
            .with("total_amount", total_amount.to_string()));
    }
    let payment = Payment {
        id: new_id().into(),
        payment_method: new.payment.method.into_string(),
        payment_status: PaymentStatus::Pending,
        transaction_id: None,
        amount: total_amount,
        paid_at: None,
    };
    let order = Order {
        id: new_id().into(),
        user_id_ref: Some(user_id),
        order_number: order_number::take(&transaction, year(created_at))?.into_string(),
        status: first_status()?,
        total_amount,
        created_at,
        updated_at: now,
        items: priced.into_iter().map(item).collect(),
        payment,
        shipping,
    };
    // From now on, whenever it is said to have been ordered.
    let due = now.plus_milliseconds(settings().payment_timeout_milliseconds);
    order::insert(&transaction, &order, &new.payment.token, due)?;
    order_event::append(&transaction, order.id, Cause::Placed, created_at)?;
    transaction.publish(&placed(&order, user_id)?)?;
    transaction.schedule(&PaymentDue { order_id: order.id }, due)?;
    Ok(Created { location: format!("/orders/{}", order.id), body: order })
}

/// The shop knows a customer by their token, also before it has heard of them; others by the replica. Whoever is deleted orders nothing,
/// though their token may still be on its way.
fn knows_user(transaction: &Transaction, who: Who, user_id: UserId) -> Result<bool> {
    if deleted_user::exists(transaction, user_id)? {
        return Ok(false);
    }
    match who {
        Who::Customer(_) => Ok(true),
        Who::Admin => Ok(replica::user_exists(transaction, user_id)?),
    }
}

/// Whoever and whatever is not known is named, all at once.
fn check_known<T>(user_id: UserId, knows_user: bool, priced: Result<T, Unpriced>) -> Result<T> {
    let users: &[UserId] = if knows_user { &[] } else { &[user_id] };
    let products = match &priced {
        Err(Unpriced::Unknown(products)) => products.as_slice(),
        _ => &[],
    };
    let problem = match (users, products) {
        ([], []) => {
            return priced.map_err(|_| {
                Problem::invalid_field("items", format!("must cost {} at most, all together", Money::MAX))
            });
        }
        ([], _) => Problem::of(UNKNOWN_PRODUCT, "the shop does not have each of these products")
            .with("constraint", "order_item.product_id_ref"),
        _ => Problem::of(UNKNOWN_USER, "there is no such user to order for")
            .with("constraint", "order.user_id_ref"),
    };
    let texts = |ids: Vec<String>| serde_json::Value::from(ids);
    Err(problem
        .with("users", texts(users.iter().map(ToString::to_string).collect()))
        .with("products", texts(products.iter().map(ToString::to_string).collect())))
}

fn unknown_address(id: AddressId) -> Problem {
    Problem::of(UNKNOWN_ADDRESS, "the customer has no such address")
        .with("constraint", "user_address.id")
        .with("address_id", id.to_string())
}

fn first_status() -> Result<Status> {
    next(None, Cause::Placed).ok_or_else(|| Problem::internal("an order that is placed has no status"))
}

fn item(priced: Priced) -> Item {
    Item {
        id: new_id().into(),
        product_id_ref: priced.product_id,
        product_name: priced.name,
        unit_price: priced.unit_price,
        quantity: priced.quantity,
        subtotal: priced.subtotal,
    }
}

fn placed(order: &Order, user_id: UserId) -> Result<OrderPlaced> {
    let line = |item: &Item| {
        Some(OrderLine {
            product_id: item.product_id_ref,
            quantity: u32::try_from(item.quantity).ok()?,
            unit_price: item.unit_price,
        })
    };
    let items: Option<Vec<OrderLine>> = order.items.iter().map(line).collect();
    Ok(OrderPlaced {
        id: order.id,
        order_number: order.order_number.clone(),
        user_id,
        items: items.ok_or_else(|| Problem::internal("a quantity is out of range"))?,
        total_amount: order.total_amount,
        placed_at: order.created_at.to_string(),
    })
}
