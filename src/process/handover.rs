//! One process hands over to another: a successor is started, gets the listening sockets and everything that it has to
//! know, says that it is ready, and accepts from then on; the predecessor accepts nobody any more and lives until its
//! last job has ended. Until the successor serves, whatever goes wrong changes nothing.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::doors::{Attended, Doors, House, Inherited, Passed};
use super::error::ProcessError;
use super::systemd::Notifier;
use crate::net::{deadline, pass};
use crate::session::processes::{self, Request};
use crate::session::{Context, Lineage};
use crate::telemetry::event::HandoverBegun;

/// Tells a process where its predecessor can be asked.
const PREDECESSOR: &str = "SDGROUP_PREDECESSOR";

/// How long a successor may take to be ready: it reads a ledger and a history that may be large.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How long each further step may take.
const STEP: Duration = Duration::from_secs(10);

/// How long a successor that has hung up is given to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the predecessor says first, with the sockets.
#[derive(Debug, Serialize, Deserialize)]
struct Legacy {
    passed: Passed,
    /// Where all processes can be asked that the successor has to know.
    processes: Vec<PathBuf>,
    /// What its identities go on with, if they can.
    lineage: Option<Lineage>,
}

/// What the two say afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    /// The successor can serve.
    Ready,
    /// The predecessor accepts nobody any more.
    Go,
    /// The successor serves.
    Serving,
    /// The predecessor has told systemd.
    Yours,
}

/// What is wrong, in a sentence for the operator.
type Why = String;

fn broken(error: &io::Error) -> Why {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the other process has ended; its log tells why".to_owned()
        }
        io::ErrorKind::TimedOut => "the other process does not answer".to_owned(),
        io::ErrorKind::InvalidData => format!("the other process says something else: {error}"),
        _ => error.to_string(),
    }
}

async fn say(to: &mut UnixStream, what: &(impl Serialize + Sync)) -> Result<(), Why> {
    processes::say(to, what).await.map_err(|error| broken(&error))
}

async fn expect(from: &mut UnixStream, word: Word, patience: Duration) -> Result<(), Why> {
    let heard = deadline::within(patience, processes::hear(from)).await;
    let heard = heard.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let heard: Word = heard.map_err(|error| broken(&error))?;
    if heard == word {
        Ok(())
    } else {
        Err(format!("the other process says {heard:?} where {word:?} was expected"))
    }
}

/// The program, as it was when the process began.
#[derive(Debug, Clone)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// This one.
    pub(super) fn of_this_process() -> io::Result<Self> {
        Ok(Self {
            path: std::env::current_exe()?,
            arguments: std::env::args_os().skip(1).collect(),
        })
    }

    /// Whether there is another file in its place by now.
    pub(super) fn is_replaced(&self) -> bool {
        let identity = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.dev(), file.ino()))
        };
        identity(&self.path).is_some_and(|there| identity(Path::new("/proc/self/exe")) != Some(there))
    }

    fn start(&self, socket: &Path) -> io::Result<Child> {
        // The watchdog of the successor is its own.
        Command::new(&self.path)
            .args(&self.arguments)
            .env(PREDECESSOR, socket)
            .env_remove("WATCHDOG_PID")
            .spawn()
    }
}

/// A successor that has been started; killed when it is dropped before it serves.
#[derive(Debug)]
struct Successor {
    child: Child,
    pid: u32,
    is_serving: bool,
}

impl Successor {
    fn start(program: &Program, socket: &Path) -> Result<Self, Why> {
        let started = program.start(socket);
        let child = started.map_err(|error| format!("cannot start {}: {error}", program.path.display()))?;
        Ok(Self {
            // It has one until somebody waits for its end.
            pid: child.id().unwrap_or_default(),
            child,
            is_serving: false,
        })
    }

    /// Waits for its end, and tells it.
    async fn ended(&mut self) -> Why {
        match self.child.wait().await {
            Ok(status) => format!("the successor has ended ({status}); its log tells why"),
            Err(error) => format!("the successor has ended: {error}"),
        }
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_serving {
            let _ = self.child.start_kill();
        }
    }
}

/// A successor that is ready, and waits for the predecessor to make way.
#[derive(Debug)]
pub(super) struct Prepared {
    successor: Successor,
    stream: UnixStream,
}

