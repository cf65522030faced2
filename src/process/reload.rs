//! Another configuration, without another process: read and checked as a whole, and put into force at once or not at
//! all.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::phase::Phase;
use super::probes::Probes;
use crate::admin::{NotReloaded, Reloaded};
use crate::config::{self, Differences, Loaded, Model, Problem};
use crate::session::{Context, Current, States};
use crate::store::{StateRecord, Store};
use crate::telemetry::event::{ConfigRefused, ConfigReloaded, ConfigWarning, ReloadCause};

/// What a reload needs.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) file: PathBuf,
    pub(super) current: Arc<Current>,
    pub(super) store: Arc<dyn Store>,
    pub(super) probes: std::sync::Mutex<Probes>,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) stop: CancellationToken,
    /// One at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// Why there was none, and what the log is told.
struct Refusal {
    cause: ReloadCause,
    told: NotReloaded,
}

impl Refusal {
    fn new(cause: ReloadCause, reason: impl Into<String>, details: Vec<String>) -> Self {
        let reason = reason.into();
        Self {
            cause,
            told: NotReloaded { reason, details },
        }
    }
}

impl Reloader {
    /// Reads the configuration file and puts it into force, or tells why not.
    ///
    /// # Errors
    /// When the file has errors, changes what only another process can begin with, or the process is about to end. Then
    /// nothing has changed.
    pub(super) async fn reload(&self) -> Result<Reloaded, NotReloaded> {
        let _turn = self.turn.lock().await;
        let file = &self.file;
        match self.attempt().await {
            Ok(reloaded) => {
                for warning in &reloaded.warnings {
                    ConfigWarning { warning }.emit();
                }
                let changes = &reloaded.changes;
                ConfigReloaded { file, changes }.emit();
                Ok(Reloaded {
                    changes: reloaded.changes.applied,
                    warnings: reloaded.warnings.iter().map(ToString::to_string).collect(),
                })
            }
            Err(Refusal { cause, told }) => {
                let error = &told;
                ConfigRefused { file, cause, error }.emit();
                Err(told)
            }
        }
    }

    async fn attempt(&self) -> Result<Applied, Refusal> {
        let refused = |reason: &str| Refusal::new(ReloadCause::Refused, reason, Vec::new());
        if *self.phase.borrow() > Phase::Ready {
            return Err(refused("sdgroup is about to end: its configuration stays what it is"));
        }
        let file = self.file.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&file)).await;
        let Loaded { model, warnings } = loaded
            .map_err(|error| refused(&error.to_string()))?
            .map_err(|problems| unusable(&problems))?;
        let before = self.current.context();
        let changes = config::differences(&before.model, &model);
        if !changes.need_handover.is_empty() {
            let reason = "the configuration changes what only another process can begin with, so nothing was changed; \
                          \"sdgroup handover\" starts one, and no job is lost";
            return Err(Refusal::new(ReloadCause::NeedsHandover, reason, changes.need_handover));
        }
        let records = self.states_of_new(&before, &model).await?;
        let model = Arc::new(model);
        let context = before.renewed(Arc::clone(&model), States::standing(records));
        let directory = Arc::clone(&context.directory);
        self.current.replace(context);
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.follow(&model, &directory, &self.stop);
        Ok(Applied { changes, warnings })
    }

    /// The states of the storages that `before` does not have: the operator decided when they were there last.
    async fn states_of_new(&self, before: &Context, model: &Model) -> Result<Vec<StateRecord>, Refusal> {
        let is_new = |storage: &str| before.model.storage(storage).is_none();
        if !model.storages.iter().any(|storage| is_new(storage.name.as_str())) {
            return Ok(Vec::new());
        }
        let mut records = self.store.states().await.map_err(|error| {
            let reason = format!("what the operator wants of the new storages cannot be read: {error}");
            Refusal::new(ReloadCause::Refused, reason, Vec::new())
        })?;
        records.retain(|record| is_new(record.storage.as_str()));
        Ok(records)
    }
}

/// What a reload has changed.
struct Applied {
    changes: Differences,
    warnings: Vec<Problem>,
}

fn unusable(problems: &[Problem]) -> Refusal {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let plural = if errors == 1 { "" } else { "s" };
    let reason = format!("the configuration has {errors} error{plural}; the one in force stays");
    let details = problems.iter().map(|problem| problem.to_string().trim_end().to_owned());
    Refusal::new(ReloadCause::Refused, reason, details.collect())
}

/// Reloads whenever `wanted`, until nobody can want it any more.
pub(super) async fn on_demand(reloader: Arc<Reloader>, mut wanted: mpsc::Receiver<()>) {
    while wanted.recv().await.is_some() {
        // Told in the log, where somebody who sends a signal looks.
        let _ = reloader.reload().await;
    }
}
