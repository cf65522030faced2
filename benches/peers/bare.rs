//! The physical limit: threads that do nothing but splice, one for each direction of each connection.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use sdgroup::net::options::spare_pacing;
use socket2::{Domain, Socket, Type};

const PIPE: usize = 1 << 20;

/// Prints its address, and relays to the storage until it is killed.
pub(crate) fn relay(known: &[String]) {
    let storage: SocketAddr = known[0].parse().expect("an address");
    let listener = socket(storage);
    listener.bind(&SocketAddr::new(storage.ip(), 0).into()).expect("a port");
    listener.listen(1024).expect("a port to listen at");
    println!(
        "{}",
        listener
            .local_addr()
            .ok()
            .and_then(|at| at.as_socket())
            .expect("its address")
    );
    loop {
        let near: Arc<TcpStream> = Arc::new(listener.accept().expect("a caller").0.into());
        let far = socket(storage);
        far.connect(&storage.into()).expect("the storage");
        let far: Arc<TcpStream> = Arc::new(far.into());
        for stream in [&near, &far] {
            stream.set_nodelay(true).expect("an option");
        }
        for (from, to) in [(Arc::clone(&near), Arc::clone(&far)), (far, near)] {
            std::thread::spawn(move || pass(&from, &to));
        }
    }
}

/// With the options that sdgroup sets.
fn socket(storage: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(storage), Type::STREAM, None).expect("a socket");
    spare_pacing(&socket, storage.ip());
    socket
}

fn pass(from: &TcpStream, to: &TcpStream) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    fcntl_setpipe_size(&writer, PIPE).expect("a large pipe");
    loop {
        let mut holds = splice(from, None, &writer, None, PIPE, SpliceFlags::empty()).expect("a sender");
        if holds == 0 {
            break;
        }
        while holds > 0 {
            holds -= splice(&reader, None, to, None, holds, SpliceFlags::empty()).expect("a receiver");
        }
    }
    to.shutdown(Shutdown::Write).expect("an end");
}
