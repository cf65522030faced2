//! The configuration of Bacula's daemons, as text. A directive that takes a size reads to the end of its line, so
//! every directive has a line of its own.

use super::plan::{Attributes, CopyJob, Party};
use super::{Plan, Source, Storage, vault};
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub(crate) const DIRECTOR: &str = "lab-dir";
pub(crate) const SECOND_DIRECTOR: &str = "lab-dir2";
pub(crate) const CLIENT: &str = "lab-fd";
/// The Storage resource that points at sdgroup.
pub(crate) const GROUP: &str = "Files";
/// The Storage resource that points at sdgroup's second group.
pub(crate) const ARCHIVE: &str = "Archive";
/// The Pool of copies that stay in the group.
pub(crate) const COPIES: &str = "Copies";
/// The Pool from which others take volumes, by Bacula's name for it.
pub(crate) const SCRATCH: &str = "Scratch";
pub(crate) const GROUP_DEVICE: &str = "FileGroup";
pub(crate) const GROUP_MEDIA_TYPE: &str = "File";
/// The password that sdgroup expects of the Director.
pub(crate) const GROUP_PASSWORD: &str = "the director at sdgroup";
const CLIENT_PASSWORD: &str = "the director at the client";
const CONSOLE_PASSWORD: &str = "the console at the director";
const MANY: u32 = 100;

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all");
}

/// One resource: its kind and its directives.
pub(super) fn resource(text: &mut String, kind: &str, directives: &[(&str, &str)]) {
    write(text, format_args!("{kind} {{\n"));
    for (name, value) in directives {
        write(text, format_args!("  {name} = {value}\n"));
    }
    text.push_str("}\n");
}

