//! A bound on what strangers can have written to the log: whoever dials in all day must not fill the disk, nor push out
//! of the journal what an operator looks for. What belongs to a job is never left out, and the metrics count
//! everything.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Events that a connection from anywhere can cause.
const BY_STRANGERS: &[&str] = &[
    "accept_failed",
    "login_refused",
    "packet_refused",
    "peer_failed",
    "probe_not_made",
    "route_missing",
    "route_taken",
    "session_ended",
    "token_refused",
];

/// So many lines of one kind come at once ...
const BURST: u32 = 30;
/// ... and then one in so long.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of one event before it is written.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Its `event`.
    pub(super) name: Option<String>,
    /// It is about a job.
    has_job: bool,
}

impl Summary {
    pub(super) fn of(record: impl FnOnce(&mut dyn Visit)) -> Self {
        let mut summary = Self::default();
        record(&mut summary);
        summary
    }

    /// The one line that a job's session leaves. A job in another line may be a stranger's word.
    fn is_a_jobs_end(&self, name: &str) -> bool {
        self.has_job && name == "session_ended"
    }
}

impl Visit for Summary {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => self.name = Some(value.to_owned()),
            "job" => self.has_job = true,
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        self.has_job |= field.name() == "job";
    }
}

/// Counts lines.
#[derive(Debug, Default)]
pub(super) struct Limit(Mutex<BTreeMap<String, Bucket>>);

#[derive(Debug)]
struct Bucket {
    left: u32,
    /// From when on there is one more.
    since: Instant,
    left_out: u64,
}

impl Limit {
    /// Whether a line of this kind may be written at `now`.
    fn admits(&self, event: &str, now: Instant) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(event.to_owned()).or_insert(Bucket {
            left: BURST,
            since: now,
            left_out: 0,
        });
        let pauses = now.saturating_duration_since(bucket.since).as_secs() / PAUSE.as_secs();
        let more = u32::try_from(pauses).unwrap_or(u32::MAX);
        if more > 0 {
            bucket.since = now;
            bucket.left = bucket.left.saturating_add(more).min(BURST);
        }
        if let Some(left) = bucket.left.checked_sub(1) {
            bucket.left = left;
            return true;
        }
        bucket.left_out += 1;
        false
    }

    /// How many lines of this kind were left out since this was last asked.
    pub(super) fn take_left_out(&self, event: &str) -> u64 {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets
            .get_mut(event)
            .map_or(0, |bucket| std::mem::take(&mut bucket.left_out))
    }
}

/// The layer that leaves out.
#[derive(Debug)]
pub(super) struct Limited(pub(super) std::sync::Arc<Limit>);

impl<S: Subscriber> Layer<S> for Limited {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let summary = Summary::of(|visit| event.record(visit));
        match summary.name {
            Some(name) if summary.is_a_jobs_end(&name) => true,
            Some(name) if BY_STRANGERS.contains(&name.as_str()) => self.0.admits(&name, Instant::now()),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_then_one_a_second_and_the_rest_is_counted() {
        let (limit, start) = (Limit::default(), Instant::now());
        let admitted = (0..100).filter(|_| limit.admits("login_refused", start)).count();
        assert_eq!(admitted, usize::try_from(BURST).unwrap());
        assert!(limit.admits("route_missing", start), "each kind has its own");
        let later = start + Duration::from_secs(2);
        assert!(limit.admits("login_refused", later) && limit.admits("login_refused", later));
        assert!(!limit.admits("login_refused", later));
        assert_eq!(limit.take_left_out("login_refused"), 71);
        assert_eq!(limit.take_left_out("login_refused"), 0);
    }
}
