//! The guard: a storage is never offered another storage's volume to write.
//!
//! The Director chooses the next volume by pool and media type alone. A storage that is told to write a volume which
//! it does not have marks it Error in the catalog, or appends to a stale copy of it. So an answer that names a volume
//! of another storage is not passed on: the Director is asked again, as the storage itself would ask, until it names
//! a volume that the storage may have.
//!
//! What the Director does is the reason for each rule (Bacula `src/dird/next_vol.c`, `src/cats/sql_find.c`,
//! `src/stored/askdir.c`): it keeps a list of what it has offered to the job, cleared by index 1, and does not offer
//! it again, whatever the index. It looks for volumes that can be written, then for recycled ones, purged ones and ones
//! whose retention has passed, then in the Scratch pool, then makes a new one. At last, if its pool says so, it purges
//! or recycles the oldest volume, which ignores the list, and has done so when its answer arrives. There is no asking
//! without that: to a request that must not make a volume (`create=0`, 13 and later) the oldest is recycled all the
//! same, and its jobs stay in the catalog.
//!
//! So a dead volume of another storage stays at home while the Director has anything else, and when it has not, the
//! dead one that it offered last is asked for by its name and moves: if the Director purged one for this search, that
//! is the one. It is not searched for again: a search could purge another one meanwhile. What the Director offers in
//! spite of its list, it has purged for this search, and it moves at once. `deploy/docs/pools.md` has each case.
//!
//! The machine is pure. One guard belongs to one job's connection to one storage.

use std::collections::HashSet;
use std::fmt;

use super::segments::listed;
use crate::types::{StorageName, VolumeName};
use crate::wire::catalog::{self, CatalogRequest, MediaAnswer};

/// How often the Director is asked again in one search. Each foreign volume costs one repeat in a search, since the
/// Director does not offer it twice, so that a pool may have this many writable volumes on other storages.
pub const MAX_REPEATS: u32 = 500;

/// How many volumes of other storages a job's pool gathers, in one search, that were in another one: the Director has
/// taken them from the Scratch pool for this search, or for one before it, since they stay where they are. They come
/// first in the next search, so that this is also how many a pool can gather in all.
pub const MAX_GATHERED: u32 = 30;

/// Where the ledger puts a volume, as seen from the storage that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nobody is known to hold it.
    Nowhere,
    /// The storage that asks holds it.
    Here,
    /// Another storage holds it.
    Elsewhere(StorageName),
    /// A job on another storage was given it a moment ago.
    Claimed(StorageName),
}

impl Place {
    /// From what the ledger knows.
    pub(super) fn of(holder: Option<StorageName>, here: &StorageName) -> Self {
        match holder {
            None => Self::Nowhere,
            Some(storage) if storage == *here => Self::Here,
            Some(storage) => Self::Elsewhere(storage),
        }
    }
}

/// What to do with a volume that has content and that nobody is known to hold: it was written before sdgroup, or the
/// ledger was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// Pass it on. Right where only one storage can hold it.
    Pass,
    /// Treat it as another storage's, until the operator says whose it is. The wrong storage would mark it Error.
    TurnAway,
}

/// What to do with the Director's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Send it on to the storage as it came.
    Pass {
        /// Something that the operator should read in the job's log.
        note: Option<Note>,
    },
    /// Swallow it, and send `request` to the Director.
    AskAgain {
        /// The storage's own request with another index, or a question about one volume.
        request: Vec<u8>,
    },
    /// Swallow it, and send `line` to the storage.
    Refuse {
        /// Why, and what to do, for the job's log.
        reason: String,
        /// The refusal, in the Director's form.
        line: Vec<u8>,
    },
}

/// Something that the operator should read in the job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A recycled volume goes to another storage than the one that holds its dead content.
    Moved {
        /// The volume.
        volume: VolumeName,
        /// Where its dead content stays.
        from: StorageName,
        /// Where it is written now.
        to: StorageName,
    },
    /// A volume with content goes to a storage without anybody knowing that it holds it.
    Stranger {
        /// The volume.
        volume: VolumeName,
        /// The storage that is given it.
        to: StorageName,
    },
    /// The Director has no volume left after those of other storages were turned away.
    NoneOfItsOwn {
        /// Why, and what to do.
        reason: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { volume, from, to } => write!(
                f,
                "recycled volume \"{volume}\" moves from {from} to {to}; a stale file of that name stays on {from} and \
                 can be removed there"
            ),
            Self::Stranger { volume, to } => write!(
                f,
                "volume \"{volume}\" has content and sdgroup does not know its storage; {to} is given it"
            ),
            Self::NoneOfItsOwn { reason } => f.write_str(reason),
        }
    }
}

