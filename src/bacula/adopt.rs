//! A configuration of sdgroup for what a Director and its storages have already.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::director::{DirectorFile, DirectorStorage};
use super::matching::{self, StorageInput};
use super::storage::StorageFile;
use super::text::{list, quoted};
use crate::config::model::DEFAULT_MAXIMUM_CONCURRENT_JOBS;
use crate::config::policies::PolicyName;
use crate::config::spelling::did_you_mean;
use crate::types::Secret;

/// What the operator says of the outcome.
#[derive(Debug)]
pub struct Wishes {
    /// Groups by name, each with the Director's names of its storages. None: they are found.
    pub groups: Vec<(String, Vec<String>)>,
    /// How every group places its jobs, if not as the Director does now.
    pub policy: Option<PolicyName>,
    /// Where the first group listens; each further one at the next free port.
    pub listen: SocketAddr,
    /// What the Director is to prove to sdgroup.
    pub password: Secret,
    /// A Monitor Director that the storages do not have yet, and its password: as whom probes are to log in.
    pub monitor: Option<(String, Secret)>,
}

/// What became of it.
#[derive(Debug)]
pub struct Adopted {
    /// The configuration. It holds passwords.
    pub text: Secret,
    /// What the operator should know of it.
    pub notes: Vec<String>,
}

/// Why there is no configuration to be made.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// There is nothing to place jobs on.
    #[error("the Director {0} has no Storage resources")]
    NoStorages(String),
    /// The Director uses no storages together, and they are not alike.
    #[error(
        "no Pool or Job of the Director names several storages, and no two have the same Device and Media Type: say \
         which belong together, for example --group Files={0}"
    )]
    NoGroup(String),
    /// One that was named is not there.
    #[error("the Director has no Storage \"{name}\"; {advice}")]
    UnknownStorage {
        /// Its name.
        name: String,
        /// Which are.
        advice: String,
    },
    /// Two configurations could belong to a storage.
    #[error("several Storage Daemons could be the Director's {storage} ({files}): say which, {storage}=FILE")]
    Ambiguous {
        /// The Director's name.
        storage: String,
        /// Where they were read.
        files: String,
    },
    /// A configuration that no Storage resource leads to.
    #[error("{file}: no Storage resource of the Director leads to {daemon} ({why})")]
    Stranger {
        /// Where it was read.
        file: String,
        /// The daemon's name.
        daemon: String,
        /// What differs.
        why: String,
    },
}

/// The Storage resource that the operator has named.
pub(super) fn named<'d>(director: &'d DirectorFile, name: &str) -> Result<&'d DirectorStorage, AdoptError> {
    director.storage(name).ok_or_else(|| AdoptError::UnknownStorage {
        name: name.to_owned(),
        advice: did_you_mean(name, director.storages.iter().map(|it| it.name.as_str())),
    })
}

/// A group to be.
struct Group<'d> {
    name: String,
    storages: Vec<&'d DirectorStorage>,
    policy: PolicyName,
    threshold: Option<String>,
    listen: SocketAddr,
}

/// Writes the configuration.
///
/// # Errors
/// [`AdoptError`].
pub fn adopt(director: &DirectorFile, inputs: &[StorageInput], wishes: &Wishes) -> Result<Adopted, AdoptError> {
    let groups = groups(director, wishes)?;
    let mut members: Vec<&DirectorStorage> = Vec::new();
    for storage in groups.iter().flat_map(|group| &group.storages) {
        if !members.iter().any(|known| known.name == storage.name) {
            members.push(storage);
        }
    }
    let daemons = matching::daemons(director, &members, inputs)?;
    let found = common_monitor(&daemons);
    let monitor = wishes
        .monitor
        .as_ref()
        .map(|(name, _)| name.as_str())
        .or(found.as_deref());
    let mut text = head(director, inputs.len());
    let mut notes = Vec::new();
    for group in &groups {
        listen(&mut text, group);
    }
    put(&mut text, "[[Director]]", &[("Name", quoted(&director.name))]);
    text.push_str("# Made just now. The Director's Storage resource with it: sdgroup print director.\n");
    line(&mut text, "Password", &quoted(wishes.password.reveal()));
    for (storage, daemon) in members.iter().zip(&daemons) {
        let its = || {
            groups
                .iter()
                .filter(|group| group.storages.iter().any(|it| it.name == storage.name))
        };
        let own = OwnWords {
            device: its().any(|group| group.device().is_none()),
            media_type: its().any(|group| group.media_type().is_none()),
        };
        member(&mut text, storage, *daemon, own, &mut notes);
        let password = match (&wishes.monitor, monitor) {
            (Some((_, password)), _) => Some(password),
            (None, Some(name)) => daemon
                .and_then(|daemon| daemon.director(name))
                .map(|there| &there.password),
            _ => None,
        };
        if let (Some(name), Some(password)) = (monitor, password) {
            let values = [("Name", quoted(name)), ("Password", quoted(password.reveal()))];
            put(&mut text, "[[Storage.Director]]", &values);
        }
    }
    for group in &groups {
        group_table(&mut text, group);
    }
    match monitor {
        Some(name) => put(&mut text, "[Probe]", &[("Director", quoted(name))]),
        None => notes.push(format!(
            "probes log in as {}, with all its rights: with --monitor sdgroup-monitor they use a Director that may only \
             ask for the status",
            director.name
        )),
    }
    note_what_is_left(director, &members, &mut notes);
    Ok(Adopted {
        text: Secret::new(text),
        notes,
    })
}

