//! Daemons that work together already get an sdgroup between them, by what its commands make and print.

use crate::SDGROUP;
use crate::lab::daemon::Daemon;
use crate::lab::ports::Port;
use crate::lab::{JOB_WITHIN, Lab, Plan, tree};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Storage resource that the adopted group has in the Director.
const ADOPTED: &str = "FileGroup";
/// A Pool for what is written through it.
const POOL: &str = "Pool {\n  Name = Adopted\n  Pool Type = Backup\n  Label Format = \"Adopted-\"\n}\n";

fn sdgroup(words: &[&str]) -> String {
    let output = Command::new(SDGROUP).args(words).output().expect("sdgroup");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).expect("text") + &said
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn append(file: &Path, text: &str) {
    let mut opened = File::options().append(true).open(file).expect("a configuration");
    opened.write_all(text.as_bytes()).expect("more of it");
}

/// What Bacula's own programs make of the configurations: the Director's, then the storages'.
fn as_json(lab: &Lab) -> Vec<PathBuf> {
    let mut files = vec![("bdirjson", lab.director_file())];
    files.extend(lab.storages().iter().map(|storage| ("bsdjson", storage.file())));
    let printed = files.into_iter().enumerate().map(|(at, (program, file))| {
        let text = lab.bacula(program, &[Path::new("-c"), &file]);
        let json = lab.folder().join(format!("{at}.json"));
        fs::write(&json, text).expect("its output");
        json
    });
    printed.collect()
}

/// The outcome but for the passwords that are made anew each time, which have no blanks.
fn without_new_passwords(text: &str) -> String {
    let is_new = |line: &&str| {
        line.strip_prefix("Password = ")
            .is_some_and(|password| !password.contains(' '))
    };
    text.lines().filter(|line| !is_new(line)).collect::<Vec<_>>().join("\n")
}

/// Lets the daemons know what they need of the sdgroup with this configuration.
fn introduce(lab: &mut Lab, of: &str) {
    for name in ["File4", "File5"] {
        let resource = sdgroup(&["print", "storage", name, "--director", "sdgroup-monitor", "-c", of]);
        assert!(resource.contains("Monitor = yes"), "{resource}");
        let storage = lab.storages().iter().find(|it| it.name == name);
        append(&storage.expect("a storage").file(), &resource);
        lab.storage(name).restart();
    }
    let resource = sdgroup(&["print", "director", "--address", "127.0.0.1", "-c", of]);
    append(&lab.director_file(), &format!("{resource}{POOL}"));
    lab.director().restart();
}

/// Tells it of the volumes that are there.
fn import_volumes(lab: &Lab, folder: &Path, of: &str) {
    let mut table = "volume,storage\n".to_owned();
    for volume in lab.catalog().volumes() {
        let on = lab.storages_of(std::slice::from_ref(&volume.name));
        writeln!(table, "{},{}", volume.name, on.concat()).expect("a String takes all");
    }
    let volumes = folder.join("volumes.csv");
    fs::write(&volumes, table).expect("the table");
    let told = sdgroup(&["volumes", "import", path(&volumes), "-c", of]);
    assert!(told.starts_with("1 Volume: 1 new"), "{told}");
}

#[test]
fn running_daemons_get_an_sdgroup_between_them_and_keep_their_volumes() {
    let mut plan = Plan::new();
    plan.storages = 2;
    let source = plan.tree("Docs", 71);
    let expected = tree::checksum(&source);
    let mut lab = plan.start_without_sdgroup();
    let before = lab.wait(lab.run_directly("Docs", "Full", "File5"));
    before.must_be_ok();

    // The configuration, of both forms.
    let (port, metrics) = (Port::choose(), Port::choose());
    let listen = port.address().to_string();
    let options = [
        "--listen",
        &listen,
        "--monitor",
        "sdgroup-monitor",
        "--policy",
        "RoundRobin",
    ];
    let adopt = |files: &[PathBuf]| {
        let words: Vec<_> = ["adopt"]
            .into_iter()
            .chain(options)
            .chain(files.iter().map(|it| path(it)))
            .collect();
        sdgroup(&words)
    };
    let json = adopt(&as_json(&lab));
    let mut files = vec![lab.director_file()];
    files.extend(lab.storages().iter().map(crate::lab::Storage::file));
    let conf = adopt(&files);
    assert_eq!(without_new_passwords(&json), without_new_passwords(&conf));
    let folder = lab.folder().join("adopted");
    fs::create_dir(&folder).expect("a folder");
    let own = format!(
        "StateDirectory = {folder:?}\nMetricsAddress = \"{}\"",
        metrics.address()
    );
    let config = folder.join("sdgroup.toml");
    fs::write(&config, conf.replacen("MetricsAddress = \"127.0.0.1:9105\"", &own, 1)).expect("sdgroup.toml");
    let of = path(&config);

    introduce(&mut lab, of);
    let told = sdgroup(&["check", "--connect", "--director", path(&lab.director_file()), "-c", of]);
    for words in [
        "File4: ok in ",
        "the Storage File5 leads straight to File5",
        "the Director runs 100 jobs at once, its Storage FileGroup could have 200",
        "SD Connect Timeout is 30 minutes",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("another password"), "{told}");

    import_volumes(&lab, &folder, of);
    let mut command = Command::new(SDGROUP);
    command.args(["run", "-c", of]);
    let mut daemon = Daemon::new("sdgroup", &command, port, &folder);
    daemon.start();
    let through = format!("storage={ADOPTED} pool=Adopted");
    let after = lab.wait(lab.run_job_with("Docs", "Full", &through));
    after.must_be_ok().log_must_say("sdgroup");
    let id_of = |names: &str| format!("(SELECT StorageId FROM Storage WHERE Name IN ({names}))");
    let (new, old) = (id_of("'FileGroup'"), id_of("'File4', 'File5'"));
    let moved = format!("UPDATE Media SET StorageId = {new} WHERE StorageId IN {old};");
    lab.console(&["sqlquery", &moved, ""]);
    for job in [&before, &after] {
        let place = lab.folder().join(format!("restored-{}", job.id));
        let restore = lab.start_restore_with(&[job.id], &place, &format!("storage={ADOPTED}"));
        lab.wait_within(restore, JOB_WITHIN).must_be_ok();
        let restored = place.join(source.strip_prefix("/").unwrap_or(&source));
        assert_eq!(tree::checksum(&restored), expected, "{}", job.log);
    }
    daemon.stop();
}
