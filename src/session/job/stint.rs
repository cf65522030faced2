//! A job's stint on one storage: the connection there, the route of its data connection, and what reads along.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Facts;
use super::ending::Ending;
use super::finish::Left;
use super::seat::Seat;
use super::traffic::{JobTraffic, TrafficError};
use crate::channel::Channel;
use crate::config::model;
use crate::relay::Tally;
use crate::session::couple::{Coupled, Until, couple};
use crate::session::jobs::Job;
use crate::session::routes::{Announced, NameInUse, Route};
use crate::types::{SessionKey, Severity};

/// One storage that has the job. A job that is moved, or that reads from several, has one after the other.
#[derive(Debug)]
pub(super) struct Stint<'a> {
    pub(super) announced: Announced,
    pub(super) channel: Channel,
    pub(super) traffic: JobTraffic<'a>,
}

impl<'a> Stint<'a> {
    /// Begins it: from now on the job's data connection finds this storage. The Director has `client_key` for the
    /// Client.
    pub(super) fn begin(
        facts: &'a Facts,
        seat: Seat,
        client_key: &SessionKey,
        director: &mut Channel,
        ending: &mut Ending,
    ) -> Result<Self, NameInUse> {
        let route = route(facts, &seat, client_key);
        let Seat {
            storage,
            link,
            slot,
            policy,
            reason,
            ..
        } = seat;
        // A job that dials its data connection itself is called by nobody, and its key is a word that everybody knows.
        let announced = if facts.command.sd_client {
            facts.context.routes.unlisted(route, slot)
        } else {
            facts.context.routes.announce(route, slot)?
        };
        facts.note(director.outbox(), Severity::Info, &format!("Placed on {reason}"));
        ending.placed = Some((storage.name.clone(), policy, reason));
        ending.tally = Some(Arc::clone(&announced.route().tally));
        Ok(Self {
            announced,
            channel: link.channel,
            traffic: JobTraffic::new(facts, &storage),
        })
    }

    /// The storage.
    pub(super) fn storage(&self) -> &Arc<model::Storage> {
        &self.announced.route().storage
    }

    /// Passes messages between the storage and the Director, with a limit on the storage's silence if there is one.
    pub(super) async fn couple(
        &mut self,
        director: &mut Channel,
        live: &Job,
        silence: Option<Duration>,
    ) -> Coupled<TrafficError> {
        let until = Until {
            stop: live.stop_token(),
            silence,
        };
        couple(director, &mut self.channel, &mut self.traffic, until).await
    }

    /// Gives the storage up, which may have to be told to cancel the job.
    pub(super) fn leave(self, facts: &Facts, cancels: bool) -> Left {
        Left::new(facts, self.announced, self.channel, cancels)
    }
}

/// Where the job's data connection goes.
fn route(facts: &Facts, seat: &Seat, client_key: &SessionKey) -> Route {
    Route {
        director: facts.director.clone(),
        job_id: facts.command.job_id,
        job: facts.command.job.clone(),
        client: facts.command.client.clone(),
        group: facts.group.name.clone(),
        storage: Arc::clone(&seat.storage),
        connect_timeout: facts.group.connect_timeout,
        login_timeout: facts.group.login_timeout,
        client_key: client_key.clone(),
        storage_key: seat.answer.key.clone(),
        storage_version: seat.link.version,
        tally: Arc::new(Tally::default()),
        stop: CancellationToken::new(),
        over: CancellationToken::new(),
    }
}
