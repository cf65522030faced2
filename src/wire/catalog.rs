//! What a storage asks the Director's catalog while a job runs, and what the Director answers about a volume.
//!
//! Sources: Bacula `src/stored/askdir.c` and `src/dird/catreq.c` of 9.6.7, 13.0.3 and 15.0.3. The releases differ
//! only in fields at the end of a line, and every value is free of blanks (a name's own blanks travel as byte
//! 0x01), so one reader by key serves them all. Nothing is rebuilt from a parsed form: a line that is changed on
//! its way ([`find_media_with_index`]) keeps every other byte.

use std::ops::Range;

use super::line;
use crate::types::{JobId, MediaType, NameError, PoolName, VolumeName};

/// The byte that stands for a blank inside a name (Bacula `src/lib/util.c`, `bash_spaces`).
const BLANK: u8 = 0x01;

/// Why a line of the catalog dialogue cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The line begins as a known one and lacks a field.
    #[error("a catalog message has no field {0}=")]
    Missing(&'static str),
    /// The line has one field twice, so that two readers could understand it differently.
    #[error("a catalog message has the field {0}= twice")]
    Twice(&'static str),
    /// A field is not the number that it must be.
    #[error("the field {0}= of a catalog message is not a number in range")]
    Number(&'static str),
    /// A field is not a name.
    #[error("the field {field}= of a catalog message is not a name: {source}")]
    Name {
        /// The field.
        field: &'static str,
        /// What is wrong with its value.
        source: NameError,
    },
    /// A name is not UTF-8.
    #[error("the field {0}= of a catalog message is not UTF-8")]
    Text(&'static str),
    /// The line is no request for a volume, where only one can stand.
    #[error("this catalog message is no FindMedia request")]
    NotFindMedia,
}

/// A volume's status in the catalog (Bacula `src/dird/ua_update.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VolumeStatus {
    /// Can be written.
    Append,
    /// Has reached a limit of size or jobs, or its device's end.
    Full,
    /// Is not to be written any more, without being full.
    Used,
    /// A storage could not write it.
    Error,
    /// Its content is dead; it is rewritten from the start when it is next used.
    Recycle,
    /// Its jobs were removed from the catalog.
    Purged,
    /// Cannot be written.
    ReadOnly,
    /// Kept by the operator's will.
    Archive,
    /// Switched off.
    Disabled,
    /// In use.
    Busy,
    /// A cleaning tape.
    Cleaning,
    /// A word that this version does not know.
    Other,
}

impl VolumeStatus {
    /// From the word on the wire.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Self {
        match word {
            b"Append" => Self::Append,
            b"Full" => Self::Full,
            b"Used" => Self::Used,
            b"Error" => Self::Error,
            b"Recycle" => Self::Recycle,
            b"Purged" => Self::Purged,
            b"Read-Only" => Self::ReadOnly,
            b"Archive" => Self::Archive,
            b"Disabled" => Self::Disabled,
            b"Busy" => Self::Busy,
            b"Cleaning" => Self::Cleaning,
            _ => Self::Other,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "Append",
            Self::Full => "Full",
            Self::Used => "Used",
            Self::Error => "Error",
            Self::Recycle => "Recycle",
            Self::Purged => "Purged",
            Self::ReadOnly => "Read-Only",
            Self::Archive => "Archive",
            Self::Disabled => "Disabled",
            Self::Busy => "Busy",
            Self::Cleaning => "Cleaning",
            Self::Other => "Other",
        }
    }
}

/// What a storage asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogRequest {
    /// Which volume may I write next?
    FindMedia(FindMedia),
    /// What about this volume? Asked for volumes which the storage knows already, and before a label.
    GetVolInfo(GetVolInfo),
    /// This is what became of a volume.
    UpdateMedia(UpdateMedia),
    /// A list of where the job's data are on a volume follows, up to an EOD. It must not be held up on its way:
    /// the Director locks its catalog until the EOD.
    CreateJobMedia,
    /// A list of where the job's files are on a volume follows, up to an EOD (13 and later).
    CreateFileMedia,
    /// Another request.
    Other,
}

