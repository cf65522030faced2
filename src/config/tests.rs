use std::io;
use std::path::Path;

use super::model::{PolicyName, Probe, Threshold};
use super::secret_source::{CredentialError, SecretBytes};
use super::*;
use crate::types::{Bytes, Glob, JobLevel, JobType};

mod rules;
mod store;
mod tls;

const EXAMPLE: &str = include_str!("../../deploy/sdgroup.toml");

/// No file, no credential; the configuration is open to everybody if told so.
struct NoSecrets {
    exposed: bool,
}

impl SecretReader for NoSecrets {
    fn file(&self, _: &Path) -> io::Result<SecretBytes> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn credential(&self, _: &str) -> Result<SecretBytes, CredentialError> {
        Err(CredentialError::NotStartedWithCredentials)
    }

    fn is_exposed(&self, _: &Path) -> bool {
        self.exposed
    }
}

fn compiled(text: &str) -> Result<Loaded, Vec<Problem>> {
    compile(text, Path::new("sdgroup.toml"), &NoSecrets { exposed: false })
}

fn shown(text: &str) -> String {
    let problems = match compiled(text) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const SMALL: &str = r#"
[[Listen]]
Group = "Files"
[[Director]]
Name = "lab-dir"
Password = "hush"
[[Storage]]
Name = "File4"
Address = "192.0.2.4"
Password = "hush4"
[[Group]]
Name = "Files"
Storages = ["File4"]
"#;

/// The small configuration with one text in the place of another.
fn changed(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    shown(&SMALL.replacen(from, to, 1))
}

#[test]
fn what_may_be_left_out_has_its_default() {
    let Loaded { model, warnings } = compiled(SMALL).unwrap();
    assert_eq!(warnings, Vec::new());
    assert_eq!(model.listeners[0].address, "0.0.0.0:9103".parse().unwrap());
    assert_eq!(model.storages[0].limits.maximum, Some(20));
    assert_eq!(model.directors[0].limits, model::Limits::default());
    assert_eq!(model.groups[0].policy, PolicyName::ListedOrder);
    assert_eq!(model.state_directory, Path::new("/var/lib/sdgroup"));
    assert_eq!(model.metrics_address, None);
    let Probe { director, jitter, .. } = &model.probe;
    assert_eq!(director.as_str(), "lab-dir");
    assert!((jitter - 0.1).abs() < f64::EPSILON);
}

#[test]
fn the_example_compiles_and_its_comments_tell_the_defaults() {
    let example = compiled(EXAMPLE).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(example.warnings, Vec::new());
    // Keys that cannot be at their default: they are off, or mean another storage or way.
    let other = [
        "AdminAddress",
        "AdminToken",
        "PasswordFile",
        "PasswordCredential",
        "Device",
        "MediaType",
        "ShadowPolicy",
        "StorageGroupPolicyThreshold",
        "MaximumConcurrentWriteJobs",
        "MaximumConcurrentReadJobs",
        "TargetConcurrentJobs",
        "HighWaterMark",
        "LowWaterMark",
        "TlsCaCertificateFile",
        "TlsCaCertificateDir",
        "TlsCertificate",
        "TlsKey",
        "TlsAllowedCn",
    ];
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest)
                if rest.starts_with(|c: char| c.is_ascii_uppercase())
                    && !other.iter().any(|key| rest.starts_with(key)) =>
            {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(
        uncommented.lines().filter(|line| !line.starts_with('#')).count()
            > EXAMPLE.lines().filter(|line| !line.starts_with('#')).count() + 15
    );
    let complete = compiled(&uncommented).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(complete, example);
}

#[test]
fn the_operators_address_needs_a_token_that_cannot_be_guessed() {
    let at = |lines: &str| format!("[Sdgroup]\n{lines}\n{SMALL}");
    let good = "AdminAddress = \"127.0.0.1:9106\"\nAdminToken = \"0123456789abcdef\"";
    let loaded = compiled(&at(good)).unwrap();
    assert_eq!(loaded.warnings, Vec::new());
    let token = loaded.model.admin_token.unwrap();
    assert_eq!(token.reveal(), "0123456789abcdef");
    // What only the service gets cannot be judged here.
    let left = at("AdminAddress = \"127.0.0.1:9106\"\nAdminTokenCredential = \"tök\"");
    let left = compile(&left, Path::new("sdgroup.toml"), &MachineSecrets::only_checking()).unwrap();
    assert!(left.model.admin_token.unwrap().is_stand_in());
    for (lines, told) in [
        (
            "AdminAddress = \"127.0.0.1:9106\"",
            "AdminAddress without a token would let everybody command",
        ),
        (
            "AdminToken = \"hunter2\"",
            "the token is not 16 plain characters or more",
        ),
        (
            "AdminToken = \"hunter2 0123456789abcdef\"",
            "the token is not 16 plain characters or more, without spaces",
        ),
        (
            "AdminToken = \"0123456789abcdef\"\nAdminTokenFile = \"x\"",
            "the same secret is written more than once",
        ),
        (
            "AdminTokenFile = \"/nowhere/x\"",
            "cannot read AdminTokenFile /nowhere/x",
        ),
    ] {
        let shown = shown(&at(lines));
        assert!(shown.contains(told), "{shown}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("0123456789abcdef"),
            "{shown}"
        );
    }
    let open = compiled(&at(&good.replace("127.0.0.1", "0.0.0.0"))).unwrap();
    assert!(
        open.warnings[0].to_string().contains("unencrypted"),
        "{:?}",
        open.warnings
    );
}

#[test]
fn the_socket_is_with_the_state_and_its_path_has_a_bound() {
    let at = |lines: &str| format!("[Sdgroup]\n{lines}\n{SMALL}");
    let socket = |lines: &str| compiled(&at(lines)).unwrap().model.admin_socket;
    assert_eq!(
        compiled(SMALL).unwrap().model.admin_socket,
        Path::new("/var/lib/sdgroup/admin.sock")
    );
    assert_eq!(socket("StateDirectory = \"/srv/x\""), Path::new("/srv/x/admin.sock"));
    assert_eq!(socket("AdminSocket = \"/run/x\""), Path::new("/run/x"));
    let long = format!("StateDirectory = \"/{}\"", "x".repeat(97));
    let told = shown(&at(&long));
    assert!(told.contains("has 109 bytes; the system allows 107"), "{told}");
    let short = format!("{long}\nAdminSocket = \"/run/x\"");
    assert_eq!(socket(&short), Path::new("/run/x"));
}

#[test]
fn the_example_shows_every_key() {
    for schema in file::SCHEMAS {
        for key in schema.keys {
            let written = EXAMPLE.lines().any(|line| {
                let line = line.trim_start_matches(['#', ' ']);
                line.starts_with(&format!("{key} = ")) || line == format!("[{key}]") || line == format!("[[{key}]]")
            });
            assert!(
                written || [("[[Storage]]", "Director"), ("[[Group]]", "Rule")].contains(&(schema.header, *key)),
                "{key} of {}",
                schema.header
            );
        }
    }
}

/// A file with something wrong in almost every line.
const BROKEN: &str = include_str!("broken.toml");

#[test]
fn every_problem_is_told_at_once() {
    insta::assert_snapshot!(shown(BROKEN));
}

#[test]
fn errors_of_syntax_are_told_with_what_can_be_read() {
    insta::assert_snapshot!(shown(
        r#"
[Sdgroup]
LogLevel = loud
RouteWait = "5 m"
Nmae = "x"

[[Director]]
Name = "lab-dir
Password = "hunter2

[[Director]
Pasword "hunter2"
Password = "hunter2" "hunter2"
Listen = [{ Group = "x", Password = hunter2 }
"#
    ));
}

#[test]
fn no_secret_is_ever_shown() {
    for text in [
        BROKEN,
        EXAMPLE,
        "Password = hunter2",
        "Password = 'hunter2",
        "Password = \"\"\"\nhunter2\n",
        "Password\n\"hunter2\"",
        "[[Director]]\nPasswort = \"hunter2\"",
        "[[Director]]\nPassword = [\"hunter2\", 1]",
        "[[Director]]\nPassword = { hunter = \"hunter2\" }",
        "[[Director]]\nPassword = 1 hunter2",
        "Director = [{ Name = \"x\", Pssword = \"hunter2\", Nme = 1 }]",
        "Director = [{ Name = \"x\", Pssword = \"hunter2\" Nme = 1 }]",
        "Director = [\"hunter2\", { Nme = 1 }]",
        "Storage.Password = \"hunter2\"",
        "Name = \"x\" Password = \"hunter2\"",
    ] {
        let problems = compiled(text);
        assert!(!shown(text).contains("hunter2"), "{}", shown(text));
        assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
        assert!(!format!("{problems:?}").contains("the password of"), "{problems:?}");
    }
}

#[test]
fn a_key_is_spelled_as_documented() {
    for written in [
        "maximum concurrent jobs",
        "MaximumConcurrentjobs",
        "maximum_concurrent_jobs",
    ] {
        let shown = changed(
            "Password = \"hush4\"",
            &format!("Password = \"hush4\"\n\"{written}\" = 5"),
        );
        assert!(
            shown.contains("advice: write it exactly as MaximumConcurrentJobs"),
            "{shown}"
        );
    }
}

#[test]
fn a_key_that_is_misspelled_is_not_missing_as_well() {
    let shown = changed("Address", "Adress");
    assert!(
        shown.contains("unknown key Adress in [[Storage]]") && shown.contains("did you mean Address?"),
        "{shown}"
    );
    assert!(!shown.contains("missing"), "{shown}");
}

#[test]
fn a_kind_of_table_may_not_be_left_out_or_empty() {
    let all = shown("");
    for table in ["Listen", "Director", "Storage", "Group"] {
        assert!(all.contains(&format!("error: there is no [[{table}]]")), "{all}");
        let empty = shown(&format!("{table} = []"));
        assert!(empty.contains(&format!("there is no [[{table}]]")), "{empty}");
    }
}

#[test]
fn a_storage_may_not_be_sdgroup_itself() {
    for address in ["127.0.0.1", "localhost", "0.0.0.0"] {
        let shown = changed("192.0.2.4", address);
        assert!(
            shown.contains("is sdgroup's own: [[Listen]] at 0.0.0.0:9103"),
            "{address}: {shown}"
        );
    }
    assert_eq!(changed("\"192.0.2.4\"", "\"127.0.0.1\"\nSDPort = 9104"), "");
    let other = SMALL
        .replace("[[Listen]]", "[[Listen]]\nAddress = \"192.0.2.1\"")
        .replace("192.0.2.4", "127.0.0.1");
    assert_eq!(shown(&other), "");
}

#[test]
fn every_director_needs_a_password_at_every_storage() {
    let two = "[[Director]]\nName = \"other-dir\"\nPassword = \"hush\"\n[[Storage]]";
    assert_eq!(changed("[[Storage]]", two), "");
    let shown = changed(
        "Password = \"hush4\"",
        "[[Storage.Director]]\nName = \"LAB-dir\"\nPassword = \"x\"",
    );
    assert_eq!(shown, "");
    let shown = changed("Password = \"hush4\"", "Weight = 2");
    assert!(
        shown.contains("the storage \"File4\" has no password for the Director lab-dir"),
        "{shown}"
    );
}

#[test]
fn probes_may_log_in_as_a_director_that_only_storages_know() {
    let monitor =
        "[[Storage.Director]]\nName = \"monitor\"\nPassword = \"x\"\n[Probe]\nDirector = \"monitor\"\n[[Group]]";
    assert_eq!(changed("[[Group]]", monitor), "");
    let shown = changed("[[Group]]", "[Probe]\nDirector = \"lab-dri\"\n[[Group]]");
    assert!(
        shown.contains("did you mean \"lab-dir\"?") && shown.contains("to: File4"),
        "{shown}"
    );
}

#[test]
fn policies_are_bacula_s_words_without_case() {
    let with = |policy: &str| SMALL.replace("Storages =", &format!("StorageGroupPolicy = \"{policy}\"\nStorages ="));
    for (written, policy) in [
        ("leastused", PolicyName::LeastUsed),
        ("RoundRobin", PolicyName::RoundRobin),
        ("LISTEDORDER", PolicyName::ListedOrder),
    ] {
        assert_eq!(compiled(&with(written)).unwrap().model.groups[0].policy, policy);
    }
    for policy in [
        "ListedOrder",
        "LeastUsed",
        "FreeSpace",
        "FreeSpaceLeastUsed",
        "LastBackedUpTo",
    ] {
        assert!(compiled(&with(policy)).is_ok(), "{policy} is Bacula's");
    }
    assert!(shown(&with("LeastUsd")).contains("did you mean LeastUsed?"));
}

#[test]
fn a_threshold_is_a_size_or_a_share_and_goes_with_its_policy() {
    let with = |lines: &str| SMALL.replace("Storages =", &format!("{lines}\nStorages ="));
    let threshold = |text: &str| {
        let lines = format!("StorageGroupPolicy = \"FreeSpaceLeastUsed\"\nStorageGroupPolicyThreshold = {text}");
        let Loaded { model, warnings } = compiled(&with(&lines)).unwrap_or_else(|problems| panic!("{}", problems[0]));
        assert_eq!(warnings, Vec::new());
        model.groups[0].threshold
    };
    assert_eq!(threshold("\"10 GB\""), Threshold::Bytes(Bytes(10_000_000_000)));
    assert_eq!(threshold("4096"), Threshold::Bytes(Bytes(4096)));
    assert_eq!(threshold("\"12.5%\""), Threshold::Share(0.125));
    let without = shown(&with("StorageGroupPolicy = \"FreeSpaceLeastUsed\""));
    assert!(
        without.contains("FreeSpaceLeastUsed without a threshold is the same as FreeSpace"),
        "{without}"
    );
    let idle = shown(&with("StorageGroupPolicyThreshold = \"10%\""));
    assert!(
        idle.contains("warning: StorageGroupPolicyThreshold has no effect on this group's policy"),
        "{idle}"
    );
    let of_the_shadow = "ShadowPolicy = \"freespaceleastused\"";
    assert!(shown(&with(of_the_shadow)).contains("without a threshold is the same as FreeSpace"));
    let both = with(&format!("{of_the_shadow}\nStorageGroupPolicyThreshold = \"10%\""));
    assert_eq!(compiled(&both).unwrap().warnings, Vec::new());
    let same = shown(&with("ShadowPolicy = \"ListedOrder\""));
    assert!(
        same.contains("warning: ShadowPolicy is ListedOrder, which is the group's policy"),
        "{same}"
    );
    let wrong = shown(&with("StorageGroupPolicyThreshold = \"120%\""));
    assert!(wrong.contains("is no percentage: it is too large"), "{wrong}");
}

#[test]
fn limits_are_the_same_in_three_tables() {
    let limits = "MaximumConcurrentWriteJobs = 3\nMaximumConcurrentReadJobs = 0\nTargetConcurrentJobs = 2\n";
    let text = SMALL
        .replace("Password = \"hush\"", &format!("Password = \"hush\"\n{limits}"))
        .replace("Storages =", &format!("{limits}MaximumConcurrentJobs = 9\nStorages ="))
        .replace("Address =", &format!("{limits}Address ="));
    let Loaded { model, warnings } = compiled(&text).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(warnings, Vec::new());
    let expected = |maximum| model::Limits {
        maximum,
        maximum_write: Some(3),
        maximum_read: Some(0),
        target: Some(2),
    };
    assert_eq!(model.directors[0].limits, expected(None));
    assert_eq!(model.groups[0].limits, expected(Some(9)));
    assert_eq!(model.storages[0].limits, expected(Some(20)));
    let shown = changed("Address =", "TargetConcurrentJobs = 21\nAddress =");
    assert!(
        shown.contains("warning: TargetConcurrentJobs is 21, but MaximumConcurrentJobs is 20"),
        "{shown}"
    );
}

#[test]
fn water_marks_are_shares_and_the_low_one_follows_the_high_one() {
    let marks = |lines: &str| {
        let text = SMALL.replace("Address =", &format!("{lines}\nAddress ="));
        let Loaded { model, warnings } = compiled(&text).unwrap_or_else(|problems| panic!("{}", problems[0]));
        assert_eq!(warnings, Vec::new());
        model.storages[0].water_marks.map(|marks| (marks.high, marks.low))
    };
    assert_eq!(marks(""), None);
    let (high, low) = marks("HighWaterMark = \"90%\"").unwrap();
    assert!((high - 0.90).abs() < 1e-9 && (low - 0.85).abs() < 1e-9);
    assert_eq!(
        marks("HighWaterMark = \"50%\"\nLowWaterMark = \"25%\""),
        Some((0.5, 0.25))
    );
    let turned = changed(
        "Address =",
        "HighWaterMark = \"80%\"\nLowWaterMark = \"90%\"\nAddress =",
    );
    assert!(
        turned.contains("error: LowWaterMark is above HighWaterMark"),
        "{turned}"
    );
    let alone = changed("Address =", "LowWaterMark = \"90%\"\nAddress =");
    assert!(alone.contains("warning: LowWaterMark has no effect"), "{alone}");
}

#[test]
fn passwords_in_an_open_file_are_warned_of_once() {
    let loaded = compile(SMALL, Path::new("sdgroup.toml"), &NoSecrets { exposed: true }).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].to_string().contains("chmod o-r sdgroup.toml"));
}

#[test]
fn a_storage_s_password_for_one_director_goes_first() {
    let text = SMALL.replace(
        "[[Group]]",
        "[[Storage.Director]]\nName = \"Lab-Dir\"\nPassword = \"own\"\n[[Group]]",
    );
    let model = compiled(&text).unwrap().model;
    let name = |name| crate::types::DirectorName::new(name).unwrap();
    assert_eq!(
        model.storages[0].password_for(&name("lab-DIR")).unwrap().reveal(),
        "own"
    );
    assert_eq!(
        model.storages[0].password_for(&name("other")).unwrap().reveal(),
        "hush4"
    );
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sdgroup.toml");
    let problems = load(&path).unwrap_err();
    assert!(
        problems[0]
            .to_string()
            .starts_with("error: cannot read the configuration: No such file"),
        "{}",
        problems[0]
    );
    std::fs::write(&path, b"[Sdgroup]\nName = \"\xff\"").unwrap();
    let problems = load(&path).unwrap_err();
    assert!(
        problems[0].text.contains("line 2 holds bytes that are not UTF-8"),
        "{}",
        problems[0]
    );
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    fn is_refused_with_places_inside_of_it(text: &str) {
        let problems = compiled(text).expect_err("nothing complete is generated");
        assert!(problems.iter().any(Problem::is_error));
        for place in problems.iter().filter_map(|problem| problem.place.as_ref()) {
            assert!(place.line <= text.lines().count().max(1) + 1);
        }
    }

    #[test]
    fn an_empty_table_is_refused() {
        is_refused_with_places_inside_of_it("[Group]");
    }

    proptest! {
        #[test]
        fn is_refused(
            lines in proptest::collection::vec("(\\[\\[?(Storage|Group|Sdgroup)\\]\\]?|(Name|Weight|Password) ?=? ?[\"'a-z0-9\\[{]{0,6}|\\PC{0,10})", 0..8),
        ) {
            is_refused_with_places_inside_of_it(&lines.join("\n"));
        }
    }
}

#[test]
fn a_monitor_is_one_beside_others() {
    let with = |lines: &str| SMALL.replacen("Password = \"hush\"", &format!("Password = \"hush\"\n{lines}"), 1);
    let Loaded { model, warnings } = compiled(&with("")).unwrap();
    assert!(!model.directors[0].monitor && warnings.is_empty());
    let alone = with("Monitor = true");
    assert!(compiled(&alone).unwrap().model.directors[0].monitor);
    let told = shown(&alone);
    assert!(told.contains("every [[Director]] is a Monitor"), "{told}");
    assert_eq!(
        shown(&format!("{alone}\n[[Director]]\nName = \"other\"\nPassword = \"hush\"")),
        ""
    );
    let told = shown(&with("Monitor = \"yes\""));
    assert!(told.contains("Monitor"), "{told}");
}