/// Judges the Director's answers to one storage's catalog requests in one job.
#[derive(Debug)]
pub struct Guard {
    storage: StorageName,
    strangers: Strangers,
    pending: Pending,
    /// The index that the Director was last sent in this search.
    index: u32,
    /// How often it was asked again in this search.
    repeats: u32,
    /// How many volumes of other storages it offered in this search that come from another pool.
    gathered: u32,
    /// What the storage was given in this search.
    given: HashSet<VolumeName>,
    /// Everything that was turned away in this search.
    seen: Vec<Seen>,
    /// Dead volumes of other storages, in the order in which they were offered in this search.
    dead: Vec<VolumeName>,
    /// The Director takes what it purges out of the pool, so that it would purge the next one when it is asked again.
    /// This stays so for the job.
    purges_away: bool,
}

/// What the storage has asked and not been answered.
#[derive(Debug, PartialEq, Eq)]
enum Pending {
    /// Something whose answer is passed on.
    Open,
    /// A volume to write next.
    FindMedia(Vec<u8>),
    /// The same, and the Director is asked about one dead volume of another storage by its name.
    Named {
        find_media: Vec<u8>,
        volume: VolumeName,
        purpose: Purpose,
    },
    /// Whether it may write a volume which it has in mind.
    Write,
    /// A request that could not be read.
    Unreadable,
}

/// Why a volume is asked for by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Whether it is still of the job's pool; it was offered a moment ago.
    Check,
    /// To have it moved.
    Move,
}

/// A volume that was turned away.
#[derive(Debug)]
struct Seen {
    volume: VolumeName,
    place: Place,
}

impl Guard {
    /// A guard for one job on `storage`.
    #[must_use]
    pub fn new(storage: StorageName, strangers: Strangers) -> Self {
        Self {
            storage,
            strangers,
            pending: Pending::Open,
            index: 1,
            repeats: 0,
            gathered: 0,
            given: HashSet::new(),
            seen: Vec::new(),
            dead: Vec::new(),
            purges_away: false,
        }
    }

    /// The storage that asks.
    #[must_use]
    pub fn storage(&self) -> &StorageName {
        &self.storage
    }

    /// Takes a `CatReq` line of the storage, and returns what to send to the Director in its place.
    pub fn on_request(&mut self, line: &[u8]) -> Vec<u8> {
        if let Some(index) = catalog::find_media_index(line) {
            self.pending = Pending::FindMedia(line.to_vec());
            if index == 1 {
                self.start_search();
                return line.to_vec();
            }
            self.index = self.index.saturating_add(1);
            return catalog::find_media_with_index(line, self.index).unwrap_or_else(|_| line.to_vec());
        }
        self.pending = match catalog::parse(line) {
            Ok(CatalogRequest::GetVolInfo(asked)) if asked.write => Pending::Write,
            Ok(CatalogRequest::FindMedia(_) | CatalogRequest::Other) | Err(_) => Pending::Unreadable,
            Ok(_) => Pending::Open,
        };
        line.to_vec()
    }

    /// The answer matters: it decides whether the storage writes a volume. For any other one [`Guard::on_answer`]
    /// passes without a look at the place.
    #[must_use]
    pub fn judges(&self) -> bool {
        self.pending != Pending::Open
    }

    /// Whether the answer is the Director's own choice of a volume.
    #[must_use]
    pub fn awaits_offer(&self) -> bool {
        matches!(self.pending, Pending::FindMedia(_))
    }

    /// Whether there are other storages whose volumes are not for this one.
    #[must_use]
    pub fn keeps_apart(&self) -> bool {
        self.strangers == Strangers::TurnAway
    }

