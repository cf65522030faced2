//! `JobId=`, by which a Director announces a job, and the storage's answer with the ids and the key of the job's data
//! connection (Bacula `src/dird/msgchan.c`, `src/stored/job.c`).

use super::line::{LineError, LineWriter, Scanner};
use crate::types::{
    ClientName, FileSetName, JobId, JobLevel, JobName, JobResourceName, JobType, SessionIdentity, SessionKey,
};

/// The longest key that a Director stores, in bytes.
pub const MAX_KEY_BYTES: usize = 99;

/// The announcement of a job: all 19 fields, which every release sends and none may lack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the message has these fields")]
pub struct JobCommand {
    /// `JobId`. 0 for a console's network test.
    pub job_id: JobId,
    /// `job`: this run.
    pub job: JobName,
    /// `job_name`: the Job resource.
    pub job_name: JobResourceName,
    /// `client_name`; `**Dummy**` when the job has none.
    pub client: ClientName,
    /// `type`.
    pub job_type: JobType,
    /// `level`.
    pub level: JobLevel,
    /// `FileSet`.
    pub file_set: FileSetName,
    /// `NoAttr`: the Director wants no file attributes.
    pub no_attributes: bool,
    /// `SpoolAttr`: attributes are sent at the job's end.
    pub spool_attributes: bool,
    /// `FileSetMD5`, as it came.
    pub file_set_md5: Vec<u8>,
    /// `SpoolData`.
    pub spool_data: bool,
    /// `WritePartAfterJob`.
    pub write_part_after_job: bool,
    /// `PreferMountedVols`.
    pub prefer_mounted_volumes: bool,
    /// `SpoolSize`, bytes; 0 leaves it to the device.
    pub spool_size: i64,
    /// `rerunning`: the storage takes the two ids that follow instead of its own.
    pub rerunning: bool,
    /// `VolSessionId`.
    pub vol_session_id: u32,
    /// `VolSessionTime`.
    pub vol_session_time: u32,
    /// `sd_client`: this storage will call another one, with the key given here.
    pub sd_client: bool,
    /// `Authorization`: of no meaning unless `sd_client`. A Director has none for the later sections of a restore,
    /// since it has wiped the first one's.
    pub authorization: Option<SessionKey>,
}

impl JobCommand {
    /// Reads the command.
    ///
    /// # Errors
    /// When a field is missing or is not what it should be. A storage answers 3915 and closes.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut s = Scanner::new(line);
        Ok(Self {
            job_id: JobId(s.literal("JobId=")?.number()?),
            job: s.literal(" job=")?.name(JobName::new)?,
            job_name: s.literal(" job_name=")?.name(JobResourceName::new)?,
            client: s.literal(" client_name=")?.name(ClientName::new)?,
            job_type: JobType::from_code(s.literal(" type=")?.number()?),
            level: JobLevel::from_code(s.literal(" level=")?.number()?),
            file_set: s.literal(" FileSet=")?.name(FileSetName::new)?,
            no_attributes: s.literal(" NoAttr=")?.flag()?,
            spool_attributes: s.literal(" SpoolAttr=")?.flag()?,
            file_set_md5: s.literal(" FileSetMD5=")?.word().to_vec(),
            spool_data: s.literal(" SpoolData=")?.flag()?,
            write_part_after_job: s.literal(" WritePartAfterJob=")?.flag()?,
            prefer_mounted_volumes: s.literal(" PreferMountedVols=")?.flag()?,
            spool_size: s.literal(" SpoolSize=")?.number()?,
            rerunning: s.literal(" rerunning=")?.flag()?,
            vol_session_id: s.literal(" VolSessionId=")?.word32()?,
            vol_session_time: s.literal(" VolSessionTime=")?.word32()?,
            sd_client: s.literal(" sd_client=")?.flag()?,
            authorization: match s.literal(" Authorization=")?.word() {
                [] => None,
                word => Some(key(word)?),
            },
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        LineWriter::new()
            .raw("JobId=")
            .number(self.job_id.0)
            .raw(" job=")
            .name(self.job.as_str())
            .raw(" job_name=")
            .name(self.job_name.as_str())
            .raw(" client_name=")
            .name(self.client.as_str())
            .raw(" type=")
            .number(self.job_type.code())
            .raw(" level=")
            .number(self.level.code())
            .raw(" FileSet=")
            .name(self.file_set.as_str())
            .raw(" NoAttr=")
            .flag(self.no_attributes)
            .raw(" SpoolAttr=")
            .flag(self.spool_attributes)
            .raw(" FileSetMD5=")
            .raw(&self.file_set_md5)
            .raw(" SpoolData=")
            .flag(self.spool_data)
            .raw(" WritePartAfterJob=")
            .flag(self.write_part_after_job)
            .raw(" PreferMountedVols=")
            .flag(self.prefer_mounted_volumes)
            .raw(" SpoolSize=")
            .number(self.spool_size)
            .raw(" rerunning=")
            .flag(self.rerunning)
            .raw(" VolSessionId=")
            .number(self.vol_session_id)
            .raw(" VolSessionTime=")
            .number(self.vol_session_time)
            .raw(" sd_client=")
            .flag(self.sd_client)
            .raw(" Authorization=")
            .raw(self.authorization.as_ref().map_or("", SessionKey::reveal))
            .raw("\n")
            .finish()
    }
}

fn key(word: &[u8]) -> Result<SessionKey, LineError> {
    match std::str::from_utf8(word) {
        Ok(text) if !text.is_empty() && text.len() <= MAX_KEY_BYTES => Ok(SessionKey::new(text.to_owned())),
        // The word itself is not repeated: it may be most of a key.
        _ => Err(LineError::Expected {
            expected: "a key of 1 to 99 letters",
            found: String::new(),
        }),
    }
}

/// The storage's consent to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobAnswer {
    /// `SDid`: the VolSessionId of all that the job writes.
    pub sd_id: u32,
    /// `SDtime`: its VolSessionTime.
    pub sd_time: u32,
    /// `Authorization`: the key of the data connection; of no meaning (`xx`) when the job has `sd_client`.
    pub key: SessionKey,
}

