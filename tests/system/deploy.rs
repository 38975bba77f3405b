//! Deploys: other versions of a component while it serves; what is refused, what a crash leaves, and what operators are told of versions.

mod busy;
mod command;
mod killed;
mod load;
mod notes;
mod probation;
mod refused;
mod shop;
mod versions;