    /// Takes note that the volume which is offered holds nothing and comes from another pool than the job's.
    pub fn gather(&mut self) {
        self.gathered = self.gathered.saturating_add(1);
    }

    /// A volume of another storage would be let go to this one, since it is dead and would be of no use to anybody, or
    /// since nothing else is left.
    #[must_use]
    pub fn would_move(&self, answer: &MediaAnswer) -> bool {
        let is_due = match &self.pending {
            // What may not be recycled was purged for this search, and nobody is offered it again.
            Pending::FindMedia(_) => self.purges_away || !answer.recycle || self.has_seen(&answer.volume),
            Pending::Named { volume, purpose, .. } => *purpose == Purpose::Move && *volume == answer.volume,
            Pending::Open | Pending::Write | Pending::Unreadable => false,
        };
        is_due && answer.is_recycled() && !self.given.contains(&answer.volume)
    }

    /// Judges an answer that names a volume, which the ledger puts at `place`.
    pub fn on_answer(&mut self, answer: &MediaAnswer, place: Place) -> Verdict {
        match &self.pending {
            Pending::Open => Verdict::Pass { note: None },
            Pending::Named {
                find_media,
                volume,
                purpose: Purpose::Check,
            } => {
                self.dead.push(volume.clone());
                self.pending = Pending::FindMedia(find_media.clone());
                self.ask_next().unwrap_or_else(|| self.move_next())
            }
            Pending::FindMedia(_) | Pending::Named { .. } => self.on_offer(answer, place),
            Pending::Write | Pending::Unreadable => self.on_write(answer, place),
        }
    }

    /// Judges an answer that names no volume, such as `1901 No Media.`
    pub fn on_refusal(&mut self, line: &[u8]) -> Verdict {
        match &self.pending {
            Pending::FindMedia(_) if line.starts_with(b"1901") && !self.dead.is_empty() => self.move_next(),
            Pending::FindMedia(_) if !self.seen.is_empty() => Verdict::Pass {
                note: Some(Note::NoneOfItsOwn { reason: self.reason() }),
            },
            Pending::Named {
                find_media,
                purpose: Purpose::Check,
                ..
            } => {
                self.pending = Pending::FindMedia(find_media.clone());
                self.purges_away = true;
                self.ask_next().unwrap_or_else(|| self.move_next())
            }
            Pending::Named { .. } => self.move_next(),
            _ => Verdict::Pass { note: None },
        }
    }

    /// Judges an answer that names a volume of which is not known `why` nobody else may write it: it is not to be
    /// written now.
    pub fn on_silence(&mut self, answer: &MediaAnswer, why: &impl fmt::Display) -> Verdict {
        let volume = &answer.volume;
        let reason = format!("{} is not given volume \"{volume}\" now: {why}", self.storage);
        let line = match &self.pending {
            Pending::Write => catalog::not_to_be_written(volume, answer.status, &reason),
            _ => catalog::no_media(&reason),
        };
        Verdict::Refuse { reason, line }
    }

    fn start_search(&mut self) {
        self.index = 1;
        self.repeats = 0;
        self.gathered = 0;
        self.given.clear();
        self.seen.clear();
        self.dead.clear();
    }

    /// The Director offers a volume.
    fn on_offer(&mut self, answer: &MediaAnswer, place: Place) -> Verdict {
        // Without a repeat of ours the storage gets what it would get without us, twice the same name included.
        let was_given = self.repeats > 0 && self.given.contains(&answer.volume);
        let note = match &place {
            _ if was_given => return self.turn_away(answer, place),
            Place::Here => None,
            Place::Nowhere if answer.is_never_written() || answer.is_recycled() => None,
            Place::Nowhere if self.strangers == Strangers::Pass => Some(Note::Stranger {
                volume: answer.volume.clone(),
                to: self.storage.clone(),
            }),
            Place::Elsewhere(from) if self.would_move(answer) => Some(Note::Moved {
                volume: answer.volume.clone(),
                from: from.clone(),
                to: self.storage.clone(),
            }),
            Place::Nowhere | Place::Elsewhere(_) | Place::Claimed(_) => return self.turn_away(answer, place),
        };
        self.given.insert(answer.volume.clone());
        Verdict::Pass { note }
    }

