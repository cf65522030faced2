//! Events of one connection.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use metrics::Gauge;
use tracing::{debug, info, warn};

use super::JobRef;
use crate::telemetry::names;
use crate::types::{GroupName, JobName, JobStatus, StorageName};

/// What kind of peer a session is with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// It has not said yet.
    Unknown,
    /// A Director that brought a job.
    Director,
    /// A Director that brought an operator's commands (`JobId=0`, or none).
    Console,
    /// A Client with a job's data.
    Client,
    /// A storage with a job's data (copy and migration between storages).
    Storage,
    /// Another sdgroup, which passes on a connection of one of those two.
    Peer,
}

impl SessionKind {
    /// From its word.
    #[must_use]
    pub fn from_word(text: &str) -> Option<Self> {
        let all = [
            Self::Unknown,
            Self::Director,
            Self::Console,
            Self::Client,
            Self::Storage,
            Self::Peer,
        ];
        all.into_iter().find(|kind| kind.as_str() == text)
    }

    /// A word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Director => "director",
            Self::Console => "console",
            Self::Client => "client",
            Self::Storage => "storage",
            Self::Peer => "peer",
        }
    }
}

/// A session has begun.
#[derive(Debug)]
pub struct SessionStarted {
    /// With whom.
    pub kind: SessionKind,
    /// From where.
    pub peer: SocketAddr,
}

impl SessionStarted {
    /// Tells it. The result stands for the live session: it keeps the gauge up until it is dropped.
    #[must_use]
    pub fn emit(self) -> LiveSession {
        let kind = self.kind.as_str();
        debug!(event = "session_started", kind, peer = %self.peer, "session started");
        LiveSession::new(self.kind)
    }
}

/// Counts one live session for as long as it exists.
#[derive(Debug)]
pub struct LiveSession {
    kind: SessionKind,
    gauge: Gauge,
}

impl LiveSession {
    fn new(kind: SessionKind) -> Self {
        names::SESSIONS_STARTED.with([kind.as_str()]).increment(1);
        let gauge = names::SESSIONS.with([kind.as_str()]);
        gauge.increment(1);
        Self { kind, gauge }
    }

    /// The same session, now that it is known with whom. The kind that it had before is not counted as ended.
    #[must_use]
    pub fn known_as(self, kind: SessionKind) -> Self {
        if self.kind == kind { self } else { Self::new(kind) }
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}

/// A session has ended: the one line per session.
pub struct SessionEnded<'a> {
    /// With whom it was.
    pub kind: SessionKind,
    /// From where.
    pub peer: SocketAddr,
    /// For which job, when it got that far.
    pub job: Option<JobRef<'a>>,
    /// In which group.
    pub group: Option<&'a GroupName>,
    /// On which storage.
    pub storage: Option<&'a StorageName>,
    /// By which policy that storage was chosen.
    pub policy: Option<&'static str>,
    /// Why it was chosen, for people.
    pub reason: Option<&'a str>,
    /// Bytes that went to the storage.
    pub to_storage_bytes: u64,
    /// Bytes that came from the storage.
    pub from_storage_bytes: u64,
    /// How long the session lived.
    pub duration: Duration,
    /// How it ended: `session::end`'s label.
    pub end: &'static str,
    /// The job's status, as the storage reported it.
    pub status: Option<JobStatus>,
    /// What went wrong, if something did. Makes the line a warning.
    pub error: Option<&'a dyn Display>,
}

impl SessionEnded<'_> {
    /// Tells it.
    pub fn emit(self) {
        let kind = self.kind.as_str();
        names::SESSIONS_ENDED.with([kind, self.end]).increment(1);
        names::SESSION_SECONDS.with([kind]).record(self.duration);
        if let (Some(storage), Some(status)) = (self.storage, self.status) {
            names::JOBS_ENDED.with([storage.as_str(), status.as_str()]).increment(1);
        }
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    event = "session_ended",
                    kind,
                    peer = %self.peer,
                    director = self.job.map(|job| display(job.director)),
                    job = self.job.map(|job| display(job.job)),
                    job_id = self.job.map(|job| job.job_id.0),
                    client = self.job.and_then(|job| job.client).map(display),
                    group = self.group.map(display),
                    storage = self.storage.map(display),
                    policy = self.policy,
                    reason = self.reason,
                    to_storage_bytes = self.to_storage_bytes,
                    from_storage_bytes = self.from_storage_bytes,
                    duration_seconds = self.duration.as_secs_f64(),
                    end = self.end,
                    status = self.status.map(JobStatus::as_str),
                    error = self.error.map(display),
                    "session ended"
                )
            };
        }
        if self.error.is_some() { line!(warn) } else { line!(info) }
    }
}

/// A login at sdgroup failed.
pub struct LoginRefused<'a> {
    /// Who the peer says it is.
    pub kind: SessionKind,
    /// From where.
    pub peer: SocketAddr,
    /// The name that it gave, if it came to that.
    pub name: Option<&'a str>,
    /// The error's label.
    pub cause: &'static str,
    /// The error.
    pub error: &'a dyn Display,
}

