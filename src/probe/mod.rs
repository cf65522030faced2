//! Asking a storage how it is.
//!
//! A probe does what a Director does that wants to know (`login`): it dials, logs in, asks for `.status`, reads the
//! answer and takes its leave. So it sees what a connect alone does not: another password, a daemon that accepts
//! and never answers, a frozen process. `schedule` does so again and again; what comes of it is an [`Outcome`],
//! and what follows from that is decided in `group`.

mod login;
mod outcome;
mod schedule;

pub use login::{Questioner, ask};
pub use outcome::Outcome;
pub use schedule::{Rhythm, keep_asking};
