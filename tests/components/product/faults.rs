//! When the database fails: whatever was begun is done whole or not at all, whoever asked is told, and the next try does it.

use std::time::Duration;

use bulkhead_testing::{Event, Fault, Request, Service, json};

use super::{
    ADA, Asks as _, cancelled, category, delete_user, everything, id_of, name_user, order, place, placed,
    product, product_body, shipped, stock,
};

/// The first retry of an event comes sooner.
const RETRIED: Duration = Duration::from_secs(60);

/// A shop where there is something of everything: a category below another, a product with an image, a review and an order's stock.
struct Shop {
    service: Service,
    food: String,
    bread: String,
    /// The path of a product.
    product: String,
    image: String,
    review: String,
}

impl Shop {
    #[track_caller]
    fn start() -> Self {
        let service = Service::start("product");
        let food = category(&service, "food", None);
        let bread = category(&service, "bread", Some(&food));
        let product = format!("/products/{}", product(&service, &food, "1", 10));
        let image = json!({"image_url": "https://a.example/1"});
        let image = service.post(format!("{product}/images")).admin().json(image).send().status(201);
        name_user(&service, ADA, "Ada");
        let review = service.post(format!("{product}/reviews")).customer(ADA).json(json!({"rating": 5}));
        let review = review.send().status(201);
        place(&service, &order(1), &[(id_of(&product), 4)]).consumed();
        let _ = service.published();
        let [image, review] = [image, review].map(|made| made.header_value("location").expect("a location"));
        Self { service, food, bread, product, image, review }
    }
}

/// Makes a request of the shop.
type Make = fn(&Shop) -> Request;

/// Every request that writes, with the status that it is answered with and whether it publishes.
const WRITES: [(Make, u16, bool); 11] = [
    (
        |shop| {
            let body = json!({"name": "Bread", "parent_category_id": shop.food});
            shop.service.post("/categories").admin().json(body)
        },
        201,
        true,
    ),
    (
        |shop| {
            let patch = json!({"name": "Loaves", "parent_category_id": shop.food});
            shop.service.patch(format!("/categories/{}", shop.bread)).admin().json(patch)
        },
        200,
        true,
    ),
    (|shop| shop.service.delete(format!("/categories/{}", shop.bread)).admin(), 204, false),
    (|shop| shop.service.post("/products").admin().json(product_body(&shop.food, "2")), 201, true),
    (|shop| shop.service.patch(&shop.product).admin().json(json!({"price": "20.00"})), 200, true),
    (
        |shop| {
            let tag = shop.service.get(&shop.product).send().status(200).header_value("etag").expect("a tag");
            shop.service.patch(&shop.product).admin().header("if-match", tag).json(json!({"price": "20.00"}))
        },
        200,
        true,
    ),
    (
        |shop| shop.service.post(format!("{}/stock", shop.product)).admin().json(json!({"delta": 5})),
        200,
        false,
    ),
    (
        |shop| {
            let body = json!({"image_url": "https://a.example/2"});
            shop.service.post(format!("{}/images", shop.product)).admin().json(body)
        },
        201,
        false,
    ),
    (|shop| shop.service.delete(&shop.image).admin(), 204, false),
    (
        |shop| {
            let request = shop.service.post(format!("{}/reviews", shop.product)).customer(super::BOB);
            request.json(json!({"rating": 4, "comment": "Good."}))
        },
        201,
        false,
    ),
    (|shop| shop.service.delete(&shop.review).customer(ADA), 204, false),
];

/// Sends it while something fails: it is told, nothing is kept, and the same again is done.
#[track_caller]
fn fails_whole(make: Make, fault: Fault, problem: (u16, &str), status: u16) {
    let shop = Shop::start();
    let request = make(&shop).idempotency_key("one");
    let before = everything(&shop.service);
    let answer = request.failing(fault).send().problem(problem.0, problem.1);
    if problem.0 == 503 {
        answer.header("retry-after", "1");
    }
    assert_eq!(everything(&shop.service), before, "{fault:?} leaves nothing half done");
    shop.service.expect_published(json!([]));
    make(&shop).idempotency_key("one").send().status(status).replayed(false);
    assert_ne!(everything(&shop.service), before);
}

#[test]
fn a_write_whose_database_call_fails_has_no_partial_effect() {
    for (make, status, publishes) in WRITES {
        let shop = Shop::start();
        let calls = make(&shop).send().status(status).database_calls();
        assert!(calls > 0);
        assert_eq!(!shop.service.published().is_empty(), publishes);
        for call in 1..=calls {
            fails_whole(make, Fault::Statement(call), (500, "internal"), status);
        }
        fails_whole(make, Fault::StorageFull(calls), (507, "storage-full"), status);
    }
}

#[test]
fn a_write_to_a_busy_database_asks_the_client_to_retry() {
    for (make, status, _) in WRITES {
        let calls = make(&Shop::start()).send().status(status).database_calls();
        for call in 1..=calls {
            fails_whole(make, Fault::StatementBusy(call), (503, "unavailable"), status);
        }
    }
}

#[test]
fn a_write_that_is_not_committed_asks_the_client_to_retry() {
    for (make, status, _) in WRITES {
        fails_whole(make, Fault::Commit, (503, "unavailable"), status);
    }
}

#[test]
fn a_write_whose_commit_fails_once_takes_effect_once() {
    for (make, status, publishes) in WRITES {
        let shop = Shop::start();
        make(&shop).failing(Fault::CommitOnce).send().status(status);
        assert_eq!(shop.service.published().len(), usize::from(publishes));
    }
}

