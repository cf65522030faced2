//! What the Director's catalog says of jobs and volumes, read beside it.

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The Director's number of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct JobId(pub(crate) u32);

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What became of a job.
#[derive(Debug, Clone)]
pub(crate) struct JobReport {
    pub(crate) id: JobId,
    /// The unique name, with date and number.
    pub(crate) job: String,
    /// `F`, `I`, `D`; a blank for a restore.
    pub(crate) level: String,
    /// Bacula's letter: `T` is a good end, `f` a fatal error, `A` cancelled, `D` that a verify differs.
    pub(crate) status: char,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    /// Names, in the order in which they were written.
    pub(crate) volumes: Vec<String>,
    /// The storages whose folders hold these volumes, from disk.
    pub(crate) storages: Vec<String>,
    pub(crate) log: String,
}

impl JobReport {
    /// # Panics
    /// When the job did not end well.
    pub(crate) fn must_be_ok(&self) -> &Self {
        let Self {
            id,
            job,
            status,
            errors,
            log,
            ..
        } = self;
        assert!(
            *status == 'T' && *errors == 0,
            "job {id} {job}: status {status}, {errors} errors; its log:\n{log}"
        );
        self
    }

    /// # Panics
    /// When the job ended well.
    pub(crate) fn must_have_failed(&self) -> &Self {
        assert!(
            "fEA".contains(self.status),
            "job {} ended with {}; its log:\n{}",
            self.id,
            self.status,
            self.log
        );
        self
    }

    /// # Panics
    /// When the job wrote on no storage or on several.
    pub(crate) fn only_storage(&self) -> &str {
        match self.storages.as_slice() {
            [one] => one,
            several => panic!(
                "job {} is on {several:?} ({:?}); its log:\n{}",
                self.id, self.volumes, self.log
            ),
        }
    }

    /// # Panics
    /// When no line of the job's log contains `text`.
    pub(crate) fn log_must_say(&self, text: &str) -> &Self {
        assert!(
            self.log.contains(text),
            "the log of job {} does not say {text:?}:\n{}",
            self.id,
            self.log
        );
        self
    }
}

/// A volume as the catalog has it.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) pool: String,
    pub(crate) status: String,
    pub(crate) media_type: String,
    pub(crate) bytes: u64,
    pub(crate) jobs: u64,
}

/// The Director's SQLite file.
#[derive(Debug)]
pub(crate) struct Catalog {
    file: PathBuf,
}

impl Catalog {
    /// Makes an empty catalog from the packages' schema.
    pub(crate) fn create(file: &Path, schema: &Path) -> Self {
        let statements =
            std::fs::read_to_string(schema).unwrap_or_else(|error| panic!("{}: {error}", schema.display()));
        let connection = Connection::open(file).expect("a new SQLite file");
        connection.execute_batch(&statements).expect("the catalog's tables");
        Self { file: file.to_owned() }
    }

    fn read<T>(&self, reading: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
        let connection =
            Connection::open_with_flags(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the catalog");
        connection
            .busy_timeout(Duration::from_secs(60))
            .expect("a busy timeout");
        reading(&connection).expect("an answer from the catalog")
    }

    /// The job's report; `None` while it has not come to its end and written its last line.
    pub(crate) fn ended_job(&self, id: JobId) -> Option<JobReport> {
        let report = self.job(id)?;
        ("TWEfAID".contains(report.status) && report.log.contains("Termination:")).then_some(report)
    }

    /// The job as it is now.
    pub(crate) fn job(&self, id: JobId) -> Option<JobReport> {
        self.read(|catalog| {
            let mut texts = catalog.prepare("SELECT LogText FROM Log WHERE JobId = ? ORDER BY LogId")?;
            // A line may quote bytes of a file: not every log is UTF-8.
            let lines = texts.query_map([id.0], |row| {
                let bytes = row.get_ref(0)?.as_bytes().unwrap_or_default();
                // With SQLite the Director leaves a backslash behind each line.
                Ok(String::from_utf8_lossy(bytes).trim_end_matches('\\').to_owned())
            })?;
            let log = lines.collect::<rusqlite::Result<String>>()?;
            let mut names = catalog.prepare(
                "SELECT VolumeName, MIN(JobMediaId) AS First FROM JobMedia JOIN Media USING (MediaId) \
                 WHERE JobId = ? GROUP BY VolumeName ORDER BY First",
            )?;
            let volumes = names
                .query_map([id.0], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            let select = "SELECT Job, Level, JobStatus, JobFiles, JobBytes, JobErrors FROM Job WHERE JobId = ?";
            let row = catalog.query_row(select, [id.0], |row| {
                let status: String = row.get(2)?;
                Ok(JobReport {
                    id,
                    job: row.get(0)?,
                    level: row.get(1)?,
                    status: status.chars().next().unwrap_or('?'),
                    files: row.get(3)?,
                    bytes: row.get(4)?,
                    errors: row.get(5)?,
                    volumes,
                    storages: Vec::new(),
                    log,
                })
            });
            row.optional()
        })
    }

    /// The job that wrote a copy of this one, or to which it was migrated.
    pub(crate) fn duplicate_of(&self, id: JobId) -> Option<JobId> {
        self.read(|catalog| {
            let select = "SELECT MAX(JobId) FROM Job WHERE PriorJobId = ? AND Type IN ('B', 'C')";
            let found: Option<u32> = catalog.query_row(select, [id.0], |row| row.get(0))?;
            Ok(found.map(JobId))
        })
    }

    /// How many files of the job there are.
    pub(crate) fn files_of(&self, id: JobId) -> u64 {
        self.read(|catalog| catalog.query_row("SELECT COUNT(*) FROM File WHERE JobId = ?", [id.0], |row| row.get(0)))
    }

    /// The newest job of this resource.
    pub(crate) fn job_named(&self, name: &str) -> Option<JobId> {
        self.read(|catalog| {
            let select = "SELECT MAX(JobId) FROM Job WHERE Name = ?";
            let found: Option<u32> = catalog.query_row(select, [name], |row| row.get(0))?;
            Ok(found.map(JobId))
        })
    }

    /// The volume of this name.
    pub(crate) fn volume(&self, name: &str) -> Volume {
        let found = self.volumes().into_iter().find(|volume| volume.name == name);
        found.unwrap_or_else(|| panic!("no volume {name} in the catalog"))
    }

    /// Whether the catalog still knows where the job's data are.
    pub(crate) fn has_data_of(&self, id: JobId) -> bool {
        self.job(id).is_some_and(|job| !job.volumes.is_empty())
    }

    pub(crate) fn volumes(&self) -> Vec<Volume> {
        self.read(|catalog| {
            let select = "SELECT VolumeName, Pool.Name, VolStatus, MediaType, VolBytes, VolJobs \
                          FROM Media JOIN Pool USING (PoolId) ORDER BY MediaId";
            let mut rows = catalog.prepare(select)?;
            let volumes = rows.query_map([], |row| {
                Ok(Volume {
                    name: row.get(0)?,
                    pool: row.get(1)?,
                    status: row.get(2)?,
                    media_type: row.get(3)?,
                    bytes: row.get(4)?,
                    jobs: row.get(5)?,
                })
            })?;
            volumes.collect()
        })
    }
}
