//! What the system allows the process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sockets of one job: its control connection and its data connection, each on both sides.
const PER_JOB: u64 = 4;

/// Descriptors kept for everything else: pipes, callers that have not logged in yet, probes, the operator's pages, the
/// state.
const OTHERS: u64 = 2000;

/// How many jobs fit at once where so many descriptors are allowed. Where there are few, a third is kept for everything
/// else: pipes can be done without.
pub(super) fn jobs_that_fit(open_files: u64) -> usize {
    let kept = OTHERS.min(open_files / 3);
    usize::try_from(open_files.saturating_sub(kept) / PER_JOB).unwrap_or(usize::MAX)
}

/// Raises how many descriptors may be open as far as the system lets an ordinary process, and returns what is allowed
/// now; `None` for as many as come.
///
/// The usual soft limit of 1024 is a relic of `select(2)`, which nothing here uses.
pub(super) fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_leave_descriptors_for_everything_else() {
        assert_eq!(jobs_that_fit(60), 10);
        assert_eq!(jobs_that_fit(1024), 170);
        assert_eq!(jobs_that_fit(65_536), 15_884);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let allowed = raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(allowed, limit.maximum);
    }
}
