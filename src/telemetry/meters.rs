//! What is measured continuously: handles that are resolved once and then cost a few nanoseconds.

use metrics::{Counter, Gauge};

use super::names;
use crate::types::{Bytes, GroupName, Space, State, StorageName};

/// The meters of one storage. Made once per storage of the configuration.
#[derive(Debug, Clone)]
pub struct StorageMeters {
    jobs: Gauge,
    reading_jobs: Gauge,
    jobs_limit: Gauge,
    up: Gauge,
    states: [(State, Gauge); State::ALL.len()],
    ejected: Gauge,
    free: Gauge,
    total: Gauge,
    to_storage: Counter,
    from_storage: Counter,
}

/// How a storage is at one moment, as a scrape shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageReading {
    /// Jobs on it now.
    pub jobs: u32,
    /// Those of them that read.
    pub reading_jobs: u32,
    /// How many it may have.
    pub jobs_limit: u32,
    /// The probes find it up.
    pub up: bool,
    /// What the operator wants of it.
    pub state: State,
    /// It was ejected for failing jobs.
    pub ejected: bool,
    /// The room on it, if that is known.
    pub space: Option<Space>,
}

/// Gauges are doubles; what we count stays far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn real(count: usize) -> f64 {
    count as f64
}

/// The same of bytes. What is not known is no number: a rule or a graph that compares it finds nothing.
#[allow(clippy::cast_precision_loss)]
fn real_bytes(bytes: Option<Bytes>) -> f64 {
    bytes.map_or(f64::NAN, |bytes| bytes.0 as f64)
}

impl StorageMeters {
    /// The meters of `storage`. Its byte counters exist from now on, so that the first byte is a rise from 0; so does
    /// the counter of its conflicts, for the alert that watches it.
    #[must_use]
    pub fn new(storage: &StorageName) -> Self {
        let name = storage.as_str();
        names::VOLUME_CONFLICTS.with([name]).increment(0);
        Self {
            jobs: names::STORAGE_JOBS.with([name]),
            reading_jobs: names::STORAGE_READING_JOBS.with([name]),
            jobs_limit: names::STORAGE_JOBS_LIMIT.with([name]),
            up: names::STORAGE_UP.with([name]),
            states: State::ALL.map(|state| (state, names::STORAGE_STATE.with([name, state.as_str()]))),
            ejected: names::STORAGE_EJECTED.with([name]),
            free: names::STORAGE_FREE.with([name]),
            total: names::STORAGE_TOTAL.with([name]),
            to_storage: names::RELAY_BYTES.with([name, "to_storage"]),
            from_storage: names::RELAY_BYTES.with([name, "from_storage"]),
        }
    }

    /// There is no such storage any more.
    pub fn forget(&self) {
        let states = self.states.iter().map(|(_, gauge)| gauge);
        let others = [
            &self.jobs,
            &self.reading_jobs,
            &self.jobs_limit,
            &self.up,
            &self.ejected,
            &self.free,
            &self.total,
        ];
        for gauge in states.chain(others) {
            gauge.set(f64::NAN);
        }
    }

    /// Shows `reading`.
    pub fn show(&self, reading: &StorageReading) {
        self.jobs.set(f64::from(reading.jobs));
        self.reading_jobs.set(f64::from(reading.reading_jobs));
        self.jobs_limit.set(f64::from(reading.jobs_limit));
        self.up.set(f64::from(u8::from(reading.up)));
        for (state, gauge) in &self.states {
            gauge.set(f64::from(u8::from(*state == reading.state)));
        }
        self.ejected.set(f64::from(u8::from(reading.ejected)));
        self.free.set(real_bytes(reading.space.map(|space| space.free)));
        self.total.set(real_bytes(reading.space.map(|space| space.total)));
    }

    /// A meter for one data connection with this storage, whose running totals in bytes are these so far.
    #[must_use]
    pub fn relay(&self, to_storage: u64, from_storage: u64) -> RelayMeter {
        RelayMeter {
            inward: Direction::new(self.to_storage.clone(), to_storage),
            outward: Direction::new(self.from_storage.clone(), from_storage),
        }
    }
}

