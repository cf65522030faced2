//! What the values mean together.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::assemble::{self, written};
use super::diagnostics::{Problems, Span};
use super::file::{DirectorTable, File, ListenTable, StorageTable};
use super::model::{self, Model};
use super::reader::At;
use super::rules;
use super::secret_source::Resolver;
use super::spelling::did_you_mean;
use crate::types::DirectorName;

/// Checks `file` as a whole and makes the model of it; `None` when it has errors that leave no model to make.
pub(super) fn compile(file: &File, resolver: &mut Resolver<'_>, problems: &mut Problems<'_>) -> Option<Model> {
    presence(file, problems);
    names(file, problems);
    addresses(file, problems);
    assemble::check_socket(file.sdgroup.as_ref(), problems);
    memberships(file, problems);
    mappings(file, problems);
    monitors(file, problems);
    let directors: Vec<&DirectorName> = director_names(file).collect();
    for group in &file.groups {
        rules::check(&group.rules, group.members.as_ref(), &directors, problems);
    }
    let probe_director = probe_director(file, problems);
    passwords(file, problems);
    assemble::model(file, probe_director, resolver, problems)
}

fn presence(file: &File, problems: &mut Problems<'_>) {
    let tables = [
        (
            "Listen",
            file.listen.len(),
            "one for each address that Directors and Clients call",
        ),
        (
            "Director",
            file.directors.len(),
            "one for each Director that may log in",
        ),
        (
            "Storage",
            file.storages.len(),
            "one for each Storage Daemon behind sdgroup",
        ),
        (
            "Group",
            file.groups.len(),
            "one for each set of storages that is to look like one",
        ),
    ];
    let errors = problems.has_errors();
    for (table, count, advice) in tables {
        // One under a misspelled header is told already; an empty list is not.
        let told = file.tables.contains(&table) && errors;
        if count == 0 && !told {
            let text = format!("there is no [[{table}]]");
            problems.error_of_file(text, format!("add [[{table}]] tables: {advice}"));
        }
    }
}

/// No name twice; nor one that differs from another by case alone, for storages compare Directors' names without
/// case, and people compare all of them so.
fn names(file: &File, problems: &mut Problems<'_>) {
    unique(
        "Director",
        file.directors
            .iter()
            .filter_map(|t| named(t.name.as_ref()?, DirectorName::as_str)),
        problems,
    );
    unique(
        "Storage",
        file.storages
            .iter()
            .filter_map(|t| named(t.name.as_ref()?, |name| name.as_str())),
        problems,
    );
    unique(
        "Group",
        file.groups
            .iter()
            .filter_map(|t| named(t.name.as_ref()?, |name| name.as_str())),
        problems,
    );
    for storage in &file.storages {
        let directors = storage
            .directors
            .iter()
            .filter_map(|t| named(t.name.as_ref()?, DirectorName::as_str));
        unique("Storage.Director", directors, problems);
    }
}

#[allow(clippy::unnecessary_wraps, reason = "callers are in filter_map with ?")]
fn named<T>(at: &At<T>, text: fn(&T) -> &str) -> Option<(&str, &Span)> {
    Some((text(&at.value), &at.span))
}

fn unique<'f>(kind: &str, names: impl Iterator<Item = (&'f str, &'f Span)>, problems: &mut Problems<'_>) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (name, span) in names {
        match seen.get(&name.to_lowercase()) {
            Some(first) if *first == name => {
                problems.error(
                    span,
                    format!("the {kind} \"{name}\" is there twice"),
                    "give one of them another name",
                );
            }
            Some(first) => {
                let text = format!("the {kind} \"{name}\" differs from \"{first}\" by case alone");
                let advice = if kind.ends_with("Director") {
                    "Storage Daemons compare Directors' names without case: keep one of them"
                } else {
                    "give one of them another name"
                };
                problems.error(span, text, advice);
            }
            None => {
                seen.insert(name.to_lowercase(), name);
            }
        }
    }
}

