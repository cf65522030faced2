//! One probe: a Director's visit to a storage, from the call to the farewell.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::outcome::Outcome;
use crate::channel::{Certificates, Channel, ChannelError, drive};
use crate::config::model::Storage;
use crate::group::Layer;
use crate::handshake::storage::{Login, Verified};
use crate::handshake::{DirectorKey, Step, TlsPolicy};
use crate::net::deadline::within;
use crate::net::dial::{DialError, dial};
use crate::net::options::tune;
use crate::types::{DeviceName, DirectorName, Release, Secret, Space};
use crate::wire::line::shown;
use crate::wire::packet::Signal;
use crate::wire::status::{DEVICES, DevicesReader};

/// What is asked. The answer is short, not translated, and needs the storage's table of jobs, so that a storage
/// which is locked up inside does not give it. A Director with `Monitor = yes` may ask it (Bacula
/// `src/stored/status.c`, `src/stored/dircmd.c`).
const QUESTION: &str = ".status current api=2 api_opts=";

/// How the answer to it begins.
const ANSWER: &[u8] = b"3000 OK .status";

/// More than a storage with tens of thousands of jobs answers.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Who asks, and how patiently.
#[derive(Debug, Clone)]
pub struct Questioner {
    /// As whom to log in.
    pub director: DirectorName,
    /// How long one probe may take in all.
    pub timeout: Duration,
}

/// Where a probe is, for the text of one that never came further.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Dialling,
    LoggingIn,
    Asking,
    /// It is known to be at work by now.
    AskingForRoom {
        storage_version: u32,
    },
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dialling => "the call",
            Self::LoggingIn => "the login",
            Self::Asking => "the question for its status",
            Self::AskingForRoom { .. } => "the question for its devices",
        })
    }
}

struct Failure {
    layer: Layer,
    text: String,
}

/// Asks `storage` once: how it is, and how much room there is on `device` (of its own words; on all its devices where
/// none is named).
pub async fn ask(questioner: &Questioner, storage: &Storage, device: Option<&DeviceName>) -> Outcome {
    let begun = Instant::now();
    let mut stage = Stage::Dialling;
    let answer = within(questioner.timeout, visit(questioner, storage, device, &mut stage)).await;
    let took = begun.elapsed();
    match (answer, stage) {
        (Ok(Ok((storage_version, space))), _) => Outcome::good(storage_version, space, took),
        (Ok(Err(failure)), _) => Outcome::bad(failure.layer, failure.text, took),
        // A file system that hangs is no reason to call the daemon down, which may have others.
        (Err(_expired), Stage::AskingForRoom { storage_version }) => Outcome::good(storage_version, None, took),
        (Err(_expired), stage) => {
            let text = format!("no answer to {stage} within {:?}", questioner.timeout);
            Outcome::bad(Layer::Timeout, text, took)
        }
    }
}

/// The whole visit; returns the storage's version number and its room.
async fn visit(
    questioner: &Questioner,
    storage: &Storage,
    device: Option<&DeviceName>,
    stage: &mut Stage,
) -> Result<(u32, Option<Space>), Failure> {
    let director = &questioner.director;
    let password = storage.password_for(director).ok_or_else(|| Failure {
        layer: Layer::Login,
        text: format!("there is no password for Director {director} at this storage in the configuration of sdgroup"),
    })?;
    let stream = dial(&storage.address, storage.port, questioner.timeout)
        .await
        .map_err(not_reached)?;
    // Without the options a probe is a little slower to notice an end; that is no reason to call the storage down.
    let _ = tune(&stream);
    *stage = Stage::LoggingIn;
    let mut channel = Channel::new(stream.into());
    let verified = log_in(&mut channel, director, password, storage).await?;
    let storage_version = verified.storage_version;
    *stage = Stage::Asking;
    let answer = match question(&mut channel).await {
        Ok(()) => {
            *stage = Stage::AskingForRoom { storage_version };
            Ok((storage_version, room(&mut channel, device).await))
        }
        Err(failure) => Err(failure),
    };
    // A storage logs an error for a connection that ends without a word. It may be gone already.
    channel.outbox().signal(Signal::Terminate);
    let _ = channel.flush().await;
    answer
}

