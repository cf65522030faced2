//! Who calls, and a Director's commands (Bacula `src/stored/dircmd.c`, `hello.c`).

use std::sync::Arc;

use sdgroup::handshake::{DirectorKey, TlsPolicy, client, director};
use sdgroup::types::{JobId, JobName, Release, Secret, SessionKey};
use sdgroup::wire::command::Command;
use sdgroup::wire::hello::{ClientHello, DirectorHello, Hello};
use sdgroup::wire::job::{JobAnswer, JobCommand};
use sdgroup::wire::packet::{Outbox, Packet, Signal};
use sdgroup::wire::refusal::Refusal;
use tokio::net::TcpStream;

use super::session::{Arrival, Control, HeldJob};
use super::{Core, Point, console};
use crate::harness::wire::{Wire, random, shown};

const VERSION: u32 = 306;

/// Serves one connection to its end.
pub(super) async fn serve(core: &Arc<Core>, stream: TcpStream) {
    let mut wire = Wire::new(stream).freezes_with(core.frozen.subscribe());
    core.pass(Point::Accepted).await;
    let Ok(first) = wire.message().await else { return };
    match Hello::parse(&first) {
        Ok(Hello::Director(hello)) => from_director(core, wire, &hello).await,
        Ok(Hello::Client(hello)) => from_client(core, wire, &hello).await,
        // Real ones say nothing either.
        Ok(Hello::StorageCalling(_) | Hello::Peer(_)) | Err(_) => {}
    }
}

async fn from_client(core: &Arc<Core>, mut wire: Wire, hello: &ClientHello) {
    let job = core.state().jobs.get(&hello.job).cloned();
    let Some(job) = job else {
        core.state().unknown_jobs += 1;
        return;
    };
    if job.is_authenticated() {
        return;
    }
    let mut outbox = Outbox::new();
    let tls = TlsPolicy::default();
    let login = client::Login::start(
        hello,
        &job.key,
        &core.settings.name,
        random(),
        VERSION,
        tls,
        &mut outbox,
    );
    if wire.log_in(login, outbox).await.is_err() {
        core.state().wrong_keys += 1;
        return job.arrive(Arrival::WrongKey);
    }
    wire.compress();
    job.arrive(Arrival::Client(wire));
    // The job has the connection now; it is this task's until the job ends.
    job.ended.cancelled().await;
}

async fn from_director(core: &Arc<Core>, mut wire: Wire, hello: &DirectorHello) {
    let known = core
        .settings
        .directors
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(hello.name.as_str()));
    let Some((_, password)) = known else {
        let _ = wire.signal(Signal::Terminate).await;
        return wire.close().await;
    };
    if core.state().refuses_logins {
        wire.put(Refusal::NoGo.to_line());
        wire.put_signal(Signal::Terminate);
        return wire.close().await;
    }
    let key = DirectorKey::new(&Secret::new(password.clone()));
    let mut outbox = Outbox::new();
    let login = director::Login::start(
        hello,
        &key,
        &core.settings.name,
        random(),
        VERSION,
        TlsPolicy::default(),
        &mut outbox,
    );
    if wire.log_in(login, outbox).await.is_err() {
        return wire.close().await;
    }
    wire.compress();
    commands(core, wire).await;
}

/// Takes commands until one of them is a job's, or ends the connection.
async fn commands(core: &Arc<Core>, mut wire: Wire) {
    loop {
        let line = match wire.packet().await {
            Ok(Packet::Message(line)) if !line.is_empty() => line,
            // Any signal and an empty message end the connection.
            Ok(_) => {
                wire.put_signal(Signal::Terminate);
                return wire.close().await;
            }
            Err(_) => return,
        };
        note(core, &line);
        let told = match Command::parse(&line) {
            Ok(Command::Job(line)) => return job(core, wire, line).await,
            Ok(Command::Cancel { job }) => cancel(core, &mut wire, &job).await,
            Ok(Command::Status) => status(core, &mut wire),
            Ok(Command::DotStatus { what, .. }) => dot_status(core, &mut wire, what),
            Ok(command) => match console::answer(core, &mut wire, command).await {
                Some(answered) => answered.is_ok(),
                None => return invalid(wire, &line).await,
            },
            Err(_) => return invalid(wire, &line).await,
        };
        if !told || wire.flush().await.is_err() {
            return wire.close().await;
        }
    }
}

