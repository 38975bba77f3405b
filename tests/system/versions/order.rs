//! The order service over its versions: what a migration forgets is forgotten, and all else is there forth and back.

use bulkhead_tests::shop::{category, settled};
use bulkhead_tests::{Client, Customer, Site, database};
use serde_json::{Value, json};

use super::undo;
use crate::ordering::{place, stocked, until, until_status};

/// How the table is made, with its constraints.
fn shipping_table(site: &Site) -> Vec<String> {
    let connection = database::open(&site.database("order"));
    database::texts(&connection, "SELECT sql FROM sqlite_schema WHERE name = 'order_shipping'")
}

/// The tracking numbers of all orders, the oldest first; `-` where there is none.
fn tracking_numbers(site: &Site) -> Vec<String> {
    let statement = "SELECT coalesce(tracking_number, '-') FROM order_shipping JOIN \"order\" ON \"order\".id = order_id \
                     ORDER BY order_number";
    database::texts(&database::open(&site.database("order")), statement)
}

/// What the administrator sees of these orders.
#[track_caller]
fn look(admin: &mut Client, orders: &[String]) -> Vec<Value> {
    orders.iter().map(|order| admin.get(&format!("/orders/{order}")).expect(200)).collect()
}

#[test]
fn tracking_numbers_of_deleted_customers_are_erased_and_others_survive_upgrade_and_rollback() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let food = category(&mut admin, "food", None);
    let product = stocked(&mut admin, &food, "1", "19.99", 10);
    let [mut ada, mut bo] = ["Ada", "Bo"].map(|name| host.customer(name));
    let mut shipped = |customer: &mut Customer, number: &str| {
        let order = place(&mut customer.client, &[(&product, 1)], "tok_ok");
        until_status(&mut customer.client, &order, "paid");
        let carriage = json!({"carrier": "Post", "tracking_number": number});
        admin.post(&format!("/orders/{order}/ship"), &carriage).expect(200);
        order
    };
    let [adas, bos] = [shipped(&mut ada, "TRK-ADA"), shipped(&mut bo, "TRK-BO")];
    let waiting = place(&mut bo.client, &[(&product, 1)], "tok_declined");
    let declined = |order: &Value| order["payment"]["payment_status"] == "declined";
    until(&mut bo.client, &format!("/orders/{waiting}"), declined);
    let deleted = admin.delete(&format!("/users/{}", ada.id));
    deleted.expect(204);
    settled(&mut admin, &deleted);
    let orders = [adas.clone(), bos, waiting];
    let seen = look(&mut admin, &orders);
    host.stop();
    assert_eq!(tracking_numbers(&site), ["-", "TRK-BO", "-"]);
    let now = shipping_table(&site);

    // To the version before a parcel with a carrier has a number: what is forgotten is empty there.
    undo(&site, "order", 2, "components/order/migrations/reverse/V0002__forget_tracking_number.sql");
    assert_ne!(shipping_table(&site), now);
    assert_eq!(tracking_numbers(&site), ["", "TRK-BO", "-"]);
    // And when it forgot a customer it kept the number.
    let connection = database::open_to_break(&site.database("order"));
    let kept = "UPDATE order_shipping SET tracking_number = 'TRK-ADA' WHERE order_id = ?1";
    assert_eq!(connection.execute(kept, [&adas]).unwrap(), 1);
    drop(connection);

    let host = site.start();
    assert_eq!(look(&mut host.admin(), &orders), seen);
    host.stop();
    assert_eq!(tracking_numbers(&site), ["-", "TRK-BO", "-"]);
    assert_eq!(shipping_table(&site), now);
    database::check(&database::open(&site.database("order")));
}
