//! A Director's connection: its login, then its commands, until one of them makes it a job's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::console::{After, Console};
use super::context::Context;
use super::front::Arrival;
use super::job::{self, Facts};
use super::listed::{Ends, SessionFacts};
use super::storage::{certificates, policy};
use super::{dice, end};
use crate::channel::{Channel, ChannelError, drive};
use crate::config::model;
use crate::handshake;
use crate::net::deadline;
use crate::telemetry::event::{LoginRefused, PacketCause, PacketRefused, SessionEnded, SessionKind};
use crate::types::{DirectorName, Release};
use crate::wire::hello::DirectorHello;
use crate::wire::job::JobCommand;
use crate::wire::packet::Signal;
use crate::wire::refusal::Refusal;

/// A Director that has logged in.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) context: Arc<Context>,
    pub(super) group: Arc<model::Group>,
    /// Spelled as in the configuration.
    pub(super) name: DirectorName,
    pub(super) release: Release,
    pub(super) peer: SocketAddr,
}

/// Runs the connection to its end.
pub(super) async fn run(
    context: Arc<Context>,
    mut channel: Channel,
    hello: DirectorHello,
    group: Arc<model::Group>,
    arrival: Arrival,
) {
    let peer = arrival.peer;
    let began = Instant::now();
    let Some(caller) = log_in(context, &mut channel, &hello, group, peer).await else {
        return end::part(channel).await;
    };
    let session = arrival.known();
    let end = CancellationToken::new();
    let listed = caller.context.listed.enter(
        SessionFacts {
            kind: SessionKind::Console,
            peer,
            director: caller.name.clone(),
            group: caller.group.name.clone(),
            job: None,
        },
        Ends::Token(end.clone()),
    );
    let served = tokio::select! {
        served = serve(&caller, channel) => served,
        () = end.cancelled() => Served::Console("ended_by_operator"),
    };
    drop(listed);
    let ended = match served {
        Served::Console(end) => end,
        Served::Job(channel, announcement) => {
            let Announcement {
                command,
                line,
                wants_progress,
            } = *announcement;
            let facts = Facts {
                context: caller.context,
                group: caller.group,
                director: caller.name,
                release: caller.release,
                peer,
                arrived: Instant::now(),
                command,
                line,
                wants_progress,
            };
            return job::run(facts, channel, session).await;
        }
    };
    let kind = SessionKind::Console;
    let session = session.known_as(kind);
    SessionEnded {
        kind,
        peer,
        job: None,
        group: Some(&caller.group.name),
        storage: None,
        policy: None,
        reason: None,
        to_storage_bytes: 0,
        from_storage_bytes: 0,
        duration: began.elapsed(),
        end: ended,
        status: None,
        error: None,
    }
    .emit();
    drop(session);
}

async fn log_in(
    context: Arc<Context>,
    channel: &mut Channel,
    hello: &DirectorHello,
    group: Arc<model::Group>,
    peer: SocketAddr,
) -> Option<Caller> {
    let refused = |cause: &'static str, error: &dyn std::fmt::Display| {
        LoginRefused {
            kind: SessionKind::Director,
            peer,
            name: Some(hello.name.as_str()),
            cause,
            error,
        }
        .emit();
    };
    let Some(known) = context.model.director(hello.name.as_str()) else {
        refused("unknown", &"no [[Director]] of that name in the configuration");
        // A storage says nothing to a Director that it does not know.
        channel.outbox().signal(Signal::Terminate);
        return None;
    };
    // A Director without a number is older than any that storages still talk to.
    let Some(release) = hello.version.and_then(Release::from_director) else {
        refused("version", &"the Director is of no release that sdgroup knows");
        channel.outbox().signal(Signal::Terminate);
        return None;
    };
    let release = release_of_members(&context, &group, release);
    let key = handshake::DirectorKey::new(&known.password);
    let certificates = certificates(&known.tls, None);
    let first = handshake::director::Login::start(
        hello,
        &key,
        &context.model.name,
        dice::challenge_random(),
        release.storage_version(),
        policy(&known.tls),
        channel.outbox(),
    );
    match deadline::within(context.model.login_timeout, drive(channel, first, certificates)).await {
        Ok(Ok(_)) => {
            let name = known.name.clone();
            Some(Caller {
                context,
                group,
                name,
                release,
                peer,
            })
        }
        Ok(Err(error)) => {
            refused(error.label(), &error);
            None
        }
        Err(expired) => {
            refused("silent", &expired);
            None
        }
    }
}

/// Which of the releases whose Directors say the same number the group speaks: the one that its members say, as far as
/// probes have seen them. All are of the Director's own release where everything is well; where they are mixed, the
/// first that is seen decides, and the others get no jobs of this Director's.
fn release_of_members(context: &Context, group: &model::Group, said: Release) -> Release {
    let live = context.directory.group(&group.name);
    let now = Instant::now();
    let seen = live.iter().flat_map(|group| group.members().iter());
    seen.filter_map(|member| Release::from_storage(member.view(now).storage_version?))
        .find(|release| release.director_version() == said.director_version())
        .unwrap_or(said)
}

enum Served {
    /// It was a console's connection, which has ended in this way.
    Console(&'static str),
    /// It has become a job's.
    Job(Channel, Box<Announcement>),
}

/// The command that made a connection a job's.
struct Announcement {
    command: JobCommand,
    line: Vec<u8>,
    /// Its Director wants to be told how far the job is.
    wants_progress: bool,
}

/// Answers commands until the connection ends or becomes a job's.
async fn serve(caller: &Caller, mut channel: Channel) -> Served {
    let mut console = Console::new(caller);
    let mut scratch = Vec::new();
    loop {
        let frame = match console.receive(&mut channel).await {
            Ok(frame) => frame,
            Err(ChannelError::Packet(error)) => {
                let cause = PacketCause::Oversize;
                PacketRefused {
                    kind: SessionKind::Director,
                    peer: caller.peer,
                    cause,
                    error: &error,
                }
                .emit();
                return Served::Console("packet");
            }
            Err(_) => return Served::Console("closed"),
        };
        let line = match frame.text(&mut scratch) {
            Ok(Some(text)) if !text.is_empty() => text.to_vec(),
            // A storage ends the connection at any signal, and at an empty message, where it expects a command.
            Ok(_) => {
                end::part(channel).await;
                return Served::Console("terminated");
            }
            Err(error) => {
                let cause = PacketCause::Garbage;
                PacketRefused {
                    kind: SessionKind::Director,
                    peer: caller.peer,
                    cause,
                    error: &error,
                }
                .emit();
                return Served::Console("packet");
            }
        };
        match console.answer(&mut channel, &line).await {
            After::Next => {}
            After::Job => match JobCommand::parse(&line) {
                Ok(command) => {
                    let announcement = Announcement {
                        command,
                        line,
                        wants_progress: console.wants_progress(),
                    };
                    return Served::Job(channel, Box::new(announcement));
                }
                Err(error) => {
                    let reason = error.to_string();
                    channel.outbox().message(Refusal::Job { reason }.to_line());
                    channel.outbox().signal(Signal::Terminate);
                    end::part(channel).await;
                    return Served::Console("bad_job");
                }
            },
            After::Close => {
                channel.outbox().signal(Signal::Terminate);
                end::part(channel).await;
                return Served::Console("closed_by_us");
            }
            After::Gone => return Served::Console("lost"),
        }
    }
}
