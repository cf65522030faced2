//! The reference has every key, and the defaults that hold.

mod page;
mod reload;

use std::collections::BTreeSet;
use std::path::Path;

use super::{HANDOVER, TABLES};
use crate::config::file::SCHEMAS;
use crate::config::{MachineSecrets, Model, compile};

/// A configuration in which every table stands, with as few keys as may be.
const SMALL: &str = "[Sdgroup]\n[[Listen]]\nGroup = \"G\"\n[[Director]]\nName = \"d\"\nPassword = \"p\"\n\
    [[Storage]]\nName = \"S\"\nAddress = \"192.0.2.1\"\nPassword = \"p\"\n[[Storage.Director]]\nName = \"d\"\nPassword = \"p\"\n\
    [[Group]]\nName = \"G\"\nStorages = [\"S\"]\nDevice = \"D\"\nMediaType = \"M\"\n[[Group.Rule]]\n[Probe]\n[Ejection]\n[History]\n[Store]\nDbAddress = [\"db\"]\n\
    [Peers]\nPassword = \"0123456789abcdef\"\n";

fn compiled(text: &str) -> Model {
    let loaded = compile(text, Path::new("x.toml"), &MachineSecrets::only_checking());
    loaded
        .unwrap_or_else(|problems| panic!("{text}\n{}", problems[0]))
        .model
}

#[test]
fn the_table_has_every_key_and_no_other() {
    let of_schemas: BTreeSet<_> = SCHEMAS
        .iter()
        .filter(|schema| schema.header != "the file")
        .flat_map(|schema| schema.keys.iter().map(|key| (schema.header, *key)))
        .collect();
    let mut listed = BTreeSet::new();
    for table in TABLES {
        for (key, ..) in table.keys() {
            assert!(
                listed.insert((table.header, *key)),
                "{key} is twice in {}",
                table.header
            );
        }
    }
    let missing: Vec<_> = of_schemas.difference(&listed).collect();
    let too_many: Vec<_> = listed.difference(&of_schemas).collect();
    assert!(
        missing.is_empty() && too_many.is_empty(),
        "missing: {missing:?}, too many: {too_many:?}"
    );
    assert!(HANDOVER.iter().all(|key| listed.contains(key)));
}

#[test]
fn the_defaults_are_those_that_hold() {
    let without = compiled(SMALL);
    let mut compared = 0;
    for table in TABLES {
        for (key, _, default, _) in table.keys() {
            if default.is_empty() || default.starts_with('(') {
                continue;
            }
            let header = format!("{}\n", table.header);
            let with = SMALL.replacen(&header, &format!("{header}{key} = {default}\n"), 1);
            assert!(compiled(&with) == without, "{key} of {} is not {default}", table.header);
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared} defaults were compared");
}