impl JobAnswer {
    /// What tells its session from all others.
    #[must_use]
    pub fn identity(&self) -> SessionIdentity {
        SessionIdentity {
            id: self.sd_id,
            time: self.sd_time,
        }
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// When it is another one, as a rule a refusal.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut scanner = Scanner::new(line);
        scanner.literal("3000 OK Job SDid=")?;
        let sd_id = scanner.word32()?;
        scanner.literal(" SDtime=")?;
        let sd_time = scanner.word32()?;
        scanner.literal(" Authorization=")?;
        Ok(Self {
            sd_id,
            sd_time,
            key: key(scanner.word())?,
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        LineWriter::new()
            .raw("3000 OK Job SDid=")
            .number(self.sd_id)
            .raw(" SDtime=")
            .number(self.sd_time)
            .raw(" Authorization=")
            .raw(self.key.reveal())
            .raw("\n")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "JobId=1 job=Tiny4.2026-11-23_00.20.37_03 job_name=Tiny\x014 client_name=lab-fd type=66 level=70 \
        FileSet=Tiny NoAttr=0 SpoolAttr=1 FileSetMD5=M0hIyTpZy6Elh9/E9w0x/C SpoolData=0 WritePartAfterJob=1 \
        PreferMountedVols=1 SpoolSize=0 rerunning=0 VolSessionId=0 VolSessionTime=0 sd_client=0 Authorization=dummy\n";

    #[test]
    fn a_real_command_reads_and_writes() {
        let command = JobCommand::parse(LINE.as_bytes()).unwrap();
        assert_eq!(command.job_name.as_str(), "Tiny 4");
        assert_eq!((command.job_type, command.level), (JobType::Backup, JobLevel::Full));
        assert!(command.spool_attributes && !command.sd_client);
        assert_eq!(String::from_utf8(command.to_line()).unwrap(), LINE);
        assert!(!format!("{command:?}").contains("dummy"));
    }

    #[test]
    fn every_field_is_needed() {
        for (at, _) in LINE.match_indices('=') {
            assert!(JobCommand::parse(&LINE.as_bytes()[..at]).is_err(), "{}", &LINE[..at]);
        }
        assert!(JobCommand::parse(LINE.replace("type=66", "type=666").as_bytes()).is_err());
        assert!(JobCommand::parse(LINE.replace("dummy", &"x".repeat(100)).as_bytes()).is_err());
    }

    #[test]
    fn a_later_section_of_a_restore_has_no_key() {
        let line = LINE.replace("dummy", "");
        let command = JobCommand::parse(line.as_bytes()).unwrap();
        assert_eq!(command.authorization, None);
        assert_eq!(String::from_utf8(command.to_line()).unwrap(), line);
    }

    #[test]
    fn an_id_may_be_printed_as_signed() {
        let command = JobCommand::parse(LINE.replace("SessionTime=0", "SessionTime=-1").as_bytes()).unwrap();
        assert_eq!(command.vol_session_time, u32::MAX);
    }

    #[test]
    fn a_refusal_is_no_answer() {
        assert!(JobAnswer::parse(b"3915 Bad Job command. stat=18 CMD: JobId=1\n").is_err());
        let error = JobAnswer::parse(b"3000 OK Job SDid=1 SDtimes=2 Authorization=HABA-MPLP\n").unwrap_err();
        assert!(!error.to_string().contains("HABA"), "{error}");
    }

    proptest! {
        #[test]
        fn a_command_reads_back(
            numbers: (u32, u8, u8, i64, u32, u32),
            flags: (bool, bool, bool, bool, bool, bool, bool),
            names in ("[A-Za-z][A-Za-z0-9_.-]{0,40}", "[A-Za-z][A-Za-z0-9 _.-]{0,40}"),
            md5 in "[!-~]{0,22}",
            key in "[A-P-]{1,39}",
            has_key: bool,
        ) {
            let command = JobCommand {
                job_id: JobId(numbers.0),
                job: JobName::new(&names.0).unwrap(),
                job_name: JobResourceName::new(&names.1).unwrap(),
                client: ClientName::new(&names.1).unwrap(),
                job_type: JobType::from_code(numbers.1),
                level: JobLevel::from_code(numbers.2),
                file_set: FileSetName::new(&names.1).unwrap(),
                no_attributes: flags.0,
                spool_attributes: flags.1,
                file_set_md5: md5.into_bytes(),
                spool_data: flags.2,
                write_part_after_job: flags.3,
                prefer_mounted_volumes: flags.4,
                spool_size: numbers.3,
                rerunning: flags.5,
                vol_session_id: numbers.4,
                vol_session_time: numbers.5,
                sd_client: flags.6,
                authorization: has_key.then(|| SessionKey::new(key.clone())),
            };
            prop_assert_eq!(JobCommand::parse(&command.to_line()), Ok(command));
            let answer = JobAnswer { sd_id: numbers.4, sd_time: numbers.5, key: SessionKey::new(key) };
            prop_assert_eq!(JobAnswer::parse(&answer.to_line()), Ok(answer));
        }
    }
}