fn not_reached(error: DialError) -> Failure {
    let (layer, text) = match error {
        DialError::Unresolved { source, .. } => (Layer::Resolve, format!("its address cannot be resolved: {source}")),
        DialError::Refused { .. } => (Layer::Connect, "connection refused".to_owned()),
        DialError::TimedOut { after, .. } => (Layer::Timeout, format!("no answer to the call within {after:?}")),
        DialError::Unreachable { source, .. } => (Layer::Connect, format!("unreachable: {source}")),
        DialError::Exhausted { source, advice, .. } => (
            Layer::Exhausted,
            format!("it cannot be called from here: {source}; {advice}"),
        ),
        DialError::Other { source, .. } => (Layer::Connect, format!("cannot be called: {source}")),
    };
    Failure { layer, text }
}

/// Logs in with the Hello of a 15.0 Director, which storages of every release understand: 9.6 reads no further than
/// its number, and takes that for a newer Director's.
async fn log_in(
    channel: &mut Channel,
    director: &DirectorName,
    password: &Secret,
    storage: &Storage,
) -> Result<Verified, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| Failure {
        layer: Layer::Exhausted,
        text: format!("this machine has no randomness for a challenge: {error}"),
    })?;
    let policy = TlsPolicy {
        needs: storage.tls.needs,
        only_login: storage.tls.only_login,
    };
    let certificates = storage.tls.certificates.as_ref().map(|certificates| Certificates {
        context: &certificates.context,
        host: Some(&storage.address),
    });
    let key = DirectorKey::new(password);
    let login = Login::start(director, &key, Release::V15, random, policy, channel.outbox());
    let logged_in = drive(channel, Ok(Step::Expect(login)), certificates).await;
    logged_in.map_err(|error| Failure {
        layer: Layer::Login,
        text: format!("the login failed: {error}"),
    })
}

/// Asks how it is.
async fn question(channel: &mut Channel) -> Result<(), Failure> {
    let mut understood = false;
    let mut strange = None;
    read_answer(channel, QUESTION, |text| {
        if !understood && !text.starts_with(ANSWER) {
            strange.get_or_insert_with(|| shown(text).trim_end().to_owned());
        }
        understood = true;
        strange.is_none()
    })
    .await?;
    match strange {
        Some(strange) => Err(no_answer(format_args!("it says {strange}"))),
        None if understood => Ok(()),
        None => Err(no_answer("it ended before it began")),
    }
}

/// Asks for the room on its devices. A storage that does not tell is at work all the same.
async fn room(channel: &mut Channel, device: Option<&DeviceName>) -> Option<Space> {
    let mut reader = DevicesReader::new();
    let answered = read_answer(channel, DEVICES, |text| {
        reader.push(text);
        true
    });
    answered.await.ok()?;
    reader.finish().space(device)
}