/// Where a listener listens, and where that is written; `None` when it could not be read.
pub(super) fn socket(table: &ListenTable) -> Option<(SocketAddr, &Span)> {
    if table.spoiled {
        return None;
    }
    let address = written(table.address.as_ref(), model::DEFAULT_LISTEN_ADDRESS);
    let port = written(table.port.as_ref(), model::DEFAULT_SD_PORT);
    let span = table
        .port
        .as_ref()
        .map(|at| &at.span)
        .or(table.address.as_ref().map(|at| &at.span));
    Some((SocketAddr::new(address, port), span.unwrap_or(&table.span)))
}

/// Whether the kernel takes `one` and `other` for the same address to listen at.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// Nothing listens where something else does, and no storage is sdgroup itself.
fn addresses(file: &File, problems: &mut Problems<'_>) {
    let mut taken: Vec<(SocketAddr, &str)> = Vec::new();
    let own = |at: Option<&'_ At<SocketAddr>>| at.map(|at| (at.value, at.span.clone()));
    let sdgroup = file.sdgroup.as_ref();
    let listening = file
        .listen
        .iter()
        .filter_map(socket)
        .map(|(address, span)| (address, span.clone(), "[[Listen]]"));
    let metrics = sdgroup.and_then(|table| own(table.metrics_address.as_ref()));
    let admin = sdgroup.and_then(|table| own(table.admin_address.as_ref()));
    let listening = listening
        .chain(metrics.map(|(address, span)| (address, span, "MetricsAddress")))
        .chain(admin.map(|(address, span)| (address, span, "AdminAddress")));
    for (address, span, what) in listening {
        if let Some((other, whose)) = taken.iter().find(|(other, _)| overlap(address, *other)) {
            let text = format!("{what} at {address} meets {whose} at {other}");
            problems.error(&span, text, "give each an address and port of its own");
        }
        taken.push((address, what));
    }
    let mut dialled: BTreeMap<(String, u16), &str> = BTreeMap::new();
    for storage in &file.storages {
        let Some(address) = &storage.address else { continue };
        let port = written(storage.port.as_ref(), model::DEFAULT_SD_PORT);
        let name = storage.name.as_ref().map_or("another", |at| at.value.as_str());
        if let Some((own, what)) = taken.iter().find(|(own, _)| reaches(&address.value, port, *own)) {
            let text = format!(
                "this storage's address {}:{port} is sdgroup's own: {what} at {own}",
                address.value
            );
            let advice = "jobs would go round in a circle: write the Storage Daemon's address and port";
            problems.error(&address.span, text, advice);
        }
        if let Some(first) = dialled.insert((address.value.to_lowercase(), port), name) {
            let text = format!("{}:{port} is the address of {first}, too", address.value);
            let advice =
                "its jobs and its volumes are counted apart for each: write one [[Storage]] for a Storage Daemon";
            problems.warning(&address.span, text, advice);
        }
    }
}

/// Whether dialling `host` and `port` from this machine certainly ends at `own`.
fn reaches(host: &str, port: u16, own: SocketAddr) -> bool {
    let dialled: Vec<IpAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) if host.trim_end_matches('.').eq_ignore_ascii_case("localhost") => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Err(_) => Vec::new(),
    };
    port == own.port()
        && dialled.iter().any(|address| {
            let here = address.is_loopback() || address.is_unspecified();
            *address == own.ip() || (own.ip().is_unspecified() && here && address.is_ipv4() == own.is_ipv4())
        })
}

fn director_names(file: &File) -> impl Iterator<Item = &DirectorName> {
    file.directors
        .iter()
        .filter_map(|table| Some(&table.name.as_ref()?.value))
}

fn storage_names(file: &File) -> impl Iterator<Item = &str> {
    file.storages
        .iter()
        .filter_map(|table| Some(table.name.as_ref()?.value.as_str()))
}

