//! The life of one connection.
//!
//! [`front`] reads the first packet. A Director's connection goes on in [`director`], which logs it in and gives its
//! commands to [`console`] or, from `JobId=` on, to [`job`]; a Client's goes on in [`data`].

pub mod commands;
mod console;
mod context;
mod couple;
mod data;
mod device;
mod dice;
mod director;
mod end;
mod error;
pub mod fleet;
mod free_space;
mod front;
mod health;
pub mod history;
mod identity;
mod job;
mod jobs;
mod learned;
mod listed;
pub mod processes;
pub mod rates;
mod recent;
mod routes;
mod sharing;
mod states;
mod storage;
mod table;
mod told;

pub use context::{Admission, Context, Current};
pub use front::serve;
pub use health::probed;
pub use identity::{Identities, Lineage};
pub use jobs::{Job, JobFacts, JobView, Jobs, LiveJob, Progress, Stop, Wait};
pub use listed::{Ends, Listed, ListedSession, SessionFacts, SessionView, Sessions};
pub use recent::{EndedJob, FailedOver};
pub use sharing::{follow, remark};
pub use states::States;
