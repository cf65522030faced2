//! `store_mngr` (15.0): a Director asks how much room there is before it chooses among storages by `FreeSpace`
//! (Bacula `src/stored/store_mngr.c`).

use std::sync::Arc;

use super::console::After;
use super::device::{Address, Words};
use super::director::Caller;
use super::error::{Stage, StorageError};
use super::storage::{self, Patience};
use crate::channel::Channel;
use crate::config::model;
use crate::net::deadline;
use crate::types::DeviceName;
use crate::wire::line::{self, Scanner, shown};
use crate::wire::packet::Signal;
use crate::wire::refusal::Refusal;

const QUESTION: &[u8] = b"store_mngr query\n";
const ANSWER: &str = "3000 OK query store\n";
const DEVICE: &str = "store_mngr freespace device=";
const SIZE: &str = "3000 OK size=";

/// Answers for the group: with the most that a member has, since that is where a job finds room. A storage answers the
/// first of a Director's devices and closes.
pub(super) async fn answer(caller: &Caller, director: &mut Channel, line: &[u8]) -> After {
    if !line.starts_with(b"store_mngr query") {
        let command = shown(line);
        director.outbox().message(Refusal::Invalid { command }.to_line());
        return After::Close;
    }
    director.outbox().message(ANSWER);
    if director.flush().await.is_err() {
        return After::Gone;
    }
    let Ok(Ok(frame)) = deadline::within(caller.context.model.login_timeout, director.receive()).await else {
        return After::Gone;
    };
    let mut scratch = Vec::new();
    let asked = match frame.text(&mut scratch) {
        Ok(Some(text)) => device(text),
        // Nothing is asked after all.
        Ok(None) => return After::Close,
        Err(_) => None,
    };
    let Some(asked) = asked else {
        director.outbox().message("3200 unsupported policy\n");
        return After::Close;
    };
    let bytes = most(caller, &asked).await;
    director.outbox().message(format!("{SIZE}{bytes}\n"));
    After::Close
}

fn device(text: &[u8]) -> Option<DeviceName> {
    Scanner::new(text).literal(DEVICE).ok()?.name(DeviceName::new).ok()
}

/// The most free bytes of a member, or of the one that the device addresses; 0, which stands for "unknown", when none
/// tells.
async fn most(caller: &Caller, device: &DeviceName) -> u64 {
    let mut asked = Vec::new();
    let members = &caller.group.members;
    let addressed = Address::read(members, device).member;
    for name in members
        .iter()
        .filter(|name| addressed.is_none_or(|member| member == *name))
    {
        if let Some(storage) = caller.context.model.storage(name.as_str()) {
            let (caller, storage, device) = (caller.clone(), Arc::clone(storage), device.clone());
            asked.push(tokio::spawn(async move { ask(&caller, &storage, &device).await }));
        }
    }
    let mut most = 0;
    for answer in asked {
        if let Ok(Ok(bytes)) = answer.await {
            most = most.max(bytes);
        }
    }
    most
}

async fn ask(caller: &Caller, storage: &model::Storage, device: &DeviceName) -> Result<u64, StorageError> {
    let patience = Patience::from(&*caller.group);
    let stage = Stage::Command;
    let mut link = storage::call(storage, &caller.name, caller.release, patience).await?;
    link.ask(QUESTION, stage, patience.login).await?;
    let device = Words::new(&caller.group, storage).device(device);
    let question = line::LineWriter::new()
        .raw(DEVICE)
        .name(device.as_str())
        .raw("\n")
        .finish();
    let frame = link.ask(&question, stage, patience.login).await?;
    let mut scratch = Vec::new();
    let text = frame.text(&mut scratch).ok().flatten().unwrap_or_default();
    let size = Scanner::new(text).literal(SIZE).and_then(Scanner::number);
    link.channel.outbox().signal(Signal::Eod);
    link.channel.outbox().signal(Signal::Terminate);
    // Whether the storage hears that this was all does not matter.
    let _ = link.channel.flush().await;
    size.map_err(|_| StorageError::Refused {
        stage,
        line: shown(text).trim_end().to_owned(),
    })
}
