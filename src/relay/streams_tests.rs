//! Relays with TLS on one leg or on both, over loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::net::deadline::within;
use crate::net::stream::Stream;
use crate::net::{listen, options, tls};

const KEY: &[u8] = b"17b0e77943e0f8025737818a726756ed";

/// A connection: the peer's end, and the relay's.
async fn pair(in_tls: bool) -> (Stream, Stream) {
    let listener = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let (called, accepted) = tokio::join!(TcpStream::connect(address), listen::accept(&listener));
    let (called, accepted) = (called.unwrap(), accepted.unwrap().0);
    for stream in [&called, &accepted] {
        options::tune(stream).unwrap();
    }
    let (mut called, mut accepted) = (Stream::from(called), Stream::from(accepted));
    if in_tls {
        let (client, server) = tokio::join!(
            called.start_psk(tls::Side::Client, KEY, Bytes::new()),
            accepted.start_psk(tls::Side::Server, KEY, Bytes::new())
        );
        client.unwrap();
        server.unwrap();
    }
    (called, accepted)
}

async fn start(pool: &Arc<PipePool>, in_tls: (bool, bool)) -> (Stream, Stream, JoinHandle<Outcome>) {
    start_with(pool, in_tls, FirstBytes::default(), Arc::default()).await
}

async fn start_with(
    pool: &Arc<PipePool>,
    in_tls: (bool, bool),
    first: FirstBytes,
    tally: Arc<Tally>,
) -> (Stream, Stream, JoinHandle<Outcome>) {
    let (near, relay_near) = pair(in_tls.0).await;
    let (far, relay_far) = pair(in_tls.1).await;
    let pool = Arc::clone(pool);
    let relay = tokio::spawn(async move {
        let stop = CancellationToken::new();
        duplex_streams(relay_near, relay_far, first, &pool, &tally, &stop).await
    });
    (near, far, relay)
}

async fn patiently<F: Future>(future: F) -> F::Output {
    within(Duration::from_secs(60), future).await.unwrap()
}

/// Sends `bytes` and waits until they are there.
async fn say(from: &mut Stream, to: &mut Stream, bytes: &[u8]) {
    let mut heard = vec![0; bytes.len()];
    let (said, read) = patiently(async {
        let say = async {
            from.write_all(bytes).await?;
            from.flush().await
        };
        tokio::join!(say, to.read_exact(&mut heard))
    })
    .await;
    said.unwrap();
    read.unwrap();
    assert!(heard == bytes, "{} bytes came otherwise", bytes.len());
}

#[tokio::test]
async fn nothing_is_kept_back_in_either_direction() {
    let pattern: Vec<u8> = (0..5_000_011_u32).map(|at| at.to_le_bytes()[1] ^ 7).collect();
    for in_tls in [(true, true), (true, false), (false, true)] {
        let pool = Arc::new(PipePool::default());
        let (mut near, mut far, relay) = start(&pool, in_tls).await;
        // Less than a record, more than one, more than the room for them, and more than a turn.
        for length in [1, 20_000, 300_001, 5_000_011, 3] {
            say(&mut near, &mut far, &pattern[..length]).await;
            say(&mut far, &mut near, &pattern[..length]).await;
        }
        let (one, other) = tokio::join!(near.shutdown(), far.shutdown());
        one.unwrap();
        other.unwrap();
        let end = patiently(relay).await.unwrap().end;
        assert!(matches!(end, End::Closed), "{in_tls:?}: {end:?}");
        let figures = pool.figures();
        assert_eq!(
            figures.buffers_idle as u64, figures.buffers_made,
            "what was lent has come back"
        );
        // Of two directions, one may wait with its buffers while the other moves something.
        assert!((2..=6).contains(&figures.buffers_made), "{figures:?}");
    }
}

#[tokio::test]
async fn little_borrows_no_more_than_a_buffer_in_each_direction() {
    let pool = Arc::new(PipePool::default());
    let (mut near, mut far, _relay) = start(&pool, (true, true)).await;
    for _ in 0..50 {
        say(&mut near, &mut far, b"a question").await;
        say(&mut far, &mut near, &[7; 1000]).await;
    }
    let made = pool.figures().buffers_made;
    assert!((1..=2).contains(&made), "{made} buffers");
}

