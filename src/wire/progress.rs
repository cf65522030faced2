//! What a storage sends while a job runs, catalog requests aside: the job's messages, its state, its end (Bacula
//! `src/stored/askdir.c`, `src/stored/job.c`, `src/dird/getmsg.c`).
//!
//! A job with a million files makes a million `UpdCat`, so what a packet is can be told from its first bytes, before
//! or without decompressing it.

use std::fmt;

use super::line::{LineError, LineWriter, Scanner, shown, unescape, with_field};
use super::packet::{Frame, PacketError};
use crate::types::{JobId, JobName, JobStatus, Release, Severity};

/// The Director's word that it has read spooled attributes from the file.
pub const BLAST_OK: &[u8] = b"1000 OK BlastAttr\n";

/// The Director's word that it cannot: the storage then sends them as `UpdCat`.
pub const BLAST_FAILED: &[u8] = b"1990 ERROR BlastAttr\n";

/// What a message of a storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Jmsg`: a line for the job's log.
    Jmsg,
    /// `Status`: the job's state has changed.
    Status,
    /// `Progress`: how far it is. 15.0 only.
    Progress,
    /// `Events:`. 13.0 and later.
    Events,
    /// `3010`: the Client is there, the job runs.
    Start,
    /// `3099`: the job's end.
    End,
    /// `CatReq`: a request that the Director must answer.
    CatReq,
    /// `UpdCat`: attributes of a file, binary.
    UpdCat,
    /// `BlastAttr`: attributes of all files, in a file. The Director answers.
    BlastAttr,
    /// Another message with a code: the reply to a command. A line of the list after a `CatReq CreateJobMedia` may
    /// look like one, so whoever follows a job does not ask until the EOD that ends the list.
    Reply(u16),
    /// None of these.
    Other,
}

const WORDS: &[(&[u8], Kind)] = &[
    (b"UpdCat ", Kind::UpdCat),
    (b"Jmsg ", Kind::Jmsg),
    (b"Status ", Kind::Status),
    (b"CatReq ", Kind::CatReq),
    (b"3010 Job ", Kind::Start),
    (b"3099 Job ", Kind::End),
    (b"Progress ", Kind::Progress),
    (b"Events: ", Kind::Events),
    (b"BlastAttr ", Kind::BlastAttr),
];

/// More than the longest of the words above.
const BEGINNING_BYTES: usize = 12;

impl Kind {
    /// What `frame` is; `None` for a signal. The cost does not grow with the message, compressed or not.
    ///
    /// # Errors
    /// When the frame is compressed and damaged in its first bytes.
    pub fn of(frame: &Frame) -> Result<Option<Self>, PacketError> {
        if frame.signal().is_some() {
            return Ok(None);
        }
        let mut room = [0; BEGINNING_BYTES];
        Ok(Some(Self::of_text(frame.beginning(&mut room)?)))
    }

    /// What a message is that begins with `text`.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        if let Some((_, kind)) = WORDS.iter().find(|(word, _)| text.starts_with(word)) {
            return *kind;
        }
        match text.first_chunk::<4>() {
            Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
                let code = digits
                    .iter()
                    .fold(0_u16, |code, digit| code * 10 + u16::from(digit - b'0'));
                Self::Reply(code)
            }
            _ => Self::Other,
        }
    }
}

