//! A job that reads: placed when its bootstrap says which volumes it needs.
//!
//! Until then sdgroup answers in the storage's place and keeps what the Director asked for. When the volumes are
//! known it is asked again, of the storage that holds them, and from then on the job is coupled like any other. The
//! Client's key is ours, the storage has its own, so the data connection is a bridge. A Client can read from several
//! storages, one after the other ([`InTurn`]).

use bytes::Bytes;

use super::Facts;
use super::ending::Ending;
use super::finish::{Finish, Left};
use super::in_turn::InTurn;
use super::late::{self, Asked};
use super::seat::{Bond, Search, Wanted};
use super::stint::Stint;
use super::traffic::TrafficError;
use super::unseated::{Awaits, Unseated};
use crate::channel::{Channel, ChannelError};
use crate::session::couple::Coupled;
use crate::session::error::Stage;
use crate::session::jobs::Job;
use crate::types::{JobLevel, JobType};
use crate::volumes::{Segment, segments};
use crate::wire::bootstrap::{Bootstrap, BootstrapReader};
use crate::wire::packet::Signal;

/// The longest piece of a bootstrap line that goes into one message (9.6 and 13 read no more at once).
const MAX_PIECE_BYTES: usize = 900;

/// Runs the job to its end.
pub(super) async fn run(facts: &Facts, director: &mut Channel, live: &Job, ending: &mut Ending) -> Option<Left> {
    let mut asked = Asked::begin(facts, director);
    let heard = late::unless_stopped(live, async {
        asked.listen(facts, director, b"bootstrap").await?;
        asked.awaits = Awaits::Bootstrap;
        read_bootstrap(director).await
    });
    let read = match heard.await {
        Ok(bootstrap) => read(facts, director, live, ending, &asked, &bootstrap).await,
        Err(unseated) => Err(unseated),
    };
    match read {
        Ok(left) => left,
        Err(unseated) => {
            unseated.tell(facts, director, ending, asked.awaits);
            None
        }
    }
}

/// Gives the job to the storage that has what it reads, asks it what the Director asked us, and couples to the end.
async fn read(
    facts: &Facts,
    director: &mut Channel,
    live: &Job,
    ending: &mut Ending,
    asked: &Asked,
    bootstrap: &Bootstrap,
) -> Result<Option<Left>, Unseated> {
    let segments = plan(facts, bootstrap).await?;
    let [one] = segments.as_slice() else {
        let job = InTurn {
            facts,
            live,
            asked,
            segments,
        };
        return job.run(director, ending).await;
    };
    let mut search = Search::new(facts, live, Wanted::This(one.storage.clone(), Bond::Volumes))?;
    if facts.imposes_identity() {
        search.impose(asked.identity);
    }
    let seat = search.next(director).await?;
    let mut stint = Stint::begin(facts, seat, &asked.key, director, ending)?;
    let coupled = match replay(&mut stint, director, live, asked, bootstrap.text()).await {
        Ok(()) => {
            live.settle();
            stint.couple(director, live, None).await
        }
        Err(ended) => ended,
    };
    let finish = Finish {
        facts,
        live,
        stint,
        ending,
    };
    Ok(Some(finish.run(director, coupled)))
}

async fn read_bootstrap(director: &mut Channel) -> Result<Bootstrap, Unseated> {
    let mut reader = BootstrapReader::new();
    let mut scratch = Vec::new();
    let refused = |error: &dyn std::fmt::Display| Unseated::Refused {
        cause: "bootstrap",
        reason: error.to_string(),
    };
    loop {
        let frame = director.receive().await.map_err(Unseated::DirectorGone)?;
        match frame.text(&mut scratch).map_err(|error| refused(&error))? {
            Some(text) => reader.push(text).map_err(|error| refused(&error))?,
            None => return reader.finish().map_err(|error| refused(&error)),
        }
    }
}

/// Which storages hold what the bootstrap names, in its order; several only for a job that can read from several.
async fn plan(facts: &Facts, bootstrap: &Bootstrap) -> Result<Vec<Segment>, Unseated> {
    let refused = |cause, reason: String| Unseated::Refused { cause, reason };
    let holders = facts.context.ledger.holders(&bootstrap.volumes()).await;
    let holders = holders.map_err(|error| refused("ledger", format!("the volume ledger cannot be read: {error}")))?;
    let plan = segments::plan(bootstrap, &holders).map_err(|error| refused("volume", error.to_string()))?;
    if plan.len() > 1 && !facts.reads_for_a_client() {
        let places = segments::places(&plan);
        let reason = format!("{places}: a job that copies, or that makes a VirtualFull, reads from one storage only");
        return Err(refused("several_storages", reason));
    }
    Ok(plan)
}

impl Facts {
    /// Whether it is a Client that reads, which takes records from whoever delivers them.
    fn reads_for_a_client(&self) -> bool {
        matches!(self.command.job_type, JobType::Restore | JobType::Verify)
    }

    /// Whether the job writes volumes under the identity that sdgroup gave it.
    fn imposes_identity(&self) -> bool {
        self.command.level == JobLevel::VirtualFull
    }
}

/// Asks the storage what the Director asked us: reservations, then the bootstrap. The storage's answer to the last is
/// the Director's.
pub(super) async fn replay(
    stint: &mut Stint<'_>,
    director: &mut Channel,
    live: &Job,
    asked: &Asked,
    bootstrap: &Bytes,
) -> Result<(), Coupled<TrafficError>> {
    for block in &asked.blocks {
        let (traffic, storage) = (&mut stint.traffic, &mut stint.channel);
        let asked = traffic.ask_for_device(block, None, false, storage.outbox());
        asked.map_err(Coupled::Failed)?;
        // Whatever the storage is asked first, this is what the Director waits for.
        traffic.stage = Stage::Bootstrap;
        let reply = match stint.couple(director, live, None).await {
            Coupled::Caught(reply) => reply,
            // It took its leave instead.
            Coupled::Over => return Err(Coupled::StorageGone(ChannelError::Closed)),
            ended => return Err(ended),
        };
        TrafficError::unless_ok(&reply, Stage::Reserve).map_err(Coupled::Failed)?;
    }
    stint.traffic.stage = Stage::Bootstrap;
    let text = stint.traffic.translation().bootstrap(bootstrap);
    let storage = stint.channel.outbox();
    storage.message(b"bootstrap\n");
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        for piece in line.chunks(MAX_PIECE_BYTES) {
            storage.message(piece);
        }
    }
    storage.signal(Signal::Eod);
    Ok(())
}
