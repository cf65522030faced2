//! Tells the store that this process lives and which places its jobs have, and counts the places of the peers' jobs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Fleet;
use crate::group::{Directory, Place, Slot};
use crate::session::Current;
use crate::session::processes::{PlaceShown, Processes, hold};
use crate::store::{BELIEVED, Beat, Heard};
use crate::telemetry::event::{PeerNamesake, PeerTurned};
use crate::telemetry::meters::FleetMeters;
use crate::types::PeerName;

/// How often it is told that the process lives.
const EVERY: Duration = Duration::from_secs(1);

/// How long after one beat there is no other, however much there is to tell.
const PAUSE: Duration = Duration::from_millis(100);

/// After so many beats in a row it is no accident: more than [`BELIEVED`] has passed.
const SURELY: u32 = 120;

/// What is held for one process.
struct Held {
    slots: HashMap<Place, Vec<Slot>>,
    heard: Instant,
}

/// Tells and counts until `stop`, and says then that the process is gone.
pub async fn pulse(fleet: Arc<Fleet>, current: Arc<Current>, stop: CancellationToken) {
    let mut roster = fleet.roster.clone();
    let (mut seen, mut told) = (0, None);
    let mut held = HashMap::new();
    let (meters, mut alive, mut namesakes) = (FleetMeters::new(), Vec::new(), Namesakes::default());
    while !stop.is_cancelled() {
        let context = current.context();
        let directory = Arc::clone(&context.directory);
        let own = beat(&fleet, &directory, context.jobs.all().len());
        drop(context);
        let news = told.as_ref() != Some(&own);
        let answer = roster.beat(own.clone(), news).await;
        let now = Instant::now();
        if let Ok(heard) = &answer {
            told = Some(own);
            namesakes.look(&fleet, &current.context().processes, heard);
            fleet.heard(heard, now);
            count(&fleet, &directory, &mut held, heard, now);
        }
        held.retain(|_, held: &mut Held| now.saturating_duration_since(held.heard) < BELIEVED);
        tell(&fleet, &meters, &mut alive);
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY.saturating_sub(PAUSE)) => {}
            () = directory.places_changed(&mut seen) => {}
            () = fleet.roster.news() => {}
            () = roster.reconnected() => told = None,
            () = stop.cancelled() => {}
        }
    }
    // If nobody hears it, it shows soon enough.
    let _ = roster.leave().await;
}

fn beat(fleet: &Fleet, directory: &Directory, jobs: usize) -> Beat {
    let places = directory.places();
    let places: Vec<_> = places
        .iter()
        .map(|(place, jobs)| PlaceShown::of(place, *jobs))
        .collect();
    let own = fleet.own();
    Beat {
        name: own.name.clone(),
        address: own.address.clone(),
        port: own.port,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        jobs: u64::try_from(jobs).unwrap_or(u64::MAX),
        queued: u64::try_from(directory.waiting()).unwrap_or(u64::MAX),
        // Names and numbers only.
        places: serde_json::to_string(&places).unwrap_or_default(),
    }
}

/// Holds as many places for each process of the peers as its jobs have; those of this sdgroup tell each other directly.
fn count(fleet: &Fleet, directory: &Directory, held: &mut HashMap<String, Held>, heard: &[Heard], now: Instant) {
    let theirs = |heard: &&Heard| heard.beat.name != fleet.own().name;
    held.retain(|owner, _| heard.iter().filter(theirs).any(|heard| heard.owner == *owner));
    for Heard { owner, beat, age } in heard.iter().filter(theirs) {
        let held = held.entry(owner.clone()).or_insert_with(|| Held {
            slots: HashMap::new(),
            heard: now,
        });
        held.heard = now.checked_sub(*age).unwrap_or(now);
        // Another version may say what is not understood here; what it said before counts on.
        if let Ok(places) = serde_json::from_str::<Vec<PlaceShown>>(&beat.places) {
            hold(directory, &mut held.slots, &places);
        }
    }
}

/// Looks for another sdgroup of the same name: the two would take each other for processes of one.
#[derive(Default)]
struct Namesakes {
    /// For how many beats there has been one that is no process of this sdgroup.
    beats: u32,
}

impl Namesakes {
    fn look(&mut self, fleet: &Fleet, processes: &Processes, heard: &[Heard]) {
        let pids = processes.pids();
        let stranger = heard
            .iter()
            .find(|heard| heard.beat.name == fleet.own().name && !pids.contains(&heard.beat.pid));
        let Some(stranger) = stranger else {
            self.beats = 0;
            return;
        };
        self.beats += 1;
        // One that was killed is believed to live for a while, and a successor is not known at once.
        if self.beats == SURELY {
            PeerNamesake {
                peer: &fleet.own().name,
                address: &stranger.beat.address,
                pid: stranger.beat.pid,
            }
            .emit();
        }
    }
}

/// Shows how many peers there are, and tells of those that come and go.
fn tell(fleet: &Fleet, meters: &FleetMeters, alive: &mut Vec<PeerName>) {
    let peers = fleet.peers();
    let now: Vec<_> = peers
        .iter()
        .filter(|peer| peer.is_alive())
        .map(|peer| peer.name.clone())
        .collect();
    meters.show(now.len());
    for (peer, is_alive) in now
        .iter()
        .filter(|name| !alive.contains(name))
        .map(|name| (name, true))
        .chain(
            alive
                .iter()
                .filter(|name| !now.contains(name))
                .map(|name| (name, false)),
        )
    {
        PeerTurned { peer, is_alive }.emit();
    }
    *alive = now;
}
