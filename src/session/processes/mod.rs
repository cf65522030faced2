//! The other processes of this sdgroup while a handover lasts: predecessors, whose last jobs run, and a successor.
//!
//! Each listens on a socket in the state directory ([`serve`]) and is joined to every other ([`join`]). What they need
//! of each other is little: a data connection, or a cancel, goes to the process that has the job; a job begins in one
//! of them; a volume is not given to two storages; and each counts the places that the others' jobs have, and learns
//! which have ended. Without a handover nobody is asked, and the last jobs that have ended are kept for whoever may
//! join.

mod join;
mod message;
mod serve;
#[cfg(test)]
mod tests;
mod told;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::director::Caller;
use super::jobs::JobView;
use super::listed::SessionView;
use super::routes::{Found, Routes};
use crate::channel::Channel;
use crate::group::PastJob;
use crate::net::{deadline, pass};
use crate::telemetry::event::SessionKind;
use crate::types::{DirectorName, JobName, StorageName, VolumeName};
use crate::volumes::{RivalAnswer, Rivals, Silence};
use crate::wire::packet::Frame;
use message::{Connection, EndedShown, Tidings};

pub(super) use join::hold;
pub use join::join;
pub(super) use message::PlaceShown;
pub use message::{Introduction, Reply, Request};
pub(super) use serve::cancel;
pub use serve::serve;

/// How long another process may take to answer what it knows.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a job that has to make way may take, less than the answer about it.
const ENDS: Duration = Duration::from_secs(4);

/// How long it may take to have a storage cancel a job.
const CANCEL: Duration = Duration::from_secs(60);

/// How long a predecessor may take to tell what an operator looks at: longer, and it is left out.
const GLANCE: Duration = Duration::from_secs(1);

/// How many ended jobs are told to one who joins: they may not be on disk yet.
const LAST_ENDED: usize = 1000;

/// Tidings that wait for one who is slow to read them.
const KEPT: usize = 4096;

/// Another process.
#[derive(Debug)]
struct Process {
    whom: Introduction,
    /// It was there before this one.
    is_predecessor: bool,
    jobs: AtomicUsize,
    left: CancellationToken,
}

/// A predecessor as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// Its number in the system.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// How many jobs it has yet.
    pub jobs: usize,
}

/// The other processes.
#[derive(Debug)]
pub struct Processes {
    own: Mutex<Option<Introduction>>,
    known: Mutex<Vec<Arc<Process>>>,
    is_alone: AtomicBool,
    tidings: broadcast::Sender<Tidings>,
    last_ended: Mutex<VecDeque<EndedShown>>,
    /// Who waits for the successor that was started.
    expected: Mutex<Option<oneshot::Sender<UnixStream>>>,
    /// How many predecessors there are.
    predecessors: watch::Sender<usize>,
    stop: CancellationToken,
}

