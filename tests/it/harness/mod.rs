//! What the simulated daemons and the tests stand on.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) mod apart;
pub(crate) mod binary;
pub(crate) mod bytes_of_jobs;
pub(crate) mod link;
pub(crate) mod meters;
pub(crate) mod running;
pub(crate) mod sdgroup;
pub(crate) mod site;
pub(crate) mod wait;
pub(crate) mod wire;

#[path = "../../lab/http.rs"]
pub(crate) mod http;

#[path = "../../lab/reachable.rs"]
mod reachable;

#[path = "../../lab/ports.rs"]
#[expect(dead_code, reason = "the lab needs more of it")]
pub(crate) mod ports;

/// Directors, Clients, storages and sdgroup share this process, and so its open files: 1024 of them is what a login
/// session begins with. The daemon raises the limit for itself when it starts.
pub(crate) fn allow_many_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("a limit within what is allowed");
}
