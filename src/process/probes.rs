//! Every storage is asked how it is, again and again, and what comes of it goes into the directory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::{Model, model};
use crate::group::policy::Dice;
use crate::group::{Directory, StorageLive};
use crate::probe::{Outcome, Questioner, Rhythm, ask, keep_asking};
use crate::session;
use crate::types::{DeviceName, StorageName};

/// Everybody who is asked.
#[derive(Debug, Default)]
pub(super) struct Probes(HashMap<StorageName, Asked>);

/// One who is, and how.
#[derive(Debug)]
struct Asked {
    storage: Arc<model::Storage>,
    device: Option<DeviceName>,
    probe: model::Probe,
    /// Ended when it is dropped.
    _asking: DropGuard,
}

impl Asked {
    /// Certificates may be others although they are in the same files.
    fn is_as(&self, storage: &model::Storage, device: Option<&DeviceName>, probe: &model::Probe) -> bool {
        let is_same = (&*self.storage, self.device.as_ref(), &self.probe) == (storage, device, probe);
        is_same && storage.tls.certificates.is_none()
    }
}

impl Probes {
    /// Asks every storage of `directory`, each in a task of its own, as `model` says, until `stop`. One who has been
    /// asked in the same way goes on to be; one who is not there any more is not asked any more.
    pub(super) fn follow(&mut self, model: &Model, directory: &Arc<Directory>, stop: &CancellationToken) {
        self.0.retain(|name, _| directory.storage(name).is_some());
        for (at, live) in (0_u64..).zip(directory.storages()) {
            let (storage, device) = (live.storage(), model.device_at(live.storage()));
            let known = self.0.get(live.name());
            if known.is_some_and(|asked| asked.is_as(storage, device, &model.probe)) {
                continue;
            }
            let stop = stop.child_token();
            let asked = Asked {
                storage: Arc::clone(storage),
                device: device.cloned(),
                probe: model.probe.clone(),
                _asking: stop.clone().drop_guard(),
            };
            self.0.insert(live.name().clone(), asked);
            // Without randomness from the system the storages are still asked out of step with each other.
            let dice = Dice::from_seed(getrandom::u64().unwrap_or(at));
            let questioner = Questioner {
                director: model.probe.director.clone(),
                timeout: model.probe.timeout,
            };
            let asking = watch(
                questioner,
                Rhythm::of(&model.probe),
                dice,
                Arc::clone(directory),
                Arc::clone(live),
                device.cloned(),
                stop,
            );
            tokio::spawn(asking);
        }
    }
}

async fn watch(
    questioner: Questioner,
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
