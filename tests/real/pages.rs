//! The pages' own lines of shell, in their order, as somebody would type them who has a running site before him.

use crate::SDGROUP;
use crate::lab::{Lab, Plan};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pages whose blocks of shell need a site. Those of the others are for the machine (packages, sysctl), or figures; what
/// adopting.md says is done by `adopt.rs`, with daemons that have no sdgroup yet.
const PAGES: [&str; 6] = [
    "README.md",
    "deploy/docs/adding-a-storage.md",
    "deploy/docs/draining.md",
    "deploy/docs/dead-storage.md",
    "deploy/docs/restoring.md",
    "deploy/docs/leaving.md",
];

/// What the site has in the place of what the pages have.
const NAMES: [(&str, &str); 3] = [
    ("director bacula-dir", "director lab-dir"),
    ("File7", "File6"),
    ("Nightly", "Docs"),
];

/// The blocks of shell of a page, but for those that build sdgroup or want a database.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).expect("a page");
    // Blocks in a list are indented.
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let mut blocks = Vec::new();
    for rest in lines.join("\n").split("```sh\n").skip(1) {
        let block = rest.split("```").next().unwrap_or_default();
        // A site with a database is in `tests/store`.
        if !["cargo ", "apt-get ", "sdgroup store "]
            .iter()
            .any(|word| block.contains(word))
        {
            blocks.push(block.to_owned());
        }
    }
    blocks
}

fn program(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// What is around sdgroup at a site: its configuration where it is looked for, sudo, the catalog, the storages' disks.
fn surroundings(lab: &mut Lab) -> PathBuf {
    let folder = lab.folder().join("bin");
    fs::create_dir(&folder).expect("a folder");
    let config = lab.sdgroup().configuration().display().to_string();
    program(&folder, "sdgroup", &format!("exec {SDGROUP} \"$@\" -c {config}"));
    program(&folder, "sudo", "shift 2; exec \"$@\"");
    let mut table = "volume,storage\n".to_owned();
    for volume in lab.catalog().volumes() {
        let on = lab.storages_of(std::slice::from_ref(&volume.name));
        writeln!(table, "{},{}", volume.name, on.concat()).expect("a String takes all");
    }
    let file = folder.join("volumes");
    fs::write(&file, table).expect("the catalog's answer");
    program(&folder, "psql", &format!("cat {}", file.display()));
    let disks = lab
        .storages()
        .iter()
        .map(|it| format!("{}) ls {};;", it.name, it.volumes().display()));
    let disks: Vec<_> = disks.collect();
    program(&folder, "ssh", &format!("case $1 in {} esac", disks.join(" ")));
    folder
}

#[test]
fn what_the_pages_show_can_be_typed() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.tree("Docs", 73);
    let mut lab = plan.start(SDGROUP);
    for _ in 0..3 {
        lab.job("Docs", "Full").must_be_ok();
    }
    let folder = surroundings(&mut lab);
    let search = std::env::var("PATH").expect("a search path");
    let mut typed = 0;
    for page in PAGES {
        for mut block in blocks(page) {
            for (theirs, ours) in NAMES {
                block = block.replace(theirs, ours);
            }
            let output = Command::new("sh")
                .args(["-e", "-c", &block])
                .current_dir(&folder)
                .env("PATH", format!("{}:{search}", folder.display()))
                .output()
                .expect("a shell");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(output.status.success(), "{page}:\n{block}\n{said}");
            typed += 1;
        }
    }
    assert!(typed > 10, "{typed} blocks were typed");
    let statements = fs::read_to_string(folder.join("volumes.sql")).expect("what leaving.md makes");
    assert!(statements.contains("WHERE VolumeName = 'Vol-0001';"), "{statements}");
}
