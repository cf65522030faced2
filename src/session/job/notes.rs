//! Lines for the job's own messages in the Director, where the operator looks first.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Facts;
use crate::telemetry::codes::Code;
use crate::types::{JobStatus, Severity};
use crate::wire::packet::{Outbox, Signal};
use crate::wire::progress::{self, JobEnd};

impl Facts {
    /// Puts one line into the job's messages. A console's connection (`JobId=0`) has none.
    pub(super) fn note(&self, to_director: &mut Outbox, code: Code, severity: Severity, text: &str) {
        if self.command.job_id.0 == 0 {
            return;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let (name, id, code) = (&self.context.model.name, self.command.job_id, code.text);
        let text = format!("{name} JobId {id}: [{code}] {text}\n");
        to_director.message(progress::jmsg_line(
            self.command.job_id,
            self.release,
            severity,
            i64::try_from(now).unwrap_or(i64::MAX),
            &text,
        ));
    }

    /// Ends the job in the Director in the storage's place, with `text` as the reason.
    pub(super) fn end_job(&self, to_director: &mut Outbox, status: JobStatus, text: &str) {
        let job = self.command.job.clone();
        let end = JobEnd {
            job,
            status,
            files: 0,
            bytes: 0,
            errors: 1,
            message: text.as_bytes().to_vec(),
        };
        to_director.message(end.to_line());
        to_director.signal(Signal::Eod);
        to_director.signal(Signal::Terminate);
    }
}
