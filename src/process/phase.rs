//! The phases of the process's life. They are a value that others can watch, and they only go forward.

use tokio::sync::watch;

use crate::telemetry::event::ProcessPhase;

/// Where in its life the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It opens what it needs. Nobody is served.
    Starting,
    /// It serves.
    Ready,
    /// It takes no new jobs, and lives until the running ones have ended.
    Draining,
    /// It serves nobody any more.
    Stopped,
}

impl Phase {
    /// A word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

/// The phase of this process.
#[derive(Debug)]
pub struct Phases(watch::Sender<Phase>);

impl Phases {
    /// A life that begins.
    #[must_use]
    pub fn new() -> Self {
        let phases = Self(watch::Sender::new(Phase::Starting));
        tell(Phase::Starting, "start", 0);
        phases
    }

    /// The phase, and every change of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }

    /// Goes on to `phase` and tells it, for this `reason`, with so many sessions alive. Nothing happens when the
    /// process is there already, or beyond.
    pub fn enter(&self, phase: Phase, reason: &'static str, sessions: usize) {
        let entered = self.0.send_if_modified(|current| {
            let forward = phase > *current;
            if forward {
                *current = phase;
            }
            forward
        });
        if entered {
            tell(phase, reason, sessions);
        }
    }
}

impl Default for Phases {
    fn default() -> Self {
        Self::new()
    }
}

fn tell(phase: Phase, reason: &'static str, sessions: usize) {
    ProcessPhase {
        phase: phase.as_str(),
        reason,
        sessions,
    }
    .emit();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::event::PHASES;

    #[tokio::test]
    async fn a_phase_can_be_waited_for_and_never_comes_back() {
        let phases = Phases::new();
        let mut watch = phases.watch();
        phases.enter(Phase::Ready, "test", 0);
        phases.enter(Phase::Draining, "test", 1);
        watch.wait_for(|phase| *phase == Phase::Draining).await.unwrap();
        phases.enter(Phase::Ready, "test", 0);
        assert_eq!(*watch.borrow(), Phase::Draining);
    }

    #[test]
    fn the_metrics_know_every_phase() {
        let words = [Phase::Starting, Phase::Ready, Phase::Draining, Phase::Stopped].map(Phase::as_str);
        assert_eq!(words, PHASES);
    }
}
