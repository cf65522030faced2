//! The writing half of a copy or a migration: a storage that calls the one which has the original.
//!
//! The Director runs the two halves as two jobs, and tells the writing one last from whom to read (`storage address=`,
//! with the name of the reading job). A copy beside its original would be lost with it, so it is placed only then: on
//! another storage than that one, if there is any. Until then sdgroup answers in the storage's place.

use super::Facts;
use super::ending::Ending;
use super::finish::{Finish, Left};
use super::late::{self, Asked};
use super::seat::{Search, Seat, Wanted};
use super::stint::Stint;
use super::traffic::TrafficError;
use super::unseated::{Awaits, Unseated};
use super::write::{Reserved, Writing};
use crate::channel::Channel;
use crate::session::couple::Coupled;
use crate::session::error::Stage;
use crate::session::jobs::Job;
use crate::telemetry::codes;
use crate::types::{JobType, Severity, StorageName};
use crate::wire::command::StorageAddress;
use crate::wire::packet::Frame;

/// What keeps a copy from a storage.
const HAS_ORIGINAL: &str = "the original is there";

/// Runs the job to its end.
pub(super) async fn run(facts: &Facts, director: &mut Channel, live: &Job, ending: &mut Ending) -> Option<Left> {
    let mut asked = Asked::begin(facts, director);
    let heard = late::unless_stopped(live, asked.listen(facts, director, b"storage address="));
    let copied = match heard.await {
        Ok(address) => {
            asked.awaits = Awaits::Storage;
            copy(facts, director, live, ending, &asked, &address).await
        }
        Err(unseated) => Err(unseated),
    };
    match copied {
        Ok(left) => Some(left),
        Err(unseated) => {
            unseated.tell(facts, director, ending, asked.awaits);
            None
        }
    }
}

async fn copy(
    facts: &Facts,
    director: &mut Channel,
    live: &Job,
    ending: &mut Ending,
    asked: &Asked,
    address: &Frame,
) -> Result<Left, Unseated> {
    let protocol = |reason: String| Unseated::Refused {
        cause: "protocol",
        reason,
    };
    let [block] = asked.blocks.as_slice() else {
        let count = asked.blocks.len();
        return Err(protocol(format!(
            "a copy asks for its devices once, this one did {count} times"
        )));
    };
    let mut search = Search::new(facts, live, Wanted::Any)?;
    search.impose(asked.identity);
    let original = original(facts, address).await;
    // A migrated job takes its original's place. One whose reading half is not known here is taken for a copy.
    ending.is_copy = !original.as_ref().is_some_and(|original| original.is_migrated);
    let original = original.and_then(|original| original.storage);
    let seat = seat(facts, director, &mut search, original).await?;
    let stint = Stint::begin(facts, seat, &asked.key, director, ending)?;
    let mut writing = Writing::new(facts, live, search, asked.key.clone());
    let (stint, coupled) = match writing.reserve(stint, None, block, director, ending).await? {
        Reserved::Stays(mut stint, reply) => {
            let coupled = match begin(&mut stint, director, &reply, address) {
                Ok(()) => {
                    live.settle();
                    stint.couple(director, live, None).await
                }
                Err(error) => Coupled::Failed(error),
            };
            (stint, coupled)
        }
        Reserved::Ended(mut stint, coupled) => {
            stint.traffic.stage = Stage::Storage;
            (stint, coupled)
        }
    };
    let finish = Finish {
        facts,
        live,
        stint,
        ending,
    };
    Ok(finish.run(director, coupled))
}

/// What is copied.
struct Original {
    /// Where it is, if the reading job has a storage.
    storage: Option<StorageName>,
    is_migrated: bool,
}

/// What is copied, if the reading job is one of sdgroup's.
async fn original(facts: &Facts, address: &Frame) -> Option<Original> {
    let mut scratch = Vec::new();
    let text = address.text(&mut scratch).ok()??;
    let address = StorageAddress::parse(text).ok()?;
    let context = &facts.context;
    match context.jobs.find(&facts.director, &address.job) {
        Some(job) => Some(Original {
            storage: job.storage(),
            is_migrated: job.facts.job_type == JobType::Migrate,
        }),
        None => context
            .processes
            .storage_of(Some(&facts.director), &address.job)
            .await
            .map(|name| Original {
                storage: Some(name),
                is_migrated: false,
            }),
    }
}

/// A storage for the copy: another than the original's, if one may be chosen now.
async fn seat(
    facts: &Facts,
    director: &mut Channel,
    search: &mut Search<'_>,
    original: Option<StorageName>,
) -> Result<Seat, Unseated> {
    let Some(original) = original.filter(|original| facts.group.members.contains(original)) else {
        return search.next(director).await;
    };
    if let Some(placement) = search.another(&original, HAS_ORIGINAL, None) {
        search.avoid(&original, HAS_ORIGINAL);
        return search.seat(director, placement).await;
    }
    let text = format!("The copy may go to storage {original}, which has the original: no other may be chosen now");
    facts.note(director.outbox(), codes::COPY_BESIDE_ORIGINAL, Severity::Warning, &text);
    search.next(director).await
}

/// The storage has a device: has it call the other one. Its reply to that is the Director's.
fn begin(stint: &mut Stint<'_>, director: &mut Channel, reply: &Frame, address: &Frame) -> Result<(), TrafficError> {
    stint.traffic.reserved(None, director.outbox())?;
    stint.traffic.stage = Stage::Storage;
    TrafficError::unless_ok(reply, Stage::Reserve)?;
    stint.channel.outbox().frame(address);
    Ok(())
}
