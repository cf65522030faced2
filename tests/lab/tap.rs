//! A wire that can be listened to: a port in front of a daemon that passes everything on and keeps a copy.

use super::Plan;
use super::ports::Port;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What was said on one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording {
    /// By the side that called.
    pub(crate) caller: Vec<u8>,
    /// By the daemon that it called.
    pub(crate) daemon: Vec<u8>,
}

type Kept = Arc<Mutex<Vec<Arc<Mutex<Recording>>>>>;

/// The taps of a lab, if its plan has any.
#[derive(Debug)]
pub(crate) struct Taps {
    wanted: bool,
    all: Vec<Tap>,
}

impl Taps {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            wanted: plan.taps,
            all: Vec::new(),
        }
    }

    /// The port at which the daemon of this name is called: its own, or a tap's in front of it.
    pub(super) fn before(&mut self, name: &str, port: &Port) -> u16 {
        if !self.wanted {
            return port.number();
        }
        let tap = Tap::before(name, port.address());
        let number = tap.address.port();
        self.all.push(tap);
        number
    }

    pub(super) fn of_daemon(&self, name: &str) -> &Tap {
        let mut all = self.all.iter();
        all.find(|tap| tap.name == name)
            .expect("a plan with taps, and a daemon of this name")
    }
}

/// The port. Connections that are open when it is dropped go on until one of their ends closes.
#[derive(Debug)]
pub(crate) struct Tap {
    name: String,
    address: SocketAddr,
    kept: Kept,
    ends: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Tap {
    /// In front of the daemon of this name, which listens at `daemon` when somebody calls.
    fn before(name: &str, daemon: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let (kept, ends) = (Kept::default(), Arc::new(AtomicBool::new(false)));
        let (keeping, ending) = (Arc::clone(&kept), Arc::clone(&ends));
        let accepting = std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                if ending.load(Ordering::Acquire) {
                    return;
                }
                if let Ok(far) = TcpStream::connect(daemon) {
                    listen(&near, &far, &keeping);
                }
            }
        });
        Self {
            name: name.to_owned(),
            address,
            kept,
            ends,
            accepting: Some(accepting),
        }
    }

    /// All that was said so far.
    pub(crate) fn recordings(&self) -> Vec<Recording> {
        let kept = self.kept.lock().expect("the recordings");
        kept.iter()
            .map(|one| one.lock().expect("a recording").clone())
            .collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            // A test that has failed already says why.
            let _ = accepting.join();
        }
    }
}

/// Passes on and keeps what the two say, in threads of their own.
fn listen(near: &TcpStream, far: &TcpStream, kept: &Kept) {
    let recording = Arc::new(Mutex::new(Recording::default()));
    kept.lock().expect("the recordings").push(Arc::clone(&recording));
    let near_side: fn(&mut Recording) -> &mut Vec<u8> = |recording| &mut recording.caller;
    let far_side: fn(&mut Recording) -> &mut Vec<u8> = |recording| &mut recording.daemon;
    for (from, to, side) in [(near, far, near_side), (far, near, far_side)] {
        for stream in [from, to] {
            stream.set_nodelay(true).expect("a socket option");
        }
        let mut from = from.try_clone().expect("a second handle");
        let (mut to, recording) = (to.try_clone().expect("a second handle"), Arc::clone(&recording));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let bytes = buffer.get(..count).unwrap_or_default();
                side(&mut recording.lock().expect("a recording")).extend_from_slice(bytes);
                if to.write_all(bytes).is_err() {
                    break;
                }
            }
            // The other side may be gone already.
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}
