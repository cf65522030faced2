//! The life of the real process: what it tells systemd, what stops it, and what it says when it cannot start.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions below are parts of tests"
)]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use ports::Port;

#[path = "lab/ports.rs"]
#[expect(dead_code, reason = "the lab needs more of it")]
mod ports;
#[path = "lab/reachable.rs"]
mod reachable;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What opens the operator's interface on the network.
const TOKEN: &str = "0123456789abcdef";

/// A configuration whose only storage is not there: nobody listens at `storage`.
fn configuration(
    folder: &Path,
    state: &Path,
    (listen, metrics): (SocketAddr, SocketAddr),
    storage: &Port,
) -> std::path::PathBuf {
    let mut text = String::new();
    write!(
        text,
        "[Sdgroup]\nStateDirectory = \"{}\"\nMetricsAddress = \"{metrics}\"\nLogFormat = \"json\"\n\
         [[Listen]]\nAddress = \"{}\"\nSDPort = {}\nGroup = \"Files\"\n\
         [[Director]]\nName = \"lab-dir\"\nPassword = \"secret\"\n\
         [[Storage]]\nName = \"File4\"\nAddress = \"127.0.0.1\"\nSDPort = {}\nPassword = \"other\"\n\
         [[Group]]\nName = \"Files\"\nStorages = [\"File4\"]\n\
         [Probe]\nInterval = \"1 second\"\nFall = 1\n",
        state.display(),
        listen.ip(),
        listen.port(),
        storage.number(),
    )
    .unwrap();
    let path = folder.join("sdgroup.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The process, and what it says.
struct Process {
    child: Child,
    log: Receiver<String>,
    systemd: UnixDatagram,
    listen: Port,
    metrics: Port,
    _storage: Port,
    folder: Arc<TempDir>,
}

impl Process {
    fn start() -> Self {
        Self::start_in(&Arc::new(TempDir::new().unwrap()))
    }

    fn start_in(folder: &Arc<TempDir>) -> Self {
        Self::start_with(folder, "")
    }

    /// With more of `[Sdgroup]`.
    fn start_with(folder: &Arc<TempDir>, more: &str) -> Self {
        let [listen, metrics, storage] = [(); 3].map(|()| Port::choose());
        let state = folder.path().join("state");
        let addresses = (listen.address(), metrics.address());
        let configuration = configuration(folder.path(), &state, addresses, &storage);
        let text = std::fs::read_to_string(&configuration).unwrap();
        let text = text.replacen("[Sdgroup]\n", &format!("[Sdgroup]\n{more}"), 1);
        std::fs::write(&configuration, text).unwrap();
        let socket = folder.path().join("notify");
        let _ = std::fs::remove_file(&socket);
        let systemd = UnixDatagram::bind(&socket).unwrap();
        systemd.set_read_timeout(Some(PATIENCE)).unwrap();
        set_socket_passcred(&systemd, true).unwrap();
        // The watchdog is for one process, named by its number, which only the process itself knows in time.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "WATCHDOG_PID=$$ exec \"$0\" run -c \"$1\"",
                env!("CARGO_BIN_EXE_sdgroup"),
            ])
            .arg(&configuration)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "200000")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            child,
            log,
            systemd,
            listen,
            metrics,
            _storage: storage,
            folder: Arc::clone(folder),
        }
    }

    /// What a command says of the running process, on standard output and, when it fails, on standard error.
    fn command(&self, words: &[&str]) -> Result<String, String> {
        command(&self.folder, words)
    }

    /// Reads messages to systemd until one has this line, and returns of which process each was.
    fn tells_systemd(&self, wanted: &str) -> Vec<Pid> {
        let mut senders = Vec::new();
        loop {
            let (sender, message) = self.message().unwrap_or_else(|error| panic!("no {wanted}: {error}"));
            senders.push(sender);
            if message.lines().any(|line| line == wanted) {
                return senders;
            }
        }
    }

    /// The next message to systemd, and of which process it is.
    fn message(&self) -> std::io::Result<(Pid, String)> {
        let mut buffer = [0_u8; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [IoSliceMut::new(&mut buffer)];
        let length = recvmsg(&self.systemd, parts, &mut control, RecvFlags::empty())?.bytes;
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid),
            _ => None,
        });
        let message = String::from_utf8_lossy(buffer.get(..length).unwrap());
        Ok((sender.unwrap(), message.into_owned()))
    }

    /// Reads the log until a line has the text, and returns that line.
    fn logs(&self, wanted: &str) -> String {
        loop {
            let line = self
                .log
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|error| panic!("no {wanted}: {error}"));
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// Ends it in order.
    fn stop(self) {
        self.signal(Signal::TERM);
        assert!(self.end().success());
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(mut self) -> ExitStatus {
        // The log ends when the process does.
        while self.log.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().unwrap()
    }

    /// Waits until `/metrics` has this value for a series.
    fn until_shown(&self, series: &str, wanted: &str) {
        let begun = Instant::now();
        loop {
            let metrics = self.page("/metrics");
            let shown = value(&metrics, series);
            if shown == wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{series} is {shown}, not {wanted}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn page(&self, path: &str) -> String {
        page(self.metrics.address(), path, "")
    }
}

/// What is at an address, with further lines in the head of the request.
fn page(address: SocketAddr, path: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Whoever it has handed over to is no child of the test's.
        reachable::kill_all(&self.folder.path().join("state"));
    }
}

#[test]
fn without_the_token_the_network_sees_an_empty_page() {
    let kept = Port::choose();
    let admin = kept.address();
    let text = format!("AdminAddress = \"{admin}\"\nAdminToken = \"{TOKEN}\"\n");
    let process = Process::start_with(&Arc::new(TempDir::new().unwrap()), &text);
    process.tells_systemd("READY=1");
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    for path in ["/metrics", "/livez", "/readyz", "/api/v1/process", "/nothing"] {
        let refused = page(admin, path, "");
        assert!(refused.starts_with("HTTP/1.1 401 "), "{path}: {refused}");
        let shown = page(admin, path, &token);
        assert!(!shown.starts_with("HTTP/1.1 401 "), "{path}: {shown}");
    }
    let metrics = page(admin, "/metrics", &token);
    assert!(metrics.contains("sdgroup_phase"), "{metrics}");
    let told = process.logs("token_refused");
    assert!(told.contains("no_token") && told.contains("127.0.0.1"), "{told}");
    assert!(page(admin, "/", "").starts_with("HTTP/1.1 200 "));
    assert!(
        process.page("/metrics").contains("sdgroup_phase"),
        "they are open there"
    );
    process.stop();
}

#[test]
fn it_lives_until_it_is_told_to_end() {
    let process = Process::start();
    process.tells_systemd("READY=1");
    process.tells_systemd("WATCHDOG=1");
    process.tells_systemd("WATCHDOG=1");
    assert!(process.page("/livez").contains("200 OK"));
    let metrics = process.page("/metrics");
    for line in [
        concat!("sdgroup_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "sdgroup_phase{phase=\"ready\"} 1",
        "sdgroup_config_last_load_successful 1",
        "sdgroup_storage_jobs{storage=\"File4\"} 0",
        "sdgroup_panics_total 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");
    }

    let flip = process.logs("storage_flipped");
    assert!(flip.contains("File4") && flip.contains("connection refused"), "{flip}");
    let unready = process.page("/readyz");
    assert!(
        unready.contains("503") && unready.contains("File4 is down (connection refused)"),
        "{unready}"
    );

    process.signal(Signal::HUP);
    let reloaded = process.logs("config_reloaded");
    assert!(reloaded.contains(r#""changes":"nothing""#), "{reloaded}");
    assert!(process.page("/livez").contains("200 OK"), "it lives on after SIGHUP");

    process.signal(Signal::TERM);
    process.tells_systemd("STOPPING=1");
    let drained = process.logs(r#""phase":"stopped""#);
    assert!(drained.contains("no job is left"), "{drained}");
    let status = process.end();
    assert!(status.success(), "{status}");
}

/// The value of a series.
fn value<'a>(metrics: &'a str, series: &str) -> &'a str {
    let mut lines = metrics.lines();
    lines
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no {series} in {metrics}"))
}

#[test]
fn a_reload_changes_all_or_nothing_and_says_what() {
    let process = Process::start();
    process.tells_systemd("READY=1");
    let file = process.folder.path().join("sdgroup.toml");
    let whole = std::fs::read_to_string(&file).unwrap();
    let reload = |text: &str| {
        std::fs::write(&file, text).unwrap();
        process.command(&["reload"])
    };
    let series = |outcome| format!("sdgroup_config_reloads_total{{outcome=\"{outcome}\"}}");

    let more = whole.replace("Fall = 1", "Fall = 2");
    let more = more.replace("[[Group]]", "MaximumConcurrentJobs = 7\n[[Group]]");
    let told = reload(&more).unwrap();
    assert_eq!(
        told,
        "reloaded, 2 changes:\n  [[Storage]] File4: MaximumConcurrentJobs\n  [Probe]: Fall\n"
    );
    let logged = process.logs("config_reloaded");
    assert!(logged.contains("[Probe]: Fall"), "{logged}");
    let metrics = process.page("/metrics");
    assert_eq!(value(&metrics, &series("applied")), "1");
    assert_eq!(value(&metrics, "sdgroup_storage_jobs_limit{storage=\"File4\"}"), "7");

    // Two errors, of which each is told; the password is not.
    let broken = more.replace("Fall = 2", "Fall = 0\nRize = 3");
    let refused = reload(&broken).unwrap_err();
    for part in ["has 2 errors", "the one in force stays", "Rize", "Rise", "Fall = 0"] {
        assert!(refused.contains(part), "no {part} in {refused}");
    }
    assert!(!refused.contains("secret"), "{refused}");
    process.logs("config_refused");
    let metrics = process.page("/metrics");
    assert_eq!(value(&metrics, &series("refused")), "1");
    assert_eq!(value(&metrics, "sdgroup_config_last_load_successful"), "0");

    let elsewhere = more.replace("MaximumConcurrentJobs = 7", "MaximumConcurrentJobs = 9");
    let elsewhere = elsewhere.replace("LogFormat = \"json\"", "LogFormat = \"text\"");
    let refused = reload(&elsewhere).unwrap_err();
    for part in ["nothing was changed", "sdgroup handover", "[Sdgroup]: LogFormat"] {
        assert!(refused.contains(part), "no {part} in {refused}");
    }
    let metrics = process.page("/metrics");
    assert_eq!(value(&metrics, &series("needs_handover")), "1");
    assert_eq!(value(&metrics, "sdgroup_storage_jobs_limit{storage=\"File4\"}"), "7");

    // What the operator wants stays, for a storage that goes and comes back, too.
    process.command(&["drain", "File4", "--by", "ann"]).unwrap();
    let other = more.replace("File4", "File5");
    reload(&other).unwrap();
    let storages = process.command(&["storages"]).unwrap();
    assert!(storages.contains("File5") && !storages.contains("File4"), "{storages}");
    reload(&more).unwrap();
    let storages = process.command(&["storages"]).unwrap();
    assert!(storages.contains("File4 is draining by ann"), "{storages}");
    process.stop();
}

/// The process that serves after a handover, from what the command has said.
fn successor(said: &str) -> Pid {
    let number = said.strip_prefix("process ").and_then(|rest| rest.split(' ').next());
    let number = number.unwrap_or_else(|| panic!("no process in {said}"));
    Pid::from_raw(number.parse().unwrap()).unwrap()
}

#[test]
fn a_successor_takes_over_and_systemd_hears_of_it() {
    let mut process = Process::start();
    process.tells_systemd("READY=1");
    process.command(&["seal", "File4", "--by", "ann"]).unwrap();
    let said = process.command(&["handover"]).unwrap();
    let successor = successor(&said);
    let first = Pid::from_child(&process.child);
    assert_eq!(
        said,
        format!("process {successor} serves now; process {first} ends when its 0 jobs have\n")
    );
    // It takes nobody's word but the main process's.
    let told = process.tells_systemd(&format!("MAINPID={successor}"));
    assert!(told.iter().all(|pid| *pid == first), "{told:?}");
    let mut told = process.tells_systemd("READY=1");
    told.extend(process.tells_systemd("WATCHDOG=1"));
    assert!(told.iter().all(|pid| *pid == successor), "{told:?}");
    process.logs("handover_done");
    assert!(process.child.wait().unwrap().success(), "the first has no jobs");
    process.until_shown("sdgroup_predecessors", "0");
    assert!(process.folder.path().join("state/admin.sock").exists());
    let status = process.command(&["handover", "--status"]).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(status, format!("process {successor}, version {version}, serves\n"));
    let storages = process.command(&["storages"]).unwrap();
    assert!(storages.contains("File4 is sealed by ann"), "{storages}");
    let metrics = process.page("/metrics");
    assert_eq!(value(&metrics, "sdgroup_handovers_total{outcome=\"done\"}"), "1");
    let file = process.folder.path().join("sdgroup.toml");

    // What a reload cannot apply a handover does.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("LogFormat = \"json\"", "LogFormat = \"text\"")).unwrap();
    assert!(process.command(&["reload"]).is_err());
    let second = self::successor(&process.command(&["handover"]).unwrap());
    process.logs("event=\"handover_done\"");
    kill_process(second, Signal::TERM).unwrap();
    process.tells_systemd("STOPPING=1");
    while process.log.recv_timeout(PATIENCE).is_ok() {}
    assert!(!process.folder.path().join("state/admin.sock").exists());
    let left = std::fs::read_dir(process.folder.path().join("state")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().ends_with(".sock")),
        "{left:?}"
    );
}

#[test]
fn a_successor_that_cannot_serve_changes_nothing() {
    let process = Process::start();
    process.tells_systemd("READY=1");
    let file = process.folder.path().join("sdgroup.toml");
    let whole = std::fs::read_to_string(&file).unwrap();
    // It has an error; it wants a port that somebody else has.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let busy = whole.replace(
        &format!("SDPort = {}\nGroup", process.listen.number()),
        &format!("SDPort = {port}\nGroup"),
    );
    assert_ne!(busy, whole);
    for (text, why) in [
        (whole.replace("Fall = 1", "Fall = 0"), "cannot be used: 1 error"),
        (busy, "another process has it"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = process.command(&["handover"]).unwrap_err();
        for part in ["nothing has changed", "the successor has ended (exit status: 1)", "log"] {
            assert!(refused.contains(part), "no {part} in {refused}");
        }
        // The successor's own words come first.
        process.logs(why);
        process.logs("handover_failed");
        assert!(process.page("/readyz").starts_with("HTTP/1.1 "), "{why}");
        TcpStream::connect(process.listen.address()).unwrap();
    }
    std::fs::write(&file, &whole).unwrap();
    let metrics = process.page("/metrics");
    assert_eq!(value(&metrics, "sdgroup_handovers_total{outcome=\"failed\"}"), "2");
    assert_eq!(value(&metrics, "sdgroup_phase{phase=\"ready\"}"), "1");
    let told = process.command(&["reload", "--upgrade"]).unwrap();
    assert!(told.starts_with("reloaded; nothing is different"), "{told}");
    process.stop();
}

#[test]
fn who_has_asked_is_answered_before_it_ends_and_who_listens_is_told() {
    let process = Process::start();
    process.tells_systemd("READY=1");
    let call = |request: &str, until: &str| {
        let mut stream = UnixStream::connect(process.folder.path().join("state/admin.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let (mut answer, mut buffer) = (Vec::new(), [0_u8; 4096]);
        while !String::from_utf8_lossy(&answer).contains(until) {
            let length = stream.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "no {until} in {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(buffer.get(..length).unwrap());
        }
        stream
    };
    let rest = |mut stream: UnixStream| {
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    };
    let body = r#"{"job":"Nightly"}"#;
    // It is told to go on when it is waited for.
    let mut asks = call(
        &format!(
            "POST /api/v1/explain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ),
        "100 Continue",
    );
    let listens = call("GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n", "event: overview");
    process.signal(Signal::TERM);
    process.logs(r#""phase":"stopped""#);
    let last = rest(listens).unwrap();
    assert!(last.ends_with("0\r\n\r\n"), "cut in the middle: {last}");
    asks.write_all(body.as_bytes()).unwrap();
    let answer = rest(asks).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(process.end().success());
}

#[test]
fn ctrl_c_ends_it_too_and_a_silent_caller_does_not_keep_it() {
    let process = Process::start();
    process.tells_systemd("READY=1");
    let caller = TcpStream::connect(process.listen.address()).unwrap();
    process.signal(Signal::INT);
    process.logs(r#""phase":"draining""#);
    let unready = process.page("/readyz");
    assert!(unready.contains("503") && unready.contains("draining"), "{unready}");
    process.signal(Signal::INT);
    process.logs("a second signal");
    let status = process.end();
    drop(caller);
    assert!(status.success(), "{status}");
}

/// Runs the process with a configuration that it cannot live with, and returns what it says.
fn refusal(state: &Path, listen: SocketAddr, metrics: SocketAddr) -> String {
    let folder = TempDir::new().unwrap();
    let storage = Port::choose();
    let configuration = configuration(folder.path(), state, (listen, metrics), &storage);
    let socket = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_nonblocking(true).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sdgroup"))
        .args(["run", "-c"])
        .arg(configuration)
        .env("NOTIFY_SOCKET", &socket)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let mut message = [0_u8; 4096];
    while let Ok(length) = systemd.recv(&mut message) {
        let message = String::from_utf8_lossy(message.get(..length).unwrap());
        assert!(!message.contains("READY"), "it was not ready: {message}");
    }
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    let free = Port::choose();
    let said = refusal(folder.path(), address, free.address());
    let line = said.lines().last().unwrap();
    for part in ["[[Listen]]", &address.to_string(), "another process has it"] {
        assert!(line.contains(part), "no {part} in {line}");
    }

    let said = refusal(folder.path(), free.address(), address);
    let line = said.lines().last().unwrap();
    for part in ["MetricsAddress", &address.to_string(), "another process has it"] {
        assert!(line.contains(part), "no {part} in {line}");
    }
}

#[test]
fn a_state_directory_that_cannot_be_used_is_named_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let [listen, metrics] = [(); 2].map(|()| Port::choose());
    let said = refusal(&file.join("state"), listen.address(), metrics.address());
    let line = said.lines().last().unwrap();
    assert!(
        line.contains("StateDirectory") && line.contains("give it to the user"),
        "{line}"
    );

    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("sdgroup.db"), "this is no database, however long it may be").unwrap();
    let said = refusal(&other, listen.address(), metrics.address());
    let line = said.lines().last().unwrap();
    assert!(line.contains("sdgroup.db"), "{line}");
}

/// Runs a command with the configuration in `folder`.
fn output(folder: &TempDir, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sdgroup"))
        .args(words)
        .arg("-c")
        .arg(folder.path().join("sdgroup.toml"))
        .output()
        .unwrap()
}

/// What a command says, on standard output and, when it fails, on standard error.
fn command(folder: &TempDir, words: &[&str]) -> Result<String, String> {
    let output = output(folder, words);
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// The status of a process whose only storage is drained, and the exit codes of commands that fail.
fn tells_scripts(process: &Process, folder: &TempDir) {
    let status = process.command(&["status"]).unwrap();
    for part in [
        "sdgroup 0.1.0, ready",
        "Files by ListedOrder",
        "draining by ann (new disks)",
    ] {
        assert!(status.contains(part), "{part} in {status}");
    }
    for (words, code, told) in [
        (&["status", "--check"][..], 5, "group Files: no storage can take a job"),
        (&["status", "Filse"], 4, "there is no group"),
        (&["end", "99"], 4, "there is no session 99"),
        (&["ready", "File9"], 4, "there is no storage"),
        (&["drain", "File4", "--until", "soon"], 1, "2 hours"),
        (&["drain", "File4", "--timeout", "1 min"], 2, "--wait"),
    ] {
        let output = output(folder, words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(told), "{words:?}: {said}");
    }
}

#[test]
fn the_operator_commands_the_process_and_the_next_one_remembers() {
    let folder = Arc::new(TempDir::new().unwrap());
    let first = Process::start_in(&folder);
    first.tells_systemd("READY=1");
    let said = first.command(&["drain", "File4", "--reason", "new disks", "--by", "ann", "--wait"]);
    let said = said.unwrap();
    assert!(
        said.starts_with("File4 is draining by ann (new disks) since "),
        "{said}"
    );
    assert!(said.ends_with("File4 is empty\n"), "{said}");
    let told = first.logs("state_changed");
    for part in [r#""from":"ready""#, r#""to":"draining""#, r#""by":"ann""#] {
        assert!(told.contains(part), "{told}");
    }
    let explained = first.command(&["explain", "--job", "Nightly"]).unwrap();
    assert!(explained.contains("No storage can take it\n"), "{explained}");
    assert!(explained.contains("draining by ann (new disks)"), "{explained}");
    let refused = first.command(&["seal", "File9"]).unwrap_err();
    assert!(
        refused.contains("there is no storage \"File9\"; did you mean \"File4\"?"),
        "{refused}"
    );
    assert!(
        first
            .command(&["seal", "File4", "--until", "soon"])
            .unwrap_err()
            .contains("2 hours")
    );
    tells_scripts(&first, &folder);
    let metrics = first.page("/metrics");
    assert!(
        metrics.contains(r#"sdgroup_storage_state{storage="File4",state="draining"} 1"#),
        "{metrics}"
    );
    first.stop();

    let nobody = command(&folder, &["storages"]).unwrap_err();
    assert!(
        nobody.contains("is sdgroup running with this configuration?"),
        "{nobody}"
    );

    let second = Process::start_in(&folder);
    second.tells_systemd("READY=1");
    let storages = second.command(&["storages"]).unwrap();
    assert!(
        storages.contains("File4 is draining by ann (new disks) since "),
        "{storages}"
    );
    second.command(&["maintain", "File4", "--until", "2 seconds"]).unwrap();
    second.logs(r#""to":"maintenance""#);
    let over = second.logs(r#""to":"ready""#);
    assert!(over.contains(r#""by":"its time""#), "{over}");
    let jobs = second.command(&["jobs", "--json"]).unwrap();
    assert_eq!(jobs, "{\n  \"running\": [],\n  \"recent\": []\n}\n");
    second.stop();

    let third = Process::start_in(&folder);
    third.tells_systemd("READY=1");
    let storages = third.command(&["storages", "--json"]).unwrap();
    assert!(storages.contains("\"state\": \"ready\""), "{storages}");
    third.stop();
}
