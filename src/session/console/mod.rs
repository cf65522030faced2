//! What a Director sends outside jobs: an operator's commands, and the cancelling of jobs. Where each goes is in the
//! [`commands`](super::commands) table.

pub(super) mod cancel;
mod exchange;
mod home;
mod merge;
mod status;

use std::borrow::Cow;
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use self::exchange::{Broken, Exchange, Label, Replied};
use self::home::Home;
use self::merge::{Form, Merge};
use super::commands::{End, Entry, Route};
use super::device::{Address, Words};
use super::director::Caller;
use super::error::StorageError;
use super::free_space;
use super::storage::{self, Patience, StorageLink};
use crate::channel::{Channel, ChannelError};
use crate::config::model;
use crate::types::StorageName;
use crate::wire::command::{self, Command};
use crate::wire::line::shown;
use crate::wire::packet::{Frame, Outbox, Signal};
use crate::wire::refusal::Refusal;
use crate::wire::verb::{DeviceVerb, Verb};

/// What follows a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The next command.
    Next,
    /// The connection is a job's from here on.
    Job,
    /// The end, told in order.
    Close,
    /// The Director is not there any more.
    Gone,
}

/// A Director's connection, as long as it is not a job's.
#[derive(Debug)]
pub(super) struct Console<'a> {
    caller: &'a Caller,
    /// Where the command before labelled a volume: a `mount` that follows means that one.
    labelled: Option<StorageName>,
    /// What the Director sent before it had its reply.
    early: Option<Frame>,
    /// It is about to bring a job, and wants to be told how far that is.
    wants_progress: bool,
}

impl<'a> Console<'a> {
    pub(super) fn new(caller: &'a Caller) -> Self {
        Self {
            caller,
            labelled: None,
            early: None,
            wants_progress: false,
        }
    }

    /// Whether the Director wants to be told how far the job is that it brings.
    pub(super) fn wants_progress(&self) -> bool {
        self.wants_progress
    }

    /// The Director's next packet.
    pub(super) async fn receive(&mut self, director: &mut Channel) -> Result<Frame, ChannelError> {
        match self.early.take() {
            Some(frame) => Ok(frame),
            None => director.receive().await,
        }
    }

    /// Answers one command.
    pub(super) async fn answer(&mut self, director: &mut Channel, line: &[u8]) -> After {
        let after = self.answered(director, line).await;
        if director.flush().await.is_err() {
            After::Gone
        } else {
            after
        }
    }

    async fn answered(&mut self, director: &mut Channel, line: &[u8]) -> After {
        let verb = Verb::of(line);
        if self.is_monitor() && !verb.is_for_monitors() {
            // A storage says both.
            director.outbox().message(Refusal::Monitor.to_line());
            director.outbox().signal(Signal::Eod);
            return refuse(director.outbox(), Verb::Unknown, line);
        }
        let entry = Entry::of(verb, self.caller.release);
        let labelled = self.labelled.take();
        match entry.route {
            Route::Job => After::Job,
            Route::Refused => refuse(director.outbox(), entry.verb, line),
            Route::Group => self.group(director, entry.verb, line).await,
            _ => match Command::parse(line) {
                Ok(command) => {
                    let asked = Asked { entry, command, line };
                    self.told(director, asked, labelled).await
                }
                Err(error) => say(director.outbox(), entry, entry.unreadable, error.to_string()),
            },
        }
    }

    /// What storages answer.
    async fn told(&mut self, director: &mut Channel, asked: Asked<'_>, labelled: Option<StorageName>) -> After {
        match &asked.command {
            Command::Cancel { job } | Command::Stop { job } => {
                return cancel::answer(self.caller, director.outbox(), job, asked.line).await;
            }
            Command::DotStatus { what, .. } if !status::is_known(what, self.caller.release) => {
                return status::refuse(director.outbox(), what, asked.line);
            }
            _ => {}
        }
        match self.goal(&asked, labelled).await {
            Ok(Goal::One(home)) => self.one(director, &asked, *home).await,
            Ok(Goal::All) => self.all(director, &asked).await,
            Err(reason) => say(director.outbox(), asked.entry, FAILED, reason),
        }
    }

