//! Deploys: what is refused, what a crash leaves, and what operators are told of versions.

mod command;
mod killed;
mod notes;
mod probation;
mod refused;
mod versions;
