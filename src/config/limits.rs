//! The keys that limit jobs. They are the same in three tables: of a `[[Storage]]`, over all groups and Directors; of a
//! `[[Group]]`, over its members; of a `[[Director]]`, over all groups.

use super::assemble::written;
use super::diagnostics::Problems;
use super::model::Limits;
use super::reader::{At, Reader, Table};
use super::value;

/// More jobs than anybody has.
const MOST: u32 = 1_000_000;

/// What a table says of limits.
#[derive(Debug, Default)]
pub(super) struct LimitTable {
    maximum: Option<At<u32>>,
    maximum_write: Option<At<u32>>,
    maximum_read: Option<At<u32>>,
    target: Option<At<u32>>,
}

pub(super) fn read(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> LimitTable {
    LimitTable {
        maximum: table.optional("MaximumConcurrentJobs", value::whole(1..=MOST), reader),
        maximum_write: table.optional("MaximumConcurrentWriteJobs", value::whole(0..=MOST), reader),
        maximum_read: table.optional("MaximumConcurrentReadJobs", value::whole(0..=MOST), reader),
        target: table.optional("TargetConcurrentJobs", value::whole(1..=MOST), reader),
    }
}

/// What it comes to, `maximum` being the default of MaximumConcurrentJobs.
pub(super) fn compile(table: &LimitTable, maximum: Option<u32>, problems: &mut Problems<'_>) -> Limits {
    let own = |at: &Option<At<u32>>| at.as_ref().map(|at| at.value);
    let maximum = written(table.maximum.as_ref().map(|at| at.clone().map(Some)).as_ref(), maximum);
    for (key, at) in [
        ("MaximumConcurrentWriteJobs", &table.maximum_write),
        ("MaximumConcurrentReadJobs", &table.maximum_read),
        ("TargetConcurrentJobs", &table.target),
    ] {
        if let (Some(at), Some(maximum)) = (at, maximum)
            && at.value > maximum
        {
            let text = format!("{key} is {}, but MaximumConcurrentJobs is {maximum}", at.value);
            problems.warning(&at.span, text, "it has no effect above it");
        }
    }
    Limits {
        maximum,
        maximum_write: own(&table.maximum_write),
        maximum_read: own(&table.maximum_read),
        target: own(&table.target),
    }
}
