//! How the process is, for the operator's pages: read from the directory's atomics, without a lock that a session
//! takes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::phase::Phase;
use crate::admin::Vitals;
use crate::group::{Availability, Directory, Group, StorageLive, StorageView};
use crate::telemetry::meters::{GroupMeters, GroupReading, StorageMeters, StorageReading};

/// The process as the pages see it.
#[derive(Debug)]
pub(super) struct Signs {
    phase: watch::Receiver<Phase>,
    storages: Vec<(Arc<StorageLive>, StorageMeters)>,
    groups: Vec<(Arc<Group>, GroupMeters)>,
}

impl Signs {
    /// Of a process in `phase` with this `directory`. To be made once metrics are kept.
    pub(super) fn new(phase: watch::Receiver<Phase>, directory: &Directory) -> Self {
        let storages = directory.storages().iter();
        let groups = directory.groups().iter();
        Self {
            phase,
            storages: storages
                .map(|live| (Arc::clone(live), StorageMeters::new(live.name())))
                .collect(),
            groups: groups
                .map(|group| (Arc::clone(group), GroupMeters::new(group.name())))
                .collect(),
        }
    }
}

impl Vitals for Signs {
    fn show(&self) {
        let now = Instant::now();
        for (live, meters) in &self.storages {
            let view = live.view(now);
            meters.show(&StorageReading {
                jobs: view.running,
                reading_jobs: view.reading,
                jobs_limit: view.limit,
                up: view.availability == Availability::Up,
                state: view.state(),
                ejected: view.ejected_for.is_some(),
                space: view.room.map(|room| room.space),
            });
        }
        for (group, meters) in &self.groups {
            let usable = group.members().iter().filter(|member| member.view(now).is_usable());
            meters.show(&GroupReading {
                queued_jobs: group.waiting(),
                usable_storages: usable.count(),
                releases: group.releases().count(),
            });
        }
    }

    fn obstacles(&self) -> Vec<String> {
        let now = Instant::now();
        let phase = *self.phase.borrow();
        let phase = (phase != Phase::Ready).then(|| format!("sdgroup is {}", phase.as_str()));
        let groups = self.groups.iter().filter(|(group, _)| !group.is_usable(now));
        phase
            .into_iter()
            .chain(groups.map(|(group, _)| stuck(group, now)))
            .collect()
    }
}

/// Why no storage of `group` can take a job.
fn stuck(group: &Group, now: Instant) -> String {
    let mut text = format!("group {}: no storage can take a job", group.name());
    for (at, member) in group.members().iter().enumerate() {
        let view = member.view(now);
        let mark = if at == 0 { ':' } else { ',' };
        let _ = write!(text, "{mark} {} {}", view.storage, condition(&view));
    }
    text
}

fn condition(view: &StorageView) -> String {
    let mut text = match (view.availability, view.ejected_for) {
        (Availability::Down, _) => "is down".to_owned(),
        (_, Some(left)) => format!("failed jobs and gets none for {} s", left.as_secs() + 1),
        _ => format!("is {}", view.state()),
    };
    if let Some(trouble) = &view.trouble {
        let _ = write!(text, " ({})", trouble.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::group::{Cause, Layer, ProbeFailure, Probed};
    use crate::process::Phases;
    use crate::telemetry::testing::Scrape;
    use crate::types::{Bytes, Space};

    const CONFIG: &str = r#"
        [Sdgroup]
        StateDirectory = "/nowhere"
        [[Listen]]
        Group = "Files"
        [[Director]]
        Name = "lab-dir"
        Password = "secret"
        [[Storage]]
        Name = "File4"
        Address = "192.0.2.4"
        Password = "secret"
        MaximumConcurrentJobs = 7
        [[Storage]]
        Name = "File5"
        Address = "192.0.2.5"
        Password = "secret"
        [[Group]]
        Name = "Files"
        Storages = ["File4", "File5"]
        [Probe]
        Rise = 1
        Fall = 1
    "#;

    fn directory() -> Arc<Directory> {
        let path = std::path::Path::new("test.toml");
        let loaded = config::compile(CONFIG, path, &config::MachineSecrets::new()).unwrap();
        Directory::new(&loaded.model)
    }

    fn down() -> Result<Probed, ProbeFailure> {
        Err(ProbeFailure {
            layer: Layer::Connect,
            text: "connection refused".into(),
        })
    }

    #[test]
    fn ready_is_a_phase_and_a_usable_storage_in_every_group() {
        let (phases, directory, now) = (Phases::new(), directory(), Instant::now());
        let signs = Signs::new(phases.watch(), &directory);
        assert_eq!(signs.obstacles(), ["sdgroup is starting"]);
        phases.enter(Phase::Ready, "test", 0);
        assert!(signs.obstacles().is_empty(), "{:?}", signs.obstacles());

        let [file4, file5] = directory.storages() else {
            panic!("two storages");
        };
        assert!(file4.observe_probe(down(), now).flip.is_some());
        assert!(
            signs.obstacles().is_empty(),
            "one storage is enough: {:?}",
            signs.obstacles()
        );
        assert!(
            file5
                .observe_failure(Cause::new("login_timeout", "it says nothing"), now)
                .is_some()
        );
        let obstacles = signs.obstacles();
        assert_eq!(obstacles.len(), 1, "{obstacles:?}");
        for part in [
            "group Files",
            "File4 is down (connection refused)",
            "File5 failed jobs",
            "it says nothing",
        ] {
            assert!(obstacles[0].contains(part), "no {part:?} in {obstacles:?}");
        }

        phases.enter(Phase::Draining, "test", 0);
        assert_eq!(signs.obstacles().first().unwrap(), "sdgroup is draining");
    }

    #[test]
    fn the_gauges_show_what_the_directory_knows() {
        let scrape = Scrape::new();
        let (phases, directory, now) = (Phases::new(), directory(), Instant::now());
        let [file4, file5] = directory.storages() else {
            panic!("two storages");
        };
        let up = Ok(Probed {
            storage_version: 306,
            space: Some(Space {
                free: Bytes(512),
                total: Bytes(2048),
            }),
            took: std::time::Duration::from_millis(1),
        });
        assert!(file4.observe_probe(up, now).flip.is_some());
        assert!(file5.observe_failure(Cause::new("dial", "refused"), now).is_some());
        scrape.during(|| Signs::new(phases.watch(), &directory).show());
        for (series, value) in [
            (r#"sdgroup_storage_up{storage="File4"}"#, "1"),
            (r#"sdgroup_storage_up{storage="File5"}"#, "0"),
            (r#"sdgroup_storage_state{storage="File4",state="ready"}"#, "1"),
            (r#"sdgroup_storage_state{storage="File4",state="sealed"}"#, "0"),
            (r#"sdgroup_storage_ejected{storage="File4"}"#, "0"),
            (r#"sdgroup_storage_ejected{storage="File5"}"#, "1"),
            (r#"sdgroup_storage_jobs{storage="File4"}"#, "0"),
            (r#"sdgroup_storage_jobs_limit{storage="File4"}"#, "7"),
            (r#"sdgroup_storage_free_bytes{storage="File4"}"#, "512"),
            (r#"sdgroup_storage_total_bytes{storage="File4"}"#, "2048"),
            (r#"sdgroup_storage_free_bytes{storage="File5"}"#, "NaN"),
            (r#"sdgroup_group_usable_storages{group="Files"}"#, "1"),
            (r#"sdgroup_group_queued_jobs{group="Files"}"#, "0"),
        ] {
            assert_eq!(scrape.value(series), value, "{series}");
        }
    }
}