    fn is_monitor(&self) -> bool {
        let caller = self.caller;
        let known = caller.context.model.director(caller.name.as_str());
        known.is_some_and(|director| director.monitor)
    }

    /// What sdgroup answers for the group.
    async fn group(&mut self, director: &mut Channel, verb: Verb, line: &[u8]) -> After {
        match verb {
            Verb::FreeSpace => free_space::answer(self.caller, director, line).await,
            Verb::PruneCache => {
                director.outbox().message("3900 Not yet implemented\n");
                After::Next
            }
            // `sendprogress` has no answer, and a connection that brings it is about to bring a job.
            _ => {
                self.wants_progress = true;
                After::Next
            }
        }
    }

    /// To whom the command goes.
    async fn goal(&self, asked: &Asked<'_>, labelled: Option<StorageName>) -> Result<Goal, String> {
        let (caller, command, route) = (self.caller, &asked.command, asked.entry.route);
        let members = &caller.group.members;
        let addressed = command
            .device()
            .and_then(|device| Address::read(members, device).member);
        let is_mount = asked.entry.verb == Verb::Device(DeviceVerb::Mount);
        let named = match (addressed, members.as_slice(), &labelled) {
            (Some(member), ..) => Some(member),
            (None, [only], _) => Some(only),
            (None, _, Some(member)) if is_mount => Some(member),
            _ => None,
        };
        if let Some(member) = named {
            if let Some(volume) = command.volume() {
                home::not_elsewhere(caller, volume, member).await?;
            }
            return home::of(caller, member).map(Goal::one);
        }
        match command {
            // A Director asks this of its own accord, to know whether to ask for a drive.
            Command::Autochanger { action: b"drives", .. } => Ok(Goal::All),
            Command::Label { place, .. } | Command::Device { place, .. }
                if place.slot > 0 && (is_mount || route == Route::HolderElsePlaced) =>
            {
                Err(home::one_is_meant(caller, Some(&place.device)))
            }
            Command::Label { volume, .. } => home::for_label(caller, volume).await.map(Goal::one),
            _ => match (route, command.volume()) {
                (Route::Addressed, _) => Err(home::one_is_meant(caller, command.device())),
                (_, Some(volume)) => home::of_volume(caller, volume).await.map(Goal::one),
                (_, None) => Ok(Goal::All),
            },
        }
    }

    /// Gives the command to one storage and its reply to the Director.
    async fn one(&mut self, director: &mut Channel, asked: &Asked<'_>, home: Home) -> After {
        let Home {
            storage,
            link,
            holds: _holds,
        } = home;
        status::before(self.caller, director.outbox(), asked);
        let link = match link {
            Some(link) => Ok(link),
            None => call(self.caller, &storage).await,
        };
        let mut merge = Merge::new(Form::Plain);
        let replied = match link {
            Ok(link) => self.exchange(director, asked, &storage, link, &mut merge).await,
            Err(error) => Err(Broken::Storage(error)),
        };
        match replied {
            Ok(Replied::Whole { labelled }) => {
                self.labelled = labelled.then(|| storage.name.clone());
                if asked.entry.ends == End::Eod {
                    director.outbox().signal(Signal::Eod);
                }
                After::Next
            }
            Ok(Replied::Parted) => After::Close,
            Err(Broken::Gone) => After::Gone,
            Err(broken) => {
                let reason = format!("storage {}: {broken}", storage.name);
                say(director.outbox(), asked.entry, FAILED, reason)
            }
        }
    }

