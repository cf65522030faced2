//! How the process is, for the operator's pages: read from the directory's atomics, without a lock that a session
//! takes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::phase::Phase;
use crate::admin::Vitals;
use crate::group::{Availability, Directory, Group, Spoken, State, StorageLive, StorageView};
use crate::session::Current;
use crate::telemetry::meters::{GroupMeters, GroupReading, PredecessorMeters, StorageMeters, StorageReading};
use crate::types::{GroupName, StorageName};

/// The process as the pages see it.
#[derive(Debug)]
pub(super) struct Signs {
    phase: watch::Receiver<Phase>,
    departed: CancellationToken,
    current: Arc<Current>,
    shown: Mutex<Shown>,
}

/// The gauges that have been shown.
#[derive(Debug, Default)]
struct Shown {
    storages: HashMap<StorageName, StorageMeters>,
    groups: HashMap<GroupName, GroupMeters>,
    predecessors: PredecessorMeters,
}

impl Signs {
    /// Of a process in `phase`, which another one has replaced once it has `departed`, with the configuration in force. To be
    /// made once metrics are kept.
    pub(super) fn new(phase: watch::Receiver<Phase>, departed: CancellationToken, current: Arc<Current>) -> Self {
        Self {
            phase,
            departed,
            current,
            shown: Mutex::default(),
        }
    }
}

impl Shown {
    fn storage(&mut self, live: &StorageLive, now: Instant) {
        let meters = self.storages.entry(live.name().clone());
        let view = live.view(now);
        meters.or_insert_with_key(StorageMeters::new).show(&StorageReading {
            jobs: view.running,
            reading_jobs: view.reading,
            jobs_limit: view.limit,
            up: view.availability == Availability::Up,
            state: view.state(),
            ejected: view.ejected_for.is_some(),
            space: view.room.map(|room| room.space),
        });
    }

    fn group(&mut self, group: &Group, now: Instant) {
        let meters = self.groups.entry(group.name().clone());
        meters.or_insert_with_key(GroupMeters::new).show(&GroupReading {
            queued_jobs: group.waiting(),
            usable_storages: group.usable(now).len(),
            releases: group.releases().count(),
        });
    }

    /// A series cannot be taken back: what a configuration does not have any more is no number.
    fn forget_others(&mut self, directory: &Directory) {
        self.storages.retain(|name, meters| {
            let is_there = directory.storage(name).is_some();
            if !is_there {
                meters.forget();
            }
            is_there
        });
        self.groups.retain(|name, meters| {
            let is_there = directory.group(name).is_some();
            if !is_there {
                meters.forget();
            }
            is_there
        });
    }
}

impl Vitals for Signs {
    fn show(&self) {
        let now = Instant::now();
        let directory = Arc::clone(&self.current.context().directory);
        // One scrape at a time; no session takes this lock.
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for live in directory.storages() {
            shown.storage(live, now);
        }
        for group in directory.groups() {
            shown.group(group, now);
        }
        shown.forget_others(&directory);
        let predecessors = self.current.context().processes.predecessors();
        let jobs = predecessors.iter().map(|one| one.jobs).sum();
        shown.predecessors.show(predecessors.len(), jobs);
    }

    fn phase(&self) -> &'static str {
        self.phase.borrow().as_str()
    }

    fn obstacles(&self) -> Vec<String> {
        let now = Instant::now();
        let phase = *self.phase.borrow();
        // Who had called when it handed over asks for sdgroup, and its successor is ready.
        let is_ready = phase == Phase::Ready || self.departed.is_cancelled();
        let phase = (!is_ready).then(|| format!("sdgroup is {}", phase.as_str()));
        let context = self.current.context();
        let groups = context.directory.groups().iter();
        let stuck = groups
            .filter(|group| group.usable(now).is_empty())
            .map(|group| stuck(group, now));
        phase.into_iter().chain(stuck).collect()
    }

    fn remarks(&self) -> Vec<String> {
        let context = self.current.context();
        let silent = context.fleet.iter().flat_map(|fleet| fleet.peers());
        let silent = silent.filter(|peer| !peer.is_alive()).map(|peer| {
            let silence = Spoken(peer.silent());
            format!(
                "the sdgroup {} is not heard of for {silence}: its jobs count no more",
                peer.name
            )
        });
        context.store_remark().into_iter().chain(silent).collect()
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
        _ if view.too_full && view.state() == State::Ready => "is too full (HighWaterMark)".to_owned(),
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
    use crate::config::{self, Model};
    use crate::group::{Cause, Layer, ProbeFailure, Probed};
    use crate::process::Phases;
    use crate::relay::PipePool;
    use crate::session::history::Recorder;
    use crate::session::{Context, States};
    use crate::store::{MemoryStore, Store};
    use crate::telemetry::testing::Scrape;
    use crate::types::{Bytes, Space};
    use crate::volumes::Ledger;

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

    fn model(text: &str) -> Arc<Model> {
        let path = std::path::Path::new("test.toml");
        let loaded = config::compile(text, path, &config::MachineSecrets::new()).unwrap();
        Arc::new(loaded.model)
    }

    fn current() -> Arc<Current> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let model = model(CONFIG);
        let directory = Directory::new(&model);
        Current::new(Context::new(
            model,
            directory,
            Ledger::new(Arc::clone(&store)),
            States::new(store),
            Recorder::new().0,
            PipePool::default(),
        ))
    }

    fn down() -> Result<Probed, ProbeFailure> {
        Err(ProbeFailure {
            layer: Layer::Connect,
            text: "connection refused".into(),
        })
    }

    #[test]
    fn ready_is_a_phase_and_a_usable_storage_in_every_group() {
        let (phases, current, now) = (Phases::new(), current(), Instant::now());
        let directory = Arc::clone(&current.context().directory);
        let departed = CancellationToken::new();
        let signs = Signs::new(phases.watch(), departed.clone(), current);
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
        departed.cancel();
        assert!(
            signs.obstacles()[0].starts_with("group Files"),
            "sdgroup is, in its successor"
        );
    }

    #[test]
    fn the_gauges_show_what_the_directory_knows() {
        let scrape = Scrape::new();
        let (phases, current, now) = (Phases::new(), current(), Instant::now());
        let context = current.context();
        let directory = &context.directory;
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
        let signs = Signs::new(phases.watch(), CancellationToken::new(), Arc::clone(&current));
        scrape.during(|| signs.show());
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
        let less = CONFIG.replace("[\"File4\", \"File5\"]", "[\"File4\"]");
        let (head, tail) = less.split_once("[[Storage]]\n        Name = \"File5\"").unwrap();
        let less = format!(
            "{head}{}",
            tail.split_once("[[Group]]")
                .map(|(_, tail)| format!("[[Group]]{tail}"))
                .unwrap()
        );
        current.replace(context.renewed(model(&less), Vec::new()));
        scrape.during(|| signs.show());
        for (series, value) in [
            (r#"sdgroup_storage_up{storage="File4"}"#, "1"),
            (r#"sdgroup_storage_up{storage="File5"}"#, "NaN"),
            (r#"sdgroup_storage_state{storage="File5",state="ready"}"#, "NaN"),
        ] {
            assert_eq!(scrape.value(series), value, "{series}");
        }
    }
}
