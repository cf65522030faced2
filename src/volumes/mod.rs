//! Where volumes are.
//!
//! The [`Ledger`] knows which storage holds a volume, and which is about to; the [`Guard`] keeps one storage from being
//! offered another's volume to write; [`JobVolumes`] is both for one job on one storage. [`plan`] cuts a bootstrap into
//! stretches by storage, and [`import`] reads the tables with which an operator fills the ledger. Nothing here touches
//! a socket itself: the ledger asks the store, and other processes through [`Rivals`].

pub mod guard;
pub mod import;
pub mod job_volumes;
pub mod ledger;
pub mod segments;

pub use guard::{Guard, Note, Place, Strangers, Verdict};
pub use job_volumes::{JobVolumes, JudgeError, Lack, Request};
pub use ledger::{Assignment, Claim, ClaimError, Learned, Ledger, RivalAnswer, Rivals, Sighting, Silence};
pub use segments::{Segment, Unplaceable, plan};
