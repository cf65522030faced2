//! A limit on how long to wait for something.

use std::future::Future;
use std::io;
use std::time::Duration;

/// What was waited for did not happen in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing came within {after:?}")]
pub struct Expired {
    /// How long was waited.
    pub after: Duration,
}

impl From<Expired> for io::Error {
    fn from(expired: Expired) -> Self {
        Self::new(io::ErrorKind::TimedOut, expired)
    }
}

/// Waits for `future`, but no longer than `limit`; what has not ended by then is dropped.
///
/// A future that is ready at once succeeds whatever the limit, so a limit of zero asks "is it there already?".
pub async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Expired> {
    tokio::time::timeout(limit, future)
        .await
        .map_err(|_elapsed| Expired { after: limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_ready_is_never_too_late() {
        assert_eq!(within(Duration::ZERO, async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn what_never_comes_expires() {
        let limit = Duration::from_millis(5);
        let outcome = within(limit, std::future::pending::<()>()).await;
        assert_eq!(outcome, Err(Expired { after: limit }));
        let error = io::Error::from(Expired { after: limit });
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "nothing came within 5ms");
    }
}
