//! Who relays, and how each is started.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::rig::{Role, cpu_time_of};
use crate::site::director::Job;
use crate::site::ports::Port;
use crate::site::proxy::Sdgroup;

const READY_WITHIN: Duration = Duration::from_secs(10);
const NGINX_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// What a way is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Nobody relays.
    Direct,
    /// The physical limit.
    Bare,
    /// Another relay.
    Peer,
    /// Ours.
    Sdgroup,
}

/// A way to the storage.
pub(crate) struct Way {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    program: PathBuf,
    /// A peer's configuration, for the port where it is to listen and that of the storage.
    configure: Box<dyn Fn(u16, u16) -> String>,
    arguments: &'static [&'static str],
}

/// All that this machine has. What is missing is told.
pub(crate) fn all() -> Vec<Way> {
    let own = |name: &str, kind| Way {
        name: name.to_owned(),
        kind,
        program: PathBuf::new(),
        configure: Box::new(|_, _| String::new()),
        arguments: &[],
    };
    let mut ways = vec![own("direct", Kind::Direct), own("bare splice loop", Kind::Bare)];
    match find("haproxy") {
        Some(program) => {
            for (threads, splices) in [(1, false), (2, false), (1, true), (2, true)] {
                ways.push(haproxy(&program, threads, splices));
            }
        }
        None => println!("haproxy is not on this machine: apt-get install haproxy"),
    }
    match find("nginx").filter(|_| Path::new(NGINX_MODULE).exists()) {
        Some(program) => ways.push(nginx(&program)),
        None => println!(
            "nginx with its stream module is not on this machine: apt-get install nginx-light libnginx-mod-stream"
        ),
    }
    ways.push(own("sdgroup", Kind::Sdgroup));
    ways
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.exists())
}

fn haproxy(program: &Path, threads: u32, splices: bool) -> Way {
    let splice = if splices { "splice, " } else { "" };
    let s = if threads == 1 { "" } else { "s" };
    Way {
        name: format!("HAProxy, {splice}{threads} thread{s}"),
        kind: Kind::Peer,
        program: program.to_owned(),
        configure: Box::new(move |port, storage| {
            let splice = if splices {
                "option splice-request\n  option splice-response\n"
            } else {
                ""
            };
            format!(
                "global\n  nbthread {threads}\n  maxconn 1000\n  maxpipes 1000\ndefaults\n  mode tcp\n  \
                 timeout connect 1m\n  timeout client 1h\n  timeout server 1h\n  {splice}\
                 listen storage\n  bind 127.0.0.1:{port}\n  server storage 127.0.0.1:{storage}\n"
            )
        }),
        arguments: &["-db", "-f"],
    }
}

fn nginx(program: &Path) -> Way {
    Way {
        name: "nginx stream, 2 workers".to_owned(),
        kind: Kind::Peer,
        program: program.to_owned(),
        configure: Box::new(|port, storage| {
            format!(
                "daemon off;\nworker_processes 2;\nload_module {NGINX_MODULE};\npid nginx.pid;\n\
                 events {{ worker_connections 4096; }}\n\
                 stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{storage}; }} }}\n"
            )
        }),
        arguments: &["-e", "stderr", "-p", ".", "-c"],
    }
}

/// A relay that runs.
pub(crate) enum Relay {
    Direct(SocketAddr),
    Bare(Role, SocketAddr),
    Peer {
        child: Child,
        port: Port,
        _folder: TempDir,
    },
    Sdgroup {
        process: Sdgroup,
        runtime: Runtime,
        jobs: Vec<Job>,
    },
}

impl Way {
    /// Starts the relay, and announces as many jobs as there will be streams if it wants to know.
    pub(crate) fn start(&self, storage: SocketAddr, streams: u32) -> Relay {
        match self.kind {
            Kind::Direct => Relay::Direct(storage),
            Kind::Bare => {
                let mut role = Role::start(&["bare", &storage.to_string()]);
                let address = role.says();
                Relay::Bare(role, address)
            }
            Kind::Peer => self.start_peer(storage),
            Kind::Sdgroup => {
                let process = Sdgroup::start(&[storage]);
                let runtime = Runtime::new().expect("a runtime");
                let jobs = runtime.block_on(async {
                    let mut jobs = Vec::new();
                    for number in 1..=streams {
                        let job = Job::begin(process.address(), number).await;
                        jobs.push(job.unwrap_or_else(|error| panic!("{error}\n{}", process.log())));
                    }
                    jobs
                });
                Relay::Sdgroup { process, runtime, jobs }
            }
        }
    }

    fn start_peer(&self, storage: SocketAddr) -> Relay {
        let port = Port::choose();
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("configuration");
        fs::write(&file, (self.configure)(port.number(), storage.port())).expect("its configuration");
        let log = fs::File::create(folder.path().join("log")).expect("its log");
        let mut child = Command::new(&self.program)
            .args(self.arguments)
            .arg(&file)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let begun = Instant::now();
        while !port.is_listening() {
            let ended = child.try_wait().expect("our child");
            let said = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(
                ended.is_none() && begun.elapsed() < READY_WITHIN,
                "{} did not come up ({ended:?}):\n{}",
                self.name,
                said()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Relay::Peer {
            child,
            port,
            _folder: folder,
        }
    }
}

impl Relay {
    /// Where the Client calls.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Direct(address) | Self::Bare(_, address) => *address,
            Self::Peer { port, .. } => port.address(),
            Self::Sdgroup { process, .. } => process.address(),
        }
    }

    /// CPU seconds so far, of all its processes.
    pub(crate) fn cpu_time(&self) -> f64 {
        match self {
            Self::Direct(_) => 0.0,
            Self::Bare(role, _) => cpu_time_of(role.pid()),
            Self::Peer { child, .. } => family(child.id()).map(cpu_time_of).sum(),
            Self::Sdgroup { process, .. } => cpu_time_of(process.pid()),
        }
    }

    /// Ends it.
    pub(crate) fn end(self) {
        match self {
            Self::Direct(_) | Self::Bare(..) => {}
            Self::Peer { mut child, .. } => {
                // Workers go with their master when it is asked, and not when it is killed.
                let pid = rustix::process::Pid::from_child(&child);
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("our child");
                child.wait().expect("its end");
            }
            Self::Sdgroup { runtime, jobs, .. } => runtime.block_on(async {
                for job in jobs {
                    job.end().await;
                }
            }),
        }
    }
}

/// A process and its children.
fn family(pid: u32) -> impl Iterator<Item = u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = children
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect();
    std::iter::once(pid).chain(children)
}
