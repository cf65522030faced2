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
use crate::types::{DirectorName, Release, Secret};
use crate::wire::line::shown;
use crate::wire::packet::Signal;

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
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dialling => "the call",
            Self::LoggingIn => "the login",
            Self::Asking => "the question for its status",
        })
    }
}

struct Failure {
    layer: Layer,
    text: String,
}

/// Asks `storage` once.
pub async fn ask(questioner: &Questioner, storage: &Storage) -> Outcome {
    let begun = Instant::now();
    let mut stage = Stage::Dialling;
    let answer = within(questioner.timeout, visit(questioner, storage, &mut stage)).await;
    let took = begun.elapsed();
    match answer {
        Ok(Ok(storage_version)) => Outcome::good(storage_version, took),
        Ok(Err(failure)) => Outcome::bad(failure.layer, failure.text, took),
        Err(_expired) => {
            let text = format!("no answer to {stage} within {:?}", questioner.timeout);
            Outcome::bad(Layer::Timeout, text, took)
        }
    }
}

/// The whole visit; returns the storage's version number.
async fn visit(questioner: &Questioner, storage: &Storage, stage: &mut Stage) -> Result<u32, Failure> {
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
    *stage = Stage::Asking;
    let answer = question(&mut channel).await;
    // A storage logs an error for a connection that ends without a word. It may be gone already.
    channel.outbox().signal(Signal::Terminate);
    let _ = channel.flush().await;
    answer.map(|()| verified.storage_version)
}

fn not_reached(error: DialError) -> Failure {
    let (layer, text) = match error {
        DialError::Unresolved { source, .. } => (Layer::Resolve, format!("its address cannot be resolved: {source}")),
        DialError::Refused { .. } => (Layer::Connect, "connection refused".to_owned()),
        DialError::TimedOut { after, .. } => (Layer::Timeout, format!("no answer to the call within {after:?}")),
        DialError::Unreachable { source, .. } => (Layer::Connect, format!("unreachable: {source}")),
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
        layer: Layer::Login,
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

/// Asks, and reads to the end of the answer.
async fn question(channel: &mut Channel) -> Result<(), Failure> {
    channel.outbox().message(QUESTION);
    channel.flush().await.map_err(cut_off)?;
    let mut scratch = Vec::new();
    let mut understood = false;
    let mut bytes = 0_usize;
    loop {
        let frame = channel.receive().await.map_err(cut_off)?;
        match frame.signal() {
            Some(Signal::Eod) if understood => return Ok(()),
            Some(Signal::Eod) => return Err(no_answer("it ended before it began")),
            Some(Signal::Terminate) => return Err(no_answer("the storage took its leave instead")),
            Some(_) => continue,
            None => {}
        }
        bytes = bytes.saturating_add(frame.as_bytes().len());
        if bytes > MAX_ANSWER_BYTES {
            return Err(no_answer(format_args!("it is longer than {MAX_ANSWER_BYTES} bytes")));
        }
        if !understood {
            let text = frame.text(&mut scratch).map_err(|error| cut_off(error.into()))?;
            let text = text.unwrap_or_default();
            if !text.starts_with(ANSWER) {
                return Err(no_answer(format_args!("it says {}", shown(text).trim_end())));
            }
            understood = true;
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
        /// These lines, an EOD, and then it waits for the farewell.
        Says(&'static [&'static str]),
        /// Never an end.
        Rambles,
        /// It closes.
        Closes,
        /// Not a word.
        Silent,
    }

    fn storage(port: u16, password: &str) -> Storage {
        Storage {
            name: StorageName::new("File4").unwrap(),
            address: "127.0.0.1".to_owned(),
            port,
            password: Some(Secret::new(password.to_owned())),
            director_passwords: std::collections::BTreeMap::new(),
            tls: crate::config::model::Tls::default(),
            device: None,
            media_type: None,
            weight: 1,
            maximum_concurrent_jobs: 20,
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
                Manner::Says(lines) => {
                    for line in lines {
                        channel.outbox().message(line);
                    }
                    channel.outbox().signal(Signal::Eod);
                    channel.flush().await.unwrap();
                }
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

    async fn failure(manner: Manner) -> (Layer, Arc<str>) {
        let (listener, port) = listener();
        let serving = serve(listener, manner);
        let timeout = match manner {
            Manner::Silent => Duration::from_millis(300),
            _ => Duration::from_secs(20),
        };
        let outcome = ask(&questioner(timeout), &storage(port, "right")).await;
        serving.await.unwrap();
        let failure = outcome.result.expect_err("it was to fail");
        (failure.layer, failure.text)
    }

    #[tokio::test]
    async fn a_storage_at_work_is_asked_and_left_politely() {
        let (listener, port) = listener();
        let lines = &["3000 OK .status\n", "JobId=7 JobStatus=R JobErrors=0\n"];
        let serving = serve(listener, Manner::Says(lines));
        let outcome = ask(&questioner(Duration::from_secs(20)), &storage(port, "right")).await;
        assert_eq!(outcome.label(), "ok");
        let probed = outcome.result.expect("it is at work");
        assert_eq!((probed.storage_version, probed.took), (306, outcome.took));
        assert_eq!(serving.await.unwrap(), [QUESTION, "Signal(Terminate)"]);
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_refused() {
        let (listener, port) = listener();
        drop(listener);
        let outcome = ask(&questioner(Duration::from_secs(20)), &storage(port, "right")).await;
        assert_eq!(outcome.label(), "connect");
        assert_eq!(&*outcome.result.expect_err("nobody listens").text, "connection refused");
    }

    #[tokio::test]
    async fn another_password_fails_at_the_login() {
        let (listener, port) = listener();
        let serving = serve(listener, Manner::Silent);
        let outcome = ask(&questioner(Duration::from_secs(20)), &storage(port, "wrong")).await;
        serving.await.unwrap();
        let failure = outcome.result.expect_err("the passwords differ");
        assert_eq!(failure.layer, Layer::Login);
        assert!(failure.text.contains("refused our password"), "{failure}");
    }

    #[tokio::test]
    async fn a_missing_password_is_told() {
        let mut storage = storage(1, "right");
        storage.password = None;
        let outcome = ask(&questioner(Duration::from_secs(20)), &storage).await;
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
        let outcome = ask(&questioner(Duration::from_millis(300)), &storage(port, "right")).await;
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
                Manner::Says(&["3900 Bad .status command\n"]),
                Layer::Answer,
                "it says 3900 Bad",
            ),
            (Manner::Says(&[]), Layer::Answer, "it ended before it began"),
            (Manner::Rambles, Layer::Answer, "it is longer than"),
            (Manner::Closes, Layer::Answer, "the connection was closed"),
            (
                Manner::Silent,
                Layer::Timeout,
                "no answer to the question for its status within 300ms",
            ),
        ];
        for (manner, layer, text) in table {
            let (found, said) = failure(manner).await;
            assert_eq!(found, layer, "{said}");
            assert!(said.contains(text), "{said}");
        }
    }
}
