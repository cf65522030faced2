//! Why a job is where it is, told in full.

use std::sync::Arc;

use super::Facts;
use crate::group::Explanation;
use crate::session::jobs::Job;
use crate::telemetry::event::{JobExplained, ShadowAsked};

/// Notes and tells what was weighed for a job.
pub(super) fn explain(facts: &Facts, live: &Job, explanation: &Arc<Explanation>) {
    live.explained(explanation);
    let group = &facts.group.name;
    JobExplained {
        job: facts.job_ref(),
        group,
        storage: explanation.chosen.as_ref(),
        reasoning: &|| explanation.in_full(),
    }
    .emit();
}

/// Counts what the group's shadow policy would have done with a job that a storage has taken.
pub(super) fn ask_shadow(facts: &Facts, explanation: &Explanation) {
    if let (Some((policy, instead)), Some(storage)) = (&explanation.shadow, &explanation.chosen) {
        ShadowAsked {
            job: facts.job_ref(),
            group: &facts.group.name,
            policy: policy.as_str(),
            storage,
            instead,
        }
        .emit();
    }
}
