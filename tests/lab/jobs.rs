//! What is asked of a running lab: console commands, jobs, restores, and waiting for their ends.

use super::catalog::{JobId, JobReport};
use super::resources::CLIENT;
use super::{Lab, Storage, last_lines, tree, wait};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Far more than any job here takes on a busy machine.
pub(crate) const JOB_WITHIN: Duration = Duration::from_secs(120);
const CONSOLE_WITHIN: Duration = Duration::from_secs(60);

impl Lab {
    /// Types `commands` into a console, one a line, and returns what it printed.
    pub(crate) fn console(&self, commands: &[&str]) -> String {
        let printed = tempfile::NamedTempFile::new_in(self.folder()).expect("a file for what is printed");
        let mut command: Command = self.root.command("bconsole");
        command
            .args(["-n", "-c"])
            .arg(self.director.console())
            .current_dir(self.folder());
        command
            .stdin(Stdio::piped())
            .stdout(printed.reopen().expect("the file again"));
        let mut child = command
            .stderr(printed.reopen().expect("the file again"))
            .spawn()
            .expect("bconsole");
        let mut input = child.stdin.take().expect("bconsole's input");
        input
            .write_all(format!("{}\n", commands.join("\n")).as_bytes())
            .expect("what is typed");
        drop(input);
        let console = || fs::read(printed.path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let begun = std::time::Instant::now();
        while child.try_wait().expect("bconsole's end").is_none() {
            if begun.elapsed() > CONSOLE_WITHIN {
                child.kill().expect("killing bconsole");
                child.wait().expect("bconsole's end");
                panic!("bconsole did not end: {commands:?}\n{}", console().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        console().expect("what was printed")
    }

    /// A script that runs bconsole for whoever wants to type himself.
    pub(crate) fn write_console_script(&self) -> PathBuf {
        let command = self.root.command("bconsole");
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        let script = self.folder().join("bconsole");
        let configuration = self.director.console();
        let text = format!("#!/bin/sh\nexec {} -c '{}'\n", words.join(" "), configuration.display());
        fs::write(&script, text).expect("the script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("the script's mode");
        script
    }

    /// Asks the Director to run a job and returns at once. `level` is as in the console; `more` may name another
    /// storage or pool.
    pub(crate) fn run_job_with(&self, name: &str, level: &str, more: &str) -> JobId {
        let printed = self.console(&[&format!("run job={name} level={level} {more} yes")]);
        queued(&printed)
    }

    pub(crate) fn run_job(&self, name: &str, level: &str) -> JobId {
        self.run_job_with(name, level, "")
    }

    /// Runs the job on that storage with nothing in between.
    pub(crate) fn run_directly(&self, name: &str, level: &str, storage: &str) -> JobId {
        let storage = self
            .storages
            .iter()
            .find(|known| known.name == storage)
            .expect("a storage of this name");
        self.run_job_with(
            name,
            level,
            &format!("storage={} pool={}", storage.name, storage.direct_pool()),
        )
    }

    /// Restores these jobs, oldest first, below `folder`.
    pub(crate) fn start_restore(&self, jobs: &[JobId], folder: &Path) -> JobId {
        self.start_restore_with(jobs, folder, "")
    }

    /// The same; `more` may name another storage than the one that the catalog has for the volumes.
    pub(crate) fn start_restore_with(&self, jobs: &[JobId], folder: &Path, more: &str) -> JobId {
        let jobs = jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let command = format!(
            "restore client={CLIENT} jobid={jobs} restorejob=Restore where={} {more} all done yes",
            folder.display()
        );
        queued(&self.console(&[&command]))
    }

    /// Waits until the job has ended and said so.
    pub(crate) fn wait(&self, id: JobId) -> JobReport {
        self.wait_within(id, JOB_WITHIN)
    }

    pub(crate) fn wait_within(&self, id: JobId, within: Duration) -> JobReport {
        let look = || self.catalog().ended_job(id);
        let mut report = wait::until_or(&format!("the end of job {id}"), within, look, || self.story_of(id));
        report.storages = self.storages_of(&report.volumes);
        report
    }

    /// Runs the job to its end.
    pub(crate) fn job(&self, name: &str, level: &str) -> JobReport {
        self.wait(self.run_job(name, level))
    }

    /// Waits until the job's log contains `text`.
    pub(crate) fn wait_for_log(&self, id: JobId, text: &str, within: Duration) {
        let look = || self.catalog().job(id)?.log.contains(text).then_some(());
        wait::until_or(&format!("{text:?} in the log of job {id}"), within, look, || {
            self.story_of(id)
        });
    }

    /// Restores these jobs into a new folder, waits, and returns the folder that corresponds to `source`.
    pub(crate) fn restore(&self, jobs: &[JobId], source: &Path) -> (JobReport, PathBuf) {
        let folder = tempfile::Builder::new()
            .prefix("restored-")
            .tempdir_in(self.folder())
            .expect("a folder")
            .keep();
        let report = self.wait(self.start_restore(jobs, &folder));
        let inner = source.strip_prefix("/").unwrap_or(source);
        (report, folder.join(inner))
    }

    /// Restores these jobs and compares every file with `expected`, the checksum of the source at the time.
    pub(crate) fn must_restore(&self, jobs: &[JobId], source: &Path, expected: &str) -> JobReport {
        let (report, restored) = self.restore(jobs, source);
        report.must_be_ok();
        let found = tree::checksum(&restored);
        assert!(
            found == expected,
            "restored:\n{found}\nexpected:\n{expected}\nlog:\n{}",
            report.log
        );
        report
    }

    /// The storages on whose disks these volumes are.
    pub(crate) fn storages_of(&self, volumes: &[String]) -> Vec<String> {
        let holds = |storage: &&Storage| volumes.iter().any(|volume| storage.volumes().join(volume).exists());
        self.storages
            .iter()
            .filter(holds)
            .map(|storage| storage.name.clone())
            .collect()
    }

    /// Whether the Director still counts the job among the running ones.
    pub(crate) fn is_running(&self, id: JobId) -> bool {
        let printed = self.console(&[".status dir running"]);
        let (mut jobs, id) = (printed.lines(), id.to_string());
        jobs.any(|line| line.split_ascii_whitespace().next() == Some(&id))
    }

    /// All that is known of a job that does not come to its end.
    fn story_of(&self, id: JobId) -> String {
        let job = self.catalog().job(id).map_or_else(
            || "the catalog has no such job".to_owned(),
            |job| format!("status {}, {} files; its log:\n{}", job.status, job.files, job.log),
        );
        let ours = self
            .sdgroup
            .as_ref()
            .map(|sdgroup| last_lines(&sdgroup.log(), 60))
            .unwrap_or_default();
        let status = self.console(&["status dir running"]);
        format!("job {id}: {job}\nthe Director:\n{status}\nthe end of sdgroup's log:\n{ours}")
    }
}

fn queued(printed: &str) -> JobId {
    let number = printed
        .split_once("Job queued. JobId=")
        .map(|(_, rest)| rest.trim_start());
    let digits = number.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    let id = digits.and_then(|digits| digits.parse().ok());
    JobId(id.unwrap_or_else(|| panic!("no job was queued:\n{printed}")))
}
