//! The life of the process: start, signals, drain.
//!
//! [`run`] tells the whole story. `boot` opens everything that can fail before anybody is told that the process is
//! ready; `drain` ends it.

mod boot;
mod drain;
mod error;
mod limits;
mod phase;
mod probes;
mod reload;
mod signals;
mod systemd;
mod tasks;
mod vitals;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::admin::metrics::{self, Exposition};
use crate::config::Loaded;
use crate::config::model::{LogFormat, Model};
use crate::session;
use crate::telemetry::event::{ConfigLoaded, Started};
use crate::telemetry::log;
use systemd::Notifier;

pub use error::ProcessError;
pub use phase::{Phase, Phases};

/// How long the last of the history may take to be written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// How long threads may take to end once everything else has.
const THREADS_END_WITHIN: Duration = Duration::from_secs(1);

/// Lives with the configuration `loaded` from `file`, until a signal and the end of the last job.
///
/// # Errors
/// When something that the process needs is missing at its start, or when it had to end because of a fault of its own.
pub fn run(loaded: Loaded, file: &Path) -> Result<(), ProcessError> {
    let model = Arc::new(loaded.model);
    let format = match model.log.format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    log::install(format, model.log.level.as_str())?;
    log::tell_panics();
    let open_files = limits::raise_open_files();
    let exposition = metrics::install()?;
    Started {
        version: env!("CARGO_PKG_VERSION"),
        open_files,
    }
    .emit();
    ConfigLoaded { file }.emit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("sdgroup")
        .enable_all()
        .build()
        .map_err(ProcessError::Runtime)?;
    let outcome = runtime.block_on(live((&model, file), exposition, open_files));
    runtime.shutdown_timeout(THREADS_END_WITHIN);
    outcome
}

async fn live(
    config: (&Arc<Model>, &Path),
    exposition: Exposition,
    open_files: Option<u64>,
) -> Result<(), ProcessError> {
    let mut notifier = Notifier::from_environment();
    let outcome = tokio::select! {
        outcome = serve(config, exposition, open_files, &notifier) => outcome,
        never = tasks::pet_watchdog(&notifier) => match never {},
    };
    notifier.finish().await;
    outcome
}

async fn serve(
    config: (&Arc<Model>, &Path),
    exposition: Exposition,
    open_files: Option<u64>,
    notifier: &Notifier,
) -> Result<(), ProcessError> {
    let phases = Phases::new();
    let signals::Signals { mut stops, reloads } = signals::listen().map_err(ProcessError::Signals)?;
    let opened = boot::open(config.0).await?;
    let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
    // Whatever makes this function return, nothing that it started outlives it.
    let _stopped = stop.clone().drop_guard();
    let serving = boot::start(config, opened, exposition, &phases, &stop, &lost);
    let _reloading = AbortOnDropHandle::new(tokio::spawn(reload::on_demand(serving.reloader, reloads)));
    let context = serving.current.context();
    if let Some(open_files) = open_files {
        context.admission.limit(limits::jobs_that_fit(open_files));
    }
    let sessions = &context.sessions;
    phases.enter(Phase::Ready, "everything is open", 0);
    notifier.ready();

    let reason = why_end(&mut stops, &lost).await;
    phases.enter(Phase::Draining, reason, sessions.len());
    notifier.stopping();
    let patience = drain::Patience::default();
    let reason = match drain::drain(&*context, sessions, &mut stops, notifier, patience).await {
        drain::Ended::JobsDone => "no job is left",
        drain::Ended::AtOnce => "a second signal",
    };
    phases.enter(Phase::Stopped, reason, sessions.len());
    stop.cancel();
    // A disk that hangs does not keep the process.
    let _ = tokio::time::timeout(WRITTEN_WITHIN, serving.writing).await;
    if lost.is_cancelled() {
        Err(ProcessError::ListenerLost)
    } else {
        Ok(())
    }
}

/// Waits for a reason to end, and returns it.
async fn why_end(stops: &mut mpsc::Receiver<&'static str>, lost: &CancellationToken) -> &'static str {
    tokio::select! {
        Some(signal) = stops.recv() => signal,
        () = lost.cancelled() => "a listener was lost",
    }
}

impl drain::Service for session::Context {
    fn refuse_new_jobs(&self, reason: &'static str) {
        self.admission.close(reason);
    }

    fn jobs(&self) -> tokio::sync::watch::Receiver<usize> {
        self.jobs.count()
    }

    fn stop_jobs(&self) {
        Self::stop_jobs(self);
    }
}
