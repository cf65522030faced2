//! The signals that the process listens to.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::telemetry::event::ReloadUnsupported;

/// A third stop signal is of no use, so there is no need to keep more.
const KEPT: usize = 4;

/// Listens to SIGTERM and SIGINT, whose names come out of the result, and answers SIGHUP. Must be called within a
/// tokio runtime.
///
/// # Errors
/// When the system does not let the process listen.
pub(super) fn listen() -> io::Result<mpsc::Receiver<&'static str>> {
    let (sender, receiver) = mpsc::channel(KEPT);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                () = came(&mut terminate) => "SIGTERM",
                () = came(&mut interrupt) => "SIGINT",
                () = came(&mut hangup) => {
                    ReloadUnsupported.emit();
                    continue;
                }
                () = sender.closed() => return,
            };
            // A full channel holds more stop signals than anybody acts on.
            let _ = sender.try_send(name);
        }
    });
    Ok(receiver)
}

/// Waits for the signal; for ever, when it cannot come any more.
async fn came(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