async fn invalid(mut wire: Wire, line: &[u8]) {
    let command = shown(line);
    wire.put(Refusal::Invalid { command }.to_line());
    wire.put_signal(Signal::Terminate);
    wire.close().await;
}

fn note(core: &Core, line: &[u8]) {
    let text = shown(line);
    let known = text.split(" Authorization=").next().unwrap_or("").to_owned();
    core.state().commands.push(known);
}

async fn cancel(core: &Core, wire: &mut Wire, name: &JobName) -> bool {
    core.pass(Point::Cancel).await;
    let job = core.state().jobs.get(name).cloned();
    match job {
        Some(job) => {
            job.canceled.cancel();
            let id = job.command.job_id;
            wire.put(format!("3000 JobId={id} Job=\"{name}\" marked to be canceled.\n"));
        }
        None => wire.put(Refusal::NotFound { job: name.to_string() }.to_line()),
    }
    wire.put_signal(Signal::Eod);
    true
}

fn status(core: &Core, wire: &mut Wire) -> bool {
    let mut lines = vec![String::new(), format!("{} Version: 9.6.7\n", core.settings.name)];
    let state = core.state();
    lines.extend(
        state
            .jobs
            .values()
            .map(|job| format!("Writing: Job {}\n", job.command.job)),
    );
    for line in lines {
        wire.put(format!("{line}\0"));
    }
    wire.put_signal(Signal::Eod);
    true
}

fn dot_status(core: &Core, wire: &mut Wire, what: &[u8]) -> bool {
    if what.eq_ignore_ascii_case(b"devices") {
        let state = core.state();
        if let Some((free, total)) = state.space {
            wire.put(format!(
                "\nname={0}\narchive_device=/{0}\ntype=File\nread_only=0\nenabled=1\nfree_space={free}\n\
                 total_space={total}\ndevno=0\n\n\0",
                core.settings.changer
            ));
        }
        wire.put_signal(Signal::Eod);
        return true;
    }
    if !what.eq_ignore_ascii_case(b"current") {
        wire.put("3900 Unknown .status\n");
        wire.put_signal(Signal::Eod);
        wire.put_signal(Signal::Eod);
        return false;
    }
    wire.put("3000 OK .status\n\0");
    for job in core.state().jobs.values() {
        let JobId(id) = job.command.job_id;
        wire.put(format!("JobId={id} JobStatus=R JobErrors=0\n\0"));
    }
    wire.put_signal(Signal::Eod);
    true
}

/// Takes the job, and runs it to its end.
async fn job(core: &Arc<Core>, mut wire: Wire, line: &[u8]) {
    core.pass(Point::JobCommand).await;
    let refuses = core.state().refuses_jobs;
    let command = match JobCommand::parse(line) {
        Ok(command) if !refuses => command,
        other => {
            let reason = other
                .err()
                .map_or_else(|| "told to refuse".to_owned(), |error| error.to_string());
            wire.put(Refusal::Job { reason }.to_line());
            wire.put_signal(Signal::Terminate);
            return wire.close().await;
        }
    };
    let (job, arrivals) = HeldJob::new(command, SessionKey::mint(random()), |command| {
        let mut state = core.state();
        if command.rerunning {
            (command.vol_session_id, command.vol_session_time)
        } else {
            state.last_session += 1;
            (state.last_session, core.settings.sd_time)
        }
    });
    let job = Arc::new(job);
    let name = job.command.job.clone();
    {
        let mut state = core.state();
        state.sessions.insert(job.sd_id, name.clone());
        state.jobs.insert(name.clone(), Arc::clone(&job));
        state.most_jobs = state.most_jobs.max(state.jobs.len());
    }
    let held = Held { core, job: &job };
    let answer = JobAnswer {
        sd_id: job.sd_id,
        sd_time: job.sd_time,
        key: job.key.clone(),
    };
    wire.put(answer.to_line());
    if wire.flush().await.is_err() {
        return;
    }
    let mut control = Control::new(core, Arc::clone(&job), wire, arrivals, Release::V9);
    control.run().await;
    // Whoever hears the last word may give the storage another job at once.
    drop(held);
    control.part().await;
}

/// The storage has the job while this lives.
struct Held<'a> {
    core: &'a Core,
    job: &'a Arc<HeldJob>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.core.state();
        let name = &self.job.command.job;
        self.job.ended.cancel();
        if state.jobs.get(name).is_some_and(|held| Arc::ptr_eq(held, self.job)) {
            state.jobs.remove(name);
        }
    }
}
