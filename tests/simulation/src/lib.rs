//! The real handlers and the real definition of the state machine, in one process, on virtual time.

pub mod asl;
pub mod choices;
pub mod defects;
pub mod functions;
pub mod golden;
pub mod invariants;
pub mod jsonata;
pub mod services;
pub mod stack;
pub mod story;
pub mod time;
pub mod walk;
pub mod world;