/// `FindMedia`: which volume may I write next?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindMedia {
    /// The job, as the storage numbers it.
    pub job_id: JobId,
    /// Which of the candidates; 1 makes the Director forget which ones it has offered already.
    pub index: u32,
    /// The pool to take it from.
    pub pool: PoolName,
    /// The storage's media type. The Director does not use it.
    pub media_type: MediaType,
    /// Whether a new volume may be made, or an old one's content be given up for it. No means that the storage's file
    /// system is full: 15.0 looks before it asks, 13.0 knows once it could not write. 9.6 does not say.
    pub creates: Option<bool>,
}

/// `GetVolInfo`: what about this volume?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetVolInfo {
    /// The volume.
    pub volume: VolumeName,
    /// It is asked for writing.
    pub write: bool,
}

/// `UpdateMedia`: what became of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateMedia {
    /// The volume.
    pub volume: VolumeName,
    /// Jobs on it.
    pub volume_jobs: u64,
    /// Blocks on it.
    pub volume_blocks: u64,
    /// Bytes on it.
    pub volume_bytes: u64,
    /// Writes to it, ever.
    pub volume_writes: u64,
    /// Its status now.
    pub status: VolumeStatus,
    /// It was labelled just now, or taken out of an autochanger's slots.
    pub relabel: bool,
}

impl UpdateMedia {
    /// The storage has just written a label, so it holds the volume, whatever was true before.
    ///
    /// `relabel=1` alone does not say so: it also comes when an autochanger misses a volume (Bacula
    /// `src/stored/mount.c`, `mark_volume_not_inchanger`), with the volume's old figures in it.
    #[must_use]
    pub fn is_fresh_label(&self) -> bool {
        self.relabel && self.volume_jobs == 0 && self.volume_blocks == 0
    }

    /// The message shows that the storage has the volume in its hands. A volume that it was sent to and does not
    /// have comes back with status Error or Read-Only (Bacula `src/stored/mount.c`), which proves nothing.
    #[must_use]
    pub fn is_evidence(&self) -> bool {
        self.is_fresh_label()
            || (!self.relabel
                && matches!(
                    self.status,
                    VolumeStatus::Append | VolumeStatus::Full | VolumeStatus::Used
                ))
    }
}

/// The Director's `1000 OK VolName=...`: one volume's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaAnswer {
    /// The volume.
    pub volume: VolumeName,
    /// Jobs on it.
    pub volume_jobs: u64,
    /// Bytes on it; 0 before its label is written, 1 after it was recycled.
    pub volume_bytes: u64,
    /// Its status.
    pub status: VolumeStatus,
    /// The last file mark; 0 on a fresh volume.
    pub end_file: u64,
    /// Its number in the catalog.
    pub media_id: u64,
    /// The operator lets it be written again. A Director looks at this where it recycles by retention, and not where it
    /// purges the oldest volume of a pool (Bacula `src/cats/sql_find.c`).
    pub recycle: bool,
}

impl MediaAnswer {
    /// Reads an answer to FindMedia, GetVolInfo or UpdateMedia.
    ///
    /// `None` for anything but the `1000 OK VolName=` form, which a storage takes as a no.
    ///
    /// # Errors
    /// When the line has that form and a field is missing, doubled or no number.
    pub fn parse(line: &[u8]) -> Result<Option<Self>, CatalogError> {
        if !line.starts_with(b"1000 OK VolName=") {
            return Ok(None);
        }
        let fields = Fields::of(line);
        Ok(Some(Self {
            volume: fields.volume()?,
            volume_jobs: fields.number("VolJobs")?,
            volume_bytes: fields.number("VolBytes")?,
            status: VolumeStatus::from_word(fields.value("VolStatus")?),
            end_file: fields.number("EndFile")?,
            media_id: fields.number("MediaId")?,
            recycle: match fields.number("Recycle") {
                Err(CatalogError::Missing(_)) => true,
                recycle => recycle? != 0,
            },
        }))
    }

    /// No storage has ever written it: the record was made a moment ago, or the operator added it.
    #[must_use]
    pub fn is_never_written(&self) -> bool {
        self.volume_bytes == 0 && self.volume_jobs == 0 && self.end_file == 0
    }

    /// What it held is dead, and the next storage to use it writes it from the start.
    #[must_use]
    pub fn is_recycled(&self) -> bool {
        self.status == VolumeStatus::Recycle
    }