impl<'d> Group<'d> {
    /// The Device that all its storages have, if they have one and the same.
    fn device(&self) -> Option<&'d str> {
        self.common(|storage| &storage.device)
    }

    /// The same of the Media Type.
    fn media_type(&self) -> Option<&'d str> {
        self.common(|storage| &storage.media_type)
    }

    fn common(&self, word: fn(&DirectorStorage) -> &str) -> Option<&'d str> {
        let mut words = self.storages.iter().map(|storage| word(storage));
        let first = words.next()?;
        words.all(|word| word == first).then_some(first)
    }
}

/// Which words a storage has to have of its own.
#[derive(Clone, Copy)]
struct OwnWords {
    device: bool,
    media_type: bool,
}

/// The groups as they were wished for, or as the Director uses its storages.
fn groups<'d>(director: &'d DirectorFile, wishes: &Wishes) -> Result<Vec<Group<'d>>, AdoptError> {
    if director.storages.is_empty() {
        return Err(AdoptError::NoStorages(director.name.clone()));
    }
    let sets = if wishes.groups.is_empty() {
        found_sets(director)?
    } else {
        wishes.groups.clone()
    };
    let mut groups: Vec<Group<'d>> = Vec::new();
    let mut port = wishes.listen.port();
    for (name, members) in sets {
        let mut storages = Vec::new();
        for member in &members {
            storages.push(named(director, member)?);
        }
        while director
            .storages
            .iter()
            .any(|storage| is_here(storage, wishes.listen.ip(), port))
        {
            port = port.saturating_add(1);
        }
        let like_it = director
            .lists
            .iter()
            .find(|list| list.policy.is_some() && list.storages == members);
        let its_own = like_it.and_then(|list| list.policy);
        let policy = wishes.policy.or(its_own).unwrap_or(PolicyName::LeastUsed);
        let threshold = like_it.and_then(|list| list.threshold.clone());
        groups.push(Group {
            name,
            storages,
            policy,
            threshold: threshold.filter(|_| policy == PolicyName::FreeSpaceLeastUsed),
            listen: SocketAddr::new(wishes.listen.ip(), port),
        });
        port = port.saturating_add(1);
    }
    Ok(groups)
}

/// Whether the storage listens on this machine at the port that sdgroup would have.
fn is_here(storage: &DirectorStorage, own: IpAddr, port: u16) -> bool {
    let here = match storage.address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == own,
        Err(_) => storage.address.eq_ignore_ascii_case("localhost"),
    };
    here && storage.port == port
}

/// Storages that a Pool or Job names together; or else those that are alike; or else the only one.
fn found_sets(director: &DirectorFile) -> Result<Vec<(String, Vec<String>)>, AdoptError> {
    let mut sets: Vec<Vec<String>> = Vec::new();
    let mut add = |set: Vec<String>| {
        let sorted = |set: &[String]| {
            let mut set = set.to_vec();
            set.sort();
            set
        };
        if !sets.iter().any(|known| sorted(known) == sorted(&set)) {
            sets.push(set);
        }
    };
    for list in director.lists.iter().filter(|list| list.storages.len() > 1) {
        add(list.storages.clone());
    }
    if sets.is_empty() {
        for one in &director.storages {
            let alike = director
                .storages
                .iter()
                .filter(|it| it.device == one.device && it.media_type == one.media_type);
            let set: Vec<_> = alike.map(|storage| storage.name.as_str().to_owned()).collect();
            if (set.len() > 1 || director.storages.len() == 1) && !sets.contains(&set) {
                sets.push(set);
            }
        }
    }
    if sets.is_empty() {
        let names: Vec<_> = director.storages.iter().map(|it| it.name.as_str()).collect();
        return Err(AdoptError::NoGroup(names.join(",")));
    }
    let mut named: Vec<(String, Vec<String>)> = Vec::new();
    for set in sets {
        let name = free_name(director, &named, &set);
        named.push((name, set));
    }
    Ok(named)
}

/// What the names begin with, and a word that says that it is several: the Director has it for a Storage resource, so
/// it is none that is there.
fn free_name(director: &DirectorFile, taken: &[(String, Vec<String>)], set: &[String]) -> String {
    let first = set.first().map(String::as_str).unwrap_or_default();
    let common = first.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
    let mut common = common.filter_map(|end| first.get(..end));
    let beginning = common.find(|beginning| set.len() > 1 && set.iter().all(|name| name.starts_with(beginning)));
    let beginning = beginning
        .unwrap_or_default()
        .trim_end_matches(|c: char| !c.is_alphabetic());
    let stem = if beginning.chars().count() < 3 {
        "Storage"
    } else {
        beginning
    };
    let is_free = |name: &String| {
        let same = |known: &str| known.eq_ignore_ascii_case(name);
        !director.storages.iter().any(|it| same(it.name.as_str())) && !taken.iter().any(|(known, _)| same(known))
    };
    let numbered = (2..).map(|number| format!("{stem}Group{number}"));
    let mut names = std::iter::once(format!("{stem}Group")).chain(numbered);
    names.find(is_free).unwrap_or_default()
}

