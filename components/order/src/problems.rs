//! The kinds of problem that are this service's own.

bulkhead_sdk::problems! {
    /// The shop does not have each of the products: `products` names those that it does not know.
    pub UNKNOWN_PRODUCT = 409 "unknown-product"
    /// There is no such user to order for: `users` names them, and `products` what the shop does not know either.
    pub UNKNOWN_USER = 409 "unknown-user"
    /// The customer has no address with this `address_id`.
    pub UNKNOWN_ADDRESS = 409 "unknown-address"
    /// The total is not what `expected_total` says: `total_amount` is what it is. Show it to the customer, and order again.
    pub PRICE_CHANGED = 409 "price-changed"
    /// The order stands in a way that does not allow this: `order_status` says how it stands.
    pub ORDER_STATE = 409 "order-state"
    /// The order was tried to be paid as often as one may be.
    pub TOO_MANY_PAYMENTS = 409 "too-many-payments"
}
