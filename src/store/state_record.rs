//! What is kept of what the operator wants of a storage.

use crate::types::{State, StorageName};

/// A storage's state, if it is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRecord {
    /// Which.
    pub storage: StorageName,
    /// What the operator wants of it. A record of a ready one removes what is known.
    pub state: State,
    /// Why.
    pub reason: Option<String>,
    /// Who said so.
    pub by: String,
    /// Since when, in seconds of Unix time.
    pub since: i64,
    /// Until when, in seconds of Unix time; until it is changed if there is none.
    pub until: Option<i64>,
}