/// Groups have members that exist, each once; listeners have groups that exist; nothing is left over.
fn memberships(file: &File, problems: &mut Problems<'_>) {
    let known: Vec<&str> = storage_names(file).collect();
    for members in file.groups.iter().filter_map(|group| group.members.as_ref()) {
        if members.value.is_empty() && !problems.has_within(&members.span) {
            problems.error(
                &members.span,
                "this group has no members",
                "name at least one [[Storage]] in Storages",
            );
        }
        let mut seen: Vec<&str> = Vec::new();
        for member in &members.value {
            let name = member.value.as_str();
            if seen.contains(&name) {
                let text = format!("the storage \"{name}\" is in this group twice");
                problems.error(
                    &member.span,
                    text,
                    "its share of the jobs is set by Weight: name it once",
                );
            } else if !known.contains(&name) {
                let text = format!("there is no [[Storage]] \"{name}\"");
                problems.error(&member.span, text, did_you_mean(name, known.iter().copied()));
            }
            seen.push(name);
        }
    }
    let groups: Vec<&str> = file
        .groups
        .iter()
        .filter_map(|t| Some(t.name.as_ref()?.value.as_str()))
        .collect();
    for group in file.listen.iter().filter_map(|table| table.group.as_ref()) {
        let name = group.value.as_str();
        if !groups.contains(&name) {
            let text = format!("there is no [[Group]] \"{name}\"");
            problems.error(&group.span, text, did_you_mean(name, groups.iter().copied()));
        }
    }
    unused(file, problems);
}

fn unused(file: &File, problems: &mut Problems<'_>) {
    let listened = |name: &str| {
        file.listen
            .iter()
            .filter_map(|t| t.group.as_ref())
            .any(|at| at.value.as_str() == name)
    };
    let members = || {
        file.groups
            .iter()
            .filter_map(|group| group.members.as_ref())
            .flat_map(|at| &at.value)
    };
    let unclear = file.groups.iter().any(|group| group.members.is_none());
    for storage in file.storages.iter().filter_map(|table| table.name.as_ref()) {
        if !unclear && !members().any(|member| member.value == storage.value) {
            let text = format!("the storage \"{}\" is in no group", storage.value);
            problems.warning(
                &storage.span,
                text,
                "no job will ever be placed on it: add it to the Storages of a [[Group]]",
            );
        }
    }
    let unclear = file.listen.iter().any(|listen| listen.group.is_none());
    for group in file.groups.iter().filter_map(|table| table.name.as_ref()) {
        if !unclear && !listened(group.value.as_str()) {
            let text = format!("nothing listens for the group \"{}\"", group.value);
            problems.warning(
                &group.span,
                text,
                "no job can reach it: add a [[Listen]] with this Group",
            );
        }
    }
}

/// Where a member has words of its own, the group says which the Director uses, or nothing could be mapped back.
fn mappings(file: &File, problems: &mut Problems<'_>) {
    for group in &file.groups {
        let (Some(name), Some(members)) = (&group.name, &group.members) else {
            continue;
        };
        let of = |name: &str| {
            file.storages
                .iter()
                .find(|table| table.name.as_ref().is_some_and(|at| at.value.as_str() == name))
        };
        let tables: Vec<&StorageTable> = members
            .value
            .iter()
            .filter_map(|member| of(member.value.as_str()))
            .collect();
        let device = tables
            .iter()
            .find_map(|table| Some((table.name.as_ref()?, table.device.as_ref()?.value.as_str())));
        let media = tables
            .iter()
            .find_map(|table| Some((table.name.as_ref()?, table.media_type.as_ref()?.value.as_str())));
        for (key, has, own) in [
            ("Device", group.has_device, device),
            ("MediaType", group.has_media_type, media),
        ] {
            if let (false, Some((member, word))) = (has, own) {
                let text = format!(
                    "the group \"{}\" has no {key}, but its member {} has its own: \"{word}\"",
                    name.value, member.value
                );
                let advice = format!("add the {key} that stands in the Director's Storage resource, for the way back");
                problems.error(&name.span, text, advice);
            }
        }
    }
}