#[test]
fn a_product_is_deleted_entirely_or_not_at_all() {
    let make: Make = |shop| {
        // What is reserved of it is sold: it may go.
        let order = order(1);
        let sold = shop.service.event("order.shipped").subject(&order).data(shipped(&order));
        sold.deliver().consumed();
        shop.service.delete(&shop.product).admin()
    };
    let calls = make(&Shop::start()).send().status(204).database_calls();
    for fault in (1..=calls).map(Fault::Statement) {
        fails_whole(make, fault, (500, "internal"), 204);
    }
    fails_whole(make, Fault::Commit, (503, "unavailable"), 204);
}

#[test]
fn a_read_whose_database_call_fails_is_500() {
    let paths: [fn(&Shop) -> String; 12] = [
        |_| "/categories".to_owned(),
        |shop| format!("/categories/{}", shop.bread),
        |_| "/categories/by-slug/bread".to_owned(),
        |_| "/products".to_owned(),
        |_| "/products?q=product".to_owned(),
        |shop| shop.product.clone(),
        |_| "/products/by-sku/1".to_owned(),
        |shop| format!("{}/stock", shop.product),
        |shop| format!("{}/images", shop.product),
        |shop| shop.image.clone(),
        |shop| format!("{}/reviews", shop.product),
        |shop| shop.review.clone(),
    ];
    let shop = Shop::start();
    for path in paths {
        let path = path(&shop);
        let calls = shop.service.get(&path).admin().send().status(200).database_calls();
        for call in 1..=calls {
            let answer = shop.service.get(&path).admin().failing(Fault::Statement(call)).send();
            answer.problem(500, "internal");
        }
        shop.service.get(&path).admin().send().status(200);
    }
}

/// Makes an event for the shop.
type Tell = fn(&Shop) -> Event;

/// Every event that is taken, with what is published of it.
const EVENTS: [(Tell, &[&str]); 5] = [
    (
        |shop| {
            let order = order(2);
            let data = placed(&order, &[(id_of(&shop.product), 6)]);
            shop.service.event("order.placed").subject(&order).data(data)
        },
        &["product.stock-reserved"],
    ),
    (
        |shop| {
            let order = order(2);
            let data = placed(&order, &[(id_of(&shop.product), 7)]);
            shop.service.event("order.placed").subject(&order).data(data)
        },
        &["product.stock-rejected"],
    ),
    (
        |shop| shop.service.event("order.cancelled").subject(order(1)).data(cancelled(&order(1))),
        &["product.stock-released"],
    ),
    (|shop| shop.service.event("order.shipped").subject(order(1)).data(shipped(&order(1))), &[]),
    (|shop| shop.service.event("user.deleted").subject(ADA).data(json!({"id": ADA})), &[]),
];

#[test]
fn an_event_whose_database_call_fails_has_no_partial_effect_and_is_consumed_later() {
    for (tell, published) in EVENTS {
        let shop = Shop::start();
        let calls = tell(&shop).deliver().consumed().database_calls();
        assert!(calls > 1);
        shop.expect_published(published);
        let done = shop.kept();
        for call in 1..=calls {
            let shop = Shop::start();
            let before = shop.kept();
            tell(&shop).failing(Fault::Statement(call)).deliver().parked("disk I/O error");
            assert_eq!(shop.kept(), before, "call {call} fails, and nothing is half done");
            shop.expect_published(&[]);
            assert_eq!(shop.service.parked().len(), 1);
            shop.service.advance(RETRIED);
            assert!(shop.service.parked().is_empty(), "it is taken when it is tried again");
            assert_eq!(shop.kept(), done);
            shop.expect_published(published);
        }
    }
}

#[test]
fn an_event_whose_commit_fails_once_is_consumed_when_it_is_run_again() {
    for (tell, published) in EVENTS {
        let shop = Shop::start();
        tell(&shop).failing(Fault::CommitOnce).deliver().consumed();
        shop.expect_published(published);
    }
}

impl Shop {
    /// It published events of these types.
    #[track_caller]
    fn expect_published(&self, kinds: &[&str]) {
        super::PublishedKinds::expect_published_kinds(&self.service, kinds);
    }

    /// All that it keeps, but for the times at which it was changed, and the name beside the review, which the host takes away.
    #[track_caller]
    fn kept(&self) -> bulkhead_testing::Value {
        let mut all = everything(&self.service);
        all["product"][0]["updated_at"] = json!(null);
        all["user"] = json!(null);
        all
    }
}

#[test]
fn events_behind_a_parked_event_wait_with_it() {
    let shop = Shop::start();
    let second = order(2);
    let data = placed(&second, &[(id_of(&shop.product), 1)]);
    let first = shop.service.event("order.placed").subject(&second).data(data);
    first.failing(Fault::Statement(1)).deliver().parked("disk I/O error");
    // It is not taken before it: the order would be called off that was never heard of, and its stock set aside for good.
    super::cancel(&shop.service, &second).parked("");
    // Other orders go on.
    place(&shop.service, &order(3), &[(id_of(&shop.product), 2)]).consumed();
    shop.expect_published(&["product.stock-reserved"]);
    shop.service.advance(RETRIED);
    assert!(shop.service.parked().is_empty());
    shop.expect_published(&["product.stock-reserved", "product.stock-released"]);
    assert_eq!(stock(&shop.service, id_of(&shop.product)), [4, 6, 0, 10]);
    delete_user(&shop.service, ADA).consumed();
}
