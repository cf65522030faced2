//! The page.

use std::fmt::Write as _;
use std::path::Path;

use super::super::{TABLES, needs_handover};

/// What a user calls to have the page written.
const REWRITE: &str = "SDGROUP_WRITE_DOCS";
const BEGIN: &str = "<!-- made of the table: begin -->\n";
const END: &str = "<!-- made of the table: end -->\n";

fn tables() -> String {
    let mut text = String::new();
    for table in TABLES {
        writeln!(text, "\n## `{}`\n\n{}\n", table.header, table.title).unwrap();
        writeln!(
            text,
            "| key | value | default | reload | meaning |\n|---|---|---|---|---|"
        )
        .unwrap();
        for (key, value, default, meaning) in table.keys() {
            let default = match *default {
                "" => String::new(),
                words if words.starts_with('(') => words.trim_matches(['(', ')']).to_owned(),
                toml => format!("`{toml}`"),
            };
            let reload = if needs_handover(table.header, key) {
                "handover"
            } else {
                "yes"
            };
            writeln!(text, "| `{key}` | {value} | {default} | {reload} | {meaning} |").unwrap();
        }
    }
    text
}

#[test]
fn the_page_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("where the tables begin");
    let (written, after) = rest.split_once(END).expect("where the tables end");
    if std::env::var_os(REWRITE).is_some() {
        return std::fs::write(&path, [before, BEGIN, &tables(), END, after].concat()).unwrap();
    }
    assert!(
        written == tables(),
        "it is to be written anew: {REWRITE}=1 cargo test --lib reference"
    );
}
