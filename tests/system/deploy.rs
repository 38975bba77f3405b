//! Deploys: other versions of a component while it serves.

mod busy;
mod load;
mod shop;
