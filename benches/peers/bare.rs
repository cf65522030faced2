//! The physical limit: threads that do nothing but splice, one for each direction of each connection.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

const PIPE: usize = 1 << 20;

/// Prints its address, and relays to the storage until it is killed.
pub(crate) fn relay(known: &[String]) {
    let storage: SocketAddr = known[0].parse().expect("an address");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("its address"));
    for near in listener.incoming() {
        let near = Arc::new(near.expect("a caller"));
        let far = Arc::new(TcpStream::connect(storage).expect("the storage"));
        for stream in [&near, &far] {
            stream.set_nodelay(true).expect("an option");
        }
        for (from, to) in [(Arc::clone(&near), Arc::clone(&far)), (far, near)] {
            std::thread::spawn(move || pass(&from, &to));
        }
    }
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
