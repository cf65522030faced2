//! Which peer has a job that is not here.

use std::net::SocketAddr;
use std::time::Duration;

use super::link::Link;
use super::{Fleet, Peer};
use crate::net::deadline;
use crate::store::Owner;
use crate::telemetry::event::PeerFailed;
use crate::types::JobName;

/// How long after a question without an answer the store is asked again, at first; each further one doubles it up to
const SOON: Duration = Duration::from_millis(50);
/// this: a stranger who names jobs at random costs little.
const LATER: Duration = Duration::from_secs(1);

impl Fleet {
    /// Looks for the peer that has the job, for up to `wait`: its owner may be about to announce it. Without the store all of
    /// them are asked.
    pub(in crate::session) async fn find(
        &self,
        job: &JobName,
        caller: SocketAddr,
        wait: Duration,
        patience: Duration,
    ) -> Option<Link> {
        let found = deadline::within(wait, async {
            let mut pause = SOON;
            loop {
                for owner in self.owners(job).await {
                    match self.ask(&owner, job, caller, patience).await {
                        Ok(Some(link)) => return link,
                        Ok(None) => {}
                        Err(error) => PeerFailed {
                            peer: &owner.name,
                            job,
                            error: &error,
                        }
                        .emit(),
                    }
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LATER);
            }
        });
        found.await.ok()
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
