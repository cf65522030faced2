//! Asks the running daemon, over its socket.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{Failure, runtime, unusable};
use crate::admin::api::ErrorShown;
use crate::config;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How large it may be.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The daemon of a configuration.
pub(super) struct Client {
    socket: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// The daemon that runs with the configuration `config`, or with an earlier one that was in the same file.
    pub(super) fn of(config: &Path) -> Result<Self, Failure> {
        Self::at(config::admin_socket(config).map_err(|problems| unusable(config, problems))?)
    }

    /// The daemon that listens at `socket`.
    pub(super) fn at(socket: PathBuf) -> Result<Self, Failure> {
        let runtime = runtime()?;
        Ok(Self { socket, runtime })
    }

    pub(super) fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        self.ask(Method::GET, path, Bytes::new())
    }

    pub(super) fn put<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A, Failure> {
        self.ask(Method::PUT, path, json(body)?)
    }

    pub(super) fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A, Failure> {
        self.ask(Method::POST, path, json(body)?)
    }

    /// For what takes long to be done.
    pub(super) fn post_patiently<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        self.ask_within(10 * TIMEOUT, Method::POST, path, Bytes::new())
    }

    pub(super) fn delete<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        self.ask(Method::DELETE, path, Bytes::new())
    }

    fn ask<A: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<A, Failure> {
        self.ask_within(TIMEOUT, method, path, body)
    }

    fn ask_within<A: DeserializeOwned>(
        &self,
        patience: Duration,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<A, Failure> {
        let asked = async {
            match tokio::time::timeout(patience, self.exchange(method, path, body)).await {
                Ok(answer) => answer,
                Err(_) => Err(self.failed("it does not answer")),
            }
        };
        let (status, text) = self.runtime.block_on(asked)?;
        if !status.is_success() {
            let error: Option<ErrorShown> = serde_json::from_slice(&text).ok();
            return Err(match error {
                Some(shown) if status == StatusCode::NOT_FOUND => Failure::Missing(told(shown)),
                Some(shown) => Failure::Text(told(shown)),
                None => self.failed(format_args!("it answers {status}; is it of another version?")),
            });
        }
        serde_json::from_slice(&text).map_err(|error| {
            self.failed(format_args!(
                "it answers something else: {error}; is it of another version?"
            ))
        })
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Failure> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| self.failed(format_args!("{error}; {}", advice(&error))))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.failed(error))?;
        let driving = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "sdgroup")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.failed(error))?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| self.failed(error))?;
        let status = response.status();
        let text = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let text = text.map_err(|error| self.failed(error))?.to_bytes();
        driving.abort();
        Ok((status, text))
    }

    fn failed(&self, error: impl Display) -> Failure {
        Failure::Unasked(format!("cannot ask the daemon at {}: {error}", self.socket.display()))
    }
}

/// What is wrong, and below it each thing that is.
fn told(shown: ErrorShown) -> String {
    let mut lines = vec![shown.error];
    lines.extend(shown.details);
    lines.join("\n")
}

fn json(body: &impl Serialize) -> Result<Bytes, Failure> {
    let body = serde_json::to_vec(body).map_err(|error| Failure::text(error.to_string()))?;
    Ok(Bytes::from(body))
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "it is for the user that sdgroup runs as, and for his group",
        _ => "is sdgroup running with this configuration?",
    }
}

/// A name as a part of a path.
pub(super) fn encoded(name: &str) -> String {
    use std::fmt::Write as _;

    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(encoded("File4"), "File4");
        assert_eq!(encoded("a b/c:\u{e4}%"), "a%20b%2Fc%3A%C3%A4%25");
    }
}