/// Carries the running totals of one data connection into the counters of its storage.
#[derive(Debug)]
pub struct RelayMeter {
    inward: Direction,
    outward: Direction,
}

/// A counter, and how much of a running total is in it.
#[derive(Debug)]
struct Direction {
    counter: Counter,
    counted: u64,
}

impl Direction {
    fn new(counter: Counter, so_far: u64) -> Self {
        Self {
            counter,
            counted: so_far,
        }
    }

    fn observe(&mut self, total: u64) -> u64 {
        let more = total.saturating_sub(self.counted);
        self.counter.increment(more);
        self.counted = self.counted.max(total);
        more
    }
}

impl RelayMeter {
    /// Adds what has come since the last time, and returns it. To be called now and then while the relay runs, so that
    /// a job of many hours shows its rate, and once when it has ended.
    ///
    /// The arguments are totals in bytes since the start of the connection.
    pub fn observe(&mut self, to_storage: u64, from_storage: u64) -> (u64, u64) {
        (self.inward.observe(to_storage), self.outward.observe(from_storage))
    }
}

/// How a group is at one moment, as a scrape shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupReading {
    /// Jobs that wait.
    pub queued_jobs: usize,
    /// Storages that may get new ones.
    pub usable_storages: usize,
    /// Releases of Bacula among its storages.
    pub releases: usize,
}

/// The meters of one group. Made once per group of the configuration.
#[derive(Debug, Clone)]
pub struct GroupMeters {
    queued: Gauge,
    usable: Gauge,
    releases: Gauge,
}

impl GroupMeters {
    /// The meters of `group`.
    #[must_use]
    pub fn new(group: &GroupName) -> Self {
        Self {
            queued: names::GROUP_QUEUE.with([group.as_str()]),
            usable: names::GROUP_USABLE.with([group.as_str()]),
            releases: names::GROUP_RELEASES.with([group.as_str()]),
        }
    }

    /// There is no such group any more.
    pub fn forget(&self) {
        for gauge in [&self.queued, &self.usable, &self.releases] {
            gauge.set(f64::NAN);
        }
    }

    /// Shows `reading`.
    pub fn show(&self, reading: &GroupReading) {
        self.queued.set(real(reading.queued_jobs));
        self.usable.set(real(reading.usable_storages));
        self.releases.set(real(reading.releases));
    }
}

/// The meters of processes that have handed over.
#[derive(Debug, Clone)]
pub struct PredecessorMeters {
    processes: Gauge,
    jobs: Gauge,
}

impl Default for PredecessorMeters {
    fn default() -> Self {
        Self {
            processes: names::PREDECESSORS.with([]),
            jobs: names::PREDECESSOR_JOBS.with([]),
        }
    }
}

impl PredecessorMeters {
    /// Shows how many there are, and how many jobs they have.
    pub fn show(&self, processes: usize, jobs: usize) {
        self.processes.set(real(processes));
        self.jobs.set(real(jobs));
    }
}

/// The meters of what all relays share. Made once.
#[derive(Debug, Clone)]
pub struct PipeMeters {
    pipes: Gauge,
}

impl Default for PipeMeters {
    fn default() -> Self {
        Self::new()
    }
}

impl PipeMeters {
    /// The meters.
    #[must_use]
    pub fn new() -> Self {
        names::RELAY_FALLBACKS.with([]).increment(0);
        Self {
            pipes: names::RELAY_PIPES.with([]),
        }
    }

    /// Shows how many pipes are open.
    pub fn show(&self, pipes_open: usize) {
        self.pipes.set(real(pipes_open));
    }
}

/// The meters of the database that is shared with other sdgroups. Made once.
#[derive(Debug, Clone)]
pub struct StoreMeters {
    up: Gauge,
    unsent: Gauge,
}