    /// The storage has a volume in mind, and the Director allows it.
    fn on_write(&self, answer: &MediaAnswer, place: Place) -> Verdict {
        let (Place::Elsewhere(holder) | Place::Claimed(holder)) = place else {
            return Verdict::Pass { note: None };
        };
        let volume = &answer.volume;
        let line = catalog::not_to_be_written(volume, answer.status, &format!("is on storage {holder}"));
        let reason = format!(
            "{} wants to write volume \"{volume}\", which is on {holder}; if that is wrong, say \
             \"sdgroup volumes assign {volume} {}\"",
            self.storage, self.storage
        );
        Verdict::Refuse { reason, line }
    }

    /// Swallows an offer and asks again, unless that cannot lead to another volume.
    fn turn_away(&mut self, answer: &MediaAnswer, place: Place) -> Verdict {
        let stays_dead = answer.is_recycled() && matches!(place, Place::Elsewhere(_));
        // In spite of the Director's list, or by its name because nothing else was left: asking on would not help.
        let is_last = matches!(self.pending, Pending::Named { .. }) || self.has_seen(&answer.volume);
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.volume == answer.volume) {
            seen.place = place;
        } else {
            let volume = answer.volume.clone();
            self.seen.push(Seen { volume, place });
        }
        if is_last {
            return self.move_next();
        }
        let next = if stays_dead {
            self.ask_for(answer.volume.clone(), Purpose::Check)
        } else {
            self.ask_next()
        };
        next.unwrap_or_else(|| self.move_next())
    }

    fn has_seen(&self, volume: &VolumeName) -> bool {
        self.seen.iter().any(|seen| seen.volume == *volume)
    }

    /// Asks for what comes after all that was offered, unless it was asked too often.
    fn ask_next(&mut self) -> Option<Verdict> {
        let Pending::FindMedia(request) = &self.pending else {
            return None;
        };
        if self.repeats >= MAX_REPEATS || self.gathered >= MAX_GATHERED {
            return None;
        }
        self.repeats = self.repeats.saturating_add(1);
        self.index = self.index.saturating_add(1);
        let request = catalog::find_media_with_index(request, self.index).ok()?;
        Some(Verdict::AskAgain { request })
    }

    /// Asks for one volume by its name.
    fn ask_for(&mut self, volume: VolumeName, purpose: Purpose) -> Option<Verdict> {
        let (Pending::FindMedia(find_media) | Pending::Named { find_media, .. }) = &self.pending else {
            return None;
        };
        let find_media = find_media.clone();
        let request = catalog::volume_to_write(&find_media, &volume).ok()?;
        self.repeats = self.repeats.saturating_add(1);
        self.pending = Pending::Named {
            find_media,
            volume,
            purpose,
        };
        Some(Verdict::AskAgain { request })
    }

    /// Nothing is left but dead volumes of other storages: the one that was offered last moves here.
    fn move_next(&mut self) -> Verdict {
        let asked = self.dead.pop().and_then(|volume| self.ask_for(volume, Purpose::Move));
        asked.unwrap_or_else(|| self.refuse())
    }

    fn refuse(&self) -> Verdict {
        let reason = self.reason();
        Verdict::Refuse {
            line: catalog::no_media(&reason),
            reason,
        }
    }

    /// Why there is no volume, and what to do.
    fn reason(&self) -> String {
        let storage = &self.storage;
        let strangers = self.seen.iter().any(|seen| seen.place == Place::Nowhere);
        let places = listed(self.seen.iter().map(|seen| {
            let volume = &seen.volume;
            match &seen.place {
                Place::Nowhere => format!("{volume} is on a storage unknown to sdgroup"),
                Place::Here => format!("{volume} was offered already"),
                Place::Elsewhere(holder) => format!("{volume} is on {holder}"),
                Place::Claimed(holder) => format!("{volume} is being written by {holder}"),
            }
        }));
        let assign = if strangers {
            "; tell it with \"sdgroup volumes assign VOLUME STORAGE\""
        } else {
            ""
        };
        format!(
            "no volume of {storage}'s own: {places}{assign}; let the pool make volumes (LabelFormat, a higher \
             MaximumVolumes) or label more for {storage}"
        )
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "guard_model_tests.rs"]
mod model_tests;
