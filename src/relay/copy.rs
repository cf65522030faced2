//! One direction through a buffer, where no pipe can be had.

use std::io;

use tokio::net::TcpStream;

use super::pass::{Fault, Pass, WORK_BUDGET};
use super::tally::Count;

/// Moves what `from` has to `to` through `buffer`.
pub(super) async fn pass(from: &TcpStream, to: &TcpStream, buffer: &mut [u8], count: Count<'_>) -> Result<Pass, Fault> {
    let mut budget = WORK_BUDGET;
    loop {
        match from.try_read(buffer) {
            Ok(0) => return Ok(Pass::Ended),
            Ok(read) => {
                let chunk = buffer.get(..read).unwrap_or_default();
                send_all(chunk, to, |sent| count.add(sent)).await?;
                budget = budget.saturating_sub(read);
                if budget == 0 {
                    return Ok(Pass::Spent);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Pass::Dry),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::Read(error)),
        }
    }
}

/// Sends `bytes` to `to`, telling `sent` of each part, waiting for as long as the peer takes to accept them.
pub(super) async fn send_all(mut bytes: &[u8], to: &TcpStream, sent: impl Fn(usize)) -> Result<(), Fault> {
    while !bytes.is_empty() {
        match to.try_write(bytes) {
            Ok(0) => return Err(Fault::Write(io::ErrorKind::WriteZero.into())),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                sent(written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.writable().await.map_err(Fault::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::Write(error)),
        }
    }
    Ok(())
}
