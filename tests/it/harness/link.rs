//! A link between two daemons that can be cut, stalled and slowed, in user space, so that no root is needed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a link is at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Weather {
    /// What goes towards the daemon behind the link stays on the way.
    stalls_there: bool,
    /// What comes back stays on the way.
    stalls_back: bool,
    /// Each piece is so late.
    delay: Duration,
    /// Counts the times when everything was cut.
    cuts: u32,
}

/// A link to one daemon: who connects to its address reaches the daemon through it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
}

impl Link {
    pub(crate) async fn to(daemon: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let weather = Arc::new(watch::Sender::new(Weather::default()));
        let told = Arc::clone(&weather);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, daemon, told.subscribe()));
            }
        });
        Self { address, weather }
    }

    /// Resets every connection that is on the link now.
    pub(crate) fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Keeps what goes to the daemon, until told otherwise.
    pub(crate) fn stall_there(&self, stalls: bool) {
        self.weather.send_modify(|weather| weather.stalls_there = stalls);
    }

    /// Keeps what comes from the daemon, until told otherwise.
    pub(crate) fn stall_back(&self, stalls: bool) {
        self.weather.send_modify(|weather| weather.stalls_back = stalls);
    }

    /// Makes each piece late.
    pub(crate) fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }
}

/// One connection.
async fn carry(near: TcpStream, daemon: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let Ok(far) = TcpStream::connect(daemon).await else {
        let _ = sdgroup::net::options::reset_on_close(&near);
        return;
    };
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
    }
    let cuts = weather.borrow_and_update().cuts;
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    let there = flow(from_near, to_far, weather.clone(), |weather| weather.stalls_there);
    let back = flow(from_far, to_near, weather.clone(), |weather| weather.stalls_back);
    let mut ended = Box::pin(async { tokio::join!(there, back) });
    tokio::select! {
        _ = &mut ended => {}
        _ = weather.wait_for(|weather| weather.cuts != cuts) => {}
    }
}

/// One direction. When it is dropped before its end, the connection is reset.
async fn flow(
    mut from: OwnedReadHalf,
    to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    stalls: impl Fn(&Weather) -> bool,
) {
    let mut to = ResetUnlessDone { to, done: false };
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut piece).await;
        // Without the link there is no weather; the connection goes on.
        let delay = weather
            .wait_for(|weather| !stalls(weather))
            .await
            .map_or(Duration::ZERO, |weather| weather.delay);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match read {
            Ok(0) => {
                to.done = true;
                let _ = to.to.shutdown().await;
                return;
            }
            Ok(count) if to.to.write_all(&piece[..count]).await.is_ok() => {}
            _ => return,
        }
    }
}

struct ResetUnlessDone {
    to: OwnedWriteHalf,
    done: bool,
}

impl Drop for ResetUnlessDone {
    fn drop(&mut self) {
        if !self.done {
            let _ = sdgroup::net::options::reset_on_close(self.to.as_ref());
        }
    }
}
