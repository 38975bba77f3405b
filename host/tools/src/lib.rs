//! Tools for those who write an application: a new service from templates, and what is wrong on a machine.

pub mod doctor;
pub mod scaffold;
