//! The dialogue around the data that a Client reads from a storage (Bacula `src/stored/fd_cmds.c`, `src/filed/job.c`).

use super::line::{LineError, LineWriter, Scanner};
use crate::types::JobStatus;

/// The storage's word that the data follow. Clients compare it exactly.
pub const DATA: &[u8] = b"3000 OK data\n";

/// What a Client says in a read session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadRequest {
    /// `read open session`: its numbers are the storage's, which does not look at them.
    Open,
    /// `read control`. There is no reply.
    Control,
    /// `read data`.
    Data,
    /// `read close session`.
    Close,
}

impl ReadRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut s = Scanner::new(line);
        s.literal("read ")?;
        for (word, request) in [
            ("open", Self::Open),
            ("control", Self::Control),
            ("data", Self::Data),
            ("close", Self::Close),
        ] {
            if s.accepts(word) {
                return Ok(request);
            }
        }
        s.literal("open session").map(|_| Self::Open)
    }
}

/// The storage's consent to a session.
#[must_use]
pub fn ticket_line(ticket: u32) -> Vec<u8> {
    numbered("3000 OK open ticket = ", ticket)
}

/// The number that a storage gave to a session.
///
/// # Errors
/// When it did not consent.
pub fn parse_ticket(line: &[u8]) -> Result<u32, LineError> {
    Scanner::new(line)
        .literal("3000 OK open ticket =")?
        .literal(" ")?
        .word32()
}

/// The request for the data.
#[must_use]
pub fn data_line(ticket: u32) -> Vec<u8> {
    numbered("read data ", ticket)
}

/// The request to end.
#[must_use]
pub fn close_line(ticket: u32) -> Vec<u8> {
    numbered("read close session ", ticket)
}

/// The storage's answer to that. An EOD follows.
#[must_use]
pub fn closed_line(status: JobStatus) -> Vec<u8> {
    numbered("3000 OK close Status = ", u32::from(status.code()))
}

/// How the session ended for the storage.
///
/// # Errors
/// When it says something else.
pub fn parse_closed(line: &[u8]) -> Result<JobStatus, LineError> {
    let mut s = Scanner::new(line);
    let code = s.literal("3000 OK close Status =")?.literal(" ")?.number()?;
    Ok(JobStatus::from_code(code))
}

fn numbered(text: &str, number: u32) -> Vec<u8> {
    LineWriter::new().raw(text).number(number).raw("\n").finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialogue_as_it_was_recorded_is_understood() {
        for (line, request) in [
            (
                &b"read open session = DummyVolume 1 1795393237 0 0 0 0\n"[..],
                ReadRequest::Open,
            ),
            (b"read control 1\n", ReadRequest::Control),
            (b"read data 1\n", ReadRequest::Data),
            (b"read close session 1\n", ReadRequest::Close),
        ] {
            assert_eq!(ReadRequest::parse(line), Ok(request));
        }
        assert!(ReadRequest::parse(b"append open session\n").is_err());
        assert!(ReadRequest::parse(b"read \n").is_err());
    }

    #[test]
    fn what_is_said_is_read_back() {
        assert_eq!(parse_ticket(&ticket_line(7)), Ok(7));
        // A storage prints a large number as a negative one.
        assert_eq!(parse_ticket(b"3000 OK open ticket = -2\n"), Ok(u32::MAX - 1));
        assert_eq!(
            parse_closed(&closed_line(JobStatus::Terminated)),
            Ok(JobStatus::Terminated)
        );
        assert_eq!(closed_line(JobStatus::Terminated), b"3000 OK close Status = 84\n");
        assert_eq!(
            (data_line(3), close_line(3)),
            (b"read data 3\n".to_vec(), b"read close session 3\n".to_vec())
        );
        assert!(parse_ticket(b"3901 Error session already open\n").is_err());
        assert!(parse_closed(b"3000 error\n").is_err());
    }
}
