//! How fast and how large the storages are, and when they fail: a small TOML file.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use crate::config::units::{self, UnitError};
use crate::types::{NameError, StorageName};

/// What a storage is taken to be that nothing is said of: bytes per second.
const DEFAULT_SPEED: f64 = 200_000_000.0;

/// One storage's hardware. Bytes and bytes per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// All jobs together.
    pub speed: f64,
    /// One job at most.
    pub job_speed: Option<f64>,
    /// How much there is room for, if there is an end to it.
    pub size: Option<f64>,
    /// How much of that is written at the beginning.
    pub used: f64,
    /// How long a job's bytes are kept.
    pub retention: Option<Duration>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            speed: DEFAULT_SPEED,
            job_speed: None,
            size: None,
            used: 0.0,
            retention: None,
        }
    }
}

/// A storage is down, or slow, for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Which.
    pub storage: StorageName,
    /// From when on, counted from the first job.
    pub at: Duration,
    /// For how long.
    pub length: Duration,
    /// How fast it is then, if it is only slow.
    pub speed: Option<f64>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hardware {
    machines: HashMap<StorageName, Machine>,
    default: Machine,
    /// When what fails.
    pub failures: Vec<Failure>,
}

/// What is wrong with a hardware file.
#[derive(Debug, thiserror::Error)]
pub enum HardwareError {
    /// It is not TOML, or has other keys.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A value is no size or time.
    #[error("{key} = \"{text}\": {error}")]
    Unit {
        /// Of what.
        key: &'static str,
        /// As written.
        text: String,
        /// What is wrong.
        error: UnitError,
    },
    /// A name is none.
    #[error("\"{text}\" is no storage: {error}")]
    Name {
        /// As written.
        text: String,
        /// What is wrong.
        error: NameError,
    },
    /// A speed of nothing.
    #[error("{0} must be more than nothing")]
    Zero(&'static str),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct File {
    #[serde(default)]
    default: MachineTable,
    #[serde(default)]
    storage: Vec<StorageTable>,
    #[serde(default)]
    failure: Vec<FailureTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct MachineTable {
    speed: Option<String>,
    job_speed: Option<String>,
    size: Option<String>,
    used: Option<String>,
    retention: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct StorageTable {
    name: String,
    // Spelled out, since flattening and refusing unknown keys do not go together.
    speed: Option<String>,
    job_speed: Option<String>,
    size: Option<String>,
    used: Option<String>,
    retention: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct FailureTable {
    storage: String,
    at: String,
    r#for: String,
    speed: Option<String>,
}

impl Hardware {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When it is not such a file.
    pub fn parse(text: &str) -> Result<Self, HardwareError> {
        let file: File = toml::from_str(text)?;
        let default = machine(&file.default, Machine::default())?;
        let mut machines = HashMap::new();
        for table in file.storage {
            let own = MachineTable {
                speed: table.speed,
                job_speed: table.job_speed,
                size: table.size,
                used: table.used,
                retention: table.retention,
            };
            machines.insert(storage(&table.name)?, machine(&own, default)?);
        }
        let failures = file.failure.into_iter().map(|table| {
            Ok(Failure {
                storage: storage(&table.storage)?,
                at: time("At", &table.at)?,
                length: time("For", &table.r#for)?,
                speed: table.speed.as_ref().map(|text| size("Speed", text)).transpose()?,
            })
        });
        Ok(Self {
            machines,
            default,
            failures: failures.collect::<Result<_, HardwareError>>()?,
        })
    }

    /// That of one storage.
    #[must_use]
    pub fn machine(&self, storage: &StorageName) -> Machine {
        self.machines.get(storage).copied().unwrap_or(self.default)
    }

    /// Whose hardware it tells.
    pub fn storages(&self) -> impl Iterator<Item = &StorageName> {
        self.machines
            .keys()
            .chain(self.failures.iter().map(|failure| &failure.storage))
    }
}

fn storage(text: &str) -> Result<StorageName, HardwareError> {
    StorageName::new(text).map_err(|error| HardwareError::Name {
        text: text.to_owned(),
        error,
    })
}

fn machine(table: &MachineTable, default: Machine) -> Result<Machine, HardwareError> {
    let bytes = |key, text: &Option<String>| text.as_ref().map(|text| size(key, text)).transpose();
    let machine = Machine {
        speed: bytes("Speed", &table.speed)?.unwrap_or(default.speed),
        job_speed: bytes("JobSpeed", &table.job_speed)?.or(default.job_speed),
        size: bytes("Size", &table.size)?.or(default.size),
        used: bytes("Used", &table.used)?.unwrap_or(default.used),
        retention: match &table.retention {
            Some(text) => Some(time("Retention", text)?),
            None => default.retention,
        },
    };
    if machine.speed <= 0.0 {
        return Err(HardwareError::Zero("Speed"));
    }
    if machine.job_speed.is_some_and(|speed| speed <= 0.0) {
        return Err(HardwareError::Zero("JobSpeed"));
    }
    Ok(machine)
}

#[allow(clippy::cast_precision_loss, reason = "what is simulated is not counted to the byte")]
fn size(key: &'static str, text: &str) -> Result<f64, HardwareError> {
    let bytes = units::size(text).map_err(|error| HardwareError::Unit {
        key,
        text: text.to_owned(),
        error,
    })?;
    Ok(bytes as f64)
}

fn time(key: &'static str, text: &str) -> Result<Duration, HardwareError> {
    units::duration(text).map_err(|error| HardwareError::Unit {
        key,
        text: text.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let text = r#"
            [Default]
            Speed = "300 MB"
            JobSpeed = "50 MB"
            [[Storage]]
            Name = "File4"
            Speed = "1 GB"
            Size = "20 TB"
            Used = "5 TB"
            Retention = "30 days"
            [[Failure]]
            Storage = "File5"
            At = "26 hours"
            For = "90 minutes"
        "#;
        let hardware = Hardware::parse(text).unwrap();
        let name = |text: &str| StorageName::new(text).unwrap();
        let file4 = hardware.machine(&name("File4"));
        assert_eq!((file4.speed, file4.job_speed, file4.size), (1e9, Some(5e7), Some(2e13)));
        assert_eq!(
            (file4.used, file4.retention),
            (5e12, Some(Duration::from_secs(30 * 86_400)))
        );
        let other = hardware.machine(&name("Other"));
        assert_eq!((other.speed, other.size), (3e8, None));
        assert_eq!(hardware.failures[0].length, Duration::from_secs(5400));
        assert_eq!(Hardware::parse("").unwrap(), Hardware::default());
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, told) in [
            ("[Default]\nSped = \"1 GB\"", "unknown field `Sped`"),
            ("[Default]\nSpeed = \"fast\"", "Speed = \"fast\": expected a number"),
            ("[Default]\nSpeed = \"0\"", "Speed must be more than nothing"),
            ("[[Storage]]\nName = \"\"", "\"\" is no storage: the name is empty"),
            ("[[Failure]]\nStorage = \"x\"\nAt = \"1 h\"", "missing field `For`"),
        ] {
            let error = Hardware::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