    /// It holds nothing of any job: it has no more than a label, or what it held is dead.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.volume_jobs == 0 || self.is_recycled()
    }
}

/// Reads what a storage sent that begins with `CatReq`; any other line is [`CatalogRequest::Other`].
///
/// # Errors
/// When the line is one of the known requests and a field is missing, doubled or wrong. The Director would answer
/// `1990 Invalid Catalog Request` and fail the job.
pub fn parse(line: &[u8]) -> Result<CatalogRequest, CatalogError> {
    let mut words = words(line);
    if words.next() != Some(b"CatReq") {
        return Ok(CatalogRequest::Other);
    }
    let (Some(job), Some(what)) = (words.next(), words.next()) else {
        return Ok(CatalogRequest::Other);
    };
    if !job.starts_with(b"JobId=") {
        return Ok(CatalogRequest::Other);
    }
    let fields = Fields::of(line);
    match what {
        b"CreateJobMedia" => Ok(CatalogRequest::CreateJobMedia),
        b"CreateFileMedia" => Ok(CatalogRequest::CreateFileMedia),
        b"GetVolInfo" => Ok(CatalogRequest::GetVolInfo(GetVolInfo {
            volume: fields.volume()?,
            write: fields.number("write")? != 0,
        })),
        b"UpdateMedia" => update_media(&fields).map(CatalogRequest::UpdateMedia),
        _ if what.starts_with(b"FindMedia=") => find_media(&fields).map(CatalogRequest::FindMedia),
        _ => Ok(CatalogRequest::Other),
    }
}

fn find_media(fields: &Fields<'_>) -> Result<FindMedia, CatalogError> {
    let pool = fields.text("pool_name")?;
    let media_type = fields.text("media_type")?;
    Ok(FindMedia {
        job_id: JobId(fields.small("JobId")?),
        index: fields.small("FindMedia")?,
        pool: PoolName::new(&pool).map_err(|source| CatalogError::Name {
            field: "pool_name",
            source,
        })?,
        media_type: MediaType::new(&media_type).map_err(|source| CatalogError::Name {
            field: "media_type",
            source,
        })?,
        creates: match fields.number("create") {
            Err(CatalogError::Missing(_)) => None,
            creates => Some(creates? != 0),
        },
    })
}

fn update_media(fields: &Fields<'_>) -> Result<UpdateMedia, CatalogError> {
    Ok(UpdateMedia {
        volume: fields.volume()?,
        volume_jobs: fields.number("VolJobs")?,
        volume_blocks: fields.number("VolBlocks")?,
        volume_bytes: fields.number("VolBytes")?,
        volume_writes: fields.number("VolWrites")?,
        status: VolumeStatus::from_word(fields.value("VolStatus")?),
        relabel: fields.number("relabel")? != 0,
    })
}

/// A FindMedia request with another index and every other byte as it came.
///
/// # Errors
/// When the line is no FindMedia request.
pub fn find_media_with_index(line: &[u8], index: u32) -> Result<Vec<u8>, CatalogError> {
    let digits = index_digits(line).ok_or(CatalogError::NotFindMedia)?;
    let (Some(head), Some(tail)) = (line.get(..digits.start), line.get(digits.end..)) else {
        return Err(CatalogError::NotFindMedia);
    };
    let mut changed = Vec::with_capacity(line.len().saturating_add(10));
    changed.extend_from_slice(head);
    changed.extend_from_slice(index.to_string().as_bytes());
    changed.extend_from_slice(tail);
    Ok(changed)
}

/// A GetVolInfo request by which a job asks for a volume by its name, in place of its FindMedia request `line`. The
/// Director's answer has the same form.
///
/// # Errors
/// When the line is no FindMedia request.
pub fn volume_to_write(line: &[u8], volume: &VolumeName) -> Result<Vec<u8>, CatalogError> {
    let digits = index_digits(line).ok_or(CatalogError::NotFindMedia)?;
    let key = digits.start.saturating_sub(b"FindMedia=".len());
    let mut request = line.get(..key).ok_or(CatalogError::NotFindMedia)?.to_vec();
    request.extend_from_slice(b"GetVolInfo VolName=");
    request.extend_from_slice(&line::escape(volume.as_str().as_bytes()));
    request.extend_from_slice(b" write=1\n");
    Ok(request)
}