impl LoginRefused<'_> {
    /// Tells it.
    pub fn emit(self) {
        let kind = self.kind.as_str();
        names::LOGINS_REFUSED.with([kind, self.cause]).increment(1);
        warn!(
            event = "login_refused",
            kind,
            peer = %self.peer,
            name = self.name,
            cause = self.cause,
            error = %self.error,
            "login refused"
        );
    }
}

/// What was wrong with the token of a request at `AdminAddress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenCause {
    /// There was none.
    Missing,
    /// It is not the configuration's.
    Wrong,
}

impl TokenCause {
    /// A word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "no_token",
            Self::Wrong => "wrong_token",
        }
    }
}

/// A request at `AdminAddress` did not show the token.
#[derive(Debug)]
pub struct TokenRefused {
    /// From where.
    pub peer: Option<SocketAddr>,
    /// What was wrong.
    pub cause: TokenCause,
}

impl TokenRefused {
    /// Tells it.
    pub fn emit(self) {
        let cause = self.cause.as_str();
        names::LOGINS_REFUSED.with(["operator", cause]).increment(1);
        warn!(
            event = "token_refused",
            peer = self.peer.map(display),
            cause,
            "request refused at AdminAddress"
        );
    }
}

/// What was wrong with what a peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketCause {
    /// Nothing that Bacula's protocol knows.
    Garbage,
    /// A packet larger than allowed at this point.
    Oversize,
    /// Nothing came in time.
    Silent,
}

impl PacketCause {
    /// A word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Oversize => "oversize",
            Self::Silent => "silent",
        }
    }
}

/// A connection was closed for what it sent, or did not send.
pub struct PacketRefused<'a> {
    /// With whom the session was.
    pub kind: SessionKind,
    /// From where.
    pub peer: SocketAddr,
    /// What was wrong.
    pub cause: PacketCause,
    /// The error.
    pub error: &'a dyn Display,
}

impl PacketRefused<'_> {
    /// Tells it.
    pub fn emit(self) {
        let cause = self.cause.as_str();
        names::PACKETS_REFUSED.with([cause]).increment(1);
        let kind = self.kind.as_str();
        warn!(event = "packet_refused", kind, peer = %self.peer, cause, error = %self.error, "connection refused");
    }
}

/// A data connection named a job that no Director has announced.
#[derive(Debug)]
pub struct RouteMissing<'a> {
    /// The job it named.
    pub job: &'a JobName,
    /// From where.
    pub peer: SocketAddr,
    /// How long the job's announcement was waited for.
    pub waited: Duration,
}

impl RouteMissing<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::ROUTES_MISSING.with([]).increment(1);
        warn!(
            event = "route_missing",
            job = %self.job,
            peer = %self.peer,
            waited_seconds = self.waited.as_secs_f64(),
            "data connection for a job that no Director has announced"
        );
    }
}

/// A data connection named a job that has its data connection already.
#[derive(Debug)]
pub struct RouteTaken<'a> {
    /// The job it named.
    pub job: &'a JobName,
    /// From where.
    pub peer: SocketAddr,
}

impl RouteTaken<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::ROUTES_TAKEN.with([]).increment(1);
        warn!(
            event = "route_taken",
            job = %self.job,
            peer = %self.peer,
            "second data connection for a job that has one"
        );
    }
}

/// Relays got no pipe and copied through memory.
#[derive(Debug)]
pub struct RelayFellBackToCopy {
    /// How often since it was last told.
    pub times: u64,
}

