//! What other processes ask.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::message::{Connection, Reply, Request};
use super::told::{JobTold, SessionTold};
use super::{ANSWER, ENDS, hear, join, lock, say};
use crate::channel::Channel;
use crate::net::{deadline, pass};
use crate::session::console::cancel;
use crate::session::director::Caller;
use crate::session::front::{self, Arrival};
use crate::session::{Context, Current, ListedSession, Stop, data};
use crate::telemetry::event::SessionKind;
use crate::types::{DirectorName, JobName, Release, StorageName, VolumeName};
use crate::wire::hello::Hello;
use crate::wire::packet::{Frame, MAX_LOGIN_BYTES};

/// Answers other processes until `stop`.
pub async fn serve(current: Arc<Current>, listener: UnixListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let current = Arc::clone(&current);
                // One that asks wrongly, or leaves, gets no answer.
                tokio::spawn(async move { answer(&current, stream).await });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

pub(super) async fn answer(current: &Arc<Current>, mut stream: UnixStream) -> io::Result<()> {
    let request = deadline::within(ANSWER, hear(&mut stream)).await;
    let request: Request = match request.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        // Another version may ask what this one cannot know.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return say(&mut stream, &Reply::Nothing).await,
        request => request?,
    };
    let context = current.context();
    let reply = match request {
        Request::TakeOver => {
            // Only the one that was started is expected.
            if let Some(expected) = lock(&context.processes.expected).take() {
                let _ = expected.send(stream);
            }
            return Ok(());
        }
        Request::Join(whom) => {
            let Some(own) = context.processes.introduction() else {
                return Ok(());
            };
            say(&mut stream, &Reply::Welcome(own)).await?;
            join::keep(current, stream, whom, false, None).await;
            return Ok(());
        }
        Request::Route { job, wait } => return route(context, stream, &job, Duration::from_millis(wait)).await,
        Request::Claimed { volume, here } => claimed(&context, &volume, &here),
        Request::Whereabouts { director, job } => whereabouts(&context, director.as_deref(), &job),
        Request::Begins { director, job } => begins(&context, &director, &job).await,
        Request::Cancel {
            director,
            storage_version,
            job,
            line,
        } => {
            let packets = cancel(&context, &director, storage_version, &job, &line).await;
            packets.map(Reply::Lines)
        }
        Request::Jobs => Some(Reply::Jobs(
            context.jobs.all().iter().map(|job| JobTold::of(&job.view())).collect(),
        )),
        Request::Sessions => Some(sessions(&context.listed.all())),
        Request::End { session } => context.listed.end(session).map(|session| sessions(&[session])),
        Request::Stop => {
            context.processes.stop.cancel();
            None
        }
    };
    say(&mut stream, &reply.unwrap_or(Reply::Nothing)).await
}

fn sessions(sessions: &[Arc<ListedSession>]) -> Reply {
    Reply::Sessions(
        sessions
            .iter()
            .map(|session| SessionTold::of(&session.view()))
            .collect(),
    )
}

fn claimed(context: &Context, volume: &str, here: &str) -> Option<Reply> {
    let storage = context.ledger.claimed_by(&VolumeName::new(volume).ok()?)?;
    (storage.as_str() != here).then(|| Reply::Storage(storage.to_string()))
}

fn whereabouts(context: &Context, director: Option<&str>, job: &str) -> Option<Reply> {
    let job = JobName::new(job).ok()?;
    let found = match director {
        Some(director) => context.jobs.find(&DirectorName::new(director).ok()?, &job),
        None => context.jobs.find_any(&job),
    };
    let storage: StorageName = found?.storage()?;
    Some(Reply::Storage(storage.to_string()))
}

async fn begins(context: &Context, director: &str, job: &str) -> Option<Reply> {
    let (director, job) = (DirectorName::new(director).ok()?, JobName::new(job).ok()?);
    if context.routes.is_in_use(&director, &job) {
        return Some(Reply::Anothers);
    }
    let earlier = context.jobs.find(&director, &job)?;
    earlier.stop(Stop::Replaced);
    drop(earlier);
    // Until then the later one's data connection would be taken for its.
    let mut count = context.jobs.count();
    let gone = async { while context.jobs.find(&director, &job).is_some() && count.changed().await.is_ok() {} };
    let _ = deadline::within(ENDS, gone).await;
    None
}

/// What is said of a job of this process that a Director wants to end; none if there is none.
pub(in crate::session) async fn cancel(
    context: &Arc<Context>,
    director: &str,
    storage_version: u32,
    job: &str,
    line: &[u8],
) -> Option<Vec<Vec<u8>>> {
    let (name, job) = (DirectorName::new(director).ok()?, JobName::new(job).ok()?);
    let group = context.jobs.find(&name, &job)?.facts.group.clone();
    let caller = Caller {
        context: Arc::clone(context),
        group: Arc::clone(context.model.group(group.as_str())?),
        name,
        release: Release::from_storage(storage_version)?,
        peer: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
    };
    let frames = cancel::here(&caller, &job, line).await?;
    Some(frames.iter().map(|frame| frame.as_bytes().to_vec()).collect())
}

/// Takes a data connection over if its job is here.
async fn route(context: Arc<Context>, mut stream: UnixStream, job: &str, wait: Duration) -> io::Result<()> {
    let job = JobName::new(job).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    if context.routes.find(&job, wait).await.is_none() {
        return say(&mut stream, &Reply::Nothing).await;
    }
    // Until the caller has a place here he keeps the one that he has there.
    let place = front::place(&context).await;
    say(&mut stream, &Reply::Ours).await?;
    let given = deadline::within(ANSWER, pass::receive(&mut stream)).await;
    let (text, passed) = given.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let Connection {
        is_storage,
        read,
        caller,
    } = serde_json::from_slice(&text)?;
    let Some(socket) = passed.into_iter().next() else {
        return Ok(());
    };
    let tcp = std::net::TcpStream::from(socket);
    tcp.set_nonblocking(true)?;
    let tcp = TcpStream::from_std(tcp)?;
    let peer = caller.map_or_else(|| tcp.peer_addr(), Ok)?;
    let mut read = BytesMut::from(&*read);
    let frame = Frame::take(&mut read, MAX_LOGIN_BYTES).ok().flatten();
    let Some((Ok(Hello::Client(hello)), frame)) = frame.map(|frame| (front::read(&frame), frame)) else {
        return Ok(());
    };
    let channel = Channel::resumed(tcp.into(), read);
    let kind = if is_storage {
        SessionKind::Storage
    } else {
        SessionKind::Client
    };
    let sessions = context.sessions.clone();
    let arrival = Arrival::passed(peer, kind, place);
    sessions.spawn(data::run(context, channel, hello, frame, arrival, kind));
    Ok(())
}
