//! Relays over loopback: every byte, every kind of end.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::net::deadline::within;
use crate::net::{listen, options};

const MIB: u64 = 1 << 20;

/// A relay that runs, and its two peers.
struct Rig {
    near: TcpStream,
    far: TcpStream,
    tally: Arc<Tally>,
    stop: CancellationToken,
    relay: JoinHandle<Outcome>,
}

impl Rig {
    async fn start(pool: &Arc<PipePool>, first: FirstBytes) -> Self {
        Self::start_with(pool, first, CancellationToken::new(), None).await
    }

    async fn start_with(
        pool: &Arc<PipePool>,
        first: FirstBytes,
        stop: CancellationToken,
        buffers: Option<usize>,
    ) -> Self {
        let (near, relay_near) = pair(buffers).await;
        let (far, relay_far) = pair(buffers).await;
        let tally = Arc::new(Tally::default());
        let relay = tokio::spawn({
            let (pool, tally, stop) = (Arc::clone(pool), Arc::clone(&tally), stop.clone());
            async move { duplex(relay_near, relay_far, first, &pool, &tally, &stop).await }
        });
        Self {
            near,
            far,
            tally,
            stop,
            relay,
        }
    }

    async fn end(self) -> End {
        patiently(self.relay).await.unwrap().end
    }
}

/// A connection; `buffers` fixes the size of the kernel's buffers in bytes.
async fn pair(buffers: Option<usize>) -> (TcpStream, TcpStream) {
    let listener = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let (called, accepted) = tokio::join!(TcpStream::connect(address), listen::accept(&listener));
    let (called, accepted) = (called.unwrap(), accepted.unwrap().0);
    for stream in [&called, &accepted] {
        options::tune(stream).unwrap();
        if let Some(size) = buffers {
            SockRef::from(stream).set_recv_buffer_size(size).unwrap();
            SockRef::from(stream).set_send_buffer_size(size).unwrap();
        }
    }
    (called, accepted)
}

async fn patiently<F: Future>(future: F) -> F::Output {
    within(Duration::from_secs(60), future).await.unwrap()
}

fn pool() -> Arc<PipePool> {
    Arc::new(PipePool::default())
}

fn pool_without_pipes() -> Arc<PipePool> {
    Arc::new(PipePool::new(PoolOptions {
        pipes: 0,
        ..PoolOptions::default()
    }))
}

/// Bytes that look random and repeat after a prime number of them, so that any loss or shift shows.
struct Pattern(Vec<u8>);

impl Pattern {
    fn new(seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let bytes = (0..65_521).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        });
        Self(bytes.collect())
    }

    async fn send(&self, to: &mut (impl AsyncWrite + Unpin), mut left: u64) {
        while left > 0 {
            let length = usize::try_from(left).unwrap().min(self.0.len());
            to.write_all(&self.0[..length]).await.unwrap();
            left -= length as u64;
        }
    }

    /// Reads to the end, and tells how many bytes came; they must be the pattern's.
    async fn expect(&self, from: &mut (impl AsyncRead + Unpin)) -> u64 {
        let (mut total, mut at) = (0, 0);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut buffer).await.unwrap();
            if read == 0 {
                return total;
            }
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                let length = rest.len().min(self.0.len() - at);
                assert!(rest[..length] == self.0[at..at + length], "wrong bytes after {total}");
                rest = &rest[length..];
                at = (at + length) % self.0.len();
                total += length as u64;
            }
        }
    }
}

/// Sends `bytes` each way at once, each its own, and checks all that arrives.
async fn exchange(mut rig: Rig, seed: u64, bytes: u64) -> End {
    let (there, back) = (Pattern::new(seed), Pattern::new(seed + 1));
    let (mut near_read, mut near_write) = rig.near.split();
    let (mut far_read, mut far_write) = rig.far.split();
    let ((), (), to_far, to_near) = patiently(async {
        tokio::join!(
            async {
                there.send(&mut near_write, bytes).await;
                near_write.shutdown().await.unwrap();
            },
            async {
                back.send(&mut far_write, bytes).await;
                far_write.shutdown().await.unwrap();
            },
            there.expect(&mut far_read),
            back.expect(&mut near_read),
        )
    })
    .await;
    assert_eq!((to_far, to_near), (bytes, bytes));
    assert_eq!((rig.tally.to_far(), rig.tally.to_near()), (bytes, bytes));
    rig.end().await
}

