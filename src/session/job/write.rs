//! A job that writes: placed when `JobId=` arrives, and its control connection coupled until it ends.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Facts;
use super::ending::Ending;
use super::finish::{Finish, Left};
use super::seat::{self, Seat, Wanted};
use super::traffic::JobTraffic;
use crate::channel::Channel;
use crate::config::model;
use crate::relay::Tally;
use crate::session::couple::{Coupled, couple};
use crate::session::jobs::Job;
use crate::session::routes::Route;
use crate::types::{SessionKey, Severity};

/// Runs the job to its end.
pub(super) async fn run(facts: &Facts, director: &mut Channel, live: &Job, ending: &mut Ending) -> Option<Left> {
    let seat = match seat::find(facts, director, live, Wanted::Any).await {
        Ok(seat) => seat,
        Err(unseated) => {
            seat::tell(facts, director, ending, unseated);
            return None;
        }
    };
    ending.placed = Some((seat.storage.name.clone(), seat.policy, seat.reason.clone()));
    let Seat {
        storage,
        mut link,
        slot,
        answer,
        frame,
        reason,
        ..
    } = seat;
    let route = route(facts, &storage, link.version, &answer.key, &answer.key);
    // A job that dials its data connection itself is called by nobody, and its key is a word that everybody knows.
    let announced = if facts.command.sd_client {
        facts.context.routes.unlisted(route, slot)
    } else {
        match facts.context.routes.announce(route, slot) {
            Ok(announced) => announced,
            Err(error) => {
                seat::tell(facts, director, ending, error.into());
                return None;
            }
        }
    };
    ending.tally = Some(Arc::clone(&announced.route().tally));
    facts.note(director.outbox(), Severity::Info, &format!("Placed on {reason}"));
    director.outbox().frame(&frame);
    let mut traffic = JobTraffic::new(facts, &storage);
    let coupled = match director.flush().await {
        Ok(()) => couple(director, &mut link.channel, &mut traffic, live.stop_token()).await,
        Err(error) => Coupled::DirectorGone(error),
    };
    let finish = Finish {
        facts,
        live,
        announced,
        storage: link.channel,
        traffic,
        ending,
    };
    Some(finish.run(director, coupled))
}

/// Where the job's data connection goes.
pub(super) fn route(
    facts: &Facts,
    storage: &Arc<model::Storage>,
    storage_version: u32,
    client_key: &SessionKey,
    storage_key: &SessionKey,
) -> Route {
    Route {
        director: facts.director.clone(),
        job_id: facts.command.job_id,
        job: facts.command.job.clone(),
        client: facts.command.client.clone(),
        group: facts.group.name.clone(),
        storage: Arc::clone(storage),
        connect_timeout: facts.group.connect_timeout,
        login_timeout: facts.group.login_timeout,
        client_key: client_key.clone(),
        storage_key: storage_key.clone(),
        storage_version,
        tally: Arc::new(Tally::default()),
        stop: CancellationToken::new(),
        over: CancellationToken::new(),
    }
}
