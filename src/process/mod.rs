//! The life of the process: start, signals, drain.
//!
//! [`run`] tells the whole story. `boot` opens everything that can fail before anybody is told that the process is
//! ready; `drain` ends it.

mod boot;
mod doors;
mod drain;
mod error;
mod handover;
mod helm;
mod limits;
mod own_socket;
mod phase;
mod probes;
mod reload;
mod signals;
mod systemd;
mod tasks;
mod vitals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::admin::metrics::{self, Exposition};
use crate::config::Loaded;
use crate::config::model::{LogFormat, Model};
use crate::group::{Availability, StorageLive};
use crate::session::{self, Current};
use crate::telemetry::event::{ConfigLoaded, HandoverDone, HandoverFailed, Started};
use crate::telemetry::log;
use boot::Serving;
use doors::Attended;
use handover::{Predecessor, Program};
use systemd::Notifier;

pub use error::ProcessError;
pub use phase::{Phase, Phases};

/// How long the last answers to the operator may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// How long the last of the history may take to be written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// How often is looked whether every storage has been asked.
const LOOK: Duration = Duration::from_millis(20);

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
    if Predecessor::is_named() {
        notifier.hold();
    }
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
    let program = Program::of_this_process().map_err(ProcessError::Program)?;
    let (mut predecessor, mut inherited) = Predecessor::from_environment().await?.unzip();
    let opened = boot::open(config.0, inherited.get_or_insert_default()).await?;
    drop(inherited);
    let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
    // Whatever makes this function return, nothing that it started outlives it.
    let _stopped = stop.clone().drop_guard();
    let lineage = predecessor.as_ref().and_then(|predecessor| predecessor.lineage);
    let mut serving = boot::start(config, opened, lineage, exposition, &phases, program.clone(), &stop);
    let reloading = reload::on_demand(Arc::clone(&serving.reloader), reloads);
    let _reloading = AbortOnDropHandle::new(tokio::spawn(reloading));
    if let Some(open_files) = open_files {
        let most = limits::jobs_that_fit(open_files);
        serving.current.context().admission.limit(most);
    }
    if let Some(predecessor) = &mut predecessor {
        take_over(predecessor, &serving).await?;
    }
    // Before anybody is attended to: a check that asks in the middle of a handover is to find nobody who only starts.
    phases.enter(Phase::Ready, "everything is open", 0);
    let attended = serving.doors.attend(&serving.house, &stop, &lost);
    if let Some(predecessor) = predecessor {
        predecessor.serving().await;
        notifier.take_over();
        serving.doors.keep();
        let predecessors = serving.current.context().processes.predecessors().len();
        HandoverDone { predecessors }.emit();
    }
    notifier.ready();

    let life = Life {
        program: &program,
        stop: &stop,
        lost: &lost,
        notifier,
    };
    let why = why_end(&mut serving, attended, &mut stops, &life).await;
    // Whoever has asked for a handover too late is told.
    drop(serving.handovers);
    let context = serving.current.context();
    let sessions = &context.sessions;
    let patience = drain::Patience::default();
    let ended = match why {
        Why::Stopped(reason, attended) => {
            phases.enter(Phase::Draining, reason, sessions.len());
            notifier.stopping();
            // Data connections and cancels of running jobs come in yet.
            let ended = drain::drain(&*context, sessions, &mut stops, notifier, patience).await;
            drop(attended);
            ended
        }
        Why::HandedOver => {
            serving.doors.leave();
            phases.enter(Phase::Draining, "another process has taken over", sessions.len());
            let told = context.processes.stopped();
            drain::depart(&*context, sessions, &mut stops, told, notifier, patience).await
        }
    };
    let reason = match ended {
        drain::Ended::JobsDone => "no job is left",
        drain::Ended::AtOnce => "a second signal",
    };
    phases.enter(Phase::Stopped, reason, sessions.len());
    stop.cancel();
    // Neither a caller who does not listen keeps the process, nor a disk that hangs.
    let _ = tokio::time::timeout(ANSWERED_WITHIN, serving.house.answered()).await;
    let _ = tokio::time::timeout(WRITTEN_WITHIN, serving.writing).await;
    if lost.is_cancelled() {
        Err(ProcessError::ListenerLost)
    } else {
        Ok(())
    }
}

/// Gets everything from the predecessor, which serves nobody any more when this returns.
async fn take_over(predecessor: &mut Predecessor, serving: &Serving) -> Result<(), ProcessError> {
    let context = serving.current.context();
    meet(&serving.current, &predecessor.processes).await;
    predecessor.ready().await?;
    // What its operator wanted since the states were read.
    context.states.follow(&context.directory).await;
    Ok(())
}

/// Joins all other processes, and waits until the storages have been asked once, so that the first jobs find what those
/// of the predecessor found.
async fn meet(current: &Arc<Current>, processes: &[PathBuf]) {
    let context = current.context();
    let Some(own) = context.processes.introduction() else {
        return;
    };
    for socket in processes {
        // One that does not answer has ended since.
        let _ = session::processes::join(current, &own, socket).await;
    }
    let unknown = |live: &Arc<StorageLive>| live.view(Instant::now()).availability == Availability::Unknown;
    let known = async {
        while context.directory.storages().iter().any(unknown) {
            tokio::time::sleep(LOOK).await;
        }
    };
    let _ = tokio::time::timeout(context.model.probe.timeout, known).await;
}

/// What lasts as long as the process.
struct Life<'a> {
    program: &'a Program,
    stop: &'a CancellationToken,
    lost: &'a CancellationToken,
    notifier: &'a Notifier,
}

/// Why a process begins to end.
enum Why {
    /// It was told to, or has to.
    Stopped(&'static str, Attended),
    /// Another one serves now.
    HandedOver,
}

/// Waits for a reason to end.
async fn why_end(
    serving: &mut Serving,
    attended: Attended,
    stops: &mut mpsc::Receiver<&'static str>,
    life: &Life<'_>,
) -> Why {
    let mut attended = attended;
    loop {
        let wanted = tokio::select! {
            Some(signal) = stops.recv() => return Why::Stopped(signal, attended),
            () = life.lost.cancelled() => return Why::Stopped("a listener was lost", attended),
            Some(wanted) = serving.handovers.recv() => wanted,
        };
        let context = serving.current.context();
        let prepared = tokio::select! {
            Some(signal) = stops.recv() => {
                let _ = wanted.send(Err("sdgroup was told to end".to_owned()));
                return Why::Stopped(signal, attended);
            }
            prepared = handover::prepare(life.program, &context, &serving.doors) => prepared,
        };
        let failed = match prepared {
            Ok(prepared) => {
                let others = (&serving.house, life.stop, life.lost);
                match prepared.commit(attended, &serving.doors, others, life.notifier).await {
                    Ok(successor) => {
                        serving.departed.cancel();
                        let _ = wanted.send(Ok(successor));
                        return Why::HandedOver;
                    }
                    Err((why, again)) => {
                        attended = again;
                        why
                    }
                }
            }
            Err(why) => why,
        };
        HandoverFailed { error: &failed }.emit();
        let _ = wanted.send(Err(failed));
    }
}

impl drain::Service for session::Context {
    fn refuse_new_jobs(&self, reason: &'static str) {
        self.admission.close(reason);
    }

    fn jobs(&self) -> tokio::sync::watch::Receiver<usize> {
        self.jobs.count()
    }

    fn predecessors(&self) -> tokio::sync::watch::Receiver<usize> {
        self.processes.predecessors_left()
    }

    async fn stop_jobs(&self) {
        Self::stop_jobs(self);
        self.processes.stop_predecessors().await;
    }
}
