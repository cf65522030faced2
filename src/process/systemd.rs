//! What systemd is told, and what it asks for (`sd_notify(3)`). Without systemd all of it is nothing.
//!
//! The socket of a systemd that is busy fills up, and sending to it then blocks. A task of its own waits for that, so
//! that nobody else does; while it waits, what is of passing interest is dropped.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as Socket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::drain::Remaining;

/// How long one progress message of a drain lasts, against `TimeoutStopSec=`.
const EXTENSION: Duration = Duration::from_secs(180);

/// Messages that may wait for systemd.
const KEPT: usize = 16;

/// How long the last messages are waited for.
const FAREWELL: Duration = Duration::from_secs(1);

/// Tells systemd how the process is.
#[derive(Debug)]
pub(super) struct Notifier {
    messages: Option<mpsc::Sender<Message>>,
    teller: Option<JoinHandle<()>>,
    /// Another process is the service: systemd takes nobody else's word.
    is_silent: AtomicBool,
}

/// What is to be told, and whom to tell that it has been.
type Message = (String, Option<oneshot::Sender<()>>);

impl Notifier {
    /// One that tells whom the environment names, if it names somebody who can be reached. Must be called within a
    /// tokio runtime.
    pub(super) fn from_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|address| connect(&address).ok());
        socket.map_or_else(Self::silent, Self::to)
    }

    /// One that tells nobody.
    pub(super) fn silent() -> Self {
        Self {
            messages: None,
            teller: None,
            is_silent: AtomicBool::new(false),
        }
    }

    fn to(socket: UnixDatagram) -> Self {
        let (messages, mut waiting) = mpsc::channel::<Message>(KEPT);
        let teller = tokio::spawn(async move {
            while let Some((message, told)) = waiting.recv().await {
                // A message that cannot be sent changes nothing for the jobs.
                let _ = socket.send(message.as_bytes()).await;
                let _ = told.map(|told| told.send(()));
            }
        });
        Self {
            messages: Some(messages),
            teller: Some(teller),
            is_silent: AtomicBool::new(false),
        }
    }

    fn tell(&self, message: impl Into<String>) {
        if let Some(messages) = self.messages.as_ref().filter(|_| !self.is_silent()) {
            let _ = messages.try_send((message.into(), None));
        }
    }

    fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    /// Says nothing before [`Notifier::take_over`].
    pub(super) fn hold(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
    }

    /// This process is the service from now on, and tells how it is. The watchdog may have waited for half its time
    /// already.
    pub(super) fn take_over(&self) {
        self.is_silent.store(false, Ordering::Relaxed);
        self.pet_watchdog();
    }

    /// The process `pid` is the service from now on, and tells how it is. Waits, within reason, until systemd knows.
    pub(super) async fn hand_over(&self, pid: u32) {
        self.hold();
        let Some(messages) = &self.messages else { return };
        let (told, known) = oneshot::channel();
        let telling = async {
            let message = (format!("MAINPID={pid}"), Some(told));
            if messages.send(message).await.is_ok() {
                let _ = known.await;
            }
        };
        let _ = timeout(FAREWELL, telling).await;
    }

    /// The process serves.
    pub(super) fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// The process is about to end, when its jobs have.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=no new jobs, waiting for the running ones");
    }

    /// A drain goes on: the unit is not to be killed because of `TimeoutStopSec=`.
    pub(super) fn draining(&self, remaining: Remaining) {
        let Remaining { jobs, sessions } = remaining;
        let extension = EXTENSION.as_micros();
        self.tell(format!(
            "EXTEND_TIMEOUT_USEC={extension}\nSTATUS=draining: {jobs} jobs, {sessions} sessions"
        ));
    }

    /// The process is well.
    pub(super) fn pet_watchdog(&self) {
        self.tell("WATCHDOG=1");
    }

    /// Waits, within reason, until systemd has what it was told.
    pub(super) async fn finish(&mut self) {
        self.messages = None;
        if let Some(teller) = self.teller.take() {
            let _ = timeout(FAREWELL, teller).await;
        }
    }
}

/// A socket to `address`: a path, or the name of an abstract socket after an `@`.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let peer = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = Socket::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&peer)?;
    UnixDatagram::from_std(socket)
}

/// How often the watchdog wants to hear from this process, if there is one: twice as often as it would bite.
pub(super) fn watchdog_period() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    period(number("WATCHDOG_USEC"), number("WATCHDOG_PID"), std::process::id())
}

fn period(microseconds: Option<u64>, watched: Option<u64>, own: u32) -> Option<Duration> {
    let is_for_us = watched.is_none_or(|watched| watched == u64::from(own));
    let period = Duration::from_micros(microseconds? / 2);
    (is_for_us && !period.is_zero()).then_some(period)
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_it_bites_if_it_is_ours() {
        let second = Some(1_000_000);
        assert_eq!(period(second, Some(7), 7), Some(Duration::from_millis(500)));
        assert_eq!(period(second, None, 7), Some(Duration::from_millis(500)));
        assert_eq!(period(second, Some(8), 7), None);
        assert_eq!(period(Some(0), Some(7), 7), None);
        assert_eq!(period(None, Some(7), 7), None);
    }

    #[tokio::test]
    async fn a_systemd_that_does_not_listen_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = Socket::bind(&path).unwrap();
        systemd.set_nonblocking(true).unwrap();
        let mut notifier = Notifier::to(connect(path.as_os_str()).unwrap());
        notifier.ready();
        // More than its socket and the channel hold: this returns nevertheless.
        for _ in 0..10_000 {
            notifier.pet_watchdog();
            tokio::task::yield_now().await;
        }
        let mut buffer = [0_u8; 64];
        let length = systemd.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1\nSTATUS=serving");
        // Once it listens again, what waited arrives.
        let said = CancellationToken::new();
        let all_said = said.clone();
        let drained = tokio::spawn(async move {
            let systemd = UnixDatagram::from_std(systemd).unwrap();
            let mut messages = 0;
            let mut buffer = [0_u8; 64];
            loop {
                tokio::select! {
                    biased;
                    received = systemd.recv(&mut buffer) => received.map(|_| messages += 1).unwrap(),
                    () = all_said.cancelled() => break,
                }
            }
            // What the runtime has not heard of yet.
            let systemd = systemd.into_std().unwrap();
            while systemd.recv(&mut buffer).is_ok() {
                messages += 1;
            }
            messages
        });
        notifier.finish().await;
        said.cancel();
        assert!(
            drained.await.unwrap() > KEPT,
            "what the channel held arrives after what the socket held"
        );
    }

    #[tokio::test]
    async fn an_abstract_socket_is_found_by_its_name() {
        let name = format!("sdgroup-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let systemd = Socket::bind_addr(&address).unwrap();
        systemd.set_nonblocking(true).unwrap();
        let systemd = UnixDatagram::from_std(systemd).unwrap();
        let notifier = Notifier::to(connect(OsStr::new(&format!("@{name}"))).unwrap());
        notifier.stopping();
        let mut buffer = [0_u8; 64];
        let length = systemd.recv(&mut buffer).await.unwrap();
        assert!(buffer[..length].starts_with(b"STOPPING=1\n"));
    }
}
