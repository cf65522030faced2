//! A site: sdgroup, storages, a Director and Clients, told by lines what to do and telling figures.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::num::ParseFloatError;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::rig::{cpu_time_of, own_memory_of, percentile};
use crate::site;
use crate::site::client::Client;
use crate::site::director::Job;
use crate::site::proxy::Sdgroup;
use crate::site::storage::{DataConnection, Wanted};

/// Jobs that are set up, or ended, at the same time.
const AT_ONCE: usize = 32;
/// How many storages share the jobs.
const STORAGES: u8 = 4;

/// A line of figures.
#[derive(Debug)]
pub(crate) struct Figures(pub(crate) Vec<f64>);

impl FromStr for Figures {
    type Err = ParseFloatError;

    fn from_str(line: &str) -> Result<Self, ParseFloatError> {
        line.split(' ').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

struct Lane {
    runtime: Runtime,
    sdgroup: Sdgroup,
    jobs: u32,
    bytes: u64,
    /// CPU seconds that have been told.
    told: f64,
    /// What sdgroup has without a job, in KiB.
    bare_kib: f64,
    running: Vec<(Job, Client)>,
}

pub(crate) fn run(known: &[String]) {
    let number = |at: usize| known[at].parse::<u32>().expect("a number");
    site::raise_open_files();
    let runtime = Runtime::new().expect("a runtime");
    let storages = {
        let _inside = runtime.enter();
        storages()
    };
    let sdgroup = Sdgroup::start(&storages);
    let mut lane = Lane {
        runtime,
        jobs: number(0),
        bytes: u64::from(number(1)) << 10,
        told: cpu_time_of(sdgroup.pid()),
        bare_kib: own_memory_of(sdgroup.pid()).now,
        sdgroup,
        running: Vec::new(),
    };
    for line in std::io::stdin().lock().lines() {
        match line.expect("a line").as_str() {
            "begin" => lane.begin(),
            "more" => lane.more(number(2)),
            "move" => lane.move_bytes(),
            "end" => return lane.end(),
            other => panic!("no such word: {other}"),
        }
    }
}

/// Storages that answer whoever has sent all its bytes with as many.
fn storages() -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for number in 1..=STORAGES {
        let (listener, address) = site::storage::listen([127, 0, 0, number]);
        addresses.push(address);
        let (data, mut callers) = mpsc::unbounded_channel();
        tokio::spawn(site::storage::serve(listener, Wanted { data, control: None }));
        tokio::spawn(async move {
            while let Some(caller) = callers.recv().await {
                tokio::spawn(echo(caller));
            }
        });
    }
    addresses
}

async fn echo(caller: DataConnection) {
    let mut stream = caller.stream;
    if stream.write_all(&caller.ahead).await.is_err() {
        return;
    }
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

impl Lane {
    fn cpu(&mut self) -> f64 {
        let so_far = cpu_time_of(self.sdgroup.pid());
        so_far - std::mem::replace(&mut self.told, so_far)
    }

    /// Sets all jobs up: announced, and their Clients connected with their storages.
    fn begin(&mut self) {
        let began = Instant::now();
        let (address, jobs) = (self.sdgroup.address(), self.jobs);
        let all = (1..=jobs).map(move |number| set_up(address, number));
        self.running = self.runtime.block_on(some_at_once(all));
        let wall = began.elapsed().as_secs_f64();
        let memory = own_memory_of(self.sdgroup.pid());
        let cpu = self.cpu();
        println!("{cpu} {} {wall}", memory.now - self.bare_kib);
    }

    /// Has so many more come and go, one after the other.
    fn more(&mut self, more: u32) {
        let address = self.sdgroup.address();
        let mut took = Vec::new();
        for number in 1..=more {
            let began = Instant::now();
            let (job, client) = self.runtime.block_on(set_up(address, self.jobs + number));
            took.push(began.elapsed().as_secs_f64() * 1000.0);
            self.runtime.block_on(async {
                client.end().await;
                job.end().await;
            });
        }
        self.cpu();
        println!("{} {}", percentile(&took, 50), percentile(&took, 99));
    }

    /// All move their bytes at the same time.
    fn move_bytes(&mut self) {
        let bytes = self.bytes;
        let running = std::mem::take(&mut self.running);
        self.running = self.runtime.block_on(async {
            let mut moving = JoinSet::new();
            for (job, mut client) in running {
                moving.spawn(async move {
                    client.exchange(bytes).await;
                    (job, client)
                });
            }
            moving.join_all().await
        });
        let memory = own_memory_of(self.sdgroup.pid());
        let cpu = self.cpu();
        println!("{cpu} {}", memory.most - self.bare_kib);
    }

    fn end(mut self) {
        let running = std::mem::take(&mut self.running);
        let all = running.into_iter().map(|(job, client)| async {
            client.end().await;
            job.end().await;
        });
        self.runtime.block_on(some_at_once(all));
        println!("{}", self.cpu());
        // That pipes run out is expected of so many; whatever else there is to say is not.
        let log = self.sdgroup.log();
        let mut said = log.lines().filter(|line| !line.contains("relay_fell_back_to_copy"));
        assert!(said.next().is_none(), "sdgroup had something to say:\n{log}");
    }
}

/// Announces a job and connects its Client; it is set up when the storage has answered the Client.
async fn set_up(address: SocketAddr, number: u32) -> (Job, Client) {
    let job = Job::begin(address, number)
        .await
        .unwrap_or_else(|error| panic!("job {number}: {error}"));
    let mut client = Client::call(address, &job.name).await;
    client.exchange(1).await;
    (job, client)
}

async fn some_at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    all: impl Iterator<Item = F>,
) -> Vec<T> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for one in all {
        let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
        running.spawn(async move {
            let _place = place;
            one.await
        });
    }
    running.join_all().await
}
