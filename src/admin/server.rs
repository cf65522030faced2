//! Serves the operator's pages, within bounds: so many connections, so large a request, so long a life.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::socket::AdminSocket;
use crate::net::listen::{self, AcceptError};
use crate::telemetry::event::AcceptFailed;

/// What one server allows.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a connection may take for a request's head, and may rest between two requests.
    pub head: Duration,
    /// How old a connection may become before it is asked to end after its current answer.
    pub age: Duration,
    /// How long it may take for that before it is cut.
    pub farewell: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 64,
            // Longer than the usual scrape interval, so that a scraper keeps its connection.
            head: Duration::from_secs(75),
            age: Duration::from_secs(600),
            // Longer than a handover takes from the moment when nobody is let in any more: one of them has asked for
            // it.
            farewell: Duration::from_secs(30),
        }
    }
}

/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// From where a request comes; every one carries it. On a socket in the file system nobody has an address.
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub Option<SocketAddr>);

/// Is cancelled when the server ends; every request carries it. An answer without an end has to end then.
#[derive(Debug, Clone)]
pub struct Closing(pub CancellationToken);

/// Where callers come in.
pub trait Door: Send + Sync {
    /// What they talk over.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next one, and from where.
    fn accept(&self) -> impl Future<Output = Result<(Self::Stream, Caller), AcceptError>> + Send;

    /// What it is called in the log.
    fn name(&self) -> String;
}

impl Door for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> Result<(TcpStream, Caller), AcceptError> {
        let (stream, peer) = listen::accept(self).await?;
        Ok((stream, Caller(Some(peer))))
    }

    fn name(&self) -> String {
        self.local_addr()
            .map_or_else(|error| error.to_string(), |address| address.to_string())
    }
}

impl Door for AdminSocket {
    type Stream = UnixStream;

    async fn accept(&self) -> Result<(UnixStream, Caller), AcceptError> {
        Ok((self.listener.accept().await?.0, Caller(None)))
    }

    fn name(&self) -> String {
        self.path().display().to_string()
    }
}

impl<D: Door> Door for Arc<D> {
    type Stream = D::Stream;

    async fn accept(&self) -> Result<(D::Stream, Caller), AcceptError> {
        D::accept(self).await
    }

    fn name(&self) -> String {
        D::name(self)
    }
}

/// Serves `pages` on `door` until `stop`. Who was let in before and waits for an answer gets it yet, as one of
/// `callers`.
pub async fn serve(door: impl Door, pages: Router, bounds: Bounds, callers: TaskTracker, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (stream, caller) = tokio::select! {
            accepted = accept(&door) => accepted,
            () = stop.cancelled() => return,
        };
        let (pages, stop) = (pages.clone(), stop.clone());
        callers.spawn(async move {
            attend(stream, caller, pages, bounds, stop).await;
            drop(place);
        });
    }
}

async fn accept<D: Door>(door: &D) -> (D::Stream, Caller) {
    loop {
        match door.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                AcceptFailed {
                    listener: &door.name(),
                    error: &error,
                }
                .emit();
                tokio::time::sleep(error.pause()).await;
            }
        }
    }
}

