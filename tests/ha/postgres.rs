//! The server that the other tests build on.

use crate::lab::ports::Port;
use crate::lab::postgres::Server;
use std::net::Ipv4Addr;

#[test]
fn a_server_of_the_lab_answers_and_is_not_root() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = Port::choose();
    let server = Server::new(folder.path(), Ipv4Addr::LOCALHOST, port.number());
    server.configure("");
    server.create();

    server.start();

    assert_eq!(
        server
            .ask("postgres", "SHOW server_version_num")
            .map(|v| v.starts_with("17")),
        Some(true)
    );
    let owner = std::os::unix::fs::MetadataExt::uid(&server.data().metadata().expect("the data's folder"));
    assert_ne!(owner, 0);
}
