//! Why a store could not do what was asked.

/// Why a store could not do what was asked. Cheap to clone: one failed commit is the answer to several callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or made.
    #[error(
        "cannot open the state file {path}: {cause}; check that its directory exists and belongs to sdgroup's user"
    )]
    Open {
        /// The file.
        path: String,
        /// What the system says.
        cause: String,
    },
    /// The file belongs to another program.
    #[error("{path} is a database of another program; give sdgroup a StateDirectory of its own")]
    Foreign {
        /// The file.
        path: String,
    },
    /// A newer sdgroup has written the file.
    #[error(
        "the state file {path} has schema {found}, and this sdgroup knows schemas up to {known}; run the newer \
             sdgroup, or restore the copy of the file from before it was upgraded"
    )]
    Newer {
        /// The file.
        path: String,
        /// The schema of the file.
        found: i64,
        /// The newest schema of this program.
        known: i64,
    },
    /// There is no space left.
    #[error("no space is left for the state file {path}; free some, nothing that was acknowledged is lost")]
    Full {
        /// The file.
        path: String,
    },
    /// Another process has kept the file locked for longer than a store waits.
    #[error("another process keeps the state file {path} locked; end it (an open transaction in sqlite3?)")]
    Locked {
        /// The file.
        path: String,
    },
    /// The file is damaged.
    #[error(
        "the state file {path} is damaged ({cause}); stop sdgroup, move the file and its -wal and -shm away, and \
             restore a copy or fill a new one with \"sdgroup volumes import\""
    )]
    Corrupt {
        /// The file.
        path: String,
        /// What the database says.
        cause: String,
    },
    /// The file or its directory cannot be written.
    #[error("the state file {path} cannot be written; check the owner and mode of the file and its directory")]
    ReadOnly {
        /// The file.
        path: String,
    },
    /// A record holds what is no name; somebody wrote it by hand.
    #[error("{place} has a record of volume {volume:?} that cannot be read: {cause}")]
    Record {
        /// Which store.
        place: String,
        /// The volume, as it is written there.
        volume: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A row holds what cannot be there; somebody wrote it by hand.
    #[error("{place} has a row in its table {table} that cannot be read: {cause}; correct or delete it")]
    Row {
        /// Which store.
        place: String,
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// Anything else.
    #[error("the state file {path} failed: {cause}")]
    Failed {
        /// The file.
        path: String,
        /// What the database says.
        cause: String,
    },
    /// PostgreSQL cannot be reached, or the connection to it was lost.
    #[error("PostgreSQL ({place}) is away: {cause}")]
    Away {
        /// Where it should be.
        place: String,
        /// What there is instead.
        cause: String,
    },
    /// The database has not been prepared, or by an older sdgroup.
    #[error(
        "{place} has schema {found} of sdgroup, and this sdgroup needs schema {known}: run \"sdgroup store migrate\""
    )]
    Unmigrated {
        /// Which.
        place: String,
        /// Its schema; 0 is none.
        found: i64,
        /// What is needed.
        known: i64,
    },
    /// A newer sdgroup has prepared the database.
    #[error(
        "{place} has schema {found} of sdgroup, and this sdgroup knows schemas up to {known}: run the newer sdgroup"
    )]
    NewerDatabase {
        /// Which.
        place: String,
        /// Its schema.
        found: i64,
        /// The newest schema of this program.
        known: i64,
    },
    /// PostgreSQL refused a statement.
    #[error("{place} refused: {cause}")]
    Refused {
        /// Which.
        place: String,
        /// What it says.
        cause: String,
    },
    /// The store is closed, because the process ends.
    #[error("the state file is closed, since sdgroup is ending")]
    Closed,
}

impl StoreError {
    /// A word for metrics; one of a fixed set.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Foreign { .. } => "foreign",
            Self::Newer { .. } => "newer",
            Self::Full { .. } => "full",
            Self::Locked { .. } => "locked",
            Self::Corrupt { .. } => "corrupt",
            Self::ReadOnly { .. } => "read_only",
            Self::Record { .. } | Self::Row { .. } => "record",
            Self::Failed { .. } => "failed",
            Self::Away { .. } => "away",
            Self::Unmigrated { .. } | Self::NewerDatabase { .. } => "schema",
            Self::Refused { .. } => "refused",
            Self::Closed => "closed",
        }
    }

    /// What a database error means to an operator.
    pub(super) fn from_sqlite(path: &str, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;

        let path = path.to_owned();
        let cause = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { path, cause },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            Some(ErrorCode::CannotOpen) => Self::Open { path, cause },
            _ => Self::Failed { path, cause },
        }
    }
}
