//! All SQL of the service, a file per table.

pub mod deleted_user;
pub mod gateway;
pub mod head;
pub mod item;
pub mod order;
pub mod order_event;
pub mod order_list;
pub mod order_number;
pub mod payment;
pub mod payment_attempt;
pub mod replica;
pub mod shipping;
