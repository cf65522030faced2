//! A job that its Director has stopped (`stop`, not `cancel`) before a storage had begun it.
//!
//! A Director of 13.0 or later waits without end for the message thread of a stopped job that its storage refuses
//! (`src/dird/msgchan.c`: only a canceled one is given up), and its operator could not even cancel it any more. So
//! sdgroup begins the job itself and ends it at once.

use super::Facts;
use super::ending::Ending;
use super::finish;
use super::late::{self, Asked};
use super::unseated::{Awaits, Unseated};
use crate::channel::Channel;
use crate::session::jobs::Stop;
use crate::telemetry::codes;
use crate::types::{DeviceName, Release};

/// Tells the Director of a job that writes that no storage has it, and notes the end.
pub(super) async fn tell(
    unseated: Unseated,
    facts: &Facts,
    director: &mut Channel,
    ending: &mut Ending,
    awaits: Awaits,
) {
    if !matches!(unseated, Unseated::Stopped(Stop::Stopped)) || facts.release == Release::V9 {
        return unseated.tell(facts, director, ending, awaits);
    }
    if let Err(unseated) = play(facts, director, awaits).await {
        return unseated.tell(facts, director, ending, Awaits::Device);
    }
    let (status, reason) = (finish::stop_status(Stop::Stopped), finish::stop_reason(Stop::Stopped));
    facts.note(director.outbox(), codes::JOB_STOPPED, finish::severity(status), reason);
    facts.end_job(director.outbox(), status, reason);
    ending.status = Some(status);
    ending.orderly(finish::stop_label(Stop::Stopped));
}

/// Says what a storage would say until the job runs.
async fn play(facts: &Facts, director: &mut Channel, awaits: Awaits) -> Result<(), Unseated> {
    let mut asked = match awaits {
        Awaits::Job => Asked::begin(facts, director),
        _ => Asked::new(facts),
    };
    if awaits == Awaits::Device {
        // The Director prints it, no more.
        if let Ok(device) = DeviceName::new(facts.group.name.as_str()) {
            director.outbox().message(late::device_answer(facts, &device).to_line());
        }
    }
    asked.listen(facts, director, b"run").await?;
    Ok(())
}