/// The index of a FindMedia request; `None` for any other line.
#[must_use]
pub fn find_media_index(line: &[u8]) -> Option<u32> {
    let digits = line.get(index_digits(line)?)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Where the index of a FindMedia request stands. The keyword is the third word of the line, nowhere else: a pool
/// may have a name that looks like it.
fn index_digits(line: &[u8]) -> Option<Range<usize>> {
    let mut words = words(line);
    if words.next()? != b"CatReq" || !words.next()?.starts_with(b"JobId=") {
        return None;
    }
    let value = words.next()?.strip_prefix(b"FindMedia=")?;
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let key = line.windows(11).position(|window| window == b" FindMedia=")?;
    let start = key.checked_add(11)?;
    Some(start..start.checked_add(value.len())?)
}

/// The Director's refusal of a FindMedia request, made by us: the storage ends its search. Control characters of
/// `reason` become blanks.
#[must_use]
pub fn no_media(reason: &str) -> Vec<u8> {
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("1901 No Media. {reason}\n").into_bytes()
}

/// The Director's refusal of a GetVolInfo request, made by us: the storage does not write the volume.
#[must_use]
pub fn not_to_be_written(volume: &VolumeName, status: VolumeStatus, reason: &str) -> Vec<u8> {
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!(
        "1998 Volume \"{volume}\" catalog status is {}, {reason}.\n",
        status.as_str()
    )
    .into_bytes()
}

/// The words of a line, split at blanks, without the line's end.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0))
        .filter(|word| !word.is_empty())
}

