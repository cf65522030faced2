//! A job's stint on one storage: the connection there, the route of its data connection, and what reads along.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Facts;
use super::ending::Ending;
use super::finish::Left;
use super::seat::Seat;
use super::traffic::{JobTraffic, TrafficError};
use crate::channel::Channel;
use crate::config::model;
use crate::group::Slot;
use crate::relay::Tally;
use crate::session::couple::{Coupled, Until, couple};
use crate::session::jobs::Job;
use crate::session::routes::{Announced, Far, FarEnd, NameInUse, Route};
use crate::telemetry::codes;
use crate::types::{SessionKey, Severity};

/// One storage that has the job. A job that is moved, or that reads from several, has one after the other.
#[derive(Debug)]
pub(super) struct Stint<'a> {
    storage: Arc<model::Storage>,
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
        let route = route(facts, Far::One(seat.far_end()), client_key);
        let Begun { seat, slot } = Begun::of(facts, seat, director, ending);
        // A job that dials its data connection itself is called by nobody, and its key is a word that everybody knows.
        let announced = if facts.command.sd_client {
            facts.context.routes.unlisted(route, Some(slot))
        } else {
            facts.context.routes.announce(route, Some(slot))?
        };
        ending.tally = Some(Arc::clone(&announced.route().tally));
        Ok(Self::on(facts, seat, announced))
    }

    /// Begins one of several whose data connection is `listed` already: it stops when that is stopped.
    pub(super) fn begin_in_turn(
        facts: &'a Facts,
        seat: Seat,
        listed: &Route,
        director: &mut Channel,
        ending: &mut Ending,
    ) -> Self {
        let route = Route {
            ended: Arc::clone(&listed.ended),
            stop: listed.stop.clone(),
            tally: Arc::clone(&listed.tally),
            ..route(facts, Far::One(seat.far_end()), &listed.client_key)
        };
        let Begun { seat, slot } = Begun::of(facts, seat, director, ending);
        let announced = facts.context.routes.unlisted(route, Some(slot));
        Self::on(facts, seat, announced)
    }

    fn on(facts: &'a Facts, (storage, channel): (Arc<model::Storage>, Channel), announced: Announced) -> Self {
        Self {
            traffic: JobTraffic::new(facts, &storage, Arc::clone(announced.route())),
            storage,
            announced,
            channel,
        }
    }

    /// The storage.
    pub(super) fn storage(&self) -> &Arc<model::Storage> {
        &self.storage
    }

    /// Passes messages between the storage and the Director, with a limit on the storage's silence if there is one.
    pub(super) async fn couple(
        &mut self,
        director: &mut Channel,
        live: &Job,
        silence: Option<Duration>,
    ) -> Coupled<TrafficError> {
        live.counts_at(&self.announced.route().tally);
        let until = Until {
            stop: live.stop_token(),
            silence,
        };
        couple(director, &mut self.channel, &mut self.traffic, until).await
    }

    /// Gives the storage up, which may have to be told to cancel the job.
    pub(super) fn leave(self, facts: &Facts, cancels: bool) -> Left {
        Left::new(facts, self.storage, self.announced, self.channel, cancels)
    }
}

/// A seat, taken apart once it has been told.
struct Begun {
    seat: (Arc<model::Storage>, Channel),
    slot: Slot,
}

impl Begun {
    fn of(facts: &Facts, seat: Seat, director: &mut Channel, ending: &mut Ending) -> Self {
        let Seat {
            storage,
            link,
            slot,
            policy,
            reason,
            ..
        } = seat;
        facts.note(
            director.outbox(),
            codes::JOB_PLACED,
            Severity::Info,
            &format!("Placed on {reason}"),
        );
        ending.placed = Some((storage.name.clone(), policy, reason));
        ending.placed_at = Some(Instant::now());
        Self {
            seat: (storage, link.channel),
            slot,
        }
    }
}

/// Where the job's data connection goes. The Director has `client_key` for the Client.
pub(super) fn route(facts: &Facts, far: Far, client_key: &SessionKey) -> Route {
    Route {
        director: facts.director.clone(),
        job_id: facts.command.job_id,
        job: facts.command.job.clone(),
        client: facts.command.client.clone(),
        group: facts.group.name.clone(),
        connect_timeout: facts.group.connect_timeout,
        login_timeout: facts.group.login_timeout,
        client_key: client_key.clone(),
        far,
        tally: Arc::new(Tally::default()),
        ended: Arc::default(),
        stop: CancellationToken::new(),
        over: CancellationToken::new(),
    }
}

impl Seat {
    /// What the job's data connection has to know of it.
    pub(super) fn far_end(&self) -> FarEnd {
        FarEnd {
            storage: Arc::clone(&self.storage),
            key: self.answer.key.clone(),
            version: self.link.version,
        }
    }
}