/// A message of a storage, read.
#[derive(Clone, PartialEq, Eq)]
pub enum StorageMessage<'a> {
    /// A line for the job's log.
    Jmsg(Jmsg<'a>),
    /// The job's state has changed.
    Status {
        /// As the storage has it.
        job_id: JobId,
        /// The state.
        status: JobStatus,
    },
    /// How far the job is.
    Progress {
        /// Files.
        files: u64,
        /// Bytes.
        bytes: u64,
        /// Bytes in a second.
        bytes_per_second: u64,
    },
    /// An event, the line as it came.
    Events(&'a [u8]),
    /// The Client is there, the job runs.
    Start {
        /// The job.
        job: JobName,
    },
    /// The job's end.
    End(JobEnd),
    /// A catalog request, the line as it came; see [`catalog`](super::catalog).
    CatReq(&'a [u8]),
    /// Attributes of a file.
    UpdCat,
    /// Attributes of all files are in a file of the storage's host.
    BlastAttr {
        /// The file's path there, blanks as blanks.
        path: Vec<u8>,
    },
    /// The reply to a command.
    Reply {
        /// Its first four digits.
        code: u16,
        /// The whole line.
        line: &'a [u8],
    },
    /// None of these, as it came.
    Other(&'a [u8]),
}

/// A line for the job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jmsg<'a> {
    /// As the storage has it. A Director does not look at it.
    pub job_id: JobId,
    /// How much it matters, by the release's own numbers; see [`Release::message_type`].
    pub message_type: u32,
    /// When, in seconds since 1970.
    pub unix_time: i64,
    /// What the Director writes to the log. May have several lines.
    pub text: &'a [u8],
}

impl<'a> StorageMessage<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// When it begins like one of the known ones and does not go on so. It can still be passed on as it came.
    pub fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        let mut s = Scanner::new(line);
        Ok(match Kind::of_text(line) {
            Kind::Jmsg => Self::Jmsg(Jmsg::scan(s)?),
            Kind::Status => Self::Status {
                job_id: JobId(s.literal("Status JobId=")?.word32()?),
                status: JobStatus::from_code(s.literal(" JobStatus=")?.number()?),
            },
            Kind::Progress => {
                s.literal("Progress JobId=")?.word32()?;
                Self::Progress {
                    files: s.literal(" files=")?.number()?,
                    bytes: s.literal(" bytes=")?.number()?,
                    bytes_per_second: s.literal(" bps=")?.number()?,
                }
            }
            Kind::Events => Self::Events(line),
            Kind::Start => {
                let job = s.literal("3010 Job ")?.name(JobName::new)?;
                s.literal(" start")?;
                Self::Start { job }
            }
            Kind::End => Self::End(JobEnd::parse(line)?),
            Kind::CatReq => Self::CatReq(line),
            Kind::UpdCat => Self::UpdCat,
            Kind::BlastAttr => {
                s.literal("BlastAttr JobId=")?.word32()?;
                Self::BlastAttr {
                    path: unescape(s.literal(" File=")?.word()).into_owned(),
                }
            }
            Kind::Reply(code) => Self::Reply { code, line },
            Kind::Other => Self::Other(line),
        })
    }
}

impl fmt::Debug for StorageMessage<'_> {
    /// What can be told without a job's key, which stands in the reply to `JobId=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jmsg(jmsg) => jmsg.fmt(f),
            Self::Status { job_id, status } => write!(f, "Status({job_id}, {status})"),
            Self::Progress { files, bytes, .. } => write!(f, "Progress({files} files, {bytes} bytes)"),
            Self::Start { job } => write!(f, "Start({job})"),
            Self::End(end) => end.fmt(f),
            Self::UpdCat => f.write_str("UpdCat"),
            Self::BlastAttr { path } => write!(f, "BlastAttr({:?})", shown(path)),
            Self::Events(line) | Self::CatReq(line) | Self::Reply { line, .. } | Self::Other(line) => {
                write!(f, "Line({:?})", shown(line))
            }
        }
    }
}

impl<'a> Jmsg<'a> {
    fn scan(mut s: Scanner<'a>) -> Result<Self, LineError> {
        let job_id = JobId(s.literal("Jmsg JobId=")?.word32()?);
        let message_type = s.literal(" type=")?.number()?;
        let unix_time = s.literal(" level=")?.number()?;
        let text = s.rest().strip_prefix(b" ").unwrap_or(s.rest());
        Ok(Self {
            job_id,
            message_type,
            unix_time,
            text,
        })
    }
}

/// A line for the log of the job `job_id`, as a storage of `release` would send it at `unix_time`. The Director puts
/// nothing before `text`, so it should begin with who says it.
#[must_use]
pub fn jmsg_line(job_id: JobId, release: Release, severity: Severity, unix_time: i64, text: &str) -> Vec<u8> {
    LineWriter::new()
        .raw("Jmsg JobId=")
        .number(job_id.0)
        .raw(" type=")
        .number(release.message_type(severity))
        .raw(" level=")
        .number(unix_time)
        .raw(" ")
        .raw(text.trim_end())
        .raw("\n")
        .finish()
}

