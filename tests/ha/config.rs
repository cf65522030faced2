//! The Director's configuration on its way to the standby.

use crate::host::{Host, read, recipes};
use crate::lab::Plan;
use crate::site::Site;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

#[test]
fn the_standby_has_what_the_active_director_has_if_it_is_good() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.storages = 1;
    plan.tree("Docs", 821);
    let site = Site::start(plan, false);
    let [active, standby] = &site.hosts;
    let at_active = |name: &str| active.director_conf().join(name);
    let at_standby = |name: &str| standby.director_conf().join(name);
    let first = live(standby);

    // What is included by its full path is what was sent, not what is there. On a real site both have one path.
    append(
        &at_active("bacula-dir.conf"),
        &format!("@{}\n", at_standby("more.conf").display()),
    );
    fs::write(at_active("more.conf"), "Counter {\n  Name = Tested\n}\n").expect("more.conf");
    fs::write(at_active("left over.conf"), "").expect("a file");
    standby.recipe("director/pull-config", &[]).must_be_ok();
    let second = live(standby);
    assert_ne!(first, second);
    assert!(first.exists() && at_standby("left over.conf").exists());

    // Nothing that the Director refuses goes live; the age goes on counting.
    append(&at_active("more.conf"), "Nonsense {\n}\n");
    let pulled = standby.versions().join("pulled");
    age(&pulled, 4);
    standby
        .recipe("director/pull-config", &[])
        .must_fail_with("the live one stays");
    standby
        .recipe("director/push-config", &[])
        .must_fail_with("this host is the active one");
    active
        .recipe("director/push-config", &[])
        .must_fail_with("refuses what was sent");
    assert_eq!(live(standby), second);
    standby
        .recipe("director/check-age", &[])
        .must_fail_with("CRITICAL: the configuration is of 240 minutes ago");

    // Mended, a file less, and pushed.
    fs::write(at_active("more.conf"), "Counter {\n  Name = Mended\n}\n").expect("more.conf");
    fs::remove_file(at_active("left over.conf")).expect("a file less");
    active.recipe("director/push-config", &[]).must_be_ok();
    let third = live(standby);
    assert!(third != second && !at_standby("left over.conf").exists());
    let metric = standby.versions().join("age.prom");
    let file = metric.display().to_string();
    assert!(
        standby
            .recipe("director/check-age", &[&file])
            .must_be_ok()
            .text
            .contains("OK")
    );
    let written = fs::metadata(&pulled)
        .and_then(|pulled| pulled.modified())
        .expect("a time");
    let seconds = written
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("a time")
        .as_secs();
    let expected = format!("sdgroup_ha_config_pulled_timestamp_seconds {seconds}\n");
    assert!(fs::read_to_string(metric).expect("the metric").ends_with(&expected));

    // Nothing new, nothing done; but a version can be taken back, and old ones go.
    let said = standby.recipe("director/pull-config", &[]);
    assert!(said.must_be_ok().text.contains("nothing has changed"), "{}", said.text);
    let name = second.file_name().expect("a name").to_string_lossy().into_owned();
    standby.recipe("director/pull-config", &["--back", &name]).must_be_ok();
    assert_eq!(live(standby), second);
    standby.set("KEEP", "1");
    standby.recipe("director/pull-config", &[]).must_be_ok();
    assert!(!first.exists() && !second.exists() && live(standby).exists());

    // The active host takes nothing from anybody.
    active.recipe("director/pull-config", &[]).must_be_ok();
    assert!(!active.versions().exists());
}

#[test]
fn every_script_is_one_that_the_shell_understands() {
    let mut scripts = vec![
        ("sh", recipes().join("settings.sh")),
        ("sh", recipes().join("ha.conf.example")),
    ];
    for room in ["catalog", "director", "sdgroup"] {
        for entry in fs::read_dir(recipes().join(room)).expect("the recipes") {
            let path = entry.expect("an entry").path();
            let first = fs::read(&path).unwrap_or_default();
            let shells = [("sh", "#!/bin/sh\n"), ("bash", "#!/bin/bash\n")].into_iter();
            scripts.extend(
                shells
                    .filter(|(_, line)| first.starts_with(line.as_bytes()))
                    .map(|(shell, _)| (shell, path.clone())),
            );
        }
    }
    assert!(scripts.len() > 20, "{scripts:?}");
    for (shell, script) in &scripts {
        let output = Command::new(shell).arg("-n").arg(script).output().expect("a shell");
        assert!(output.status.success(), "{}: {output:?}", script.display());
        // Those who have it see more. Of settings it does not see who uses them.
        let mut command = Command::new("shellcheck");
        command
            .args(["-x", "-P", "SCRIPTDIR", "-e", "SC2034", "-s", shell])
            .arg(script);
        if let Ok(output) = command.output() {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

#[test]
fn ssh_takes_the_configuration_of_the_recipe() {
    let file = recipes().join("director/ha_ssh_config");
    assert!(read("ha.conf.example").contains("ssh -F /etc/sdgroup/ha_ssh_config active-director"));
    let Ok(output) = Command::new("ssh")
        .args(["-G", "-F"])
        .arg(&file)
        .arg("active-director")
        .output()
    else {
        // Its words are checked where there is an ssh.
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    for line in [
        "stricthostkeychecking true",
        "batchmode yes",
        "identitiesonly yes",
        "identityfile /etc/sdgroup/ha_pull_key",
    ] {
        assert!(said.lines().any(|said| said == line), "no {line:?} in\n{said}");
    }
}

/// The version that is live.
fn live(host: &Host) -> PathBuf {
    host.director_conf().canonicalize().expect("a live configuration")
}

fn append(path: &Path, text: &str) {
    let before = fs::read_to_string(path).expect("a file of the configuration");
    fs::write(path, format!("{before}{text}")).expect("a file of the configuration");
}

/// As if it had been written so many hours ago.
fn age(path: &Path, hours: u64) {
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(then))
        .expect("another time");
}
