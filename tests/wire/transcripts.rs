//! Every message of real jobs goes through the parser that a session would use, and is written back as it was.

use std::collections::{BTreeMap, HashMap};

use sdgroup::types::{Release, Severity};
use sdgroup::wire::bootstrap::BootstrapReader;
use sdgroup::wire::catalog::{self, CatalogRequest, MediaAnswer};
use sdgroup::wire::challenge::{Challenge, PASSED};
use sdgroup::wire::command::Command;
use sdgroup::wire::hello::Hello;
use sdgroup::wire::job::{JobAnswer, JobCommand};
use sdgroup::wire::progress::{StorageMessage, jmsg_line, start_line, status_line};
use sdgroup::wire::reserve::{DeviceAnswer, UseDevice, UseStorage};

use crate::transcript::{Line, TRANSCRIPTS, read};

/// What was read, to be sure that something was.
#[derive(Default)]
struct Seen(BTreeMap<&'static str, usize>);

impl Seen {
    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// What the lines that come next on a connection belong to.
#[derive(Default)]
struct Conversation {
    login: Login,
    bootstrap: Option<(BootstrapReader, Vec<u8>)>,
    list: bool,
}

#[derive(Default, PartialEq)]
enum Login {
    #[default]
    Hello,
    Running,
    Done,
}

fn same(line: &Line, text: &[u8], written: &[u8]) {
    assert_eq!(
        String::from_utf8_lossy(written),
        String::from_utf8_lossy(text),
        "{}",
        line.place
    );
}

fn login(line: &Line, text: &[u8], state: &mut Login, seen: &mut Seen) {
    if *state == Login::Hello {
        let hello = Hello::parse(text).unwrap_or_else(|error| panic!("{}: {error}", line.place));
        same(line, text, &hello.to_line());
        seen.count("hello");
        *state = Login::Running;
    } else if text.starts_with(b"auth ") {
        let challenge = Challenge::parse(text).unwrap_or_else(|error| panic!("{}: {error}", line.place));
        same(line, text, &challenge.to_line());
        seen.count("challenge");
    } else if text.starts_with(b"3000 OK Hello ") {
        *state = Login::Done;
    } else {
        let known =
            text == PASSED || (text.len() == 23 && text.ends_with(&[0])) || text.windows(5).any(|w| w == b"caps:");
        assert!(known, "{}: {}", line.place, String::from_utf8_lossy(text));
    }
}

fn from_director(line: &Line, text: &[u8], conversation: &mut Conversation, seen: &mut Seen) {
    if let Some((reader, all)) = &mut conversation.bootstrap {
        reader.push(text).expect("a line of a bootstrap");
        all.extend_from_slice(text);
        return;
    }
    if text.starts_with(b"1000 OK VolName=") {
        let answer = MediaAnswer::parse(text).unwrap_or_else(|error| panic!("{}: {error}", line.place));
        assert!(answer.is_some(), "{}", line.place);
        seen.count("media answer");
        return;
    }
    if text.starts_with(b"1") {
        return;
    }
    if text.starts_with(b"use device=") {
        same(line, text, &UseDevice::parse(text).expect("use device").to_line());
        seen.count("use device");
        return;
    }
    let command = Command::parse(text).unwrap_or_else(|error| panic!("{}: {error}", line.place));
    seen.count(command.label());
    match command {
        Command::Job(text) => same(line, text, &JobCommand::parse(text).expect("JobId").to_line()),
        Command::UseStorage(text) => same(line, text, &UseStorage::parse(text).expect("use storage").to_line()),
        Command::Bootstrap => conversation.bootstrap = Some((BootstrapReader::new(), Vec::new())),
        Command::Unknown(text) => panic!("{}: {}", line.place, String::from_utf8_lossy(text)),
        _ => {}
    }
}

fn from_storage(line: &Line, text: &[u8], release: Release, conversation: &mut Conversation, seen: &mut Seen) {
    if conversation.list {
        return;
    }
    if text.starts_with(b"3000 OK Job ") {
        same(
            line,
            text,
            &JobAnswer::parse(text).expect("an answer to JobId").to_line(),
        );
        seen.count("job answer");
    } else if text.starts_with(b"3000 OK use device") {
        same(
            line,
            text,
            &DeviceAnswer::parse(text).expect("an answer to use device").to_line(),
        );
        seen.count("device answer");
    }
    match StorageMessage::parse(text).unwrap_or_else(|error| panic!("{}: {error}", line.place)) {
        StorageMessage::Jmsg(jmsg) if jmsg.message_type == release.message_type(Severity::Info) => {
            let body = String::from_utf8_lossy(jmsg.text);
            same(
                line,
                text,
                &jmsg_line(jmsg.job_id, release, Severity::Info, jmsg.unix_time, &body),
            );
            seen.count("jmsg");
        }
        StorageMessage::Status { job_id, status } => {
            same(line, text, &status_line(job_id, status));
            seen.count("status message");
        }
        StorageMessage::Start { job } => {
            same(line, text, &start_line(&job));
            seen.count("start");
        }
        StorageMessage::End(end) => {
            same(line, text, &end.to_line());
            seen.count("end");
        }
        StorageMessage::UpdCat => seen.count("attributes"),
        StorageMessage::BlastAttr { .. } => seen.count("spooled attributes"),
        StorageMessage::CatReq(text) => {
            let request = catalog::parse(text).unwrap_or_else(|error| panic!("{}: {error}", line.place));
            match request {
                CatalogRequest::FindMedia(find) => {
                    same(
                        line,
                        text,
                        &catalog::find_media_with_index(text, find.index).expect("FindMedia"),
                    );
                    seen.count("find media");
                }
                CatalogRequest::CreateJobMedia | CatalogRequest::CreateFileMedia => conversation.list = true,
                CatalogRequest::GetVolInfo(_) => seen.count("get volume"),
                CatalogRequest::UpdateMedia(_) => seen.count("update media"),
                CatalogRequest::Other => panic!("{}", line.place),
            }
        }
        _ => {}
    }
}

fn signal(line: &Line, conversation: &mut Conversation, seen: &mut Seen) {
    if line.from == "DIR" {
        let Some((reader, all)) = conversation.bootstrap.take() else {
            return;
        };
        let bootstrap = reader
            .finish()
            .unwrap_or_else(|error| panic!("{}: {error}", line.place));
        same(line, &all, &bootstrap.lines().collect::<Vec<_>>().concat());
        assert!(!bootstrap.volumes().is_empty(), "{}", line.place);
        seen.count("bootstrap read");
    } else {
        conversation.list = false;
    }
}

fn follow(folder: &str, name: &str, release: Release, seen: &mut Seen) {
    let mut conversations: HashMap<String, Conversation> = HashMap::new();
    for line in read(folder, name) {
        let (from_storage_side, to_storage) = (line.from.starts_with("SD"), line.to.starts_with("SD"));
        if !from_storage_side && !to_storage {
            continue;
        }
        let conversation = conversations.entry(line.connection.clone()).or_default();
        match &line.said {
            Err(_) => signal(&line, conversation, seen),
            Ok(text) if conversation.login != Login::Done => login(&line, text, &mut conversation.login, seen),
            Ok(text) if line.from == "DIR" => from_director(&line, text, conversation, seen),
            Ok(text) if line.to == "DIR" => from_storage(&line, text, release, conversation, seen),
            Ok(_) => {}
        }
    }
}

#[test]
fn every_message_of_real_jobs_is_read_and_written() {
    for (folder, names) in TRANSCRIPTS {
        let release = if folder.starts_with('9') {
            Release::V9
        } else {
            Release::V15
        };
        let mut seen = Seen::default();
        for name in *names {
            follow(folder, name, release, &mut seen);
        }
        for what in [
            "hello",
            "challenge",
            "job",
            "job answer",
            "use_storage",
            "use device",
            "device answer",
            "bootstrap read",
            "run",
            "storage",
            "find media",
            "get volume",
            "update media",
            "media answer",
            "jmsg",
            "status message",
            "start",
            "end",
        ] {
            assert!(seen.0.contains_key(what), "{folder}: no {what} in {:?}", seen.0);
        }
        let only_there: &[&str] = match release {
            Release::V9 => &["attributes", "label", "autochanger", "mount", "cancel"],
            Release::V13 | Release::V15 => &["store_mngr", "sendprogress", "spooled attributes"],
        };
        for what in only_there {
            assert!(seen.0.contains_key(what), "{folder}: no {what} in {:?}", seen.0);
        }
    }
}