/// The `key=value` words of a line. Looked through anew for each key: lines have some thirty fields, and of most
/// messages none is read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn of(line: &'a [u8]) -> Self {
        Self(line)
    }

    fn value(&self, key: &'static str) -> Result<&'a [u8], CatalogError> {
        let mut found = None;
        for word in words(self.0) {
            let value = word
                .strip_prefix(key.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="));
            if let Some(value) = value {
                if found.is_some() {
                    return Err(CatalogError::Twice(key));
                }
                found = Some(value);
            }
        }
        found.ok_or(CatalogError::Missing(key))
    }

    fn number(&self, key: &'static str) -> Result<u64, CatalogError> {
        let value = self.value(key)?;
        let digits = std::str::from_utf8(value).map_err(|_| CatalogError::Number(key))?;
        // Rust's own reader would take a sign; no daemon sends one for these fields.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CatalogError::Number(key));
        }
        digits.parse().map_err(|_| CatalogError::Number(key))
    }

    fn small(&self, key: &'static str) -> Result<u32, CatalogError> {
        u32::try_from(self.number(key)?).map_err(|_| CatalogError::Number(key))
    }

    fn text(&self, key: &'static str) -> Result<String, CatalogError> {
        let bytes: Vec<u8> = self
            .value(key)?
            .iter()
            .map(|&byte| if byte == BLANK { b' ' } else { byte })
            .collect();
        String::from_utf8(bytes).map_err(|_| CatalogError::Text(key))
    }

    fn volume(&self) -> Result<VolumeName, CatalogError> {
        VolumeName::new(&self.text("VolName")?).map_err(|source| CatalogError::Name {
            field: "VolName",
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIND_9: &[u8] = b"CatReq JobId=10 FindMedia=1 pool_name=Pool5 media_type=File5 vol_type=1\n";
    const FIND_13: &[u8] =
        b"CatReq JobId=10 FindMedia=12 pool_name=My\x01Pool media_type=File\x015 vol_type=1 create=0\n";
    const FIND_15: &[u8] =
        b"CatReq JobId=10 FindMedia=3 pool_name=P media_type=F vol_type=1 create=1 use_protect=0 vol_encrypted=0\n";
    const UPDATE_9: &[u8] = b"CatReq JobId=10 UpdateMedia VolName=Manual-0001 VolJobs=0 VolFiles=0 VolBlocks=0 \
        VolBytes=214 VolABytes=0 VolHoleBytes=0 VolHoles=0 VolMounts=1 VolErrors=0 VolWrites=1 MaxVolBytes=0 \
        EndTime=1795395646 VolStatus=Append Slot=0 relabel=1 InChanger=0 VolReadTime=0 VolWriteTime=4 \
        VolFirstWritten=1795395646 VolType=1 VolParts=0 VolCloudParts=0 LastPartBytes=0 Enabled=1 Recycle=1\n";
    const ANSWER_9: &[u8] = b"1000 OK VolName=Manual-0001 VolJobs=0 VolFiles=0 VolBlocks=0 VolBytes=214 VolABytes=0 \
        VolHoleBytes=0 VolHoles=0 VolMounts=0 VolErrors=0 VolWrites=0 MaxVolBytes=0 VolCapacityBytes=0 \
        VolStatus=Append Slot=0 MaxVolJobs=0 MaxVolFiles=0 InChanger=0 VolReadTime=0 VolWriteTime=0 EndFile=0 \
        EndBlock=0 VolType=1 LabelType=0 MediaId=2 ScratchPoolId=0 VolParts=0 VolCloudParts=0 LastPartBytes=0 \
        Enabled=1 Recycle=1\n";

    fn find(line: &[u8]) -> FindMedia {
        match parse(line).unwrap() {
            CatalogRequest::FindMedia(find) => find,
            other => panic!("{other:?}"),
        }
    }

    fn update(line: &[u8]) -> UpdateMedia {
        match parse(line).unwrap() {
            CatalogRequest::UpdateMedia(update) => update,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn find_media_is_read_in_every_release() {
        assert_eq!((find(FIND_9).index, find(FIND_9).pool.as_str()), (1, "Pool5"));
        assert_eq!((find(FIND_13).index, find(FIND_13).pool.as_str()), (12, "My Pool"));
        assert_eq!((find(FIND_15).index, find(FIND_15).job_id), (3, JobId(10)));
    }

    #[test]
    fn only_the_index_of_a_find_media_changes() {
        assert_eq!(
            find_media_with_index(FIND_13, 7).unwrap(),
            b"CatReq JobId=10 FindMedia=7 pool_name=My\x01Pool media_type=File\x015 vol_type=1 create=0\n"
        );
        let disguised = b"CatReq JobId=1 GetVolInfo VolName=FindMedia=1 write=1\n";
        assert_eq!(find_media_with_index(disguised, 2), Err(CatalogError::NotFindMedia));
        let twice = b"CatReq JobId=1 FindMedia=1 pool_name=FindMedia=9 media_type=F vol_type=1\n";
        assert_eq!(
            find_media_with_index(twice, 2).unwrap(),
            b"CatReq JobId=1 FindMedia=2 pool_name=FindMedia=9 media_type=F vol_type=1\n"
        );
    }

    #[test]
    fn a_search_becomes_a_question_about_one_volume() {
        let volume = VolumeName::new("My volume").unwrap();
        let request = volume_to_write(FIND_13, &volume).unwrap();
        assert_eq!(request, b"CatReq JobId=10 GetVolInfo VolName=My\x01volume write=1\n");
        assert_eq!(
            parse(&request).unwrap(),
            CatalogRequest::GetVolInfo(GetVolInfo {
                volume: volume.clone(),
                write: true
            })
        );
        assert_eq!(volume_to_write(UPDATE_9, &volume), Err(CatalogError::NotFindMedia));
    }

    #[test]
    fn a_fresh_label_is_told_from_a_volume_that_left_its_slot() {
        let label = update(UPDATE_9);
        assert_eq!(
            (label.volume.as_str(), label.volume_bytes, label.volume_writes),
            ("Manual-0001", 214, 1)
        );
        assert!(label.is_fresh_label() && label.is_evidence());
        let missing = UpdateMedia {
            volume_jobs: 3,
            volume_blocks: 100,
            ..label.clone()
        };
        assert!(!missing.is_fresh_label() && !missing.is_evidence());
        let appended = UpdateMedia {
            relabel: false,
            volume_jobs: 3,
            ..label.clone()
        };
        assert!(!appended.is_fresh_label() && appended.is_evidence());
        let absent = UpdateMedia {
            relabel: false,
            status: VolumeStatus::Error,
            ..label
        };
        assert!(!absent.is_evidence());
    }

    #[test]
    fn the_other_requests_are_told_apart() {
        assert_eq!(
            parse(b"CatReq JobId=10 GetVolInfo VolName=A\x01b write=1\n").unwrap(),
            CatalogRequest::GetVolInfo(GetVolInfo {
                volume: VolumeName::new("A b").unwrap(),
                write: true
            })
        );
        assert_eq!(
            parse(b"CatReq JobId=1 CreateJobMedia\n").unwrap(),
            CatalogRequest::CreateJobMedia
        );
        assert_eq!(
            parse(b"CatReq JobId=1 CreateFileMedia\n").unwrap(),
            CatalogRequest::CreateFileMedia
        );
        assert_eq!(
            parse(b"UpdCat JobId=1 FileAttributes \x00\x01").unwrap(),
            CatalogRequest::Other
        );
        assert_eq!(parse(b"CatReq").unwrap(), CatalogRequest::Other);
    }

    #[test]
    fn a_media_answer_is_read_and_a_refusal_is_none() {
        let answer = MediaAnswer::parse(ANSWER_9).unwrap().unwrap();
        assert_eq!(
            (answer.volume.as_str(), answer.volume_bytes, answer.media_id),
            ("Manual-0001", 214, 2)
        );
        assert!(!answer.is_never_written() && !answer.is_recycled() && answer.is_idle() && answer.recycle);
        let kept = String::from_utf8_lossy(ANSWER_9).replace("Recycle=1", "Recycle=0");
        assert!(!MediaAnswer::parse(kept.as_bytes()).unwrap().unwrap().recycle);
        assert!(
            MediaAnswer {
                volume_bytes: 0,
                ..answer
            }
            .is_never_written()
        );
        assert_eq!(MediaAnswer::parse(b"1901 No Media. \n").unwrap(), None);
        assert_eq!(MediaAnswer::parse(b"1000 OK CreateJobMedia\n").unwrap(), None);
    }

    #[test]
    fn a_broken_line_says_what_is_wrong() {
        assert_eq!(
            MediaAnswer::parse(b"1000 OK VolName=A VolJobs=1\n"),
            Err(CatalogError::Missing("VolBytes"))
        );
        assert_eq!(
            parse(b"CatReq JobId=1 GetVolInfo VolName=A VolName=B write=1\n"),
            Err(CatalogError::Twice("VolName"))
        );
        assert_eq!(
            parse(b"CatReq JobId=1 FindMedia=+1 pool_name=a media_type=b vol_type=1\n"),
            Err(CatalogError::Number("FindMedia"))
        );
        assert_eq!(
            parse(b"CatReq JobId=1 GetVolInfo VolName=\xff write=1\n"),
            Err(CatalogError::Text("VolName"))
        );
        assert!(matches!(
            parse(b"CatReq JobId=1 GetVolInfo VolName= write=1\n"),
            Err(CatalogError::Name { field: "VolName", .. })
        ));
    }

    #[test]
    fn our_refusals_are_one_line() {
        assert_eq!(no_media("a\nb"), b"1901 No Media. a b\n");
        let line = not_to_be_written(&VolumeName::new("V").unwrap(), VolumeStatus::ReadOnly, "is on File4");
        assert_eq!(line, b"1998 Volume \"V\" catalog status is Read-Only, is on File4.\n");
    }

    #[test]
    fn only_a_find_media_has_an_index() {
        assert_eq!(find_media_index(FIND_13), Some(12));
        assert_eq!(find_media_index(UPDATE_9), None);
        assert_eq!(
            find_media_index(b"CatReq JobId=1 FindMedia=99999999999 pool_name=a"),
            None
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_fail_in_another_way_than_by_an_error(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (parse(&line), MediaAnswer::parse(&line), find_media_with_index(&line, 2));
            let mut known = b"CatReq JobId=1 FindMedia=1 ".to_vec();
            known.extend_from_slice(&line);
            let changed = find_media_with_index(&known, 77).unwrap();
            prop_assert_eq!(&changed[..28], b"CatReq JobId=1 FindMedia=77 ");
            prop_assert_eq!(&changed[28..], &line[..]);
        }

        #[test]
        fn an_index_comes_back(index in any::<u32>()) {
            prop_assert_eq!(find(&find_media_with_index(FIND_15, index).unwrap()).index, index);
        }
    }
}
