//! What sdgroups say to each other after the login: JSON, so that two versions understand each other as far as they can.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The one request on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Whether the job is there. If it is, TLS ends with the answer, and what follows is the job's data connection as it came
    /// from the caller.
    Pass {
        /// The job's unique name.
        job: String,
        /// Who called.
        caller: SocketAddr,
    },
    /// A Director wants a job to end.
    Cancel {
        /// Which Director.
        director: String,
        /// The number that storages of its release say.
        storage_version: u32,
        /// The job's unique name.
        job: String,
        /// The command as it came.
        line: Vec<u8>,
    },
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The job is there.
    Ours,
    /// It is not.
    Nothing,
    /// To [`Request::Cancel`]: what the Director is to be told.
    Lines(Vec<Vec<u8>>),
}