/// Somebody can run jobs.
fn monitors(file: &File, problems: &mut Problems<'_>) {
    let monitor = |table: &DirectorTable| table.monitor.as_ref().filter(|at| at.value).map(|at| at.span.clone());
    let spans: Option<Vec<Span>> = file.directors.iter().map(monitor).collect();
    if let Some(span) = spans.iter().flatten().next() {
        let text = "every [[Director]] is a Monitor, so nobody can run a job";
        problems.warning(span, text, "take Monitor away from the Director that runs the jobs");
    }
}

/// As whom probes log in: a Director of the file, or one that only the storages know and that has a password at
/// every one of them.
fn probe_director(file: &File, problems: &mut Problems<'_>) -> Option<DirectorName> {
    let Some(at) = file.probe.as_ref().and_then(|probe| probe.director.as_ref()) else {
        return file
            .directors
            .iter()
            .find_map(|table| Some(table.name.as_ref()?.value.clone()));
    };
    let is = |name: &DirectorName| name.as_str().eq_ignore_ascii_case(at.value.as_str());
    let known: Vec<&DirectorName> = director_names(file).collect();
    if known.iter().any(|name| is(name)) {
        return Some(at.value.clone());
    }
    let without: Vec<&str> = file
        .storages
        .iter()
        .filter(|table| {
            !table
                .directors
                .iter()
                .any(|t| t.name.as_ref().is_some_and(|name| is(&name.value)))
        })
        .map(|table| {
            table
                .name
                .as_ref()
                .map_or("(a storage without a name)", |at| at.value.as_str())
        })
        .collect();
    if !without.is_empty() {
        let text = format!("there is no [[Director]] \"{}\" for probes to log in as", at.value);
        let advice = format!(
            "{}; or, if only the Storage Daemons know this Director, add a [[Storage.Director]] with its password to: {}",
            did_you_mean(at.value.as_str(), known.iter().map(|name| name.as_str())),
            without.join(", ")
        );
        problems.error(&at.span, text, advice);
    }
    Some(at.value.clone())
}

/// Every storage has a password for every Director, and none for a Director that does not exist.
fn passwords(file: &File, problems: &mut Problems<'_>) {
    let directors: Vec<&str> = director_names(file).map(DirectorName::as_str).collect();
    let probe = file
        .probe
        .as_ref()
        .and_then(|probe| Some(probe.director.as_ref()?.value.as_str()));
    for storage in &file.storages {
        let own = || storage.directors.iter().filter_map(|table| table.name.as_ref());
        for director in own() {
            let name = director.value.as_str();
            if !directors
                .iter()
                .copied()
                .chain(probe)
                .any(|known| known.eq_ignore_ascii_case(name))
            {
                let text = format!("there is no [[Director]] \"{name}\"");
                problems.error(&director.span, text, did_you_mean(name, directors.iter().copied()));
            }
        }
        let has = |name: &&&str| own().any(|at| at.value.as_str().eq_ignore_ascii_case(name));
        let without: Vec<&str> = directors.iter().filter(|name| !has(name)).copied().collect();
        // A nameless [[Storage.Director]] may be the one that is looked for.
        let unclear = storage.directors.iter().any(|table| table.name.is_none());
        if !storage.has_password && !unclear && !without.is_empty() {
            let (name, span) = match &storage.name {
                Some(at) => (format!(" \"{}\"", at.value), &at.span),
                None => (String::new(), &storage.span),
            };
            let text = format!(
                "the storage{name} has no password for the Director {}",
                without.join(", ")
            );
            let advice =
                "add Password, PasswordFile or PasswordCredential to it, or a [[Storage.Director]] for one Director";
            problems.error(span, text, advice);
        }
    }
}
