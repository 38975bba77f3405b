//! The tests of the shop's components: a module for each service, and `saga` for what several do together.

mod order;
mod report;
mod saga;
