//! Client and storage, each a process of its own that blocks in a thread for each stream.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::Instant;

use tokio::sync::mpsc;

use crate::rig::{self, WRITE, cpu_time};
use crate::site;
use crate::site::storage::{DataConnection, Wanted};

/// Which way the bulk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToStorage,
    FromStorage,
}

impl Direction {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ToStorage => "to",
            Self::FromStorage => "from",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "to" => Self::ToStorage,
            "from" => Self::FromStorage,
            other => panic!("no direction: {other}"),
        }
    }
}

fn send(mut to: &TcpStream, bytes: u64) {
    rig::send(bytes, |block| to.write_all(block).expect("a reader"));
}

/// Reads `wanted` bytes.
fn receive(mut from: &TcpStream, wanted: u64) {
    let mut buffer = vec![0; WRITE];
    let mut left = wanted;
    while left > 0 {
        let most = left.min(WRITE as u64);
        let read = from
            .read(&mut buffer[..usize::try_from(most).unwrap()])
            .expect("a sender");
        assert!(read > 0, "{left} bytes were lost");
        left -= read as u64;
    }
}

/// A storage: prints its address, and serves until it is killed.
pub(crate) fn storage(known: &[String]) {
    let (direction, bytes) = (Direction::of(&known[0]), known[1].parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (listener, address) = site::storage::listen([127, 0, 0, 1]);
        println!("{address}");
        let (sender, mut data) = mpsc::unbounded_channel();
        let wanted = Wanted {
            data: sender,
            control: None,
        };
        tokio::spawn(site::storage::serve(listener, wanted));
        while let Some(connection) = data.recv().await {
            std::thread::spawn(move || serve(connection, direction, bytes));
        }
    });
}

fn serve(connection: DataConnection, direction: Direction, bytes: u64) {
    let stream = connection.stream.into_std().expect("a socket");
    stream.set_nonblocking(false).expect("a socket that blocks");
    match direction {
        Direction::ToStorage => {
            receive(&stream, bytes - connection.ahead.len() as u64);
            // Whoever sent it waits for this.
            send(&stream, 1);
        }
        Direction::FromStorage => send(&stream, bytes),
    }
    stream.shutdown(Shutdown::Write).expect("an end");
    assert_eq!((&stream).read(&mut [0; 16]).expect("an end"), 0);
}

/// A Client: prints the seconds that its streams took, and its CPU seconds.
pub(crate) fn client(known: &[String]) {
    let address: SocketAddr = known[0].parse().expect("an address");
    let (direction, bytes) = (Direction::of(&known[1]), known[2].parse().expect("a number"));
    let streams: u32 = known[3].parse().expect("a number");
    let start = Arc::new(Barrier::new(streams as usize + 1));
    let threads: Vec<_> = (1..=streams)
        .map(|number| {
            let start = Arc::clone(&start);
            std::thread::spawn(move || {
                start.wait();
                let mut stream = TcpStream::connect(address).expect("the other end");
                let hello = site::client_hello(&site::job_name(number));
                stream.write_all(&hello).expect("the other end");
                match direction {
                    Direction::ToStorage => {
                        send(&stream, bytes);
                        receive(&stream, 1);
                    }
                    Direction::FromStorage => receive(&stream, bytes),
                }
                stream.shutdown(Shutdown::Write).expect("an end");
                assert_eq!(stream.read(&mut [0; 16]).expect("an end"), 0);
            })
        })
        .collect();
    let begun = Instant::now();
    start.wait();
    for thread in threads {
        thread.join().expect("a stream");
    }
    println!("{}", begun.elapsed().as_secs_f64());
    println!("{}", cpu_time());
}