impl Default for StoreMeters {
    fn default() -> Self {
        Self::new()
    }
}

impl StoreMeters {
    /// The meters.
    #[must_use]
    pub fn new() -> Self {
        Self {
            up: names::STORE_UP.with([]),
            unsent: names::STORE_UNSENT.with([]),
        }
    }

    /// Shows whether it answers, and how many records it is to be told yet.
    pub fn show(&self, up: bool, unsent: u64) {
        self.up.set(f64::from(u8::from(up)));
        self.unsent.set(real(usize::try_from(unsent).unwrap_or(usize::MAX)));
    }
}

/// How many other sdgroups there are.
#[derive(Debug)]
pub struct FleetMeters {
    peers: Gauge,
}

impl FleetMeters {
    /// The meters.
    #[must_use]
    pub fn new() -> Self {
        Self {
            peers: names::PEERS.with([]),
        }
    }

    /// Shows how many are heard of.
    pub fn show(&self, peers: usize) {
        self.peers.set(real(peers));
    }
}

impl Default for FleetMeters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::Scrape;

    #[test]
    fn a_relay_is_counted_while_it_runs_and_never_twice() {
        let scrape = Scrape::new();
        scrape.during(|| {
            let storage = StorageMeters::new(&StorageName::new("File4").unwrap());
            let (mut one, mut other) = (storage.relay(0, 0), storage.relay(0, 0));
            assert_eq!(one.observe(100, 7), (100, 7));
            assert_eq!(other.observe(1, 0), (1, 0));
            assert_eq!(one.observe(150, 7), (50, 0));
            assert_eq!(one.observe(150, 7), (0, 0));
        });
        assert_eq!(
            scrape.value(r#"sdgroup_relay_bytes_total{storage="File4",direction="to_storage"}"#),
            "151"
        );
        assert_eq!(
            scrape.value(r#"sdgroup_relay_bytes_total{storage="File4",direction="from_storage"}"#),
            "7"
        );
    }

    #[test]
    fn a_reading_is_shown() {
        let scrape = Scrape::new();
        scrape.during(|| {
            StorageMeters::new(&StorageName::new("File5").unwrap()).show(&StorageReading {
                state: State::Sealed,
                jobs: 3,
                reading_jobs: 1,
                jobs_limit: 20,
                up: true,
                ejected: false,
                space: Some(Space {
                    free: Bytes(512_000),
                    total: Bytes(1_024_000),
                }),
            });
            GroupMeters::new(&GroupName::new("Files").unwrap()).show(&GroupReading {
                queued_jobs: 2,
                usable_storages: 1,
                releases: 3,
            });
            PipeMeters::new().show(4);
        });
        assert_eq!(scrape.value(r#"sdgroup_storage_jobs{storage="File5"}"#), "3");
        assert_eq!(scrape.value(r#"sdgroup_storage_reading_jobs{storage="File5"}"#), "1");
        assert_eq!(scrape.value(r#"sdgroup_storage_jobs_limit{storage="File5"}"#), "20");
        assert_eq!(scrape.value(r#"sdgroup_storage_up{storage="File5"}"#), "1");
        assert_eq!(scrape.value(r#"sdgroup_storage_ejected{storage="File5"}"#), "0");
        assert_eq!(scrape.value(r#"sdgroup_storage_free_bytes{storage="File5"}"#), "512000");
        assert_eq!(
            scrape.value(r#"sdgroup_storage_total_bytes{storage="File5"}"#),
            "1024000"
        );
        assert_eq!(scrape.value(r#"sdgroup_group_queued_jobs{group="Files"}"#), "2");
        assert_eq!(scrape.value(r#"sdgroup_group_usable_storages{group="Files"}"#), "1");
        assert_eq!(scrape.value(r#"sdgroup_group_releases{group="Files"}"#), "3");
        assert_eq!(scrape.value("sdgroup_relay_pipes"), "4");
        assert_eq!(scrape.value("sdgroup_relay_fallbacks_total"), "0");
    }
}