    /// Gives the command to all members, and their replies, one after another, to the Director.
    async fn all(&mut self, director: &mut Channel, asked: &Asked<'_>) -> After {
        let caller = self.caller;
        status::before(caller, director.outbox(), asked);
        // All logins at once, so that several silent storages are waited for once.
        let members = caller.group.members.iter();
        let members = members.filter_map(|name| caller.context.model.storage(name.as_str()));
        let logins: Vec<_> = members
            .map(|storage| {
                let (caller, member) = (caller.clone(), Arc::clone(storage));
                let login = tokio::spawn(async move { call(&caller, &member).await });
                (Arc::clone(storage), AbortOnDropHandle::new(login))
            })
            .collect();
        let mut merge = Merge::new(Form::of(asked));
        for (storage, login) in logins {
            merge.begin(&storage, director.outbox());
            let replied = match login.await {
                Ok(Ok(link)) => self.exchange(director, asked, &storage, link, &mut merge).await,
                Ok(Err(error)) => Err(Broken::Storage(error)),
                // The process ends.
                Err(_) => Err(Broken::Gone),
            };
            match replied {
                Ok(Replied::Whole { .. } | Replied::Parted) => merge.end(director.outbox()),
                Err(Broken::Gone) => return After::Gone,
                Err(broken) => merge.failed(&storage.name, &broken.to_string(), director.outbox()),
            }
            if director.flush().await.is_err() {
                return After::Gone;
            }
        }
        merge.finish(director.outbox());
        if asked.entry.ends == End::Eod {
            director.outbox().signal(Signal::Eod);
        }
        After::Next
    }

    /// One storage's reply, in its place among the others'.
    async fn exchange(
        &mut self,
        director: &mut Channel,
        asked: &Asked<'_>,
        storage: &model::Storage,
        link: StorageLink,
        merge: &mut Merge,
    ) -> Result<Replied, Broken> {
        let patience = Patience::from(&*self.caller.group);
        let exchange = Exchange {
            caller: self.caller,
            storage: &storage.name,
            ends: asked.entry.ends,
            label: Label::of(&asked.command),
            early: &mut self.early,
            merge,
        };
        let told = asked.in_words_of(&Words::new(&self.caller.group, storage));
        exchange
            .run(director, link, &told, asked.entry.takes.time(patience.login))
            .await
    }
}

/// One command of a Director's, read.
#[derive(Debug)]
struct Asked<'a> {
    entry: &'static Entry,
    command: Command<'a>,
    line: &'a [u8],
}

impl Asked<'_> {
    /// The line in a member's words.
    fn in_words_of(&self, words: &Words) -> Cow<'_, [u8]> {
        let Some(said) = self.command.device() else {
            return Cow::Borrowed(self.line);
        };
        let device = words.device(said);
        let media_type = self.command.media_type().map(|said| words.media_type(said));
        match command::with_device(self.line, &device, media_type.as_ref()) {
            Some(line) => Cow::Owned(line),
            None => Cow::Borrowed(self.line),
        }
    }
}

/// To whom a command goes.
#[derive(Debug)]
enum Goal {
    One(Box<Home>),
    All,
}

impl Goal {
    fn one(home: Home) -> Self {
        Self::One(Box::new(home))
    }
}

/// Logs in to a storage as the Director.
async fn call(caller: &Caller, storage: &model::Storage) -> Result<StorageLink, StorageError> {
    let patience = Patience::from(&*caller.group);
    storage::call(storage, &caller.name, caller.release, patience).await
}

/// What cannot be done, as opposed to what is not understood.
const FAILED: u16 = 3999;

/// Says in the command's own form that nothing comes of it.
fn say(to_director: &mut Outbox, entry: &Entry, code: u16, reason: String) -> After {
    to_director.message(Refusal::Coded { code, reason }.to_line());
    if entry.ends == End::Eod {
        to_director.signal(Signal::Eod);
    }
    After::Next
}

/// Refuses what no storage does outside a job, in its words.
fn refuse(to_director: &mut Outbox, verb: Verb, line: &[u8]) -> After {
    let found = shown(line);
    let refusal = match verb {
        Verb::UseStorage => Refusal::Use { found },
        Verb::Bootstrap => Refusal::Bootstrap,
        Verb::Storage => Refusal::Storage,
        Verb::Client => Refusal::Client,
        Verb::Die => return After::Close,
        _ => Refusal::Invalid { command: found },
    };
    to_director.message(refusal.to_line());
    After::Close
}