async fn attend<S>(stream: S, caller: Caller, pages: Router, bounds: Bounds, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let pages = TowerToHyperService::new(pages);
    let closing = Closing(stop.clone());
    let pages = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(closing.clone());
        pages.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), pages);
    tokio::pin!(connection);
    // How a connection ends is of no interest here: the client has its answer, or has gone.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(bounds.age) => {}
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(bounds.farewell, connection).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::watch;

    use super::*;
    use crate::admin::{Vitals, metrics, pages};
    use crate::telemetry::names;

    /// A process with so many groups in need.
    #[derive(Debug)]
    struct Patient(watch::Sender<Vec<String>>);

    impl Vitals for Patient {
        fn show(&self) {
            self.0.send_modify(|obstacles| obstacles.push("scraped".to_owned()));
        }

        fn phase(&self) -> &'static str {
            "ready"
        }

        fn obstacles(&self) -> Vec<String> {
            self.0.borrow().clone()
        }

        fn remarks(&self) -> Vec<String> {
            vec!["the patient is looked after".to_owned()]
        }
    }

    struct Rig {
        address: SocketAddr,
        patient: Arc<Patient>,
        stop: CancellationToken,
        server: tokio::task::JoinHandle<()>,
        callers: TaskTracker,
    }

    fn rig(bounds: Bounds) -> Rig {
        let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let patient = Arc::new(Patient(watch::Sender::new(Vec::new())));
        let exposition = metrics::during(|| names::STORAGE_JOBS.with(["File4"]).set(2.0));
        let stop = CancellationToken::new();
        let pages = pages(exposition, Arc::clone(&patient) as Arc<dyn Vitals>);
        let callers = TaskTracker::new();
        let server = tokio::spawn(serve(listener, pages, bounds, callers.clone(), stop.clone()));
        Rig {
            address,
            patient,
            stop,
            server,
            callers,
        }
    }

    /// The whole answer to a request, read until the server closes.
    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        ask(address, &request).await
    }

    #[tokio::test]
    async fn the_pages_are_there() {
        let rig = rig(Bounds::default());
        let alive = fetch(rig.address, "/livez").await;
        assert!(
            alive.starts_with("HTTP/1.1 200") && alive.ends_with("alive\n"),
            "{alive}"
        );

        let ready = fetch(rig.address, "/readyz").await;
        assert!(
            ready.starts_with("HTTP/1.1 200") && ready.ends_with("ready\nthe patient is looked after\n"),
            "{ready}"
        );
        rig.patient
            .0
            .send_replace(vec!["group Files: File4 is down".to_owned(), "draining".to_owned()]);
        let unready = fetch(rig.address, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
        assert!(
            unready.ends_with("\r\n\r\ngroup Files: File4 is down\ndraining\nthe patient is looked after\n"),
            "{unready}"
        );

        let scraped = fetch(rig.address, "/metrics").await;
        assert!(scraped.contains("content-type: text/plain; version=0.0.4"), "{scraped}");
        assert!(
            scraped.contains("sdgroup_storage_jobs{storage=\"File4\"} 2\n"),
            "{scraped}"
        );
        assert!(
            rig.patient.obstacles().contains(&"scraped".to_owned()),
            "gauges are refreshed at the scrape"
        );

        let lost = fetch(rig.address, "/metric").await;
        assert!(lost.starts_with("HTTP/1.1 404") && lost.contains("/readyz"), "{lost}");
        let wrong = ask(
            rig.address,
            "POST /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
        assert!(wrong.starts_with("HTTP/1.1 405"), "{wrong}");
    }

    #[tokio::test]
    async fn one_who_says_nothing_is_cut_off() {
        let rig = rig(Bounds {
            head: Duration::from_millis(20),
            ..Bounds::default()
        });
        let answer = ask(rig.address, "GET /livez HTTP/1.1\r\nHost:").await;
        assert!(!answer.contains("200"), "{answer}");
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let rig = rig(Bounds::default());
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let line = format!("GET /livez HTTP/1.1\r\nX: {}\r\n", "y".repeat(4 * MAX_HEAD_BYTES));
        // The server may close before it has all of it.
        let _ = stream.write_all(line.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn one_connection_more_than_allowed_waits_for_its_turn() {
        let rig = rig(Bounds {
            connections: 1,
            ..Bounds::default()
        });
        let mut first = TcpStream::connect(rig.address).await.unwrap();
        first
            .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0_u8; 12];
        first.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");

        let mut second = TcpStream::connect(rig.address).await.unwrap();
        second
            .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let early = tokio::time::timeout(Duration::from_millis(50), second.readable()).await;
        assert!(early.is_err(), "the second is served beside the first");
        drop(first);
        second.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn an_idle_connection_ends_with_the_server() {
        let rig = rig(Bounds::default());
        let mut idle = TcpStream::connect(rig.address).await.unwrap();
        idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut start = [0_u8; 12];
        idle.read_exact(&mut start).await.unwrap();
        rig.stop.cancel();
        rig.server.await.unwrap();
        rig.callers.close();
        rig.callers.wait().await;
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(b"alive\n"));
    }

    #[tokio::test]
    async fn an_old_connection_is_asked_to_end() {
        let rig = rig(Bounds {
            age: Duration::from_millis(20),
            ..Bounds::default()
        });
        let answer = ask(rig.address, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.ends_with("alive\n"), "{answer}");
    }
}
