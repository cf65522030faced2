//! A Client: opens the data connection of its job, and leaves its TLS to the imagination.

use std::net::SocketAddr;

use sdgroup::types::JobName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A data connection.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) async fn call(address: SocketAddr, job: &JobName) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("sdgroup");
        stream.set_nodelay(true).expect("an option");
        stream.write_all(&super::client_hello(job)).await.expect("sdgroup");
        Self { stream }
    }

    /// Sends so many bytes, and reads as many from a storage that answers so.
    pub(crate) async fn exchange(&mut self, bytes: u64) {
        const PIECE: usize = 4 << 10;
        let (mut from, mut to) = self.stream.split();
        let send = async {
            let piece = [7; PIECE];
            let mut left = bytes;
            while left > 0 {
                let length = left.min(PIECE as u64);
                to.write_all(&piece[..usize::try_from(length).expect("a piece")])
                    .await
                    .expect("a reader");
                left -= length;
            }
        };
        let receive = async {
            let mut piece = [0; PIECE];
            let mut left = bytes;
            while left > 0 {
                let read = from.read(&mut piece).await.expect("a sender");
                assert!(read > 0, "{left} bytes were lost");
                left -= read as u64;
            }
        };
        tokio::join!(send, receive);
    }

    /// Ends it, and waits for the storage's end.
    pub(crate) async fn end(mut self) {
        self.stream.shutdown().await.expect("an end");
        assert_eq!(self.stream.read(&mut [0; 16]).await.expect("an end"), 0);
    }
}
