//! What the Director's catalog says of jobs and volumes, read beside it.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::fmt;
use std::path::Path;
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

/// What one statement gives: rows of fields as text.
pub(crate) type Rows = Vec<Vec<String>>;

/// The Director's catalog, wherever it is.
pub(crate) struct Catalog {
    ask: Box<dyn Fn(&str) -> Rows>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Catalog").finish_non_exhaustive()
    }
}

impl Catalog {
    /// Makes an empty catalog in SQLite from the packages' schema.
    pub(crate) fn create(file: &Path, schema: &Path) -> Self {
        let statements =
            std::fs::read_to_string(schema).unwrap_or_else(|error| panic!("{}: {error}", schema.display()));
        let connection = Connection::open(file).expect("a new SQLite file");
        connection.execute_batch(&statements).expect("the catalog's tables");
        let file = file.to_owned();
        Self::answered_by(move |select| sqlite(&file, select).expect("an answer from the catalog"))
    }

    /// A catalog that is somewhere else; `ask` runs a SELECT.
    pub(crate) fn answered_by(ask: impl Fn(&str) -> Rows + 'static) -> Self {
        Self { ask: Box::new(ask) }
    }

    fn number(&self, select: &str) -> Option<u64> {
        (self.ask)(select).first()?.first()?.parse().ok()
    }

    /// The job's report; `None` while it has not come to its end and written its last line.
    pub(crate) fn ended_job(&self, id: JobId) -> Option<JobReport> {
        let report = self.job(id)?;
        ("TWEfAID".contains(report.status) && report.log.contains("Termination:")).then_some(report)
    }

    /// The job as it is now.
    pub(crate) fn job(&self, id: JobId) -> Option<JobReport> {
        let lines = (self.ask)(&format!("SELECT LogText FROM Log WHERE JobId = {id} ORDER BY LogId"));
        // With SQLite the Director leaves a backslash behind each line.
        let lines = lines.iter().flatten().map(|line| line.trim_end_matches('\\'));
        let log = lines.collect::<String>();
        let names = (self.ask)(&format!(
            "SELECT VolumeName, MIN(JobMediaId) AS First FROM JobMedia JOIN Media USING (MediaId) \
             WHERE JobId = {id} GROUP BY VolumeName ORDER BY First"
        ));
        let volumes = names.into_iter().filter_map(|row| row.into_iter().next()).collect();
        let select = format!("SELECT Job, Level, JobStatus, JobFiles, JobBytes, JobErrors FROM Job WHERE JobId = {id}");
        let row = (self.ask)(&select).into_iter().next()?;
        let [job, level, status, files, bytes, errors] = <[String; 6]>::try_from(row).ok()?;
        let count = |text: String| text.parse().expect("a number in the catalog");
        Some(JobReport {
            id,
            job,
            level,
            status: status.chars().next().unwrap_or('?'),
            files: count(files),
            bytes: count(bytes),
            errors: count(errors),
            volumes,
            storages: Vec::new(),
            log,
        })
    }

    /// The job that wrote a copy of this one, or to which it was migrated.
    pub(crate) fn duplicate_of(&self, id: JobId) -> Option<JobId> {
        let select = format!("SELECT MAX(JobId) FROM Job WHERE PriorJobId = {id} AND Type IN ('B', 'C')");
        self.number(&select).map(job_id)
    }

    /// How many files of the job there are.
    pub(crate) fn files_of(&self, id: JobId) -> u64 {
        let count = self.number(&format!("SELECT COUNT(*) FROM File WHERE JobId = {id}"));
        count.expect("a count")
    }

    /// The newest job of this resource.
    pub(crate) fn job_named(&self, name: &str) -> Option<JobId> {
        let select = format!("SELECT MAX(JobId) FROM Job WHERE Name = '{name}'");
        self.number(&select).map(job_id)
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
        let select = "SELECT VolumeName, Pool.Name, VolStatus, MediaType, VolBytes, VolJobs \
                      FROM Media JOIN Pool USING (PoolId) ORDER BY MediaId";
        let volume = |row: Vec<String>| {
            let [name, pool, status, media_type, bytes, jobs] = <[String; 6]>::try_from(row).expect("six columns");
            Volume {
                name,
                pool,
                status,
                media_type,
                bytes: bytes.parse().expect("bytes"),
                jobs: jobs.parse().expect("a count"),
            }
        };
        (self.ask)(select).into_iter().map(volume).collect()
    }
}

fn job_id(number: u64) -> JobId {
    JobId(u32::try_from(number).expect("a JobId"))
}

fn sqlite(file: &Path, select: &str) -> rusqlite::Result<Rows> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    let mut statement = connection.prepare(select)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|at| row.get_ref(at).map(text)).collect())?;
    rows.collect()
}

/// A field; a text that is not UTF-8, as far as it is: a job's log may quote bytes of a file.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
