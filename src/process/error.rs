//! Why the process cannot live, in words that tell what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::admin::metrics::MetricsError;
use crate::store::StoreError;
use crate::telemetry::log::LogError;

/// Why the process could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The log cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Metrics cannot be kept.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The runtime cannot be started.
    #[error("cannot start threads: {0}; are TasksMax= or the number of processes of this user too low?")]
    Runtime(#[source] io::Error),
    /// Signals cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(#[source] io::Error),
    /// The state directory is not there and cannot be made.
    #[error("cannot make StateDirectory = {}: {source}; make it, and give it to the user that runs sdgroup", path.display())]
    StateDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The state cannot be read or kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({key}): {source}; {}", advice(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Where the configuration has it.
        key: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The operator's socket cannot be listened on.
    #[error("cannot listen on AdminSocket = {}: {source}; {}", path.display(), socket_advice(source))]
    Socket {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not known which program this is.
    #[error("cannot find out which program this is: {0}; is /proc mounted?")]
    Program(#[source] io::Error),
    /// The process that started this one as its successor does not let it take over.
    #[error("cannot take over from the process that is running: {0}")]
    Handover(String),
    /// A listener has ended by itself, which is a fault of sdgroup.
    #[error("a listener ended by itself, so sdgroup ended too once its jobs had; please report the log")]
    ListenerLost,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has it, perhaps a bacula-sd or another sdgroup of this machine (ss -ltnp tells which): \
             stop that, or choose another port"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address (ip address tells which it has)",
        io::ErrorKind::PermissionDenied => "ports below 1024 are for root: choose another",
        _ => "check the address",
    }
}

fn socket_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another sdgroup with the same AdminSocket is running: stop it, or give each its own StateDirectory"
        }
        io::ErrorKind::PermissionDenied => "the user that runs sdgroup must be able to write to its directory",
        _ => "make its directory, or name another place",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_says_what_to_do() {
        let error = ProcessError::Listen {
            address: "0.0.0.0:9103".parse().unwrap(),
            key: "[[Listen]]",
            source: io::ErrorKind::AddrInUse.into(),
        };
        let text = error.to_string();
        for part in ["0.0.0.0:9103", "[[Listen]]", "ss -ltnp", "bacula-sd"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
