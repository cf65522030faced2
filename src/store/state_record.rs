//! What is kept of what the operator wants of a storage.

use crate::types::{Decision, StorageName};

/// A storage's state, if it is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRecord {
    /// Which.
    pub storage: StorageName,
    /// What the operator wants of it. A record of a ready one removes what is known.
    pub decision: Decision,
}
