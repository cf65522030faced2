//! What is wrong between a configuration of sdgroup and a Director's, where each is good by itself.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::director::{DirectorFile, DirectorStorage};
use super::paste::jobs_at_once;
use crate::config::model::{Director, Group, Model};
use crate::config::units::in_words;
use crate::config::{Problem, Severity};
use crate::types::StorageName;

/// From here on a Director that cannot reach sdgroup keeps a job too long.
const LONG: Duration = Duration::from_secs(5 * 60);

/// What is probably not meant in the Director's configuration `file`, which is read as `director`. `known` are the
/// storages of which the ledger knows a Volume, if it could be asked.
#[must_use]
pub fn traps(
    model: &Model,
    director: &DirectorFile,
    file: &Path,
    known: Option<&BTreeSet<StorageName>>,
) -> Vec<Problem> {
    let mut found = Traps {
        file,
        problems: Vec::new(),
    };
    let Some(own) = model.director(&director.name) else {
        let names: Vec<_> = model.directors.iter().map(|director| director.name.as_str()).collect();
        found.add(
            format!(
                "this is the Director {}, and there is no [[Director]] of that name",
                director.name
            ),
            format!("there are: {}", names.join(", ")),
        );
        return found.problems;
    };
    let mut any = false;
    for listener in &model.listeners {
        let Some(group) = model.group(listener.group.as_str()) else {
            continue;
        };
        let at_port = director.storages.iter().filter(|it| it.port == listener.address.port());
        for storage in at_port.filter(|it| member_at(model, it).is_none()) {
            any = true;
            found.storage(model, (group, storage), own, director);
        }
    }
    if !any {
        let ports: Vec<_> = model.listeners.iter().map(|it| it.address.port().to_string()).collect();
        found.add(
            format!(
                "none of its Storage resources leads to sdgroup, at port {}",
                ports.join(" or ")
            ),
            "paste what \"sdgroup print director\" prints",
        );
    }
    found.past_sdgroup(model, director, known);
    if any && director.connect_timeout > LONG {
        found.add(
            format!("SD Connect Timeout is {}", in_words(director.connect_timeout)),
            "for so long a job keeps dialling when sdgroup itself cannot be reached: write SD Connect Timeout = 30 seconds \
             in the Director resource",
        );
    }
    found.problems
}

/// The storage of the model that a Storage resource leads to without sdgroup.
fn member_at<'m>(model: &'m Model, storage: &DirectorStorage) -> Option<&'m str> {
    let is_it = |it: &&std::sync::Arc<crate::config::model::Storage>| {
        it.port == storage.port && it.address.eq_ignore_ascii_case(&storage.address)
    };
    model.storages.iter().find(is_it).map(|it| it.name.as_str())
}

struct Traps<'f> {
    file: &'f Path,
    problems: Vec<Problem>,
}

impl Traps<'_> {
    fn add(&mut self, text: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(Problem {
            severity: Severity::Warning,
            ..Problem::of_file(self.file, text, advice)
        });
    }

    /// A Storage resource that leads to sdgroup's group.
    fn storage(
        &mut self,
        model: &Model,
        (group, storage): (&Group, &DirectorStorage),
        own: &Director,
        director: &DirectorFile,
    ) {
        let name = &storage.name;
        if !own.password.is_stand_in() && storage.password != own.password {
            self.add(
                format!(
                    "the Storage {name} has the port of the group {}, and another password than [[Director]]",
                    group.name
                ),
                "give both the same, or this Storage another SDPort if it does not lead to sdgroup",
            );
        }
        self.jobs(jobs_at_once(model, group), group, storage, director);
        let device = storage
            .device
            .split_once('/')
            .map_or(storage.device.as_str(), |(_, device)| device);
        if let Some(wanted) = group
            .device
            .as_ref()
            .filter(|it| it.as_str() != device && !storage.device.contains('/'))
        {
            self.add(
                format!(
                    "the Storage {name} has the Device {device}, the group {} has {wanted}",
                    group.name
                ),
                "only the group's Device is translated for members that have their own: write the same in both",
            );
        }
        let addressed = storage.device.contains('/');
        if let Some(wanted) = group
            .media_type
            .as_ref()
            .filter(|it| it.as_str() != storage.media_type && !addressed)
        {
            self.add(
                format!(
                    "the Storage {name} has the Media Type {}, the group {} has {wanted}",
                    storage.media_type, group.name
                ),
                "only the group's MediaType is translated for members that have their own: write the same in both",
            );
        }
        let is_local = |address: &str| {
            address.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
        };
        if let Some(client) = director.client_addresses.iter().find(|address| !is_local(address))
            && is_local(&storage.address)
        {
            self.add(
                format!(
                    "the Storage {name} has the Address {}, which the Client at {client} is told to call",
                    storage.address
                ),
                "write an address that Clients can reach, or FD Storage Address for them",
            );
        }
        for list in director.lists.iter().filter(|list| list.storages.len() > 1) {
            if list.storages.iter().any(|it| it == name.as_str()) {
                self.add(
                    format!(
                        "{} names {name} and other storages: {}",
                        list.whose,
                        list.storages.join(", ")
                    ),
                    "sdgroup chooses already: name it alone, or the Director chooses before it and knows less",
                );
            }
        }
    }

    fn jobs(&mut self, jobs: u32, group: &Group, storage: &DirectorStorage, director: &DirectorFile) {
        let members = group.members.len();
        let few = usize::try_from(storage.maximum_jobs).is_ok_and(|maximum| maximum < members);
        if storage.maximum_jobs == 1 || few {
            self.add(
                format!(
                    "the Storage {} has Maximum Concurrent Jobs = {}, for {members} storages together",
                    storage.name, storage.maximum_jobs
                ),
                format!("the default is 1: write Maximum Concurrent Jobs = {jobs}"),
            );
        } else if director.maximum_jobs < storage.maximum_jobs.min(jobs) {
            self.add(
                format!(
                    "the Director runs {} jobs at once, its Storage {} could have {}",
                    director.maximum_jobs, storage.name, storage.maximum_jobs
                ),
                "raise Maximum Concurrent Jobs in the Director resource (its default is 20)",
            );
        }
    }

    /// Storages that the Director reaches itself although they are sdgroup's.
    fn past_sdgroup(&mut self, model: &Model, director: &DirectorFile, known: Option<&BTreeSet<StorageName>>) {
        for storage in &director.storages {
            let Some(member) = member_at(model, storage) else {
                continue;
            };
            self.add(
                format!(
                    "the Storage {} leads straight to {member}, with the Media Type {}{}",
                    storage.name,
                    storage.media_type,
                    if known.is_none_or(|known| known.contains(member)) {
                        ""
                    } else {
                        ", and the ledger knows none of its Volumes"
                    }
                ),
                "what jobs write there past sdgroup is in no ledger, and its jobs are not counted: once its Volumes are \
                 imported (sdgroup volumes import), let jobs and pools name sdgroup's Storage instead",
            );
        }
    }
}
