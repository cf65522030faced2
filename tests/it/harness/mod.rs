//! What the simulated daemons and the tests stand on.

pub(crate) mod binary;
pub(crate) mod bytes_of_jobs;
pub(crate) mod link;
pub(crate) mod meters;
pub(crate) mod running;
pub(crate) mod sdgroup;
pub(crate) mod site;
pub(crate) mod wait;
pub(crate) mod wire;

#[path = "../../lab/ports.rs"]
#[expect(dead_code, reason = "the lab needs more of it")]
pub(crate) mod ports;
