//! Which peer has a job that is not here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::link::Link;
use super::{Fleet, Peer};
use crate::net::deadline;
use crate::store::Owner;
use crate::telemetry::event::PeerFailed;
use crate::types::JobName;

/// How long after a question without an answer the store is asked again, at first; each further one doubles it.
const SOON: Duration = Duration::from_millis(50);

/// How long that becomes at most: a stranger who names jobs at random costs little.
const LATER: Duration = Duration::from_secs(1);

/// How long is looked at least, whatever a Client is kept waiting for its job: the store has to be asked, and the peer.
const LEAST: Duration = Duration::from_secs(2);

impl Fleet {
    /// Looks for the peer that has the job, for up to `wait`: its owner may be about to announce it. Without the store all of
    /// them are asked.
    pub(in crate::session) async fn find(
        self: &Arc<Self>,
        job: &JobName,
        caller: SocketAddr,
        wait: Duration,
        patience: Duration,
    ) -> Option<Link> {
        let found = deadline::within(wait.max(LEAST), async {
            let mut pause = SOON;
            loop {
                if let Some(link) = self.ask_all(self.owners(job).await, job, caller, patience).await {
                    return link;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LATER);
            }
        });
        found.await.ok()
    }

    /// Asks them at the same time, since one may be dead.
    async fn ask_all(
        self: &Arc<Self>,
        owners: Vec<Owner>,
        job: &JobName,
        caller: SocketAddr,
        patience: Duration,
    ) -> Option<Link> {
        if owners.is_empty() {
            return None;
        }
        // It is never closed, so there is always a place in the end.
        let _place = self.asking.acquire().await;
        let mut asked = JoinSet::new();
        for owner in owners {
            let (fleet, job) = (Arc::clone(self), job.clone());
            asked.spawn(async move {
                let answer = fleet.ask(&owner, &job, caller, patience).await;
                answer.unwrap_or_else(|error| {
                    PeerFailed {
                        peer: &owner.name,
                        job: &job,
                        error: &error,
                    }
                    .emit();
                    None
                })
            });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some(link)) = answer {
                return Some(link);
            }
        }
        None
    }

    async fn owners(&self, job: &JobName) -> Vec<Owner> {
        let own = self.own().name.clone();
        match self.roster.owners(job.clone(), own).await {
            Ok(owners) => owners,
            Err(_) => self.peers().into_iter().map(Owner::from).collect(),
        }
    }
}

impl From<Peer> for Owner {
    fn from(peer: Peer) -> Self {
        Self {
            name: peer.name,
            address: peer.address,
            port: peer.port,
        }
    }
}
