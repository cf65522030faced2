//! What an operator may make of the process.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::handover::{Program, Wanted};
use super::reload::Reloader;
use crate::admin::{NotReloaded, Outcome, Reloaded, Steering};

/// Where his commands go.
#[derive(Debug)]
pub(super) struct Helm {
    pub(super) reloader: Arc<Reloader>,
    pub(super) program: Program,
    pub(super) wanted: mpsc::Sender<Wanted>,
}

impl Steering for Helm {
    fn reload(self: Arc<Self>) -> Outcome<Reloaded, NotReloaded> {
        Box::pin(async move { self.reloader.reload().await })
    }

    fn hand_over(self: Arc<Self>) -> Outcome<u32, String> {
        Box::pin(async move {
            let (answer, outcome) = oneshot::channel();
            let busy = "a handover is under way already, or sdgroup is about to end";
            self.wanted.try_send(answer).map_err(|_| busy.to_owned())?;
            outcome.await.unwrap_or_else(|_| Err(busy.to_owned()))
        })
    }

    fn is_replaced(&self) -> bool {
        self.program.is_replaced()
    }
}
