//! Resources for Bacula's own configuration files, as text.

use std::fmt::Write as _;

use super::text::for_bacula;
use crate::config::model::{Director, Group, Listener, Model, Storage};
use crate::types::{DirectorName, Secret, StorageName};

/// What stands for a password that is not shown.
const HIDDEN: &str = "(hidden)";

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Paste<'a> {
    /// With passwords, or with a word in their place.
    pub passwords: bool,
    /// Only for this Director.
    pub director: Option<&'a DirectorName>,
}

/// Where Directors and Clients reach sdgroup.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    /// Host name or IP address.
    pub host: &'a str,
    /// Whether somebody has said so: else it is this machine's own name.
    pub said: bool,
}

impl Paste<'_> {
    fn password(self, secret: &Secret) -> String {
        for_bacula(if self.passwords { secret.reveal() } else { HIDDEN })
    }

    fn wants(self, director: &DirectorName) -> bool {
        self.director
            .is_none_or(|wanted| wanted.as_str().eq_ignore_ascii_case(director.as_str()))
    }
}

/// For `bacula-dir.conf`: a Storage resource for each group that something listens for, or for the one of this name.
#[must_use]
pub fn director_resources(model: &Model, group: Option<&str>, address: Address<'_>, paste: Paste<'_>) -> String {
    let mut text = String::new();
    for director in model.directors.iter().filter(|it| !it.monitor && paste.wants(&it.name)) {
        let _ = writeln!(text, "# For the configuration of the Director {}.\n", director.name);
        for listener in model
            .listeners
            .iter()
            .filter(|it| group.is_none_or(|name| it.group.as_str() == name))
        {
            if let Some(group) = model.group(listener.group.as_str()) {
                let jobs = jobs_at_once(model, group);
                director_storage(&mut text, (group, listener, jobs), director, address, paste);
            }
        }
    }
    text.push_str(
        "# And in the Director resource that is there already: behind sdgroup a storage that is down costs no time, so no\n\
         # job has to keep dialling for half an hour, which is the default.\n\
         #   SD Connect Timeout = 30 seconds\n",
    );
    text
}

/// How many jobs the members of a group may run at once.
pub(super) fn jobs_at_once(model: &Model, group: &Group) -> u32 {
    let members = group.members.iter().filter_map(|name| model.storage(name.as_str()));
    let sum = members
        .filter_map(|member| member.limits.maximum)
        .fold(0, u32::saturating_add);
    group.limits.maximum.map_or(sum, |most| sum.min(most))
}

fn director_storage(
    text: &mut String,
    (group, listener, jobs): (&Group, &Listener, u32),
    director: &Director,
    address: Address<'_>,
    paste: Paste<'_>,
) {
    let own = listener.address.ip();
    let host = if own.is_unspecified() || address.said {
        address.host.to_owned()
    } else {
        own.to_string()
    };
    let directive = |text: &mut String, name: &str, value: &str| {
        let _ = writeln!(text, "  {name} = {value}");
    };
    text.push_str("Storage {\n");
    directive(text, "Name", &for_bacula(group.name.as_str()));
    text.push_str("  # The Director gives this address to the Clients: they must be able to reach it.\n");
    directive(text, "Address", &host);
    directive(text, "SDPort", &listener.address.port().to_string());
    directive(text, "Password", &paste.password(&director.password));
    let members: Vec<_> = group.members.iter().map(StorageName::as_str).collect();
    let unknown = |text: &mut String, what: &str| {
        let _ = writeln!(
            text,
            "  # What {} have as their {what}:\n  # {what} =",
            members.join(", ")
        );
    };
    match &group.device {
        Some(device) => directive(text, "Device", &for_bacula(device.as_str())),
        None => unknown(text, "Device"),
    }
    match &group.media_type {
        Some(media_type) => directive(text, "Media Type", &for_bacula(media_type.as_str())),
        None => unknown(text, "Media Type"),
    }
    text.push_str("  # Take this line away if the Device is no Autochanger.\n");
    directive(text, "Autochanger", "yes");
    let _ = writeln!(
        text,
        "  # The default, 1, would be one job at a time on all of {}.",
        members.join(", ")
    );
    directive(text, "Maximum Concurrent Jobs", &jobs.to_string());
    text.push_str("}\n\n");
}

/// For the `bacula-sd.conf` of every storage, or of the one of this name: a Director resource for each Director, and
/// the one as which probes log in.
#[must_use]
pub fn storage_resources(model: &Model, storage: Option<&str>, paste: Paste<'_>) -> String {
    let mut text = String::new();
    for storage in model
        .storages
        .iter()
        .filter(|it| storage.is_none_or(|name| it.name.as_str() == name))
    {
        let _ = writeln!(
            text,
            "# For the configuration of the Storage Daemon {}.\n",
            storage.name
        );
        for director in model.directors.iter().filter(|it| !it.monitor && paste.wants(&it.name)) {
            director_there(&mut text, storage, &director.name, false, paste);
        }
        let probe = &model.probe.director;
        let is_only_for_probes = model.director(probe.as_str()).is_none_or(|director| director.monitor);
        if is_only_for_probes && paste.wants(probe) {
            text.push_str("# As whom sdgroup asks whether it is well.\n");
            director_there(&mut text, storage, probe, true, paste);
        }
    }
    text
}

fn director_there(text: &mut String, storage: &Storage, director: &DirectorName, monitor: bool, paste: Paste<'_>) {
    let Some(password) = storage.password_for(director) else {
        return;
    };
    let name = for_bacula(director.as_str());
    let _ = writeln!(
        text,
        "Director {{\n  Name = {name}\n  Password = {}",
        paste.password(password)
    );
    if monitor {
        text.push_str("  Monitor = yes\n");
    }
    text.push_str("}\n\n");
}
