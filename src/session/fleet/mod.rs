//! The other sdgroups that share this one's store: its peers.
//!
//! Each tells the store once a second that it lives and which places its jobs have ([`pulse`]), and counts those of the others
//! as if their jobs were its own. Which jobs it has is told there as well ([`announce`]): a data connection that names none of
//! ours is passed on to the peer that has it ([`search`], [`link`], [`pass`]), where it is taken as if it had arrived there
//! ([`serve`]).

mod announce;
mod link;
mod message;
mod pass;
mod pulse;
mod search;
mod serve;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::config::model;
use crate::store::{BELIEVED, Heard, Roster};
use crate::types::PeerName;

pub use announce::announce;
pub(super) use link::Link;
pub use pulse::pulse;
pub(super) use serve::run;

/// How long one that is not heard of any more is shown.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Another sdgroup, as an operator sees it. While it hands over it is several processes, which count as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What it is called.
    pub name: PeerName,
    /// Where it can be called.
    pub address: String,
    /// The port there.
    pub port: u16,
    /// Its version.
    pub version: String,
    /// How many jobs it has.
    pub jobs: u64,
    /// How many of them wait.
    pub queued: u64,
    /// When it was heard of last.
    heard: Instant,
}

impl Peer {
    /// How long nothing has been heard of it.
    #[must_use]
    pub fn silent(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Whether its jobs count, and it is called.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.silent() < BELIEVED
    }
}

/// All of them.
#[derive(Debug)]
pub struct Fleet {
    own: model::Peers,
    roster: Roster,
    peers: Mutex<Vec<Peer>>,
    /// Whoever names a job that is nowhere has the peers asked, if the store is away: no more than so many at once.
    asking: Semaphore,
}

/// How many data connections' jobs peers are asked for at once.
const MOST_ASKED: usize = 32;

impl Fleet {
    /// Those of `roster`, for an sdgroup that is called what `own` says.
    #[must_use]
    pub fn new(own: model::Peers, roster: Roster) -> Self {
        Self {
            own,
            roster,
            peers: Mutex::default(),
            asking: Semaphore::new(MOST_ASKED),
        }
    }

    /// What this sdgroup is called among them.
    #[must_use]
    pub fn own(&self) -> &model::Peers {
        &self.own
    }

    /// The others that were ever heard of by this process, in the order of their names.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.lock().clone()
    }

    /// Takes over what was heard at `now`.
    fn heard(&self, all: &[Heard], now: Instant) {
        let mut peers = self.lock();
        let mut fresh: Vec<Peer> = Vec::new();
        for Heard { beat, age, .. } in all.iter().filter(|heard| heard.beat.name != self.own.name) {
            let heard = now.checked_sub(*age).unwrap_or(now);
            match fresh.iter_mut().find(|peer| peer.name == beat.name) {
                Some(peer) => {
                    peer.jobs = peer.jobs.saturating_add(beat.jobs);
                    peer.queued = peer.queued.saturating_add(beat.queued);
                    peer.heard = peer.heard.max(heard);
                }
                None => fresh.push(Peer {
                    name: beat.name.clone(),
                    address: beat.address.clone(),
                    port: beat.port,
                    version: beat.version.clone(),
                    jobs: beat.jobs,
                    queued: beat.queued,
                    heard,
                }),
            }
        }
        let is_recent = |known: &Peer| now.saturating_duration_since(known.heard) < REMEMBERED;
        peers.retain(|known| is_recent(known) && fresh.iter().all(|peer| peer.name != known.name));
        peers.append(&mut fresh);
        peers.sort_by(|one, other| one.name.cmp(&other.name));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