async fn assert_reset(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let error = patiently(stream.read_to_end(&mut rest)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

fn break_off(stream: TcpStream) {
    options::reset_on_close(&stream).unwrap();
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bytes_pass_both_ways_through_pipes() {
    let pool = pool();
    let end = exchange(Rig::start(&pool, FirstBytes::default()).await, 1, 96 * MIB).await;
    assert!(matches!(end, End::Closed), "{end:?}");
    assert_eq!(pool.figures().spliced_bytes + pool.figures().copied_bytes, 192 * MIB);
    assert!(pool.figures().spliced_bytes > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bytes_pass_both_ways_through_buffers() {
    let pool = pool_without_pipes();
    let end = exchange(Rig::start(&pool, FirstBytes::default()).await, 2, 96 * MIB).await;
    assert!(matches!(end, End::Closed), "{end:?}");
    let figures = pool.figures();
    assert_eq!((figures.spliced_bytes, figures.copied_bytes), (0, 192 * MIB));
    assert!(figures.shortages > 0);
    assert_eq!(figures.pipes_made, 0);
}

#[tokio::test]
async fn what_is_borrowed_is_returned() {
    let pool = pool();
    for seed in 0..4 {
        let end = exchange(Rig::start(&pool, FirstBytes::default()).await, seed, 4 * MIB).await;
        assert!(matches!(end, End::Closed), "{end:?}");
    }
    let figures = pool.figures();
    assert_eq!(figures.pipes_idle, figures.pipes_open);
    // No more than the directions that ever moved at once.
    assert!((1..=2).contains(&figures.pipes_made), "{figures:?}");
}

#[tokio::test]
async fn first_bytes_come_first() {
    let first = FirstBytes {
        to_far: Bytes::from_static(b"hello "),
        to_near: Bytes::from_static(b"welcome "),
    };
    let mut rig = Rig::start(&pool(), first).await;
    rig.near.write_all(b"from near").await.unwrap();
    rig.far.write_all(b"from far").await.unwrap();
    rig.near.shutdown().await.unwrap();
    rig.far.shutdown().await.unwrap();
    let (mut at_far, mut at_near) = (String::new(), String::new());
    patiently(rig.far.read_to_string(&mut at_far)).await.unwrap();
    patiently(rig.near.read_to_string(&mut at_near)).await.unwrap();
    assert_eq!(
        (at_far.as_str(), at_near.as_str()),
        ("hello from near", "welcome from far")
    );
    assert_eq!((rig.tally.to_far(), rig.tally.to_near()), (15, 16));
    assert!(matches!(rig.end().await, End::Closed));
}

/// `one` ends; `other` is told, and can still send as much as it likes.
async fn half_close(one: &mut TcpStream, other: &mut TcpStream) {
    let pattern = Pattern::new(3);
    one.write_all(&pattern.0).await.unwrap();
    one.shutdown().await.unwrap();
    assert_eq!(patiently(pattern.expect(other)).await, pattern.0.len() as u64);
    let answer = Pattern::new(4);
    let ((), back) = patiently(async {
        tokio::join!(
            async {
                answer.send(other, 8 * MIB).await;
                other.shutdown().await.unwrap();
            },
            answer.expect(one),
        )
    })
    .await;
    assert_eq!(back, 8 * MIB);
}

#[tokio::test]
async fn a_side_that_has_ended_is_still_sent_to() {
    let mut rig = Rig::start(&pool(), FirstBytes::default()).await;
    half_close(&mut rig.near, &mut rig.far).await;
    assert!(matches!(rig.end().await, End::Closed));

    let mut rig = Rig::start(&pool(), FirstBytes::default()).await;
    half_close(&mut rig.far, &mut rig.near).await;
    assert!(matches!(rig.end().await, End::Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_before_a_pause_arrives_before_it_is_over() {
    for pool in [pool(), pool_without_pipes()] {
        let mut rig = Rig::start(&pool, FirstBytes::default()).await;
        let pattern = Pattern::new(11);
        // So many at once that more is waited for, again and again; then a pause until they have all arrived.
        for odd in 1..=20 {
            let bytes = 3 * MIB + 1000 * odd;
            let mut arrived = vec![0; usize::try_from(bytes).unwrap()];
            let (_sent, arrived) =
                patiently(async { tokio::join!(pattern.send(&mut rig.near, bytes), rig.far.read_exact(&mut arrived)) })
                    .await;
            assert_eq!(arrived.unwrap() as u64, bytes);
        }
        rig.near.shutdown().await.unwrap();
        rig.far.shutdown().await.unwrap();
        assert!(matches!(rig.end().await, End::Closed));
    }
}

#[tokio::test]
async fn a_reset_is_passed_on_and_told_apart() {
    let mut rig = Rig::start(&pool(), FirstBytes::default()).await;
    break_off(rig.near);
    assert_reset(&mut rig.far).await;
    let end = patiently(rig.relay).await.unwrap().end;
    let side = Side::Near;
    assert!(
        matches!(end, End::Reset { side: at, after_end: false } if at == side),
        "{end:?}"
    );

    rig = Rig::start(&pool(), FirstBytes::default()).await;
    break_off(rig.far);
    assert_reset(&mut rig.near).await;
    let end = patiently(rig.relay).await.unwrap().end;
    let side = Side::Far;
    assert!(
        matches!(end, End::Reset { side: at, after_end: false } if at == side),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_transfer_is_no_end() {
    for pool in [pool(), pool_without_pipes()] {
        let mut rig = Rig::start(&pool, FirstBytes::default()).await;
        let pattern = Pattern::new(5);
        let mut some = vec![0; 1000];
        rig.near.write_all(&pattern.0).await.unwrap();
        patiently(rig.far.read_exact(&mut some)).await.unwrap();
        break_off(rig.near);
        assert_reset(&mut rig.far).await;
        let end = patiently(rig.relay).await.unwrap().end;
        assert_eq!(end.label(), "reset_near");
    }
}

#[tokio::test]
async fn a_receiver_that_breaks_off_breaks_the_sender_off() {
    let mut rig = Rig::start_with(&pool(), FirstBytes::default(), CancellationToken::new(), Some(64 << 10)).await;
    let pattern = Pattern::new(6);
    let mut some = vec![0; 1000];
    rig.near.write_all(&pattern.0).await.unwrap();
    patiently(rig.far.read_exact(&mut some)).await.unwrap();
    break_off(rig.far);
    let error = patiently(async {
        loop {
            if let Err(error) = rig.near.write_all(&pattern.0).await {
                break error;
            }
        }
    })
    .await;
    assert!(matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    ));
    assert_eq!(patiently(rig.relay).await.unwrap().end.label(), "reset_far");
}

#[tokio::test]
async fn a_side_that_breaks_off_after_its_end_is_noticed_in_silence() {
    let mut rig = Rig::start(&pool(), FirstBytes::default()).await;
    rig.near.write_all(b"all I have to say").await.unwrap();
    rig.near.shutdown().await.unwrap();
    // Only once the end has been passed on is a break one that comes after it.
    let mut heard = Vec::new();
    patiently(rig.far.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"all I have to say");
    break_off(rig.near);
    let end = patiently(rig.relay).await.unwrap().end;
    assert!(
        matches!(
            end,
            End::Reset {
                side: Side::Near,
                after_end: true
            }
        ),
        "{end:?}"
    );
    // The other has been let go, and learns that nobody listens as soon as it speaks.
    let refused = patiently(async {
        loop {
            if let Err(error) = rig.far.write_all(b"are you there?").await {
                break error;
            }
        }
    })
    .await;
    assert!(matches!(
        refused.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    ));
}

#[tokio::test]
async fn a_stop_resets_both_sides() {
    let mut rig = Rig::start(&pool(), FirstBytes::default()).await;
    rig.stop.cancel();
    assert_reset(&mut rig.near).await;
    assert_reset(&mut rig.far).await;
    assert!(matches!(rig.end().await, End::Stopped));

    let stopped = CancellationToken::new();
    stopped.cancel();
    rig = Rig::start_with(&pool(), FirstBytes::default(), stopped, None).await;
    assert_reset(&mut rig.near).await;
    assert_reset(&mut rig.far).await;
    assert!(matches!(rig.end().await, End::Stopped));
}

#[tokio::test]
async fn a_relay_that_is_dropped_resets_both_sides() {
    let mut rig = Rig::start(&pool(), FirstBytes::default()).await;
    // Bytes that arrive show that it runs.
    rig.near.write_all(b"!").await.unwrap();
    assert_eq!(patiently(rig.far.read_u8()).await.unwrap(), b'!');
    rig.relay.abort();
    assert_reset(&mut rig.near).await;
    assert_reset(&mut rig.far).await;
}

/// Sends until nothing more is accepted for a while, and tells how much was.
async fn send_until_full(pattern: &Pattern, to: &mut TcpStream) -> u64 {
    let (mut total, mut at) = (0, 0);
    while let Ok(written) = within(Duration::from_millis(300), to.write(&pattern.0[at..])).await {
        let written = written.unwrap();
        total += written as u64;
        at = (at + written) % pattern.0.len();
    }
    total
}

#[tokio::test]
async fn a_slow_reader_slows_its_sender() {
    for pool in [pool(), pool_without_pipes()] {
        let mut rig = Rig::start_with(&pool, FirstBytes::default(), CancellationToken::new(), Some(64 << 10)).await;
        let pattern = Pattern::new(7);
        let sent = send_until_full(&pattern, &mut rig.near).await;
        // Four socket buffers of twice 64 KiB and what is in the pipe or buffer.
        assert!(sent < 3 * MIB, "{sent} bytes were accepted though nobody reads");
        assert!(rig.tally.to_far() < sent);
        assert_eq!(pool.figures().pipes_idle, 0);
        rig.near.shutdown().await.unwrap();
        assert_eq!(patiently(pattern.expect(&mut rig.far)).await, sent);
        assert_eq!(rig.tally.to_far(), sent);
        rig.far.shutdown().await.unwrap();
        assert!(matches!(rig.end().await, End::Closed));
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_slow_reader_and_closes_its_pipe() {
    let pool = pool();
    let mut rig = Rig::start_with(&pool, FirstBytes::default(), CancellationToken::new(), Some(64 << 10)).await;
    let sent = send_until_full(&Pattern::new(8), &mut rig.near).await;
    assert!(rig.tally.to_far() < sent);
    assert_eq!(pool.figures().pipes_open, 1);
    rig.stop.cancel();
    let end = patiently(rig.relay).await.unwrap().end;
    assert!(matches!(end, End::Stopped), "{end:?}");
    assert_eq!(pool.figures().pipes_open, 0);
}

#[tokio::test]
async fn who_finds_no_pipe_copies_until_there_is_one() {
    let pool = Arc::new(PipePool::new(PoolOptions {
        pipes: 1,
        ..PoolOptions::default()
    }));
    let mut holder = Rig::start_with(&pool, FirstBytes::default(), CancellationToken::new(), Some(64 << 10)).await;
    let pattern = Pattern::new(9);
    let sent = send_until_full(&pattern, &mut holder.near).await;
    assert_eq!(pool.figures().pipes_open, 1);

    let end = exchange(Rig::start(&pool, FirstBytes::default()).await, 10, 4 * MIB).await;
    assert!(matches!(end, End::Closed), "{end:?}");
    assert_eq!(pool.figures().copied_bytes, 8 * MIB);
    assert!(pool.figures().shortages > 0);

    holder.near.shutdown().await.unwrap();
    assert_eq!(patiently(pattern.expect(&mut holder.far)).await, sent);
    let spliced = pool.figures().spliced_bytes;
    let mut rig = Rig::start(&pool, FirstBytes::default()).await;
    rig.near.write_all(b"again").await.unwrap();
    patiently(rig.far.read_exact(&mut [0; 5])).await.unwrap();
    assert_eq!(pool.figures().spliced_bytes, spliced + 5);
}

#[tokio::test]
async fn a_busy_relay_starves_no_one() {
    let pool = pool();
    let mut busy = Rig::start(&pool, FirstBytes::default()).await;
    let mut quiet = Rig::start(&pool, FirstBytes::default()).await;
    let (near, far) = (busy.near.into_std().unwrap(), busy.far.into_std().unwrap());
    let threads = [
        std::thread::spawn(move || flood(&near)),
        std::thread::spawn(move || swallow(&far)),
    ];
    let mut most = 0;
    patiently(async {
        while busy.tally.to_far() == 0 {
            tokio::task::yield_now().await;
        }
        for turn in 0..200_u8 {
            let before = busy.tally.to_far();
            quiet.near.write_u8(turn).await.unwrap();
            assert_eq!(quiet.far.read_u8().await.unwrap(), turn);
            most = most.max(busy.tally.to_far() - before);
        }
    })
    .await;
    // One turn for each time that the runtime comes to look who else has something: the quiet relay, and its receiver.
    let turn = pass::WORK_BUDGET as u64;
    assert!(most <= 4 * turn, "{most} bytes passed while one did");
    busy.stop.cancel();
    assert!(matches!(patiently(&mut busy.relay).await.unwrap().end, End::Stopped));
    for thread in threads {
        thread.join().unwrap();
    }
}

fn flood(mut to: &std::net::TcpStream) {
    use std::io::Write as _;
    to.set_nonblocking(false).unwrap();
    let block = vec![7; 64 << 10];
    while to.write_all(&block).is_ok() {}
}

fn swallow(mut from: &std::net::TcpStream) {
    use std::io::Read as _;
    from.set_nonblocking(false).unwrap();
    let mut buffer = vec![0; 256 << 10];
    while from.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_relays_keep_their_bytes_apart() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, all).unwrap();
    // Fewer pipes than directions: some splice, some copy, and every one of them changes over.
    let pool = Arc::new(PipePool::new(PoolOptions {
        pipes: 16,
        ..PoolOptions::default()
    }));
    let mut running = tokio::task::JoinSet::new();
    for number in 0..200 {
        let rig = Rig::start(&pool, FirstBytes::default()).await;
        running.spawn(exchange(rig, 1000 + 2 * number, MIB / 2 + number));
    }
    while let Some(end) = running.join_next().await {
        assert!(matches!(end, Ok(End::Closed)), "{end:?}");
    }
    let figures = pool.figures();
    assert_eq!(figures.pipes_idle, figures.pipes_open);
    assert_eq!(
        figures.spliced_bytes + figures.copied_bytes,
        (0..200).map(|number| 2 * (MIB / 2 + number)).sum::<u64>()
    );
}
