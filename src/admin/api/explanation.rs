//! Why a job goes where it goes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Explanation, Judged};

/// What was weighed for one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplanationShown {
    /// In a line, as job logs have it.
    pub reason: String,
    /// Where the job goes, if it goes anywhere.
    pub storage: Option<String>,
    /// The group chosen from; none where the job was bound to one storage.
    pub group: Option<String>,
    /// The policy that ranked.
    pub policy: Option<String>,
    /// The rule that the job fell under.
    pub rule: Option<String>,
    /// What the job is expected to write.
    pub expected_bytes: Option<u64>,
    /// What keeps the job from every storage.
    pub obstacle: Option<String>,
    /// Ejections were overlooked, since there was nothing else.
    pub pardoned: bool,
    /// What the group's shadow policy would choose.
    pub shadow: Option<ShadowShown>,
    /// Every storage that was looked at, in the order of the configuration.
    pub members: Vec<MemberShown>,
}

/// What a shadow policy would choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShadowShown {
    /// Its name.
    pub policy: String,
    /// Its choice.
    pub storage: String,
}

/// One storage, as it was judged.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true or not whatever the others are"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberShown {
    /// Which.
    pub storage: String,
    /// Its place in the order of preference, from 1; none if it was not eligible.
    pub rank: Option<usize>,
    /// What was against it, in a word; one of a fixed set.
    pub cause: Option<String>,
    /// The same for people.
    pub objection: Option<String>,
    /// The jobs it ran.
    pub jobs: u32,
    /// Those of them that read.
    pub reading_jobs: u32,
    /// How many it may run.
    pub jobs_limit: Option<u32>,
    /// The room on it once its jobs have ended, as far as that is foreseen.
    pub free_bytes: Option<u64>,
    /// The most that it was lately seen to move, in bytes per second.
    pub most_bytes_per_second: Option<u64>,
    /// What one of its jobs moves, in bytes per second.
    pub job_bytes_per_second: Option<u64>,
    /// Its `Weight`.
    pub weight: u32,
    /// How many placements ago it was chosen last; none if it never was.
    pub chosen_placements_ago: Option<u64>,
    /// How many placements ago it had this job at this level; none if it never had.
    pub had_it_placements_ago: Option<u64>,
    /// It has the job's last full, and that counts.
    pub is_home: bool,
    /// It has the first part of the job, which is resumed.
    pub has_part: bool,
    /// The job is expected to write more than it has room for.
    pub lacks_room: bool,
    /// It had as many jobs as it should have where others can have them.
    pub is_at_target: bool,
}

impl From<&Explanation> for ExplanationShown {
    fn from(explanation: &Explanation) -> Self {
        let text = |it: &dyn ToString| it.to_string();
        Self {
            reason: explanation.to_string(),
            storage: explanation.chosen.as_ref().map(|it| text(it)),
            group: explanation.group.as_ref().map(|(group, _)| text(group)),
            policy: explanation.policy().map(|it| text(&it)),
            rule: explanation.rule.as_ref().map(|it| text(it)),
            expected_bytes: explanation.expected.map(|bytes| bytes.0),
            obstacle: explanation.obstacle.as_ref().map(|it| text(it)),
            pardoned: explanation.pardoned,
            shadow: explanation.shadow.as_ref().map(|(policy, storage)| ShadowShown {
                policy: text(policy),
                storage: text(storage),
            }),
            members: explanation.members.iter().map(MemberShown::from).collect(),
        }
    }
}

impl From<&Judged> for MemberShown {
    fn from(judged: &Judged) -> Self {
        let against = judged.ineligible.as_ref();
        Self {
            storage: judged.storage.to_string(),
            rank: judged.rank,
            cause: against.map(|why| why.label().to_owned()),
            objection: against.map(ToString::to_string),
            jobs: judged.running,
            reading_jobs: judged.reading,
            jobs_limit: Some(judged.limit).filter(|limit| *limit != u32::MAX),
            free_bytes: judged.free.map(|free| free.0),
            most_bytes_per_second: judged.pace.map(|pace| pace.most),
            job_bytes_per_second: judged.pace.map(|pace| pace.of_one),
            weight: judged.weight,
            chosen_placements_ago: judged.placed_ago,
            had_it_placements_ago: judged.had_it_ago,
            is_home: judged.is_home,
            has_part: judged.has_part,
            lacks_room: judged.lacks_room,
            is_at_target: judged.is_at_target,
        }
    }
}
