//! How many jobs a storage, a group or a Director has, and whether that is as many as it may.

use std::fmt;

use crate::config::model::Limits;

use super::request::Access;

/// Jobs, by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    pub(super) writes: u32,
    pub(super) reads: u32,
}

impl Load {
    pub(super) fn total(self) -> u32 {
        self.writes.saturating_add(self.reads)
    }

    fn of(&mut self, access: Access) -> &mut u32 {
        match access {
            Access::Write => &mut self.writes,
            Access::Read => &mut self.reads,
        }
    }

    /// One job more.
    pub(super) fn add(&mut self, access: Access) {
        let count = self.of(access);
        *count = count.saturating_add(1);
    }

    /// One job less.
    pub(super) fn remove(&mut self, access: Access) {
        let count = self.of(access);
        debug_assert!(*count > 0, "a place is given back twice");
        *count = count.saturating_sub(1);
    }

    /// What keeps one more job of this access out.
    pub(super) fn full(self, limits: &Limits, access: Access) -> Option<Full> {
        let (kind, running, limit) = match access {
            Access::Write => (Kind::Write, self.writes, limits.maximum_write),
            Access::Read => (Kind::Read, self.reads, limits.maximum_read),
        };
        [(Kind::All, self.total(), limits.maximum), (kind, running, limit)]
            .into_iter()
            .find_map(|(kind, running, limit)| {
                let limit = limit.filter(|limit| running >= *limit)?;
                Some(Full { running, limit, kind })
            })
    }

    /// Whether one more would be more than is wanted while others can have it.
    pub(super) fn is_at_target(self, limits: &Limits) -> bool {
        limits.target.is_some_and(|target| self.total() >= target)
    }
}

/// Which jobs a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All of them.
    All,
    /// Those that write.
    Write,
    /// Those that read.
    Read,
}

/// As many jobs as may be. `Display` gives "20 of 20 jobs".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// The jobs that there are.
    pub running: u32,
    /// As many as there may be.
    pub limit: u32,
    /// Which jobs are meant.
    pub kind: Kind,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::All => "jobs",
            Kind::Write => "writing jobs",
            Kind::Read => "reading jobs",
        };
        write!(f, "{} of {} {kind}", self.running, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_counts_its_own() {
        let limits = Limits {
            maximum: Some(5),
            maximum_write: Some(3),
            maximum_read: None,
            target: Some(2),
        };
        let told = |writes, reads, access| {
            let load = Load { writes, reads };
            load.full(&limits, access).map(|full| full.to_string())
        };
        let table = [
            (2, 2, Access::Write, None),
            (3, 0, Access::Write, Some("3 of 3 writing jobs")),
            (3, 1, Access::Read, None),
            (3, 2, Access::Read, Some("5 of 5 jobs")),
            (0, 5, Access::Write, Some("5 of 5 jobs")),
        ];
        for (writes, reads, access, expected) in table {
            assert_eq!(told(writes, reads, access).as_deref(), expected, "{writes} and {reads}");
        }
        let at_target = |writes, reads| Load { writes, reads }.is_at_target(&limits);
        assert!(at_target(1, 1) && !at_target(1, 0));
        assert!(
            Load { writes: 9, reads: 9 }
                .full(&Limits::default(), Access::Write)
                .is_none()
        );
    }

    #[test]
    fn jobs_come_and_go() {
        let mut load = Load::default();
        load.add(Access::Write);
        load.add(Access::Read);
        load.add(Access::Read);
        load.remove(Access::Read);
        assert_eq!((load.writes, load.reads, load.total()), (1, 1, 2));
    }
}
