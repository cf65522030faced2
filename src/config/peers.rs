//! `[Peers]`: what sdgroups that share a store have to know to call each other.

use super::assemble::written;
use super::diagnostics::{Problems, Span};
use super::file::password;
use super::model::{self, Listener, Peers};
use super::reader::{At, Reader, Schema, Table};
use super::secret_source::{Resolver, SecretSource};
use super::value;
use crate::types::PeerName;

pub(super) const PEERS: Schema = Schema {
    header: "[Peers]",
    keys: &[
        "Name",
        "Address",
        "SDPort",
        "Password",
        "PasswordFile",
        "PasswordCredential",
    ],
};

/// What the table says.
#[derive(Debug)]
pub(super) struct PeersTable {
    span: Span,
    name: Option<At<PeerName>>,
    address: Option<At<String>>,
    port: Option<At<u16>>,
    password: Option<At<SecretSource>>,
    /// Whether a password is written, well or badly.
    has_password: bool,
}

pub(super) fn read(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> PeersTable {
    PeersTable {
        span: table.span().clone(),
        name: table.optional("Name", value::name(PeerName::new), reader),
        address: table.optional("Address", value::host, reader),
        port: table.optional("SDPort", value::port, reader),
        password: password(table, reader),
        has_password: super::file::has_password(table),
    }
}

/// What it comes to.
pub(super) fn compile(
    table: Option<&PeersTable>,
    has_store: bool,
    listeners: &[Listener],
    resolver: &mut Resolver<'_>,
    problems: &mut Problems<'_>,
) -> Option<Peers> {
    let table = table?;
    if !has_store {
        let advice = "add [Store]: sdgroups hear of each other by the database that they share";
        problems.error(&table.span, "[Peers] has no effect without a [Store]", advice);
    }
    let machine = machine_name();
    let name = match (&table.name, PeerName::new(&machine)) {
        (Some(name), _) => Some(name.value.clone()),
        (None, Ok(name)) => Some(name),
        (None, Err(_)) => {
            let text = "the machine has no name that could be this sdgroup's";
            problems.error(&table.span, text, "add Name, another one for each sdgroup");
            None
        }
    };
    if !table.has_password {
        let advice = "add Password, the same for all sdgroups that share the store: openssl rand -hex 32";
        problems.error(&table.span, "[Peers] has no Password", advice);
    }
    let source = table.password.as_ref()?;
    let password = resolver.resolve(source, problems)?;
    if !password.is_stand_in() && password.reveal().chars().count() < model::MIN_TOKEN_CHARS {
        let text = format!(
            "the peers' Password is shorter than {} characters",
            model::MIN_TOKEN_CHARS
        );
        problems.error(&source.span, text, "nobody has to remember it: openssl rand -hex 32");
    }
    let port = listeners
        .first()
        .map_or(model::DEFAULT_SD_PORT, |listener| listener.address.port());
    Some(Peers {
        name: name?,
        address: written(table.address.as_ref(), machine),
        port: written(table.port.as_ref(), port),
        password,
    })
}

/// What the machine calls itself.
#[must_use]
pub fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