impl Default for Processes {
    fn default() -> Self {
        Self {
            own: Mutex::default(),
            known: Mutex::default(),
            is_alone: AtomicBool::new(true),
            tidings: broadcast::Sender::new(KEPT),
            last_ended: Mutex::default(),
            expected: Mutex::default(),
            predecessors: watch::Sender::new(0),
            stop: CancellationToken::new(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose job a data connection names.
#[derive(Debug)]
pub(super) enum Whose {
    /// This process's.
    Ours(Found),
    /// Another's, which waits for the connection.
    Theirs(UnixStream),
    /// Nobody's.
    Nobodys,
}

impl Processes {
    /// What this process says of itself, once others can ask it.
    pub fn introduce(&self, own: Introduction) {
        *lock(&self.own) = Some(own);
    }

    /// What this process says of itself, if others can ask it.
    #[must_use]
    pub fn introduction(&self) -> Option<Introduction> {
        lock(&self.own).clone()
    }

    /// Where the others can be asked.
    #[must_use]
    pub fn sockets(&self) -> Vec<PathBuf> {
        self.all().iter().map(|process| process.whom.socket.clone()).collect()
    }

    /// The predecessors.
    #[must_use]
    pub fn predecessors(&self) -> Vec<Predecessor> {
        let all = self.all().into_iter().filter(|process| process.is_predecessor);
        let shown = all.map(|process| Predecessor {
            pid: process.whom.pid,
            version: process.whom.version.clone(),
            jobs: process.jobs.load(Ordering::Relaxed),
        });
        shown.collect()
    }

    /// The numbers of all other processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.all().iter().map(|process| process.whom.pid).collect()
    }

    /// How many predecessors there are, as it changes.
    #[must_use]
    pub fn predecessors_left(&self) -> watch::Receiver<usize> {
        self.predecessors.subscribe()
    }

    /// Waits for the successor that is about to be started, which calls and asks for the sockets.
    pub fn expect(&self) -> oneshot::Receiver<UnixStream> {
        let (sender, receiver) = oneshot::channel();
        *lock(&self.expected) = Some(sender);
        receiver
    }

    /// Is cancelled when another process has asked this one to end at once.
    #[must_use]
    pub fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    /// Asks the predecessors to end at once.
    pub async fn stop_predecessors(&self) {
        self.ask_predecessors(&Request::Stop, ANSWER).await;
    }

    /// The jobs that predecessors run, in no order.
    pub async fn jobs(&self) -> Vec<JobView> {
        let told = self.ask_predecessors(&Request::Jobs, GLANCE).await;
        let views = told.into_iter().flat_map(|(pid, reply)| {
            let Reply::Jobs(jobs) = reply else { return Vec::new() };
            jobs.into_iter().filter_map(|job| job.view(pid)).collect()
        });
        views.collect()
    }

    /// The sessions of predecessors, by process and number.
    pub async fn sessions(&self) -> Vec<SessionView> {
        let told = self.ask_predecessors(&Request::Sessions, GLANCE).await;
        let mut views: Vec<_> = told.into_iter().flat_map(|(pid, reply)| seen(pid, reply)).collect();
        views.sort_by_key(|view| (view.process, view.number));
        views
    }

    /// Asks a session of the predecessor `pid` to end, and its job with it if it is a job's; returns it, or nothing
    /// when there is none of this number, or no such process.
    pub async fn end_session(&self, pid: u32, session: u64) -> Option<SessionView> {
        let mut all = self.all().into_iter();
        let process = all.find(|process| process.is_predecessor && process.whom.pid == pid)?;
        let (reply, _) = ask(&process.whom.socket, &Request::End { session }, ANSWER)
            .await
            .ok()?;
        seen(pid, reply).into_iter().next()
    }

    /// Asks every predecessor the same, and returns what those say that answer in time. One that does not is gone, or
    /// is beyond asking.
    async fn ask_predecessors(&self, request: &Request, patience: Duration) -> Vec<(u32, Reply)> {
        let mut asked = JoinSet::new();
        for process in self.all().into_iter().filter(|process| process.is_predecessor) {
            let request = request.clone();
            asked.spawn(async move {
                let (reply, _) = ask(&process.whom.socket, &request, patience).await.ok()?;
                Some((process.whom.pid, reply))
            });
        }
        asked.join_all().await.into_iter().flatten().collect()
    }

    fn all(&self) -> Vec<Arc<Process>> {
        lock(&self.known).clone()
    }

    /// Whether there is no other process.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.is_alone.load(Ordering::Acquire)
    }

    fn enter(&self, whom: Introduction, is_predecessor: bool) -> Arc<Process> {
        let process = Arc::new(Process {
            whom,
            is_predecessor,
            jobs: AtomicUsize::new(0),
            left: CancellationToken::new(),
        });
        lock(&self.known).push(Arc::clone(&process));
        self.count();
        process
    }

    fn leave(&self, process: &Arc<Process>) {
        lock(&self.known).retain(|known| !Arc::ptr_eq(known, process));
        self.count();
    }

    fn count(&self) {
        let known = lock(&self.known);
        self.is_alone.store(known.is_empty(), Ordering::Release);
        let predecessors = known.iter().filter(|process| process.is_predecessor).count();
        self.predecessors.send_replace(predecessors);
    }

    /// A job has ended, and this process is the one to tell the others, who place its next run.
    pub(super) fn ended(&self, job: &PastJob) {
        let shown = EndedShown::of(job);
        let mut last = lock(&self.last_ended);
        last.push_back(shown.clone());
        if last.len() > LAST_ENDED {
            last.pop_front();
        }
        drop(last);
        // Nobody listens when there is nobody.
        let _ = self.tidings.send(Tidings::Ended(shown));
    }

    /// Looks for the process that has the job, here and elsewhere, for up to `wait`.
    pub(super) async fn whose(&self, routes: &Arc<Routes>, job: &JobName, wait: Duration) -> Whose {
        if self.is_alone() {
            return routes.find(job, wait).await.map_or(Whose::Nobodys, Whose::Ours);
        }
        let mut theirs = JoinSet::new();
        for process in self.all() {
            let request = Request::Route {
                job: job.to_string(),
                wait: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            };
            theirs.spawn(async move {
                let (reply, link) = ask(&process.whom.socket, &request, wait + ANSWER).await.ok()?;
                matches!(reply, Reply::Ours).then_some(link)
            });
        }
        let elsewhere = async {
            while let Some(asked) = theirs.join_next().await {
                if let Ok(Some(link)) = asked {
                    return Some(link);
                }
            }
            None
        };
        let (mut ours, mut elsewhere) = (std::pin::pin!(routes.find(job, wait)), std::pin::pin!(elsewhere));
        tokio::select! {
            found = &mut ours => match found {
                Some(found) => Whose::Ours(found),
                None => elsewhere.await.map_or(Whose::Nobodys, Whose::Theirs),
            },
            link = &mut elsewhere => match link {
                Some(link) => Whose::Theirs(link),
                None => ours.await.map_or(Whose::Nobodys, Whose::Ours),
            },
        }
    }

    /// A Director begins a job here: an earlier instance of it in another process ends. Whether another Director has a
    /// job of that name there, from which it could not be told.
    pub(super) async fn begins(&self, director: &DirectorName, job: &JobName) -> bool {
        let request = Request::Begins {
            director: director.to_string(),
            job: job.to_string(),
        };
        for process in self.all() {
            if let Ok((Reply::Anothers, _)) = ask(&process.whom.socket, &request, ANSWER).await {
                return true;
            }
        }
        false
    }

    /// The storage that has a job of another process: one of this Director's, or anybody's.
    pub(super) async fn storage_of(&self, director: Option<&DirectorName>, job: &JobName) -> Option<StorageName> {
        let request = Request::Whereabouts {
            director: director.map(DirectorName::to_string),
            job: job.to_string(),
        };
        for process in self.all() {
            if let Ok((Reply::Storage(name), _)) = ask(&process.whom.socket, &request, ANSWER).await {
                return StorageName::new(&name).ok();
            }
        }
        None
    }

    /// Has another process cancel, or stop, its job. None when no other has it.
    pub(super) async fn cancel(&self, caller: &Caller, job: &JobName, line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let request = Request::Cancel {
            director: caller.name.to_string(),
            storage_version: caller.release.storage_version(),
            job: job.to_string(),
            line: line.to_vec(),
        };
        for process in self.all() {
            if let Ok((Reply::Lines(lines), _)) = ask(&process.whom.socket, &request, CANCEL).await {
                return Some(lines);
            }
        }
        None
    }
}

impl Rivals for Processes {
    fn claimed_by(&self, volume: &VolumeName, here: &StorageName) -> RivalAnswer {
        let processes = self.all();
        let request = Request::Claimed {
            volume: volume.to_string(),
            here: here.to_string(),
        };
        Box::pin(async move {
            for process in processes {
                match ask(&process.whom.socket, &request, ANSWER).await {
                    Ok((Reply::Storage(name), _)) => return Ok(StorageName::new(&name).ok()),
                    Ok(_) => {}
                    // Its jobs have ended with it.
                    Err(_) if process.left.is_cancelled() => {}
                    Err(error) if is_gone(&error) => {}
                    Err(error) => {
                        return Err(Silence {
                            pid: process.whom.pid,
                            cause: error.to_string(),
                        });
                    }
                }
            }
            Ok(None)
        })
    }
}

/// The sessions that a process has told.
fn seen(pid: u32, reply: Reply) -> Vec<SessionView> {
    let Reply::Sessions(sessions) = reply else {
        return Vec::new();
    };
    sessions.into_iter().filter_map(|session| session.view(pid)).collect()
}

/// Whether nobody is there any more.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}

/// Gives a caller's connection, of which `hello` and perhaps more has been read, to the process that has its job.
pub(super) async fn give(
    mut to: UnixStream,
    channel: Channel,
    hello: &Frame,
    kind: SessionKind,
    caller: SocketAddr,
) -> io::Result<()> {
    let (stream, unread) = channel.into_parts();
    let connection = Connection {
        is_storage: kind == SessionKind::Storage,
        read: [hello.as_bytes(), &unread].concat(),
        caller: Some(caller),
    };
    let text = serde_json::to_vec(&connection)?;
    pass::send(&mut to, &text, &[stream.as_fd()]).await
}

/// Says something.
///
/// # Errors
/// When the other end does not take it.
pub async fn say(to: &mut UnixStream, what: &(impl Serialize + Sync)) -> io::Result<()> {
    pass::send(to, &serde_json::to_vec(what)?, &[]).await
}

/// Hears something.
///
/// # Errors
/// When the other end does not say it, or something else.
pub async fn hear<T: DeserializeOwned>(from: &mut UnixStream) -> io::Result<T> {
    let (text, _) = pass::receive(from).await?;
    Ok(serde_json::from_slice(&text)?)
}

/// Asks the process at `socket`; what else there is to say on the connection may be said.
///
/// # Errors
/// When it is not there or does not answer in time.
pub async fn ask(socket: &Path, request: &Request, patience: Duration) -> io::Result<(Reply, UnixStream)> {
    let asked = deadline::within(patience, async {
        let mut stream = UnixStream::connect(socket).await?;
        say(&mut stream, request).await?;
        let reply = hear(&mut stream).await?;
        Ok((reply, stream))
    });
    asked.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