#[tokio::test]
async fn first_bytes_are_counted_alike_with_and_without_tls() {
    for in_tls in [(false, false), (true, false), (false, true), (true, true)] {
        let (pool, tally) = (Arc::new(PipePool::default()), Arc::<Tally>::default());
        let first = FirstBytes {
            to_far: Bytes::from_static(b"hello "),
            to_near: Bytes::from_static(b"welcome "),
        };
        let (mut near, mut far, relay) = start_with(&pool, in_tls, first, Arc::clone(&tally)).await;
        near.write_all(b"from near").await.unwrap();
        near.shutdown().await.unwrap();
        far.shutdown().await.unwrap();
        let (mut at_far, mut at_near) = (String::new(), String::new());
        patiently(far.read_to_string(&mut at_far)).await.unwrap();
        patiently(near.read_to_string(&mut at_near)).await.unwrap();
        assert_eq!((at_far.as_str(), at_near.as_str()), ("hello from near", "welcome "));
        assert!(matches!(patiently(relay).await.unwrap().end, End::Closed));
        assert_eq!((tally.to_far(), tally.to_near()), (15, 8), "{in_tls:?}");
        let figures = pool.figures();
        assert_eq!(figures.spliced_bytes + figures.copied_bytes, 9, "{in_tls:?}");
    }
}

#[tokio::test]
async fn an_end_without_farewell_breaks_both_off() {
    for in_tls in [(true, true), (true, false)] {
        let pool = Arc::new(PipePool::default());
        let (mut near, mut far, relay) = start(&pool, in_tls).await;
        say(&mut near, &mut far, b"the beginning of something").await;
        // The system ends the connection in order, which anybody on the way can bring about, and TLS does not.
        drop(near);
        let cut = patiently(far.read_u8()).await.unwrap_err();
        assert_eq!(cut.kind(), std::io::ErrorKind::ConnectionReset, "{in_tls:?}");
        let end = patiently(relay).await.unwrap().end;
        let broken = matches!(
            end,
            End::Reset {
                side: Side::Near,
                after_end: false
            }
        );
        assert!(broken, "{in_tls:?}: {end:?}");
    }
}

#[tokio::test]
async fn a_side_that_breaks_off_after_its_end_is_noticed_in_silence() {
    for in_tls in [(true, true), (true, false), (false, true)] {
        let pool = Arc::new(PipePool::default());
        let (mut near, mut far, relay) = start(&pool, in_tls).await;
        say(&mut near, &mut far, b"all I have to say").await;
        near.shutdown().await.unwrap();
        assert_eq!(patiently(far.read(&mut [0; 8])).await.unwrap(), 0);
        options::reset_on_close(near.tcp()).unwrap();
        drop(near);
        let end = patiently(relay).await.unwrap().end;
        let broken = matches!(
            end,
            End::Reset {
                side: Side::Near,
                after_end: true
            }
        );
        assert!(broken, "{in_tls:?}: {end:?}");
    }
}

#[tokio::test]
async fn both_directions_at_once_wait_for_slow_readers_and_lose_nothing() {
    let pool = Arc::new(PipePool::default());
    let (near, far, relay) = start(&pool, (true, true)).await;
    let bytes = vec![9; 24 << 20];
    let (from_near, to_near) = tokio::io::split(near);
    let (mut from_far, to_far) = tokio::io::split(far);
    let send = |mut to: tokio::io::WriteHalf<Stream>| {
        let bytes = &bytes;
        async move {
            to.write_all(bytes).await.unwrap();
            to.shutdown().await.unwrap();
            to
        }
    };
    let receive = |mut from: tokio::io::ReadHalf<Stream>| async move {
        let mut all = Vec::new();
        from.read_to_end(&mut all).await.unwrap();
        all
    };
    // Nobody reads the one until the other is there.
    let mut first = vec![0; bytes.len()];
    let (_near, _far, ..) = patiently(async {
        tokio::join!(send(to_near), send(to_far), async {
            from_far.read_exact(&mut first).await.unwrap();
            assert!(receive(from_near).await == bytes);
            assert!(receive(from_far).await.is_empty());
        })
    })
    .await;
    assert!(first == bytes);
    let end = patiently(relay).await.unwrap().end;
    assert!(matches!(end, End::Closed), "{end:?}");
}
