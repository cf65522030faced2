//! Rules: which jobs of a group are placed otherwise than the others.

use std::sync::Arc;

use crate::config::model::{self, DEFAULT_PRIORITY, Locality, PolicyName, RoomForJob};
use crate::types::Glob;

use super::live::StorageLive;
use super::policy::{self, Policy, Settings};
use super::request::PlacementRequest;

/// A rule of a group, alive.
#[derive(Debug)]
pub(super) struct Rule {
    config: model::Rule,
    /// Which members its jobs may be placed on, by their places in the group's list; all if there is none.
    members: Option<Vec<bool>>,
    policy: Option<Box<dyn Policy>>,
    name: Arc<str>,
}

impl Rule {
    pub(super) fn new(config: &model::Rule, members: &[Arc<StorageLive>], settings: &Settings) -> Self {
        let allowed = |own: &Vec<_>| members.iter().map(|live| own.contains(live.name())).collect();
        Self {
            members: config.members.as_ref().map(allowed),
            policy: config.policy.map(|name| policy::policy(name, settings)),
            name: config.name.as_str().into(),
            config: config.clone(),
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether the job is one of its.
    pub(super) fn fits(&self, request: &PlacementRequest) -> bool {
        let config = &self.config;
        let one_of = |globs: &[Glob], name: &str| globs.is_empty() || globs.iter().any(|glob| glob.matches(name));
        config.fits_director(&request.director)
            && one_of(&config.jobs, request.job_resource.as_str())
            && one_of(&config.clients, request.client.as_str())
            && one_of(&config.filesets, request.fileset.as_str())
            && (config.levels.is_empty() || config.levels.contains(&request.level))
            && (config.types.is_empty() || config.types.contains(&request.job_type))
    }

    /// Whether it leaves its jobs the member at this place of the group's list.
    pub(super) fn allows(&self, listed: usize) -> bool {
        let members = self.members.as_ref();
        members.is_none_or(|members| members.get(listed).copied().unwrap_or(false))
    }

    /// The policy for its jobs, if it has one of its own.
    pub(super) fn policy(&self) -> Option<(PolicyName, &dyn Policy)> {
        self.config.policy.zip(self.policy.as_deref())
    }

    /// Whether its jobs go where their last full is, if it says.
    pub(super) fn locality(&self) -> Option<Locality> {
        self.config.locality
    }

    /// Whether its jobs have to fit, if it says.
    pub(super) fn room_for_job(&self) -> Option<RoomForJob> {
        self.config.room_for_job
    }

    /// The place of its jobs in the queue.
    pub(super) fn priority(&self) -> u32 {
        self.config.priority.unwrap_or(DEFAULT_PRIORITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::rig;
    use crate::types::{ClientName, JobLevel, JobType};

    fn rule(change: impl Fn(&mut model::Rule)) -> Rule {
        let mut config = rig::rule();
        change(&mut config);
        let settings = Settings {
            threshold: model::Threshold::NONE,
        };
        Rule::new(&config, rig::directory().storages(), &settings)
    }

    #[test]
    fn every_key_that_is_written_has_to_fit() {
        let request = rig::request("Lab-Dir", 1);
        let fits = |change: &dyn Fn(&mut model::Rule)| rule(change).fits(&request);
        assert!(fits(&|_| {}), "an empty rule fits every job");
        assert!(fits(&|it| it.directors = vec![Glob::new("lab-*")]));
        assert!(!fits(&|it| it.directors = vec![Glob::new("prod-*")]));
        assert!(fits(&|it| it.jobs = vec![Glob::new("x"), Glob::new("Night*")]));
        assert!(!fits(&|it| it.jobs = vec![Glob::new("night*")]), "with regard to case");
        assert!(!fits(&|it| it.clients = vec![Glob::new("db-*")]));
        assert!(!fits(&|it| it.filesets = vec![Glob::new("db-*")]));
        assert!(fits(&|it| it.levels = vec![JobLevel::Full, JobLevel::Differential]));
        assert!(!fits(&|it| it.levels = vec![JobLevel::Incremental]));
        assert!(!fits(&|it| it.types = vec![JobType::Restore]));
        let mut other = request.clone();
        other.client = ClientName::new("db-7").unwrap();
        let both = rule(|it| {
            it.clients = vec![Glob::new("db-*")];
            it.levels = vec![JobLevel::Full];
        });
        assert!(both.fits(&other) && !both.fits(&request));
    }

    #[test]
    fn it_leaves_its_jobs_some_members() {
        let all = rule(|_| {});
        assert!((0..3).all(|listed| all.allows(listed)));
        let some = rule(|it| it.members = Some(vec![rig::storage_name("File6"), rig::storage_name("File4")]));
        assert_eq!(
            [0, 1, 2, 3].map(|listed| some.allows(listed)),
            [true, false, true, false]
        );
        assert_eq!((all.priority(), rule(|it| it.priority = Some(3)).priority()), (10, 3));
    }
}
