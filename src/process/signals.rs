//! The signals that the process listens to.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// A third stop signal is of no use, so there is no need to keep more.
const KEPT: usize = 4;

/// What signals ask for.
#[derive(Debug)]
pub(super) struct Signals {
    /// The names of signals that end the process: SIGTERM, SIGINT.
    pub(super) stops: mpsc::Receiver<&'static str>,
    /// SIGHUP. Several that come while one is served are one.
    pub(super) reloads: mpsc::Receiver<()>,
}

/// Listens to them. Must be called within a tokio runtime.
///
/// # Errors
/// When the system does not let the process listen.
pub(super) fn listen() -> io::Result<Signals> {
    let (sender, stops) = mpsc::channel(KEPT);
    let (reload, reloads) = mpsc::channel(1);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                () = came(&mut terminate) => "SIGTERM",
                () = came(&mut interrupt) => "SIGINT",
                () = came(&mut hangup) => {
                    let _ = reload.try_send(());
                    continue;
                }
                () = sender.closed() => return,
            };
            // A full channel holds more stop signals than anybody acts on.
            let _ = sender.try_send(name);
        }
    });
    Ok(Signals { stops, reloads })
}

/// Waits for the signal; for ever, when it cannot come any more.
async fn came(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
