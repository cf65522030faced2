//! A Storage Daemon: devices and volumes in memory, jobs, and what a test can do to it. It remembers everything that
//! it was given, so that a test can tell that nothing went elsewhere.

mod append;
mod ask;
mod connection;
mod console;
mod device;
mod read;
mod session;
mod volume;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sdgroup::types::JobName;
use socket2::{SockRef, Socket};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::bytes_of_jobs::Record;
use crate::harness::ports::Port;
use crate::harness::wait::until_true;
use device::Device;
use session::HeldJob;
use volume::Volume;

/// How a storage is set up.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Its own name, in challenges.
    pub(crate) name: String,
    /// Directors and their passwords.
    pub(crate) directors: Vec<(String, String)>,
    /// The name under which all devices together can be asked for.
    pub(crate) changer: String,
    pub(crate) devices: usize,
    pub(crate) media_type: String,
    /// How many jobs write one volume side by side.
    pub(crate) jobs_per_device: usize,
    /// A volume is full at this size.
    pub(crate) maximum_volume_bytes: Option<u64>,
    /// `SDtime` of all its jobs.
    pub(crate) sd_time: u32,
    /// Of jobs whose name begins so, data are counted and not kept.
    pub(crate) forgets: Option<&'static str>,
}

impl Settings {
    pub(crate) fn new(name: &str, director: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            directors: vec![(director.to_owned(), password.to_owned())],
            changer: "Changer".to_owned(),
            devices: 2,
            media_type: "File".to_owned(),
            jobs_per_device: 50,
            maximum_volume_bytes: None,
            sd_time: 1_795_393_237,
            forgets: None,
        }
    }
}

/// A step at which every connection that comes to it can be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Point {
    /// A connection was accepted; nothing is read yet.
    Accepted,
    /// `JobId=` has come and is not answered.
    JobCommand,
    /// `use storage` has come and is not answered.
    UseDevice,
    /// `run` has come.
    Run,
    /// A Client is ready to send, and is not told that the storage is.
    AppendData,
    /// A Client is ready to read, and is not told that the storage is.
    ReadData,
    /// All is written, and the Client waits for the word.
    Written,
    /// `cancel` has come and is not answered.
    Cancel,
    /// An operator's command has come and is not answered.
    Console,
}

/// A volume that a storage was told to write and cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stranger {
    pub(crate) volume: String,
    pub(crate) job: String,
    pub(crate) why: &'static str,
}

#[derive(Debug, Default)]
struct State {
    jobs: HashMap<JobName, Arc<HeldJob>>,
    volumes: BTreeMap<String, Volume>,
    /// Which job wrote under a session's number.
    sessions: BTreeMap<u32, JobName>,
    reached: BTreeMap<Point, usize>,
    refuses_jobs: bool,
    refuses_devices: bool,
    refuses_logins: bool,
    /// Free and total bytes, if it tells.
    space: Option<(u64, u64)>,
    last_session: u32,
    last_block: u64,
    strangers: Vec<Stranger>,
    missing: Vec<String>,
    labelled: Vec<String>,
    operator_calls: usize,
    /// Commands of Directors, in their order, without keys.
    commands: Vec<String>,
    wrong_keys: usize,
    unknown_jobs: usize,
    /// What no Director may do to a storage.
    broken_rules: Vec<String>,
    most_jobs: usize,
}

