//! Waiting for a condition, with a deadline after which the test fails and says what it waited for.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

/// Far more than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// Looks again and again until `look` finds what it looks for; what it has found instead is told in the end.
///
/// # Panics
/// When [`PATIENCE`] is over.
#[track_caller]
pub(crate) fn until_told<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let begun = Instant::now();
        loop {
            match look() {
                Ok(found) => return found,
                Err(instead) if begun.elapsed() > PATIENCE => {
                    panic!("{caller}: waited {PATIENCE:?} in vain for {what}; in the end: {instead}")
                }
                Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
            }
        }
    }
}

/// Waits until `condition` is true.
///
/// # Panics
/// When [`PATIENCE`] is over.
#[track_caller]
pub(crate) fn until_true(what: &str, mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    until_told(what, move || {
        condition().then_some(()).ok_or_else(|| "it is not so".to_owned())
    })
}

/// The outcome of `future`, which must come soon.
///
/// # Panics
/// When [`PATIENCE`] is over.
#[track_caller]
pub(crate) fn soon<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        let outcome = tokio::time::timeout(PATIENCE, future).await;
        outcome.unwrap_or_else(|_| panic!("{caller}: waited {PATIENCE:?} in vain for {what}"))
    }
}
