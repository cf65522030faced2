//! Every storage is asked how it is, again and again, and what comes of it goes into the directory.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::config::Model;
use crate::group::policy::Dice;
use crate::group::{Directory, StorageLive};
use crate::probe::{Outcome, Questioner, Rhythm, ask, keep_asking};
use crate::session;
use crate::types::DeviceName;

/// Starts to ask every storage of `directory`, each in a task of its own, until `stop`.
pub(super) fn start(model: &Model, directory: &Arc<Directory>, stop: &CancellationToken) {
    let probe = &model.probe;
    let questioner = Arc::new(Questioner {
        director: probe.director.clone(),
        timeout: probe.timeout,
    });
    for (at, live) in (0_u64..).zip(directory.storages()) {
        // Without randomness from the system the storages are still asked out of step with each other.
        let dice = Dice::from_seed(getrandom::u64().unwrap_or(at));
        let asking = watch(
            Arc::clone(&questioner),
            Rhythm::of(probe),
            dice,
            Arc::clone(directory),
            Arc::clone(live),
            model.device_at(live.storage()).cloned(),
            stop.clone(),
        );
        tokio::spawn(asking);
    }
}

async fn watch(
    questioner: Arc<Questioner>,
    rhythm: Rhythm,
    dice: Dice,
    directory: Arc<Directory>,
    live: Arc<StorageLive>,
    device: Option<DeviceName>,
    stop: CancellationToken,
) {
    let question = || ask(&questioner, live.storage(), device.as_ref());
    let note = |outcome: Outcome| {
        session::probed(&directory, live.name(), outcome.result, outcome.took, Instant::now());
    };
    keep_asking(rhythm, dice, stop, question, note).await;
}
