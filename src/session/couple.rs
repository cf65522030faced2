//! Two control connections, message by message: what the Director says goes to the storage and the other way
//! round, through a [`Traffic`] that reads along.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::channel::{Channel, ChannelError};
use crate::wire::packet::{Frame, Outbox, PacketError};

/// How many bytes are gathered for one write before they are sent, so that a stream of small packets costs few
/// system calls and memory stays bounded.
pub(super) const BURST_BYTES: usize = 256 * 1024;

/// What each leg is to be sent.
#[derive(Debug)]
pub(super) struct Legs<'a> {
    pub(super) to_director: &'a mut Outbox,
    pub(super) to_storage: &'a mut Outbox,
}

/// What follows from a message.
#[derive(Debug)]
pub(super) enum Flow {
    /// Go on.
    On,
    /// The couple is over, in order.
    Over,
    /// This is what the caller waits for; it has not been passed on.
    Caught(Frame),
}

/// Reads along, and decides what is passed on.
pub(super) trait Traffic {
    /// What can go wrong in reading along.
    type Error: From<PacketError>;

    /// The Director has sent `frame`.
    async fn on_director(&mut self, frame: Frame, legs: Legs<'_>) -> Result<Flow, Self::Error>;

    /// The storage has sent `frame`.
    async fn on_storage(&mut self, frame: Frame, legs: Legs<'_>) -> Result<Flow, Self::Error>;
}

/// How coupling ended.
#[derive(Debug)]
pub(super) enum Coupled<E> {
    /// The traffic said so.
    Over,
    /// The traffic caught a message.
    Caught(Frame),
    /// The Director's connection ended.
    DirectorGone(ChannelError),
    /// The storage's connection ended.
    StorageGone(ChannelError),
    /// Neither has said a word for so long.
    Silent(Duration),
    /// It was asked to stop.
    Stopped,
    /// The traffic failed.
    Failed(E),
}

/// What ends coupling from outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until<'a> {
    /// When it is cancelled.
    pub(super) stop: &'a CancellationToken,
    /// When neither has said a word for so long, if there is a limit.
    pub(super) silence: Option<Duration>,
}

/// Couples the two until one of the ends in [`Coupled`] comes. Everything that was decided before has been sent.
pub(super) async fn couple<T: Traffic>(
    director: &mut Channel,
    storage: &mut Channel,
    traffic: &mut T,
    until: Until<'_>,
) -> Coupled<T::Error> {
    let Until { stop, silence } = until;
    let mut burst = Ok(Flow::On);
    loop {
        // What was decided before a failure still holds, and is sent.
        tokio::select! {
            sent = flush_both(director, storage) => if let Err(end) = sent { return end },
            () = stop.cancelled() => return Coupled::Stopped,
        }
        match burst {
            Ok(Flow::On) => {}
            Ok(Flow::Over) => return Coupled::Over,
            Ok(Flow::Caught(frame)) => return Coupled::Caught(frame),
            Err(error) => return Coupled::Failed(error),
        }
        let event = tokio::select! {
            frame = director.receive() => Event::Director(frame),
            frame = storage.receive() => Event::Storage(frame),
            within = passed(silence) => return Coupled::Silent(within),
            () = stop.cancelled() => return Coupled::Stopped,
        };
        burst = match event {
            Event::Director(Ok(frame)) => pass_burst(Side::Director, frame, director, storage, traffic).await,
            Event::Storage(Ok(frame)) => pass_burst(Side::Storage, frame, director, storage, traffic).await,
            Event::Director(Err(error)) => return Coupled::DirectorGone(error),
            Event::Storage(Err(error)) => return Coupled::StorageGone(error),
        };
    }
}

/// Waits for as long as `limit` says, or for ever.
async fn passed(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

enum Event {
    Director(Result<Frame, ChannelError>),
    Storage(Result<Frame, ChannelError>),
}

#[derive(Clone, Copy)]
enum Side {
    Director,
    Storage,
}

/// Passes `first` and what has been read behind it already.
async fn pass_burst<T: Traffic>(
    side: Side,
    first: Frame,
    director: &mut Channel,
    storage: &mut Channel,
    traffic: &mut T,
) -> Result<Flow, T::Error> {
    let mut frame = first;
    loop {
        let legs = Legs {
            to_director: director.outbox(),
            to_storage: storage.outbox(),
        };
        let flow = match side {
            Side::Director => traffic.on_director(frame, legs).await?,
            Side::Storage => traffic.on_storage(frame, legs).await?,
        };
        if !matches!(flow, Flow::On) {
            return Ok(flow);
        }
        let gathered = director.unsent() + storage.unsent();
        if gathered >= BURST_BYTES {
            return Ok(Flow::On);
        }
        let next = match side {
            Side::Director => director.buffered(),
            Side::Storage => storage.buffered(),
        };
        match next {
            Ok(Some(next)) => frame = next,
            // An error comes again at the next receive, which tells it in its place.
            Ok(None) | Err(_) => return Ok(Flow::On),
        }
    }
}

async fn flush_both<E>(director: &mut Channel, storage: &mut Channel) -> Result<(), Coupled<E>> {
    // The Director first: what a storage said before it vanished has to arrive.
    director.flush().await.map_err(Coupled::DirectorGone)?;
    storage.flush().await.map_err(Coupled::StorageGone)
}
