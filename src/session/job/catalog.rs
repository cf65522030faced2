//! The catalog dialogue on a job's control connection: a storage asks, the Director answers, and the guard and the
//! ledger of [`volumes`](crate::volumes) have their say in between.

use super::Facts;
use super::traffic::TrafficError;
use crate::session::learned;
use crate::telemetry::codes;
use crate::telemetry::event::{VolumeGuarded, VolumeMoved};
use crate::types::{MediaType, PoolName, Severity, StorageName};
use crate::volumes::{JobVolumes, Lack, Note, Place, Request, Strangers, Verdict};
use crate::wire::catalog::{self, CatalogRequest};
use crate::wire::packet::Outbox;

/// What to do with the Director's answer.
#[derive(Debug)]
pub(super) enum Reply {
    /// Pass it on as it came.
    PassOn,
    /// Send this to the Director instead of passing it on.
    AskAgain(Vec<u8>),
    /// Send this to the storage in its place.
    Instead(Vec<u8>),
}

/// One job's dialogue.
#[derive(Debug)]
pub(super) struct CatalogDialogue<'a> {
    facts: &'a Facts,
    storage: StorageName,
    volumes: JobVolumes,
    /// Requests that have not been answered. A storage has one at a time, so this is 0 or 1 with real ones.
    outstanding: u32,
}

impl<'a> CatalogDialogue<'a> {
    pub(super) fn new(facts: &'a Facts, storage: StorageName) -> Self {
        // Where only one storage can hold a volume, one that nobody has noted yet is its own.
        let strangers = if facts.group.members.len() == 1 {
            Strangers::Pass
        } else {
            Strangers::TurnAway
        };
        let ledger = facts.context.ledger.clone();
        let volumes = JobVolumes::new(ledger, storage.clone(), strangers, facts.command.job.clone());
        Self {
            facts,
            storage,
            volumes,
            outstanding: 0,
        }
    }

    /// Notes the words that the ledger keeps beside the volumes of this job.
    pub(super) fn note_names(&mut self, media_type: MediaType, pool: PoolName) {
        self.volumes.note_names(Some(media_type), Some(pool));
    }

    /// Notes whether the job may still go to another storage.
    pub(super) fn set_can_leave(&mut self, can_leave: bool) {
        self.volumes.set_can_leave(can_leave);
    }

    /// What the storage lacks after its last search for a volume, if another storage may have it.
    pub(super) fn lack(&self) -> Option<Lack> {
        self.volumes.lack()
    }

    /// Whether a message from the Director is the answer to a request of the storage's: no other can come while one
    /// is outstanding.
    pub(super) fn awaits_answer(&self) -> bool {
        self.outstanding > 0
    }

    /// Takes a request.
    pub(super) async fn on_request(&mut self, line: &[u8]) -> Result<Request, TrafficError> {
        let (request, learned) = self.volumes.on_request(line).await?;
        if matches!(request, Request::Ask(_)) {
            self.outstanding = self.outstanding.saturating_add(1);
        }
        if let (Some(learned), Ok(CatalogRequest::UpdateMedia(update))) = (learned, catalog::parse(line)) {
            learned::tell(
                &learned,
                &update.volume,
                &self.storage,
                Some(&self.facts.command.job),
                false,
            );
        }
        Ok(request)
    }

    /// Takes an answer.
    pub(super) async fn on_answer(&mut self, line: &[u8], to_director: &mut Outbox) -> Result<Reply, TrafficError> {
        let verdict = self.volumes.on_answer(line).await?;
        if !matches!(verdict, Verdict::AskAgain { .. }) {
            self.outstanding = self.outstanding.saturating_sub(1);
        }
        Ok(match verdict {
            Verdict::Pass { note } => {
                if let Some(note) = note {
                    self.tell_note(&note, to_director);
                }
                Reply::PassOn
            }
            Verdict::AskAgain { request } => {
                self.tell_turned(&request);
                Reply::AskAgain(request)
            }
            Verdict::Refuse { reason, line } => {
                self.facts
                    .note(to_director, codes::VOLUME_REFUSED, Severity::Warning, &reason);
                Reply::Instead(line)
            }
        })
    }

    fn tell_turned(&self, request: &[u8]) {
        let Some((volume, place)) = self.volumes.turned() else {
            return;
        };
        VolumeGuarded {
            volume,
            holder: match place {
                Place::Elsewhere(storage) | Place::Claimed(storage) => Some(storage),
                Place::Here | Place::Nowhere => None,
            },
            storage: &self.storage,
            job: &self.facts.command.job,
            index: catalog::find_media_index(request).unwrap_or_default(),
        }
        .emit();
    }

    fn tell_note(&self, note: &Note, to_director: &mut Outbox) {
        let code = match note {
            Note::Moved { .. } => codes::VOLUME_MOVED,
            Note::Stranger { .. } => codes::VOLUME_UNKNOWN,
            Note::NoneOfItsOwn { .. } => codes::VOLUME_REFUSED,
        };
        self.facts.note(to_director, code, Severity::Warning, &note.to_string());
        if let Note::Moved { volume, from, to } = note {
            VolumeMoved {
                volume,
                from,
                to,
                source: "recycled",
            }
            .emit();
        }
    }
}