/// The same with what a plan adds.
fn resource_with(text: &mut String, kind: &str, added: &[(&'static str, String)], directives: &[(&str, &str)]) {
    let added = added.iter().map(|(name, value)| (*name, value.as_str()));
    let all: Vec<_> = directives.iter().copied().chain(added).collect();
    resource(text, kind, &all);
}

pub(super) fn quoted(value: impl AsRef<str>) -> String {
    format!("\"{}\"", value.as_ref())
}

pub(super) fn folder(path: &Path) -> String {
    quoted(path.display().to_string())
}

/// Ports of the daemons that the Director has to know.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    pub(crate) client: u16,
    /// In the order of the plan's storages.
    pub(crate) storages: Vec<u16>,
    /// Where sdgroup listens.
    pub(crate) group: Option<u16>,
    /// Where it listens for its second group.
    pub(crate) archive: Option<u16>,
}

/// `bacula-dir.conf` of the Director of this name.
pub(crate) fn director(plan: &Plan, (name, port): (&str, u16), ports: &Ports, storages: &[Storage]) -> String {
    let mut text = String::new();
    director_itself(&mut text, plan, (name, port), ports);
    // No two Directors may give their volumes the same names.
    let (of_group, of_archive) = if name == DIRECTOR {
        ("Vol-", "Archived-")
    } else {
        ("Second-", "SecondArchived-")
    };
    for (storage, port) in storages.iter().zip(&ports.storages) {
        director_storage(
            &mut text,
            &storage.name,
            *port,
            &storage.password,
            (&storage.device, &storage.media_type),
            &plan.tls.storages,
        );
        pool(
            &mut text,
            plan,
            (&storage.direct_pool(), &storage.name),
            &format!("{}-", storage.name),
        );
    }
    for (name, port, label) in [(GROUP, ports.group, of_group), (ARCHIVE, ports.archive, of_archive)] {
        let Some(port) = port else { continue };
        director_storage(
            &mut text,
            name,
            port,
            &plan.director_password,
            (GROUP_DEVICE, GROUP_MEDIA_TYPE),
            &plan.tls.director,
        );
        pool(&mut text, plan, (name, name), label);
    }
    if let Some(port) = ports.group {
        resource(&mut text, "Pool", &[("Name", SCRATCH), ("Pool Type", "Backup")]);
        // What is copied within the group has a Pool of its own, and the same storages.
        pool(&mut text, plan, (COPIES, GROUP), "Copied-");
        for storage in storages.iter().filter(|_| plan.vaults) {
            for (name, device, media_type) in vault::for_director(storage) {
                let words = (device.as_str(), media_type);
                director_storage(
                    &mut text,
                    &name,
                    port,
                    &plan.director_password,
                    words,
                    &plan.tls.director,
                );
                pool(&mut text, plan, (&name, &name), &format!("{name}-"));
            }
        }
    }
    let (storage, pool) = match (ports.group, storages.first()) {
        (None, Some(first)) => (first.name.clone(), first.direct_pool()),
        _ => (GROUP.to_owned(), GROUP.to_owned()),
    };
    for source in plan.sources() {
        jobs_of(&mut text, plan, source, &storage, &pool);
    }
    for copy in &plan.copies {
        copy_job(&mut text, copy);
    }
    restore_job(&mut text, &storage, &pool);
    text
}

fn copy_job(text: &mut String, copy: &CopyJob) {
    resource(
        text,
        "Job",
        &[
            ("Name", copy.name),
            ("Type", copy.kind),
            ("Level", "Full"),
            ("Client", CLIENT),
            ("FileSet", "Nothing"),
            ("Pool", &copy.from),
            ("Next Pool", &copy.to),
            ("Messages", "Standard"),
            ("Selection Type", "Job"),
            ("Selection Pattern", "\".*\""),
            ("Maximum Concurrent Jobs", &MANY.to_string()),
        ],
    );
}

/// A Director's folder.
pub(super) fn folder_of(plan: &Plan, director: &str) -> PathBuf {
    plan.folder().join(if director == DIRECTOR { "dir" } else { "dir2" })
}

fn director_itself(text: &mut String, plan: &Plan, (name, port): (&str, u16), ports: &Ports) {
    let many = MANY.to_string();
    let own = folder_of(plan, name);
    let work = folder(&own);
    resource_with(
        text,
        "Director",
        &plan.added(Party::Director),
        &[
            ("Name", name),
            ("DirAddress", "127.0.0.1"),
            ("DirPort", &port.to_string()),
            ("Working Directory", &work),
            ("Pid Directory", &work),
            ("Query File", &folder(&own.join("query.sql"))),
            ("Maximum Concurrent Jobs", &many),
            ("Password", &quoted(CONSOLE_PASSWORD)),
            ("Messages", "Standard"),
            // As shipped: half an hour for a dead storage, which is what makes a job behind sdgroup worth timing.
            ("SD Connect Timeout", "30 min"),
        ],
    );
    resource(
        text,
        "Catalog",
        &[
            ("Name", "Catalog"),
            ("dbname", "bacula"),
            ("dbuser", "bacula"),
            ("dbpassword", "\"\""),
        ],
    );
    let log = folder(&own.join("jobs.log"));
    resource(
        text,
        "Messages",
        &[
            ("Name", "Standard"),
            ("catalog", "all, !skipped, !saved"),
            ("append", &format!("{log} = all, !skipped")),
        ],
    );
    resource_with(
        text,
        "Client",
        &plan.directors_client,
        &[
            ("Name", CLIENT),
            ("Address", "127.0.0.1"),
            ("FDPort", &ports.client.to_string()),
            ("Catalog", "Catalog"),
            ("Password", &quoted(CLIENT_PASSWORD)),
            ("Auto Prune", "no"),
            ("Maximum Concurrent Jobs", &many),
        ],
    );
}

fn director_storage(
    text: &mut String,
    name: &str,
    port: u16,
    password: &str,
    (device, media_type): (&str, &str),
    tls: &[(&'static str, String)],
) {
    resource_with(
        text,
        "Storage",
        tls,
        &[
            ("Name", name),
            ("Address", "127.0.0.1"),
            ("SDPort", &port.to_string()),
            ("Password", &quoted(password)),
            ("Device", device),
            ("Media Type", media_type),
            ("Autochanger", "yes"),
            ("Maximum Concurrent Jobs", &MANY.to_string()),
        ],
    );
}

fn pool(text: &mut String, plan: &Plan, (name, storage): (&str, &str), label: &str) {
    let size = plan.volume_size.map(|size| size.to_string());
    let label = quoted(label);
    let mut directives = vec![
        ("Name", name),
        ("Pool Type", "Backup"),
        ("Storage", storage),
        ("Label Format", label.as_str()),
        ("Recycle", "no"),
        ("Auto Prune", "no"),
        ("Volume Retention", "1 year"),
    ];
    if let Some(size) = &size {
        directives.push(("Maximum Volume Bytes", size));
    }
    let added = if name == GROUP { plan.pool.as_slice() } else { &[] };
    directives.retain(|(name, _)| !added.iter().any(|(added, _)| added == name));
    let added: Vec<_> = added.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
    resource_with(text, "Pool", &added, &directives);
}

fn jobs_of(text: &mut String, plan: &Plan, source: &Source, storage: &str, pool: &str) {
    let name = source.name.as_str();
    write(
        text,
        format_args!("FileSet {{\n  Name = {name}\n  Include {{\n    Options {{\n      signature = MD5\n"),
    );
    if source.is_gate {
        text.push_str("      readfifo = yes\n");
    }
    write(
        text,
        format_args!("    }}\n    File = {}\n  }}\n}}\n", folder(&source.path)),
    );
    let many = MANY.to_string();
    let verify = format!("Verify-{name}");
    let spool = match plan.attributes {
        Attributes::OneByOne => "no",
        Attributes::AsFile | Attributes::AtTheEnd => "yes",
    };
    let mut job = vec![
        ("Name", name),
        ("Type", "Backup"),
        ("Level", "Full"),
        ("Client", CLIENT),
        ("FileSet", name),
        ("Storage", storage),
        ("Pool", pool),
        ("Messages", "Standard"),
        ("Spool Attributes", spool),
        ("Maximum Concurrent Jobs", &many),
    ];
    let added = plan.job_of.get(name).map_or(&[][..], Vec::as_slice);
    resource_with(text, "Job", added, &job);
    job.retain(|(name, _)| !["Name", "Type", "Level", "Spool Attributes"].contains(name));
    job.extend([
        ("Name", verify.as_str()),
        ("Type", "Verify"),
        ("Level", "VolumeToCatalog"),
        ("Verify Job", name),
    ]);
    resource(text, "Job", &job);
}

fn restore_job(text: &mut String, storage: &str, pool: &str) {
    text.push_str("FileSet {\n  Name = Nothing\n  Include {\n    Options {\n      signature = MD5\n    }\n  }\n}\n");
    resource(
        text,
        "Job",
        &[
            ("Name", "Restore"),
            ("Type", "Restore"),
            ("Client", CLIENT),
            ("FileSet", "Nothing"),
            ("Storage", storage),
            ("Pool", pool),
            ("Messages", "Standard"),
            ("Where", "/nonexistent"),
            ("Maximum Concurrent Jobs", &MANY.to_string()),
        ],
    );
}

/// `bacula-fd.conf`.
pub(crate) fn client(plan: &Plan, port: u16) -> String {
    let mut text = String::new();
    let work = folder(&plan.folder().join("fd"));
    resource_with(
        &mut text,
        "FileDaemon",
        &plan.added(Party::Client),
        &[
            ("Name", CLIENT),
            ("FDAddress", "127.0.0.1"),
            ("FDPort", &port.to_string()),
            ("Working Directory", &work),
            ("Pid Directory", &work),
            ("Maximum Concurrent Jobs", &MANY.to_string()),
        ],
    );
    for name in plan.directors() {
        resource(
            &mut text,
            "Director",
            &[("Name", name), ("Password", &quoted(CLIENT_PASSWORD))],
        );
    }
    to_director(&mut text);
    text
}

/// `bacula-sd.conf` of one storage: one autochanger whose drives are folders, so that several jobs run at once, and one
/// with slots if wanted, played by `script`.
pub(crate) fn storage(plan: &Plan, storage: &Storage, port: u16, script: &Path) -> String {
    let mut text = String::new();
    storage_itself(&mut text, plan, storage, port);
    files(&mut text, plan, storage);
    if plan.vaults {
        text.push_str(&vault::of_storage(storage, script));
    }
    to_director(&mut text);
    text
}

fn storage_itself(text: &mut String, plan: &Plan, storage: &Storage, port: u16) {
    // Every daemon runs in its folder: under this name each finds its own.
    let own = Path::new("/proc/self/cwd");
    let work = folder(if plan.attributes == Attributes::AtTheEnd {
        own
    } else {
        &storage.folder
    });
    resource_with(
        text,
        "Storage",
        &plan.added(Party::Storages),
        &[
            ("Name", &format!("{}-sd", storage.name.to_lowercase())),
            ("SDAddress", "127.0.0.1"),
            ("SDPort", &port.to_string()),
            ("Working Directory", &work),
            ("Pid Directory", &work),
            ("Maximum Concurrent Jobs", &MANY.to_string()),
        ],
    );
    for name in plan.directors() {
        resource_with(
            text,
            "Director",
            plan.tls
                .storage_control
                .get(&storage.name)
                .unwrap_or(&plan.tls.storages),
            &[("Name", name), ("Password", &quoted(&storage.password))],
        );
    }
}

/// The storage's files.
fn files(text: &mut String, plan: &Plan, storage: &Storage) {
    let drives: Vec<_> = (1..=plan.devices)
        .map(|number| format!("{}-drive{number}", storage.name))
        .collect();
    let changer = match plan.changer_of {
        Some((name, changer)) if name == storage.name => changer,
        _ => &storage.device,
    };
    resource(
        text,
        "Autochanger",
        &[
            ("Name", changer),
            ("Device", &drives.join(", ")),
            ("Changer Command", "\"\""),
            ("Changer Device", "/dev/null"),
        ],
    );
    let added = plan.device_of.get(storage.name.as_str()).map_or(&[][..], Vec::as_slice);
    for (index, drive) in drives.iter().enumerate() {
        resource_with(
            text,
            "Device",
            added,
            &[
                ("Name", drive),
                ("Media Type", &storage.media_type),
                ("Device Type", "File"),
                ("Archive Device", &folder(&storage.volumes())),
                ("Drive Index", &index.to_string()),
                ("Autochanger", "yes"),
                ("Label Media", "yes"),
                ("Random Access", "yes"),
                ("Automatic Mount", "yes"),
                ("Removable Media", "no"),
                ("Always Open", "no"),
                ("Maximum Concurrent Jobs", &plan.jobs_per_device.to_string()),
            ],
        );
    }
}

fn to_director(text: &mut String) {
    resource(
        text,
        "Messages",
        &[("Name", "Standard"), ("director", &format!("{DIRECTOR} = all"))],
    );
}

/// `bconsole.conf` for the Director of this name.
pub(crate) fn console(name: &str, port: u16) -> String {
    let mut text = String::new();
    let director = [
        ("Name", name),
        ("Address", "127.0.0.1"),
        ("DirPort", &port.to_string()),
        ("Password", &quoted(CONSOLE_PASSWORD)),
    ];
    resource(&mut text, "Director", &director);
    text
}