#[derive(Debug)]
pub(crate) struct Core {
    settings: Settings,
    state: Mutex<State>,
    devices: Vec<Device>,
    /// A storage searches for volumes one job at a time (Bacula `src/stored/askdir.c`).
    search: tokio::sync::Mutex<()>,
    freed: Notify,
    held: watch::Sender<BTreeSet<Point>>,
    frozen: watch::Sender<bool>,
    life: Mutex<CancellationToken>,
    /// A second handle on each socket that is open, to end it as a test wants it ended.
    sockets: Mutex<HashMap<u64, Socket>>,
    last_connection: AtomicU64,
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<u64, Socket>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn life(&self) -> CancellationToken {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that `point` is reached, and waits while it is held.
    async fn pass(&self, point: Point) {
        *self.state().reached.entry(point).or_default() += 1;
        // The sender is ours.
        let _ = self.held.subscribe().wait_for(|held| !held.contains(&point)).await;
    }
}

/// A storage that runs.
#[derive(Debug)]
pub(crate) struct Storage {
    core: Arc<Core>,
    pub(crate) address: SocketAddr,
    /// Its own also while it does not listen.
    _port: Port,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Storage {
    pub(crate) fn start(settings: Settings) -> Self {
        let port = Port::choose();
        let devices = (0..settings.devices)
            .map(|at| Device::new(format!("{}-Drive-{at}", settings.changer)))
            .collect();
        let storage = Self {
            core: Arc::new(Core {
                settings,
                state: Mutex::default(),
                devices,
                search: tokio::sync::Mutex::default(),
                freed: Notify::new(),
                held: watch::Sender::default(),
                frozen: watch::Sender::default(),
                life: Mutex::default(),
                sockets: Mutex::default(),
                last_connection: AtomicU64::new(0),
            }),
            address: port.address(),
            _port: port,
            accepting: Mutex::default(),
        };
        storage.listen_again();
        storage
    }

    fn accept(&self, listener: TcpListener) {
        let core = Arc::clone(&self.core);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(live(Arc::clone(&core), stream));
            }
        });
        *self.accepting.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepting);
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.core.settings
    }

    // What a test can do to it.

    /// Stops listening; what is connected stays so.
    pub(crate) async fn refuse_connections(&self) {
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(accepting) = accepting {
            accepting.abort();
            let _ = accepting.await;
        }
    }

    /// Ends as a killed process does: the port is closed and every connection is reset. What is written stays.
    pub(crate) async fn die(&self) {
        self.refuse_connections().await;
        let life = std::mem::take(&mut *self.core.life.lock().unwrap_or_else(PoisonError::into_inner));
        for socket in self.core.sockets().values() {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        life.cancel();
        until_true("the connections of a dead storage to end", || self.connections() == 0).await;
        self.core.state().jobs.clear();
        for device in &self.core.devices {
            device.clear();
        }
    }

    /// Listens again, on the same port.
    pub(crate) fn listen_again(&self) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(self.address).expect("the same port");
        self.accept(socket.listen(1024).expect("to listen"));
    }

    /// Stands still as a stopped process does: connections are accepted, nothing is read or written.
    pub(crate) fn freeze(&self) {
        self.core.frozen.send_replace(true);
    }

    pub(crate) fn thaw(&self) {
        self.core.frozen.send_replace(false);
    }

    /// Every connection that comes to `point` waits there until [`release`](Self::release).
    pub(crate) fn hold(&self, point: Point) {
        self.core.held.send_modify(|held| {
            held.insert(point);
        });
    }

    pub(crate) fn release(&self, point: Point) {
        self.core.held.send_modify(|held| {
            held.remove(&point);
        });
    }

    /// `JobId=` is answered with 3915.
    pub(crate) fn refuse_jobs(&self, refuses: bool) {
        self.core.state().refuses_jobs = refuses;
    }

    /// `use storage` is answered with 3924.
    pub(crate) fn refuse_devices(&self, refuses: bool) {
        self.core.state().refuses_devices = refuses;
    }

    /// Directors are turned away with 3999, whatever they prove.
    pub(crate) fn refuse_logins(&self, refuses: bool) {
        self.core.state().refuses_logins = refuses;
    }

    /// From now on it tells probes that it has this much room, in bytes: free, and in all.
    pub(crate) fn tell_space(&self, free: u64, total: u64) {
        self.core.state().space = Some((free, total));
    }

    /// A volume disappears from its disk.
    pub(crate) fn lose(&self, volume: &str) {
        self.core.state().volumes.remove(volume);
    }

    // What a test can see of it.

    /// How often `point` was reached.
    pub(crate) fn reached(&self, point: Point) -> usize {
        self.core.state().reached.get(&point).copied().unwrap_or(0)
    }

    pub(crate) async fn until_reached(&self, point: Point, times: usize) {
        let what = format!("{} to reach {point:?}", self.core.settings.name);
        until_true(&what, || self.reached(point) >= times).await;
    }

    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.core.sockets().len()
    }

    /// Jobs that it holds now.
    pub(crate) fn jobs(&self) -> usize {
        self.core.state().jobs.len()
    }

    /// The most jobs that it ever held at once.
    pub(crate) fn most_jobs(&self) -> usize {
        self.core.state().most_jobs
    }

    /// What the job has written, in order.
    pub(crate) fn written_by(&self, job: &JobName) -> Vec<Record> {
        let state = self.core.state();
        let sessions: Vec<u32> = state
            .sessions
            .iter()
            .filter(|(_, name)| *name == job)
            .map(|(id, _)| *id)
            .collect();
        let mut blocks: Vec<_> = state.volumes.values().flat_map(Volume::blocks).collect();
        blocks.retain(|block| sessions.contains(&block.sd_id));
        blocks.sort_by_key(|block| block.sequence);
        blocks.into_iter().map(|block| block.record.clone()).collect()
    }

    /// Volumes that it has, with their sizes.
    pub(crate) fn volumes(&self) -> BTreeMap<String, u64> {
        let state = self.core.state();
        state
            .volumes
            .iter()
            .map(|(name, volume)| (name.clone(), volume.bytes()))
            .collect()
    }

    /// Volumes that it labelled, each as often as it did.
    pub(crate) fn labelled(&self) -> Vec<String> {
        self.core.state().labelled.clone()
    }

    /// Volumes that it was told to write and that it does not have.
    pub(crate) fn strangers(&self) -> Vec<Stranger> {
        self.core.state().strangers.clone()
    }

    /// Volumes that it was told to read and that it does not have.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.core.state().missing.clone()
    }

    /// How often it had to call for an operator.
    pub(crate) fn operator_calls(&self) -> usize {
        self.core.state().operator_calls
    }

    /// What Directors told it.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.core.state().commands.clone()
    }

    /// What it was sent that no Director may send.
    pub(crate) fn broken_rules(&self) -> Vec<String> {
        self.core.state().broken_rules.clone()
    }

    /// Data connections for its jobs with a wrong key. Each killed its job.
    pub(crate) fn wrong_keys(&self) -> usize {
        self.core.state().wrong_keys
    }

    /// Data connections for jobs that it does not have.
    pub(crate) fn unknown_jobs(&self) -> usize {
        self.core.state().unknown_jobs
    }
}

/// One connection: serves it until it ends, or the storage dies.
async fn live(core: Arc<Core>, stream: TcpStream) {
    let life = core.life();
    let Ok(socket) = SockRef::from(&stream).try_clone() else {
        return;
    };
    let open = Open {
        core: &core,
        number: core.last_connection.fetch_add(1, Ordering::Relaxed),
    };
    core.sockets().insert(open.number, socket);
    tokio::select! {
        () = connection::serve(&core, stream) => {}
        () = life.cancelled() => {}
    }
}

/// The connection is open while this lives. It goes after the connection itself.
struct Open<'a> {
    core: &'a Core,
    number: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.core.sockets().remove(&self.number);
    }
}