/// A Monitor Director that every storage has.
fn common_monitor(daemons: &[Option<&StorageFile>]) -> Option<String> {
    let first = daemons.first().copied().flatten()?;
    let everywhere = |name: &str| {
        let mut there = daemons.iter().map(|daemon| daemon.and_then(|it| it.director(name)));
        there.all(|director| director.is_some_and(|it| it.monitor))
    };
    let monitors = first.directors.iter().filter(|there| there.monitor);
    monitors.map(|there| there.name.clone()).find(|name| everywhere(name))
}

fn head(director: &DirectorFile, daemons: usize) -> String {
    let of_daemons = match daemons {
        0 => String::new(),
        1 => " and of 1 Storage Daemon".to_owned(),
        several => format!(" and of {several} Storage Daemons"),
    };
    format!(
        "# Made by \"sdgroup adopt\" of the configuration of the Director {}{of_daemons}. It holds passwords:\n\
         # chmod 0640, chgrp bacula. Keys that are left out have their defaults: see configuration.md.\n\n\
         [Sdgroup]\nMetricsAddress = \"127.0.0.1:9105\"\n",
        director.name.replace('\n', " ")
    )
}

fn line(text: &mut String, key: &str, value: &str) {
    // A String takes all.
    let _ = writeln!(text, "{key} = {value}");
}

fn put(text: &mut String, header: &str, values: &[(&str, String)]) {
    let _ = writeln!(text, "\n{header}");
    for (key, value) in values {
        line(text, key, value);
    }
}

fn listen(text: &mut String, group: &Group<'_>) {
    let values = [
        ("Address", quoted(&group.listen.ip().to_string())),
        ("SDPort", group.listen.port().to_string()),
        ("Group", quoted(&group.name)),
    ];
    put(text, "[[Listen]]", &values);
}

fn member(
    text: &mut String,
    storage: &DirectorStorage,
    daemon: Option<&StorageFile>,
    own: OwnWords,
    notes: &mut Vec<String>,
) {
    let name = storage.name.as_str();
    let mut values = vec![
        ("Name", quoted(name)),
        ("Address", quoted(&storage.address)),
        ("SDPort", storage.port.to_string()),
        ("Password", quoted(storage.password.reveal())),
    ];
    if own.device {
        values.push(("Device", quoted(&storage.device)));
    }
    if own.media_type {
        values.push(("MediaType", quoted(&storage.media_type)));
    }
    if let Some(daemon) = daemon.filter(|daemon| daemon.maximum_jobs != DEFAULT_MAXIMUM_CONCURRENT_JOBS) {
        values.push(("MaximumConcurrentJobs", daemon.maximum_jobs.to_string()));
    }
    values.extend(storage.tls.iter().map(|(key, value)| (*key, value.clone())));
    put(text, "[[Storage]]", &values);
    let there = daemon.and_then(|daemon| daemon.devices.iter().find(|(name, _)| *name == storage.device));
    if let Some((device, Some(media_type))) = there
        && *media_type != storage.media_type
    {
        notes.push(format!(
            "{name}: the Director says that {device} has the Media Type {}, the Storage Daemon says {media_type}",
            storage.media_type
        ));
    }
}

fn group_table(text: &mut String, group: &Group<'_>) {
    let names = group.storages.iter().map(|storage| storage.name.as_str());
    let mut values = vec![
        ("Name", quoted(&group.name)),
        ("Storages", list(names)),
        ("StorageGroupPolicy", quoted(group.policy.as_str())),
    ];
    if let Some(threshold) = &group.threshold {
        values.push(("StorageGroupPolicyThreshold", quoted(threshold)));
    }
    // Where they differ, the Director gets a word that no storage has: its old Volumes are none for the new jobs then.
    values.push(("Device", quoted(group.device().unwrap_or(&group.name))));
    values.push(("MediaType", quoted(group.media_type().unwrap_or(&group.name))));
    put(text, "[[Group]]", &values);
}

fn note_what_is_left(director: &DirectorFile, members: &[&DirectorStorage], notes: &mut Vec<String>) {
    let is_member = |name: &str| members.iter().any(|it| it.name.as_str() == name);
    let left: Vec<_> = director
        .storages
        .iter()
        .map(|it| it.name.as_str())
        .filter(|name| !is_member(name))
        .collect();
    if !left.is_empty() {
        notes.push(format!(
            "not taken over: {}; the Director goes on reaching {} itself",
            left.join(", "),
            if left.len() == 1 { "it" } else { "them" }
        ));
    }
}

#[cfg(test)]
mod tests;