/// Starts a successor and gives it what it needs. Nothing has changed until [`Prepared::commit`]; dropped, it is gone.
///
/// # Errors
/// When it cannot be started, ends, or is not ready in time.
pub(super) async fn prepare(program: &Program, context: &Context, doors: &Doors) -> Result<Prepared, Why> {
    let own = context.processes.introduction();
    let own = own.ok_or("other processes cannot call this one; its log tells why since it was started")?;
    let expected = context.processes.expect();
    let mut successor = Successor::start(program, &own.socket)?;
    let pid = successor.pid;
    HandoverBegun { successor: pid }.emit();
    let ready = async {
        let called = deadline::within(READY_WITHIN, expected).await;
        let mut stream = called
            .ok()
            .and_then(Result::ok)
            .ok_or("the successor does not call; is it of an older version?")?;
        let (passed, sockets) = doors.passed();
        let mut processes = context.processes.sockets();
        processes.push(own.socket);
        let legacy = Legacy {
            passed,
            processes,
            lineage: context.identities.lineage(),
        };
        let text = serde_json::to_vec(&legacy).map_err(|error| error.to_string())?;
        let sent = pass::send(&mut stream, &text, &sockets).await;
        sent.map_err(|error| format!("the sockets cannot be passed: {error}"))?;
        expect(&mut stream, Word::Ready, READY_WITHIN).await?;
        Ok(stream)
    };
    let stream = tokio::select! {
        biased;
        why = successor.ended() => return Err(why),
        ready = ready => ready,
    };
    match stream {
        Ok(stream) => Ok(Prepared { successor, stream }),
        // Why it hung up is best told by how it ends.
        Err(why) => Err(deadline::within(LAST_WORDS, successor.ended()).await.unwrap_or(why)),
    }
}

impl Prepared {
    /// Makes way. Returns the successor's number once it serves; when it does not, everything is again as it was.
    ///
    /// # Errors
    /// When it does not serve after all, with the doors attended again.
    pub(super) async fn commit(
        mut self,
        attended: Attended,
        doors: &Doors,
        (house, stop, lost): (&House, &CancellationToken, &CancellationToken),
        notifier: &Notifier,
    ) -> Result<u32, (Why, Attended)> {
        attended.end().await;
        let served = async {
            say(&mut self.stream, &Word::Go).await?;
            expect(&mut self.stream, Word::Serving, STEP).await
        };
        if let Err(why) = served.await {
            // It accepts nobody any more when we do.
            drop(self);
            return Err((why, doors.attend(house, stop, lost)));
        }
        self.successor.is_serving = true;
        let pid = self.successor.pid;
        notifier.hand_over(pid).await;
        // It serves whether it hears this or not.
        let _ = say(&mut self.stream, &Word::Yours).await;
        Ok(pid)
    }
}

/// A request for a handover, and whom to tell what came of it.
pub(super) type Wanted = oneshot::Sender<Result<u32, Why>>;

/// The process that started this one.
#[derive(Debug)]
pub(super) struct Predecessor {
    stream: UnixStream,
    /// All processes that this one has to know.
    pub(super) processes: Vec<PathBuf>,
    /// What identities go on with.
    pub(super) lineage: Option<Lineage>,
}

impl Predecessor {
    /// Whether the environment names one.
    pub(super) fn is_named() -> bool {
        std::env::var_os(PREDECESSOR).is_some()
    }

    /// The one that the environment names, if it does, and its sockets.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn from_environment() -> Result<Option<(Self, Inherited)>, ProcessError> {
        match std::env::var_os(PREDECESSOR) {
            Some(socket) => {
                let called = Self::call(Path::new(&socket)).await;
                called.map(Some).map_err(ProcessError::Handover)
            }
            None => Ok(None),
        }
    }

    async fn call(socket: &Path) -> Result<(Self, Inherited), Why> {
        let stream = UnixStream::connect(socket).await;
        let mut stream = stream.map_err(|error| format!("{}: {error}", socket.display()))?;
        say(&mut stream, &Request::TakeOver).await?;
        let given = deadline::within(STEP, pass::receive(&mut stream)).await;
        let given = given.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let (text, sockets) = given.map_err(|error| broken(&error))?;
        let Legacy {
            passed,
            processes,
            lineage,
        } = serde_json::from_slice(&text).map_err(|error| format!("the predecessor says something else: {error}"))?;
        let predecessor = Self {
            stream,
            processes,
            lineage,
        };
        Ok((predecessor, Inherited::new(&passed, sockets)))
    }

    /// This process can serve. Returns when it may.
    ///
    /// # Errors
    /// When the predecessor has thought better of it.
    pub(super) async fn ready(&mut self) -> Result<(), ProcessError> {
        let told = async {
            say(&mut self.stream, &Word::Ready).await?;
            expect(&mut self.stream, Word::Go, STEP).await
        };
        told.await.map_err(ProcessError::Handover)
    }

    /// This process serves. Returns when the predecessor has told systemd.
    pub(super) async fn serving(mut self) {
        if say(&mut self.stream, &Word::Serving).await.is_ok() {
            let _ = expect(&mut self.stream, Word::Yours, STEP).await;
        }
    }
}