impl RelayFellBackToCopy {
    /// Tells it.
    pub fn emit(self) {
        names::RELAY_FALLBACKS.with([]).increment(self.times);
        warn!(
            event = "relay_fell_back_to_copy",
            times = self.times,
            "data is copied through memory for want of pipes; raising fs.pipe-user-pages-soft saves processor time"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::Format;
    use crate::telemetry::testing::{LogLines, Scrape};
    use crate::types::{ClientName, DirectorName, JobId};

    fn peer() -> SocketAddr {
        "192.0.2.7:4711".parse().unwrap()
    }

    #[test]
    fn the_line_of_a_session_has_all_fields_and_the_metrics_agree() {
        let (director, client) = (
            DirectorName::new("lab-dir").unwrap(),
            ClientName::new("lab-fd").unwrap(),
        );
        let job = JobName::new("Nightly.2026-11-23_00.20.37_03").unwrap();
        let (group, storage) = (GroupName::new("Files").unwrap(), StorageName::new("File4").unwrap());
        let scrape = Scrape::new();
        let lines = LogLines::of(Format::Json, || {
            scrape.during(|| {
                SessionEnded {
                    kind: SessionKind::Director,
                    peer: peer(),
                    job: Some(JobRef {
                        director: &director,
                        job: &job,
                        job_id: JobId(17),
                        client: Some(&client),
                    }),
                    group: Some(&group),
                    storage: Some(&storage),
                    policy: Some("LeastUsed"),
                    reason: Some("2 jobs, the fewest"),
                    to_storage_bytes: 1000,
                    from_storage_bytes: 20,
                    duration: Duration::from_millis(1500),
                    end: "done",
                    status: Some(JobStatus::Terminated),
                    error: None,
                }
                .emit();
            });
        });
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["level"], "INFO");
        for (field, wanted) in [
            ("event", "session_ended"),
            ("kind", "director"),
            ("director", "lab-dir"),
            ("job", "Nightly.2026-11-23_00.20.37_03"),
            ("client", "lab-fd"),
            ("group", "Files"),
            ("storage", "File4"),
            ("policy", "LeastUsed"),
            ("reason", "2 jobs, the fewest"),
            ("end", "done"),
            ("status", "terminated"),
            ("peer", "192.0.2.7:4711"),
        ] {
            assert_eq!(line[field], wanted, "{field} in {line}");
        }
        assert_eq!(line["job_id"], 17);
        assert_eq!(line["to_storage_bytes"], 1000);
        assert_eq!(line["from_storage_bytes"], 20);
        assert_eq!(line["duration_seconds"], 1.5);
        assert!(line.get("error").is_none(), "{line}");
        assert_eq!(
            scrape.value(r#"sdgroup_sessions_ended_total{kind="director",end="done"}"#),
            "1"
        );
        assert_eq!(
            scrape.value(r#"sdgroup_jobs_ended_total{storage="File4",status="terminated"}"#),
            "1"
        );
        assert!(!scrape.text().contains("Nightly"), "a job's name is no label");
    }

    #[test]
    fn a_failed_session_is_a_warning_and_says_why() {
        let lines = LogLines::of(Format::Text, || {
            SessionEnded {
                kind: SessionKind::Client,
                peer: peer(),
                job: None,
                group: None,
                storage: None,
                policy: None,
                reason: None,
                to_storage_bytes: 0,
                from_storage_bytes: 0,
                duration: Duration::ZERO,
                end: "reset",
                status: None,
                error: Some(&"the Client closed the connection"),
            }
            .emit();
        });
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].contains("WARN") && lines[0].contains("the Client closed the connection"),
            "{lines:?}"
        );
        assert!(!lines[0].contains("job="), "{lines:?}");
    }

    #[test]
    fn a_live_session_is_counted_until_it_is_dropped() {
        let scrape = Scrape::new();
        scrape.during(|| {
            let live = SessionStarted {
                kind: SessionKind::Unknown,
                peer: peer(),
            }
            .emit();
            assert_eq!(scrape.value(r#"sdgroup_sessions{kind="unknown"}"#), "1");
            let live = live.known_as(SessionKind::Client).known_as(SessionKind::Client);
            assert_eq!(scrape.value(r#"sdgroup_sessions{kind="unknown"}"#), "0");
            assert_eq!(scrape.value(r#"sdgroup_sessions{kind="client"}"#), "1");
            drop(live);
        });
        assert_eq!(scrape.value(r#"sdgroup_sessions{kind="client"}"#), "0");
        assert_eq!(scrape.value(r#"sdgroup_sessions_started_total{kind="client"}"#), "1");
    }

    #[test]
    fn every_refusal_is_counted_under_its_cause() {
        let job = JobName::new("Ghost.1").unwrap();
        let scrape = Scrape::new();
        let lines = LogLines::of(Format::Text, || {
            scrape.during(|| {
                LoginRefused {
                    kind: SessionKind::Director,
                    peer: peer(),
                    name: Some("who-dir"),
                    cause: "unknown_director",
                    error: &"no such Director",
                }
                .emit();
                for cause in [PacketCause::Garbage, PacketCause::Oversize, PacketCause::Silent] {
                    PacketRefused {
                        kind: SessionKind::Unknown,
                        peer: peer(),
                        cause,
                        error: &"no Hello",
                    }
                    .emit();
                }
                RouteMissing {
                    job: &job,
                    peer: peer(),
                    waited: Duration::from_secs(5),
                }
                .emit();
                RouteTaken {
                    job: &job,
                    peer: peer(),
                }
                .emit();
                RelayFellBackToCopy { times: 1 }.emit();
            });
        });
        assert_eq!(lines.len(), 7, "{lines:?}");
        assert!(
            lines.iter().take(6).all(|line| line.contains("192.0.2.7:4711")),
            "{lines:?}"
        );
        for series in [
            r#"sdgroup_logins_refused_total{peer="director",cause="unknown_director"}"#,
            r#"sdgroup_packets_refused_total{cause="garbage"}"#,
            r#"sdgroup_packets_refused_total{cause="oversize"}"#,
            r#"sdgroup_packets_refused_total{cause="silent"}"#,
            "sdgroup_routes_missing_total",
            "sdgroup_routes_taken_total",
            "sdgroup_relay_fallbacks_total",
        ] {
            assert_eq!(scrape.value(series), "1", "{series}");
        }
    }
}
