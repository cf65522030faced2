//! A Client that does not call but is called (`SD Calls Client` in the Director's Client resource).
//!
//! The storage would call it before the job runs. sdgroup does so in its place, whichever storage that is: the Client
//! lets in one machine for all of them, and the connection is served like one that it has made itself. For the storage
//! the Client then calls as usual (Bacula `src/stored/dircmd.c`, `src/filed/hello.c`).

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::super::context::Context;
use super::super::front::{self, Arrival};
use super::super::routes::Route;
use crate::channel::{Channel, ChannelError};
use crate::net::dial::{self, DialError};
use crate::net::options;
use crate::telemetry::event::{PacketCause, SessionKind};
use crate::wire::command::ClientAddress;
use crate::wire::hello::{Hello, StorageCalling};
use crate::wire::line::LineError;

/// What a storage replies when it has called the Client.
pub(in super::super) const OK: &str = "3000 OK client command\n";

/// Why a Client was not called.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum CallError {
    /// The Director's command does not read as one.
    #[error("the Director does not say which Client is to be called: {0}")]
    Command(#[from] LineError),
    /// The Client cannot be reached from here.
    #[error("sdgroup cannot call the Client, which has SD Calls Client: {0}")]
    Dial(#[from] DialError),
    /// The Client hung up.
    #[error("the Client, which has SD Calls Client, hung up when sdgroup called: {0}")]
    Lost(#[source] ChannelError),
}

/// Calls the Client that `command` names. What becomes of the connection is not waited for: the Client says nothing
/// until the Director tells it to use it.
pub(in super::super) async fn call(
    context: &Arc<Context>,
    route: &Arc<Route>,
    command: &[u8],
) -> Result<(), CallError> {
    let client = ClientAddress::parse(command)?;
    let address = String::from_utf8_lossy(client.address);
    let stream = dial::dial(&address, client.port, route.connect_timeout).await?;
    let peer = stream.peer_addr().map_err(|error| CallError::Lost(error.into()))?;
    // A socket option that cannot be set makes the connection slower, not wrong.
    let _ = options::tune(&stream);
    let mut channel = Channel::new(stream.into());
    let calling = StorageCalling {
        job: route.job.clone(),
        sd_version: route.far.version(),
    };
    channel.outbox().message(calling.to_line());
    channel.flush().await.map_err(CallError::Lost)?;
    let arrival = Arrival::called(peer, SessionKind::Client);
    let ends = [route.stop.clone(), route.over.clone()];
    context
        .sessions
        .spawn(serve(Arc::clone(context), channel, arrival, ends));
    Ok(())
}

/// Waits for the Client's Hello until the job is over, and goes on as if the Client had called.
async fn serve(context: Arc<Context>, mut channel: Channel, arrival: Arrival, [stop, over]: [CancellationToken; 2]) {
    let received = tokio::select! {
        received = channel.receive() => received,
        () = stop.cancelled() => return,
        () = over.cancelled() => return,
    };
    // The Director hears from a Client that hangs up what is the matter.
    let Ok(frame) = received else { return };
    match front::read(&frame) {
        Ok(Hello::Client(hello)) => {
            super::run(context, channel, hello, frame, arrival, SessionKind::Client).await;
        }
        Ok(_) => front::refuse(
            arrival.peer,
            PacketCause::Garbage,
            "a Client that was called says who it is",
        ),
        Err(error) => front::refuse(arrival.peer, PacketCause::Garbage, &error),
    }
}
