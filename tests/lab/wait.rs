//! Waiting for a condition, with a deadline after which the test fails and says what it waited for.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks again and again until `look` finds what it looks for.
///
/// # Panics
/// When `within` has passed; `what` names what was waited for.
pub(crate) fn until<T>(what: &str, within: Duration, look: impl FnMut() -> Option<T>) -> T {
    until_or(what, within, look, String::new)
}

/// As [`until`], and tells `more` when it was in vain.
pub(crate) fn until_or<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Option<T>,
    more: impl FnOnce() -> String,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begun.elapsed() < within,
            "waited {within:?} in vain for {what}\n{}",
            more()
        );
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// Waits until a backup that begins is younger than every file that there is: the next incremental takes for new what has
/// changed in the second in which the last backup began (Bacula `src/findlib/find_one.c`).
///
/// # Panics
/// When the clock stands still.
pub(crate) fn until_files_are_older_than_a_backup() {
    let second = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
        now.as_secs()
    };
    let now = second();
    until("the next second", Duration::from_secs(10), || {
        (second() > now).then_some(())
    });
}
