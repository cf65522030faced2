//! The command line, with the real binary: what it prints, where, and the exit code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ports::Port;

#[path = "lab/ports.rs"]
#[expect(dead_code, reason = "the lab needs more of it")]
mod ports;

const GOOD: &str = r#"
[[Listen]]
Group = "Files"
[[Director]]
Name = "lab-dir"
Password = "hunter2"
[[Storage]]
Name = "File4"
Address = "192.0.2.4"
Password = "hunter2"
[[Storage]]
Name = "File5"
Address = "192.0.2.5"
Password = "hunter2"
[[Group]]
Name = "Files"
Storages = ["File4", "File5"]
"#;

/// A directory with a configuration in it, whose state is kept there too.
struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    fn new(text: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;

        let site = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let state = format!("[Sdgroup]\nStateDirectory = \"{}\"\n", site.directory.path().display());
        std::fs::write(site.config(), state + text).unwrap();
        std::fs::set_permissions(site.config(), PermissionsExt::from_mode(0o640)).unwrap();
        site
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("sdgroup.toml")
    }

    fn sdgroup(&self, words: &[&str]) -> Ran {
        sdgroup(&[words, &["-c", self.config().to_str().unwrap()]].concat())
    }
}

#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn sdgroup(words: &[&str]) -> Ran {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_sdgroup"))
        .args(words)
        .env_remove("CREDENTIALS_DIRECTORY")
        .output()
        .unwrap();
    Ran {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

#[test]
fn a_good_configuration_is_ok() {
    let site = Site::new(GOOD);
    for words in [&["check"][..], &["-t"]] {
        let ran = site.sdgroup(words);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        let shown = site.config().display().to_string();
        assert_eq!(
            ran.out,
            format!("{shown}: ok: 1 listener, 1 Director, 2 storages, 1 group\n")
        );
    }
    let ran = sdgroup(&["-c", site.config().to_str().unwrap(), "check"]);
    assert_eq!(ran.code, 0);
}

#[test]
fn warnings_are_told_and_do_not_fail() {
    let site = Site::new(&GOOD.replace("\"File4\", \"File5\"", "\"File4\""));
    let ran = site.sdgroup(&["check"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.err.starts_with("warning: the storage \"File5\" is in no group\n"),
        "{ran:?}"
    );
    assert!(ran.out.ends_with("2 storages, 1 group, 1 warning\n"), "{ran:?}");
}

#[test]
fn a_credential_is_left_to_the_service_when_checking_and_missed_when_running() {
    let site = Site::new(&GOOD.replacen("Password = \"hunter2\"", "PasswordCredential = \"lab\"", 1));
    let ran = site.sdgroup(&["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("warning: PasswordCredential lab"), "{ran:?}");
    let ran = site.sdgroup(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err
            .contains("error: PasswordCredential lab: $CREDENTIALS_DIRECTORY is not set"),
        "{ran:?}"
    );
}

#[test]
fn a_bad_configuration_fails_with_every_problem() {
    let bad = GOOD
        .replacen("Address", "Adress", 1)
        .replacen("[\"File4\"", "[\"Fiel4\"", 1);
    let site = Site::new(&bad);
    for words in [&["check"][..], &["-t"], &["run"], &["volumes", "list"]] {
        let ran = site.sdgroup(words);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        assert!(ran.err.contains("unknown key Adress in [[Storage]]"), "{ran:?}");
        assert!(ran.err.contains("there is no [[Storage]] \"Fiel4\""), "{ran:?}");
        assert!(
            ran.err.ends_with("sdgroup.toml cannot be used: 2 errors, 1 warning\n"),
            "{ran:?}"
        );
        assert!(!ran.err.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn a_missing_configuration_fails() {
    let ran = sdgroup(&["check", "-c", "/nowhere/sdgroup.toml"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err
            .contains("cannot read the configuration: No such file or directory"),
        "{ran:?}"
    );
}

#[test]
fn what_cannot_be_understood_is_2() {
    for words in [&[][..], &["chekc"], &["-t", "check"], &["check", "-x"], &["-c", "x"]] {
        assert_eq!(sdgroup(words).code, 2, "{words:?}");
    }
    assert_eq!(
        sdgroup(&["--version"]).out,
        concat!("sdgroup ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_example_passes() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/sdgroup.toml");
    let ran = sdgroup(&["check", "-c", example.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn resources_to_paste_show_passwords_only_where_they_may() {
    let site = Site::new(GOOD);
    let ran = site.sdgroup(&["print", "director", "--address", "sdg.example.org"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    for words in [
        "Address = sdg.example.org",
        "Password = \"hunter2\"",
        "Maximum Concurrent Jobs = 40",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    for what in ["director", "storage"] {
        let ran = site.sdgroup(&["print", what, "--hide-passwords"]);
        assert!(ran.out.contains("(hidden)") && !ran.out.contains("hunter2"), "{ran:?}");
    }
    for (words, near) in [
        (&["print", "storage", "Fiel5"][..], "File5"),
        (&["print", "director", "Filse"], "Files"),
        (&["print", "director", "--director", "lap-dir"], "lab-dir"),
    ] {
        let ran = site.sdgroup(words);
        assert!(
            ran.code == 4 && ran.err.contains(&format!("did you mean \"{near}\"?")),
            "{ran:?}"
        );
    }
}

#[test]
fn an_adopted_configuration_is_for_its_group_and_written_once() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let (director, outcome) = (folder.path().join("dir.conf"), folder.path().join("sdgroup.toml"));
    let storage = |name: &str| {
        format!(
            "Storage {{\n Name = {name}\n Address = {name}.example.org\n Password = hunter2\n Device = D\n Media Type = M\n}}\n"
        )
    };
    let text = format!(
        "Director {{ Name = d }}\nPool {{ Name = P }}\n{}{}",
        storage("A1"),
        storage("A2")
    );
    std::fs::write(&director, text).unwrap();
    let words = ["adopt", director.to_str().unwrap(), "-o", outcome.to_str().unwrap()];
    let ran = sdgroup(&words);
    assert!(
        ran.code == 0 && ran.err.starts_with("note: probes log in as d"),
        "{ran:?}"
    );
    assert_eq!(std::fs::metadata(&outcome).unwrap().permissions().mode() & 0o777, 0o640);
    let ran = sdgroup(&["check", "-c", outcome.to_str().unwrap()]);
    assert!(ran.code == 0 && ran.err.is_empty(), "{ran:?}");
    let ran = sdgroup(&words);
    assert!(
        ran.code == 1 && ran.err.contains("sdgroup.toml: File exists"),
        "{ran:?}"
    );
    assert!(!ran.err.contains("hunter2"), "{ran:?}");
}

fn list(site: &Site) -> String {
    let ran = site.sdgroup(&["volumes", "list", "--csv"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = |line: &str| line.split(',').take(2).collect::<Vec<_>>().join(",");
    ran.out.lines().skip(1).map(line).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_volume_is_assigned_moved_by_force_and_forgotten() {
    let site = Site::new(GOOD);
    assert_eq!(
        site.sdgroup(&["volumes", "list"]).out,
        "Volume  Storage  MediaType  Pool  Known  Updated  By\n0 Volumes\n"
    );
    assert!(!site.directory.path().join("sdgroup.db").exists());
    assert_eq!(
        site.sdgroup(&["volumes", "assign", "Vol-1", "File4"]).out,
        "Vol-1 is on File4\n"
    );
    assert_eq!(
        site.sdgroup(&["volumes", "assign", "Vol-1", "File4"]).out,
        "Vol-1 is on File4, as was known\n"
    );
    let ran = site.sdgroup(&["volumes", "assign", "Vol-1", "File5"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("Vol-1 is on File4 (assigned by operator") && ran.err.contains("--force"),
        "{ran:?}"
    );
    assert_eq!(list(&site), "Vol-1,File4");
    let ran = site.sdgroup(&["volumes", "assign", "Vol-1", "File5", "--force"]);
    assert_eq!(ran.out, "Vol-1 is on File5, no longer on File4\n");
    let ran = site.sdgroup(&["volumes", "assign", "Vol-2", "Fiel5"]);
    assert!(ran.code == 4 && ran.err.contains("did you mean \"File5\"?"), "{ran:?}");
    let ran = site.sdgroup(&["volumes", "forget", "Vol1"]);
    assert!(ran.code == 4 && ran.err.contains("did you mean \"Vol-1\"?"), "{ran:?}");
    assert_eq!(
        site.sdgroup(&["volumes", "forget", "Vol-1"]).out,
        "Vol-1 is forgotten; it was on File5\n"
    );
    assert_eq!(list(&site), "");
}

/// A configuration with a database at `address`, whose password is what `secret` says.
fn with_database(address: SocketAddr, secret: &str) -> Site {
    Site::new(&format!("{GOOD}[Store]\nDbAddress = [\"{address}\"]\n{secret}\n"))
}

#[test]
fn a_database_whose_password_only_the_service_gets_is_not_called() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let site = with_database(listener.local_addr().unwrap(), "PasswordCredential = \"db\"");
    let director = site.directory.path().join("bacula-dir.conf");
    let storage = "Storage {\n Name = S\n Address = 192.0.2.4\n Password = x\n Device = D\n Media Type = M\n}\n";
    std::fs::write(
        &director,
        format!("Director {{ Name = lab-dir }}\nPool {{ Name = P }}\n{storage}"),
    )
    .unwrap();
    let words = ["check", "--director", director.to_str().unwrap()];
    let why = "which only the service gets, and there is no copy of it in ";

    let ran = site.sdgroup(&["volumes", "list"]);
    assert!(ran.code == 1 && ran.err.contains(why), "{ran:?}");
    let ran = site.sdgroup(&words);
    assert!(ran.code == 0 && ran.err.contains(why), "{ran:?}");
    assert!(
        ran.err.contains("leads straight to File4, with the Media Type M\n"),
        "nothing is said of a ledger that was not read: {ran:?}"
    );
    assert!(!site.directory.path().join("sdgroup.db").exists());

    let told = "the database of [Store] was not asked, since its password is a credential, which only the service gets: what \
                is known here is used, and what is changed is told to it by the daemon\n";
    let ran = site.sdgroup(&["volumes", "assign", "Vol-1", "File5"]);
    assert_eq!(ran.out, "Vol-1 is on File5\n", "{ran:?}");
    assert!(ran.err.contains(told), "{ran:?}");
    let ran = site.sdgroup(&["volumes", "list"]);
    assert!(
        ran.code == 0 && ran.out.contains("Vol-1   File5") && ran.err.contains(told),
        "{ran:?}"
    );
    let ran = site.sdgroup(&words);
    assert!(
        ran.err.contains("and the ledger knows none of its Volumes\n"),
        "{ran:?}"
    );
    let called = listener.accept();
    assert!(
        called.is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
        "somebody called"
    );
}

#[test]
fn looking_at_a_ledger_does_not_make_one_beside_a_database_either() {
    // Nobody is there.
    let port = Port::choose();
    let site = with_database(port.address(), "Password = \"hunter2\"");
    for words in [&["volumes", "list"][..], &["volumes", "forget", "Vol-1"]] {
        let ran = site.sdgroup(words);
        assert!(ran.code == 1 && ran.err.contains("Connection refused"), "{ran:?}");
    }
    assert!(!site.directory.path().join("sdgroup.db").exists());
}

#[test]
fn a_table_is_imported_whole_or_not_at_all() {
    let site = Site::new(GOOD);
    let table = site.directory.path().join("volumes.csv");
    let import = |text: &str, words: &[&str]| {
        std::fs::write(&table, text).unwrap();
        site.sdgroup(&[&["volumes", "import", table.to_str().unwrap()], words].concat())
    };
    let ran = import("volume,storage\nA,File4\nB,File9\nC,File5\n,File5\n", &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert!(
        ran.err.contains("because of 2 problems:\n  line 3: ") && ran.err.contains("\n  line 5: "),
        "{ran:?}"
    );
    assert_eq!(list(&site), "");
    let ran = import("volume,storage\nA,File4\nB,Tape\n", &["--map", "Tape=Fiel5"]);
    assert!(ran.code == 4 && ran.err.contains("did you mean \"File5\"?"), "{ran:?}");
    let ran = import("volume,storage\nA,File4\nB,Tape\n", &["--map", "Tape=File5"]);
    assert_eq!(
        ran.out, "2 Volumes: 2 new, 0 as known, 0 moved, 0 kept elsewhere\n",
        "{ran:?}"
    );
    let ran = import("volume,storage\nA,File5\nB,File5\nC,File5\n", &[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("A is on File5 here, but is known to be on File4"),
        "{ran:?}"
    );
    assert_eq!(list(&site), "A,File4 B,File5");
    let ran = import("volume,storage\nA,File5\nB,File5\nC,File5\n", &["--keep-known"]);
    assert!(
        ran.out
            .starts_with("3 Volumes: 1 new, 1 as known, 0 moved, 1 kept elsewhere\n  A kept"),
        "{ran:?}"
    );
    let ran = import("volume,storage\nA,File5\n", &["--force"]);
    assert_eq!(
        ran.out,
        "1 Volume: 0 new, 0 as known, 1 moved, 0 kept elsewhere\n  A moved, it was on File4\n"
    );
    assert_eq!(list(&site), "A,File5 B,File5 C,File5");
}

#[test]
fn a_list_in_csv_is_imported_again_and_json_is_json() {
    let site = Site::new(GOOD);
    site.sdgroup(&[
        "volumes",
        "assign",
        "Vol, one",
        "File4",
        "--pool",
        "Full",
        "--media-type",
        "File",
    ]);
    let csv = site.sdgroup(&["volumes", "list", "--csv"]).out;
    let table = site.directory.path().join("volumes.csv");
    std::fs::write(&table, csv).unwrap();
    let ran = site.sdgroup(&["volumes", "import", table.to_str().unwrap()]);
    assert_eq!(
        ran.out, "1 Volume: 0 new, 1 as known, 0 moved, 0 kept elsewhere\n",
        "{ran:?}"
    );
    let json = site.sdgroup(&["volumes", "list", "--json", "--storage", "File4"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json[0]["volume"], &json[0]["pool"]),
        (&"Vol, one".into(), &"Full".into())
    );
    assert_eq!(
        site.sdgroup(&["volumes", "list", "--json", "--storage", "File5"]).out,
        "[]\n"
    );
}

#[test]
fn a_history_is_played_and_shown_as_json_and_as_a_picture() {
    let site = Site::new(GOOD);
    let picture = site.directory.path().join("jobs.svg");
    let history = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/simulate/jobs.csv");
    let words = ["simulate", "--jobs", history.to_str().unwrap(), "--json"];
    let more = ["--policy", "leastused", "--svg", picture.to_str().unwrap()];
    let ran = site.sdgroup(&[&words[..], &more].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let outcome = &json[0];
    assert_eq!(
        (&outcome["policy"], &outcome["ended"]),
        (&"LeastUsed".into(), &280.into())
    );
    let storages = outcome["storages"].as_array().unwrap();
    let jobs: Option<u64> = storages.iter().map(|storage| storage["jobs"].as_u64()).sum();
    assert_eq!(jobs, Some(280));
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(
        picture.starts_with("<svg ") && picture.contains("LeastUsed"),
        "{picture}"
    );
}

#[test]
fn what_cannot_be_played_is_told() {
    let site = Site::new(GOOD);
    let ran = site.sdgroup(&["simulate"]);
    assert!(
        ran.code == 1 && ran.err.contains("name one with --jobs FILE"),
        "{ran:?}"
    );
    let table = site.directory.path().join("jobs.csv");
    std::fs::write(&table, "start,job,level,bytes\n1793656241,A,F,1\nsoon,A,F,1\n").unwrap();
    let words = ["simulate", "--jobs", table.to_str().unwrap()];
    let ran = site.sdgroup(&words);
    assert!(
        ran.code == 1 && ran.err.contains("line 3: \"soon\" is no time"),
        "{ran:?}"
    );
    let large = site.directory.path().join("large.csv");
    std::fs::File::create(&large).unwrap().set_len(1_000_000_001).unwrap();
    let ran = site.sdgroup(&["simulate", "--jobs", large.to_str().unwrap()]);
    assert!(ran.code == 1 && ran.err.contains("it is larger than 1 GB"), "{ran:?}");
    std::fs::write(&table, "start,job,level,bytes\n1793656241,A,F,1\n").unwrap();
    let ran = site.sdgroup(&[&words[..], &["--policy", "LeastUse"]].concat());
    assert!(
        ran.code == 1 && ran.err.contains("did you mean \"LeastUsed\"?"),
        "{ran:?}"
    );
    let ran = site.sdgroup(&[&words[..], &["--group", "File"]].concat());
    assert!(
        ran.code == 4 && ran.err.contains("\"File\"; did you mean \"Files\"?"),
        "{ran:?}"
    );
}

#[test]
fn the_daemon_that_is_not_there_has_an_exit_code_of_its_own() {
    let site = Site::new(GOOD);
    for words in [&["status"][..], &["sessions"], &["drain", "File4"], &["jobs"]] {
        let ran = site.sdgroup(words);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(
            ran.err.contains("is sdgroup running with this configuration?"),
            "{ran:?}"
        );
    }
    let help = sdgroup(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(
        help.out.contains("Exit codes:") && help.out.contains("3  The daemon cannot be asked"),
        "{help:?}"
    );
}

#[test]
fn every_command_has_its_manual_page_in_section_8() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man8");
    let ran = sdgroup(&["man", pages.to_str().unwrap()]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    let root = page("sdgroup.8");
    assert!(root.contains(".TH SDGROUP 8") && root.contains("Exit codes:"), "{root}");
    for (name, told) in [
        ("sdgroup-drain.8", "new jobs that write"),
        ("sdgroup-volumes-import.8", "CSV"),
        ("sdgroup-status.8", "watch"),
    ] {
        assert!(page(name).contains(told), "{name}");
    }
    // One for each command that the help lists, and those of the volumes.
    let listed = sdgroup(&["--help"]).out;
    let commands = listed.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let mut count = 0;
    for command in commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()) {
        if !command.is_empty() && command != "help" {
            assert!(pages.join(format!("sdgroup-{command}.8")).exists(), "{command}");
            count += 1;
        }
    }
    assert!(count > 10, "{listed}");
}

#[test]
fn shells_can_complete() {
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef sdgroup"),
        ("fish", "complete -c sdgroup"),
    ] {
        let ran = sdgroup(&["completions", shell]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains(sign) && ran.out.contains("maintain"), "{shell}");
    }
    assert_eq!(sdgroup(&["completions", "tcsh"]).code, 2);
}
