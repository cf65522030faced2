//! The processes of one sdgroup, those to which it has handed over among them: they are no children of the test's.

use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// Kills every process that others can call in this state directory. What those left there that were killed does not
/// count, since their numbers may be somebody else's by now.
pub(crate) fn kill_all(state: &Path) {
    let files = std::fs::read_dir(state).into_iter().flatten();
    let calls = files.filter_map(|file| {
        let path = file.ok()?.path();
        let number = path
            .file_name()?
            .to_str()?
            .strip_prefix("process.")?
            .strip_suffix(".sock")?;
        let pid = Pid::from_raw(number.parse().ok()?)?;
        UnixStream::connect(&path).is_ok().then_some(pid)
    });
    for process in calls {
        // It may end in this moment.
        let _ = kill_process(process, Signal::KILL);
    }
}
