//! What an operator can make of the process as a whole.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// What comes of a command to the process, as soon as it has.
pub type Outcome<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// The process, as it is commanded.
pub trait Steering: fmt::Debug + Send + Sync {
    /// Reads the configuration anew and puts it into force. Goes on when the outcome is not waited for.
    fn reload(self: Arc<Self>) -> Outcome<Reloaded, NotReloaded>;

    /// Starts a successor and hands over to it. The outcome is its number, or why nothing has changed.
    fn hand_over(self: Arc<Self>) -> Outcome<u32, String>;

    /// Whether the program's file has been replaced since the process began, as an upgrade does.
    fn is_replaced(&self) -> bool;
}

/// Another configuration is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// What is different, by table and key.
    pub changes: Vec<String>,
    /// What is probably not meant as it is written.
    pub warnings: Vec<String>,
}

/// The configuration in force stays. `Display` gives all of it in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReloaded {
    /// Why, and what to do.
    pub reason: String,
    /// Each thing that is wrong.
    pub details: Vec<String>,
}

impl fmt::Display for NotReloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.details.iter().try_for_each(|detail| write!(f, "; {detail}"))
    }
}
