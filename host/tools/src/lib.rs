//! Tools for authors of applications: a new service from templates, and a check of the machine.

pub mod doctor;
pub mod scaffold;