/// Asks `question` and hands each message of the answer to `take`, to the end or until it wants no more.
async fn read_answer(
    channel: &mut Channel,
    question: &str,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<(), Failure> {
    channel.outbox().message(question);
    channel.flush().await.map_err(cut_off)?;
    let mut scratch = Vec::new();
    let mut bytes = 0_usize;
    loop {
        let frame = channel.receive().await.map_err(cut_off)?;
        match frame.signal() {
            Some(Signal::Eod) => return Ok(()),
            Some(Signal::Terminate) => return Err(no_answer("the storage took its leave instead")),
            Some(_) => continue,
            None => {}
        }
        let text = frame.text(&mut scratch).map_err(|error| cut_off(error.into()))?;
        let text = text.unwrap_or_default();
        bytes = bytes.saturating_add(text.len());
        if bytes > MAX_ANSWER_BYTES {
            return Err(no_answer(format_args!("it is longer than {MAX_ANSWER_BYTES} bytes")));
        }
        if !take(text) {
            return Ok(());
        }
    }
}

fn no_answer(why: impl fmt::Display) -> Failure {
    Failure {
        layer: Layer::Answer,
        text: format!("no usable answer to the question for its status: {why}"),
    }
}

fn cut_off(error: ChannelError) -> Failure {
    no_answer(error)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::handshake::director;
    use crate::net::listen;
    use crate::types::StorageName;
    use crate::wire::hello::Hello;
    use crate::wire::packet::Packet;

    /// What the storage that is probed does once the Director has logged in.
    #[derive(Clone, Copy)]
    enum Manner {
        /// These lines and an EOD to the first question, and these to the second; then it waits for the farewell.
        Says(&'static [&'static str], &'static [&'static str]),
        /// A good answer to the first question, and no word to the second.
        HangsAtDevices,
        /// Never an end.
        Rambles,
        /// It closes.
        Closes,
        /// Not a word.
        Silent,
    }

    fn storage(port: u16, password: &str) -> Storage {
        Storage {
            port,
            password: Some(Secret::new(password.to_owned())),
            ..Storage::new(StorageName::new("File4").unwrap(), "127.0.0.1".to_owned())
        }
    }

    fn questioner(timeout: Duration) -> Questioner {
        Questioner {
            director: DirectorName::new("sdgroup-monitor").unwrap(),
            timeout,
        }
    }

    fn listener() -> (TcpListener, u16) {
        let listener = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// Serves one visit; returns what the visitor said, signals by their names.
    fn serve(listener: TcpListener, manner: Manner) -> JoinHandle<Vec<String>> {
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut channel = Channel::new(stream.into());
            let hello = match channel.receive_packet().await.unwrap() {
                Packet::Message(text) => Hello::parse(&text).unwrap(),
                Packet::Signal(signal) => panic!("{signal:?}"),
            };
            let Hello::Director(hello) = hello else {
                panic!("a Director calls");
            };
            let key = DirectorKey::new(&Secret::new("right".to_owned()));
            let policy = TlsPolicy::default();
            let first = director::Login::start(&hello, &key, "File4", [7; 16], 306, policy, channel.outbox());
            if drive(&mut channel, first, None).await.is_err() {
                return Vec::new();
            }
            let mut heard = Vec::new();
            if let Packet::Message(text) = channel.receive_packet().await.unwrap() {
                heard.push(String::from_utf8_lossy(&text).into_owned());
            }
            match manner {
                Manner::Says(status, devices) => {
                    say(&mut channel, status).await;
                    if let Packet::Message(text) = channel.receive_packet().await.unwrap() {
                        heard.push(String::from_utf8_lossy(&text).into_owned());
                        say(&mut channel, devices).await;
                    }
                }
                Manner::HangsAtDevices => say(&mut channel, &["3000 OK .status\n"]).await,
                Manner::Rambles => {
                    channel.outbox().message("3000 OK .status\n");
                    let line = vec![b'x'; 100_000];
                    while channel.flush().await.is_ok() {
                        channel.outbox().message(&line);
                    }
                    return heard;
                }
                Manner::Closes => return heard,
                Manner::Silent => {}
            }
            while let Ok(packet) = channel.receive_packet().await {
                heard.push(format!("{packet:?}"));
            }
            heard
        })
    }

    async fn say(channel: &mut Channel, lines: &[&str]) {
        for line in lines {
            channel.outbox().message(line);
        }
        channel.outbox().signal(Signal::Eod);
        channel.flush().await.unwrap();
    }

    async fn failure(manner: Manner) -> (Layer, Arc<str>) {
        let (listener, port) = listener();
        let serving = serve(listener, manner);
        let timeout = match manner {
            // The login, which comes before, has to fit in it.
            Manner::Silent => Duration::from_secs(1),
            _ => Duration::from_secs(20),
        };
        let outcome = ask(&questioner(timeout), &storage(port, "right"), None).await;
        serving.await.unwrap();
        let failure = outcome.result.expect_err("it was to fail");
        (failure.layer, failure.text)
    }

    const AT_WORK: &[&str] = &["3000 OK .status\n", "JobId=7 JobStatus=R JobErrors=0\n"];
    const DEVICE: &str = "\nname=Drive1\narchive_device=/a\ntype=File\nenabled=1\nfree_space=512000\n\
                          total_space=1024000\ndevno=0\n\n";

    #[tokio::test]
    async fn a_storage_at_work_is_asked_and_left_politely() {
        let (listener, port) = listener();
        let serving = serve(listener, Manner::Says(AT_WORK, &[DEVICE]));
        let outcome = ask(&questioner(Duration::from_secs(20)), &storage(port, "right"), None).await;
        assert_eq!(outcome.label(), "ok");
        let probed = outcome.result.expect("it is at work");
        assert_eq!((probed.storage_version, probed.took), (306, outcome.took));
        assert_eq!(probed.space.expect("it tells its room").free.0, 512_000);
        assert_eq!(serving.await.unwrap(), [QUESTION, DEVICES, "Signal(Terminate)"]);
    }

    #[tokio::test]
    async fn a_storage_that_does_not_tell_its_room_is_at_work_all_the_same() {
        let table = [
            (Manner::Says(AT_WORK, &[]), 20_000),
            (Manner::Says(AT_WORK, &["3900 Bad .status command\n"]), 20_000),
            (Manner::HangsAtDevices, 1_000),
        ];
        for (manner, millis) in table {
            let (listener, port) = listener();
            let serving = serve(listener, manner);
            let questioner = questioner(Duration::from_millis(millis));
            let outcome = ask(&questioner, &storage(port, "right"), None).await;
            let probed = outcome.result.expect("it is at work");
            assert_eq!((probed.storage_version, probed.space), (306, None));
            serving.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_refused() {
        // Bound, so that nobody else gets it, and never listening.
        let kept = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        kept.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let port = kept.local_addr().unwrap().as_socket().unwrap().port();
        let outcome = ask(&questioner(Duration::from_secs(20)), &storage(port, "right"), None).await;
        assert_eq!(outcome.label(), "connect");
        assert_eq!(&*outcome.result.expect_err("nobody listens").text, "connection refused");
    }

    #[tokio::test]
    async fn another_password_fails_at_the_login() {
        let (listener, port) = listener();
        let serving = serve(listener, Manner::Silent);
        let outcome = ask(&questioner(Duration::from_secs(20)), &storage(port, "wrong"), None).await;
        serving.await.unwrap();
        let failure = outcome.result.expect_err("the passwords differ");
        assert_eq!(failure.layer, Layer::Login);
        assert!(failure.text.contains("refused our password"), "{failure}");
    }

    #[tokio::test]
    async fn a_missing_password_is_told() {
        let mut storage = storage(1, "right");
        storage.password = None;
        let outcome = ask(&questioner(Duration::from_secs(20)), &storage, None).await;
        let failure = outcome.result.expect_err("no password");
        assert_eq!(failure.layer, Layer::Login);
        assert!(
            failure.text.contains("no password for Director sdgroup-monitor"),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn one_that_accepts_and_says_nothing_is_timed_out_at_the_login() {
        let (listener, port) = listener();
        let outcome = ask(&questioner(Duration::from_millis(300)), &storage(port, "right"), None).await;
        drop(listener);
        let failure = outcome.result.expect_err("nobody answers");
        assert_eq!(
            (failure.layer, &*failure.text),
            (Layer::Timeout, "no answer to the login within 300ms")
        );
    }

    #[tokio::test]
    async fn what_is_no_answer_fails_at_the_answer() {
        let table = [
            (
                Manner::Says(&["3900 Bad .status command\n"], &[]),
                Layer::Answer,
                "it says 3900 Bad",
            ),
            (Manner::Says(&[], &[]), Layer::Answer, "it ended before it began"),
            (Manner::Rambles, Layer::Answer, "it is longer than"),
            (Manner::Closes, Layer::Answer, "the connection was closed"),
            (
                Manner::Silent,
                Layer::Timeout,
                "no answer to the question for its status within 1s",
            ),
        ];
        for (manner, layer, text) in table {
            let (found, said) = failure(manner).await;
            assert_eq!(found, layer, "{said}");
            assert!(said.contains(text), "{said}");
        }
    }
}