/// A line for a job's log with the weight of a warning, if it has more: what is fatal for a storage is not for a job
/// that goes on to another.
#[must_use]
pub fn as_warning(line: &[u8], release: Release) -> Option<Vec<u8>> {
    let StorageMessage::Jmsg(jmsg) = StorageMessage::parse(line).ok()? else {
        return None;
    };
    let number = |severity| release.message_type(severity);
    let heavy = [number(Severity::Fatal), number(Severity::Error)].contains(&jmsg.message_type);
    heavy
        .then(|| with_field(line, "type", number(Severity::Warning).to_string().as_bytes()))
        .flatten()
}

/// That the Client is there and the job runs.
#[must_use]
pub fn start_line(job: &JobName) -> Vec<u8> {
    LineWriter::new()
        .raw("3010 Job ")
        .name(job.as_str())
        .raw(" start\n")
        .finish()
}

/// That the job's state has changed.
#[must_use]
pub fn status_line(job_id: JobId, status: JobStatus) -> Vec<u8> {
    let line = LineWriter::new().raw("Status JobId=").number(job_id.0);
    line.raw(" JobStatus=").number(status.code()).raw("\n").finish()
}

/// How a job ended, in the storage's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// The job.
    pub job: JobName,
    /// How it ended.
    pub status: JobStatus,
    /// Files written or read.
    pub files: u64,
    /// Bytes of their data.
    pub bytes: u64,
    /// Errors on the way.
    pub errors: u32,
    /// What went wrong; empty when nothing did.
    pub message: Vec<u8>,
}

