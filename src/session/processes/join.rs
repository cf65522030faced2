//! Two processes tell each other which places their jobs have, and which jobs have ended, for as long as both live.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, oneshot};

use super::message::{Introduction, PlaceShown, Reply, Request, Tidings};
use super::{ANSWER, Process, ask, lock};
use crate::group::{Directory, Place, Slot};
use crate::net::pass;
use crate::session::Current;

/// Joins the process at `socket`, which was there before. Returns when its places are counted here; the rest goes on by
/// itself until one of the two ends.
///
/// # Errors
/// When it does not answer.
pub async fn join(current: &Arc<Current>, own: &Introduction, socket: &Path) -> io::Result<()> {
    let (reply, stream) = ask(socket, &Request::Join(own.clone()), ANSWER).await?;
    let Reply::Welcome(whom) = reply else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it does not introduce itself",
        ));
    };
    let (counted, first) = oneshot::channel();
    let current = Arc::clone(current);
    tokio::spawn(async move { keep(&current, stream, whom, true, Some(counted)).await });
    // An error is its end.
    let _ = tokio::time::timeout(ANSWER, first).await;
    Ok(())
}

/// Tells and listens until one of the two ends. `counted` is told when the other's places are counted.
pub(super) async fn keep(
    current: &Arc<Current>,
    stream: UnixStream,
    whom: Introduction,
    is_predecessor: bool,
    counted: Option<oneshot::Sender<()>>,
) {
    let processes = Arc::clone(&current.context().processes);
    let process = processes.enter(whom, is_predecessor);
    let (reader, writer) = stream.into_split();
    // How it ends is of no interest: the other is gone.
    tokio::select! {
        _ = tell(current, writer) => {}
        _ = listen(current, &process, reader, counted) => {}
    }
    process.left.cancel();
    processes.leave(&process);
}

async fn tell(current: &Current, mut to: OwnedWriteHalf) -> io::Result<()> {
    let context = current.context();
    let mut tidings = context.processes.tidings.subscribe();
    let last: Vec<_> = lock(&context.processes.last_ended).iter().cloned().collect();
    let mut jobs = context.jobs.count();
    // However often it is renewed, it shows the same places.
    let directory = Arc::clone(&context.directory);
    drop(context);
    let (mut seen, mut told) = (0, None);
    for ended in last {
        write(&mut to, &Tidings::Ended(ended)).await?;
    }
    loop {
        let places = directory.places();
        let places = Tidings::Places {
            jobs: *jobs.borrow_and_update(),
            places: places
                .iter()
                .map(|(place, jobs)| PlaceShown::of(place, *jobs))
                .collect(),
        };
        if told.as_ref() != Some(&places) {
            write(&mut to, &places).await?;
            told = Some(places);
        }
        tokio::select! {
            () = directory.places_changed(&mut seen) => {}
            changed = jobs.changed() => if changed.is_err() {
                return Ok(());
            },
            ended = tidings.recv() => match ended {
                Ok(ended) => write(&mut to, &ended).await?,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
        }
    }
}

async fn write(to: &mut OwnedWriteHalf, tidings: &Tidings) -> io::Result<()> {
    pass::write(to, &serde_json::to_vec(tidings)?).await
}

async fn listen(
    current: &Current,
    process: &Process,
    mut from: OwnedReadHalf,
    mut counted: Option<oneshot::Sender<()>>,
) -> io::Result<()> {
    // Given back when the other is gone, and with it its jobs.
    let mut held = HashMap::new();
    loop {
        let text = pass::read(&mut from).await?;
        // Another version may have more to tell than this one knows.
        let Ok(tidings) = serde_json::from_slice(&text) else {
            continue;
        };
        match tidings {
            Tidings::Places { jobs, places } => {
                process.jobs.store(jobs, Ordering::Relaxed);
                hold(&current.context().directory, &mut held, &places);
                if let Some(counted) = counted.take() {
                    // Nobody waits for it any more.
                    let _ = counted.send(());
                }
            }
            Tidings::Ended(ended) => {
                if let Some(job) = ended.job() {
                    current.context().remember(&[job]);
                }
            }
        }
    }
}

/// Holds as many places as the other process has, no more and no less.
pub(in crate::session) fn hold(directory: &Directory, held: &mut HashMap<Place, Vec<Slot>>, places: &[PlaceShown]) {
    let wanted: HashMap<Place, usize> = places
        .iter()
        .filter_map(|shown| Some((shown.place()?, shown.jobs)))
        .collect();
    for (place, jobs) in &wanted {
        let slots = held.entry(place.clone()).or_default();
        while slots.len() < *jobs
            && let Some(slot) = directory.hold(place)
        {
            slots.push(slot);
        }
    }
    held.retain(|place, slots| {
        slots.truncate(wanted.get(place).copied().unwrap_or(0));
        !slots.is_empty()
    });
}