impl JobEnd {
    /// Reads the line.
    ///
    /// # Errors
    /// When it is another one.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut s = Scanner::new(line);
        Ok(Self {
            job: s.literal("3099 Job ")?.name(JobName::new)?,
            status: JobStatus::from_code(s.literal(" end JobStatus=")?.number()?),
            files: s.literal(" JobFiles=")?.number()?,
            bytes: s.literal(" JobBytes=")?.number()?,
            errors: s.literal(" JobErrors=")?.number()?,
            message: unescape(s.literal(" ErrMsg=")?.word()).into_owned(),
        })
    }

    /// The end of a job that two storages have run, one after the other: the sums, and the first that is bad of the
    /// states and messages.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        let bad = self.status != JobStatus::Terminated;
        Self {
            job: self.job,
            status: if bad { self.status } else { later.status },
            files: self.files.saturating_add(later.files),
            bytes: self.bytes.saturating_add(later.bytes),
            errors: self.errors.saturating_add(later.errors),
            message: if self.message.is_empty() {
                later.message
            } else {
                self.message
            },
        }
    }

    /// The line to send. A line break in the message becomes a blank.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let message: Vec<u8> = self
            .message
            .iter()
            .map(|&byte| if byte <= b' ' { 1 } else { byte })
            .collect();
        LineWriter::new()
            .raw("3099 Job ")
            .name(self.job.as_str())
            .raw(" end JobStatus=")
            .number(self.status.code())
            .raw(" JobFiles=")
            .number(self.files)
            .raw(" JobBytes=")
            .number(self.bytes)
            .raw(" JobErrors=")
            .number(self.errors)
            .raw(" ErrMsg=")
            .raw(message)
            .raw("\n")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_fatal_for_a_storage_is_a_warning_to_a_job_that_goes_on() {
        let line = b"Jmsg JobId=7 type=3 level=1795393237 Device reservation failed, type=3\n";
        assert_eq!(
            as_warning(line, Release::V9).unwrap(),
            b"Jmsg JobId=7 type=5 level=1795393237 Device reservation failed, type=3\n"
        );
        let line = b"Jmsg JobId=7 type=4 level=1795393237 x\n";
        assert_eq!(
            as_warning(line, Release::V15).unwrap(),
            b"Jmsg JobId=7 type=6 level=1795393237 x\n"
        );
        assert_eq!(
            as_warning(b"Jmsg JobId=7 type=6 level=1795393237 x\n", Release::V9),
            None
        );
        assert_eq!(as_warning(b"Status JobId=7 JobStatus=82\n", Release::V9), None);
    }
    use crate::wire::packet::MAX_WIRE_BYTES;
    use bytes::{BufMut as _, BytesMut};
    use proptest::prelude::*;

    fn frame(text: &[u8], compress: bool) -> Frame {
        let block = lz4_flex::block::compress(text);
        let (payload, flag) = if compress { (&block[..], 1 << 30) } else { (text, 0) };
        let mut buffer = BytesMut::new();
        buffer.put_u32(u32::try_from(payload.len()).unwrap() | flag);
        buffer.put_slice(payload);
        Frame::take(&mut buffer, MAX_WIRE_BYTES).unwrap().unwrap()
    }

    #[test]
    fn each_message_is_told_by_its_first_bytes() {
        for (text, kind) in [
            ("Jmsg JobId=1 type=6 level=1795393239 lab-sd4 JobId 1: x\n", Kind::Jmsg),
            ("Status JobId=1 JobStatus=70\n", Kind::Status),
            ("Progress JobId=1 files=1 bytes=2 bps=3\n", Kind::Progress),
            ("Events: code=SJ0001 daemon=sd\n", Kind::Events),
            ("3010 Job J.1 start\n", Kind::Start),
            ("3099 Job J.1 end JobStatus=84\n", Kind::End),
            ("CatReq JobId=1 FindMedia=1\n", Kind::CatReq),
            ("UpdCat JobId=1 FileAttributes \0\0\0\x01", Kind::UpdCat),
            ("BlastAttr JobId=1 File=/x\n", Kind::BlastAttr),
            ("3000 OK Job SDid=1\n", Kind::Reply(3000)),
            ("3924 Device\n", Kind::Reply(3924)),
            ("12\n", Kind::Other),
            ("0 0 0 0 0 0 1\n", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(Kind::of(&frame(text.as_bytes(), false)), Ok(Some(kind)), "{text:?}");
            assert_eq!(Kind::of(&frame(text.as_bytes(), true)), Ok(Some(kind)), "{text:?}");
        }
    }

    #[test]
    fn a_line_for_the_log_has_the_releases_own_type() {
        let line = jmsg_line(
            JobId(7),
            Release::V15,
            Severity::Info,
            1_795_393_239,
            "sdgroup JobId 7: placed\n\n",
        );
        assert_eq!(line, b"Jmsg JobId=7 type=7 level=1795393239 sdgroup JobId 7: placed\n");
        let Ok(StorageMessage::Jmsg(jmsg)) = StorageMessage::parse(&line) else {
            panic!("not a Jmsg")
        };
        assert_eq!((jmsg.message_type, jmsg.text), (7, &b"sdgroup JobId 7: placed\n"[..]));
    }

    #[test]
    fn a_key_is_not_shown() {
        let reply = StorageMessage::parse(b"3000 OK Job SDid=1 SDtime=2 Authorization=HABA\n").unwrap();
        assert_eq!(format!("{reply:?}"), r#"Line("3000 OK Job SDid=1 SDtime=2 ")"#);
    }

    #[test]
    fn what_begins_well_and_goes_on_badly_is_an_error() {
        for line in [
            "Jmsg JobId=x\n",
            "Status JobId=1 JobStatus=700\n",
            "3099 Job J end\n",
            "BlastAttr JobId=1 Fil\n",
        ] {
            assert!(StorageMessage::parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn an_end_reads_back(job in "[A-Za-z][A-Za-z0-9_.-]{0,60}", code: u8, files: u64, bytes: u64, errors: u32, message in "[ -~]{0,80}") {
            let job = JobName::new(&job).unwrap();
            let end = JobEnd { job: job.clone(), status: JobStatus::from_code(code), files, bytes, errors, message: message.into_bytes() };
            let line = end.to_line();
            prop_assert_eq!(StorageMessage::parse(&line), Ok(StorageMessage::End(end)));
            let line = start_line(&job);
            prop_assert_eq!(StorageMessage::parse(&line), Ok(StorageMessage::Start { job }));
            let status = JobStatus::from_code(code);
            let line = status_line(JobId(errors), status);
            prop_assert_eq!(StorageMessage::parse(&line), Ok(StorageMessage::Status { job_id: JobId(errors), status }));
        }

        #[test]
        fn a_compressed_frame_is_what_its_text_is(at in 0_usize..WORDS.len(), text in proptest::collection::vec(0_u8..4, 0..400)) {
            let text = [WORDS[at].0, &text].concat();
            let kind = Kind::of(&frame(&text, true)).unwrap();
            prop_assert_eq!(kind, Some(Kind::of_text(&text)));
        }
    }
}
